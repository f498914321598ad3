"""Whatever comes is read or rejected. What models really send lies in tests/replies, one file a case."""

import json
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill_build.replies.parse import (
    ListReading,
    ParsedAnswer,
    ParsedItems,
    Rejection,
    Reply,
    Usage,
    normalise,
    parse_answer,
    parse_items,
    read_reply,
    read_usage,
)
from distill_build.replies.schemas import item_schema
from distill_build.stages.builtin import questions, tags

READINGS = (tags.Builtin.reading, questions.Builtin.reading)
TAGS, QUESTIONS = READINGS


def completion(message: Any, finish_reason: Any = "stop") -> dict[str, Any]:
    return {"choices": [{"index": 0, "message": message, "finish_reason": finish_reason}]}


def said(content: Any, **fields: Any) -> dict[str, Any]:
    return completion({"role": "assistant", "content": content, **fields})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)
# Random text seldom looks like a reply, so bits of replies are thrown together too.
pieces = st.sampled_from(
    ["<think>", "</think>", "<thought>", "```json\n", "```", "{", "}", "[", "]", '"', "'", "“", "”", ",", "，", ":",
     '"tags"', '"questions"', "\\", "\n", "1. ", "- ", "一、", "//", "/*", "*/", "网球", "Why so?", " ", "\ud800"]
)  # fmt: skip
contents = st.lists(pieces | st.text(max_size=5), max_size=25).map("".join)
FIELDS = ("content", "reasoning_content", "reasoning", "reasoning_details", "refusal", "tool_calls")
messages = st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, json_values | contents))
replies = st.builds(
    completion, messages | json_values, st.sampled_from(["stop", "length", None, "error"]) | json_values
)


@given(json_values | replies)
def test_any_json_value_is_read_or_rejected(raw: Any) -> None:
    assert isinstance(read_reply(raw), Reply | Rejection)
    assert isinstance(parse_answer(raw), ParsedAnswer | Rejection)
    assert isinstance(read_usage(raw), Usage)
    for reading in READINGS:
        assert isinstance(parse_items(raw, reading), ParsedItems | Rejection)


@given(contents)
def test_answer_and_reasoning_are_parts_of_what_came(content: str) -> None:
    parsed = parse_answer(said(content))
    if isinstance(parsed, ParsedAnswer):
        assert parsed.answer in content
        assert parsed.answer == parsed.answer.strip() != ""
        assert parsed.reasoning is None or (parsed.reasoning in content and parsed.reasoning.strip())


@given(contents, st.sampled_from(READINGS))
def test_items_are_distinct_clean_and_fit_their_schema(content: str, reading: ListReading) -> None:
    parsed = parse_items(said(content), reading)
    if isinstance(parsed, ParsedItems):
        items = parsed.items
        assert len(set(map(normalise, items))) == len(items)
        assert all(item == item.strip() != "" for item in items)
        jsonschema.validate({reading.name: list(items)}, item_schema(reading.name, None))
        "".join(items).encode()


@given(st.lists(st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "Z"]), min_size=1), min_size=1))
def test_no_beginning_of_a_list_is_a_list(items: list[str]) -> None:
    whole = json.dumps({"tags": items}, ensure_ascii=False)
    for end in range(whole.index("[") + 1, len(whole)):
        parsed = parse_items(said(whole[:end]), TAGS)
        assert isinstance(parsed, Rejection), whole[:end]


@pytest.mark.parametrize(
    ("message", "finish_reason", "cause"),
    [
        ({"content": "", "refusal": "No."}, "content_filter", "refusal"),
        ({"content": ""}, "content_filter", "content_filter"),
        ({"content": ""}, "length", "length"),
        ({"content": ""}, "stop", "empty"),
        ({"content": "no list"}, "stop", "invalid"),
    ],
)
def test_how_a_reply_ended_comes_before_what_it_says(message: Any, finish_reason: str, cause: str) -> None:
    parsed = parse_items(completion(message, finish_reason), TAGS)
    assert isinstance(parsed, Rejection)
    assert parsed.cause == cause


@pytest.mark.parametrize("deep", ["[" * 100_000, '{"a":' * 50_000, "[" * 3000 + "]" * 3000, "- " * 200_000])
def test_absurd_replies_are_rejected_in_time(deep: str) -> None:
    assert isinstance(parse_items(said(deep), TAGS), Rejection)


def test_reasoning_in_a_field_of_its_own_wins() -> None:
    parsed = parse_answer(said("<think>a copy</think>Yes.", reasoning_content="The original."))
    assert isinstance(parsed, ParsedAnswer)
    assert (parsed.reasoning, parsed.answer) == ("The original.", "Yes.")


def test_with_reasoning_in_a_field_a_closing_tag_further_down_is_text() -> None:
    parsed = parse_answer(said("First.\n</think>\nSecond.", reasoning_content="Thoughts."))
    assert isinstance(parsed, ParsedAnswer)
    assert (parsed.reasoning, parsed.answer) == ("Thoughts.", "First.\n</think>\nSecond.")


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"prompt_tokens": 3, "completion_tokens": 5}, Usage(3, 5, 0)),
        ({"completion_tokens": 9, "completion_tokens_details": {"reasoning_tokens": 7}}, Usage(0, 9, 7)),
        ({"completion_tokens": 9, "completion_tokens_details": None, "reasoning_tokens": 4}, Usage(0, 9, 4)),
        ({"prompt_tokens": 3.0, "completion_tokens": float("nan")}, Usage(3, 0, 0)),
        ({"prompt_tokens": -1, "completion_tokens": "5"}, Usage(0, 0, 0)),
        ({"prompt_tokens": True}, Usage(0, 0, 0)),
        (None, Usage(0, 0, 0)),
        ([], Usage(0, 0, 0)),
    ],
)
def test_usage_is_zero_where_the_endpoint_does_not_say(usage: Any, expected: Usage) -> None:
    assert read_usage({"usage": usage}) == expected


def test_the_schema_asks_for_exactly_so_many() -> None:
    schema = item_schema("tags", 5)
    jsonschema.validate({"tags": ["a"] * 5}, schema)
    for wrong in ({"tags": ["a"] * 4}, {"tags": [1] * 5}, {"tags": ["a"] * 5, "more": 1}, {}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, schema)
