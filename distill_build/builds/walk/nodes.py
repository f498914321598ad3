"""The tree while it grows, and what hangs on each tag of it while stages are at work."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from distill_build.dataset.outcome import Outcome, Rows
from distill_build.dataset.unit import Place, Row, Verdict
from distill_build.records import Failure, JsonObject, Path, Source, row_id

if TYPE_CHECKING:  # it knows what makes two items the same, which a build with nothing to do need not load
    from distill_build.stages.chain import Chain


class Node(msgspec.Struct, eq=False):
    """A tag, or the topic itself (`place` is empty). `place` holds the index among the siblings at each level, `above`
    is what it is a child of, `flags` the flags that the tag has."""

    path: Path
    place: tuple[int, ...]
    id: str
    children: "list[Node]" = msgspec.field(default_factory=list)
    chain: "Chain | None" = None
    failure: Failure | None = None
    unit: "Unit | None" = None
    flags: tuple[str, ...] = ()
    above: "Node | None" = None

    @property
    def level(self) -> int:
        return len(self.place)

    def child(self, label: str, index: int, prefix: str) -> "Node":
        """A new tag below this one; `prefix` begins its id."""
        child = Node((*self.path, label), (*self.place, index), row_id(prefix, self.id, label), above=self)
        self.children.append(child)
        return child

    def earlier(self) -> list[list[str]]:
        """The labels that stand before it in the list of its parent, and so on for each tag above it, level 1 first.

        They stay what they are however the lists grow: what is there keeps its place, and more comes behind.
        """
        if self.above is None or self.above.chain is None:
            return []
        return [*self.above.earlier(), self.above.chain.items[: self.place[-1]]]

    def line(self, parent: str | None, *, leaf: bool) -> JsonObject:
        """The line of the tree's artefact; `parent` is the id of the tag above, None on level 1."""
        return {
            "id": self.id,
            "path": list(self.path),
            "number": ".".join(str(index + 1) for index in self.place),
            "label": self.path[-1],
            "parent": parent,
            "level": self.level,
            "leaf": leaf,
            "flags": list(self.flags),
        }


def topic_node(topic: str) -> Node:
    """The root. It has no row and no id of its own; level 1 takes the topic's text in the place of one."""
    return Node((topic,), (), topic)


def walk(node: Node) -> Iterator[tuple[Node, Node]]:
    """(tag, what is above it) of all tags below `node` in tree order, parents first."""
    for child in node.children:
        yield child, node
        yield from walk(child)


class Unit(msgspec.Struct):
    """A tag at work in one segment: the rows that hang on it, and what is still out.

    `tag` is the tag's own row. `rows` are those in memory by stage.
    `chains` are lists that grow, by stage; `sources` the calls behind results, by stage and place; `failures` are by
    place in the order of stages. `measures` is what the transform behind the segment goes by: id and measure of every
    row that it judges, by place, once they are `measured`; `verdicts` what such transforms have said, by transform
    and row, where it is not just that the row is kept; `passed_over` counts the rows that it need not judge, and
    `undecided` says that it cannot judge one. `outcomes` are those of the segments that have ended.
    `goals` are by list how many items there were to be in each round, where it goes on for items that were dropped.
    """

    node: Node
    tag: Row
    leaf: bool
    segment: int = 0
    phase: int = 0
    pending: int = 0
    rows: dict[str, list[Row]] = msgspec.field(default_factory=dict)
    chains: "dict[str, Chain]" = msgspec.field(default_factory=dict)
    sources: dict[str, dict[tuple[int, ...], Source]] = msgspec.field(default_factory=dict)
    failures: dict[tuple[int, ...], Failure] = msgspec.field(default_factory=dict)
    requests: Counter[str] = msgspec.field(default_factory=Counter)
    spared: Counter[str] = msgspec.field(default_factory=Counter)
    dropped: dict[str, Counter[str]] = msgspec.field(default_factory=dict)
    rows_dropped: Counter[str] = msgspec.field(default_factory=Counter)
    incomplete: bool = False
    measures: list[tuple[tuple[int, ...], str, Any]] = msgspec.field(default_factory=list)
    measured: bool = False
    passed_over: int = 0
    undecided: bool = False
    verdicts: dict[str, dict[str, Verdict]] = msgspec.field(default_factory=dict)
    judged: dict[str, Rows] = msgspec.field(default_factory=dict)
    outcomes: list[Outcome] = msgspec.field(default_factory=list)
    goals: dict[str, list[int]] = msgspec.field(default_factory=dict)

    @property
    def place(self) -> Place:
        """Where its rows lie."""
        return Place(self.node.path, self.node.id)

    def add(self, row: Row) -> None:
        """Takes a row in."""
        self.rows.setdefault(row.stage, []).append(row)

    def sorted(self, stage: str) -> list[Row]:
        """The rows of a stage in their order."""
        return sorted(self.rows.get(stage, ()), key=lambda row: row.place)

    def sorted_sources(self, stage: str) -> list[Source]:
        """The calls behind the rows of a stage: of a list in the order of the requests, else in that of the rows."""
        if (chain := self.chains.get(stage)) is not None:
            return chain.sources
        own = self.sources.get(stage, {})
        return [own[place] for place in sorted(own)]

    def goal(self, stage: str, wanted: int) -> int:
        """How many items a list is to have, `wanted` of which are not dropped in the end."""
        return self.goals.get(stage, (wanted,))[-1]

    def lost(self, stage: str, wanted: int, verdicts: Mapping[str, Verdict]) -> int:
        """How many items of a list were dropped that it has not gone on for."""
        dropped = sum(not verdict.kept for verdict in verdicts.values())
        return max(0, dropped - self.goal(stage, wanted) + wanted)

    def rank(self, refilled: str | None, place: tuple[int, ...]) -> tuple[int, ...]:
        """What the rows of all units are judged in the order of: of the list `refilled` those of each round stand
        behind all before, so that what was kept stays, and a list that has all is never short again."""
        return (bisect_right(self.goals.get(refilled or "", ()), place[0]) if place else 0, *place)

    def forget_measures(self) -> None:
        """Its rows are judged, or made once more."""
        self.measures, self.measured, self.passed_over, self.undecided = [], False, 0, False

    def leave(self) -> int:
        """Lets go of what a segment had in memory; returns how many rows that were."""
        held = sum(map(len, self.rows.values()))
        for rows in self.rows.values():
            for row in rows:  # a row and those below it name each other, and the garbage collector comes late
                row.below.clear()
        self.rows, self.chains, self.sources, self.failures = {}, {}, {}, {}
        self.requests, self.spared, self.dropped, self.rows_dropped = Counter(), Counter(), {}, Counter()
        self.tag.below.clear()
        self.tag.lacking.clear()
        self.incomplete = False
        return held
