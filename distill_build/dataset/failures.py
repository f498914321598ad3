"""The lines of failures.jsonl: which of them an export replaces, what they count for in a state and in a lock, and what
stands there where nothing else does though something is missing.

An export decides about the lines of END alone, the rows that make no training row. All others are a build's.
"""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from distill_build.graph import END, Graph
from distill_build.records import Failure, JsonObject, Path

UNTOLD = "no other line of failures.jsonl tells why: this is a fault of distill-build, please report it"
NO_ROW: Mapping[str, str] = MappingProxyType({})


def failures_after_export(before: Iterable[JsonObject], refused: Iterable[Failure]) -> list[JsonObject]:
    """What was not exported `before` gives way to what is `refused` now."""
    return [*(row for row in before if row["stage"] != END), *(each.row() for each in refused)]


def missing_after_export(before: Mapping[str, int], refused: Sequence[Failure]) -> dict[str, int]:
    """The `missing` of a lock, likewise."""
    others = {stage: number for stage, number in before.items() if stage != END}
    return others | ({END: sum(each.missing for each in refused)} if refused else {})


def unmade_in(graph: Graph, failures: Iterable[JsonObject]) -> dict[str, int]:
    """The `unmade` of a state, given all lines of failures.jsonl."""
    unmade: dict[str, int] = {}
    for row in failures:
        if row["stage"] not in graph or not graph[row["stage"]].asks:
            unmade[row["stage"]] = unmade.get(row["stage"], 0) + row["missing"]
    return unmade


def untold(stage: str, path: Path, missing: int, row_without: Mapping[str, str] = NO_ROW) -> Failure:
    """Of what is missing though nothing has failed: whatever has been overlooked, no such dataset is complete."""
    return Failure(stage, path, missing, "untold", 0, UNTOLD, row_without)
