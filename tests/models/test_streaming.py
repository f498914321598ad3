import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill_build.models.retry import RetryableError
from distill_build.models.streaming import Assembly
from distill_build.replies.parse import ParsedAnswer, parse_answer
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


def stream(*pieces: object, end: bytes = b"data: [DONE]\n\n") -> Assembly:
    assembly = Assembly()
    for piece in pieces:
        assembly.feed(b"data: " + json.dumps(piece).encode() + b"\n\n")
    assembly.feed(end)
    return assembly


def delta(finish_reason: str | None = None, **fields: object) -> dict[str, object]:
    return {"choices": [{"index": 0, "delta": fields, "finish_reason": finish_reason}]}


def test_a_chunk_that_is_an_error_is_handed_on_though_the_stream_says_that_it_is_done() -> None:
    error = {"object": "error", "message": "the engine is dead", "code": 500}
    assert stream(delta(content="The offside rule"), error).completion()["error"] == error


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (
            b'{"message": "overloaded", "type": "overloaded_error"}',
            {"message": "overloaded", "type": "overloaded_error"},
        ),
        (b'{"error": {"message": "overloaded"}}', {"message": "overloaded"}),
        (b"upstream went away", {"message": "upstream went away"}),
    ],
)
def test_an_event_of_the_kind_error_is_one_whatever_its_form(data: bytes, error: dict[str, object]) -> None:
    assembly = stream(delta(content="The offside rule"), end=b"")
    assembly.feed(b"event: error\r\ndata: " + data + b"\r\n\r\n")
    assert assembly.completion()["error"] == error


def test_the_kind_of_an_event_ends_with_it() -> None:
    assembly = Assembly()
    assembly.feed(b"event: error\n\n" + b"data: " + json.dumps(delta("stop", content="Eleven.")).encode() + b"\n\n")
    assert assembly.completion()["choices"][0]["message"]["content"] == "Eleven."


def test_a_stream_that_is_done_without_a_finish_reason_is_no_answer() -> None:
    with pytest.raises(RetryableError, match="no finish_reason; try stream=false"):
        stream(delta(content="The offside rule")).completion()


def test_an_empty_event_is_a_sign_of_life() -> None:
    assembly = stream(delta(content="Ele"), end=b"data:\n\n")
    assembly.feed(b"data: " + json.dumps(delta("stop", content="ven.")).encode() + b"\n\n")
    assert assembly.completion()["choices"][0]["message"]["content"] == "Eleven."


def test_a_choice_that_is_none_is_left_out() -> None:
    assert stream({"choices": [None]}, delta("stop", content="Eleven.")).completion()["choices"][0]["index"] == 0


def test_reasoning_in_parts_before_an_answer_in_text_is_kept() -> None:
    def thinking(text: str) -> list[object]:
        return [{"type": "thinking", "thinking": [{"type": "text", "text": text}]}]

    assembly = stream(
        delta(content=thinking("Two teams ")), delta(content=thinking("of eleven.")), delta(content="Twenty"),
        delta("stop", content="-two."),
    )  # fmt: skip
    parsed = parse_answer(assembly.completion())
    assert isinstance(parsed, ParsedAnswer)
    assert (parsed.reasoning, parsed.answer) == ("Two teams of eleven.", "Twenty-two.")


@pytest.mark.parametrize("kind", ["chat.completion.chunk", "chat.completion"])
@pytest.mark.parametrize("reasoning", [{}, {"reasoning_content": "Hm. So."}])
def test_a_message_that_says_all_of_it_once_more_is_taken_once(kind: str, reasoning: dict[str, str]) -> None:
    whole = {"role": "assistant", "content": "The answer.", **reasoning}
    deltas = [{"role": "assistant", "content": ""}, {"reasoning_content": "Hm. "}, {"reasoning_content": "So."}]
    deltas += [{"content": "The "}, {"content": "answer."}]
    chunks = [{"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    chunks += [{"object": kind, "choices": [{"index": 0, "message": whole, "finish_reason": "stop"}]}]
    assembly = Assembly()
    for chunk in chunks:
        assembly.feed(f"data: {json.dumps(chunk)}\n\n".encode())
    message = assembly.completion()["choices"][0]["message"]
    assert message == {"role": "assistant", "content": "The answer.", "reasoning_content": "Hm. So."}


def test_a_message_beside_a_delta_and_an_empty_one_at_the_end_add_nothing() -> None:
    assembly = Assembly()
    both = {"index": 0, "delta": {"content": "Yes."}, "message": {"content": "Yes."}}
    for choice in (both, {"index": 0, "message": {"content": ""}, "finish_reason": "stop"}):
        assembly.feed(f"data: {json.dumps({'choices': [choice]})}\n\n".encode())
    assert assembly.completion()["choices"][0]["message"]["content"] == "Yes."


@pytest.mark.parametrize("parted", [b"\n\n", b"\r\n\r\n", b"\n"])
def test_an_event_may_be_split_over_lines_and_events_may_follow_each_other_line_by_line(parted: bytes) -> None:
    assembly = Assembly()
    first = json.dumps(delta(None, content="Ele"), indent=1).encode().replace(b"\n", b"\ndata: ")
    assembly.feed(b"data: " + first + b"\n\n")
    for piece in (delta(None, content="v"), delta("stop", content="en.")):
        assembly.feed(b"data: " + json.dumps(piece).encode() + parted)
    assembly.feed(b"data: [DONE]")
    assert assembly.completion()["choices"][0]["message"]["content"] == "Eleven."


def test_an_error_may_be_split_over_lines() -> None:
    assembly = Assembly()
    assembly.feed(b'event: error\ndata: {"error":\ndata: {"message": "busy"}}')
    assert assembly.completion()["error"] == {"message": "busy"}


@pytest.mark.parametrize("nothing", [b"[]", b"null", b"{}", b""])
def test_an_event_that_says_nothing_is_a_sign_of_life(nothing: bytes) -> None:
    assembly = Assembly()
    assembly.feed(b"data: " + nothing + b"\n\ndata: " + json.dumps(delta("stop", content="Eleven.")).encode())
    assert assembly.completion()["choices"][0]["message"]["content"] == "Eleven."


@pytest.mark.parametrize("cut", [b'{"choices": [', b"[1]", b"{nonsense}\ndata: {}"])
def test_an_event_that_never_becomes_an_object_is_a_bad_response(cut: bytes) -> None:
    assembly = Assembly()
    with pytest.raises(RetryableError, match="not"):
        assembly.feed(b"data: " + cut + b"\n\n")
