"""Figures in columns, as the verbs of `cache` print them."""

from collections.abc import Iterator, Sequence

from distill_build.cache.figures import Figures, Group
from distill_build.console.words import money

HEADINGS = ("stage", "model", "calls", "accepted", "open", "responses", "prompt tokens", "completion tokens", "cost")
TEXT_COLUMNS = 2


def figures_table(figures: Figures) -> Iterator[str]:
    """Calls by stage and model, nothing where there are none."""
    if figures.groups:
        yield from table(
            [HEADINGS, *((stage, model, *_cells(figures.groups[stage, model])) for stage, model in figures.in_order())]
        )


def _cells(group: Group) -> tuple[str, ...]:
    numbers = (group.calls, group.accepted, group.open, group.attempts, group.prompt_tokens, group.completion_tokens)
    return (*(f"{number:,}" for number in numbers), cost_of(group))


def cost_of(group: Group) -> str:
    """What calls have cost: a dash where nobody knows, and a plus where that is so of some."""
    return money(group.usd) + "+" * bool(group.priced and group.unpriced)


def volume(amount: int) -> str:
    """Bytes for people, in units of a thousand."""
    for size, unit in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if amount >= size:
            return f"{amount / size:,.1f} {unit}"
    return f"{amount} bytes"


def table(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """Columns as wide as their widest cell: the first two to the left, numbers to the right."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = zip(row, widths, strict=True)
        yield "  ".join(
            cell.ljust(width) if place < TEXT_COLUMNS else cell.rjust(width)
            for place, (cell, width) in enumerate(cells)
        )
