"""A family: a row that hangs on a tag, with all that hangs on it and what transforms say of each. As the page has it.

Its facts are what lists and filters go by, a short list for each row; the whole rows are read when one is opened. Pure.
"""

from collections.abc import Iterator

import msgspec

from distill_build.dataset.rows import content_of, list_text
from distill_build.dataset.unit import DROPPED_BEFORE, Row, Sight, View
from distill_build.graph import END, Graph
from distill_build.records import JsonObject
from distill_build.report.data import Measure, RowState
from distill_build.review import REVIEW
from distill_build.stages.flags import FLAGS

TITLE = 200
"""Characters of a row's text that lists show."""
TOLD_OF = ("sample", "index", "role", "model", "finish_reason", "usage", "call", FLAGS, REVIEW)
"""Columns beside its content that the page shows of a row."""
STATES = {Sight.SEEN: RowState.IN, Sight.DROPPED: RowState.OUT, Sight.UNDECIDED: RowState.OPEN}


class RowFacts(msgspec.Struct, array_like=True, frozen=True):
    """What lists and filters know of a row. `stage` and `by`, the transform that dropped it, are places in the list of
    stages, `above` that of a row in the family; -1 for none."""

    stage: int
    above: int
    id: str
    title: str
    state: RowState
    by: int
    rating: float | None
    flags: list[str]
    review: str | None


class WholeRow(msgspec.Struct, array_like=True, frozen=True):
    """A row as it is opened: what it says, what else is told of it, and the verdicts on it by transform."""

    content: JsonObject
    told: JsonObject
    verdicts: dict[str, JsonObject]


class Teller:
    """Says of the rows of one dataset what the page has of them."""

    def __init__(self, graph: Graph, measure: Measure | None) -> None:
        self._graph = graph
        self._places = {name: place for place, name in enumerate(graph.names)}
        self._view = View(graph)
        self._measure = measure

    def state(self, row: Row) -> RowState:
        """What became of a row in the end."""
        return RowState.REJECTED if row.rejected else STATES[self._view.sight(row, END)]

    def rating(self, row: Row) -> float | None:
        """What the page's measure says of a row, or on the average of those below it."""
        values = [value for each in self._measured(row) if (value := self.rated(each)) is not None]
        return round(sum(values) / len(values), 3) if values else None

    def rated(self, row: Row) -> float | None:
        """What a row of the measure's stage says by itself."""
        value = row.line.get(self._measure.column) if self._measure is not None else None
        return value if isinstance(value, int | float) and not isinstance(value, bool) else None

    def family(self, tag: int, rows: list[Row]) -> tuple[bytes, bytes]:
        """The facts and the whole of a family, of which `rows` are all, the first of them on top; `tag` is a place in
        the page's list of tags."""
        places = {row.id: place for place, row in enumerate(rows)}
        facts = [self._facts(row, -1 if row.above is None else places.get(row.above.id, -1)) for row in rows]
        return msgspec.json.encode([tag, facts]), msgspec.json.encode([self._whole(row) for row in rows])

    def _facts(self, row: Row, above: int) -> RowFacts:
        state = self.state(row)
        return RowFacts(
            stage=self._places[row.stage],
            above=above,
            id=row.id,
            title=list_text(row.line)[:TITLE] if self._graph[row.stage].kind == "list" else "",
            state=state,
            by=self._places.get(next(droppers(row), ""), -1) if state is RowState.OUT else -1,
            rating=self.rating(row),
            flags=row.line.get(FLAGS) or [],
            review=row.line.get(REVIEW),
        )

    def _whole(self, row: Row) -> WholeRow:
        line, kind = row.line, self._graph[row.stage].kind
        content = content_of(line)
        if kind == "list":
            content = {self._graph[row.stage].singular: list_text(line)} | content
        told = {name: line[name] for name in TOLD_OF if line.get(name) not in (None, [])}
        verdicts = {name: said.line(row.id) for name, said in row.verdicts.items() if said != DROPPED_BEFORE}
        return WholeRow(content, told, verdicts)

    def _measured(self, row: Row) -> Iterator[Row]:
        """The rows of the measure's stage that are this one, or below it."""
        if self._measure is None:
            return
        if row.stage == self._measure.stage:
            yield row
        for below in row.below.values():
            for each in below:
                yield from self._measured(each)


def families_of(rows: list[Row], tag: Row) -> Iterator[list[Row]]:
    """The rows of a tag in families: each that hangs on the tag itself, with all below it."""
    for row in rows:
        if row.above is tag:
            yield list(_all_below(row))


def _all_below(row: Row) -> Iterator[Row]:
    yield row
    for below in row.below.values():
        for each in below:
            yield from _all_below(each)


def droppers(row: Row) -> Iterator[str]:
    """The transforms behind a row's being out: those that dropped it, then what it hangs on, then any below."""
    here: Row | None = row
    while here is not None:
        yield from (name for name, said in here.verdicts.items() if not said.kept and said != DROPPED_BEFORE)
        here = here.above
    for each in list(_all_below(row))[1:]:
        yield from (name for name, said in each.verdicts.items() if not said.kept and said != DROPPED_BEFORE)
