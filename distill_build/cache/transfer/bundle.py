"""A bundle: calls, objects and version records as one compressed file, written and read as a stream.

gzip of lines. The first says what it is; then each record is a line `[kind, name, length]` and that many bytes; the
last line holds the SHA-256 of all before it and the number of records. JSON alone, so `zcat` shows it. The same records
give the same bytes: gzip's header holds neither time nor name. Knows nothing of stores.
"""

import gzip
import io
import zlib
from collections.abc import Iterator
from hashlib import sha256
from typing import BinaryIO, Literal, get_args

import msgspec

from distill_build.errors import CorruptEntryError, StorageError

FORMAT = "distill-build bundle"
BUNDLE_SCHEME = 1
LEVEL = 4
"""Twice as fast as zlib's default on texts that stand twice, as in our entries, for 5 % more bytes."""
GZIP_HEAD = bytes.fromhex("1f8b08000000000000ff")
"""What gzip.GzipFile begins with at LEVEL, without time and name. It is the one part that no checksum covers."""
LINE_BYTES = 1 << 10
RECORD_BYTES = 64 << 20
"""More than any response or piece of a version takes, and little enough to be held in memory: a few bytes of gzip may
claim to be that much."""
READ_BYTES = 1 << 18
RecordKind = Literal["call", "object", "version"]
KINDS: tuple[RecordKind, ...] = get_args(RecordKind)
END = "end"


class Record(msgspec.Struct, frozen=True):
    """One thing in a bundle. `name` is a call's key, or a digest; `data` is what lies under it in a cache."""

    kind: RecordKind
    name: str
    data: bytes


class _Head(msgspec.Struct, frozen=True):
    format: str
    scheme: int


class BundleWriter:
    """Writes a bundle to `file`, which stays open. `count` records were written so far, of `size` bytes."""

    def __init__(self, file: BinaryIO) -> None:
        self._gzip = gzip.GzipFile(filename="", mode="wb", fileobj=file, compresslevel=LEVEL, mtime=0)
        self._digest = sha256()
        self.count = 0
        self.size = 0
        self._write(_line(_Head(FORMAT, BUNDLE_SCHEME)))

    def put(self, record: Record) -> None:
        """Appends a record. Raises StorageError for one that no reader would take."""
        if len(record.data) > RECORD_BYTES:
            raise StorageError(
                f"{record.kind} {record.name[:12]} has {len(record.data):,} bytes, and a bundle takes {RECORD_BYTES:,} "
                "at most: it cannot be carried"
            )
        self._write(b"".join((_line((record.kind, record.name, len(record.data))), record.data, b"\n")))
        self.count += 1

    def close(self) -> None:
        """Writes the end, without which a bundle is none."""
        self._gzip.write(_line((END, self._digest.hexdigest(), self.count)))
        self._gzip.close()

    def _write(self, data: bytes) -> None:
        self._digest.update(data)
        self.size += len(data)
        self._gzip.write(data)


def _line(value: object) -> bytes:
    return msgspec.json.encode(value) + b"\n"


def is_bundle(file: io.BufferedIOBase) -> bool:
    """Whether `file` begins as a bundle does."""
    try:
        return _head(_Lines(file, "")) == FORMAT
    except CorruptEntryError:
        return False


def read_bundle(file: io.BufferedIOBase, name: str) -> Iterator[Record]:
    """The records of a bundle that messages call `name`, one after the other; their digests are not looked at.

    Raises CorruptEntryError where it is none or of another scheme, and later, where it is cut off, changed, or goes on
    after its end.
    """
    lines = _Lines(file, name)
    if _head(lines) != FORMAT:
        raise no_bundle(name)
    return _records(lines)


def _records(lines: "_Lines") -> Iterator[Record]:
    count = 0
    while True:
        so_far = lines.digest.hexdigest()
        kind, record, number = lines.record_line()
        if kind == END:
            break
        if kind not in KINDS or not 0 <= number <= RECORD_BYTES:
            raise lines.damaged()
        yield Record(kind, record, lines.bytes(number))
        count += 1
    if (record, number) != (so_far, count) or not lines.ended():
        raise lines.damaged()


def _head(lines: "_Lines") -> str:
    """The format. Raises CorruptEntryError for a scheme that is not known."""
    try:
        head = msgspec.json.decode(lines.line(), type=_Head)
    except (msgspec.MsgspecError, UnicodeDecodeError, CorruptEntryError) as error:
        raise no_bundle(lines.name) from error
    if head.format == FORMAT and head.scheme != BUNDLE_SCHEME:
        raise CorruptEntryError(
            f"{lines.name} has bundle scheme {head.scheme}, and this program knows scheme {BUNDLE_SCHEME}: use the "
            "version of distill-build that wrote it"
        )
    return head.format


def no_bundle(name: str) -> CorruptEntryError:
    """The sentence for a file that is something else."""
    return CorruptEntryError(
        f"{name} is no bundle of distill-build, or its beginning is damaged: `cache export FILE` writes one"
    )


class _Lines:
    """What a bundle says, with the SHA-256 of all that was read."""

    def __init__(self, file: io.BufferedIOBase, name: str) -> None:
        self.name = name
        self.digest = sha256()
        self._stream = io.BufferedReader(_Inflated(file, name), READ_BYTES)

    def line(self) -> bytes:
        line = self._stream.readline(LINE_BYTES)
        self.digest.update(line)
        return line

    def record_line(self) -> tuple[str, str, int]:
        try:
            return msgspec.json.decode(self.line(), type=tuple[str, str, int])
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise self.damaged() from error

    def bytes(self, number: int) -> bytes:
        data = self._stream.read(number + 1)
        self.digest.update(data)
        if data[-1:] != b"\n":
            raise self.damaged()
        return data[:-1]

    def ended(self) -> bool:
        return not self._stream.read(1)

    def damaged(self) -> CorruptEntryError:
        return _damaged(self.name)


def _damaged(name: str, how: str = "is damaged: its bytes are not those that were written") -> CorruptEntryError:
    return CorruptEntryError(f"{name} {how}. Copy it again from where it was made, or export it anew")


class _Inflated(io.RawIOBase):
    """One gzip member, and nothing after it: gzip.GzipFile would overlook zeros behind it and a changed header."""

    def __init__(self, file: io.BufferedIOBase, name: str) -> None:
        self._file = file
        self._name = name
        self._inflate = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)  # 16: gzip's header and checksum
        self._head = file.read(len(GZIP_HEAD))
        if self._head != GZIP_HEAD:
            raise no_bundle(name)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview") -> int:  # type: ignore[override]  # io calls it with memoryviews alone
        while not self._inflate.eof:
            waiting = self._head or self._inflate.unconsumed_tail or self._file.read1(READ_BYTES)
            self._head = b""
            try:
                data = self._inflate.decompress(waiting, len(buffer))
            except zlib.error as error:
                raise _damaged(self._name) from error
            if data:
                buffer[: len(data)] = data
                return len(data)
            if not waiting:
                raise _damaged(self._name, "ends early: it was cut off")
        if self._inflate.unused_data or self._file.read(1):
            raise _damaged(self._name, "goes on after its end")
        return 0
