"""Tokens and cost by stage and model, of all requests that a dataset was made from.

A call that several rows were read from counts once, and what was asked in vain before it counts with it, whoever built
it and whenever. The cache knows, where it is known which those are; else rows say what their own responses took.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

import msgspec

from distill_build.calls.attempt import cost_of
from distill_build.dataset.layout import Dataset
from distill_build.dataset.rows import read_rows
from distill_build.engine.entry import Entry
from distill_build.engine.reading import ReadOnlyStore, holds_database
from distill_build.graph import Graph
from distill_build.records import Usage
from distill_build.report.data import SpendingShown, SpentOnStage

IN_ROWS = "?"
"""In place of a model that a row does not name."""


class _Asked(msgspec.Struct):
    """Of one stage and model, at work."""

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    usd: float | None = 0.0

    def add(self, prompt_tokens: int, completion_tokens: int, usd: float | None) -> None:
        self.calls += 1
        self.prompt_tokens += prompt_tokens
        self.completion_tokens += completion_tokens
        self.usd = None if self.usd is None or usd is None else self.usd + usd


class _Used(msgspec.Struct, frozen=True, gc=False):
    """What a row of a map says of its own response."""

    call: str = ""
    model: str | None = None
    usage: Usage | None = None


_Sums = defaultdict[tuple[str, str], _Asked]


def spending_of(dataset: Dataset, graph: Graph, cache: Path | None) -> SpendingShown:
    """What the dataset's requests took. Raises StorageError for rows or a cache that cannot be read."""
    known = cache is not None and holds_database(cache) and dataset.tells_responses()
    found = _in_cache(dataset, cache) if cache is not None and known else None
    sums = _in_rows(dataset, graph) if found is None else found
    order = {name: place for place, name in enumerate(graph.names)}
    by = [
        SpentOnStage(stage, model, each.calls, each.prompt_tokens, each.completion_tokens, each.usd)
        for (stage, model), each in sorted(sums.items(), key=lambda item: order.get(item[0][0], len(order)))
    ]
    return SpendingShown(by, found is not None)


def _in_cache(dataset: Dataset, cache: Path) -> _Sums | None:
    """By the responses behind the rows; None where one of them is not, or no longer, there."""
    sums = _Sums(_Asked)
    with closing(ReadOnlyStore(cache)) as store:
        for stage, key, response in _calls(dataset):
            entry = store.sound(key)
            place = None if entry is None else _place(entry, response)
            if entry is None or place is None:
                return None
            cost = cost_of(entry, place)
            model = str(entry.manifest["body"].get("model", IN_ROWS))
            sums[stage, model].add(cost.prompt_tokens, cost.completion_tokens, cost.usd)
    return sums


def _calls(dataset: Dataset) -> Iterator[tuple[str, str, str]]:
    """Stage, key and digest of the response, each once."""
    seen = set[bytes]()
    for row in dataset.sources():
        for stage, sources in row.calls.items():
            for key, response in sources:
                mark = bytes.fromhex(key)
                if mark not in seen:
                    seen.add(mark)
                    yield stage, key, response


def _place(entry: Entry, response: str) -> int | None:
    return next((place for place, attempt in enumerate(entry.attempts) if attempt.digest == response), None)


def _in_rows(dataset: Dataset, graph: Graph) -> _Sums:
    """By the usage that rows of maps have; lists have none, and what was asked in vain stands nowhere."""
    sums = _Sums(_Asked)
    for shape in graph:
        if shape.kind == "map":
            for row in _once(read_rows(dataset.artefact(shape.file), _Used)):
                usage = row.usage or Usage()
                sums[shape.name, row.model or IN_ROWS].add(usage.prompt_tokens, usage.completion_tokens, None)
    return sums


def _once(rows: Iterable[_Used]) -> Iterator[_Used]:
    seen = set[str]()
    for row in rows:
        if row.call and row.call not in seen:
            seen.add(row.call)
            yield row
