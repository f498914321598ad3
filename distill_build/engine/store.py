"""The store of responses: key → entry, in a diskcache directory. The only place that knows diskcache.

Knows nothing of what a response means. One writer thread commits in groups; reads are made by the caller's
thread. Several processes may share a directory: an entry is read and written within one transaction, and who
comes second finds what stands (see `Entry.joined`).
"""

import queue
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import diskcache
import msgspec

from distill_build.engine.cache_directory import CacheDirectory
from distill_build.engine.claims import Claims
from distill_build.engine.entry import Entry, decode, encode
from distill_build.engine.reading import BUSY_SECONDS, ReadOnlyStore, cache_unusable, require_database, writable
from distill_build.engine.rows import VALUE_FILE
from distill_build.errors import CorruptEntryError, StorageError

if TYPE_CHECKING:
    import asyncio

INLINE_BYTES = 1 << 30
"""More than SQLite takes, so every value lies in the database itself. diskcache would put large ones in files, which no
commit covers: it neither syncs them nor brings an old one back when a transaction is rolled back."""


class _BytesDisk(diskcache.Disk):  # type: ignore[misc]  # diskcache ships no types
    """Text keys and bytes values alone: diskcache would pickle anything else, and unpickle what it finds."""

    def put(self, key: object) -> tuple[object, bool]:
        if type(key) is not str:
            raise TypeError(f"a cache key is text, not {type(key).__name__}")
        return key, True

    def get(self, key: object, raw: bool) -> object:
        if not raw or type(key) is not str:
            raise StorageError("the cache holds a key that distill-build never wrote: use another cache.dir")
        return key

    def store(self, value: object, read: bool, key: object = diskcache.UNKNOWN) -> Any:
        if type(value) is not bytes or read:
            raise TypeError(f"a cache value is bytes, not {type(value).__name__}")
        return super().store(value, read, key=key)

    def fetch(self, mode: int, filename: str | None, value: object, read: bool) -> object:
        is_bytes_inline = mode == diskcache.core.MODE_RAW and type(value) is bytes
        is_bytes_in_file = mode == diskcache.core.MODE_BINARY and VALUE_FILE.fullmatch(filename or "")
        if not (is_bytes_inline or is_bytes_in_file):
            return None  # decode() calls this corrupt; a pickle is never loaded
        try:
            return super().fetch(mode, filename, value, read)
        except OSError:
            return b""  # recorded, but its file is gone: corrupt, not a miss


class _Write(msgspec.Struct):
    entry: Entry
    displace: bool
    done: "asyncio.Future[Entry]"


class Store:
    """All calls that were ever made. Close it to end the writer thread.

    Open it once for a process: a second one that is closed lets go of the first's claims (see `Claims`).
    """

    def __init__(self, directory: Path) -> None:
        """Raises StorageError where `directory` cannot be a cache (see CacheDirectory.prepare)."""
        self.directory = CacheDirectory(directory)
        self.directory.prepare()
        self._cache = _open(directory)
        self.claims = Claims(directory)
        self._writes: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._writer: threading.Thread | None = None

    def get(self, key: str) -> Entry | None:
        """The entry under `key`, or None. Raises CorruptEntryError where it is recorded but unreadable."""
        try:
            stored = self._cache.get(key, default=_MISSING)
        except (sqlite3.Error, OSError, diskcache.Timeout) as error:
            raise self._unusable(error) from error
        return None if stored is _MISSING else decode(key, stored)

    def holds(self, key: str) -> bool:
        """Whether something is recorded under `key`, readable or not."""
        try:
            return key in self._cache
        except (sqlite3.Error, OSError, diskcache.Timeout) as error:
            raise self._unusable(error) from error

    def put(self, entry: Entry, *, displace: bool = False) -> "asyncio.Future[Entry]":
        """Hands `entry` to the writer; the future holds what stands under its key once that is on disk.

        An entry that is there already is joined, not replaced; `displace` lets a newly accepted attempt win.
        """
        import asyncio  # who only reads need not wait for it

        if self._writer is None:
            self._writer = threading.Thread(target=self._write_in_groups, name="store-writer", daemon=True)
            self._writer.start()
        done: asyncio.Future[Entry] = asyncio.get_running_loop().create_future()
        self._writes.put(_Write(entry, displace, done))
        return done

    def unite(self, entries: Iterable[Entry]) -> int:
        """Puts entries of another cache, in one transaction; returns how many calls or responses were new.

        What stands is kept: see `Entry.united`. Not to be called while a build runs in this process.
        """
        try:
            with self._cache.transact(retry=False):
                return sum(self._unite(entry) for entry in entries)
        except (sqlite3.Error, OSError, diskcache.Timeout) as error:
            raise self._unusable(error) from error

    def remove(self, batches: Iterable[list[str]]) -> int:
        """Forgets the entries under the keys of each batch, in a transaction of its own; returns how many there were.

        A batch is drawn when those before it are gone. Where there is none, nothing is noted as lost.
        """
        rest = iter(batches)
        if (first := next(rest, None)) is None:
            return 0
        with self.directory.losing_responses():
            return sum(map(self._forget, chain([first], rest)))

    def keys(self) -> Iterator[str]:
        """All keys, oldest first. Raises StorageError where the database is damaged."""
        try:
            yield from self._cache
        except sqlite3.Error as error:
            raise self._unusable(error) from error

    def size(self) -> tuple[int, int]:
        """(number of entries, bytes on disk). Raises StorageError where the database is damaged."""
        try:
            return len(self._cache), int(self._cache.volume())
        except sqlite3.Error as error:
            raise self._unusable(error) from error

    def close(self) -> None:
        """Waits for what was handed over, then ends the writer."""
        if self._writer is not None:
            self._writes.put(None)
            self._writer.join()
        self._cache.close()
        self.claims.close()

    def _unusable(self, error: Exception) -> StorageError:
        return cache_unusable(self.directory.path, error)

    def _write_in_groups(self) -> None:
        """Takes all that waits, commits it with one sync, then lets its callers go on."""
        while (first := self._writes.get()) is not None:
            group, ended = [first], False
            while not self._writes.empty():
                write = self._writes.get()
                if write is None:
                    ended = True
                    break
                group.append(write)
            self._commit(group)
            if ended:
                break
        self._cache.close()  # the connection of this thread

    def _commit(self, group: list[_Write]) -> None:
        results: list[Entry | Exception]
        try:
            with self._cache.transact(retry=False):
                results = [self._joined_or_error(write) for write in group]
        except (sqlite3.Error, OSError, diskcache.Timeout) as error:
            results = [self._unusable(error)] * len(group)
        loop = group[0].done.get_loop()
        loop.call_soon_threadsafe(_settle, group, results)

    def _joined_or_error(self, write: _Write) -> Entry | Exception:
        """What stands afterwards, or why this one entry cannot be written: the others of its group are not to blame."""
        try:
            return self._join(write)
        except (sqlite3.Error, OSError, diskcache.Timeout):
            raise
        except Exception as error:  # noqa: BLE001 - whoever waits for this write must be told, or waits for ever
            return error

    def _join(self, write: _Write) -> Entry:
        entry = write.entry
        key, tag = entry.key, entry.manifest.get("stage")
        if not self._cache.add(key, encode(entry), tag=tag):
            entry = self._joined(decode_or_none(key, self._cache.get(key)), write)
            self._cache.set(key, encode(entry), tag=tag)
        return entry

    def _unite(self, entry: Entry) -> bool:
        stored = self._cache.get(entry.key, default=_MISSING)
        standing = None if stored is _MISSING else decode_or_none(entry.key, stored)
        united = entry if standing is None else standing.united(entry)
        if united == standing:
            return False
        self._cache.set(entry.key, encode(united), tag=entry.manifest.get("stage"))
        return True

    def _forget(self, keys: list[str]) -> int:
        try:
            with self._cache.transact(retry=False):
                return sum(bool(self._cache.delete(key)) for key in keys)
        except (sqlite3.Error, OSError, diskcache.Timeout) as error:
            raise self._unusable(error) from error

    @staticmethod
    def _joined(standing: Entry | None, write: _Write) -> Entry:
        return write.entry if standing is None else standing.joined(write.entry, displace=write.displace)


def open_store(directory: Path) -> Store | ReadOnlyStore:
    """The store at `directory`, only to be read where its disk is. Raises StorageError as either does."""
    require_database(directory)
    return Store(directory) if writable(directory) else ReadOnlyStore(directory)


_MISSING = object()


def decode_or_none(key: str, stored: object) -> Entry | None:
    """The entry, or None where it is damaged: a new response under its key is then all there is."""
    try:
        return decode(key, stored)
    except CorruptEntryError:
        return None


def _open(directory: Path) -> Any:
    """A diskcache that evicts nothing, expires nothing, and syncs every commit.

    diskcache keeps settings in its database and evicts at 1 GiB by default, so they are given and then read back.
    """
    wanted = {"eviction_policy": "none", "cull_limit": 0, "size_limit": 1 << 60, "statistics": 0}
    try:
        cache = diskcache.Cache(
            str(directory),
            timeout=BUSY_SECONDS,
            disk=_BytesDisk,
            disk_min_file_size=INLINE_BYTES,
            sqlite_synchronous=2,  # FULL: a committed response survives a power cut
            sqlite_mmap_size=0,  # diskcache maps 64 MB, all of it resident after a walk, for no gain in time
            **wanted,
        )
    except (sqlite3.Error, OSError, diskcache.Timeout) as error:
        raise cache_unusable(directory, error) from error
    for setting, value in wanted.items():
        if cache.reset(setting) != value:
            raise StorageError(f"the cache {directory} does not keep {setting}={value}: use another cache.dir")
    return cache


def _settle(group: list[_Write], results: list[Entry | Exception]) -> None:
    for write, result in zip(group, results, strict=True):
        if write.done.done():  # its caller was cancelled; the entry is stored all the same
            continue
        if isinstance(result, Exception):
            write.done.set_exception(result)
        else:
            write.done.set_result(result)
