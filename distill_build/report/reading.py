"""The one pass over a dataset's rows, from which most of its page is made: counts, drops, pairs, columns, families.

Rows leave memory with their tag; what stays grows with the tree, and with what is drawn.
"""

from collections import Counter
from collections.abc import Collection, Iterator

import msgspec

from distill_build.dataset.layout import Dataset
from distill_build.dataset.rows import content_of, list_text, read_objects
from distill_build.dataset.unit import DROPPED_BEFORE, Row, Verdict
from distill_build.graph import Graph, Shape
from distill_build.records import RENAMED_FROM, JsonObject
from distill_build.report.columns import ColumnCounts
from distill_build.report.data import (
    NOTHING_BELOW,
    TOPIC,
    Below,
    Dropped,
    Measure,
    PairShown,
    PairsShown,
    Quoted,
    RowState,
    TagFigures,
)
from distill_build.report.drawing import Drawing
from distill_build.report.families import Teller, families_of
from distill_build.review import REVIEW
from distill_build.stages.flags import FLAGS
from distill_build.stages.made_units import made_units
from distill_build.stages.measures.ratings import SCORE
from distill_build.stages.training.rows import exported_stage, goes_on

MOST_PAIRS = 200
FINISH = "finish_reason"


class Gathered(msgspec.Struct):
    """What one pass brings. `tree` are the tags in its order, `topic` what hangs on none.

    `rows` are by stage, `judged` and `dropped_rows` by transform, and `dropped` by transform and reason, of which a row
    may have several. `exported` rows go into the training files.
    """

    tree: list[TagFigures] = msgspec.field(default_factory=list)
    topic: Below = NOTHING_BELOW
    rows: Counter[str] = msgspec.field(default_factory=Counter)
    judged: Counter[str] = msgspec.field(default_factory=Counter)
    dropped_rows: Counter[str] = msgspec.field(default_factory=Counter)
    dropped: Counter[tuple[str, str]] = msgspec.field(default_factory=Counter)
    flags: Counter[str] = msgspec.field(default_factory=Counter)
    reviews: Counter[str] = msgspec.field(default_factory=Counter)
    columns: ColumnCounts = msgspec.field(default_factory=ColumnCounts)
    exported: int = 0

    def reasons(self) -> list[Dropped]:
        """Why rows were dropped, by transform, what came most often first."""
        return [Dropped(stage, why, rows) for (stage, why), rows in self.dropped.most_common()]


class Reading:
    """A pass over `dataset`, whose stages are `graph`. `missing` are rows that are not there, by the path of their tag.

    Raises StorageError for files that cannot be read or do not fit each other.
    """

    def __init__(self, dataset: Dataset, graph: Graph, missing: Counter[tuple[str, ...]], drawing: Drawing) -> None:
        self._dataset = dataset
        self._reached = [shape for shape in graph if shape is graph.tree or dataset.artefact(shape.file).exists()]
        self._graph = graph
        self._recipe = dataset.recipe()
        self._exported = exported_stage(graph, self._recipe)
        self.measure = measure_of(dataset, graph)
        self._missing = missing
        self._drawing = drawing
        self._teller = Teller(graph, self.measure)
        self._places: dict[str, int] = {}
        self._pairs: list[tuple[str, Row, Verdict, str]] = []
        self._pairs_seen = 0
        self.found = Gathered()

    @property
    def reached(self) -> set[str]:
        """The stages that have an artefact."""
        return {shape.name for shape in self._reached}

    def run(self) -> Gathered:
        """Reads all rows."""
        graph = Graph(tuple(self._reached))
        for tag, rows in made_units(self._dataset.artefact, graph, self._recipe, frozenset(self.reached)):
            self._take(tag, rows)
        return self.found

    def pairs(self) -> PairsShown:
        """The pairs that transforms name, with what both say."""
        texts = self._quoted({other for *_, other in self._pairs})
        shown = [
            PairShown(stage, said.kept, said.why, self._quote(row), texts[other], said.columns)
            for stage, row, said, other in self._pairs
            if other in texts
        ]
        return PairsShown(shown, self._pairs_seen)

    def _take(self, tag: Row, rows: list[Row]) -> None:
        if tag.is_topic:
            place, self.found.topic = TOPIC, self._below(tag, rows)
        else:
            place = self._places[tag.id] = len(self.found.tree)
            self._count(tag)
            self.found.tree.append(self._figures(tag, rows))
        for row in rows:
            self._count(row)
        for family in families_of(rows, tag):
            if self._drawing.wants(family[0].id):
                self._drawing.add(family[0].id, *self._teller.family(place, family))

    def _figures(self, tag: Row, rows: list[Row]) -> TagFigures:
        line = tag.line
        return TagFigures(
            id=tag.id,
            label=line["label"],
            number=line["number"],
            parent=self._places.get(line.get("parent") or "", TOPIC),
            leaf=line["leaf"],
            flags=tuple(line.get(FLAGS) or ()),
            below=self._below(tag, rows),
            missing=self._missing[tuple(line["path"])],
            state=self._teller.state(tag),
            renamed_from=line.get(RENAMED_FROM),
        )

    def _below(self, tag: Row, rows: list[Row]) -> Below:
        numbers = Counter(row.stage for row in rows)
        for row in (tag, *rows):
            numbers.update(name for name, said in row.verdicts.items() if not said.kept and said != DROPPED_BEFORE)
        ratings = [value for row in rows if self._rates(row) and (value := self._teller.rated(row)) is not None]
        return Below([numbers[shape.name] for shape in self._graph], round(sum(ratings), 3), len(ratings))

    def _rates(self, row: Row) -> bool:
        return self.measure is not None and row.stage == self.measure.stage

    def _count(self, row: Row) -> None:
        found, line = self.found, row.line
        found.rows[row.stage] += 1
        state = self._teller.state(row)
        found.flags.update(line.get(FLAGS) or ())
        if (said := line.get(REVIEW)) is not None:
            found.reviews[said] += 1
        if self._exported is not None and row.stage == self._exported.name and state is RowState.IN:
            found.exported += goes_on(line, self._recipe)
        if self._graph[row.stage] is not self._graph.tree:
            found.columns.add(row.stage, self._content(row))
        for name, verdict in row.verdicts.items():
            if verdict != DROPPED_BEFORE:
                self._count_verdict(name, row, verdict)

    def _content(self, row: Row) -> JsonObject:
        """What a row says, by column; of a list its text under the name of one row."""
        shape, line = self._graph[row.stage], row.line
        content = content_of(line)
        if shape.kind == "list":
            content = {shape.singular: list_text(line)} | content
        return content | ({FINISH: line[FINISH]} if FINISH in line else {})

    def _count_verdict(self, name: str, row: Row, verdict: Verdict) -> None:
        found = self.found
        found.judged[name] += 1
        if not verdict.kept:
            found.dropped_rows[name] += 1
            for why in verdict.why or ("—",):
                found.dropped[name, why] += 1
        others = [value for value in verdict.columns.values() if isinstance(value, str) and self._is_id(value)]
        found.columns.add(name, {key: value for key, value in verdict.columns.items() if value not in others})
        self._pairs_seen += len(others)
        if others and len(self._pairs) < MOST_PAIRS:
            self._pairs += [(name, row, verdict, other) for other in others]

    def _is_id(self, text: str) -> bool:
        return "_" in text and " " not in text and self._graph.of_id(text) is not None

    def _quoted(self, ids: Collection[str]) -> dict[str, Quoted]:
        """The rows with these ids, which may lie anywhere in the tree."""
        found: dict[str, Quoted] = {}
        for shape in {each for key in ids if (each := self._graph.of_id(key)) is not None}:
            for line in read_objects(self._dataset.artefact(shape.file), "id", "path"):
                if line["id"] in ids:
                    found[line["id"]] = _quote_line(shape, line)
        return found

    def _quote(self, row: Row) -> Quoted:
        return _quote_line(self._graph[row.stage], row.line)


def measure_of(dataset: Dataset, graph: Graph) -> Measure | None:
    """The column that rows are rated by: a judge's score, else the first number that a model was asked for."""
    found = list(_numbers(dataset, graph))
    return next((each for each in found if each.column == SCORE.column), found[0] if found else None)


def _numbers(dataset: Dataset, graph: Graph) -> Iterator[Measure]:
    for shape in graph:
        first = next(read_objects(dataset.artefact(shape.file), "id"), {}) if shape.kind == "map" else {}
        for name, value in content_of(first).items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                yield Measure(shape.name, name)


def _quote_line(shape: Shape, line: JsonObject) -> Quoted:
    if shape.kind == "list":
        text = list_text(line)
    else:
        text = "\n\n".join(value for value in content_of(line).values() if isinstance(value, str))
    return Quoted(line["id"], tuple(line["path"]), text)
