"""What two versions recorded of how their rows came to be: which responses a list was read from, what failed."""

from collections.abc import Collection
from enum import Enum

import msgspec

from distill_build.dataset.rows import FailureRow, SourcesRow
from distill_build.graph import Graph
from distill_build.records import Path, Source
from distill_build.versions.content import Content, rows_in, shared_chunks
from distill_build.versions.difference_rows import VersionRows

FAILURES, SOURCES = "failures.jsonl", "runs/sources.jsonl"


class Fork(Enum):
    """Where two chains of requests part."""

    LENGTH = "one is the beginning of the other, or they are the same"
    RESPONSE = "the same request has another response"
    REQUEST = "another request"
    UNKNOWN = "one of the versions does not say what it asked"


class Evidence(msgspec.Struct, frozen=True):
    """`requests` maps (stage, tag) to the chain of a list, as far as the two versions do not share it; the topic stands
    in the place of a tag by its text.

    `known` says whether the version recorded its requests at all. `short` are the (stage, path) where rows of a list
    are missing, `lacking` the (stage, id) of rows that miss a result of a stage.
    """

    known: bool
    requests: dict[tuple[str, str], tuple[Source, ...]]
    short: frozenset[tuple[str, Path]]
    lacking: frozenset[tuple[str, str]]

    def lacks(self, stage: str, path: Path) -> bool:
        """Whether rows of `stage` are missing directly below `path`."""
        return (stage, path) in self.short


def evidence_of(old: VersionRows, new: VersionRows) -> tuple[Evidence, Evidence]:
    """What each of two versions says. Raises StorageError where a file cannot be read."""
    shared = shared_chunks(old.content, new.content, SOURCES)
    return _evidence(old.content, old.graph, shared), _evidence(new.content, new.graph, shared)


def _evidence(content: Content, graph: Graph, shared: Collection[str]) -> Evidence:
    failures = list(rows_in(content, FAILURES, FailureRow))
    lists = [shape.name for shape in graph if shape.kind == "list"]
    sources = rows_in(content, SOURCES, SourcesRow, shared)
    return Evidence(
        known=content.has(SOURCES),
        requests={(stage, row.id): chain for row in sources for stage in lists if (chain := row.of(stage))},
        short=frozenset((row.stage, row.path) for row in failures if row.row is None),
        lacking=frozenset((row.stage, row.row) for row in failures if row.row is not None),
    )


def fork(old: Evidence, new: Evidence, stage: str, old_tag: str, new_tag: str) -> tuple[Fork, tuple[str, str]]:
    """Where the chains of a list below a tag part in two versions, with the keys of the two calls there.

    A tag that both versions have in a shared chunk is in neither's `requests`: its chains are the same.
    """
    if not (old.known and new.known):
        return Fork.UNKNOWN, ("", "")
    chains = old.requests.get((stage, old_tag), ()), new.requests.get((stage, new_tag), ())
    for before, after in zip(*chains, strict=False):
        if before[0] != after[0]:
            return Fork.REQUEST, (before[0], after[0])
        if before[1] != after[1]:
            return Fork.RESPONSE, (before[0], after[0])
    return Fork.LENGTH, ("", "")
