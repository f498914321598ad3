"""Server-sent events of a streamed chat completion → one chat.completion object. Knows nothing of HTTP.

Framing: https://html.spec.whatwg.org/multipage/server-sent-events.html; lines end at CR, LF or both and at
nothing else, so a text splitter that also cuts at U+2028 would tear JSON apart: lines are cut as bytes. Events that
nothing parts, one JSON object a line, are read too.
"""

import json
from typing import Any

import msgspec

from distill_build.models.retry import RetryableError
from distill_build.records import JsonObject

DONE = b"[DONE]"
LEADING = b"\xef\xbb\xbf \t\r\n"
"""What may stand before a reply and says nothing: a byte order mark, white space."""


def completion_in(content: bytes) -> JsonObject:
    """The chat.completion object that a whole reply holds. Raises RetryableError where it holds none."""
    assembly = Assembly()
    assembly.feed(content)
    return assembly.completion()


def is_page(content: bytes) -> bool:
    """Whether a reply is a web page, which neither JSON nor a stream begins as."""
    return content.lstrip(LEADING).startswith(b"<")


class Assembly:
    """Takes the bytes of a reply as they come; `completion` is what they make together.

    What it is, its first byte says, not what was asked for: an endpoint that knows no streams answers with one JSON
    object, which is taken as it is, and some gateways send nothing but streams.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._kind = b""
        self._event: list[bytes] = []
        self._is_object: bool | None = None
        self._whole: JsonObject = {}
        self._choices: dict[int, JsonObject] = {}
        self._pieces: set[int] = set()
        self.done = False

    def feed(self, data: bytes) -> None:
        """Takes the next bytes. Raises RetryableError for an event that is not JSON."""
        if self._is_object is None and (data := data.lstrip(LEADING)):
            self._is_object = data.startswith(b"{")
        self._rest += data
        if self._is_object:
            return
        *lines, self._rest = self._rest.split(b"\n")
        for line in lines:
            for part in line.splitlines() or [b""]:
                self._take_line(part)

    def completion(self) -> JsonObject:
        """The chat.completion object. Raises RetryableError for a stream that was cut."""
        if self._is_object:
            return decoded_object(self._rest)
        self.feed(b"\n\n")
        if "error" in self._whole:
            return self._whole
        if not self._choices:
            raise RetryableError("bad_response", "the reply is neither a stream nor JSON")
        if not all(choice["finish_reason"] for choice in self._choices.values()):
            raise RetryableError("connection", f"the stream ended before the reply was complete{self._without_reason}")
        choices = [self._choices[index] for index in sorted(self._choices)]
        return {**self._whole, "object": "chat.completion", "choices": choices}

    def _take_line(self, line: bytes) -> None:
        """A line of an event, which an empty one ends; comments and other fields are left out."""
        name, _, value = line.partition(b":")
        if not line:
            self._end_event()
        elif name == b"event":
            self._kind = value.strip()
        elif name == b"data":
            self._take(value.strip())

    @property
    def _without_reason(self) -> str:
        """Of an endpoint that says that it is done, and not how the reply ended: it may have been cut."""
        return ": it gave no finish_reason; try stream=false" if self.done else ""

    def _take(self, data: bytes) -> None:
        """What an event holds, or a line of it. An empty one is a sign of life."""
        if data == DONE:
            self.done = True
        elif self._event or self._kind == b"error" or (chunk := chunk_in(data)) is None:
            self._event.append(data)
        else:
            self._merge(chunk)

    def _end_event(self) -> None:
        data, kind = b"\n".join(self._event), self._kind
        self._event, self._kind = [], b""
        if kind == b"error" and data:
            self._whole["error"] = error_of(data)
        elif data:
            self._merge(decoded_object(data))

    def _merge(self, chunk: JsonObject) -> None:
        if chunk.get("object") == "error":
            self._whole["error"] = chunk
            return
        for key, value in chunk.items():
            if key != "choices" and value is not None:
                self._whole[key] = value
        choices = chunk.get("choices")
        for choice in choices if isinstance(choices, list) else []:
            if isinstance(choice, dict):
                self._merge_choice(choice)

    def _merge_choice(self, choice: JsonObject) -> None:
        index = choice.get("index") or 0
        whole = self._choices.setdefault(index, {"index": index, "message": {}, "finish_reason": None})
        delta, message = choice.get("delta"), choice.get("message")
        if delta:
            self._pieces.add(index)
            for key, value in delta.items():
                whole["message"][key] = joined(whole["message"].get(key), value, key)
        elif message and index in self._pieces:  # all of it once more at the end
            whole["message"] |= {key: value for key, value in message.items() if value}
        elif message:  # all in one event
            for key, value in message.items():
                whole["message"][key] = joined(whole["message"].get(key), value, key)
        if isinstance(choice.get("logprobs"), dict):
            for key, value in choice["logprobs"].items():
                logprobs = whole.setdefault("logprobs", {})
                logprobs[key] = joined(logprobs.get(key), value, key)
        whole["finish_reason"] = choice.get("finish_reason") or whole["finish_reason"]


def chunk_in(data: bytes) -> JsonObject | None:
    """A JSON object, without anything in it where `data` says nothing; None for what is none, or not all of it yet."""
    try:
        value = _decoded(data or b"null")
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None if value else {}


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


def error_of(event: bytes) -> JsonObject:
    """What an event of the kind error says, in OpenAI's form or as plain text."""
    try:
        value = _decoded(event)
    except (ValueError, RecursionError):
        return {"message": event.decode("utf-8", "replace")}
    held = value.get("error", value) if isinstance(value, dict) else value
    return held if isinstance(held, dict) else {"message": str(held)}


def joined(before: Any, piece: Any, key: str) -> Any:
    """Text and lists of parts are continued, also one by the other; what has a fixed value (`role`) and all else is
    replaced.
    """
    if piece is None:
        return before
    kinds = {type(before), type(piece)}
    if key == "role" or not kinds <= {str, list}:
        return piece
    if kinds == {str, list}:  # Mistral's reasoning comes as parts, what follows as text
        before, piece = _parts(before), _parts(piece)
    return before + piece


def _parts(content: str | list[Any]) -> list[Any]:
    return content if isinstance(content, list) else [{"type": "text", "text": content}]
