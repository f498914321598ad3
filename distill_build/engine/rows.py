"""The rows of diskcache's table as they lie there: for those who must look at what cannot be read as an entry.

Knows the table, and the files that diskcache gives to large values. Nothing is loaded: a value is bytes or is not ours.
"""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec.structs import replace

DATABASE = "cache.db"
INLINE, IN_FILE = 1, 2
"""diskcache's modes of a value that is bytes: in the row, or in a file of its own (as caches of others may have)."""
COLUMNS = "rowid, key, raw, tag, mode, filename, value"
VALUE_FILE = re.compile(r"[0-9a-f]{2}/[0-9a-f]{2}/[0-9a-f]{28}\.val")


class StoredRow(msgspec.Struct, frozen=True):
    """One row. `key`, `tag` (the stage) and `value` are whatever lies there; `filename` is below the cache's folder."""

    rowid: int
    key: object
    raw: object
    tag: object
    mode: object
    filename: object
    value: object

    @property
    def name(self) -> str:
        """The key, where it is one."""
        return self.key if isinstance(self.key, str) else f"row {self.rowid}"

    @property
    def file_name(self) -> str:
        """The key as the name of a file; the number of the row where the key might lead elsewhere."""
        return self.name if self.name.isalnum() else f"row-{self.rowid}"

    @property
    def stage(self) -> str:
        """The stage, where there is one."""
        return self.tag if isinstance(self.tag, str) else ""

    def without_value(self) -> "StoredRow":
        """The row, light enough to be remembered."""
        return replace(self, value=None)

    def stored(self, directory: Path) -> bytes | None:
        """The bytes of the value; None where they are gone, or were never ours."""
        if self.raw != 1 or not isinstance(self.key, str):
            return None
        if self.mode == INLINE:
            return self.value if isinstance(self.value, bytes) else None
        file = self.file(directory)
        if self.mode == IN_FILE and file is not None:
            with suppress(OSError):
                return file.read_bytes()
        return None

    def file(self, directory: Path) -> Path | None:
        """The value's own file, where it has one of diskcache's: a name that leads elsewhere is no file of ours."""
        named = isinstance(self.filename, str) and VALUE_FILE.fullmatch(self.filename)
        return directory / str(self.filename) if named else None


def stored_rows(database: sqlite3.Connection) -> Iterator[StoredRow]:
    """Every row, oldest first. Raises sqlite3.Error where the table cannot be read."""
    for row in database.execute(f"SELECT {COLUMNS} FROM Cache ORDER BY rowid"):  # noqa: S608 - names of ours
        yield StoredRow(*row)


def delete_row(database: sqlite3.Connection, rowid: int) -> None:
    """Takes one row out, in a transaction of its own."""
    with database:
        database.execute("DELETE FROM Cache WHERE rowid = ?", (rowid,))


def complaints_of(database: sqlite3.Connection) -> list[str]:
    """What is wrong with the database's structure; nothing where all is well.

    Raises sqlite3.OperationalError where it cannot be read for another reason: permissions, or a lock.
    """
    try:
        database.execute(f"SELECT {COLUMNS} FROM Cache LIMIT 1")  # noqa: S608 - names of ours
        found = [str(line) for (line,) in database.execute("PRAGMA integrity_check(10)")]
    except sqlite3.DatabaseError as error:
        if not isinstance(error, sqlite3.OperationalError):
            return [str(error)]
        if "no such" not in str(error):
            raise
        return ["the table of responses is not in it"]
    return [] if found == ["ok"] else found


def value_files(directory: Path) -> Iterator[Path]:
    """The files in diskcache's places for large values."""
    for path in sorted(directory.glob("??/??/*.val")):
        if VALUE_FILE.fullmatch(path.relative_to(directory).as_posix()):
            yield path
