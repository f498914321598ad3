"""What a teacher held likely at each token of a reply: read from a chat completion, and packed to be stored with it.

In JSON a token with its 20 likeliest is about 1,900 bytes, packed 168. Knows neither who asks for it nor what for.
References: https://platform.openai.com/docs/api-reference/chat/object (logprobs), llama.cpp's tools/server (`id`), and
vLLM's `return_tokens_as_token_ids` (https://docs.vllm.ai, OpenAI-compatible server: extra parameters)
"""

import base64
import math
import re
import struct
from typing import Any

import msgspec

from distill_build.records import JsonObject

AS_TEXT = re.compile(r"token_id:(\d+)")
"""How vLLM says a token's id: in the place of its text."""
LEAST = -65504.0
"""The lowest log probability: what floats of 16 bits hold, and what stands for that of an impossible token."""
ROUNDING = 1e-3
"""How far above 0 the logarithm of a certain token may come out."""
ID_BYTES, LOGPROB_BYTES = 4, 2
HIGHEST_ID = 2**31 - 1
PACKED = "packed"
"""The field of `logprobs` that holds them packed, in the place of `content`."""
WITHOUT_IDS = "without_token_ids"
"""The field of a reply that says why it cannot have any."""


class NoTokenIdsError(Exception):
    """A reply tells no ids of its tokens: its text says what an endpoint gave in their place."""


class TokensLostError(NoTokenIdsError):
    """A stream lists other tokens than it counts: its text says how many."""


class LackOfIds(msgspec.Struct, frozen=True):
    """What is kept with a reply of which no soft labels can be: `why`, in words; `source`, what stands for the endpoint
    that sent it, and whether as a stream; `lost` says that only a stream is like that."""

    why: str
    source: str
    lost: bool = False


class SoftLabels(msgspec.Struct, frozen=True):
    """The tokens of one reply, and the likeliest at each place, the likeliest first.

    Bytes, little-endian: `token_ids` int32 [N], `logprobs` float16 [N], `top_ids` int32 [N × width], `top_logprobs`
    float16 [N × width]. Log probabilities are natural; a float of 16 bits is 0.05 % off at most.
    """

    width: int
    token_ids: bytes
    logprobs: bytes
    top_ids: bytes
    top_logprobs: bytes

    def __len__(self) -> int:
        return len(self.token_ids) // ID_BYTES


def asked_for(logprobs: int) -> JsonObject:
    """What a request says for the `logprobs` likeliest of each token, with ids. Who knows no such parameter as the last
    gives ids by itself, or none."""
    return {"logprobs": True, "top_logprobs": logprobs, "return_tokens_as_token_ids": True}


def packed_bytes(tokens: float, width: int) -> int:
    """Bytes that so many tokens with the `width` likeliest of each take, where they are stored with a response."""
    return round(tokens * (1 + width) * (ID_BYTES + LOGPROB_BYTES) * 4 / 3)


def packed(raw: JsonObject, most: int) -> JsonObject:
    """A chat completion with its log probabilities packed, those of the `most` likeliest tokens at each place at the
    most: vLLM adds the one that was drawn. Raises NoTokenIdsError for one with a text and no ids."""
    choice = raw["choices"][0]
    if not (listed := _listed(choice)):
        if any(choice["message"].get(field) for field in ("content", "reasoning_content", "reasoning")):
            raise NoTokenIdsError("it sends no log probabilities, though they are asked for")
        return raw
    fields = msgspec.structs.asdict(_read(listed, most))
    kept = {name: base64.b64encode(it).decode() if isinstance(it, bytes) else it for name, it in fields.items()}
    return {**raw, "choices": [{**choice, "logprobs": {PACKED: kept}}, *raw["choices"][1:]]}


def require_all_listed(raw: JsonObject) -> None:
    """Raises TokensLostError where the packed tokens of a stream are not as many as its usage counts.

    llama.cpp leaves some out of each stream, so no reply would be of use; in one piece they are there.
    """
    labels, usage = soft_labels_in(raw), raw.get("usage")
    counted = usage.get("completion_tokens") if isinstance(usage, dict) else None
    if labels is not None and counted != len(labels):
        raise TokensLostError(f"as a stream it lists {len(labels):,} tokens and counts {counted or 'none'}")


def with_lack(raw: JsonObject, lack: LackOfIds) -> JsonObject:
    """A chat completion as it came, with what it lacks."""
    return {**raw, WITHOUT_IDS: msgspec.structs.asdict(lack)}


def lack_in(raw: Any) -> LackOfIds | None:
    """What a stored reply lacks; None for one that was found good."""
    told = raw.get(WITHOUT_IDS) if isinstance(raw, dict) else None
    try:
        return None if told is None else msgspec.convert(told, LackOfIds)
    except msgspec.ValidationError:  # a field of the endpoint's own
        return None


def soft_labels_in(raw: Any) -> SoftLabels | None:
    """Those that were packed with a chat completion; None where there are none."""
    try:
        kept = raw["choices"][0]["logprobs"][PACKED]
        return SoftLabels(kept["width"], *(base64.b64decode(kept[name]) for name in SoftLabels.__struct_fields__[1:]))
    except (KeyError, IndexError, TypeError, ValueError):
        return None


def has_token_ids(raw: JsonObject) -> bool:
    """Whether a chat completion lists its tokens with their ids."""
    listed = _listed(raw["choices"][0])
    return bool(listed) and all(_id(token) is not None for token in listed)


def _listed(choice: JsonObject) -> list[JsonObject]:
    """The tokens of a reply, in whatever JSON came; none where that is no list of them."""
    logprobs = choice.get("logprobs")
    return _objects(logprobs.get("content")) if isinstance(logprobs, dict) else []


def _objects(listed: Any) -> list[JsonObject]:
    return listed if isinstance(listed, list) and all(isinstance(each, dict) for each in listed) else []


def _read(listed: list[JsonObject], most: int) -> SoftLabels:
    """Where places have different numbers of alternatives, as many as each has."""
    tops = [_likeliest(token) for token in listed]
    width = min(most, *map(len, tops))
    flat = [each for top in tops for each in top[:width]]
    return SoftLabels(width, _ids(listed), _logprobs(listed), _ids(flat), _logprobs(flat))


def _likeliest(token: JsonObject) -> list[JsonObject]:
    """The alternatives at a place, the likeliest first and each id once; none where its numbers are no logarithms of
    probabilities: what is drawn is not impossible, and nothing is more than certain."""
    tops = _objects(token.get("top_logprobs"))
    told = [number for each in (token, *tops) if (number := _number(each)) is not None]
    if _number(token) is None or max(told) > ROUNDING:
        return []
    once: dict[int | None, JsonObject] = {}
    for each in sorted(tops, key=_logprob, reverse=True):
        once.setdefault(_id(each), each)
    return list(once.values())


def _ids(tokens: list[JsonObject]) -> bytes:
    ids = [_id(token) for token in tokens]
    if None in ids:
        raise NoTokenIdsError("its log probabilities are of texts, without the ids of tokens")
    return struct.pack(f"<{len(ids)}i", *ids)


def _id(token: JsonObject) -> int | None:
    own, text = token.get("id"), token.get("token")
    if isinstance(text, str) and (told := AS_TEXT.fullmatch(text)):
        own = int(told[1])
    return own if isinstance(own, int) and 0 <= own <= HIGHEST_ID else None


def _logprobs(tokens: list[JsonObject]) -> bytes:
    return struct.pack(f"<{len(tokens)}e", *map(_logprob, tokens))


def _logprob(token: JsonObject) -> float:
    """JSON has no infinity: some endpoints say null of what is impossible, some a very low number."""
    told = _number(token)
    return LEAST if told is None else max(LEAST, min(0.0, told))


def _number(token: JsonObject) -> float | None:
    told = token.get("logprob")
    return told if isinstance(told, int | float) and not isinstance(told, bool) and math.isfinite(told) else None
