"""What a build would ask for and what that would cost: exact where the cache can tell, estimated beyond.

A plan walks the same pipeline as a build; `PlanAsk` looks calls up and asks nobody. Where a chain of requests
breaks off, what lies behind it is worked out from the shape of the tree.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from distill_build.engine.store import Store
from distill_build.models.base import ModelSettings
from distill_build.records import JsonObject
from distill_build.settings import Settings, Stage
from distill_build.stages.call import Made, Result, Unasked, standing
from distill_build.stages.chain import Chain
from distill_build.stages.figures import Figures, estimated_tokens
from distill_build.stages.pipeline import Until
from distill_build.stages.recipe import Call
from distill_build.stages.tally import STAGES, Tally, price_of
from distill_build.stages.tree import Node


@dataclass(slots=True)
class StagePlan:
    """Requests of one stage: answered by the cache, to be asked, and unknown until what is above them is there.

    `prompt_tokens` adds up those of the requests to be asked, as estimated from their text.
    """

    cached: int = 0
    ask: int = 0
    unknown: int = 0
    prompt_tokens: float = 0.0

    @property
    def calls(self) -> int:
        return self.ask + self.unknown


@dataclass(frozen=True, slots=True)
class Cost:
    """Tokens, US dollars (None without prices) and seconds."""

    prompt_tokens: int
    completion_tokens: int
    usd: float | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Plan:
    """What a build would do. `exact` says that no number of requests is estimated."""

    stages: dict[Stage, StagePlan]
    costs: dict[Stage, Cost]

    @property
    def calls(self) -> int:
        return sum(stage.calls for stage in self.stages.values())

    @property
    def exact(self) -> bool:
        return not any(stage.unknown for stage in self.stages.values())

    @property
    def cost(self) -> Cost:
        """All stages together."""
        costs = list(self.costs.values())
        usd = None if any(cost.usd is None for cost in costs) else sum(cost.usd or 0.0 for cost in costs)
        return Cost(
            sum(cost.prompt_tokens for cost in costs),
            sum(cost.completion_tokens for cost in costs),
            usd,
            sum(cost.seconds for cost in costs),
        )

    def row(self) -> JsonObject:
        """The document of `plan --json`."""
        cost = self.cost
        return {
            "calls": self.calls,
            "exact": self.exact,
            "stages": {
                name: {"cached": stage.cached, "ask": stage.ask, "unknown": stage.unknown}
                for name, stage in self.stages.items()
            },
            "tokens": {"prompt": cost.prompt_tokens, "completion": cost.completion_tokens},
            "usd": cost.usd,
            "seconds": round(cost.seconds, 1),
        }


class PlanAsk:
    """Looks calls up. One that is not stored is counted once, however many items wait for it."""

    def __init__(
        self, store: Store | None, stages: dict[Stage, StagePlan], anew: Callable[[Call], bool]
    ) -> None:
        """`store` is None where there is no cache yet."""
        self._store = store
        self._stages = stages
        self._anew = anew
        self._asked: set[bytes] = set()

    async def __call__(self, call: Call) -> Result:
        key = bytes.fromhex(call.key)
        if key in self._asked:
            return Unasked()
        if not self._anew(call) and (accepted := self._standing(call)) is not None:
            self._stages[call.stage].cached += 1
            return Made(accepted, asked=False)
        self._asked.add(key)
        self._stages[call.stage].ask += 1
        self._stages[call.stage].prompt_tokens += estimated_tokens(call.body["messages"])
        return Unasked()

    def _standing(self, call: Call) -> object | None:
        if self._store is None:
            return None
        accepted = standing(call, self._store.get(call.key))
        return None if accepted is None else accepted.value


class Estimate:
    """The outlook of a plan: how many requests lie behind one that is not answered."""

    def __init__(self, settings: Settings, stages: dict[Stage, StagePlan], until: Until) -> None:
        self._settings = settings
        self._stages = stages
        self._until = until

    def chain_unknown(self, stage: Stage, node: Node, chain: Chain) -> None:
        """The chain's own further requests, and all below the items that it is short of."""
        per_request = getattr(self._settings.per_request, stage)
        self._stages[stage].unknown += max(0, math.ceil(chain.missing / per_request) - 1)
        if stage == "tags":
            self._below(node.level + 1, chain.missing)
        else:
            self._answers(chain.missing)

    def _below(self, level: int, tags: int) -> None:
        """All requests below `tags` tags on `level`."""
        settings = self._settings
        if level < settings.depth:
            breadth = settings.breadth_at(level + 1)
            self._stages["tags"].unknown += tags * math.ceil(breadth / settings.per_request.tags)
            self._below(level + 1, tags * breadth)
        elif self._until != "tags":
            wanted = settings.questions_per_tag
            self._stages["questions"].unknown += tags * math.ceil(wanted / settings.per_request.questions)
            self._answers(tags * wanted)

    def _answers(self, questions: int) -> None:
        if self._until != "questions":
            self._stages["answers"].unknown += questions * self._settings.answers_per_question


def price(
    settings: Settings, stages: dict[Stage, StagePlan], figures: Figures, typical: Callable[[Stage], float]
) -> Plan:
    """A plan with its cost. `typical` gives the prompt tokens of a request that cannot be rendered yet."""
    costs = {}
    for stage in STAGES:
        counts, model = stages[stage], settings.role(stage)
        per_call = figures.expect(stage, model, _items(settings, stage))
        prompt_each = counts.prompt_tokens / counts.ask if counts.ask else typical(stage)
        prompt = counts.prompt_tokens + counts.unknown * prompt_each
        completion = counts.calls * per_call.completion_tokens
        costs[stage] = Cost(
            round(prompt),
            round(completion),
            price_of(prompt, completion, model.prices) if counts.calls else 0.0,
            _seconds(settings, model, counts.calls, per_call.seconds),
        )
    return Plan(stages, costs)


def _items(settings: Settings, stage: Stage) -> int:
    return 1 if stage == "answers" else int(getattr(settings.per_request, stage))


def _seconds(settings: Settings, model: ModelSettings, calls: int, each: float) -> float:
    """So many requests of `each` seconds through the gate of `model`."""
    limits = settings.limits_for(model)
    by_concurrency = math.ceil(calls / (limits.concurrency or calls or 1)) * each
    return max(by_concurrency, calls * 60 / limits.rpm if limits.rpm else 0.0)


def stages_of(tally: Tally) -> dict[Stage, StagePlan]:
    """What was done, in the shape of a plan."""
    return {name: StagePlan(stage.cached, stage.asked, 0) for name, stage in tally.stages.items()}
