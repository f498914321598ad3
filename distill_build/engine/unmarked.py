"""Whether a folder without a cache's marker is a cache all the same, by what lies in it.

Names prove nothing: other programs use diskcache too. What is ours says so by its content: a call by the digest of its
bytes, a version's record by its name, which is the digest of its content.
"""

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from distill_build.engine.entry import scheme_of
from distill_build.engine.manifest import SCHEME
from distill_build.engine.rows import DATABASE, StoredRow
from distill_build.engine.salvage import Salvage
from distill_build.errors import CorruptEntryError


class _Record(msgspec.Struct):
    """What no record of a version lacks, in whatever scheme."""

    scheme: int
    version: str


def scheme_of_calls(directory: Path) -> int | None:
    """The scheme of the calls in the database of `directory`: this program's, where one has it; None without calls.

    The database may be damaged. Raises OSError where it cannot be read.
    """
    found = None
    for row in _rows(directory / DATABASE):
        with suppress(CorruptEntryError):
            found = scheme_of(row.name, row.stored(directory))
        if found == SCHEME:
            break
    return found


def holds_records(directory: Path) -> bool:
    """Whether `directory` has records of versions. Raises OSError where it cannot be read."""
    return any(map(_is_record, (directory / "versions").glob(f"{'?' * 64}.json")))


def _rows(database: Path) -> Iterator[StoredRow]:
    if database.is_file():
        yield from Salvage(database).rows()


def _is_record(path: Path) -> bool:
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != path.stem:
        return False
    try:
        msgspec.json.decode(data, type=_Record)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return True
