"""What the replies to `check` mean: whether an endpoint does what the configuration needs, and what else. Pure."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from distill_build.models.base import ModelSettings
from distill_build.models.probe import ProbeResult
from distill_build.records import JsonObject, number_of
from distill_build.replies.parse import (
    ListReading,
    Rejection,
    Reply,
    parse_answer,
    parse_items,
    read_reply,
    read_usage,
    split_thought,
)
from distill_build.replies.reasoning import USUAL_MARKS, Thoughts, opened_at
from distill_build.replies.reply import first_choice, verdict
from distill_build.soft_labels import has_token_ids

MARK = re.compile(r"\s*(<[\w|:.-]+>|\[[A-Z_:]+\])")
"""What may open a chain of thought in a text: <plan>, <own:plan>, <|plan|>, [PLAN]."""
TINY = 48
"""The longest reply that is asked for, in tokens: a short list in JSON fits, and no chain of thought."""

FindingState = Literal["ok", "no", "fails"]
"""It works; it is not there, and the configuration does not need it; a build with this configuration fails."""


class Finding(msgspec.Struct, frozen=True):
    """One answer to "can it …?". `detail` holds the setting to change where `state` is fails."""

    name: str
    state: FindingState
    detail: str = ""


def access(first: ProbeResult, model: ModelSettings, *, sends_key: bool) -> list[Finding]:
    """Whether the endpoint can be reached, takes the key, knows the model, and answers the first request."""
    limit = f", {model.max_tokens_field} is taken" if model.max_tokens is not None else ""
    good = {
        "reachable": "the engine starts" if model.engine == "embedded" else "it replies",
        "key": f"{model.api_key_env} was sent and not refused" if sends_key else "none was sent, none is demanded",
        "model": "known",
        "answer": f"in {first.seconds:.1f} s{limit}",
    }
    if first.raw is not None:
        if (fault := fault_of_answer(first.raw, model)) is not None:
            del good["answer"]
        found = [Finding(name, "ok", detail) for name, detail in good.items()]
        return found if fault is None else [*found, Finding("answer", "fails", fault)]
    at_fault = "answer" if first.part == "request" else first.part
    if first.heard is None:  # a missing key is found before anything is sent
        seen, at_fault = [], "key" if first.part == "key" else "reachable"
    else:
        seen = ["reachable"] if first.passing else list(good)[: list(good).index(at_fault)]
    again = ". Try again later" if first.passing else ""
    return [*(Finding(name, "ok", good[name]) for name in seen), Finding(at_fault, "fails", first.refusal + again)]


def fault_of_answer(raw: JsonObject, model: ModelSettings) -> str | None:
    """Why a build could not use such an answer; None where it could, and where the reply was cut for being tiny."""
    answer = parse_answer(raw, Thoughts(model.reasoning_marks))
    if not isinstance(answer, Rejection) or answer.cause == "length":
        return None
    reply = read_reply(raw)
    if answer.cause == "empty" and not isinstance(reply, Rejection) and _thought_in(reply, model):
        return (
            "all of its text came as reasoning and none as the answer: switch off the server's reasoning parser, or "
            "the model's thinking"
        )
    return answer.detail


def _thought_in(reply: Reply, model: ModelSettings) -> str | None:
    return reply.reasoning or split_thought(reply, model.reasoning_marks)[0]


def own_words(refusal: str) -> str:
    """The endpoint's own words in a refusal, which stand in brackets at its end; else all of it."""
    words = re.search(r"\((\d{3}: .*)\)$", refusal)
    return words[1] if words else refusal


def logprobs(outcome: ProbeResult, assignments: Sequence[str]) -> Finding:
    """Whether log probabilities come, and with the ids of tokens, without which nobody can learn from them;
    `assignments` have them kept."""
    if outcome.raw is None:
        return Finding("logprobs", "no", f"not taken: {outcome.refusal}")
    if not first_choice(outcome.raw["choices"]).get("logprobs"):
        return Finding("logprobs", "no", "taken, but none came back")
    if has_token_ids(outcome.raw):
        return Finding("logprobs", "ok", f"with the ids of tokens: {' '.join(assignments)} keeps soft labels")
    return Finding("logprobs", "ok", "returned where they are asked for, without the ids of tokens: no soft labels")


def streaming(first: ProbeResult, model: ModelSettings) -> Finding:
    """Whether a reply came as a stream, where one was asked for."""
    if not model.stream:
        return Finding("stream", "no", "not asked for: stream=false")
    kind = first.heard.headers.get("content-type", "") if first.heard else ""
    came = "event-stream" in kind
    return Finding("stream", "ok" if came else "no", "as configured" if came else "asked for; it came in one piece")


def reasoning(raw: JsonObject, model: ModelSettings) -> Finding:
    """Where the chain of thought of a completion stands."""
    message: Mapping[str, Any] = first_choice(raw["choices"])["message"]
    reply = read_reply(raw)
    fields = [name for name in ("reasoning_content", "reasoning", "reasoning_details") if message.get(name)]
    if fields:
        return Finding("reasoning", "ok", f"in {fields[0]}")
    if not isinstance(reply, Rejection) and reply.reasoning:
        return Finding("reasoning", "ok", "in parts of the content")
    if not isinstance(reply, Rejection) and _thought_in(reply, model):
        known = USUAL_MARKS if model.reasoning_marks is None else model.reasoning_marks
        opened = opened_at(reply.content, 0, known)
        marked = "before a mark that ends it" if opened is None else "between {} and {}".format(*opened[0])
        return Finding("reasoning", "ok", f"in the text, {marked}")
    kept = read_usage(raw).reasoning_tokens
    seen = f"{number_of(kept, 'tokens')} of it, not shown" if kept else "none was seen"
    return Finding("reasoning", "no", seen + ("" if isinstance(reply, Rejection) else _unknown_mark(reply.content)))


def finish_reason(raw: JsonObject) -> Finding:
    """How a completion says that it ended, and what a build takes that for."""
    reply = read_reply(raw)
    if isinstance(reply, Rejection) or reply.finish_reason is None:
        return Finding("finish", "no", "no finish_reason came: a reply that is cut cannot be told from a whole one")
    ended = verdict(reply)
    taken = "whole" if ended is None or ended.cause == "empty" else ended.cause
    return Finding("finish", "ok", f"finish_reason {reply.finish_reason}, which is taken for {taken}")


def usage(raw: JsonObject) -> Finding:
    """What a budget and the rows go by."""
    counted = read_usage(raw)
    if not counted.prompt_tokens and not counted.completion_tokens:
        return Finding("usage", "no", "no tokens are counted: budgets go by the length of the texts")
    thought = f", {counted.reasoning_tokens:,} of them reasoning" if counted.reasoning_tokens else ""
    return Finding(
        "usage", "ok", f"{counted.prompt_tokens:,} prompt + {counted.completion_tokens:,} completion{thought}"
    )


def _unknown_mark(text: str) -> str:
    """What is to be said of a mark that a text begins with, if it does; empty where it does not."""
    mark = MARK.match(text)
    if mark is None:
        return ""
    return (
        f". The text begins with {mark[1]}: if that opens a chain of thought, name it and what closes it in "
        "model.reasoning_marks"
    )


def judged_list(raw: JsonObject, reading: ListReading) -> str:
    """Whether the list that was asked for came, under its name."""
    items = parse_items(raw, reading)
    if not isinstance(items, Rejection):
        return "taken, and the list came"
    if items.cause == "length":
        return f"taken; the reply was cut at {TINY} tokens, so nothing is known of the list"
    return f"taken, but this reply held no list: {items.detail}"


def same_seed_sentence(first: JsonObject, second: JsonObject, model: ModelSettings) -> str:
    """What two replies with one seed say. They are short: the same text twice may be chance."""
    if first_choice(first["choices"])["message"] != first_choice(second["choices"])["message"]:
        return "taken; the same seed gave two texts, so it does not decide the reply"
    without_chance = " (at temperature 0 that says little)" if model.temperature == 0 else ", which may be chance"
    return f"taken; the same seed gave the same short text twice{without_chance}"


def limit_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers that tell of rate limits: x-ratelimit-*, RateLimit-* and retry-after*."""
    found = {name for name in headers if "ratelimit" in name.replace("-", "") or name.startswith("retry-after")}
    return {name: headers[name] for name in sorted(found)}
