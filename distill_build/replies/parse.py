"""From a chat completion to what a stage asked for: a list of items, or an answer with its reasoning.

The only module that knows jsonschema, which is loaded when the first list comes. The steps are in modules of
their own: `reply` (the message and how it ended), `reasoning` (the chain of thought), `lists` (JSON or plain
lists in a text), `labels` (what makes an item). Any JSON value gives a result or a `Rejection`.

How a reply ended comes before what stands in it: refusal, content filter, length, empty, then the parse.
A refusal is what the endpoint calls one, never guessed from the text; what was cut at the token limit is
neither an answer nor a list, even if it parses.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from distill_build.records import Usage
from distill_build.replies.labels import Kind, clean, normalise
from distill_build.replies.lists import NoList, find_items
from distill_build.replies.reasoning import split_reasoning
from distill_build.replies.reply import Rejection, Reply, read_reply, read_usage, verdict

if TYPE_CHECKING:
    from jsonschema.protocols import Validator

__all__ = [
    "Kind",
    "ParsedAnswer",
    "Rejection",
    "Reply",
    "Usage",
    "item_schema",
    "normalise",
    "parse_answer",
    "parse_items",
    "read_reply",
    "read_usage",
    "response_format",
]


@dataclass(frozen=True, slots=True)
class ParsedAnswer:
    """An answer and the chain of thought before it, both as they came but for outer white space."""

    reasoning: str | None
    answer: str
    finish_reason: str | None
    usage: Usage


def parse_answer(raw: Any) -> ParsedAnswer | Rejection:
    """The answer in the chat completion `raw`. Reasoning in a field of its own wins over a `<think>` block,
    which is taken off the answer in any case."""
    reply = _sound_reply(raw)
    if isinstance(reply, Rejection):
        return reply
    thought, answer = visible(reply)
    if not answer:
        return Rejection("empty", "The reply holds reasoning but no answer after it.")
    reasoning = reply.reasoning or thought
    if not is_unicode(answer) or (reasoning is not None and not is_unicode(reasoning)):
        return Rejection("invalid", "The reply holds half a surrogate pair, which is no character.")
    return ParsedAnswer(reasoning, answer, reply.finish_reason, reply.usage)


def parse_items(raw: Any, kind: Kind) -> tuple[str, ...] | Rejection:
    """The items listed in the chat completion `raw`: cleaned, each once (see `normalise`), in their order.

    More or fewer than were asked for are accepted, an empty JSON list too; a list whose items are all
    unusable is rejected, and so is one that is not closed.
    """
    reply = _sound_reply(raw)
    if isinstance(reply, Rejection):
        return reply
    _, text = visible(reply)
    if not text:
        return Rejection("empty", "The reply holds reasoning but no list after it.")
    found = find_items(text, kind)
    if isinstance(found, NoList):
        return Rejection("invalid", found.detail)
    kept, dropped = clean(found, kind)
    if found and not kept:
        return Rejection("invalid", f"None of the {kind} can be used: {'; '.join(dropped)}.")
    return validated(distinct(kept), kind)


def _sound_reply(raw: Any) -> Reply | Rejection:
    """The reply in the chat completion `raw`, unless it has none, or one that says itself that it is none."""
    reply = read_reply(raw)
    if isinstance(reply, Rejection):
        return reply
    return verdict(reply) or reply


def visible(reply: Reply) -> tuple[str | None, str | None]:
    """The thought in a reply's content, and what follows it.

    With reasoning in a field of its own, a closing tag without an opening one counts at the start alone.
    """
    content = reply.content
    if "think" not in content and "<thought>" not in content:
        return None, content.strip()
    if reply.reasoning is not None:
        text = content.strip()
        if text.startswith("</think>"):
            return None, text.removeprefix("</think>").strip()
        if not text.startswith("<th"):
            return None, text
    return split_reasoning(content)


def distinct(items: Iterable[str]) -> tuple[str, ...]:
    """`items` without those that say the same as one before."""
    first: dict[str, str] = {}
    for item in items:
        first.setdefault(normalise(item), item)
    return tuple(first.values())


def is_unicode(text: str) -> bool:
    """Whether `text` can be written as UTF-8: JSON may escape half a surrogate pair, no file can hold one."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def validated(items: tuple[str, ...], kind: Kind) -> tuple[str, ...] | Rejection:
    """`items` if they are what the schema promises, however tolerantly they were read."""
    for error in validator(kind).iter_errors({kind: list(items)}):
        return Rejection("invalid", f"The list does not fit its schema: {error.message}.")
    return items


@cache
def validator(kind: Kind) -> "Validator":
    from jsonschema import Draft202012Validator  # 0.1 s to import, and answers alone need none of it

    return Draft202012Validator(item_schema(kind, None))


def item_schema(kind: Kind, count: int | None) -> dict[str, Any]:
    """The JSON schema of an object with one list of `count` texts; None: of any number."""
    exactly = {} if count is None else {"minItems": count, "maxItems": count}
    return {
        "type": "object",
        "properties": {kind: {"type": "array", "items": {"type": "string"}, **exactly}},
        "required": [kind],
        "additionalProperties": False,
    }


def response_format(
    kind: Kind, count: int | None, structured: Literal["json_schema", "json_object", "none"]
) -> dict[str, Any] | None:
    """OpenAI's `response_format` for a list; None where the endpoint takes none."""
    if structured == "none":
        return None
    if structured == "json_object":
        return {"type": "json_object"}
    schema = item_schema(kind, count)
    return {"type": "json_schema", "json_schema": {"name": kind, "strict": True, "schema": schema}}
