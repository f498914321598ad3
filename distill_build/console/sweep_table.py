"""The table of a sweep's jobs, as wide as the terminal allows: what tells least goes first, and is named. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from distill_build.console.grid import Grid
from distill_build.console.job_names import TOGETHER, Names, full_names, short_names
from distill_build.console.outcome import Line
from distill_build.console.words import UNKNOWN

if TYPE_CHECKING:
    from distill_build.sweeps.jobs import Job

NOTHING = ""
SAYS_NOTHING = {NOTHING, UNKNOWN, "0", "$0"}
BEST, NOT_BEST = "* ", "  "
NAMES_SHARE = 0.3
"""Of the terminal's width: what names may take where there is no room for all of them."""


@dataclass(frozen=True, slots=True)
class Column:
    """One figure of every job, and of all together. A `loud` one is bad news unless it is 0."""

    head: str
    cells: Sequence[str]
    total: str = NOTHING
    loud: bool = False

    @property
    def tells(self) -> bool:
        """Whether any two jobs could be told apart by it, or one from nothing."""
        return not set(self.cells) <= SAYS_NOTHING


@dataclass(frozen=True, slots=True)
class SweepTable:
    """`spare` names columns that go first where the terminal is too narrow, after those that say nothing.

    `best` are the numbers of jobs to be marked; `elsewhere` says where columns are that had to go.
    """

    jobs: Sequence["Job"]
    columns: Sequence[Column]
    spare: Sequence[str]
    elsewhere: str
    kept: frozenset[str] = frozenset()
    best: frozenset[int] = frozenset()

    def fitted(self, width: int) -> tuple[list[Line], Grid, list[Line]]:
        """What stands above the table, the table, and what stands below it."""
        empty = [column.head for column in self.columns if not column.tells]
        names = full_names(self.jobs)
        grid = self._grid(names, empty).fitted(width)
        if grid.width > width:
            names = short_names(self.jobs, int(width * NAMES_SHARE))
            grid = self._grid(names, [*empty, *self.spare]).fitted(width)
        above = [Line(f"{names.head}: {names.keys}", "quiet")] if names.keys else []
        return above, grid, list(self._left_out(grid))

    def details(self) -> Iterator[Line]:
        """Every job with its whole name, its folder and all columns."""
        for number, job in enumerate(self.jobs):
            yield Line(job.words)
            yield Line(f"  {job.folder}", "quiet")
            cells = [f"{column.head} {column.cells[number]}" for column in self.columns if column.cells[number]]
            yield Line(f"  {', '.join(cells)}", "quiet")

    def _grid(self, names: Names, spare: Sequence[str]) -> Grid:
        marks = [BEST if number in self.best else NOT_BEST * bool(self.best) for number in range(len(self.jobs))]
        first = [mark + name for mark, name in zip(marks, names.cells, strict=True)]
        head = NOT_BEST * bool(self.best) + names.head
        rows = zip(first, *(column.cells for column in self.columns), strict=True)
        total = (TOGETHER, *(column.total for column in self.columns))
        loud = tuple(column.head for column in self.columns if column.loud)
        heads = (head, *(column.head for column in self.columns))
        going = tuple(head for head in dict.fromkeys(spare) if head not in self.kept)
        return Grid(heads, (*rows, total), going, loud)

    def _left_out(self, grid: Grid) -> Iterator[Line]:
        gone = [column.head for column in self.columns if column.tells and column.head not in grid.heads[1:]]
        if gone:
            yield Line(f"no room for {', '.join(gone)}: {self.elsewhere}", "quiet")
