"""What keeps something in a cache: versions, datasets with their locks, and builds that did not come to their end.

A dataset is a root for as long as its folder is there. Versions of a folder that is gone, and those that came by
import, stand for themselves: under their dataset's name, as `history` lists them.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from distill_build.artefact_rows import SourcesRow
from distill_build.cache.admission import objects_of
from distill_build.errors import CorruptEntryError, DifferenceError
from distill_build.stages.dataset import SOURCES, Dataset
from distill_build.versions.archive import Archive, Root, Version
from distill_build.versions.lockfile import LOCK, read_lock
from distill_build.versions.snapshot import lines_of

Records = dict[str, Version]
"""Versions by the digest of their records, oldest first."""
LATE = timedelta(seconds=60)
"""A response is stored before its event is written: so long may a killed run have been between the two."""


@dataclass(slots=True)
class Reached:
    """What something needs: keys of calls, digests of objects, and times at which responses came that it may need."""

    calls: set[str] = field(default_factory=set)
    objects: set[str] = field(default_factory=set)
    spans: list[tuple[datetime, datetime]] = field(default_factory=list)

    def came_in_time(self, at: datetime) -> bool:
        """Whether a response that came `at` may be one that a killed build had no time to write down."""
        return any(start <= at <= end for start, end in self.spans)


@dataclass(frozen=True, slots=True)
class Kept:
    """Digests of the version records that stay, and sentences about what could not be decided by the rule."""

    digests: set[str]
    notes: list[str]


def read_records(archive: Archive) -> Records:
    """All versions. Raises CorruptEntryError for a damaged record: what it reaches is not known."""
    try:
        records = {digest: archive.record(digest) for digest in archive.record_digests()}
    except CorruptEntryError as error:
        raise CorruptEntryError(
            f"{error}, so nobody knows what it needs: `distill-build cache fsck` sets it aside"
        ) from error
    return dict(sorted(records.items(), key=lambda item: item[1].at))


def is_there(root: Root) -> bool:
    """Whether the folder of a dataset is where it was built."""
    return Path(root.folder).is_dir()


def kept_versions(archive: Archive, records: Records, last: int) -> Kept:
    """The last `last` versions of each dataset, and those that its folder holds or its lock names."""
    there = [root for root in archive.all_roots() if is_there(root)]
    built = {digest for root in there for digest in root.versions}
    loose: dict[str, list[str]] = {}
    for digest, record in records.items():
        if digest not in built:
            loose.setdefault(record.name, []).append(digest)
    kept = Kept(set(), [])
    for root in there:
        history = _oldest_first(records, {*root.versions, *loose.get(root.name, ())})
        kept.digests.update(_last(root.versions, last), _last(history, last))
        _keep_locked(root, records, history, kept)
    for name in loose.keys() - {root.name for root in there}:
        kept.digests.update(_last(loose[name], last))
    return kept


def _keep_locked(root: Root, records: Records, history: list[str], kept: Kept) -> None:
    """Keeps what a dataset's folder holds and its lock names; all of its versions where the lock cannot be read."""
    dataset = Dataset(Path(root.folder))
    try:
        lock = read_lock(dataset.artefact(LOCK))
    except DifferenceError as error:
        kept.digests.update(history)
        kept.notes.append(f"all versions of {root.name} stay, since nobody knows which one is locked: {error}")
        return
    state = dataset.state()  # after a checkout it is an older version than the last one built
    named = {lock and lock.version, state and state.version}
    kept.digests.update(digest for digest, record in records.items() if record.version in named)


def _last(digests: list[str], number: int) -> list[str]:
    return digests[max(0, len(digests) - number) :]


def _oldest_first(records: Records, digests: set[str]) -> list[str]:
    return [digest for digest in records if digest in digests]


def reach(archive: Archive, records: Records, digests: Iterable[str]) -> Reached:
    """What versions, datasets as they lie in their folders, and unfinished builds need.

    Raises CorruptEntryError where a version's objects are damaged: then nobody knows what it reaches.
    """
    reached = Reached()
    for digest in digests:
        try:
            _reach_version(archive, records[digest], reached)
        except CorruptEntryError as error:
            raise CorruptEntryError(_unknown_reach(records[digest], error)) from error
    for root in archive.all_roots():
        dataset = Dataset(Path(root.folder))
        _reach_unfinished(dataset.runs, reached)
        for row in dataset.sources():  # what it holds, also where the version's own record was lost
            reached.calls.update(_keys(row))
    return reached


def _reach_version(archive: Archive, version: Version, reached: Reached) -> None:
    reached.objects.update(objects_of(archive.objects, version))
    for row in sources_of(archive, version):
        reached.calls.update(_keys(row))


def _keys(row: SourcesRow) -> Iterator[str]:
    return (key for key, _ in (*row.requests, *row.answers))


def sources_of(archive: Archive, version: Version) -> Iterator[SourcesRow]:
    """The responses behind a version, by tag. Raises CorruptEntryError where its objects are damaged."""
    snapshot = version.files.get(SOURCES)
    decode = msgspec.json.Decoder(SourcesRow).decode
    return map(decode, lines_of(archive.objects, snapshot)) if snapshot is not None else iter(())


def _unknown_reach(version: Version, error: CorruptEntryError) -> str:
    return (
        f"what version {version.version[:12]} of {version.name} needs is not known, so nothing is removed: {error}; "
        "where it cannot be had again, a --keep-last that drops the version lets gc go on"
    )


# Builds that did not come to their end: killed, interrupted, or stopped with items missing.


class _Event(msgspec.Struct):
    at: datetime
    event: str
    call: str = ""
    failures: int = 0


@dataclass(frozen=True, slots=True)
class _Run:
    start: datetime
    end: datetime
    complete: bool
    calls: frozenset[str]


def _reach_unfinished(runs: Path, reached: Reached) -> None:
    """Adds the responses that came to builds of a dataset since its last complete one."""
    found = [run for ledger in runs.glob("*/events.jsonl") if (run := _read_run(ledger)) is not None]
    completed = max((run.end for run in found if run.complete), default=datetime.min.replace(tzinfo=UTC))
    for run in found:
        if run.end > completed:
            reached.calls.update(run.calls)
            reached.spans.append((run.start, run.end + LATE))


def _read_run(ledger: Path) -> _Run | None:
    """What a run's events say; None where there are none.

    A kill or a full disk cuts lines off. What such a line told of came while the run was at work, so it is kept too.
    """
    decode = msgspec.json.Decoder(_Event).decode
    events = []
    with ledger.open("rb") as lines:
        for line in lines:
            with suppress(msgspec.DecodeError, UnicodeDecodeError):
                events.append(decode(line))
    if not events:
        return None
    complete = any(event.event == "end" and not event.failures for event in events)
    calls = frozenset(event.call for event in events if event.call)
    return _Run(events[0].at, events[-1].at, complete, calls)
