"""What two versions recorded of how their items came to be: which responses a tag's list was read from, what failed."""

from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum

from distill_build.artefact_rows import SourcesRow
from distill_build.records import Path, Source
from distill_build.versions.content import Content, rows_in, shared_chunks
from distill_build.versions.difference_rows import FAILURES, SOURCES, FailureRow


class Fork(Enum):
    """Where two chains of requests part."""

    LENGTH = "one is the beginning of the other, or they are the same"
    RESPONSE = "the same request has another response"
    REQUEST = "another request"
    UNKNOWN = "one of the versions does not say what it asked"


@dataclass(frozen=True, slots=True)
class Evidence:
    """`requests` maps tags, and the topic by its text, to their chains, as far as the two versions do not share them.

    `known` says whether the version recorded its requests at all. `short` are the (stage, path) where tags or
    questions are missing, `unanswered` the questions that miss an answer.
    """

    known: bool
    requests: dict[str, tuple[Source, ...]]
    short: frozenset[tuple[str, Path]]
    unanswered: frozenset[str]

    def lacks(self, stage: str, path: Path) -> bool:
        """Whether items of `stage` are missing directly below `path`."""
        return (stage, path) in self.short


def evidence_of(old: Content, new: Content) -> tuple[Evidence, Evidence]:
    """What each of two versions says. Raises StorageError where a file cannot be read."""
    shared = shared_chunks(old, new, SOURCES)
    return _evidence(old, shared), _evidence(new, shared)


def _evidence(content: Content, shared: Collection[str]) -> Evidence:
    failures = list(rows_in(content, FAILURES, FailureRow))
    return Evidence(
        known=content.has(SOURCES),
        requests={
            row.id: row.of("tags") or row.of("questions") for row in rows_in(content, SOURCES, SourcesRow, shared)
        },
        short=frozenset((row.stage, row.path) for row in failures if row.question_id is None),
        unanswered=frozenset(row.question_id for row in failures if row.question_id is not None),
    )


def fork(old: Evidence, new: Evidence, old_tag: str, new_tag: str) -> tuple[Fork, tuple[str, str]]:
    """Where the chains of a tag part in two versions, with the keys of the two calls there.

    A tag that both versions have in a shared chunk is in neither's `requests`: its chains are the same.
    """
    if not (old.known and new.known):
        return Fork.UNKNOWN, ("", "")
    for before, after in zip(old.requests.get(old_tag, ()), new.requests.get(new_tag, ()), strict=False):
        if before[0] != after[0]:
            return Fork.REQUEST, (before[0], after[0])
        if before[1] != after[1]:
            return Fork.RESPONSE, (before[0], after[0])
    return Fork.LENGTH, ("", "")
