"""What a request is sent as and how its reply is read, where an endpoint is asked for completions or for embeddings.

All above speaks of chat completions: of an embedding it sees one whose text is {"vector": …}, in JSON. Knows nothing of
HTTP. References: https://platform.openai.com/docs/api-reference/chat and …/embeddings
"""

import base64
import json
import math
from array import array
from collections.abc import Mapping
from typing import Any, Protocol

from msgspec.structs import replace

from distill_build.errors import ConfigurationError
from distill_build.models.base import ModelSettings
from distill_build.models.completion import booked_tokens, estimated_tokens, is_completion, streamed
from distill_build.records import JsonObject
from distill_build.soft_labels import packed, require_all_listed

MOST = 127
"""What the largest number of a vector becomes: whole numbers of 8 bits tell cosines apart by a thousandth."""
EXAMPLE = "model@embedder=openai_embeddings"


class Dialect(Protocol):
    """`path` is where an endpoint has it below its address, `replies` what they are called in sentences."""

    path: str
    replies: str

    def sent(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """What is sent for the body of a chat completion request."""

    def completion(self, raw: JsonObject, body: Mapping[str, Any]) -> JsonObject | None:
        """The completion that a reply holds, as it is kept; None where it holds none. Raises NoTokenIdsError for one
        whose log probabilities cannot be kept."""

    def lack(self, raw: JsonObject) -> str:
        """Why a reply holds no completion, in words."""

    def booked(self, body: Mapping[str, Any]) -> int:
        """Tokens that a request may use."""


def dialect_of(model: ModelSettings) -> Dialect:
    """The dialect that a model is asked in."""
    return Embeddings() if model.engine == "openai_embeddings" else ChatCompletions(model)


class ChatCompletions:
    """Bodies and replies are what they are, but for log probabilities, which are packed."""

    path = "/chat/completions"
    replies = "chat completions"

    def __init__(self, model: ModelSettings) -> None:
        self._stream = model.stream
        self._max_tokens_field = model.max_tokens_field
        self._logprobs = model.logprobs

    def sent(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        return streamed(body) if self._stream else body

    def completion(self, raw: JsonObject, body: Mapping[str, Any]) -> JsonObject | None:  # noqa: ARG002 - see Dialect
        if not is_completion(raw):
            return None
        if self._logprobs is None:
            return raw
        kept = packed(raw, self._logprobs)
        if self._stream:
            require_all_listed(kept)
        return kept

    def lack(self, raw: JsonObject) -> str:  # noqa: ARG002 - see Dialect
        return f"there are no {self.replies} in it"

    def booked(self, body: Mapping[str, Any]) -> int:
        return booked_tokens(body, self._max_tokens_field)


class Embeddings:
    """The text of the messages is sent as `input`. What is kept of the vector are whole numbers, so that what is made
    of it is the same for ever: floats are read once."""

    path = "/embeddings"
    replies = "embeddings"

    def sent(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        text = "\n\n".join(message["content"] for message in body["messages"])
        return {"input": text} | {key: value for key, value in body.items() if key != "messages"}

    def completion(self, raw: JsonObject, body: Mapping[str, Any]) -> JsonObject | None:
        """An endpoint that counts no tokens is charged by the length of the text."""
        vector = whole_numbers(_embedding(raw))
        if vector is None:
            return None
        content = json.dumps({"vector": base64.b64encode(vector).decode()})
        message = {"role": "assistant", "content": content}
        kept = {key: value for key, value in raw.items() if key != "data"}
        tokens = _tokens(raw) or self.booked(body)
        usage = {"prompt_tokens": tokens, "completion_tokens": 0}
        return kept | {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage}

    def lack(self, raw: JsonObject) -> str:
        """A vector without a direction is one all the same: that there is none would send people to look elsewhere."""
        embedding = _embedding(raw)
        zeros = isinstance(embedding, list) and embedding and all(_is_number(each) and not each for each in embedding)
        return (
            "all numbers of its vector are 0, so it is like no other" if zeros else f"there are no {self.replies} in it"
        )

    def booked(self, body: Mapping[str, Any]) -> int:
        return round(estimated_tokens(body["messages"]))


def as_embedder(model: ModelSettings, role: str) -> ModelSettings:
    """A model as it is asked for embeddings, of which nothing is sampled. Raises ConfigurationError for one that has
    none."""
    if model.engine == "embedded":
        raise ConfigurationError(
            f"{role} is asked for embeddings, which the embedded chat model does not have: name one that has, as in "
            f"{EXAMPLE}; without any, dedup.by=meaning goes by a packed one"
        )
    prices = model.prices
    if prices.prompt is not None and prices.completion is None:
        prices = replace(prices, completion=0.0)
    return replace(
        model,
        engine="openai_embeddings",
        temperature=None,
        top_p=None,
        max_tokens=None,
        structured="none",
        send_seed=False,
        stream=False,
        logprobs=None,
        examples=False,
        assumed_tokens=None,
        prices=prices,
    )


def whole_numbers(embedding: Any) -> bytes | None:
    """An embedding as whole numbers of 8 bits, the largest as large as may be; None for what is no vector."""
    if not isinstance(embedding, list) or not all(map(_is_number, embedding)):
        return None
    most = max(map(abs, embedding), default=0)
    return array("b", (round(number / most * MOST) for number in embedding)).tobytes() if most else None


def _is_number(value: Any) -> bool:
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # JSON has whole numbers that no float holds
        return False


def _tokens(raw: JsonObject) -> int:
    usage = raw.get("usage")
    counts = [usage.get("prompt_tokens"), usage.get("total_tokens")] if isinstance(usage, dict) else []
    return next((count for count in counts if isinstance(count, int) and count > 0), 0)


def _embedding(raw: JsonObject) -> Any:
    data = raw.get("data")
    first = data[0] if isinstance(data, list) and data else None
    return first.get("embedding") if isinstance(first, dict) else None
