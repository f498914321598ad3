"""Figures in columns, as the verbs of `cache` print them."""

from collections.abc import Iterator, Sequence

from distill_build.cache.inventory import CallTotals, TotalsByModel
from distill_build.console.grid import Grid
from distill_build.console.words import money
from distill_build.console.wrapping import shortened

HEADINGS = ("stage", "model", "calls", "accepted", "open", "responses", "prompt tokens", "completion tokens", "cost")
SPARE = ("accepted", "responses", "open", "prompt tokens")
"""What goes first where there is no room: --json has it all."""
TEXT_COLUMNS = 2
MODEL = HEADINGS.index("model")
SHORTEST_MODEL = 16


def figures_table(figures: TotalsByModel, width: int) -> Iterator[str]:
    """Calls by stage and model in lines of about `width` cells, nothing where there are none."""
    if figures.groups:
        rows = [(stage, model, *_cells(figures.groups[stage, model])) for stage, model in figures.in_order()]
        yield from _table(_fitted(rows, width))


def _fitted(rows: Sequence[tuple[str, ...]], width: int) -> list[tuple[str, ...]]:
    """`rows` below their heads. Where that is too wide the names of models are cut, and then columns go."""
    narrow = (_with_model(row, SHORTEST_MODEL) for row in rows)
    heads = Grid(HEADINGS, tuple(narrow), SPARE).fitted(width).heads
    places = [HEADINGS.index(head) for head in heads]
    grid = Grid(heads, tuple(tuple(row[place] for place in places) for row in rows))
    room = max(SHORTEST_MODEL, width - (grid.width - grid.widths[MODEL]))
    return [heads, *(_with_model(row, room) for row in grid.rows)]


def _with_model(row: tuple[str, ...], room: int) -> tuple[str, ...]:
    return (*row[:MODEL], shortened(row[MODEL], room), *row[MODEL + 1 :])


def _cells(group: CallTotals) -> tuple[str, ...]:
    numbers = (group.calls, group.accepted, group.open, group.attempts, group.prompt_tokens, group.completion_tokens)
    return (*(f"{number:,}" for number in numbers), cost_text(group))


def cost_text(group: CallTotals) -> str:
    """What calls have cost: a dash where nobody knows, and a plus where that is so of some."""
    return money(group.usd) + "+" * bool(group.priced and group.unpriced)


def _table(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """Columns as wide as their widest cell: the first two to the left, numbers to the right."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = zip(row, widths, strict=True)
        yield "  ".join(
            cell.ljust(width) if place < TEXT_COLUMNS else cell.rjust(width)
            for place, (cell, width) in enumerate(cells)
        )
