"""The rows that hang on one tag, and which of them a stage sees. Pure.

A unit holds the tag's own row and all that lies below it: questions, their answers, what was made of these. A stage
sees the verdicts of the transforms that stand before it. A row is out of its sight where it was dropped, where what it
hangs on was, or where all judged rows below it were; and as long as a verdict is missing that could decide it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum

import msgspec

from distill_build.errors import StorageError
from distill_build.graph import Graph, Shape
from distill_build.records import JsonObject, Path, above_of
from distill_build.review import REJECT, REVIEW
from distill_build.subtree import AnswerByHand

AGAIN = "build the dataset again, which brings all rows back from the cache"
"""The way out where artefacts do not fit each other."""


class Sight(Enum):
    """How a stage sees a row."""

    SEEN = "seen"
    DROPPED = "dropped"
    UNDECIDED = "undecided"


class Place(msgspec.Struct, frozen=True):
    """Where a row lies: the tag's path, topic first, and its id. `description` is what a person says of that place, and
    `shown` the path with the labels that people gave its tags; nothing where it is the same. `answer` is what they
    have answers held to there."""

    path: Path
    tag: str
    description: str | None = None
    shown: Path = ()
    answer: AnswerByHand | None = None

    @property
    def of_tag(self) -> str | None:
        """The id of the tag; None where it is the topic."""
        return self.tag if len(self.path) > 1 else None

    @property
    def seen(self) -> Path:
        """The path that people see."""
        return self.shown or self.path


class Verdict(msgspec.Struct, frozen=True):
    """What a transform says of a row; `why` it is not kept, and columns of its own."""

    kept: bool
    why: tuple[str, ...] = ()
    columns: JsonObject = msgspec.field(default_factory=dict)

    def line(self, judged: str) -> JsonObject:
        """The line of the transform's artefact; `judged` is the row's id."""
        return {"id": judged, "kept": self.kept, "why": list(self.why), **self.columns}


KEPT = Verdict(kept=True)
USUAL_KEYS = ("id", "kept", "why")
"""Those of the line of a verdict without columns of its own."""
DROPPED_BEFORE = Verdict(kept=False)
"""Of a row that a transform did not judge, since one before it had dropped the row."""


class Row(msgspec.Struct, eq=False):
    """A row at work. `line` is that of its artefact, `place` orders the rows of a stage within their unit.

    `above` is the row that it hangs on, `below` are the rows that hang on it, by stage, in order. `verdicts` are by
    transform, `lacking` the stages that could not make all their results for it.
    """

    stage: str
    line: JsonObject
    place: tuple[int, ...]
    above: "Row | None" = None
    below: "dict[str, list[Row]]" = msgspec.field(default_factory=dict)
    verdicts: dict[str, Verdict] = msgspec.field(default_factory=dict)
    lacking: frozenset[str] = frozenset()

    @property
    def id(self) -> str:
        key: str = self.line["id"]
        return key

    @property
    def unwanted(self) -> bool:
        """Whether a person does not want this very row."""
        verdict: str | None = self.line.get(REVIEW)
        return verdict == REJECT

    @property
    def rejected(self) -> bool:
        """Whether a person does not want it, or what it hangs on."""
        row: Row | None = self
        while row is not None:
            if row.line.get(REVIEW) == REJECT:
                return True
            row = row.above
        return False

    @property
    def is_topic(self) -> bool:
        """Whether it stands for the topic, which is no row."""
        return self.above is None and self.line.get("level") == 0

    def hang(self, below: "Row") -> None:
        """Takes a row below itself, in its place among the others."""
        siblings = self.below.setdefault(below.stage, [])
        siblings.append(below)
        if len(siblings) > 1 and siblings[-2].place > below.place:
            siblings.sort(key=lambda row: row.place)

    def at(self, stage: str) -> "Row":
        """Itself or the row above that is of `stage`."""
        row = self
        while row.stage != stage:
            assert row.above is not None, f"{stage} does not lie above {self.stage}"  # noqa: S101
            row = row.above
        return row


class _AllKept(dict[str, Verdict]):
    """Verdicts on what nobody judges."""

    def get(self, _: str, default: object = None) -> Verdict:  # noqa: ARG002 - there is one
        return KEPT


def topic_row(tree: str, topic: str) -> Row:
    """What stands for the topic where rows hang on it: in the stage `tree` it has no row, and nobody judges it."""
    line = {"id": topic, "path": [topic], "label": topic, "parent": None, "level": 0, "leaf": False, "flags": []}
    return Row(tree, line, (), verdicts=_AllKept())


class _Check(msgspec.Struct, frozen=True):
    """A transform that a row's sight depends on: its verdict on the row at `common`, or on those `below` that one."""

    transform: str
    common: str
    below: tuple[str, ...]


class View:
    """What a stage sees of the rows of others."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._checks: dict[tuple[str, str], tuple[_Check, ...]] = {}

    def sight(self, row: Row, stage: str) -> Sight:
        """How `stage` sees a row; END for all transforms there are."""
        if row.rejected:
            return Sight.DROPPED
        checks = self._checks.get((row.stage, stage))
        if checks is None:
            checks = self._checks[row.stage, stage] = tuple(self._checks_of(row.stage, stage))
        sight = Sight.SEEN
        for check in checks:
            seen = self._seen_by(check, row.at(check.common))
            if seen is Sight.DROPPED:  # whatever others would say
                return seen
            if seen is Sight.UNDECIDED:
                sight = seen
        return sight

    def others(self, row: Row, names: Iterable[str], stage: str) -> JsonObject | None:
        """The rows that `stage` can name beside `row`: a line for a stage above, a list of lines for any other.

        None where one of them is not decided, or is missing.
        """
        found: JsonObject = {}
        for name in names:
            line = self._other(row, name, stage)
            if line is None:
                return None
            found[name] = line
        return found

    def _other(self, row: Row, name: str, stage: str) -> JsonObject | list[JsonObject] | None:
        shape = self._graph[name]
        if shape.kind == "transform":
            return self._verdicts(row, name)
        common, below = self.way(row.stage, name)
        top = row.at(common)
        if not below:
            return top.line
        rows = self._decided(top, below, stage)
        return None if rows is None else [each.line for each in rows]

    def _verdicts(self, row: Row, transform: str) -> JsonObject | list[JsonObject] | None:
        after = self._graph[transform].after
        assert after is not None, "a transform judges the rows of a stage"  # noqa: S101
        common, below = self.way(row.stage, after)
        top = row.at(common)
        if not below:
            verdict = top.verdicts.get(transform)
            return None if verdict is None else verdict.line(top.id)
        rows = list(descendants(top, below))
        if any(transform not in each.verdicts for each in rows) or self._lacks(top, below, transform):
            return None
        said = [(each.id, each.verdicts[transform]) for each in rows]
        return [verdict.line(key) for key, verdict in said if verdict != DROPPED_BEFORE]

    def _decided(self, top: Row, below: tuple[str, ...], stage: str) -> list[Row] | None:
        if self._lacks(top, below, stage):
            return None
        seen = []
        for each in descendants(top, below):
            sight = self.sight(each, stage)
            if sight is Sight.UNDECIDED:
                return None
            if sight is Sight.SEEN:
                seen.append(each)
        return seen

    def _seen_by(self, check: _Check, row: Row) -> Sight:
        if not check.below:
            verdict = row.verdicts.get(check.transform)
            if verdict is None:
                return Sight.UNDECIDED
            return Sight.SEEN if verdict.kept else Sight.DROPPED
        judged = missing = False
        for each in descendants(row, check.below):
            verdict = each.verdicts.get(check.transform)
            if verdict is None:
                missing = True
            elif verdict.kept:
                return Sight.SEEN
            judged = True
        if missing or self._lacks(row, check.below, check.transform):
            return Sight.UNDECIDED
        return Sight.DROPPED if judged else Sight.SEEN

    def _lacks(self, row: Row, stages: tuple[str, ...], stage: str) -> bool:
        """Whether a result is missing on the way from `row` down `stages` that `stage` would see."""
        return lacks(row, stages, lambda below: self.sight(below, stage) is not Sight.DROPPED)

    def way(self, start: str, end: str) -> tuple[str, tuple[str, ...]]:
        """The deepest stage that lies above both, or is one of them, and the stages from there down to `end`."""
        above, lineage = self._graph.lineage(start), self._graph.lineage(end)
        shared = sum(1 for one, other in zip(above, lineage, strict=False) if one == other)
        return lineage[shared - 1], lineage[shared:]

    def _checks_of(self, stage: str, seer: str) -> Iterator[_Check]:
        for shape in self._graph:
            if shape.name == seer:
                return
            if shape.kind == "transform" and shape.after is not None:
                yield _Check(shape.name, *self.way(stage, shape.after))


def descendants(row: Row, stages: tuple[str, ...]) -> Iterator[Row]:
    """The rows of the last of `stages` below `row`, by way of the others, in order."""
    if not stages:
        yield row
        return
    for child in row.below.get(stages[0], ()):
        yield from descendants(child, stages[1:])


def lacks(row: Row, stages: tuple[str, ...], counts: Callable[[Row], bool]) -> bool:
    """Whether a result is missing anywhere on the way from `row` down `stages`, but below rows that do not count."""
    if not stages:
        return False
    if stages[0] in row.lacking:
        return True
    below = row.below.get(stages[0], ())
    return any(lacks(child, stages[1:], counts) and counts(child) for child in below)


def verdict_of(line: JsonObject) -> Verdict:
    """The verdict on a line of a transform's artefact."""
    if line["kept"] and len(line) == len(USUAL_KEYS) and not line["why"]:  # as most are
        return KEPT
    columns = {name: value for name, value in line.items() if name not in USUAL_KEYS}
    return Verdict(line["kept"], tuple(line["why"]), columns)


Lacks = Callable[[Row, Shape], bool]
"""Says of a row, with all that hangs on it of a stage, whether that stage could not make all that there is to be."""


def nothing_lacks(_row: Row, _shape: Shape) -> bool:
    """Of rows where all is there."""
    return False


def restored(
    tag: Row,
    graph: Graph,
    lines: Mapping[str, Iterable[JsonObject]],
    number: Callable[[str, JsonObject, int], int],
    lacks: Lacks,
) -> list[Row]:
    """The rows on `lines`, by stage, hung below `tag` with the verdicts on them, and with what they lack.

    `number` says which one a line is among those below the same row, given its stage and how many came before it.
    A stage has to come with the transforms before it. Raises StorageError for a line without the row that it hangs on.
    """
    by_id, rows, view = {tag.id: tag}, list[Row](), View(graph)
    for shape in graph:
        if shape.name not in lines or shape is graph.tree:
            continue
        if shape.kind == "transform":
            said = {line["id"]: verdict_of(line) for line in lines[shape.name]}
            for row in [row for row in (tag, *rows) if row.stage == shape.after]:
                if view.sight(row, shape.name) is Sight.DROPPED:
                    row.verdicts[shape.name] = DROPPED_BEFORE
                elif row.id in said:
                    row.verdicts[shape.name] = said[row.id]
            continue
        for line in lines[shape.name]:
            key = above_of(line) or line["path"][0]  # the topic's text stands for it
            above = by_id.get(key)
            if above is None:
                raise StorageError(
                    f"{shape.file} has a row {line['id']} that hangs on {key}, which "
                    f"{graph.rows_of(shape.parent or shape.name).file} does not have: {AGAIN}"
                )
            before = len(above.below.get(shape.name, ()))
            row = Row(shape.name, line, (*above.place, number(shape.name, line, before)), above)
            by_id[row.id] = row
            above.hang(row)
            rows.append(row)
        for above in [row for row in (tag, *rows) if row.stage == shape.parent and not row.is_topic]:
            if lacks(above, shape) and view.sight(above, shape.name) is not Sight.DROPPED:
                above.lacking |= {shape.name}
    return rows
