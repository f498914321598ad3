"""What the flags of `cache gc` mean, as typed."""

from datetime import timedelta

import pytest

from distill_build.cache.gc.policy import Policy, policy_of
from distill_build.errors import UsageError


@pytest.mark.parametrize(
    ("typed", "amount"),
    [("500MB", 500_000_000), ("2 GB", 2 * 10**9), ("1.5gib", 3 * 2**29), ("0", 0), ("7b", 7), ("1TB", 10**12)],
)
def test_a_size_has_a_unit(typed: str, amount: int) -> None:
    assert policy_of(None, typed, None) == Policy(max_bytes=amount)


@pytest.mark.parametrize("typed", ["2", "-2GB", "2 G B", "GB", "", "2GBs", "1e9B", "two GB"])
def test_what_is_no_size_is_told_with_examples(typed: str) -> None:
    with pytest.raises(UsageError, match="as in 500MB, 2GB or"):
        policy_of(None, typed, None)


@pytest.mark.parametrize(
    ("typed", "age"),
    [
        ("12h", timedelta(hours=12)),
        ("30d", timedelta(days=30)),
        ("6 w", timedelta(weeks=6)),
        ("1Y", timedelta(days=365)),
        ("0d", timedelta(0)),
    ],
)
def test_an_age_has_a_unit(typed: str, age: timedelta) -> None:
    assert policy_of(None, None, typed) == Policy(older_than=age)


@pytest.mark.parametrize("typed", ["30", "-1d", "2m", "d", "", "30 days"])
def test_what_is_no_age_is_told_with_examples(typed: str) -> None:
    """`m` would be minutes to some and months to others."""
    with pytest.raises(UsageError, match="12h, 30d, 6w or 1y, not"):
        policy_of(None, None, typed)


def test_an_age_that_no_clock_can_take_is_told() -> None:
    with pytest.raises(UsageError, match="longer than any cache"):
        policy_of(None, None, "99999999999y")


def test_without_a_flag_no_response_may_go() -> None:
    assert not policy_of(None, None, None).removes_responses
    assert policy_of(0, None, None).removes_responses
