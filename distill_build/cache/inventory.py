"""What a cache holds: its folder in bytes, its calls and what they cost, what needs them, datasets and versions."""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from distill_build.cache.gc.roots import Reached, is_there, reach, read_records
from distill_build.engine.entry import Entry
from distill_build.engine.reading import ReadOnlyStore
from distill_build.engine.rows import DATABASE
from distill_build.errors import CorruptEntryError, StorageError
from distill_build.records import JsonObject
from distill_build.replies.reply import read_usage
from distill_build.stages.default import DEFAULT
from distill_build.versions.archive import Archive, Root

QUARANTINE = "quarantine"
DATABASE_FILES = (DATABASE, f"{DATABASE}-wal")
SHARED_MEMORY = f"{DATABASE}-shm"
"""SQLite's, for as long as the database is open: it holds nothing."""


class DiskUsage(msgspec.Struct, frozen=True):
    """Bytes by what they are for; `other` are value files, the marker, and notes."""

    database: int
    objects: int
    quarantine: int
    other: int

    @property
    def total(self) -> int:
        """What the cache takes. What is in quarantine is no part of it any more."""
        return self.database + self.objects + self.other


def disk_usage(directory: Path) -> DiskUsage:
    """The bytes in use in the cache at `directory`."""
    sums = {"database": 0, "objects": 0, QUARANTINE: 0, "other": 0}
    for path in files_below(directory):
        first = path.relative_to(directory).parts[0]
        if first == SHARED_MEMORY:
            continue
        kind = "database" if first in DATABASE_FILES else first if first in sums else "other"
        sums[kind] += size_of(path)
    return DiskUsage(**sums)


def files_below(directory: Path) -> Iterator[Path]:
    """Every file of the cache."""
    return (path for path in directory.rglob("*") if path.is_file())


def size_of(path: Path) -> int:
    """Bytes of a file; none where another process has taken it away meanwhile."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


StageAndModel = tuple[str, str]
"""Stage and model's name."""


class CallTotals(msgspec.Struct):
    """Some calls of one stage to one model.

    `attempts` are the responses stored for them; `accepted` calls have one that stands, `open` ones none. Tokens are
    those of all responses, as the endpoints counted them. `priced` responses had cost `dollars`, by the prices of
    their day; of the others nobody knows.
    """

    calls: int = 0
    attempts: int = 0
    accepted: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    priced: int = 0
    dollars: float = 0.0

    @property
    def open(self) -> int:
        return self.calls - self.accepted

    @property
    def usd(self) -> float | None:
        """US dollars of the responses that had a price; None where none had."""
        return self.dollars if self.priced or not self.attempts else None

    @property
    def unpriced(self) -> int:
        return self.attempts - self.priced

    def add(self, entry: Entry) -> None:
        """Counts one call."""
        self.calls += 1
        self.attempts += len(entry.attempts)
        self.accepted += entry.accepted is not None
        for attempt in entry.attempts:
            usage = read_usage(attempt.response)
            self.prompt_tokens += usage.prompt_tokens
            self.completion_tokens += usage.completion_tokens
            self.priced += attempt.usd is not None
            self.dollars += attempt.usd or 0.0

    def merge(self, other: "CallTotals") -> None:
        """Counts the calls of another group too."""
        self.calls += other.calls
        self.attempts += other.attempts
        self.accepted += other.accepted
        self.prompt_tokens += other.prompt_tokens
        self.completion_tokens += other.completion_tokens
        self.priced += other.priced
        self.dollars += other.dollars

    def row(self) -> JsonObject:
        """The figures by name."""
        return {
            "calls": self.calls,
            "attempts": self.attempts,
            "accepted": self.accepted,
            "open": self.open,
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "usd": self.usd,
            "unpriced": self.unpriced,
        }


class TotalsByModel(msgspec.Struct, frozen=True):
    """Calls by stage and model."""

    groups: dict[StageAndModel, CallTotals] = msgspec.field(default_factory=dict)

    def add(self, entry: Entry) -> None:
        """Counts one call."""
        self.groups.setdefault(stage_and_model(entry), CallTotals()).add(entry)

    def merge(self, place: StageAndModel, group: CallTotals) -> None:
        """Counts the calls of a group."""
        self.groups.setdefault(place, CallTotals()).merge(group)

    @property
    def total(self) -> CallTotals:
        """All groups together."""
        whole = CallTotals()
        for group in self.groups.values():
            whole.merge(group)
        return whole

    def rows(self) -> list[JsonObject]:
        """The figures by name, stages as they follow each other."""
        return [{"stage": stage, "model": model, **self.groups[stage, model].row()} for stage, model in self.in_order()]

    def in_order(self) -> list[StageAndModel]:
        """Stages as they follow each other, a user's own after ours; then models by name."""
        ranks = {stage: rank for rank, stage in enumerate(DEFAULT.names)}
        return sorted(self.groups, key=lambda place: (ranks.get(place[0], len(ranks)), place))


def stage_and_model(entry: Entry) -> StageAndModel:
    """Stage and model's name of a call."""
    return str(entry.manifest["stage"]), str(entry.manifest["body"]["model"])


class Inventory(msgspec.Struct):
    """`damaged` entries cannot be read back and are in no figures.

    `reached` are the calls that a version or an unfinished build needs, `unreached` all others; where damage hides
    which they are, both are empty and `trouble` says why. `versions` are all there are, `imported` those of them that
    no folder here has built. `objects` counts the pieces that versions are made of, `unused` those of no version.
    """

    entries: int
    disk_usage: DiskUsage
    damaged: int = 0
    all: TotalsByModel = msgspec.field(default_factory=TotalsByModel)
    reached: TotalsByModel = msgspec.field(default_factory=TotalsByModel)
    unreached: TotalsByModel = msgspec.field(default_factory=TotalsByModel)
    roots: list[Root] = msgspec.field(default_factory=list)
    versions: int = 0
    imported: int = 0
    objects: int = 0
    unused: int = 0
    trouble: str | None = None


def take_inventory(directory: Path) -> Inventory:
    """Adds up the cache in `directory`. Raises StorageError where its responses cannot be read."""
    store = ReadOnlyStore(directory)
    try:
        entries, _ = store.size()
        found = Inventory(entries, disk_usage(directory))
        reached = _look_at_versions(Archive(directory), found)
        for key in store.keys():  # noqa: SIM118 - a store is no mapping
            try:
                entry = store.get(key)
            except CorruptEntryError:
                found.damaged += 1
                continue
            if entry is not None:
                found.all.add(entry)
                if reached is not None:
                    (found.reached if key in reached.calls else found.unreached).add(entry)
        return found
    finally:
        store.close()


def _look_at_versions(archive: Archive, found: Inventory) -> Reached | None:
    """Counts versions and objects; what they reach, None where damage hides it."""
    objects = set(archive.objects)
    digests = archive.records.digests()
    found.objects, found.versions = len(objects), len(digests)
    try:
        found.roots = archive.registry.all()
        built = {digest for root in found.roots if is_there(root) for digest in root.versions}
        found.imported = len(set(digests) - built)
        records = read_records(archive)
        reached = reach(archive, records, records)
    except StorageError as error:
        found.trouble = str(error)
        return None
    found.unused = len(objects - reached.objects)
    return reached
