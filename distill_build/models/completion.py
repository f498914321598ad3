"""The JSON of a chat completion and its request: the little of it that sending one needs to look at.

Reference: https://platform.openai.com/docs/api-reference/chat/object
"""

from collections.abc import Mapping
from typing import Any

from distill_build.models.base import JsonObject

BYTES_PER_TOKEN = 4
UNKNOWN_COMPLETION_TOKENS = 1000


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


def estimated_tokens(body: Mapping[str, Any]) -> int:
    """Tokens that a request may use: a quarter of the prompt's bytes, and the completion's limit."""
    prompt = sum(len(str(message.get("content")).encode()) for message in body.get("messages", []))
    limit = body.get("max_completion_tokens") or body.get("max_tokens") or UNKNOWN_COMPLETION_TOKENS
    return prompt // BYTES_PER_TOKEN + int(limit)


def used_tokens(raw: JsonObject, estimate: int) -> int:
    """Tokens that a completion says it used, prompt and completion; `estimate` where it does not say."""
    usage = raw.get("usage")
    total = usage.get("total_tokens") if isinstance(usage, dict) else None
    return total if isinstance(total, int) else estimate
