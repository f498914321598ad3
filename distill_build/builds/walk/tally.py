"""What a build has done so far, counted by stage. Commands and the console read it; nothing here decides."""

from collections import Counter
from collections.abc import Iterable
from typing import Self

import msgspec

from distill_build.records import JsonObject, Usage


class Sums(msgspec.Struct):
    """Of all requests of one stage to one model. `prompts` are those whose prompt tokens are known: endpoints may count
    none, and earlier versions kept none."""

    requests: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    prompts: int = 0
    prompt_tokens: int = 0

    def add(self, other: "Sums") -> None:
        """Takes those of others into account."""
        self.requests += other.requests
        self.completion_tokens += other.completion_tokens
        self.seconds += other.seconds
        self.prompts += other.prompts
        self.prompt_tokens += other.prompt_tokens


class Unanswered(msgspec.Struct):
    """Requests to one model that brought no response, for one cause, and the seconds that their retries waited, added
    up though they waited side by side."""

    requests: int = 0
    wait_s: float = 0.0

    def add(self, requests: int, wait_s: float) -> None:
        self.requests += requests
        self.wait_s += wait_s


UnansweredRequests = dict[tuple[str, str], Unanswered]
"""By the model's name and the cause."""


class StageTally(msgspec.Struct):
    """Requests, items, tokens, US dollars and seconds of one stage.

    `found` counts calls that the cache answered, `answered` those that a model did, and `asked` its responses, re-asks
    among them; `made` counts items, and `missing` those that failed. `answered_before` are those of the answered that a
    walk which is not the first finds again. `seconds` adds up the time of the requests, and `by_model` what each model
    took, by its name. `unanswered` are the requests that brought no response, most of which were sent again.
    `usd` is None without prices.

    Of a transform, `judged` counts the rows that it looked at, `dropped` those that it did not keep, and `why` the
    reasons, of which a row may have several. `spared` counts rows that are not made since what they would hang on was
    dropped: they are not missing. Rows that are to be there besides those declared, in the place of others or for what
    a person added, are taken off it, so it may be less than nothing. `refilled` counts the rows of its list that are
    there for what was dropped.
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
    by_model: dict[str, Sums] = msgspec.field(default_factory=dict)
    unanswered: UnansweredRequests = msgspec.field(default_factory=dict)
    judged: int = 0
    dropped: int = 0
    spared: int = 0
    refilled: int = 0
    why: Counter[str] = msgspec.field(default_factory=Counter)

    @property
    def cached(self) -> int:
        """Calls that the cache answered, and no model in this build."""
        return max(0, self.found - self.answered_before)

    def count_anew(self) -> None:
        """Forgets what was found, and keeps what was asked: the tree is walked once more."""
        self.answered_before = self.answered
        self.found = self.made = self.missing = self.judged = self.dropped = self.spared = self.refilled = 0
        self.why.clear()

    def judge(self, reasons: Iterable[str], *, kept: bool) -> None:
        """Adds a transform's verdict on one row."""
        self.judged += 1
        self.dropped += not kept
        if not kept:
            self.why.update(reasons)

    def spend(self, model: str, usage: Usage, usd: float | None, seconds: float) -> None:
        """Adds one response of the model of that name; `usd` is None without prices."""
        counted = int(usage.prompt_tokens > 0)
        one = Sums(1, usage.completion_tokens, seconds, counted, usage.prompt_tokens)
        self.by_model.setdefault(model, Sums()).add(one)
        self.asked += 1
        self.prompt_tokens += usage.prompt_tokens
        self.completion_tokens += usage.completion_tokens
        self.seconds += seconds
        self.usd = None if self.usd is None or usd is None else self.usd + usd

    def fail(self, model: str, cause: str) -> None:
        """Adds one request to the model of that name that brought no response."""
        self.unanswered.setdefault((model, cause), Unanswered()).add(1, 0.0)

    def wait(self, model: str, cause: str, seconds: float) -> None:
        """Adds what was waited before such a request was sent again."""
        self.unanswered.setdefault((model, cause), Unanswered()).add(0, seconds)


class Tally:
    """All stages together, by name in graph order."""

    def __init__(self, stages: dict[str, StageTally]) -> None:
        self.stages = stages

    @classmethod
    def of(cls, stages: Iterable[str]) -> Self:
        """A tally in which nothing has happened yet."""
        return cls({stage: StageTally() for stage in stages})

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
    def unanswered(self) -> UnansweredRequests:
        """Requests that brought no response."""
        return unanswered_in(self.stages.values())

    @property
    def retries(self) -> list[JsonObject]:
        """The same, as `--json` has it."""
        return [
            {"model": model, "cause": cause, "requests": each.requests, "wait_s": round(each.wait_s, 3)}
            for (model, cause), each in sorted(self.unanswered.items())
        ]

    @property
    def by_model(self) -> dict[str, Sums]:
        """What each model took, by its name."""
        return sums_in(self.stages.values())

    @property
    def usd(self) -> float | None:
        """US dollars, None where a stage was asked without prices."""
        costs = [stage.usd for stage in self.stages.values()]
        return None if None in costs else sum(cost for cost in costs if cost is not None)


def unanswered_in(tallies: Iterable[StageTally]) -> UnansweredRequests:
    """The requests of several stages that brought no response."""
    added: UnansweredRequests = {}
    for tally in tallies:
        for place, each in list(tally.unanswered.items()):  # a screen looks while a build counts
            added.setdefault(place, Unanswered()).add(each.requests, each.wait_s)
    return added


def sums_in(tallies: Iterable[StageTally]) -> dict[str, Sums]:
    """What each model took for several stages."""
    added: dict[str, Sums] = {}
    for tally in tallies:
        for model, sums in list(tally.by_model.items()):  # as above
            added.setdefault(model, Sums()).add(sums)
    return added
