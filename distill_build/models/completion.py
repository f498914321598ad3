"""The JSON of a chat completion and its request: the little of it that sending one needs to look at.

Reference: https://platform.openai.com/docs/api-reference/chat/object
"""

from collections.abc import Iterable, Mapping
from typing import Any

from distill_build.records import JsonObject

UNKNOWN_COMPLETION_TOKENS = 1000
"""What a completion is taken to use at most where no limit is sent."""


def streamed(body: Mapping[str, Any]) -> JsonObject:
    """The request for the same completion as a stream, with usage at its end."""
    return {**body, "stream": True, "stream_options": {"include_usage": True}}


def is_completion(raw: Any) -> bool:
    """Whether a reply is an object with a choice that holds a message."""
    if not isinstance(raw, dict):
        return False
    choices = raw.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        return False
    return isinstance(choices[0].get("message"), dict)


def error_in(raw: Any) -> Any:
    """The error that a reply with status 200 reports, on top or in its first choice, or None."""
    if not isinstance(raw, dict):
        return None
    if raw.get("error"):
        return raw["error"]
    choices = raw.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    return first.get("error") or None if isinstance(first, dict) else None


def estimated_tokens(messages: Iterable[Mapping[str, Any]]) -> float:
    """Tokens of chat messages, by the rule of thumb: 4 ASCII characters, or 1.5 others, and 4 a message."""
    total = 0.0
    for message in messages:
        text = str(message["content"])
        others = sum(1 for character in text if ord(character) > 127) if not text.isascii() else 0
        total += 4 + (len(text) - others) / 4 + others / 1.5
    return total


def booked_tokens(body: Mapping[str, Any], max_tokens_field: str) -> int:
    """Tokens that a request may use: those of its prompt, by estimate, and all that the completion may have."""
    limit = body.get(max_tokens_field) or UNKNOWN_COMPLETION_TOKENS
    return round(estimated_tokens(body["messages"])) + int(limit)
