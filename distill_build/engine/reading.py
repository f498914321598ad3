"""A store that is only read: from a cache on a read-only disk, and for commands that change nothing.

Knows the one table of diskcache 5.6 that holds entries. Opening diskcache itself writes its settings, makes files
and takes ten times as long.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

from distill_build.engine.cache_directory import CacheDirectory
from distill_build.engine.entry import Entry, decode
from distill_build.engine.rows import DATABASE, IN_FILE, INLINE, VALUE_FILE
from distill_build.errors import CorruptEntryError, StorageError

BUSY_SECONDS = 60.0
"""How long a transaction waits for another process's."""
PROBE = "SELECT 1 FROM Cache LIMIT 1"
NO_TABLE = "no such table"
"""What SQLite says of a database whose making was killed."""
DAMAGE = ("malformed", "not a database", "no such column")
HOLDS = "SELECT 1 FROM Cache WHERE key = ? AND raw = 1"
SELECT = "SELECT mode, filename, value FROM Cache WHERE key = ? AND raw = 1"


class Responses(Protocol):
    """What is read of a store, whether it can be written or not."""

    def get(self, key: str) -> Entry | None: ...

    def holds(self, key: str) -> bool: ...

    def keys(self) -> Iterator[str]: ...

    def size(self) -> tuple[int, int]: ...

    def close(self) -> None: ...


class ReadOnlyStore:
    """The entries of the cache in `directory`. Raises StorageError where there is none that can be read."""

    def __init__(self, directory: Path) -> None:
        self.directory = CacheDirectory(directory)
        self.directory.check()
        self._database = open_database(directory / DATABASE)

    def get(self, key: str) -> Entry | None:
        """The entry under `key`, or None. Raises CorruptEntryError where it is recorded but unreadable."""
        row = self._execute(SELECT, key).fetchone()
        return None if row is None else decode(key, self._bytes(*row))

    def sound(self, key: str) -> Entry | None:
        """The entry under `key`, or None, also where it is unreadable: `cache fsck` tells of that."""
        try:
            return self.get(key)
        except CorruptEntryError:
            return None

    def holds(self, key: str) -> bool:
        """Whether something is recorded under `key`, readable or not."""
        return self._execute(HOLDS, key).fetchone() is not None

    def stored(self, key: str) -> object:
        """The bytes under `key` as they lie there, whatever they are; None where there are none."""
        row = self._execute(SELECT, key).fetchone()
        return None if row is None else self._bytes(*row)

    def keys(self) -> Iterator[str]:
        """All keys, oldest first. Raises StorageError where the database is damaged."""
        try:
            for (key,) in self._execute("SELECT key FROM Cache WHERE raw = 1 ORDER BY rowid"):
                yield str(key)
        except sqlite3.Error as error:
            raise self._unusable(error) from error

    def value_files(self) -> set[str]:
        """The files that values lie in, below the cache's folder: none but in caches of others."""
        return {str(name) for (name,) in self._execute("SELECT filename FROM Cache WHERE filename IS NOT NULL")}

    def value_bytes(self) -> int:
        """The bytes of all values that lie in the database, without what their rows take beside."""
        (total,) = self._execute("SELECT TOTAL(LENGTH(value)) FROM Cache").fetchone()
        return int(total)

    def size(self) -> tuple[int, int]:
        """(number of entries, bytes on disk)."""
        (count,) = self._execute("SELECT COUNT(*) FROM Cache").fetchone()
        files = (self.directory.path / f"{DATABASE}{suffix}" for suffix in ("", "-wal"))
        return int(count), sum(path.stat().st_size for path in files if path.exists())

    def close(self) -> None:
        """Lets the database go."""
        self._database.close()

    def _bytes(self, mode: int, filename: str | None, value: object) -> object:
        """What `decode` is to look at; None, which it calls damaged, for what was never ours: a pickle, say."""
        if mode == INLINE:
            return value
        if mode == IN_FILE and filename is not None and VALUE_FILE.fullmatch(filename):
            with suppress(OSError):
                return (self.directory.path / filename).read_bytes()
        return None

    def _execute(self, statement: str, *values: str) -> sqlite3.Cursor:
        try:
            return self._database.execute(statement, values)
        except sqlite3.Error as error:
            raise self._unusable(error) from error

    def _unusable(self, error: sqlite3.Error) -> StorageError:
        return cache_unusable(self.directory.path, error)


def open_database(path: Path) -> sqlite3.Connection:
    """A connection that writes nothing. Raises StorageError where there is no database that can be read."""
    try:
        database = connect(path)
        database.execute(PROBE)
    except sqlite3.Error as error:
        raise cache_unusable(path.parent, error) from error
    return database


def holds_database(directory: Path) -> bool:
    """Whether a cache has a database that was begun, damaged or not: who was killed while making it left less."""
    path = directory / DATABASE
    if not path.is_file():
        return False
    try:
        with closing(connect(path)) as database:
            database.execute(PROBE)
    except sqlite3.Error as error:
        return NO_TABLE not in str(error)
    return True


def holds_versions(directory: Path) -> bool:
    """Whether a cache has versions, which name responses."""
    return any((directory / "versions").glob("*.json"))


def require_database(directory: Path) -> None:
    """Raises StorageError where a cache has versions and has lost the responses that they name.

    A build would make a new database and ask for everything again without a word.
    """
    if holds_versions(directory) and not holds_database(directory):
        raise _no_database(directory)


def connect(path: Path) -> sqlite3.Connection:
    """As `open_database`, to a file that may be no database. SQLite has to be told where nobody can write."""
    if not path.is_file():
        raise _no_database(path.parent)
    write_ahead, index = (path.with_name(path.name + suffix) for suffix in ("-wal", "-shm"))
    has_write_ahead = write_ahead.exists() and write_ahead.stat().st_size > 0
    read_only = not os.access(path.parent, os.W_OK)
    if read_only and has_write_ahead and not index.exists():
        raise StorageError(
            f"{write_ahead} holds responses that a killed build left, and reading them takes {index.name} beside it, "
            "which cannot be made on a read-only disk: run `distill-build cache stats` where the cache can be written, "
            "or copy all files of the cache"
        )
    frozen = read_only and not has_write_ahead
    address = f"file:{quote(str(path.absolute()))}?mode=ro" + "&immutable=1" * frozen
    return sqlite3.connect(address, uri=True, timeout=BUSY_SECONDS, check_same_thread=False)


def cache_unusable(directory: Path, error: Exception) -> StorageError:
    """The sentence for a cache that cannot be used."""
    reason = str(error) or type(error).__name__
    if isinstance(error, sqlite3.DatabaseError) and NO_TABLE in reason:
        return _no_database(directory)
    if isinstance(error, sqlite3.DatabaseError) and any(word in reason for word in DAMAGE):
        return StorageError(
            f"the cache's database {directory / DATABASE} is damaged ({reason}): `distill-build cache fsck` saves what "
            "can be read of it; or bring the folder back from a backup, or by cache pull"
        )
    return StorageError(
        f"the cache {directory} cannot be used: {reason}. Free some space or mend its permissions, or set "
        "cache.dir; everything stored so far is kept, and the next build goes on from there"
    )


def _no_database(directory: Path) -> StorageError:
    if not holds_versions(directory):
        return StorageError(
            f"the cache {directory} holds no database yet: build first, or bring responses by cache pull or cache "
            "import; where it had one, bring that back from a backup"
        )
    return StorageError(
        f"the cache {directory} has lost its database {DATABASE}, which held the responses of its versions: bring it "
        "back from a backup, or its responses by cache pull or cache import; else `distill-build cache fsck` says what "
        "that hits and makes an empty one, from which builds ask again"
    )


def writable(directory: Path) -> bool:
    """Whether a cache can be written: the folder, and the database where there is one."""
    database = directory / DATABASE
    nearest = next((folder for folder in (directory, *directory.absolute().parents) if folder.exists()), directory)
    return os.access(nearest, os.W_OK) and (not database.exists() or os.access(database, os.W_OK))
