"""Boxes with one corner, cut into the cells that the same jobs need."""

import itertools
import math
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from distill_build.sweeps.shares import by_jobs, unit_cells

BOXES = st.integers(1, 3).flatmap(
    lambda directions: st.lists(st.tuples(*[st.integers(0, 4)] * directions), min_size=1, max_size=5)
)


@given(BOXES)
def test_cells_are_those_that_counting_finds(boxes: list[tuple[int, ...]]) -> None:
    counted: Counter[frozenset[int]] = Counter()
    for cell in itertools.product(*(range(5) for _ in boxes[0])):
        inside = [job for job, box in enumerate(boxes) if all(at < edge for at, edge in zip(cell, box, strict=True))]
        counted[frozenset(inside)] += bool(inside)
    assert +unit_cells(list(enumerate(boxes))) == +counted


def test_fifty_deep_trees_are_counted_at_once() -> None:
    boxes = [(job, (job + 1,) * 10) for job in range(50)]
    assert unit_cells(boxes).total() == math.prod([50] * 10)


def test_a_request_knows_who_needs_it() -> None:
    assert by_jobs([(0, ["a", "b"]), (2, ["b"])]) == {"a": frozenset({0}), "b": frozenset({0, 2})}
