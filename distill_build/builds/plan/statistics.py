"""What a request costs by experience: mean tokens and seconds for each stage and model, kept beside the cache.

They serve estimates alone. Before there is any experience, text length and round numbers stand in for it.
"""

from contextlib import suppress
from pathlib import Path

import msgspec

from distill_build.builds.walk.tally import Sums, Tally
from distill_build.engine.artefacts import replace_file
from distill_build.graph import Shape
from distill_build.models.base import ModelSettings

FILE = "figures.json"
TOKENS_PER_LABEL, TOKENS_PER_ITEM, TOKENS_PER_RESULT = 8.0, 25.0, 800.0
"""Of a tag, of an item of any other list, and of what a model makes of one row, as long as nothing is known and its
configuration says nothing."""
TOKENS_PER_SECOND = 40.0
LATENCY_SECONDS = 0.5


class Expected(msgspec.Struct, frozen=True):
    """Of one request: completion tokens and seconds, `known` by experience, or assumed; prompt tokens by experience
    alone, else None."""

    completion_tokens: float
    seconds: float
    known: bool
    prompt_tokens: float | None = None


class RequestStatistics:
    """Sums over all requests that were ever asked from this cache, by stage and model name."""

    def __init__(self, cache_dir: Path) -> None:
        self._path = cache_dir / FILE
        self._sums = _read(self._path)

    def expect(self, stage: Shape, model: ModelSettings, items: int) -> Expected:
        """What one request for `items` items will take."""
        sums = self._sums.get(_name(stage.name, model.name))
        if sums is not None and sums.requests:
            prompt = sums.prompt_tokens / sums.prompts if sums.prompts else None
            return Expected(sums.completion_tokens / sums.requests, sums.seconds / sums.requests, True, prompt)
        tokens = _tokens_per_item(stage, model) * items
        tokens = min(tokens, model.max_tokens) if model.max_tokens else tokens
        return Expected(tokens, LATENCY_SECONDS + tokens / TOKENS_PER_SECOND, known=False)

    def learn(self, tally: Tally) -> None:
        """Adds what a build saw, and writes it."""
        self._sums = _read(self._path)
        for stage, counts in tally.stages.items():
            for model, seen in counts.by_model.items():
                self._sums.setdefault(_name(stage, model), Sums()).add(seen)
        with suppress(OSError):  # on a full disk: an estimate is not worth an error, nor one that hides another
            replace_file(self._path, msgspec.json.encode(self._sums))


def _tokens_per_item(stage: Shape, model: ModelSettings) -> float:
    if model.engine == "openai_embeddings":
        return 0
    if stage.kind != "list":
        return model.assumed_tokens or TOKENS_PER_RESULT
    return TOKENS_PER_LABEL if stage.after is None else TOKENS_PER_ITEM


def _name(stage: str, model: str) -> str:
    return f"{stage}/{model}"


def _read(path: Path) -> dict[str, Sums]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Sums])
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):  # estimates can do without
        return {}
