"""What a build has done so far, counted by stage. Commands and the console read it; nothing here decides."""

from dataclasses import dataclass, field

from distill_build.records import Usage
from distill_build.settings import Stage

STAGES: tuple[Stage, ...] = ("tags", "questions", "answers")


@dataclass(slots=True)
class StageTally:
    """Requests, items, tokens, US dollars and seconds of one stage.

    `found` counts calls that the cache answered, `answered` those that a model did, and `asked` its responses, re-asks
    among them; `made` and `missing` count items. `answered_before` are those of the answered that a walk which is not
    the first finds again. `seconds` adds up the time of the requests. `usd` is None without prices.
    """

    found: int = 0
    asked: int = 0
    answered: int = 0
    answered_before: int = 0
    made: int = 0
    missing: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    usd: float | None = 0.0
    seconds: float = 0.0

    @property
    def cached(self) -> int:
        """Calls that the cache answered, and no model in this build."""
        return max(0, self.found - self.answered_before)

    def count_anew(self) -> None:
        """Forgets what was found, and keeps what was asked: the tree is walked once more."""
        self.answered_before = self.answered
        self.found = self.made = self.missing = 0

    def spend(self, usage: Usage, usd: float | None, seconds: float) -> None:
        """Adds one response of a model; `usd` is None without prices."""
        self.asked += 1
        self.prompt_tokens += usage.prompt_tokens
        self.completion_tokens += usage.completion_tokens
        self.seconds += seconds
        self.usd = None if self.usd is None or usd is None else self.usd + usd


@dataclass(slots=True)
class Tally:
    """All stages together."""

    stages: dict[Stage, StageTally] = field(default_factory=lambda: {stage: StageTally() for stage in STAGES})

    @property
    def asked(self) -> int:
        return sum(stage.asked for stage in self.stages.values())

    @property
    def missing(self) -> int:
        return sum(stage.missing for stage in self.stages.values())

    @property
    def tokens(self) -> tuple[int, int]:
        """(prompt tokens, completion tokens)."""
        stages = self.stages.values()
        return sum(stage.prompt_tokens for stage in stages), sum(stage.completion_tokens for stage in stages)

    @property
    def usd(self) -> float | None:
        """US dollars, None where a stage was asked without prices."""
        costs = [stage.usd for stage in self.stages.values()]
        return None if None in costs else sum(cost for cost in costs if cost is not None)
