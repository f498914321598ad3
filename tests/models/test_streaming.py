import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill_build.models.retry import RetryableError
from distill_build.models.streaming import Assembly
from tests.server import chunks, completion_of

BODY = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
TEXT = "First\u2028line, \u0085 \x0b and 体育 — done"
WHOLE = completion_of(BODY, {"content": TEXT, "reasoning_content": "Hm. Yes."}, "stop")


def events(line_end: str = "\n") -> bytes:
    pieces = [json.dumps(piece, ensure_ascii=False) for piece in chunks(WHOLE, include_usage=True)]
    lines = [": a comment", "event: message", *(f"data: {piece}{line_end}" for piece in pieces), "data: [DONE]"]
    return line_end.join(lines).encode()


@given(st.lists(st.integers(min_value=1, max_value=40), min_size=1), st.sampled_from(["\n", "\r\n"]))
def test_a_stream_may_be_cut_anywhere_on_its_way(sizes: list[int], line_end: str) -> None:
    data, assembly, step = events(line_end), Assembly(), 0
    while data:
        size = sizes[step % len(sizes)]
        assembly.feed(data[:size])
        data, step = data[size:], step + 1
    assert assembly.completion() == WHOLE


def test_a_stream_without_its_end_is_a_broken_connection() -> None:
    assembly = Assembly()
    assembly.feed(events()[: len(events()) // 2].rsplit(b"\n", 1)[0] + b"\n")
    with pytest.raises(RetryableError) as failure:
        assembly.completion()
    assert failure.value.cause == "connection"


def test_a_finish_reason_is_end_enough() -> None:
    assembly = Assembly()
    assembly.feed(events().removesuffix(b"data: [DONE]"))
    assert assembly.completion() == WHOLE


def test_an_error_event_is_handed_on() -> None:
    assembly = Assembly()
    assembly.feed(b'data: {"error": {"code": 429}}\n\n')
    assert assembly.completion() == {"error": {"code": 429}}


def test_an_event_that_is_not_json_is_a_bad_response() -> None:
    with pytest.raises(RetryableError) as failure:
        Assembly().feed(b"data: {nonsense}\n\n")
    assert failure.value.cause == "bad_response"
