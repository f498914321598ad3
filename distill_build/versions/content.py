"""The files of one version, chunk by chunk: as they are kept in the cache, or as they lie in a folder.

Chunks are named by their digest in both, so what two versions share is known without reading it.
"""

import hashlib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec

from distill_build.engine.artefacts import open_file
from distill_build.engine.objects import Objects
from distill_build.errors import StorageError
from distill_build.versions.snapshot import FileSnapshot, chunked, chunks_of

T = TypeVar("T")


class Content(Protocol):
    """Where the rows of a version are read from. A file that the version does not have has no chunks."""

    def has(self, file: str) -> bool:
        """Whether the version has the file."""

    def chunks(self, file: str) -> Collection[str]:
        """The digests of the file's chunks, in order."""

    def lines(self, file: str) -> int:
        """How many lines the file has."""

    def get(self, file: str, chunk: str) -> bytes:
        """The bytes of one of the file's chunks."""


class KeptContent:
    """A version in the cache. Raises CorruptEntryError where what it is made of is gone or damaged."""

    def __init__(self, objects: Objects, files: Mapping[str, FileSnapshot]) -> None:
        self._objects = objects
        self._files = files

    def has(self, file: str) -> bool:
        return file in self._files

    def chunks(self, file: str) -> Collection[str]:
        return chunks_of(self._objects, self._files[file]) if file in self._files else []

    def lines(self, file: str) -> int:
        return self._files[file].lines if file in self._files else 0

    def get(self, file: str, chunk: str) -> bytes:  # noqa: ARG002 - objects need no file's name
        return self._objects.get(chunk)


class FolderContent:
    """The files in a folder, as they were when they were first asked for: a build replaces them, but never inside.

    `sha256` maps the files that were read to the digest of the whole, in hex.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._places: dict[str, dict[str, tuple[int, int]]] = {}
        self._lines: dict[str, int] = {}
        self.sha256: dict[str, str] = {}

    def has(self, file: str) -> bool:
        return (self._folder / file).is_file()

    def chunks(self, file: str) -> Collection[str]:
        if file not in self._places:
            self._places[file] = self._read(file)
        return self._places[file].keys()

    def lines(self, file: str) -> int:
        self.chunks(file)
        return self._lines[file]

    def get(self, file: str, chunk: str) -> bytes:
        start, length = self._places[file][chunk]
        with open_file(self._folder / file) as rows:
            rows.seek(start)
            data = rows.read(length)
        if hashlib.sha256(data).hexdigest() != chunk:
            raise StorageError(f"{self._folder / file} was replaced while it was read: compare again")
        return data

    def _read(self, file: str) -> dict[str, tuple[int, int]]:
        """Where each chunk lies: (start, length)."""
        places: dict[str, tuple[int, int]] = {}
        start, count, whole = 0, 0, hashlib.sha256()
        if self.has(file):
            for data, lines in chunked(self._folder / file):
                places[hashlib.sha256(data).hexdigest()] = (start, len(data))
                whole.update(data)
                start += len(data)
                count += lines
            self.sha256[file] = whole.hexdigest()
        self._lines[file] = count
        return places


def shared_chunks(old: Content, new: Content, file: str) -> frozenset[str]:
    """The chunks of a file that both versions have: their rows are the same, and need no reading."""
    return frozenset(old.chunks(file)) & frozenset(new.chunks(file))


def rows_in(content: Content, file: str, kind: type[T], skipped: Collection[str] = frozenset()) -> Iterator[T]:
    """The rows of a file in order, without those in `skipped` chunks. Raises StorageError for a line that is none."""
    decoder = msgspec.json.Decoder(kind)
    for chunk in content.chunks(file):
        if chunk not in skipped:
            try:
                yield from decoder.decode_lines(content.get(file, chunk))
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                raise unreadable(file, error) from error


def unreadable(file: str, error: Exception) -> StorageError:
    """What to raise for a line that is no row."""
    return StorageError(f"a line of {file} cannot be read ({error}): `distill-build verify` says where")
