"""The tree while it grows, and what hangs on each tag of it while stages are at work."""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from sys import getsizeof
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import msgspec

from distill_build.dataset.outcome import Outcome, Rows
from distill_build.dataset.unit import Place, Row, Verdict
from distill_build.graph import Shape
from distill_build.records import RENAMED_FROM, Failure, JsonObject, Path, Source, row_id
from distill_build.subtree import NOTHING_SAID, Subtree, TagByHand

if TYPE_CHECKING:  # it knows what makes two items the same, which a build with nothing to do need not load
    from distill_build.stages.chain import Chain
    from distill_build.stages.kinds.list_stage import ListStage
    from distill_build.stages.kinds.map_stage import MapStage


BYTES_OF_A_ROW, BYTES_OF_A_REFERENCE = 700, 8
"""What a row takes in memory, its texts and lists aside, and what each value in a list does."""


class Node(msgspec.Struct, eq=False):
    """A tag, or the topic itself (`place` is empty). `place` holds the index among the siblings at each level, where
    those by hand come first; `above` is what it is a child of, `flags` the flags that the tag has.

    `path` has the labels that requests and ids go by, and `shown` those that people see: a person may rename tags.
    `listed` is its index in the list that a model gave of its parent's children; None of one by hand alone. `filled`
    counts the children that were taken from its own list.
    """

    path: Path
    place: tuple[int, ...]
    id: str
    subtree: Subtree
    shown: Path
    listed: int | None = None
    filled: int = 0
    children: "list[Node]" = msgspec.field(default_factory=list)
    chain: "Chain | None" = None
    failure: Failure | None = None
    unit: "Unit | None" = None
    flags: tuple[str, ...] = ()
    above: "Node | None" = None
    _held: dict[str, str] | None = None

    @property
    def level(self) -> int:
        return len(self.place)

    @property
    def leaf(self) -> bool:
        return self.subtree.leaf

    @property
    def at(self) -> Place:
        """Where what hangs on it lies."""
        return Place(self.path, self.id, self.subtree.description, self.shown, self.subtree.answer)

    def child(self, label: str, prefix: str, index: int, listed: int | None, subtree: Subtree) -> "Node":
        """A new tag below this one; `prefix` begins its id."""
        path, shown = (*self.path, label), (*self.shown, self.label_shown(label))
        child = Node(
            path=path,
            place=(*self.place, index),
            id=row_id(prefix, self.id, label),
            subtree=subtree,
            shown=path if shown == path else shown,
            listed=listed,
            above=self,
        )
        self.children.append(child)
        return child

    def label_shown(self, label: str) -> str:
        """What a child is called for people."""
        own = self.subtree.own
        if not own.rename:
            return label
        from distill_build.stages.chain import same

        return own.shown(label, same)

    def said_of_listed(self, label: str) -> TagByHand:
        """What a person says of a child that its list has, which is not by hand."""
        about = self.subtree.own.about
        if not about:
            return NOTHING_SAID
        from distill_build.stages.chain import same

        return next((own for each, own in about.items() if same(label, each)), NOTHING_SAID)

    def held(self, label: str) -> str | None:
        """The label, as a person typed it, under which they have items of their own at a child."""
        if not self.subtree.own.holders:
            return None
        from distill_build.stages.chain import item_key

        if self._held is None:
            self._held = {item_key(each): each for each in self.subtree.own.holders}
        return self._held.get(item_key(label))

    def holder(self, label: str) -> TagByHand | None:
        """What a person has of their own at a child."""
        held = self.held(label)
        return None if held is None else self.subtree.own.holders[held]

    def has_own(self, stage: str, text: str) -> bool:
        """Whether an item of a list is one of a person's own there."""
        items = self.subtree.own.items.get(stage, ())
        if not items:
            return False
        from distill_build.stages.chain import same

        return any(same(text, item.text) for item in items)

    def given_with(self, row: Row, stage: "MapStage") -> Mapping[str, str] | None:
        """What a person gave with an item of their own in the place of results; None where they did not."""
        items = self.subtree.own.items.get(row.stage, ())
        if not stage.takes_given or not items or row.place[-1] >= 0:
            return None
        return items[row.place[-1]].given or None

    def earlier(self) -> list[list[str]]:
        """The labels that stand before it in the list of its parent, and so on for each tag above it, level 1 first.

        They stay what they are however the lists grow: what is there keeps its place, and more comes behind. Those
        before a tag on a model's list are the model's own, also where they are excluded: so what a person adds, renames
        or throws out asks for nothing beside it. Before a tag that is by hand alone stand others by hand.
        """
        if self.above is None:
            return []
        if self.listed is None or self.above.chain is None:
            before = list(self.above.subtree.own.children)[: self.place[-1]]
        else:
            before = self.above.chain.items[: self.listed]
        return [*self.above.earlier(), before]

    @property
    def lacking(self) -> int:
        """Children that its list has not brought yet."""
        return self.subtree.filled - self.filled

    def line(self) -> JsonObject:
        """Its row, as stages see it."""
        above = self.above
        return {
            "id": self.id,
            "path": list(self.path),
            "number": ".".join(str(index + 1) for index in self.place),
            "label": self.path[-1],
            "parent": above.id if above is not None and above.level else None,
            "level": self.level,
            "leaf": self.leaf,
            "flags": list(self.flags),
        }

    def shown_line(self) -> JsonObject:
        """Its row as the tree's artefact has it."""
        label, shown = self.path[-1], self.shown[-1]
        told = {"path": list(self.shown), "label": shown, RENAMED_FROM: None if shown == label else label}
        return self.line() | told


def topic_node(topic: str, subtree: Subtree) -> Node:
    """The root. It has no row and no id of its own; level 1 takes the topic's text in the place of one."""
    return Node((topic,), (), topic, subtree, (topic,))


def units_of(root: Node) -> Iterator["Unit"]:
    """The units of a tree in its order, that of the topic first."""
    yield from (node.unit for node in (root, *(node for node, _ in walk(root))) if node.unit is not None)


def walk(node: Node) -> Iterator[tuple[Node, Node]]:
    """(tag, what is above it) of all tags below `node` in tree order, parents first."""
    for child in node.children:
        yield child, node
        yield from walk(child)


class Goals(msgspec.Struct, frozen=True):
    """How many items a list is to have besides those that are made up for otherwise: those that are declared, and in
    each round as many more as were dropped."""

    each: tuple[int, ...]

    @property
    def rounds(self) -> int:
        """How often it went on."""
        return len(self.each) - 1

    @property
    def last(self) -> int:
        return self.each[-1]

    def lost(self, dropped: int) -> int:
        """For how many of its items that were dropped it has not gone on."""
        return max(0, dropped - self.last + self.each[0])

    def going_on(self, more: int) -> "Goals":
        """Those of a list that goes on for so many items."""
        return Goals((*self.each, self.last + more))

    def round_of(self, index: int) -> int:
        """The round that an item came in; a person's own, which come first, have indices below zero."""
        return bisect_right(self.each, index)


class Work(msgspec.Struct):
    """What a unit has in memory of the segment that it works through.

    `rows` are by stage, `chains` are lists that grow, by stage; `sources` the calls behind results, by stage and place;
    `failures` are by place in the order of stages. `requests`, `spared`, `dropped` and `rows_dropped` are as an
    `Outcome` has them. `bytes_held` is what the rows take in memory.
    """

    rows: dict[str, list[Row]] = msgspec.field(default_factory=dict)
    chains: "dict[str, Chain]" = msgspec.field(default_factory=dict)
    sources: dict[str, dict[tuple[int, ...], Source]] = msgspec.field(default_factory=dict)
    failures: dict[tuple[int, ...], Failure] = msgspec.field(default_factory=dict)
    requests: Counter[str] = msgspec.field(default_factory=Counter)
    spared: Counter[str] = msgspec.field(default_factory=Counter)
    dropped: dict[str, Counter[str]] = msgspec.field(default_factory=dict)
    rows_dropped: Counter[str] = msgspec.field(default_factory=Counter)
    incomplete: bool = False
    bytes_held: int = 0


class Measures(msgspec.Struct):
    """What the transform behind a segment goes by of one unit.

    `rows` are the id and the measure of every row that it judges, and `places` their places. `passed_over` counts the
    rows that it need not judge, `made_up_for` are the numbers, in order, of those that others came for since a person
    rejected them, and `undecided` says that it cannot judge one.
    """

    rows: list[tuple[str, Any]] = msgspec.field(default_factory=list)
    places: list[tuple[int, ...]] = msgspec.field(default_factory=list)
    passed_over: int = 0
    made_up_for: list[int] = msgspec.field(default_factory=list)
    undecided: bool = False


class Judgement(msgspec.Struct, frozen=True):
    """What a transform over all units has said of the rows of one: `lines` of its artefact, and the `verdicts` by row,
    where it is not just that the row is kept."""

    lines: Rows
    verdicts: Mapping[str, Verdict]


NONE_YET: Mapping[Any, Any] = MappingProxyType({})


class Unit(msgspec.Struct):
    """A tag at work in one segment: what hangs on it, and what is still out. There are very many: one that waits for
    others holds no container that is empty.

    `tag` is the tag's own row. `measures` is None until its rows are measured for the transform behind the segment;
    `judged` is what such transforms have said. `outcomes` are those of the segments that have ended.
    `goals` are those of lists that went on for items that were dropped; `short` are, by the number of a segment, its
    failures with what its list stays short of: what the barrier said is no part of the outcome, whose memo knows
    nothing of it.
    """

    node: Node
    tag: Row
    leaf: bool
    segment: int = 0
    phase: int = 0
    pending: int = 0
    measures: Measures | None = None
    judged: Mapping[str, Judgement] = NONE_YET
    outcomes: tuple[Outcome, ...] = ()
    goals: Mapping[str, Goals] = NONE_YET
    short: Mapping[int, tuple[JsonObject, ...]] = NONE_YET
    _work: Work | None = None

    @property
    def work(self) -> Work:
        """What it has in memory; nothing at first."""
        if self._work is None:
            self._work = Work()
        return self._work

    @property
    def place(self) -> Place:
        """Where its rows lie."""
        return self.node.at

    def shown(self, line: JsonObject) -> JsonObject:
        """A row as its artefact has it: with the labels that people see."""
        return line if self.node.shown == self.node.path else _with_path(line, self.node.shown)

    def asked(self, line: JsonObject) -> JsonObject:
        """A line of an artefact as stages see it: with the labels that requests go by."""
        return line if self.node.shown == self.node.path else _with_path(line, self.node.path)

    def add(self, row: Row) -> int:
        """Takes a row in; returns how many bytes of memory that takes."""
        self.work.rows.setdefault(row.stage, []).append(row)
        held = BYTES_OF_A_ROW + _bytes_within(row.line)
        self.work.bytes_held += held
        return held

    def sorted(self, stage: str) -> list[Row]:
        """The rows of a stage in their order."""
        return sorted(self.work.rows.get(stage, ()), key=lambda row: row.place)

    def sorted_sources(self, stage: str) -> list[Source]:
        """The calls behind the rows of a stage: of a list in the order of the requests, else in that of the rows."""
        if (chain := self.work.chains.get(stage)) is not None:
            return chain.sources
        own = self.work.sources.get(stage, {})
        return [own[place] for place in sorted(own)]

    def failure_rows(self) -> Iterator[JsonObject]:
        """What could not be made, in the order of segments."""
        for number, outcome in enumerate(self.outcomes):
            yield from self.short.get(number, outcome.failures)

    def lacking(self, stages: Iterable[str]) -> dict[str, frozenset[str]]:
        """The rows in memory that lack something of these stages, by id, and of which."""
        rows = (self.tag, *(row for rows in self.work.rows.values() for row in rows))
        return {row.id: lacking for row in rows if (lacking := row.lacking.intersection(stages))}

    def lacks(self, row: Row, shape: Shape) -> bool:
        """Whether a segment that has ended could not make of a row all that there is to be of a stage."""
        return any(shape.name in outcome.lacking.get(row.id, ()) for outcome in self.outcomes)

    def wanted(self, stage: "ListStage") -> int:
        """Items of a model's that a list is to have in the end, dropped ones aside."""
        return stage.wanted_below(self.node.subtree, self.node.level) if self.leaf else 0

    def goals_of(self, stage: "ListStage") -> Goals:
        """The goals of a list."""
        return self.goals.get(stage.name) or Goals((self.wanted(stage),))

    def dropped_of_list(self, verdicts: Mapping[str, Verdict]) -> int:
        """How many items of a model's were dropped: for a person's own, which come first, none is to come."""
        measures = self.measured
        own = {key for place, (key, _) in zip(measures.places, measures.rows, strict=True) if place[:1] < (0,)}
        return sum(not verdict.kept and key not in own for key, verdict in verdicts.items())

    @property
    def measured(self) -> Measures:
        """What its rows are judged by."""
        assert self.measures is not None, "who waits at a barrier is measured"  # noqa: S101
        return self.measures

    def rank(self, refilled: str | None, place: tuple[int, ...]) -> tuple[int, ...]:
        """What the rows of all units are judged in the order of: of the list `refilled` those of each round stand
        behind all before, so that what was kept stays, and a list that has all is never short again."""
        goals = self.goals.get(refilled or "")
        if goals is None or not place:
            return (0, *place)
        return (goals.round_of(place[0] - bisect_left(self.measured.made_up_for, place[0])), *place)

    def leave(self) -> int:
        """Lets go of what a segment had in memory; returns how many bytes that were."""
        work, self._work = self.work, None
        for rows in work.rows.values():
            for row in rows:  # a row and those below it name each other, and the garbage collector comes late
                row.below.clear()
        self.tag.below.clear()
        self.tag.lacking = frozenset()
        return work.bytes_held


def _bytes_within(value: JsonObject | list[Any]) -> int:
    """Bytes that the texts and containers in a value of JSON take; numbers are as good as nothing beside these."""
    held = 0
    for part in value.values() if isinstance(value, dict) else value:
        if isinstance(part, str):
            held += getsizeof(part)
        elif isinstance(part, dict | list):
            held += _bytes_within(part)
    return held + BYTES_OF_A_REFERENCE * len(value)


def _with_path(line: JsonObject, path: Path) -> JsonObject:
    return {**line, "path": list(path)} if "path" in line else line
