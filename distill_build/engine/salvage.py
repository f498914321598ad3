"""What can be read of a damaged SQLite file: the rows of diskcache's table, leaf by leaf, without SQLite.

SQLite reads down from the root and gives up at the first page that is not as it should be. Here every page that looks
like a leaf of a table is read for itself, so a damaged header or inner page costs nothing, and a damaged leaf its own
rows. What comes out may be noise: the caller checks each value by its digest.

The format is https://www.sqlite.org/fileformat2.html, sections 1.3 (header), 1.6 (b-tree pages), 2.1 (records) and
4.1 (write-ahead log). All sizes are in bytes.
"""

import struct
from collections.abc import Iterator
from pathlib import Path

from distill_build.engine.rows import StoredRow

MAGIC = b"SQLite format 3\x00"
DEFAULT_PAGE = 4096
HEADER = 100
TABLE_LEAF = 0x0D
LEAF_HEADER = 8
WAL_HEADER, FRAME_HEADER = 32, 24
INTEGER_SIZES = (0, 1, 2, 3, 4, 6, 8, 8, 0, 0)
"""By serial type: null, six sizes of integers, a float, and the constants 0 and 1."""
REAL, ZERO, ONE, RESERVED, FIRST_BLOB = 7, 8, 9, 11, 12
CACHE_COLUMNS = 12
COUNT = "count"
"""The row of diskcache's settings that says how many entries there are."""


class _Noise(Exception):  # noqa: N818 - no error of the program: what lies here is no row
    """Bytes that are no row, or no whole one."""


class Salvage:
    """What the file `database` still holds, with the committed pages of its write-ahead log.

    `expected` is how many rows there were by the database's own count: known when all of `rows` have been read, and
    None where that is lost too.
    """

    def __init__(self, database: Path) -> None:
        self._database = database
        self.expected: int | None = None

    def rows(self) -> Iterator[StoredRow]:
        """Every row that is whole, in no order. Raises OSError where the file cannot be read."""
        with _Pages(self._database) as pages:
            for number in range(1, pages.count + 1):
                for rowid, values in _leaf(pages, number):
                    if len(values) == CACHE_COLUMNS:
                        _, key, raw, _, _, _, _, tag, _, mode, filename, value = values
                        yield StoredRow(rowid, key, raw, tag, mode, filename, value)
                    elif len(values) == len((COUNT, 0)) and values[0] == COUNT and isinstance(values[1], int):
                        self.expected = values[1]


def _leaf(pages: "_Pages", number: int) -> Iterator[tuple[int, list[object]]]:
    """The rows of one page: rowid and columns. Nothing where it is no leaf of a table."""
    page = pages.read(number)
    start = HEADER if number == 1 else 0
    if page[start : start + 1] != bytes([TABLE_LEAF]):
        return
    cells = int.from_bytes(page[start + 3 : start + 5])
    pointers = start + LEAF_HEADER
    for place in range(pointers, min(pointers + 2 * cells, len(page) - 1), 2):
        try:
            yield _cell(pages, page, int.from_bytes(page[place : place + 2]))
        except (_Noise, IndexError, struct.error, UnicodeDecodeError):
            continue


def _cell(pages: "_Pages", page: bytes, place: int) -> tuple[int, list[object]]:
    length, place = _varint(page, place)
    rowid, place = _varint(page, place)
    local = _local_size(length, pages.size)
    payload = page[place : place + local]
    if local < length:
        payload += pages.overflow(int.from_bytes(page[place + local : place + local + 4]), length - local)
    if len(payload) != length:
        raise _Noise
    return rowid, _record(payload)


def _local_size(length: int, usable: int) -> int:
    """How much of a row of `length` lies in its leaf (section 1.6, with its names X, M and K)."""
    largest, smallest = usable - 35, (usable - 12) * 32 // 255 - 23
    if length <= largest:
        return length
    size = smallest + (length - smallest) % (usable - 4)
    return size if size <= largest else smallest


def _record(payload: bytes) -> list[object]:
    """The columns of a row."""
    end, place = _varint(payload, 0)
    types = []
    while place < end:
        kind, place = _varint(payload, place)
        types.append(kind)
    values = []
    for kind in types:
        size = _size(kind)
        if end + size > len(payload):
            raise _Noise
        values.append(_value(kind, payload[end : end + size]))
        end += size
    return values


def _size(kind: int) -> int:
    if kind >= FIRST_BLOB:
        return (kind - FIRST_BLOB) // 2
    if kind >= len(INTEGER_SIZES):
        raise _Noise
    return INTEGER_SIZES[kind]


def _value(kind: int, data: bytes) -> object:
    if kind >= FIRST_BLOB:
        return data.decode() if kind % 2 else data
    if kind == REAL:
        return float(struct.unpack(">d", data)[0])
    if kind in (ZERO, ONE):
        return kind - ZERO
    return int.from_bytes(data, signed=True) if data else None


def _varint(data: bytes, place: int) -> tuple[int, int]:
    """A number of 1 to 9 bytes, and where it ends."""
    number = 0
    for index in range(8):
        byte = data[place + index]
        number = number << 7 | byte & 0x7F
        if byte < 0x80:
            return number, place + index + 1
    return number << 8 | data[place + 8], place + 9


class _Pages:
    """The pages of a database, counted from 1, as a reader would see them: the log's committed ones first."""

    def __init__(self, database: Path) -> None:
        self._file = database.open("rb")
        self.size = _page_size(self._file.read(HEADER))
        self._log, committed = _committed(database.with_name(database.name + "-wal"), self.size)
        there = -(-database.stat().st_size // self.size)
        self.count = min(committed, there + len(self._log)) or there

    def __enter__(self) -> "_Pages":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def read(self, number: int) -> bytes:
        """One page; shorter where the file ends."""
        if number in self._log:
            return self._log[number]
        self._file.seek((number - 1) * self.size)
        return self._file.read(self.size)

    def overflow(self, number: int, length: int) -> bytes:
        """The rest of a row, from a chain of pages that begin with the next one's number."""
        if length > self.count * self.size:
            raise _Noise
        parts = []
        while length > 0:
            if not 0 < number <= self.count:
                raise _Noise
            page = self.read(number)
            parts.append(page[4 : 4 + length])
            length -= self.size - 4
            number = int.from_bytes(page[:4])
        return b"".join(parts)


def _page_size(header: bytes) -> int:
    """As the header says, where it is one."""
    size = int.from_bytes(header[16:18])
    size = 1 << 16 if size == 1 else size
    is_sane = header.startswith(MAGIC) and size >= 512 and size & (size - 1) == 0
    return size if is_sane else DEFAULT_PAGE


def _committed(log: Path, page_size: int) -> tuple[dict[int, bytes], int]:
    """The pages of a write-ahead log up to its last commit, by number, and how many the database then had.

    Pages of the database itself beyond that are old ones, which the commit let go. 0 where nothing was committed.
    """
    data = log.read_bytes() if log.exists() else b""
    salt, pages, committed, count = data[16:24], dict[int, bytes](), dict[int, bytes](), 0
    step = FRAME_HEADER + page_size
    for place in range(WAL_HEADER, len(data) - step + 1, step):
        header = data[place : place + FRAME_HEADER]
        if header[8:16] != salt:
            break
        pages[int.from_bytes(header[:4])] = data[place + FRAME_HEADER : place + step]
        if after := int.from_bytes(header[4:8]):  # the last frame of a commit
            committed, pages, count = committed | pages, {}, after
    return committed, count
