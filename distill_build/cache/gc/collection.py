"""`cache gc`: what nothing needs any more, decided first and as data; then removed.

A response goes only under a policy (see `gc.policy`). Without one only what is of no use to anybody does: files that
were being written, objects of no version, value files of no row. A kill at any moment leaves a whole cache: versions go
first, then responses, then objects, so nothing that is left refers to anything that is gone, and the next gc finds the
rest. Who removes holds the cache for itself.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import accumulate, takewhile
from pathlib import Path

import msgspec

from distill_build.cache.gc.policy import Policy
from distill_build.cache.gc.roots import Reached, Records, is_there, kept_versions, reach, read_records
from distill_build.cache.inventory import CallTotals, StageAndModel, TotalsByModel, disk_usage, size_of, stage_and_model
from distill_build.engine.entry import Entry, encode
from distill_build.engine.reading import ReadOnlyStore
from distill_build.engine.rows import value_files
from distill_build.engine.store import Store
from distill_build.errors import CorruptEntryError
from distill_build.versions.archive import Archive

TEMPORARY = re.compile(r"\..+\.json\.[0-9a-f]{8}|weights\.json\.\d+")
"""How the cache's small files are called while they are being written."""
STALE_SECONDS = 3600
"""A file beside the database may be written by a process that does not use the cache yet; that takes no hour."""
LONG_AGO = datetime.min.replace(tzinfo=UTC)


class Candidate(msgspec.Struct, frozen=True):
    """A call that nothing needs. `bytes` are its own, a row takes more; `at` is when its newest response came."""

    key: str
    bytes: int
    at: datetime
    place: StageAndModel
    group: CallTotals


class Collection(msgspec.Struct):
    """What goes: version records by digest, calls oldest first, objects by digest, files that nobody needs, and roots
    of folders that are gone and have no version.

    `size` are the bytes of the cache before; its rows take `overhead` times the bytes of the calls in them. Of `calls`
    those from `enough` on go only where the cache turns out to be larger than `max_bytes` without the others. `damaged`
    calls stay where they are: see `cache fsck`.
    """

    size: int
    overhead: float
    max_bytes: int | None
    versions: Records = msgspec.field(default_factory=dict)
    calls: list[Candidate] = msgspec.field(default_factory=list)
    enough: int = 0
    objects: list[str] = msgspec.field(default_factory=list)
    files: list[Path] = msgspec.field(default_factory=list)
    roots: list[Path] = msgspec.field(default_factory=list)
    notes: list[str] = msgspec.field(default_factory=list)
    damaged: int = 0
    freed: int = 0

    @property
    def chosen(self) -> list[Candidate]:
        """The calls that go, as far as can be said before."""
        return self.calls[: self.enough]

    @property
    def nothing(self) -> bool:
        return not (self.versions or self.chosen or self.objects or self.files or self.roots)

    @property
    def left(self) -> int:
        """About how many bytes stay."""
        return self.size - self.freed


def figures_of(calls: list[Candidate]) -> TotalsByModel:
    """What calls amount to."""
    figures = TotalsByModel()
    for call in calls:
        figures.merge(call.place, call.group)
    return figures


def collect(directory: Path, policy: Policy, now: datetime) -> Collection:
    """Decides what `cache gc` with `policy` removes at the time `now` from the cache in `directory`.

    Raises StorageError where it cannot be read, or where damage hides what is needed.
    """
    archive, store = Archive(directory), ReadOnlyStore(directory)
    try:
        there = disk_usage(directory)
        found = Collection(there.total, there.database / max(1, store.value_bytes()), policy.max_bytes)
        records = read_records(archive)
        is_small_enough = policy.max_bytes is not None and found.size <= policy.max_bytes
        if not is_small_enough:
            _drop_versions(archive, records, policy, now, found)
        reached = reach(archive, records, records.keys() - found.versions.keys())
        _find_unused_files(archive, store, reached, now, found)
        if policy.keep_last == 0:
            found.roots = _given_up(archive, found)
        if policy.removes_responses and not is_small_enough:
            found.notes.extend(reached.notes)
            _find_calls(store, reached, policy, now, found)
        return found
    finally:
        store.close()


def _drop_versions(archive: Archive, records: Records, policy: Policy, now: datetime, found: Collection) -> None:
    if policy.keep_last is None:
        return
    kept = kept_versions(archive, records, policy.keep_last)
    found.notes.extend(kept.notes)
    for digest, record in records.items():
        if digest not in kept.digests and _is_old(_time(record.at), policy, now):
            found.versions[digest] = record
            found.freed += size_of(archive.records.file(digest))


def _find_unused_files(
    archive: Archive, store: ReadOnlyStore, reached: Reached, now: datetime, found: Collection
) -> None:
    directory = archive.directory
    found.objects = [digest for digest in archive.objects if digest not in reached.objects]
    named = store.value_files()
    found.files = [
        *archive.objects.temporaries(),
        *(
            path
            for folder in (archive.records.directory, archive.registry.directory)
            for path in folder.glob(".*")
            if _is_temporary(path)
        ),
        *(path for path in directory.glob("*") if _is_temporary(path) and _is_stale(path, now)),
        *(path for path in value_files(directory) if path.relative_to(directory).as_posix() not in named),
    ]
    found.freed += sum(size_of(archive.objects.place(digest)) for digest in found.objects)
    found.freed += sum(map(size_of, found.files))


def _given_up(archive: Archive, found: Collection) -> list[Path]:
    """What registers folders that are gone and of which no version stays."""
    return [
        archive.registry.file(Path(root.folder))
        for root in archive.registry.all()
        if not is_there(root) and found.versions.keys() >= set(root.versions)
    ]


def _is_temporary(path: Path) -> bool:
    return TEMPORARY.fullmatch(path.name) is not None


def _is_stale(path: Path, now: datetime) -> bool:
    return path.stat().st_mtime < now.timestamp() - STALE_SECONDS


def _find_calls(store: ReadOnlyStore, reached: Reached, policy: Policy, now: datetime, found: Collection) -> None:
    """Chooses among the calls that nothing reaches."""
    for key in store.keys():  # noqa: SIM118 - a store is no mapping
        if key in reached.calls:
            continue
        try:
            entry = store.get(key)
        except CorruptEntryError:
            found.damaged += 1
            continue
        if entry is not None and not reached.came_in_time(_newest(entry)) and _is_old(_newest(entry), policy, now):
            found.calls.append(_candidate(entry))
    found.calls.sort(key=lambda call: (call.at, call.key))
    found.enough = _how_many(found)
    found.freed += round(sum(call.bytes for call in found.chosen) * found.overhead)


def _how_many(found: Collection) -> int:
    """How many of the calls have to go: all, or about as many as it takes to be small enough."""
    if found.max_bytes is None:
        return len(found.calls)
    left: float = found.left
    for number, call in enumerate(found.calls):
        if left <= found.max_bytes:
            return number
        left -= call.bytes * found.overhead
    return len(found.calls)


def _candidate(entry: Entry) -> Candidate:
    group = CallTotals()
    group.add(entry)
    return Candidate(entry.key, len(encode(entry)), _newest(entry), stage_and_model(entry), group)


def _is_old(at: datetime, policy: Policy, now: datetime) -> bool:
    return policy.older_than is None or at < now - policy.older_than


def _newest(entry: Entry) -> datetime:
    return max((_time(attempt.at) for attempt in entry.attempts), default=LONG_AGO)


def _time(at: str) -> datetime:
    """A time as entries and versions hold it: ISO 8601, in UTC."""
    time = datetime.fromisoformat(at)
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)


CALLS_AT_ONCE = 100
"""Responses that are removed in one transaction."""


def carry_out(found: Collection, directory: Path) -> None:
    """Removes what was found in the cache at `directory`. Raises StorageError or OSError where it cannot.

    What calls really take is known when they are gone: `found.enough` is then how many had to go for --max-size.
    """
    archive = Archive(directory)
    archive.remove(found.versions)
    going = [*map(archive.objects.place, found.objects), *found.files]
    if found.calls:
        there = disk_usage(directory)
        _remove_calls(found, directory, there.objects + there.other - sum(map(size_of, going)))
    for path in (*going, *found.roots):
        path.unlink(missing_ok=True)


def _remove_calls(found: Collection, directory: Path, beside: int) -> None:
    """Removes calls, the oldest first, until the cache is small enough; `beside` are its bytes without the database."""
    store = Store(directory)
    found.enough = 0
    try:
        store.remove(_batches(found, store, beside))
    finally:
        store.close()  # the last one to close gives the space back to the file system


def _batches(found: Collection, store: Store, beside: int) -> Iterator[list[str]]:
    """The keys to remove next, as long as the cache is too large; `found.enough` counts those that are gone."""
    while found.enough < len(found.calls) and (excess := _excess(found, store.size()[1] + beside)) > 0:
        keys = _next(found, found.enough, excess)
        yield keys
        found.enough += len(keys)


def _excess(found: Collection, size: int) -> float:
    return float("inf") if found.max_bytes is None else size - found.max_bytes


def _next(found: Collection, removed: int, excess: float) -> list[str]:
    """The calls to remove next: half as many as their own bytes call for, since rows take up to twice of them on disk.

    So the last ones go one by one, and none goes that need not.
    """
    batch = found.calls[removed : removed + CALLS_AT_ONCE]
    sizes = accumulate(call.bytes for call in batch)
    fit = sum(1 for _ in takewhile(lambda size: size <= excess / 2, sizes))
    return [call.key for call in batch[: max(1, fit)]]
