"""The part of `cache fsck` that looks at responses: the structure of the database, and every row in it.

Where the structure is damaged, a new database is made from what can still be read. The damaged files are copied into
quarantine first. The new one is written beside and moved into place at the end, by a journal. While that is there
nobody but fsck gets into the cache (see CacheDirectory.check), and the next fsck ends what it names: where nothing was
moved yet the old database is all there, so the new one is dropped and made again; else the moves are finished.
"""

import json
import shutil
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path

import msgspec

from distill_build.cache.fsck.findings import Damage, Findings, Quarantine
from distill_build.cache.inventory import DATABASE_FILES, QUARANTINE
from distill_build.cache.validation import validated_call
from distill_build.engine.artefacts import JOURNAL, finish_replacing, replace_together, replacing, sync
from distill_build.engine.cache_directory import CacheDirectory
from distill_build.engine.entry import Entry, scheme_of
from distill_build.engine.manifest import SCHEME
from distill_build.engine.reading import BUSY_SECONDS, cache_unusable, connect, holds_versions, open_database
from distill_build.engine.rows import DATABASE, StoredRow, complaints_of, delete_row, stored_rows
from distill_build.engine.salvage import Salvage
from distill_build.engine.store import Store
from distill_build.errors import CorruptEntryError, StorageError
from distill_build.records import Source

NEW = "new"
BATCH = 200
"""Entries that are written in one transaction."""
CARRY = """
INSERT INTO Cache (key, raw, tag, mode, filename, value) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (key, raw) DO UPDATE SET tag = excluded.tag, mode = excluded.mode, filename = excluded.filename,
value = excluded.value WHERE length(excluded.value) > length(value)
"""
"""Of a row that a damaged database holds twice the longer one is the newer one: entries only grow."""


def rebuild(directory: Path, quarantine: Quarantine, entries: Iterable[Entry | StoredRow]) -> None:
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
            _carry_over(beside / DATABASE, [row for row in batch if isinstance(row, StoredRow)])
    finally:
        store.close()
    sync(beside / DATABASE)
    # The old write-ahead log has to go before the new database comes: SQLite would write it over that.
    (beside / "empty").touch()
    moves = {beside / "empty": directory / f"{DATABASE}-wal", beside / DATABASE: directory / DATABASE}
    with CacheDirectory(directory).losing_responses():
        replace_together(directory, moves, ())
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


def _carry_over(database: Path, rows: list[StoredRow]) -> None:
    columns = [(row.key, row.raw, row.tag, row.mode, row.filename, row.value) for row in rows]
    try:
        with closing(sqlite3.connect(database)) as opened, opened:
            opened.executemany(CARRY, columns)
    except sqlite3.Error as error:
        raise cache_unusable(database.parent, error) from error


def _batches(entries: Iterable[Entry | StoredRow]) -> Iterator[list[Entry | StoredRow]]:
    rest = iter(entries)
    while batch := list(islice(rest, BATCH)):
        yield batch


class Costs(msgspec.Struct):
    """What calls of one stage cost on average: US dollars of those that had prices."""

    calls: int = 0
    dollars: float = 0.0

    @property
    def mean(self) -> float | None:
        return self.dollars / self.calls if self.calls else None


class DatabaseCheck(msgspec.Struct):
    """Looks at the database in `directory`. Without a `quarantine` everything stays where it is.

    `responses` are those of the entries that are as they were written; `foreign` the keys of entries that are too but
    have another scheme; `costs` are known afterwards too.
    """

    directory: Path
    quarantine: Quarantine | None
    findings: Findings
    responses: set[Source] = msgspec.field(default_factory=set)
    foreign: set[str] = msgspec.field(default_factory=set)
    costs: dict[str, Costs] = msgspec.field(default_factory=dict)

    def run(self) -> None:
        """Fills in the findings. Raises StorageError where the database cannot be read for a reason but damage."""
        self.findings.checked["database"] += 1
        file = self.directory / DATABASE
        if not file.exists() or not file.stat().st_size:
            if holds_versions(self.directory):  # else nothing was stored yet
                self._save(f"the database {DATABASE} is gone, or empty", iter(()))
        elif (complaint := self._complaint()) is None:
            self._look_at_rows()
        else:
            salvage = Salvage(file)
            self._save(f"the database {DATABASE} is damaged: {complaint}", salvage.rows())
            self.findings.expected = salvage.expected

    @property
    def sound(self) -> set[str]:
        """The keys of the entries that are as they were written."""
        return {key for key, _ in self.responses}

    def lacks(self, named: set[Source]) -> list[str]:
        """The keys of those responses that are not here, as far as can be told."""
        return [key for key, _ in named - self.responses if key not in self.foreign]

    def _save(self, reason: str, rows: Iterator[StoredRow]) -> None:
        """Tells of damage to the whole, and makes a new database of the rows that can be read."""
        self.findings.damage.append(Damage("database", DATABASE, reason))
        entries = self._entries(rows, bad_rows=[])
        if self.quarantine is not None:
            rebuild(self.directory, self.quarantine, entries)
        else:
            for _ in entries:
                pass
        self.findings.saved = len(self.sound | self.foreign)

    def _complaint(self) -> str | None:
        """What is wrong with the structure; None where nothing is."""
        try:
            with closing(connect(self.directory / DATABASE)) as database:
                return next(iter(complaints_of(database)), None)
        except sqlite3.Error as error:
            raise cache_unusable(self.directory, error) from error

    def _look_at_rows(self) -> None:
        bad: list[StoredRow] = []
        with closing(open_database(self.directory / DATABASE)) as database:
            for _ in self._entries(stored_rows(database), bad):
                pass
        if self.quarantine is not None and bad:
            self._take_out(bad)

    def _entries(self, rows: Iterator[StoredRow], bad_rows: list[StoredRow]) -> Iterator[Entry | StoredRow]:
        """The entries that are sound, as rows where they are of another scheme.

        The others become findings, their bytes are kept, and their rows are noted.
        """
        for row in rows:
            self.findings.checked["call"] += 1
            try:
                entry = entry_of(row, self.directory)
            except CorruptEntryError as error:
                self.findings.damage.append(Damage("call", row.name, str(error), row.stage))
                self._keep(row)
                bad_rows.append(row.without_value())
            except StorageError:
                self.foreign.add(row.name)
                self.findings.other_scheme = len(self.foreign)
                yield row
            else:
                self._count(entry)
                yield entry

    def _count(self, entry: Entry) -> None:
        self.responses.update((entry.key, attempt.digest) for attempt in entry.attempts)
        costs = self.costs.setdefault(str(entry.manifest["stage"]), Costs())
        prices = [attempt.usd for attempt in entry.attempts if attempt.usd is not None]
        if prices:
            costs.calls += 1
            costs.dollars += sum(prices)

    def _keep(self, row: StoredRow) -> None:
        if self.quarantine is not None and row.value is not None:
            value = row.value if isinstance(row.value, bytes) else str(row.value).encode(errors="replace")
            self.quarantine.keep("calls", row.file_name, value)

    def _take_out(self, bad: list[StoredRow]) -> None:
        """Takes rows out of the database, and their files with them: their bytes are in quarantine."""
        assert self.quarantine is not None, "without one everything stays"  # noqa: S101
        try:
            with (
                CacheDirectory(self.directory).losing_responses(),
                closing(sqlite3.connect(self.directory / DATABASE, timeout=BUSY_SECONDS)) as database,
            ):
                for row in bad:
                    file = row.file(self.directory)
                    if file is not None and file.is_file():
                        self.quarantine.copy("calls", file)
                    delete_row(database, row.rowid)
                    if file is not None:
                        file.unlink(missing_ok=True)
        except sqlite3.Error as error:
            raise cache_unusable(self.directory, error) from error


def entry_of(row: StoredRow, directory: Path) -> Entry:
    """The entry in a row, everything in it hashed.

    Raises CorruptEntryError where it is not what was written, StorageError where it is of another scheme.
    """
    stored = row.stored(directory)
    if stored is None:
        gone = f"its file {row.filename} is gone" if row.file(directory) else "distill-build never wrote such a thing"
        raise CorruptEntryError(f"cache entry {row.name[:12]} is damaged: {gone}")
    try:
        return validated_call(row.name, stored)
    except CorruptEntryError:
        if _is_of_other_scheme(row.name, stored):
            raise StorageError(f"cache entry {row.name[:12]} has another scheme") from None
        raise


def _is_of_other_scheme(key: str, stored: bytes) -> bool:
    try:
        return scheme_of(key, stored) != SCHEME
    except CorruptEntryError:
        return False
