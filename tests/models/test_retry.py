import pytest

from distill_build.models.retry import BASE_S, CAP_S, RetryableError, RetryPolicy

TIMEOUT = RetryableError("timeout", "too late")


def test_the_wait_doubles_up_to_the_cap() -> None:
    policy = RetryPolicy(retries=20)
    waits = [policy.delay(TIMEOUT, attempt, random=1.0) for attempt in range(1, 10)]
    assert waits == [0.5, 1, 2, 4, 8, 16, 32, 60, 60]


def test_jitter_is_full() -> None:
    assert RetryPolicy(6).delay(TIMEOUT, 3, random=0.0) == 0
    assert RetryPolicy(6).delay(TIMEOUT, 3, random=0.5) == 2 * BASE_S


def test_it_gives_up_after_the_retries() -> None:
    assert RetryPolicy(2).delay(TIMEOUT, 2, random=0.5) is not None
    assert RetryPolicy(2).delay(TIMEOUT, 3, random=0.5) is None
    assert RetryPolicy(0).delay(TIMEOUT, 1, random=0.5) is None


@pytest.mark.parametrize("random", [0.0, 0.5, 0.999])
def test_retry_after_is_a_minimum(random: float) -> None:
    failure = RetryableError("rate_limited", "slow down", retry_after_s=120.0)
    wait = RetryPolicy(6).delay(failure, 1, random)
    assert wait is not None
    assert 120.0 <= wait < 120.0 + CAP_S


def test_retry_after_zero_is_at_once_and_backs_off_where_it_is_refused_again() -> None:
    failure = RetryableError("rate_limited", "", retry_after_s=0)
    waits = [RetryPolicy(6).delay(failure, attempt, random=1.0) for attempt in (1, 2, 3, 4)]
    assert waits == [0, 0.5, 1, 2]


def test_what_the_endpoint_asks_to_wait_is_enough_where_it_is_longer_than_the_back_off() -> None:
    failure = RetryableError("rate_limited", "", retry_after_s=30.0)
    assert [RetryPolicy(9).delay(failure, attempt, random=1.0) for attempt in (1, 6, 7, 8)] == [30.5, 30.5, 30.5, 32]


def test_an_address_that_never_answered_gets_two_quick_retries() -> None:
    nowhere = RetryableError("connection", "connection refused", unreachable=True)
    waits = [RetryPolicy(6).delay(nowhere, attempt, 0.9, answered=False) for attempt in (1, 2, 3)]
    assert waits == [0.25, 0.5, None]
    assert RetryPolicy(6).delay(nowhere, 3, 0.9, answered=True) is not None
    assert RetryPolicy(0).delay(nowhere, 1, 0.9, answered=False) is None


def test_a_large_attempt_number_does_not_overflow() -> None:
    assert RetryPolicy(10_000).delay(TIMEOUT, 9_999, random=1.0) == CAP_S
