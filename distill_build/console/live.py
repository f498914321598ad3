"""Bars and colours on a terminal that can move its cursor. The only place that knows rich."""

from collections.abc import Callable, Iterable, Iterator
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
from distill_build.console.outcome import Sentence, Tone
from distill_build.console.pace import Pace, ProgressView, StageView
from distill_build.console.stream import Stream
from distill_build.console.wrapping import shortened, wrapped

STYLES: dict[Tone, str] = {
    "plain": "",
    "quiet": "dim",
    "good": "green",
    "warning": "yellow",
    "bad": "bold red",
}
REFRESHES_A_SECOND = 4
SEPARATOR = " · "
LONGEST_BAR, SHORTEST_BAR = 40, 6
SHORTEST_NAME = 8


class LiveScreen:
    """Draws on a terminal through rich."""

    def __init__(self, stream: Stream) -> None:
        self._console = Console(file=cast(IO[str], stream), force_terminal=True, highlight=False, emoji=False)
        if not self._console.width:  # rich believes COLUMNS=0
            self._console.width = stream.width

    @property
    def width(self) -> int:
        return self._console.width

    def line(self, line: Sentence) -> None:
        for row in wrapped(line.text, self.width):
            self._console.print(Text(row, STYLES[line.tone]), soft_wrap=True)

    def table(self, grid: Grid) -> None:
        self._console.print(drawn(grid.within(self.width)))

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


def bars(view: ProgressView, width: int) -> RenderableType:
    """A row for each stage, and below them the facts, as many to a line as there is room for.

    Where a terminal is narrow or names are long, bars get shorter and names are cut; then there are no bars.
    """
    counts = [Text(f"{stage.made:,} of {stage.declared:,}") for stage in view.stages]
    asides = [_aside(stage) for stage in view.stages]
    room = width - _widest(counts) - _widest(asides) - 3  # spaces between columns
    name = min(max((cell_len(stage.stage) for stage in view.stages), default=0), max(SHORTEST_NAME, room // 2))
    bar = min(LONGEST_BAR, room - name)
    table = Table.grid(padding=(0, 1))
    for place in range(4 if bar >= SHORTEST_BAR else 3):
        table.add_column(
            no_wrap=True, justify="right" if counts and place == (2 if bar >= SHORTEST_BAR else 1) else "left"
        )
    for stage, count, aside in zip(view.stages, counts, asides, strict=True):
        drawn_bar = [_bar(stage, bar)] if bar >= SHORTEST_BAR else []
        table.add_row(Text(shortened(stage.stage, name)), *drawn_bar, count, aside)
    return Group(table, *(Text(text, "dim") for text in _filled(view.facts(), width)))


def _widest(texts: Iterable[Text]) -> int:
    return max((text.cell_len for text in texts), default=0)


def _filled(facts: list[str], width: int) -> list[str]:
    """Joins `facts` to lines of at most `width` cells, none of them broken."""
    lines: list[str] = []
    for fact in facts:
        if lines and cell_len(lines[-1] + SEPARATOR + fact) <= width:
            lines[-1] += SEPARATOR + fact
        else:
            lines.append(fact)
    return lines


def _bar(stage: StageView, width: int) -> RenderableType:
    style = "yellow" if stage.missing else "green" if not stage.left else "cyan"
    return ProgressBar(
        total=max(1, stage.declared),
        completed=min(stage.made, stage.declared),
        width=width,
        complete_style=style,
        finished_style=style,
    )


def _aside(stage: StageView) -> Text:
    """What has failed, or was dropped."""
    if stage.missing:
        return Text(f"{stage.missing:,} failed", "red")
    return Text(f"{stage.dropped:,} dropped" if stage.dropped else "", "dim")


def _styled(grid: Grid, row: tuple[str, ...]) -> list[Text]:
    """The cells of a row; nothing is dimmer than a 0."""
    cells = []
    for head, cell in zip(grid.heads, row, strict=True):
        loud = "red" if head in grid.loud else ""
        cells.append(Text(cell, "dim" if cell == "0" else loud))
    return cells
