"""What a request costs by experience: mean tokens and seconds for each stage and model, kept beside the cache.

They serve estimates alone. Before there is any experience, text length and round numbers stand in for it.
"""

import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from distill_build.models.base import ModelSettings
from distill_build.settings import Stage
from distill_build.stages.tally import Tally

FILE = "figures.json"
TOKENS_PER_ITEM: dict[Stage, float] = {"tags": 8.0, "questions": 25.0, "answers": 800.0}
TOKENS_PER_SECOND = 40.0
LATENCY_SECONDS = 0.5


class Sums(msgspec.Struct):
    """Of all requests of one stage to one model."""

    requests: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Expected:
    """Of one request: completion tokens and seconds."""

    completion_tokens: float
    seconds: float


class Figures:
    """Sums over all requests that were ever asked from this cache, by stage and model name."""

    def __init__(self, cache_dir: Path) -> None:
        self._path = cache_dir / FILE
        self._sums = _read(self._path)

    def expect(self, stage: Stage, model: ModelSettings, items: int) -> Expected:
        """What one request for `items` items will take."""
        sums = self._sums.get(_name(stage, model.name))
        if sums is not None and sums.requests:
            return Expected(sums.completion_tokens / sums.requests, sums.seconds / sums.requests)
        tokens = TOKENS_PER_ITEM[stage] * items
        tokens = min(tokens, model.max_tokens) if model.max_tokens else tokens
        return Expected(tokens, LATENCY_SECONDS + tokens / TOKENS_PER_SECOND)

    def learn(self, tally: Tally, names: dict[Stage, str]) -> None:
        """Adds what a build saw, and writes it; `names` are the models' names by stage."""
        self._sums = _read(self._path)
        for stage, counts in tally.stages.items():
            if counts.asked:
                sums = self._sums.setdefault(_name(stage, names[stage]), Sums())
                sums.requests += counts.asked
                sums.completion_tokens += counts.completion_tokens
                sums.seconds += counts.seconds
        temporary = self._path.with_name(f".{FILE}.{secrets.token_hex(4)}")
        with suppress(OSError):  # on a full disk: an estimate is not worth an error, nor one that hides another
            temporary.write_bytes(msgspec.json.encode(self._sums))
            temporary.replace(self._path)


def estimated_tokens(messages: list[dict[str, Any]]) -> float:
    """Tokens of chat messages, by the rule of thumb: 4 ASCII characters, or 1.5 others, and 4 a message."""
    total = 0.0
    for message in messages:
        text = str(message["content"])
        others = sum(1 for character in text if ord(character) > 127) if not text.isascii() else 0
        total += 4 + (len(text) - others) / 4 + others / 1.5
    return total


def _name(stage: Stage, model: str) -> str:
    return f"{stage}/{model}"


def _read(path: Path) -> dict[str, Sums]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Sums])
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):  # estimates can do without
        return {}
