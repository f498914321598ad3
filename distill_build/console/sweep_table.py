"""The table of a sweep's jobs, as wide as the terminal allows: what tells least goes first, and is named. Pure.

Jobs are called by their values below the keys, cut where there is no room. A name that is cut ends with the mark of the
job's folder, where that has one: so it can be found.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec

from distill_build.console.grid import Grid
from distill_build.console.outcome import Sentence
from distill_build.console.words import UNKNOWN
from distill_build.console.wrapping import cells, shortened, visible

if TYPE_CHECKING:
    from distill_build.sweeps.jobs import Job

NOTHING = ""
SAYS_NOTHING = {NOTHING, UNKNOWN, "0", "$0"}
BEST, NOT_BEST = "* ", "  "
NAMES_SHARE = 0.3
"""Of the terminal's width: what names may take where there is no room for all of them."""
GAP = "  "
JOB, TOGETHER = "job", "together"
SHORTEST = 8
"""Cells that are left of a value, however little room there is."""
LONGEST_IN_SENTENCE = 60

Texts = tuple[str, ...]


class Column(msgspec.Struct, frozen=True):
    """One figure of every job, and of all together. A `loud` one is bad news unless it is 0."""

    head: str
    cells: Sequence[str]
    total: str = NOTHING
    loud: bool = False

    @property
    def tells(self) -> bool:
        """Whether any two jobs could be told apart by it, or one from nothing."""
        return not set(self.cells) <= SAYS_NOTHING


class SweepTable(msgspec.Struct, frozen=True):
    """`spare` names columns that go first where the terminal is too narrow, after those that say nothing.

    `best` are the numbers of jobs to be marked; `elsewhere` says where columns are that had to go.
    """

    jobs: Sequence["Job"]
    columns: Sequence[Column]
    spare: Sequence[str]
    elsewhere: str
    kept: frozenset[str] = frozenset()
    best: frozenset[int] = frozenset()

    def fitted(self, width: int) -> tuple[list[Sentence], Grid, list[Sentence]]:
        """What stands above the table, the table, and what stands below it."""
        empty = [column.head for column in self.columns if not column.tells]
        names = full_names(self.jobs)
        grid = self._grid(names, empty).fitted(width)
        if grid.width > width:
            names = short_names(self.jobs, int(width * NAMES_SHARE))
            grid = self._grid(names, [*empty, *self.spare]).fitted(width)
        above = [Sentence(f"{names.head}: {names.keys}", "quiet")] if names.keys else []
        return above, grid, list(self._left_out(grid))

    def details(self) -> Iterator[Sentence]:
        """Every job with its whole name, its folder and all columns."""
        for number, job in enumerate(self.jobs):
            yield Sentence(job.words)
            yield Sentence(f"  {job.folder}", "quiet")
            cells = [f"{column.head} {column.cells[number]}" for column in self.columns if column.cells[number]]
            yield Sentence(f"  {', '.join(cells)}", "quiet")

    def _grid(self, names: "NameColumn", spare: Sequence[str]) -> Grid:
        marks = [BEST if number in self.best else NOT_BEST * bool(self.best) for number in range(len(self.jobs))]
        first = [mark + name for mark, name in zip(marks, names.cells, strict=True)]
        head = NOT_BEST * bool(self.best) + names.head
        rows = zip(first, *(column.cells for column in self.columns), strict=True)
        total = (TOGETHER, *(column.total for column in self.columns))
        loud = tuple(column.head for column in self.columns if column.loud)
        heads = (head, *(column.head for column in self.columns))
        going = tuple(head for head in dict.fromkeys(spare) if head not in self.kept)
        return Grid(heads, (*rows, total), going, loud)

    def _left_out(self, grid: Grid) -> Iterator[Sentence]:
        gone = [column.head for column in self.columns if column.tells and column.head not in grid.heads[1:]]
        if gone:
            yield Sentence(f"no room for {', '.join(gone)}: {self.elsewhere}", "quiet")


class NameColumn(msgspec.Struct, frozen=True):
    """The first column of a table. `keys` is what stands above the table where `head` does not say it."""

    head: str
    cells: Texts
    keys: str = ""


def full_names(jobs: Sequence["Job"]) -> NameColumn:
    """Every value as typed, below its key."""
    keys, values = _parts(jobs)
    widths = _widths([keys, *values])
    return NameColumn(_row(keys, widths), tuple(_row(row, widths) for row in values))


def short_names(jobs: Sequence["Job"], room: int) -> NameColumn:
    """Names of about `room` cells, each another one; keys that are longer than all values stand above the table."""
    keys, values = _parts(jobs)
    widths = _widths(values)
    most = each = max(widths)
    while each > SHORTEST and sum(min(width, each) + len(GAP) for width in widths) - len(GAP) > room:
        each -= 1
    names = _cut(jobs, values, each)
    while each < most and len(set(names)) < len(set(values)):
        each *= 2
        names = _cut(jobs, values, each)
    if len(keys) == 1 and cells(keys[0]) <= max(map(cells, [*names, TOGETHER])):
        return NameColumn(keys[0], names)
    return NameColumn(JOB, names, ", ".join(keys))


def called(job: "Job") -> str:
    """A job in a sentence."""
    return _cut([job], [(visible(job.words),)], LONGEST_IN_SENTENCE)[0]


def _parts(jobs: Sequence["Job"]) -> tuple[Texts, list[Texts]]:
    """Keys, and each job's values of them; where jobs choose other things, all that they choose as one value."""
    keys = {tuple(choice.key for choice in job.choices) for job in jobs}
    if len(keys) > 1 or keys == {()}:
        return (JOB,), [(visible(job.words),) for job in jobs]
    return keys.pop(), [tuple(visible(choice.value) for choice in job.choices) for job in jobs]


def _cut(jobs: Sequence["Job"], values: Sequence[Texts], room: int) -> Texts:
    """The names, no value of which takes more than `room` cells."""
    short = [tuple(shortened(value, room) for value in row) for row in values]
    widths = _widths(short)
    marks = ["" if row == whole else _mark(job) for job, row, whole in zip(jobs, short, values, strict=True)]
    return tuple(_row(row, widths) + mark for row, mark in zip(short, marks, strict=True))


def _mark(job: "Job") -> str:
    before, tilde, mark = job.name.rpartition("~")
    return f" {tilde}{mark}" if before else ""


def _widths(rows: Sequence[Texts]) -> list[int]:
    return [max(map(cells, column)) for column in zip(*rows, strict=True)]


def _row(texts: Sequence[str], widths: Sequence[int]) -> str:
    """Texts that stand below those of other rows."""
    return GAP.join(text + " " * (width - cells(text)) for text, width in zip(texts, widths, strict=True)).rstrip()
