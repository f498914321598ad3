"""Replies as models send them, one file each: a file dropped into positive/ or negative/ is a test.

kind: tags | questions | answer | object
schema: {…}                         of an object
content: the message's text         or  message: {…}  or  raw: the whole chat completion
finish_reason: stop                 when it is another; not with raw
expect: {items: […]}, {fields: {…}} or {answer: …, reasoning: …}, and usage: [prompt, completion, reasoning] where it
        matters;
        in negative/ {cause: …} and in detail a part of the sentence
"""

from pathlib import Path
from typing import Any

import pytest
import yaml

from distill_build.replies.parse import (
    ObjectSchema,
    ParsedAnswer,
    ParsedItems,
    ParsedObject,
    Rejection,
    parse_answer,
    parse_items,
    parse_object,
)
from distill_build.stages.builtin import questions, tags

HERE = Path(__file__).parent
CASES = sorted(HERE.glob("*/*.yaml"))


def completion(case: dict[str, Any]) -> Any:
    if "raw" in case:
        return case["raw"]
    message = case.get("message", {"role": "assistant", "content": case.get("content")})
    choice = {"index": 0, "message": message, "finish_reason": case.get("finish_reason", "stop")}
    return {"object": "chat.completion", "choices": [choice]}


def read(path: Path) -> dict[str, Any]:
    case: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return case


def parsed(case: dict[str, Any], raw: Any) -> ParsedAnswer | ParsedItems | ParsedObject | Rejection:
    match case["kind"]:
        case "answer":
            return parse_answer(raw)
        case "object":
            schema = ObjectSchema(case["schema"])
            schema.check("schema")
            return parse_object(raw, schema)
        case kind:
            return parse_items(raw, {"tags": tags.Builtin.reading, "questions": questions.Builtin.reading}[kind])


@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_reply_is_read_as_its_file_says(path: Path) -> None:
    case = read(path)
    expect, raw = case["expect"], completion(case)
    result = parsed(case, raw)
    match result:
        case Rejection():
            assert path.parent.name == "negative", result
            assert result.cause == expect["cause"]
            assert expect.get("detail", "") in result.detail
        case ParsedAnswer():
            assert (result.answer, result.reasoning) == (expect["answer"], expect["reasoning"])
        case ParsedObject():
            assert list(result.fields.items()) == list(expect["fields"].items())
            assert list(map(type, result.fields.values())) == list(map(type, expect["fields"].values()))
        case ParsedItems():
            assert list(result.items) == expect["items"]
    if "usage" in expect:
        usage = result.usage
        assert [usage.prompt_tokens, usage.completion_tokens, usage.reasoning_tokens] == expect["usage"]


def test_every_file_is_in_a_folder_and_says_what_it_expects() -> None:
    assert len(CASES) >= 60
    assert {path.parent.name for path in CASES} == {"positive", "negative"}
    for path in CASES:
        keys = set(read(path)["expect"])
        assert ("cause" in keys) == (path.parent.name == "negative"), path
