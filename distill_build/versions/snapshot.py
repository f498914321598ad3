"""Files of JSON lines as content-addressed chunks, so that what two versions of a file share is stored once.

A chunk ends after a line whose beginning, which holds the row's id, has a certain checksum: about one line in
CHUNK_LINES. So a row that is added, removed or changed touches the chunk it stands in, and no other. Rows without an id
at their beginning are told apart by the whole line.
"""

import hashlib
import json
import zlib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from distill_build.engine.artefacts import ArtefactWriter, open_file
from distill_build.engine.objects import Objects
from distill_build.errors import CorruptEntryError

CHUNK_LINES = 128
"""Lines of an average chunk: 20 to 60 kB of answers compressed, which is what one changed row costs."""
CHUNK_BYTES = 16 << 20
"""Where a chunk ends whatever its lines are: it is held in memory. Far above the usual, so it moves no other border."""
ID = b'{"id":'
ID_BYTES = 32
"""A line begins with its id: `{"id":"a_0123456789abcdef"`."""


class FileSnapshot(msgspec.Struct, frozen=True):
    """A file as it was: SHA-256 in hex, bytes, lines, and the digest of the object that lists its chunks."""

    sha256: str
    bytes: int
    lines: int
    chunks: str


def take_snapshot(objects: Objects, path: Path) -> FileSnapshot:
    """Keeps the file at `path`. Raises OSError where that cannot be done."""
    whole, size, lines, chunks = hashlib.sha256(), 0, 0, []
    for chunk, count in chunked(path):
        whole.update(chunk)
        size += len(chunk)
        lines += count
        chunks.append(objects.put(chunk))
    return FileSnapshot(whole.hexdigest(), size, lines, objects.put(json.dumps(chunks).encode()))


def chunked(path: Path) -> Iterator[tuple[bytes, int]]:
    """The chunks of a file, with the number of lines in each."""
    chunk: list[bytes] = []
    size = 0
    with open_file(path) as file:
        for line in file:
            chunk.append(line)
            size += len(line)
            if _is_border(line) or size >= CHUNK_BYTES:
                yield b"".join(chunk), len(chunk)
                chunk, size = [], 0
    if chunk:
        yield b"".join(chunk), len(chunk)


def _is_border(line: bytes) -> bool:
    told = line[:ID_BYTES] if line.startswith(ID) else line
    return zlib.crc32(told) % CHUNK_LINES == 0


def chunks_of(objects: Objects, snapshot: FileSnapshot) -> list[str]:
    """The digests of a file's chunks, in order. Raises CorruptEntryError where their list is damaged."""
    listed = objects.get(snapshot.chunks)
    try:
        return msgspec.json.decode(listed, type=list[str])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise CorruptEntryError(f"object {snapshot.chunks[:12]} is no list of chunks: {error}") from error


def lines_of(objects: Objects, snapshot: FileSnapshot) -> Iterator[bytes]:
    """The lines of a file, chunk by chunk. Raises CorruptEntryError where a chunk is gone or damaged."""
    for digest in chunks_of(objects, snapshot):
        yield from objects.get(digest).splitlines()


def restore(objects: Objects, snapshot: FileSnapshot, target: Path) -> None:
    """Writes the file again, synced. Raises CorruptEntryError where a chunk is gone or damaged."""
    with ArtefactWriter(target) as writer:
        for digest in chunks_of(objects, snapshot):
            writer.write(objects.get(digest))
    if writer.sha256 != snapshot.sha256:
        raise CorruptEntryError(f"{target.name} cannot be put together again: its chunks do not give what was kept")
