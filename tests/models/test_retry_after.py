import pytest

from distill_build.models.retry_after import retry_after_s

NOW = 1_445_412_480.0  # Wed, 21 Oct 2015 07:28:00 GMT


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:30 GMT"}, 30.0),
        ({"retry-after": "Wed, 21 Oct 2015 07:27:00 GMT"}, 0.0),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({}, None),
    ],
)
def test_headers_are_read(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_s(headers, "", NOW) == seconds


@pytest.mark.parametrize(
    ("body", "seconds"),
    [
        ("Rate limit reached for gpt-4 on RPM: Limit 3, Used 3. Please try again in 2.5s.", 2.5),
        ("Please try again in 1m2.5s. Visit …", 62.5),
        ("Please try again in 350ms.", 0.35),
        ("please try again after 1 seconds", 1.0),
        ("Please retry after 30 seconds.", 30.0),
        ("Please wait 10 sec before", 10.0),
        ("Please retry in 6 minutes", 360.0),
        ("Try again in 1h30m", 5400.0),
        ('{"error": {"details": [{"@type": "RetryInfo", "retryDelay": "34s"}]}}', 34.0),
        ('{"error": {"message": "slow down", "retry_after": 5}}', 5.0),
        ("Request was rejected due to rate limiting. Details: TPM limit reached.", None),
        ("Limit: 3 requests per minute", None),
        ("", None),
    ],
)
def test_sentences_are_read_where_no_header_says_it(body: str, seconds: float | None) -> None:
    assert retry_after_s({}, body, NOW) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "body",
    [
        '{"message": "Please try again in 20s", "retry_after": 5}',
        '{"message": "Please retry in 20s", "details": [{"retryDelay": "5s"}]}',
        '{"message": "try again in 20s", "metadata": {"headers": {"X-RateLimit-Reset": "1445412485000"}}}',
    ],
)
def test_a_field_comes_before_the_sentence(body: str) -> None:
    assert retry_after_s({}, body, NOW) == 5.0
    assert retry_after_s({"retry-after": "soon"}, body, NOW) == 5.0


def test_a_header_comes_before_the_sentence() -> None:
    assert retry_after_s({"retry-after": "3"}, "try again in 20s", NOW) == 3.0
