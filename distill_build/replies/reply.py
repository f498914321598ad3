"""Reads a chat completion: the text of its message, why it ended, what it used.

Knows the shapes in which OpenAI-compatible endpoints send these, and nothing of lists or answers. A reply is
data: whatever JSON came, the result is a `Reply` or a `Rejection`, never an exception.
"""

import math
import re
from collections.abc import Iterator
from itertools import chain
from typing import Any, Literal

import msgspec

from distill_build.records import Usage
from distill_build.soft_labels import lack_in

RejectionCause = Literal["length", "content_filter", "refusal", "empty", "invalid", "no_reasoning", "no_token_ids"]
BY_READING: frozenset[str] = frozenset({"empty", "invalid", "no_reasoning"})
"""Those that a reply may not give cause for where it is read by other settings."""
NO_USAGE = Usage(0, 0, 0)


class Rejection(msgspec.Struct, frozen=True):
    """A reply that holds no result. `detail` is a sentence that can be shown to the model in a re-ask; `usage` is what
    it has cost all the same."""

    cause: RejectionCause
    detail: str
    usage: Usage = NO_USAGE


class Reply(msgspec.Struct, frozen=True):
    """The message of a chat completion. `content` still holds a `<think>` block where the model sent one;
    `reasoning` is what came in a field of its own."""

    content: str
    reasoning: str | None
    finish_reason: str | None
    refusal: str | None
    usage: Usage


# Beside OpenAI's own `stop`: Anthropic and Bedrock (end_turn, stop_sequence), TGI and Together (eos, eos_token), Cohere
# and LM Studio (complete, completed). Only what is known to be whole is taken for it.
WHOLE = frozenset({"stop", "end_turn", "stop_sequence", "eos", "eos_token", "complete", "completed"})
CUT = re.compile(r"length|max_(output_|new_)?tokens|context_window|^limit$")
# Gemini (safety, recitation, prohibited_content, blocklist, spii), GLM (sensitive), Bedrock (guardrail_intervened).
FILTERED = re.compile(r"safety|prohibited|blocklist|recitation|filter|sensitive|spii|guardrail|toxic")


def read_reply(raw: Any) -> Reply | Rejection:
    """The first choice of `raw`. Rejects (`invalid`) what is no completion, or calls a tool in place of it, and
    (`no_token_ids`) what was found to lack the soft labels that were asked for.

    What was read already is returned as it is. How the reply ended is not judged here: see `verdict`.
    """
    if isinstance(raw, Reply | Rejection):
        return raw
    if not isinstance(raw, dict):
        return Rejection("invalid", "The reply is not a chat completion object.")
    usage = read_usage(raw)
    if (lack := lack_in(raw)) is not None:
        return Rejection("no_token_ids", f"No soft labels can be made of the reply: {lack.why}.", usage)
    choices = raw.get("choices")
    choice = first_choice(choices) if isinstance(choices, list) else None
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(choice, dict) or not isinstance(message, dict):
        return Rejection("invalid", without_message(raw), usage)
    content, refusal = read_content(message.get("content"))
    if content is None:
        return Rejection("invalid", "The message's content is neither text nor a list of text parts.", usage)
    if not content.strip() and (message.get("tool_calls") or message.get("function_call")):
        return Rejection("invalid", "The reply calls a tool instead of answering in text.", usage)
    finish_reason = choice.get("finish_reason")
    return Reply(
        content=content,
        reasoning=read_reasoning(message),
        finish_reason=finish_reason if isinstance(finish_reason, str) else None,
        refusal=filled(message.get("refusal")) or refusal,
        usage=usage,
    )


def first_choice(choices: list[Any]) -> Any:
    """The choice whose index is 0, wherever it stands; the first where none says so."""
    named = (choice for choice in choices if isinstance(choice, dict) and choice.get("index") == 0)
    return next(chain(named, choices), None)


def verdict(reply: Reply) -> Rejection | None:
    """Why a reply cannot be used whatever its text says, or None. A refusal comes before how it ended."""
    usage = reply.usage
    if reply.refusal is not None:
        return Rejection("refusal", f"The model refused: {_shortened(reply.refusal)}", usage)
    ended = (reply.finish_reason or "").lower()
    if FILTERED.search(ended):
        return Rejection("content_filter", "The endpoint's content filter stopped the reply.", usage)
    if CUT.search(ended):
        cut = "The reply was cut off at the token limit before it was complete; be shorter."
        return Rejection("length", cut, usage)
    if ended == "refusal":  # Anthropic's
        return Rejection("refusal", "The model refused.", usage)
    if ended and ended not in WHOLE:
        return Rejection(
            "invalid", f"The endpoint broke the reply off ({_shortened(reply.finish_reason or '')}).", usage
        )
    if not reply.content.strip():
        return Rejection("empty", "The reply has no content.", usage)
    return None


def read_usage(raw: Any) -> Usage:
    """The token counts in `raw`, zero for each that is absent or no count."""
    usage = raw.get("usage") if isinstance(raw, dict) else None
    if not isinstance(usage, dict):
        return NO_USAGE
    details = usage.get("completion_tokens_details")
    reasoning = details.get("reasoning_tokens") if isinstance(details, dict) else None
    prompt, completion = count(usage.get("prompt_tokens")), count(usage.get("completion_tokens"))
    thought = count(usage.get("reasoning_tokens") if reasoning is None else reasoning)
    unnamed = max(
        0, count(usage.get("total_tokens")) - prompt - completion
    )  # Gemini counts thinking in the total alone
    return Usage(prompt, completion + unnamed, thought or unnamed)


def count(value: Any) -> int:
    """A number of tokens; a fraction, as of an average or an estimate, is rounded."""
    if isinstance(value, float) and math.isfinite(value):
        value = round(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def read_content(content: Any) -> tuple[str | None, str | None]:
    """The text, and a refusal that came as a part of it; no text (None) where the content is no text."""
    if isinstance(content, str):
        return content, None
    if content is None:
        return "", None
    if not isinstance(content, list):
        return None, None
    parts = [part for part in content if isinstance(part, dict)]
    texts = [part["text"] for part in parts if part.get("type", "text") == "text" and is_text(part.get("text"))]
    refusals = [part["refusal"] for part in parts if filled(part.get("refusal")) is not None]
    if content and not texts and not refusals:
        return None, None
    return "".join(texts), refusals[0] if refusals else None


def read_reasoning(message: dict[str, Any]) -> str | None:
    """The reasoning in a field of its own; white space alone is none.

    DeepSeek, Qwen and vLLM name it `reasoning_content`, OpenRouter and Ollama `reasoning`; OpenRouter has
    parts in `reasoning_details`, and Mistral parts of the type `thinking` in the content.
    """
    for field in ("reasoning_content", "reasoning"):
        text = filled(message.get(field))
        if text is not None:
            return text
    return filled("".join(reasoning_parts(message.get("reasoning_details")))) or filled(
        "".join(reasoning_parts(message.get("content")))
    )


def reasoning_parts(parts: Any, depth: int = 0) -> Iterator[str]:
    """The texts in a list of reasoning parts; plain text parts of the content are none."""
    for part in parts if isinstance(parts, list) else ():
        if isinstance(part, dict) and (depth or part.get("type") != "text"):
            for field in ("text", "summary", "thinking"):
                held = part.get(field)
                if isinstance(held, str):
                    yield held
                elif field == "thinking" and not depth:
                    yield from reasoning_parts(held, depth + 1)


def without_message(raw: dict[str, Any]) -> str:
    """What to say of a reply without a message; some gateways answer an error with status 200."""
    error = raw.get("error")
    text = filled(error.get("message") if isinstance(error, dict) else error)
    if text is not None:
        return f"The endpoint sent an error in place of a completion: {_shortened(text)}"
    return "The reply is a JSON object without choices[0].message."


def filled(value: Any) -> str | None:
    """`value` without outer white space if it is a text with anything in it."""
    return (value.strip() or None) if isinstance(value, str) else None


def is_text(value: Any) -> bool:
    return isinstance(value, str)


def _shortened(text: str, limit: int = 200) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"
