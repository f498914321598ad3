"""A new database from what can still be read of a damaged one.

The damaged files are copied into quarantine first. The new one is written beside and moved into place at the end, by a
journal. While that is there nobody but fsck gets into the cache (see CacheDirectory.check), and the next fsck ends
what it names: where nothing was moved yet the old database is all there, so the new one is dropped and made again;
else the moves are finished.
"""

import json
import shutil
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path

from distill_build.cache.places import DATABASE_FILES, QUARANTINE
from distill_build.cache.quarantine import Quarantine
from distill_build.engine.artefacts import JOURNAL, finish_replacing, replace_together, replacing, sync
from distill_build.engine.entry import Entry
from distill_build.engine.reading import unusable
from distill_build.engine.rows import DATABASE, Row
from distill_build.engine.store import Store

NEW = "new"
BATCH = 200
"""Entries that are written in one transaction."""
CARRY = """
INSERT INTO Cache (key, raw, tag, mode, filename, value) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (key, raw) DO UPDATE SET tag = excluded.tag, mode = excluded.mode, filename = excluded.filename,
value = excluded.value WHERE length(excluded.value) > length(value)
"""
"""Of a row that a damaged database holds twice the longer one is the newer one: entries only grow."""


def rebuild(directory: Path, quarantine: Quarantine, entries: Iterable[Entry | Row]) -> None:
    """Makes a database of `entries`, which may come from the damaged one, and puts it into its place.

    Rows, which are entries of another scheme, are carried over byte for byte.
    """
    for name in DATABASE_FILES:
        if (directory / name).exists():
            quarantine.copy("database", directory / name)
    beside = quarantine.folder / NEW
    store = Store(beside)
    try:
        for batch in _batches(entries):
            store.unite([entry for entry in batch if isinstance(entry, Entry)])
            _carry_over(beside / DATABASE, [row for row in batch if isinstance(row, Row)])
    finally:
        store.close()
    sync(beside / DATABASE)
    # The old write-ahead log has to go before the new database comes: SQLite would write it over that.
    (beside / "empty").touch()
    replace_together(
        directory, {beside / "empty": directory / f"{DATABASE}-wal", beside / DATABASE: directory / DATABASE}, ()
    )
    shutil.rmtree(beside)


def end_interrupted(directory: Path) -> bool:
    """Ends what a killed fsck left half done; the caller holds the cache for itself.

    Says whether a new database is in its place now that no fsck has told of. Raises StorageError where a file cannot
    be moved.
    """
    if is_dropped := _nothing_moved(directory):
        (directory / JOURNAL).unlink()  # before the files it names: what a kill leaves of them must not be moved
    is_finished = not is_dropped and finish_replacing(directory)
    for left_behind in (directory / QUARANTINE).glob(f"*/{NEW}"):
        shutil.rmtree(left_behind)
    return is_finished


def _nothing_moved(directory: Path) -> bool:
    """Whether the first file that a journal names still waits to be moved, so that all of them do."""
    if not replacing(directory):
        return False
    try:
        first: Path = directory / json.loads((directory / JOURNAL).read_bytes())["moves"][0][0]
    except (ValueError, LookupError, TypeError):
        return False  # who finishes it says what is wrong with it
    return first.exists()


def _carry_over(database: Path, rows: list[Row]) -> None:
    columns = [(row.key, row.raw, row.tag, row.mode, row.filename, row.value) for row in rows]
    try:
        with closing(sqlite3.connect(database)) as opened, opened:
            opened.executemany(CARRY, columns)
    except sqlite3.Error as error:
        raise unusable(database.parent, error) from error


def _batches(entries: Iterable[Entry | Row]) -> Iterator[list[Entry | Row]]:
    rest = iter(entries)
    while batch := list(islice(rest, BATCH)):
        yield batch
