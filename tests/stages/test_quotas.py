"""Shares become whole numbers that grow, and the beginning of a list meets them too."""

import math
from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill_build.stages.measures.quotas import arranged, given_values, quota

DIFFICULTY = {"easy": 0.3, "medium": 0.5, "hard": 0.2}
weights = st.lists(st.integers(1, 20), min_size=1, max_size=4)


@pytest.mark.parametrize(
    ("start", "size", "expected"),
    [
        (0, 5, {"easy": 2, "medium": 2, "hard": 1}),
        (5, 5, {"easy": 1, "medium": 3, "hard": 1}),
        (0, 10, {"easy": 3, "medium": 5, "hard": 2}),
        (0, 1, {"medium": 1}),
        (40, 10, {"easy": 3, "medium": 5, "hard": 2}),
    ],
)
def test_a_quota_is_the_share_of_so_many_items(start: int, size: int, expected: dict[str, int]) -> None:
    assert quota(DIFFICULTY, start, size) == expected


@given(weights=weights, size=st.integers(1, 60))
def test_each_value_has_its_share_rounded_up_at_most_and_exactly_where_that_is_whole(
    weights: list[int], size: int
) -> None:
    whole = sum(weights)
    shares = {f"v{index}": weight / whole for index, weight in enumerate(weights)}
    counts = quota(shares, 0, size)
    assert sum(counts.values()) == size
    exact = {
        value: Fraction(str(share)) / sum(Fraction(str(each)) for each in shares.values()) * size
        for value, share in shares.items()
    }
    assert all(counts.get(value, 0) <= math.ceil(due) for value, due in exact.items())


@given(weights=weights, sizes=st.lists(st.integers(1, 9), min_size=1, max_size=8))
def test_what_was_given_out_stays_however_it_is_asked_for(weights: list[int], sizes: list[int]) -> None:
    shares = {f"v{index}": weight / sum(weights) for index, weight in enumerate(weights)}
    parts = [quota(shares, sum(sizes[:index]), size) for index, size in enumerate(sizes)]
    assert sum((Counter(part) for part in parts), Counter()) == Counter(quota(shares, 0, sum(sizes)))


def test_the_order_in_which_a_file_has_values_does_not_count() -> None:
    assert given_values(DIFFICULTY, 20) == given_values(dict(reversed(DIFFICULTY.items())), 20)


def test_thirds_with_three_digits_are_thirds_and_a_share_of_zero_is_none() -> None:
    thirds = {"解释": 0.333, "比较": 0.333, "应用": 0.333, "计算": 0}
    assert quota(thirds, 0, 9) == {"解释": 3, "比较": 3, "应用": 3}


def test_items_are_put_in_the_order_of_what_was_wanted() -> None:
    items = [{"d": "easy"}, {"d": "easy"}, {"d": None}, {"d": "medium"}]
    assert arranged(items, {"d": ["medium", "easy", "hard", "easy"]}) == [3, 0, 1, 2]
