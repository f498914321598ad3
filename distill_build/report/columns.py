"""What the columns of rows look like, all rows counted: how long texts are, how numbers and short values are spread.

Columns are not named before: what is in them says how they are shown. Pure.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import msgspec

from distill_build.records import JsonObject
from distill_build.report.data import Lengths, ValueShares

MOST_VALUES = 24
"""Values of a column that are counted one by one."""
LONGEST_VALUE = 40
"""Characters of a text that may be one of a few values."""
BINS = 30
BINNED = 0.99
"""The share of texts that the bins of a histogram reach to; the last has all longer ones, so that a single one does not
flatten it."""
STEPS = (1, 2, 5)


class ColumnCount(msgspec.Struct):
    """One column at work: `lengths` of its texts, `values` while they are few, `numbers`."""

    lengths: Counter[int] = msgspec.field(default_factory=Counter)
    values: Counter[str] | None = msgspec.field(default_factory=Counter)
    numbers: Counter[float] = msgspec.field(default_factory=Counter)
    empty: int = 0

    def add(self, value: Any) -> None:
        if value is None or value == "":
            self.empty += 1
        elif isinstance(value, bool):
            self._count("true" if value else "false")
        elif isinstance(value, int | float):
            self.numbers[value] += 1
        elif isinstance(value, str):
            self.lengths[len(value)] += 1
            self._count(value)

    def _count(self, value: str) -> None:
        if self.values is None:
            return
        if len(value) > LONGEST_VALUE or (len(self.values) == MOST_VALUES and value not in self.values):
            self.values = None
        else:
            self.values[value] += 1

    @property
    def of_few_values(self) -> bool:
        """Whether what it says is one of a few things, rather than a text of its own in each row."""
        return bool(self.values) and sum((self.values or {}).values()) >= 2 * len(self.values or {})


class ColumnCounts:
    """Takes the contents of rows, stage by stage."""

    def __init__(self) -> None:
        self._columns: dict[tuple[str, str], ColumnCount] = {}

    def add(self, stage: str, content: JsonObject) -> None:
        """One row's content; a group of numbers in it counts as so many columns."""
        for name, value in _flat(content):
            column = self._columns.get((stage, name))
            if column is None:
                column = self._columns[stage, name] = ColumnCount()
            column.add(value)

    def lengths(self) -> list[Lengths]:
        """Of all texts that are no few values."""
        return [
            _lengths(stage, name, column)
            for (stage, name), column in self._columns.items()
            if column.lengths and not column.of_few_values
        ]

    def shares(self) -> list[ValueShares]:
        """Of all numbers, and of texts with few values."""
        found = []
        for (stage, name), column in self._columns.items():
            if column.numbers:
                found.append(_numbers(stage, name, column.numbers))
            elif column.of_few_values:
                values = (column.values or Counter()).most_common()
                found.append(ValueShares(stage, name, values + [("—", column.empty)] * bool(column.empty), None))
        return found


def _flat(content: JsonObject) -> Iterator[tuple[str, Any]]:
    for name, value in content.items():
        if isinstance(value, dict):
            yield from ((f"{name}.{key}", each) for key, each in value.items() if isinstance(each, int | float))
        else:
            yield name, value


def _lengths(stage: str, name: str, column: ColumnCount) -> Lengths:
    texts, order = column.lengths.total(), sorted(column.lengths)
    width = nice_width(_quantile(column.lengths, order, BINNED) / BINS)
    bins = [0] * (BINS + 1)
    for length, count in column.lengths.items():
        bins[min(length // width, BINS)] += count
    while len(bins) > 1 and not bins[-1]:
        bins.pop()
    middle, high = (_quantile(column.lengths, order, share) for share in (0.5, 0.9))
    return Lengths(stage, name, texts, column.empty, middle, high, order[-1], width, bins)


def _quantile(counts: Counter[int], order: list[int], share: float) -> int:
    """The least length that so large a share does not exceed."""
    wanted, seen = share * counts.total(), 0
    for length in order:
        seen += counts[length]
        if seen >= wanted:
            return length
    return order[-1]


def nice_width(width: float) -> int:
    """The next of 1, 2, 5, 10, 20, … that is no less."""
    power = 1
    while True:
        for step in STEPS:
            if step * power >= width:
                return step * power
        power *= 10


def _numbers(stage: str, name: str, numbers: Counter[float]) -> ValueShares:
    mean = round(sum(value * count for value, count in numbers.items()) / numbers.total(), 3)
    if len(numbers) <= MOST_VALUES:
        return ValueShares(stage, name, [(_shown(value), numbers[value]) for value in sorted(numbers)], mean)
    low, high = min(numbers), max(numbers)
    width = (high - low) / MOST_VALUES
    bins = [0] * MOST_VALUES
    for value, count in numbers.items():
        bins[min(int((value - low) / width), MOST_VALUES - 1)] += count
    return ValueShares(stage, name, [(f"{low + place * width:.3g}", count) for place, count in enumerate(bins)], mean)


def _shown(value: float) -> str:
    return str(int(value)) if value == int(value) else f"{value:.4g}"
