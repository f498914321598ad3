"""What keeps something in a cache: versions, datasets with their locks, and builds that did not come to their end.

A dataset is a root, also while its folder is not there: it may lie on a disk that is not mounted now. Versions that no
dataset here lists, such as those that came by import, stand for themselves under their dataset's name. A build that was
killed, interrupted, or stopped with items missing says so by its events.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from stat import S_ISDIR

import msgspec

from distill_build.cache.validation import objects_of
from distill_build.dataset.layout import SOURCES, STATE, Dataset, read_state
from distill_build.dataset.lockfile import LOCK, read_lock
from distill_build.dataset.rows import SourcesRow, read_rows
from distill_build.engine.artefacts import arriving
from distill_build.errors import CorruptEntryError, DifferenceError
from distill_build.history.used_responses import Sources
from distill_build.records import short
from distill_build.versions.archive import Archive, Root, Version

LATE = timedelta(seconds=60)
"""A response is stored before its event is written: so long may a killed run have been between the two."""


class Run(msgspec.Struct, frozen=True):
    """`target` is the digest of what it was to make, empty where that was not written down; `calls` are keys."""

    target: str
    start: datetime
    end: datetime
    complete: bool
    calls: frozenset[str]


def unfinished_runs(runs: Path) -> list[Run]:
    """The runs of a dataset that did not come to their end, and whose target none has reached since.

    A run with other settings, or up to an earlier stage, has another target, and completes nothing of theirs.
    Raises OSError where one may not look.
    """
    found = [run for folder in _folders(runs) if (run := _read_run(folder / "events.jsonl")) is not None]
    reached: dict[str, datetime] = {}
    for run in found:
        if run.complete and run.target:
            reached[run.target] = max(run.end, reached.get(run.target, run.end))
    return [run for run in found if not run.complete and not (run.target in reached and reached[run.target] > run.end)]


def _folders(runs: Path) -> Iterator[Path]:
    """What lies in a folder, nothing where it is not there. A glob would find nothing where one may not look, too."""
    with suppress(FileNotFoundError, NotADirectoryError):
        yield from list(runs.iterdir())


class _Event(msgspec.Struct):
    at: datetime
    event: str
    call: str = ""
    failures: int = 0
    target: str = ""


def _read_run(ledger: Path) -> Run | None:
    """What a run's events say; None where there are none.

    A kill or a full disk cuts lines off. What such a line told of came while the run was at work, so it is kept too.
    """
    decode = msgspec.json.Decoder(_Event).decode
    events = []
    with suppress(FileNotFoundError, NotADirectoryError), ledger.open("rb") as lines:
        for line in lines:
            with suppress(msgspec.DecodeError, UnicodeDecodeError):
                events.append(decode(line))
    if not events:
        return None
    target = next((event.target for event in events if event.target), "")
    complete = any(event.event == "end" and not event.failures for event in events)
    calls = frozenset(event.call for event in events if event.call)
    return Run(target, events[0].at, events[-1].at, complete, calls)


Records = dict[str, Version]
"""Versions by the digest of their records, oldest first."""
ALWAYS = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))


class Reached(msgspec.Struct):
    """What something needs: keys of calls, digests of objects, and times at which responses came that it may need.

    `notes` are sentences about folders whose needs are not known, or not all of them.
    """

    calls: set[str] = msgspec.field(default_factory=set)
    objects: set[str] = msgspec.field(default_factory=set)
    spans: list[tuple[datetime, datetime]] = msgspec.field(default_factory=list)
    notes: list[str] = msgspec.field(default_factory=list)

    def came_in_time(self, at: datetime) -> bool:
        """Whether a response that came `at` may be one that a killed build had no time to write down."""
        return any(start <= at <= end for start, end in self.spans)


class KeptVersions(msgspec.Struct, frozen=True):
    """Digests of the version records that stay, and sentences about what could not be decided by the rule."""

    digests: set[str]
    notes: list[str]


def read_records(archive: Archive) -> Records:
    """All versions. Raises CorruptEntryError for a damaged record: what it reaches is not known."""
    try:
        records = {digest: archive.records.record(digest) for digest in archive.records.digests()}
    except CorruptEntryError as error:
        raise CorruptEntryError(
            f"{error}, so nobody knows what it needs: `distill-build cache fsck` sets it aside"
        ) from error
    return dict(sorted(records.items(), key=lambda item: item[1].at))


def is_there(root: Root) -> bool:
    """Whether the folder of a dataset is where it was built; so it is taken to be where nobody may look."""
    try:
        return S_ISDIR(Path(root.folder).stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True


def kept_versions(archive: Archive, records: Records, last: int) -> KeptVersions:
    """The last `last` versions of each dataset, and those that its folder holds or its lock names."""
    roots = archive.registry.all()
    there = [root for root in roots if is_there(root)]
    listed = {digest for root in roots for digest in root.versions}
    loose: dict[tuple[str, str], list[str]] = {}
    for digest, record in records.items():
        if digest not in listed:
            loose.setdefault((record.name, record.origin), []).append(digest)
    kept = KeptVersions(set(), [])
    for root in roots:
        kept.digests.update(_last(root.versions, last))
    of_folders: set[tuple[str, str]] = set()
    for root in there:
        datasets = {(records[digest].name, records[digest].origin) for digest in root.versions if digest in records}
        datasets = datasets or {dataset for dataset in loose if dataset[0] == root.name}  # see `versions.archive`
        of_folders |= datasets
        beside = [digest for dataset in datasets for digest in loose.get(dataset, ())]
        history = _oldest_first(records, {*root.versions, *beside})
        kept.digests.update(_last(history, last))
        _keep_locked(root, records, history, kept)
    for dataset in loose.keys() - of_folders:
        kept.digests.update(_last(loose[dataset], last))
    return kept


def _keep_locked(root: Root, records: Records, history: list[str], kept: KeptVersions) -> None:
    """Keeps what a dataset's folder holds and its lock names; all of its versions where the lock cannot be read."""
    dataset = Dataset(Path(root.folder))
    try:
        locks = [read_lock(path) for path in _places(dataset, LOCK)]
        states = [read_state(path) for path in _places(dataset, STATE)]  # after a checkout not of the last one built
    except (DifferenceError, OSError) as error:
        kept.digests.update(history)
        kept.notes.append(f"all versions of {root.name} stay, since nobody knows which one is locked: {error}")
        return
    named = {each.version for each in (*locks, *states) if each is not None}
    kept.digests.update(digest for digest, record in records.items() if record.version in named)


def _places(dataset: Dataset, name: str) -> list[Path]:
    """Where a dataset's file lies, and first where a killed run has left one that is to be moved there.

    In this order: somebody may be moving it there now. Raises StorageError where it is not known what is to be moved.
    """
    place = dataset.artefact(name)
    coming = arriving(dataset.runs, place)
    return [place] if coming is None else [coming, place]


def _last(digests: list[str], number: int) -> list[str]:
    return digests[max(0, len(digests) - number) :]


def _oldest_first(records: Records, digests: set[str]) -> list[str]:
    return [digest for digest in records if digest in digests]


def reach(archive: Archive, records: Records, digests: Iterable[str]) -> Reached:
    """What versions, datasets as they lie in their folders, and unfinished builds need.

    Raises CorruptEntryError where a version's objects are damaged: then nobody knows what it reaches.
    """
    reached, sources = Reached(), Sources(archive)
    for digest in digests:
        try:
            _reach_version(sources, records[digest], reached)
        except CorruptEntryError as error:
            raise CorruptEntryError(_unknown_reach(records[digest], error)) from error
    for root in archive.registry.all():
        try:
            _reach_folder(root, reached)
        except OSError as error:
            reached.spans.append(ALWAYS)
            reached.notes.append(
                f"{root.folder} cannot be looked into ({error}), so no response goes: nobody knows what a build there "
                f"needs; {_given_up(archive, root)}"
            )
        if not is_there(root):
            reached.notes.append(
                f"{root.folder} is not there now: of {root.name} the versions count that are kept here, and not what "
                f"its lock names or an interrupted build has brought; {_given_up(archive, root)}"
            )
    return reached


def _given_up(archive: Archive, root: Root) -> str:
    return f"where it is given up for good, remove {archive.registry.file(Path(root.folder))}"


def _reach_folder(root: Root, reached: Reached) -> None:
    """Adds what a dataset needs as it lies in its folder. Raises OSError where one may not look there."""
    dataset = Dataset(Path(root.folder))
    for run in unfinished_runs(dataset.runs):
        reached.calls.update(run.calls)
        reached.spans.append((run.start, run.end + LATE))
    for path in _places(dataset, SOURCES):  # what it holds, also where the version's own record was lost
        for row in read_rows(path, SourcesRow):
            reached.calls.update(_keys(row))


def _reach_version(sources: Sources, version: Version, reached: Reached) -> None:
    reached.objects.update(objects_of(sources.archive.objects, version))
    for row in sources.of(version):
        reached.calls.update(_keys(row))


def _keys(row: SourcesRow) -> Iterator[str]:
    return (key for key, _ in row.responses)


def _unknown_reach(version: Version, error: CorruptEntryError) -> str:
    return (
        f"what version {short(version.version)} of {version.name} needs is not known, so nothing is removed: {error}; "
        "where it cannot be had again, a --keep-last that drops the version lets gc go on"
    )
