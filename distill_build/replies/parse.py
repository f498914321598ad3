"""From a chat completion to what a stage asked for: a list of items, an object, or an answer with its reasoning.

The steps are in modules of their own: `reply` (the message and how it ended), `reasoning` (the chain of thought),
`lists`, `objects` and `choice` (JSON, plain lists or a label in a text), `labels` (what makes an item), `schemas` (what
was promised).
Any JSON value gives a result or a `Rejection`; both know the usage, so nobody has to read a completion twice for it.

How a reply ended comes before what stands in it: refusal, content filter, length, empty, then the parse.
A refusal is what the endpoint calls one, never guessed from the text; what was cut at the token limit is
neither an answer nor a list, even if it parses.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from distill_build.records import Usage
from distill_build.replies.choice import NoLabel, find_label
from distill_build.replies.labels import ListReading, clean, normalise
from distill_build.replies.lists import NoList, find_items, said_of_items
from distill_build.replies.objects import NoObject, find_fields, find_object, is_unicode
from distill_build.replies.reasoning import (
    ASKED_MARKS,
    NATIVE,
    USUAL_MARKS,
    Marks,
    Thoughts,
    answer_in,
    opened_at,
    split_reasoning,
)
from distill_build.replies.reply import Rejection, Reply, read_reply, read_usage, verdict
from distill_build.replies.schemas import ObjectSchema, list_schema, object_format, response_format

__all__ = [
    "ListReading",
    "ObjectSchema",
    "ParsedAnswer",
    "ParsedItems",
    "ParsedObject",
    "Rejection",
    "Reply",
    "Usage",
    "normalise",
    "object_format",
    "parse_answer",
    "parse_items",
    "parse_json",
    "parse_label",
    "parse_object",
    "parts_of",
    "read_reply",
    "read_usage",
    "response_format",
]


class ParsedAnswer(msgspec.Struct, frozen=True):
    """An answer and the chain of thought before it, both as they came but for outer white space."""

    reasoning: str | None
    answer: str
    finish_reason: str | None
    usage: Usage


class ParsedItems(msgspec.Struct, frozen=True):
    """The items of a list: cleaned, each once, in their order. `values` are theirs by axis, where the reading has axes;
    None is one that an item does not say, or that none of the axis is."""

    items: tuple[str, ...]
    finish_reason: str | None
    usage: Usage
    values: tuple[dict[str, str | None], ...] = ()


class ParsedObject(msgspec.Struct, frozen=True):
    """An object that fits its schema: the fields that the schema names, in its order."""

    fields: dict[str, Any]
    finish_reason: str | None
    usage: Usage


def parse_answer(raw: Any, thoughts: Thoughts = NATIVE) -> ParsedAnswer | Rejection:
    """The answer in the chat completion `raw`. Reasoning in a field of its own wins over a `<think>` block,
    which is taken off the answer in any case. Where the prompt has asked for a thought, that one alone counts."""
    return _answer(raw, thoughts, lambda text: text)


def parse_label(raw: Any, labels: Sequence[str], thoughts: Thoughts = NATIVE) -> ParsedAnswer | Rejection:
    """As `parse_answer`; the answer is the one of `labels` that the chat completion `raw` gives, as it stands there."""

    def read(text: str) -> str | Rejection:
        found = find_label(text, labels)
        return Rejection("invalid", found.detail) if isinstance(found, NoLabel) else found

    return _answer(raw, thoughts, read)


def parse_json(raw: Any, schema: ObjectSchema, thoughts: Thoughts = NATIVE) -> ParsedAnswer | Rejection:
    """As `parse_answer`; the answer is the JSON object in the chat completion `raw` that fits `schema`: on one line,
    without spaces, its keys in the order of the reply."""

    def read(text: str) -> str | Rejection:
        found = find_object(text, schema)
        if isinstance(found, NoObject):
            return Rejection("invalid", found.detail)
        return msgspec.json.encode(found).decode()

    return _answer(raw, thoughts, read)


def _answer(raw: Any, thoughts: Thoughts, read: Callable[[str], str | Rejection]) -> ParsedAnswer | Rejection:
    """The chain of thought in a completion, and what `read` makes of the text that follows it."""
    reply = _sound_reply(raw)
    if isinstance(reply, Rejection):
        return reply
    thought, text = split_thought(reply, thoughts.marks)
    reasoning = reply.reasoning or thought
    if thoughts.asked:
        reasoning, text = split_reasoning(text or "", (ASKED_MARKS,))
    if thoughts.needed and reasoning is None:
        return Rejection("no_reasoning", _without_reasoning(thoughts), reply.usage)
    if not text:
        return Rejection("empty", "The reply holds reasoning but no answer after it.", reply.usage)
    answer = read(text)
    if isinstance(answer, Rejection):
        return replace(answer, usage=reply.usage)
    if not is_unicode(answer) or (reasoning is not None and not is_unicode(reasoning)):
        return Rejection("invalid", "The reply holds half a surrogate pair, which is no character.", reply.usage)
    if thoughts.asked and any(mark in f"{reasoning}\n{answer}" for mark in ASKED_MARKS):
        again = "The marks of the reasoning stand in the reply more than once; each belongs there once, at its start."
        return Rejection("invalid", again, reply.usage)
    return ParsedAnswer(None if thoughts.mode == "drop" else reasoning, answer, reply.finish_reason, reply.usage)


def _without_reasoning(thoughts: Thoughts) -> str:
    if thoughts.asked:
        return "The reply does not begin with reasoning between {} and {}.".format(*ASKED_MARKS)
    return "The reply holds an answer without reasoning."


def parse_items(raw: Any, reading: ListReading, own: tuple[Marks, ...] | None = None) -> ParsedItems | Rejection:
    """The items listed in the chat completion `raw`: cleaned, each once (see `normalise`), in their order.

    More or fewer than were asked for are accepted, an empty JSON list too; a list whose items are all
    unusable is rejected, and so is one that is not closed.
    """
    reply = _sound_reply(raw)
    if isinstance(reply, Rejection):
        return reply
    _, text = split_thought(reply, own)
    if not text:
        return Rejection("empty", "The reply holds reasoning but no list after it.", reply.usage)
    found = find_items(text, reading)
    if isinstance(found, NoList):
        return Rejection("invalid", found.detail, reply.usage)
    kept, dropped = clean(found, reading)
    if found and not kept:
        return Rejection("invalid", f"None of the {reading.name} can be used: {'; '.join(dropped)}.", reply.usage)
    items = _distinct(kept)
    fault = list_schema(reading.name).fault({reading.name: list(items)})
    if fault is not None:
        return Rejection("invalid", f"The list does not fit its schema: {fault}.", reply.usage)
    values = _values(items, text, reading) if reading.axes else ()
    return ParsedItems(items, reply.finish_reason, reply.usage, values)


def parse_object(raw: Any, schema: ObjectSchema, own: tuple[Marks, ...] | None = None) -> ParsedObject | Rejection:
    """The JSON object in the chat completion `raw` that fits `schema`; several have to be the same, but for drafts.

    Read as tolerantly as a list is (fences, prose around it, broken JSON, a wrapping object), and held to the schema
    without tolerance of meaning: what is missing stays missing.
    """
    reply = _sound_reply(raw)
    if isinstance(reply, Rejection):
        return reply
    _, text = split_thought(reply, own)
    if not text:
        return Rejection("empty", "The reply holds reasoning but no JSON object after it.", reply.usage)
    found = find_fields(text, schema)
    if isinstance(found, NoObject):
        return Rejection("invalid", found.detail, reply.usage)
    return ParsedObject(found, reply.finish_reason, reply.usage)


def _sound_reply(raw: Any) -> Reply | Rejection:
    """The reply in the chat completion `raw`, unless it has none, or one that says itself that it is none."""
    reply = read_reply(raw)
    if isinstance(reply, Rejection):
        return reply
    return verdict(reply) or reply


def split_thought(reply: Reply, own: tuple[Marks, ...] | None = None) -> tuple[str | None, str | None]:
    """The thought in a reply's content, and what follows it. `own` marks stand in the place of the usual ones.

    With reasoning in a field of its own, a closing tag without an opening one counts at the start alone.
    """
    if reply.reasoning is None:
        return split_reasoning(reply.content, own)
    text, known = reply.content.strip(), USUAL_MARKS if own is None else own
    for _, closing in known:
        if text.startswith(closing):
            return None, text.removeprefix(closing).strip()
    return split_reasoning(text, own) if opened_at(text, 0, known) is not None else (None, answer_in(text).strip())


def parts_of(reply: Reply, thoughts: Thoughts) -> tuple[tuple[str, ...], str]:
    """All thoughts in a reply, also those that do not count, and the text that follows them."""
    thought, text = split_thought(reply, thoughts.marks)
    asked, text = split_reasoning(text or "", (ASKED_MARKS,)) if thoughts.asked else (None, text)
    return tuple(filter(None, (reply.reasoning, thought, asked))), text or ""


def _values(items: Iterable[str], text: str, reading: ListReading) -> tuple[dict[str, str | None], ...]:
    """What each item says of itself, by axis."""
    said: dict[str, dict[str, Any]] = {}
    for found, fields in said_of_items(text, reading):
        kept, _ = clean([found], reading)
        for item in kept:
            said[normalise(item)] = fields  # of a draft and what comes of it the last counts, as of the list
    known = {axis: {normalise(value): value for value in values} for axis, values in reading.axes}
    return tuple(
        {axis: _value(said.get(normalise(item), {}).get(axis.lower()), values) for axis, values in known.items()}
        for item in items
    )


def _value(said: Any, values: Mapping[str, str]) -> str | None:
    return values.get(normalise(said)) if isinstance(said, str) else None


def _distinct(items: Iterable[str]) -> tuple[str, ...]:
    """`items` without those that say the same as one before."""
    first: dict[str, str] = {}
    for item in items:
        first.setdefault(normalise(item), item)
    return tuple(first.values())
