"""Files that are whole or old: written beside, synced, and moved into place together at the end.

Knows nothing of what is in a file. Several files are replaced as one: a journal names the moves before the first is
made, and who finds a journal finishes it. So a kill between two moves leaves no mixture for longer than until the
next build.
"""

import errno
import hashlib
import io
import json
import os
import secrets
import shutil
import stat
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import msgspec

from distill_build.errors import StorageError

COPY_BYTES = 1 << 20
JOURNAL = "replacing.json"
UNKNOWN = -1
"""In the place of a size or time; no file has it."""


class FileState(msgspec.Struct, frozen=True):
    """A file as it was written: size in bytes, time of modification in nanoseconds, SHA-256 in hex.

    Size and time are UNKNOWN of one of which only the content is known.
    """

    size: int
    mtime_ns: int
    sha256: str

    def untouched(self, path: Path) -> bool:
        """Whether size and time still are what they were; the content is taken on trust then."""
        try:
            stat = path.stat()
        except FileNotFoundError:
            return False
        return (stat.st_size, stat.st_mtime_ns) == (self.size, self.mtime_ns)

    def holds(self, path: Path) -> bool:
        """Whether the content is what it was, whatever size and time say: before anything is copied from it."""
        return path.is_file() and self.size in (UNKNOWN, path.stat().st_size) and file_sha256(path) == self.sha256

    def same_content(self, path: Path) -> bool:
        """Whether the content is what it was, whatever the time says."""
        return self.untouched(path) or (path.is_file() and file_sha256(path) == self.sha256)


def open_file(path: Path) -> io.BufferedReader:
    """A file, opened for reading. Raises OSError where something else is there: for a pipe one would wait for ever."""
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb")
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "it is no file", str(path))
    return file


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with open_file(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_state(path: Path, sha256: str | None = None) -> FileState:
    """The state of a file that is there; its digest is worked out where it is not given."""
    stat = path.stat()
    return FileState(stat.st_size, stat.st_mtime_ns, sha256 or file_sha256(path))


def sync(path: Path) -> None:
    """Waits until a file that others wrote is on disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


class ArtefactWriter:
    """Writes one new file, digesting on the way. `sha256` and `size` are those of what was written so far."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: BinaryIO = path.open("wb", buffering=COPY_BYTES)
        self._digest = hashlib.sha256()
        self.size = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._file.flush()
            os.fsync(self._file.fileno())
        self._file.close()

    def write(self, data: bytes) -> None:
        self._file.write(data)
        self._digest.update(data)
        self.size += len(data)

    def copy(self, source: BinaryIO, start: int, length: int) -> None:
        """Appends `length` bytes of `source` from `start` on. Raises StorageError where it is shorter."""
        source.seek(start)
        while length:
            data = source.read(min(length, COPY_BYTES))
            if not data:
                raise StorageError(f"{source.name} ended early: it was cut while a build read it; build again")
            self.write(data)
            length -= len(data)

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()


class Spool:
    """Rows written in the order in which they come, to be read back in another. Not synced: it ends with the run.

    No file is open between calls: many builds at once have many spools, and a process may have few files.
    """

    def __init__(self, place: Callable[[], Path]) -> None:
        """`place` is asked for the file once there is a good deal to be written."""
        self._place = place
        self._waiting = bytearray()
        self._end = 0

    def append(self, data: bytes) -> int:
        """The place (in bytes) at which `data` begins. What was appended is written a good deal at a time."""
        start = self._end
        self._waiting += data
        self._end += len(data)
        if len(self._waiting) >= COPY_BYTES:
            self._write()
        return start

    def read(self, start: int, length: int) -> bytes:
        """What was appended at `start`."""
        written = self._end - len(self._waiting)
        if start >= written:
            return bytes(self._waiting[start - written : start - written + length])
        with self.reader() as file:
            file.seek(start)
            return file.read(length)

    def reader(self) -> BinaryIO:
        """A file from which all that was appended can be read; the caller closes it."""
        return self._write().open("rb")

    def _write(self) -> Path:
        """Writes what waits; returns where."""
        path, first = self._place(), self._end == len(self._waiting)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb" if first else "ab") as file:
            file.write(self._waiting)
        self._waiting.clear()
        return path


def replace_file(path: Path, data: bytes) -> None:
    """Replaces a small file as a whole, synced."""
    with ArtefactWriter(path.with_name(f".{path.name}.{secrets.token_hex(4)}")) as writer:
        writer.write(data)
    writer.path.replace(path)


def replace_together(folder: Path, moves: Mapping[Path, Path], removals: Iterable[Path]) -> None:
    """Moves each new file (key) to its place (value) and removes `removals`, all or, after a crash, all later. A folder
    that holds nothing any more goes with the last of them.

    `folder` holds the journal. New files must be synced already. Raises StorageError, with nothing moved, where
    something stands in a file's place, or its folder lies on another disk.
    """
    for place in moves.values():
        _require_free(place, folder)
    record = {
        "moves": [[_relative(new, folder), _relative(place, folder)] for new, place in moves.items()],
        "removals": [_relative(path, folder) for path in removals],
    }
    with ArtefactWriter(folder / f".{JOURNAL}.new") as writer:
        writer.write(json.dumps(record, ensure_ascii=False).encode())
    (folder / f".{JOURNAL}.new").replace(folder / JOURNAL)
    finish_replacing(folder)


def finish_replacing(folder: Path) -> bool:
    """Carries out the journal in `folder`, where there is one; says whether there was.

    Raises StorageError where that cannot be done; the journal stays, and the next call tries again.
    """
    try:
        record = _journal(folder)
        if record is None:
            return False
        for new, place in record.moves:
            if (folder / new).exists():  # else a run before this one came so far
                (folder / place).parent.mkdir(parents=True, exist_ok=True)
                (folder / new).replace(folder / place)
        for path in record.removals:
            (folder / path).unlink(missing_ok=True)
            with suppress(OSError):  # it holds more, or is gone
                (folder / path).parent.rmdir()
        (folder / JOURNAL).unlink()
    except OSError as error:
        raise StorageError(
            f"{error.filename} cannot be replaced: {error.strerror}. The new files are complete and will be moved "
            "into place by the next build"
        ) from error
    return True


def replacing(folder: Path) -> bool:
    """Whether a journal is not carried out yet."""
    return (folder / JOURNAL).exists()


def arriving(folder: Path, place: Path) -> Path | None:
    """Where the file lies that the journal in `folder` has yet to move to `place`; None where there is no such.

    Raises StorageError where the journal is damaged, OSError where one may not look.
    """
    record, wanted = _journal(folder), _relative(place, folder)
    moves = [] if record is None else record.moves
    return next((folder / new for new, there in moves if there == wanted and (folder / new).exists()), None)


class _Journal(msgspec.Struct):
    moves: list[tuple[str, str]]
    removals: list[str]


def _journal(folder: Path) -> _Journal | None:
    path = folder / JOURNAL
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Journal)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StorageError(f"{path} is damaged ({error}): remove it and build again, nothing is lost") from error


def _require_free(place: Path, folder: Path) -> None:
    """Raises StorageError where `place` cannot take a file from `folder`: a rename would fail when others were made."""
    if place.is_dir():
        raise StorageError(f"{place} is a folder, and a file is to be written there: move it away")
    if os.path.lexists(place.parent) and not place.parent.is_dir():
        raise StorageError(f"{place.parent} is no folder, and one is to be made there: move it away")
    if place.parent.exists() and place.parent.stat().st_dev != folder.stat().st_dev:
        raise StorageError(
            f"{place.parent} lies on another disk than {folder}, and files that belong together can be replaced "
            "together on one disk alone: move it away"
        )


def set_aside(path: Path, folder: Path) -> Path:
    """Copies a file that is about to be replaced into `folder`, and returns the copy."""
    folder.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copy2(path, folder / path.name))


def _relative(path: Path, folder: Path) -> str:
    return os.path.relpath(path, folder)
