"""The settings of one build, as frozen typed records. Knows nothing of Hydra: see `distill_build.config`."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec

from distill_build.models.base import Limits, ModelSettings

Role = Literal["tagger", "student", "teacher"]
Stage = Literal["tags", "questions", "answers"]
ROLE_OF_STAGE: dict[Stage, Role] = {"tags": "tagger", "questions": "student", "answers": "teacher"}

Objective = Literal["repeats", "unique", "near_duplicates", "leaf_coverage", "failures", "calls", "tokens", "usd"]
"""What a sweeper that looks for the best values may go by."""

Positive = Annotated[int, msgspec.Meta(ge=1)]
NotNegative = Annotated[int, msgspec.Meta(ge=0)]


class PerRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many items one request asks for."""

    tags: Positive = 5
    questions: Positive = 5


class Budget(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Hard caps on what one build may spend: US dollars, tokens (prompt and completion), HTTP requests."""

    usd: Annotated[float, msgspec.Meta(ge=0)] | None = None
    tokens: NotNegative | None = None
    calls: NotNegative | None = None


class CacheSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    dir: str = ".distill-cache"


class PromptSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`dir`: a project's own templates; a file there stands in for the packed one of the same name."""

    dir: str = "prompts"


class FormatSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How dataset rows are written. `reasoning` says where the chain of thought goes."""

    reasoning: Literal["think", "field", "drop"] = "think"
    metadata: bool = True


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything one build is told. `breadth` is one number or one a level, root first."""

    topic: str
    name: str
    output_dir: str = "outputs"
    depth: Annotated[int, msgspec.Meta(ge=1, le=10)] = 2
    breadth: Positive | list[Positive] = 10
    questions_per_tag: Positive = 10
    answers_per_question: Positive = 1
    language: Literal["en", "zh"] = "en"
    seed: int = 0
    system_prompt: str | None = None
    per_request: PerRequest = PerRequest()
    tagger: ModelSettings
    student: ModelSettings
    teacher: ModelSettings
    limits: Limits
    budget: Budget = Budget()
    cache: CacheSettings = CacheSettings()
    prompts: PromptSettings = PromptSettings()
    formats: list[Literal["messages", "alpaca", "sharegpt", "csv", "parquet"]] = msgspec.field(
        default_factory=lambda: ["messages"]
    )
    format: FormatSettings = FormatSettings()

    def role(self, stage: Stage) -> ModelSettings:
        """The model that works for `stage`."""
        model: ModelSettings = getattr(self, ROLE_OF_STAGE[stage])
        return model

    def breadth_at(self, level: int) -> int:
        """Tags under a parent on `level` - 1, where the topic is level 0 and `level` counts from 1."""
        return self.breadth[level - 1] if isinstance(self.breadth, list) else self.breadth

    def limits_for(self, model: ModelSettings) -> Limits:
        """A model's limits: caps are the lower of its own and the build's, the rest its own or the build's."""
        return Limits(
            concurrency=lower(self.limits.concurrency, model.limits.concurrency),
            rpm=lower(self.limits.rpm, model.limits.rpm),
            tpm=lower(self.limits.tpm, model.limits.tpm),
            timeout_s=own(model.limits.timeout_s, self.limits.timeout_s),
            retries=own(model.limits.retries, self.limits.retries),
            reasks=own(model.limits.reasks, self.limits.reasks),
        )


def lower(first: int | None, second: int | None) -> int | None:
    """The lower of two caps, where None is no cap."""
    return min((cap for cap in (first, second) if cap is not None), default=None)


def own(first: Any, second: Any) -> Any:
    """The first that is set."""
    return second if first is None else first


def leaf_count(breadths: Sequence[int]) -> int:
    """Leaves of a full tree with these breadths."""
    count = 1
    for breadth in breadths:
        count *= breadth
    return count
