"""Shares of values → how many of each a request asks for, and in which order items of a list stand for them. Pure.

Values are given out one by one, each to the one that is furthest behind, and none above its share rounded up: where
shares come to whole numbers they are met exactly, and what was given out stays. (Largest remainders worked out for each
number anew would take some back.) So a request's quota follows from its ordinal alone, and a list that is longer asks
for no other beginning.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import lru_cache

Shares = Mapping[str, float]


def quota(shares: Shares, start: int, size: int) -> dict[str, int]:
    """How many of each value there are among `size` items behind the first `start`; nothing of those without any."""
    counts = Counter(given_values(shares, start + size)[start:])
    return {value: counts[value] for value in sorted(shares) if counts[value]}


def given_values(shares: Shares, size: int) -> Sequence[str]:
    """The values of the first `size` items."""
    given = _given(tuple(sorted(shares.items())))
    given.reach(size)
    return given.values[:size]


@lru_cache(maxsize=64)
def _given(shares: tuple[tuple[str, float], ...]) -> "_Given":
    return _Given(dict(shares))


class _Given:
    """What has been given out so far, of shares as they are written: 0.1 is a tenth."""

    def __init__(self, shares: Shares) -> None:
        written = {value: Fraction(str(share)) for value, share in shares.items()}
        whole = sum(written.values())
        self._shares = {value: share / whole for value, share in written.items() if share}
        self._counts = dict.fromkeys(self._shares, 0)
        self.values: list[str] = []

    def reach(self, size: int) -> None:
        while len(self.values) < size:
            self.values.append(self._next(len(self.values) + 1))

    def _next(self, number: int) -> str:
        """Of the values that item `number` leaves within their share, rounded up, the one that is furthest behind: one
        below its share rounded down first, of two the rarer."""
        due = {value: share * number for value, share in self._shares.items()}
        behind = {value: due[value] - count for value, count in self._counts.items() if count < math.ceil(due[value])}
        chosen = max(behind, key=lambda value: (behind[value] >= 1, behind[value], -self._shares[value]))
        self._counts[chosen] += 1
        return chosen


def arranged(items: Sequence[Mapping[str, str | None]], wanted: Mapping[str, Sequence[str]]) -> list[int]:
    """The indexes of `items`, each with its values by axis, in the order in which they come nearest to the values that
    are `wanted` of them one after the other: so that the beginning of a list meets its quotas, too."""
    left, order = list(range(len(items))), list[int]()
    while left:
        place = len(order)
        here = {axis: values[place] for axis, values in wanted.items() if place < len(values)}
        best = max(left, key=lambda index: (sum(items[index].get(axis) == here[axis] for axis in here), -index))
        left.remove(best)
        order.append(best)
    return order
