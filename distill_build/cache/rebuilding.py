"""A new database from what can still be read of a damaged one.

The damaged files are copied into quarantine first. The new one is written beside and moved into place at the end: a
kill before that changes nothing, and one in between is finished by the next fsck.
"""

import shutil
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from distill_build.cache.places import DATABASE_FILES
from distill_build.cache.quarantine import Quarantine
from distill_build.engine.artefacts import replace_together, sync
from distill_build.engine.entry import Entry
from distill_build.engine.reading import DATABASE
from distill_build.engine.store import Store

NEW = "new"
BATCH = 200
"""Entries that are written in one transaction."""


def rebuild(directory: Path, quarantine: Quarantine, entries: Iterable[Entry]) -> None:
    """Makes a database of `entries`, which may come from the damaged one, and puts it into its place."""
    for name in DATABASE_FILES:
        if (directory / name).exists():
            quarantine.copy("database", directory / name)
    beside = quarantine.folder / NEW
    store = Store(beside)
    try:
        for batch in _batches(entries):
            store.unite(batch)
    finally:
        store.close()
    sync(beside / DATABASE)
    # The old write-ahead log has to go before the new database comes: SQLite would write it over that.
    (beside / "empty").touch()
    replace_together(
        directory, {beside / "empty": directory / f"{DATABASE}-wal", beside / DATABASE: directory / DATABASE}, ()
    )
    shutil.rmtree(beside)


def _batches(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    rest = iter(entries)
    while batch := list(islice(rest, BATCH)):
        yield batch
