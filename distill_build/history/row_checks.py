"""Whether the rows of a dataset fit each other: every id that of its content, once, and below something that is there.

What is remembered of 100,000 answers is their ids: some 20 MB. Ids that no later stage needs are let go.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import TypeVar

import msgspec

from distill_build.dataset.layout import Dataset
from distill_build.dataset.rows import Placed, TagRow, UnreadableLineError, VerdictRow, list_text, read_rows_with_lines
from distill_build.graph import Graph, Shape
from distill_build.records import row_id
from distill_build.review import EDIT
from distill_build.stages.default import graph_in


class _Made(Placed, frozen=True, gc=False):
    """A row of a map or group: all that its id is made of, and its place."""

    role: str | None = None
    sample: int | None = None


Checked = TypeVar("Checked", TagRow, Placed, _Made, VerdictRow)
Look = Callable[[Checked, bytes], Iterator[str]]
"""Says what is wrong with a row, given its line too."""
TWICE = "the id of an earlier row stands again"
FOREIGN = "the id is not that of the content"
NOWHERE = -1
"""In the place of a tag's number: the row lies below the topic itself, or at a path that no tag has."""


class RowChecks:
    """One pass over each artefact of `dataset`. `counts` are its rows, by file; nothing of one that cannot be read.

    What hangs on rows that cannot be read is not looked at: nobody knows whether those are there.
    """

    def __init__(self, dataset: Dataset, graph: Graph | None = None) -> None:
        """`graph` is by default what the dataset's own files tell."""
        self.dataset = dataset
        self.counts: dict[str, int] = {}
        self._graph = graph if graph is not None else graph_in(dataset)
        self._tags: dict[str, int] = {}
        self._paths: dict[tuple[str, ...], int] = {}
        self._seen: dict[str, dict[str, int]] = {}
        self._unknown: set[str] = set()

    def problems(self) -> Iterator[tuple[str, str]]:
        """(file, what is wrong with it): each kind once, with the number of rows and the first of them."""
        for place, shape in enumerate(self._graph):
            seen = self._seen[shape.name] = self._tags if shape is self._graph.tree else {}
            above = self._graph.above(shape.name)
            if above is not None and above.name in self._unknown:
                self._unknown.add(shape.name)
                continue
            if shape is self._graph.tree:
                yield from self._pass(shape, TagRow, self._tag)
            elif shape.kind == "list":
                yield from self._pass(shape, Placed, partial(self._listed, shape, seen))
            elif shape.kind == "transform":
                yield from self._pass(shape, VerdictRow, partial(self._verdict, self._rows_above(shape), seen))
            else:
                yield from self._pass(shape, _Made, partial(self._made, shape, self._rows_above(shape), seen))
            self._let_go(self._graph.shapes[place + 1 :])

    def _rows_above(self, shape: Shape) -> dict[str, int]:
        above = self._graph.above(shape.name)
        return self._seen.get(above.name, {}) if above is not None else {}

    def _let_go(self, later: tuple[Shape, ...]) -> None:
        needed = {above.name for shape in later if (above := self._graph.above(shape.name)) is not None}
        self._seen = {stage: seen for stage, seen in self._seen.items() if stage in needed}

    def _pass(self, shape: Shape, kind: type[Checked], look: Look[Checked]) -> Iterator[tuple[str, str]]:
        name, path = shape.file, self.dataset.artefact(shape.file)
        if not path.is_file():
            return
        numbers, first = Counter[str](), dict[str, str]()
        self.counts[name] = 0
        try:
            for row, line in read_rows_with_lines(path, kind):
                self.counts[name] += 1
                for problem in look(row, line):
                    numbers[problem] += 1
                    first.setdefault(problem, row.id)
        except UnreadableLineError as error:
            del self.counts[name]
            self._unknown.add(shape.name)
            yield name, error.fault
        yield from ((name, _told(problem, number, first[problem])) for problem, number in numbers.items())

    def _tag(self, row: TagRow, _: bytes) -> Iterator[str]:
        if row.id in self._tags:
            yield TWICE
        if row.id != row_id(self._graph.tree.prefix, row.parent or _topic(row), row.own_label):
            yield FOREIGN
        if row.parent is not None and row.parent not in self._tags:
            yield "the parent does not stand before the tag"
        self._tags[row.id] = self._paths[row.path] = len(self._tags)

    def _listed(self, shape: Shape, seen: dict[str, int], row: Placed, line: bytes) -> Iterator[str]:
        if row.id in seen:
            yield TWICE
        text = list_text(msgspec.json.decode(line))
        if row.review != EDIT and row.id != row_id(shape.prefix, row.tag or _topic(row), text):
            yield FOREIGN
        if row.tag is not None and row.tag not in self._tags:
            yield f"the {self._graph.tree.singular} is not there"
        seen[row.id] = self._tags.get(row.tag or "", NOWHERE)

    def _made(self, shape: Shape, above: dict[str, int], seen: dict[str, int], row: _Made, _: bytes) -> Iterator[str]:
        key, place = row.above or "", self._paths.get(row.path, NOWHERE)
        number = [part for part in (row.role, row.sample) if part is not None]
        if row.id in seen:
            yield TWICE
        if row.id != row_id(shape.prefix, key, *number):
            yield FOREIGN
        if above.get(key) != place or (row.tag is not None and self._tags.get(row.tag) != place):
            named = self._graph.above(shape.name)
            yield f"the {named.singular if named is not None else 'row'} is not there, or stands below another tag"
        seen[row.id] = place

    def _verdict(self, judged: dict[str, int], seen: dict[str, int], row: VerdictRow, _: bytes) -> Iterator[str]:
        if row.id in seen:
            yield TWICE
        if row.id not in judged:
            yield "the row that it judges is not there"
        seen[row.id] = NOWHERE


def _topic(row: Placed | TagRow) -> str:
    return row.path[0] if row.path else ""


def _told(problem: str, number: int, first: str) -> str:
    return f"{problem}, in {first}" + f" and {number - 1:,} more" * (number > 1)
