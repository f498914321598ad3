"""Which stages a dataset has, and what each comes after. Pure: knows neither settings nor what is in a row.

Everything that is to be worked out of the order of stages is worked out here: what `--until` reaches, what lies above a
stage, whose row an id is. A state, a lock and a version's record hold a graph as plain text (`described`), so commands
that compose no configuration know it too.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Literal, get_args

import msgspec

from distill_build.errors import StorageError

Kind = Literal["list", "map", "transform", "group"]
"""`list` grows below each unit, request by request; `map` has results for each row of the stage above; `transform` says
of each row of the stage above whether it is kept; `group` has a row for each of an ancestor, made from those below."""
KINDS: tuple[Kind, ...] = get_args(Kind)
END = "dataset"
"""The `--until` that goes on to the exports."""
DESCRIPTION = re.compile(r"(?P<prefix>[\w-]+): (?P<kind>\w+)(?: of (?P<after>[\w-]+))?(?: by (?P<by>[\w-]+))?")


class Shape(msgspec.Struct, frozen=True):
    """One stage. `after` is the stage above, None for the topic; `by` the ancestor that a group has its rows for.

    `prefix` begins the ids of its rows; rows of a transform have the ids of those that it judges.
    """

    name: str
    kind: Kind
    after: str | None
    prefix: str
    by: str | None = None

    @property
    def file(self) -> str:
        """The artefact with its rows."""
        return f"{self.name}.jsonl"

    @property
    def singular(self) -> str:
        """One of its rows, in words: the stage's name without a plural's s."""
        return self.name.removesuffix("s")

    @property
    def heading(self) -> str:
        """The same above what is told of one."""
        return self.singular.replace("_", " ").title()

    @property
    def asks(self) -> bool:
        """Whether a model is asked for its rows."""
        return self.kind in ("list", "map")

    @property
    def at_leaves(self) -> bool:
        """Whether none of its rows hang on a tag above the leaves: lists grow at leaves, and so what a group is made of
        hangs on these. A map has results for any tag."""
        return self.kind in ("list", "group")

    @property
    def parent(self) -> str | None:
        """The stage whose rows have these below them."""
        return self.by if self.kind == "group" else self.after

    def described(self) -> str:
        """As text: "q: list of tags"."""
        of = f" of {self.after}" if self.after is not None else ""
        return f"{self.prefix}: {self.kind}{of}" + (f" by {self.by}" if self.by is not None else "")


class Graph:
    """The stages of a dataset, each behind the one that it comes after."""

    def __init__(self, shapes: tuple[Shape, ...]) -> None:
        self.shapes = shapes
        self._by_name = {shape.name: shape for shape in shapes}

    @classmethod
    def parse(cls, described: Mapping[str, str]) -> "Graph":
        """The graph that `described` was made from. Raises StorageError for what is none, whoever wrote it."""
        graph = cls(tuple(_parsed(name, text) for name, text in described.items()))
        if complaint := _complaint(graph):
            raise StorageError(f"{complaint}: these are no stages of a dataset")
        return graph

    def described(self) -> dict[str, str]:
        """Name → what it is, in order."""
        return {shape.name: shape.described() for shape in self.shapes}

    def __iter__(self) -> Iterator[Shape]:
        return iter(self.shapes)

    def __getitem__(self, name: str) -> Shape:
        return self._by_name[name]

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    @cached_property
    def names(self) -> tuple[str, ...]:
        """In order."""
        return tuple(self._by_name)

    @property
    def files(self) -> tuple[str, ...]:
        """The artefacts, in order."""
        return tuple(shape.file for shape in self.shapes)

    @cached_property
    def tree(self) -> Shape:
        """The stage that grows the tree: all others hang on its rows."""
        return next(shape for shape in self.shapes if shape.after is None)

    def reached(self, until: str) -> tuple[str, ...]:
        """The stages that a build up to `until` fills."""
        return self.names if until == END else self.names[: self.names.index(until) + 1]

    def reaches(self, until: str, stage: str) -> bool:
        """Whether a build up to `until` fills `stage`."""
        return stage in self and stage in self.reached(until)

    def is_before(self, first: str, second: str) -> bool:
        """Whether one stage stands before another one."""
        return self.names.index(first) < self.names.index(second)

    def up_to(self, until: str) -> "Graph":
        """The part that a build up to `until` fills."""
        return Graph(tuple(self[name] for name in self.reached(until)))

    def lineage(self, name: str) -> tuple[str, ...]:
        """The stages whose rows lie above a row of `name`, from the tree down, itself last. A transform's are those of
        the rows that it judges."""
        above: list[str] = []
        here: str | None = self[name].after if self[name].kind == "transform" else name
        while here is not None:
            above.append(here)
            here = self[here].parent
        return tuple(reversed(above))

    def rows_of(self, name: str) -> Shape:
        """The stage whose rows a verdict of `name` is on; of any other stage itself."""
        shape = self[name]
        while shape.kind == "transform" and shape.after is not None:
            shape = self[shape.after]
        return shape

    def judges(self, name: str) -> tuple[Shape, ...]:
        """The transforms that judge rows of `name`, in order."""
        transforms = (shape for shape in self.shapes if shape.kind == "transform")
        return tuple(shape for shape in transforms if self.rows_of(shape.name).name == name)

    def above(self, name: str) -> Shape | None:
        """The stage with the rows that those of `name` lie below, or judge: none that judges. None for the topic."""
        parent = self[name].parent
        return None if parent is None else self.rows_of(parent)

    def of_id(self, key: str) -> Shape | None:
        """The stage whose row an id is, or begins to be."""
        prefix = key.rpartition("_")[0]
        return next((shape for shape in self.shapes if shape.kind != "transform" and shape.prefix == prefix), None)


def in_order(orders: Iterable[Iterable[str]]) -> list[str]:
    """The stages of several graphs, each once: as in the first, and others behind what they follow."""
    names: list[str] = []
    for order in orders:
        place = 0
        for name in order:
            if name not in names:
                names.insert(place, name)
            place = names.index(name) + 1
    return names


def _complaint(graph: Graph) -> str | None:
    """What is wrong with the order of stages: one grows the tree, and all others come after one before them."""
    known: set[str] = set()
    for shape in graph:
        above = {place for place in (shape.after, shape.by) if place is not None}
        if missing := above - known:
            return f"stage {shape.name} comes after {', '.join(sorted(missing))}, which is not before it"
        if (shape.kind == "group") != (shape.by is not None) or (shape.after is None and shape.kind != "list"):
            return f"stage {shape.name} is told as {shape.described()!r}"
        known.add(shape.name)
    trees = [shape.name for shape in graph if shape.after is None]
    prefixes = [shape.prefix for shape in graph if shape.kind != "transform"]
    if len(trees) != 1:
        return f"stages that grow the tree are there {len(trees)} times"
    return "two stages have the same ids" if len(set(prefixes)) < len(prefixes) else None


def _parsed(name: str, text: str) -> Shape:
    if not name.replace("-", "").replace("_", "").isalnum():  # it is a file's name too, and leads into no other folder
        raise StorageError(f"{name!r} is no name of a stage")
    match = DESCRIPTION.fullmatch(text)
    if match is None or (kind := next((each for each in KINDS if each == match["kind"]), None)) is None:
        raise StorageError(f"stage {name} is told as {text!r}, which this version of distill-build does not know")
    return Shape(name, kind, match["after"], match["prefix"], match["by"])
