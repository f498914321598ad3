"""Server-sent events of a streamed chat completion → one chat.completion object. Knows nothing of HTTP.

Framing: https://html.spec.whatwg.org/multipage/server-sent-events.html; lines end at CR, LF or both and at
nothing else, so a text splitter that also cuts at U+2028 would tear JSON apart: lines are cut as bytes.
"""

import json
from collections.abc import Iterator
from typing import Any

import msgspec

from distill_build.models.retry import RetryableError
from distill_build.records import JsonObject

DONE = b"[DONE]"


class Assembly:
    """Takes the bytes of a stream as they come; `completion` is what they make together.

    An endpoint that knows no streams answers with one JSON object, which is taken as it is.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._is_object: bool | None = None
        self._whole: JsonObject = {}
        self._choices: dict[int, JsonObject] = {}
        self.done = False

    def feed(self, data: bytes) -> None:
        """Takes the next bytes. Raises RetryableError for an event that is not JSON."""
        if self._is_object is None and data.strip():
            self._is_object = data.lstrip().startswith(b"{")
        self._rest += data
        if self._is_object:
            return
        *lines, self._rest = self._rest.split(b"\n")
        for event in events(lines):
            self._take(event)

    def completion(self) -> JsonObject:
        """The chat.completion object. Raises RetryableError for a stream that was cut."""
        if self._is_object:
            return decoded_object(self._rest)
        self.feed(b"\n")
        if "error" in self._whole:
            return self._whole
        ended = self._choices and all(choice["finish_reason"] for choice in self._choices.values())
        if not self._choices:
            raise RetryableError("bad_response", "the reply is neither a stream nor JSON")
        if not self.done and not ended:
            raise RetryableError("connection", "the stream ended before the reply was complete")
        choices = [self._choices[index] for index in sorted(self._choices)]
        return {**self._whole, "object": "chat.completion", "choices": choices}

    def _take(self, event: bytes) -> None:
        if event == DONE:
            self.done = True
            return
        self._merge(decoded_object(event))

    def _merge(self, chunk: JsonObject) -> None:
        for key, value in chunk.items():
            if key != "choices" and value is not None:
                self._whole[key] = value
        for choice in chunk.get("choices") or []:
            self._merge_choice(choice)

    def _merge_choice(self, choice: JsonObject) -> None:
        index = choice.get("index") or 0
        whole = self._choices.setdefault(index, {"index": index, "message": {}, "finish_reason": None})
        for key, value in (choice.get("delta") or {}).items():
            whole["message"][key] = joined(whole["message"].get(key), value, key)
        if isinstance(choice.get("logprobs"), dict):
            for key, value in choice["logprobs"].items():
                logprobs = whole.setdefault("logprobs", {})
                logprobs[key] = joined(logprobs.get(key), value, key)
        whole["finish_reason"] = choice.get("finish_reason") or whole["finish_reason"]


def decoded_object(data: bytes) -> JsonObject:
    """A JSON object. Raises RetryableError for anything else."""
    try:
        value = _decoded(data)
    except (ValueError, RecursionError) as error:  # the last: nested without end
        raise RetryableError("bad_response", f"the reply is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise RetryableError("bad_response", "the reply is not a JSON object")
    return value


def _decoded(data: bytes) -> object:
    try:
        return msgspec.json.decode(data)
    except msgspec.DecodeError:  # half a surrogate pair or NaN, as some gateways write: paid for, so it is kept
        return json.loads(data)


def events(lines: list[bytes]) -> Iterator[bytes]:
    """The data of events; comments and other fields are left out. No endpoint splits one over two lines."""
    for line in lines:
        for part in line.splitlines():
            if part.startswith(b"data:"):
                yield part[5:].strip()


def joined(before: Any, piece: Any, key: str) -> Any:
    """Text and lists are continued; what has a fixed value (`role`) and all else is replaced."""
    if piece is None:
        return before
    both_text = isinstance(before, str) and isinstance(piece, str) and key != "role"
    both_lists = isinstance(before, list) and isinstance(piece, list)
    return before + piece if both_text or both_lists else piece
