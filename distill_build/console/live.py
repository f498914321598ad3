"""Bars and colours on a terminal that can move its cursor. The only place that knows rich."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, cast

from rich import box
from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from distill_build.console.grid import Grid
from distill_build.console.outcome import Line, Tone
from distill_build.console.pace import Pace, StageView, View
from distill_build.console.stream import Stream
from distill_build.console.wrapping import wrapped

STYLES: dict[Tone, str] = {
    "plain": "",
    "quiet": "dim",
    "good": "green",
    "warning": "yellow",
    "bad": "bold red",
}
REFRESHES_A_SECOND = 4
SEPARATOR = " · "
LONGEST_BAR = 40


class LiveScreen:
    """Draws on a terminal through rich."""

    def __init__(self, stream: Stream) -> None:
        self._console = Console(file=cast(IO[str], stream), force_terminal=True, highlight=False, emoji=False)
        if not self._console.width:  # rich believes COLUMNS=0
            self._console.width = stream.width

    @property
    def width(self) -> int:
        return self._console.width

    def line(self, line: Line) -> None:
        for row in wrapped(line.text, self.width):
            self._console.print(Text(row, STYLES[line.tone]), soft_wrap=True)

    def table(self, grid: Grid) -> None:
        self._console.print(drawn(grid.fitted(self.width)))

    @contextmanager
    def progress(self, pace: Pace) -> Iterator[None]:
        """Bars that are gone at the end, when the report takes their place."""
        with self._drawn(lambda: bars(pace.look(), self.width)):
            yield

    @contextmanager
    def words(self, look: Callable[[], str]) -> Iterator[None]:
        """A line that is gone at the end."""
        with self._drawn(lambda: Text(look(), "dim", no_wrap=True, overflow="ellipsis")):
            yield

    def _drawn(self, look: Callable[[], RenderableType]) -> Live:
        return Live(
            console=self._console,
            get_renderable=look,
            refresh_per_second=REFRESHES_A_SECOND,
            transient=True,
            redirect_stdout=False,  # stdout is for what was asked for
            redirect_stderr=False,
        )


def drawn(grid: Grid) -> Table:
    """A table with the total as its foot, and bad news in red."""
    *stages, total = grid.rows
    table = Table(box=box.SIMPLE, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False, show_footer=True)
    for place, (head, sum_cell) in enumerate(zip(grid.heads, _styled(grid, total), strict=True)):
        table.add_column(head, footer=sum_cell, justify="right" if place else "left", no_wrap=True)
    for row in stages:
        table.add_row(*_styled(grid, row))
    return table


def bars(view: View, width: int) -> RenderableType:
    """A bar for each stage, and below them the facts, as many to a line as there is room for."""
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True)
    table.add_column(width=max(6, min(LONGEST_BAR, width - 34)))
    table.add_column(no_wrap=True, justify="right")
    table.add_column(no_wrap=True)
    for stage in view.stages:
        table.add_row(*_bar(stage))
    return Group(table, *(Text(text, "dim") for text in filled(view.facts(), width)))


def filled(facts: list[str], width: int) -> list[str]:
    """Joins `facts` to lines of at most `width` cells, none of them broken."""
    lines: list[str] = []
    for fact in facts:
        if lines and cell_len(lines[-1] + SEPARATOR + fact) <= width:
            lines[-1] += SEPARATOR + fact
        else:
            lines.append(fact)
    return lines


def _bar(stage: StageView) -> tuple[RenderableType, ...]:
    style = "yellow" if stage.missing else "green" if not stage.left else "cyan"
    bar = ProgressBar(
        total=max(1, stage.declared),
        completed=min(stage.made, stage.declared),
        complete_style=style,
        finished_style=style,
    )
    failed = Text(f"{stage.missing:,} failed" if stage.missing else "", "red")
    return Text(stage.stage), bar, Text(f"{stage.made:,} of {stage.declared:,}"), failed


def _styled(grid: Grid, row: tuple[str, ...]) -> list[Text]:
    """The cells of a row; nothing is dimmer than a 0."""
    cells = []
    for head, cell in zip(grid.heads, row, strict=True):
        loud = "red" if head in grid.loud else ""
        cells.append(Text(cell, "dim" if cell == "0" else loud))
    return cells
