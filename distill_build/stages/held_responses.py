"""Which response to a call counts for one dataset: the one that it holds, whatever else stands in the cache.

A call has several responses where it was asked for anew (--rebuild), or where two machines had asked. One of them
stands, for everybody; but a dataset that was made from another one keeps that, until its own --rebuild names it. So
does a build that is held to a lock: what the lock says can be made as long as the cache holds the responses.
"""

from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from distill_build.artefact_rows import SourcesRow, TagRow, read_rows
from distill_build.engine.entry import Entry
from distill_build.errors import CorruptEntryError
from distill_build.stages.dataset import SOURCES, Dataset
from distill_build.stages.session import Session, matching_globs
from distill_build.stages.used_responses import sources_of
from distill_build.versions.archive import Archive


@dataclass(slots=True)
class HeldResponses:
    """`responses` maps keys of calls to digests of responses; `others` are calls where another response stands."""

    responses: dict[str, str] = field(default_factory=dict)
    others: set[str] = field(default_factory=set)

    def add(self, row: SourcesRow) -> None:
        """Holds what the items below a tag were read from."""
        self.responses.update((key, response) for key, response in row.responses)

    def place(self, entry: Entry) -> int | None:
        """Where the held response lies among the attempts of `entry`; None where what stands counts."""
        held = self.responses.get(entry.key)
        if held is None or held == entry.response:
            return None
        place = next((place for place, attempt in enumerate(entry.attempts) if attempt.digest == held), None)
        if place is not None:
            self.others.add(entry.key)
        return place

    def let_go(self, row: SourcesRow) -> None:
        """What stands counts for the items below a tag."""
        for key, _ in row.responses:
            self.responses.pop(key, None)

    def displaced(self, key: str) -> None:
        """The call was asked for anew here, so what stands counts from now on."""
        self.responses.pop(key, None)
        self.others.discard(key)


def held_by_version(cache: Path, version: str) -> HeldResponses:
    """What `version` was made from; nothing where the cache does not know it, or its sources are damaged.

    What stands by now may give the same version then. A build that is held to the lock compares, and tells of the
    damage.
    """
    archive, held = Archive(cache), HeldResponses()
    if (record := archive.find(version)) is not None:
        with suppress(CorruptEntryError):
            for row in sources_of(archive, record):
                held.add(row)
    return held


def held_by_folder(session: Session) -> HeldResponses:
    """What the dataset's files were made from, where that may be other responses than stand; else nothing.

    What a --rebuild of this dataset was asking anew when it was interrupted or killed is not held any more: the
    replies that came are paid for, and wanted.
    """
    dataset, state = session.dataset, session.dataset.state()
    if state is None or (not state.holds_others and state.generation == session.directory.generation()):
        return HeldResponses()
    if SOURCES not in state.outputs or not state.outputs[SOURCES].holds(dataset.artefact(SOURCES)):
        return held_by_version(session.cache_dir, state.version)
    held = HeldResponses()
    for row in dataset.sources():
        held.add(row)
    renewed = _tags_named(dataset, state.rebuilding)
    for row in dataset.sources() if renewed else ():
        if row.id in renewed:
            held.let_go(row)
    return held


def _tags_named(dataset: Dataset, globs: tuple[str, ...]) -> set[str]:
    """Ids of the tags that globs name, with the topic's text where they name the topic."""
    if not globs:
        return set()
    tags = {row.id for row in read_rows(dataset.artefact("tags.jsonl"), TagRow) if matching_globs(globs, row.path)}
    topics = {row.id for row in islice(dataset.sources(), 1)}
    return tags | {topic for topic in topics if matching_globs(globs, (topic,))}
