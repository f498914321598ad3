"""Amounts read as people say them."""

import pytest

from distill_build.console import words
from distill_build.records import number_of


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 s"), (0.42, "0.4 s"), (9.96, "10 s"), (59.4, "59 s"), (59.6, "1 min"), (200, "3 min 20 s"),
        (3599.7, "1 h"), (7500, "2 h 5 min"), (86_400, "1 day"), (3 * 86_400 + 4 * 3600, "3 days 4 h"),
    ],
)  # fmt: skip
def test_a_measured_time_has_two_units(seconds: float, text: str) -> None:
    assert words.duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "1 s"),
        (89, "89 s"),
        (2400, "40 min"),
        (9000, "2.5 h"),
        (28_800, "8 h"),
        (3 * 86_400, "3 days"),
        (6.6e10, "2,093 years"),
    ],
)  # fmt: skip
def test_a_guessed_time_has_one_unit(seconds: float, text: str) -> None:
    assert words.rough_duration(seconds) == text


@pytest.mark.parametrize(
    ("usd", "text"),
    [(None, "—"), (0.0, "$0"), (0.00001, "<$0.0001"), (0.0123, "$0.0123"), (3.456, "$3.46"), (1234.5, "$1,234.50")],
)
def test_money_shows_what_one_request_costs(usd: float | None, text: str) -> None:
    assert words.money(usd) == text


@pytest.mark.parametrize(
    ("usd", "text"), [(None, "—"), (0.0, "$0"), (0.01234, "$0.012"), (0.2, "$0.20"), (12.345, "$12.35")]
)
def test_guessed_money_shows_no_more_than_is_known(usd: float | None, text: str) -> None:
    assert words.rough_money(usd) == text


@pytest.mark.parametrize(
    ("amount", "text"), [(0, "0"), (999, "999"), (1_234, "1.2k"), (45_200, "45k"), (999_900, "1.0M"), (1.2e6, "1.2M")]
)
def test_tokens_are_told_to_two_or_three_figures(amount: float, text: str) -> None:
    assert words.tokens(amount) == text


def test_one_thing_is_named_in_the_singular() -> None:
    assert [number_of(amount, "tags") for amount in (0, 1, 1_110)] == ["0 tags", "1 tag", "1,110 tags"]


def test_rare_requests_are_counted_by_the_minute() -> None:
    assert [words.rate(rate) for rate in (0.5, 3.44, 120)] == ["30 requests/min", "3.4 requests/s", "120 requests/s"]
