"""Which response to a call counts for one dataset: the one that it holds, whatever else stands in the cache.

A call has several responses where it was asked for anew (--rebuild), or where two machines had asked. One of them
stands, for everybody; but a dataset that was made from another one keeps that, until its own --rebuild names it. So
does a build that is held to a lock: what the lock says can be made as long as the cache holds the responses.
"""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from distill_build.artefact_rows import SourcesRow, TagRow, read_rows
from distill_build.engine.entry import Entry
from distill_build.engine.reading import Responses
from distill_build.errors import CorruptEntryError, DifferenceError
from distill_build.stages.dataset import SOURCES, Dataset
from distill_build.stages.session import Session, matching_globs
from distill_build.stages.used_responses import sources_of
from distill_build.versions.archive import Archive, Version
from distill_build.versions.lockfile import LOCK, read_lock


@dataclass(slots=True)
class HeldResponses:
    """`responses` maps keys of calls to digests of responses; `others` are calls where another response stands.

    `renewed` are calls that a --rebuild was asking anew when it was ended; what came of it after `since` (UTC, ISO
    8601) is paid for, and wanted.
    """

    responses: dict[str, str] = field(default_factory=dict)
    others: set[str] = field(default_factory=set)
    renewed: set[str] = field(default_factory=set)
    since: str = ""
    _unseen: set[str] = field(default_factory=set)

    def add(self, rows: Iterable[SourcesRow]) -> None:
        """Holds what items were read from, but for calls that are known already."""
        for row in rows:
            for key, response in row.responses:
                if key not in self.responses:
                    self.responses[key] = response
                    self._unseen.add(key)

    def differ(self, store: Responses) -> bool:
        """Whether another response stands for any call that is held; looks at those that no walk has looked at."""
        while self._unseen and not self.others:
            try:
                entry = store.get(next(iter(self._unseen)))
            except CorruptEntryError:
                return True  # what it held comes back by cache pull, or is asked for again
            if entry is None:
                self._unseen.pop()
            else:
                self.place(entry)
        return bool(self.others)

    def place(self, entry: Entry) -> int | None:
        """Where the held response lies among the attempts of `entry`; None where what stands counts."""
        held = self.responses.get(entry.key)
        self._unseen.discard(entry.key)
        if held is None or held == entry.response or self._is_renewed(entry):
            return None
        place = next((place for place, attempt in enumerate(entry.attempts) if attempt.digest == held), None)
        if place is not None:
            self.others.add(entry.key)
        return place

    def displaced(self, key: str) -> None:
        """The call was asked for anew here, so what stands counts from now on."""
        self.responses.pop(key, None)
        self.others.discard(key)
        self._unseen.discard(key)

    def _is_renewed(self, entry: Entry) -> bool:
        accepted = entry.accepted
        return entry.key in self.renewed and accepted is not None and entry.attempts[accepted.place].at >= self.since


def held_by_version(cache: Path, version: str) -> HeldResponses:
    """What `version` was made from; nothing where the cache does not know it, or its sources are damaged.

    What stands by now may give the same version then. A build that is held to the lock compares, and tells of the
    damage.
    """
    archive, held = Archive(cache), HeldResponses()
    if (record := archive.find(version)) is not None:
        with suppress(CorruptEntryError):
            held.add(sources_of(archive, record))
    return held


def held_by_folder(session: Session) -> HeldResponses:
    """What the dataset was made from, where that may be other responses than stand; else nothing.

    Its files come first, then the versions that it has been, the newest first: a build that reaches less, or other
    settings for a while, make it forget nothing.
    """
    dataset, state = session.dataset, session.dataset.state()
    held = HeldResponses()
    if state is not None and not state.holds_others and state.generation == session.directory.generation():
        return held
    if state is not None and SOURCES in state.outputs and state.outputs[SOURCES].holds(dataset.artefact(SOURCES)):
        renewed = _tags_named(dataset, state.rebuilding)
        held.renewed = {key for row in dataset.sources() if row.id in renewed for key, _ in row.responses}
        held.since = state.rebuilding_since
        held.add(dataset.sources())
    archive = Archive(session.cache_dir)
    for version in _versions_of(dataset, archive):
        with suppress(CorruptEntryError):  # fsck and verify tell of it; what stands counts then
            held.add(sources_of(archive, version))
    return held


def _versions_of(dataset: Dataset, archive: Archive) -> list[Version]:
    """What the folder has been: first what its lock names, then the newest."""
    lock, root = None, archive.root(dataset.folder)
    with suppress(DifferenceError):  # a lock that cannot be gone by: the build tells of it
        lock = read_lock(dataset.artefact(LOCK))
    known = dict(archive.readable())
    versions = [known[digest] for digest in reversed(root.versions) if digest in known] if root is not None else []
    return sorted(versions, key=lambda version: lock is None or version.version != lock.version)


def _tags_named(dataset: Dataset, globs: tuple[str, ...]) -> set[str]:
    """Ids of the tags that globs name, with the topic's text where they name the topic."""
    if not globs:
        return set()
    tags = {row.id for row in read_rows(dataset.artefact("tags.jsonl"), TagRow) if matching_globs(globs, row.path)}
    topics = {row.id for row in islice(dataset.sources(), 1)}
    return tags | {topic for topic in topics if matching_globs(globs, (topic,))}
