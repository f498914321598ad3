"""Replies as models send them, one file each: a file dropped into positive/ or negative/ is a test.

kind: tags | questions | answer
content: the message's text         or  message: {…}  or  raw: the whole chat completion
finish_reason: stop                 when it is another; not with raw
expect: {items: […]} or {answer: …, reasoning: …}, and usage: [prompt, completion, reasoning] if it matters;
        in negative/ {cause: …} and in detail a part of the sentence
"""

from pathlib import Path
from typing import Any

import pytest
import yaml

from distill_build.replies.parse import Rejection, parse_answer, parse_items, read_usage

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


@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_reply_is_read_as_its_file_says(path: Path) -> None:
    case = read(path)
    expect, raw = case["expect"], completion(case)
    result = parse_answer(raw) if case["kind"] == "answer" else parse_items(raw, case["kind"])
    if path.parent.name == "negative":
        assert isinstance(result, Rejection)
        assert result.cause == expect["cause"]
        assert expect.get("detail", "") in result.detail
        return
    assert not isinstance(result, Rejection), result
    if case["kind"] == "answer":
        assert (result.answer, result.reasoning) == (expect["answer"], expect["reasoning"])
    else:
        assert list(result) == expect["items"]
    if "usage" in expect:
        usage = read_usage(raw)
        assert [usage.prompt_tokens, usage.completion_tokens, usage.reasoning_tokens] == expect["usage"]


def test_every_file_is_in_a_folder_and_says_what_it_expects() -> None:
    assert len(CASES) >= 45
    assert {path.parent.name for path in CASES} == {"positive", "negative"}
    for path in CASES:
        keys = set(read(path)["expect"])
        assert ("cause" in keys) == (path.parent.name == "negative"), path
