"""A plan: how many requests a build would send, and what they would cost. Pure; `estimation` is how it comes about."""

import math
from collections.abc import Callable, Collection, Mapping

import msgspec
from msgspec.structs import replace

from distill_build.builds.plan.statistics import RequestStatistics
from distill_build.dataset.layout import State
from distill_build.errors import EndpointError
from distill_build.models.base import ModelSettings
from distill_build.records import JsonObject, Path
from distill_build.settings import Settings
from distill_build.soft_labels import packed_bytes
from distill_build.stages.all import Stages
from distill_build.stages.kinds.base import ModelStage
from distill_build.stages.kinds.list_stage import ListStage


class Asked(msgspec.Struct):
    """Requests to be asked, and their prompt tokens as estimated from their text."""

    requests: int = 0
    prompt_tokens: float = 0.0


class StagePlan(msgspec.Struct):
    """Requests of one stage: answered by the cache, to be asked, and unknown until what is above them is there.

    `open_chains` counts lists that end with a request to be asked: a reply that brings less than was asked for
    takes another one. `by_role` says who is to be asked; `first` is the path of the first request to be asked.
    """

    cached: int = 0
    ask: int = 0
    unknown: int = 0
    open_chains: int = 0
    by_role: dict[str, Asked] = msgspec.field(default_factory=dict)
    first: Path | None = None

    @property
    def calls(self) -> int:
        return self.ask + self.unknown

    def add(self, role: str, path: Path, prompt_tokens: float) -> None:
        """Counts one request to be asked."""
        asked = self.by_role.setdefault(role, Asked())
        asked.requests += 1
        asked.prompt_tokens += prompt_tokens
        self.ask += 1
        self.first = self.first or path

    def mean_prompt_tokens(self) -> float | None:
        """Of one request to be asked; None where there is none."""
        return sum(asked.prompt_tokens for asked in self.by_role.values()) / self.ask if self.ask else None


class Cost(msgspec.Struct, frozen=True):
    """Tokens, US dollars (None without prices), seconds, and bytes of soft labels that are stored."""

    prompt_tokens: int
    completion_tokens: int
    usd: float | None
    seconds: float
    soft_label_bytes: int = 0


class Plan(msgspec.Struct, frozen=True):
    """What a build would do, by stage. `exact` says that no number of requests is estimated.

    `dropped` counts by transform the rows that it would drop, of those that are known, and `newly_dropped` those among
    them that the last build kept. `replaced` counts by stage the rows of the version in the folder that the plan does
    not come to as they stand: they go, or are made anew, be it alike; `wanted` are those that there are to be.
    `leaving` are the paths of tags of that version that the tree has no more, each with all that is below it.
    `assumed` are completion tokens of one result by the setting that says them, of requests whose like have not been
    seen, and `seen` the stages whose requests have. `unmatched` are sentences on what people say of parts of the
    dataset that are not there. `in_vain` is what stops a build that asks, by a reply that is stored.
    """

    stages: dict[str, StagePlan]
    costs: dict[str, Cost]
    dropped: dict[str, int] = msgspec.field(default_factory=dict)
    newly_dropped: dict[str, int] = msgspec.field(default_factory=dict)
    replaced: dict[str, int] = msgspec.field(default_factory=dict)
    wanted: dict[str, int] = msgspec.field(default_factory=dict)
    leaving: tuple[Path, ...] = ()
    unmatched: tuple[str, ...] = ()
    in_vain: EndpointError | None = None
    assumed: dict[str, int] = msgspec.field(default_factory=dict)
    seen: frozenset[str] = frozenset()

    @property
    def calls(self) -> int:
        return sum(stage.calls for stage in self.stages.values())

    @property
    def exact(self) -> bool:
        return not any(stage.unknown or stage.open_chains for stage in self.stages.values())

    @property
    def first(self) -> tuple[str, Path]:
        """Stage and place of a first request to be sent; to be asked for only where there is one."""
        return next((name, stage.first) for name, stage in self.stages.items() if stage.first is not None)

    @property
    def cost(self) -> Cost:
        """All stages together."""
        return added_up(self.costs.values())

    def require_use(self) -> None:
        """Raises EndpointError where a stored reply shows that an endpoint would be asked in vain."""
        if self.in_vain is not None:
            raise self.in_vain

    def of_cache(self) -> "Plan":
        """This plan for a build that takes what is stored and asks nothing."""
        stages = {name: StagePlan(cached=stage.cached) for name, stage in self.stages.items()}
        nothing = {name: Cost(0, 0, 0.0, 0.0) for name in self.costs}
        return Plan(stages, nothing, self.dropped, self.newly_dropped, unmatched=self.unmatched)

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
            "soft_label_bytes": cost.soft_label_bytes,
            "dropped": self.dropped,
            "newly_dropped": sum(self.newly_dropped.values()),
            "replaced": self.replaced,
            "leaving": [list(path) for path in self.leaving],
            "unmatched": list(self.unmatched),
        }


def added_up(costs: Collection[Cost]) -> Cost:
    """The cost of all."""
    usd = None if any(cost.usd is None for cost in costs) else sum(cost.usd or 0.0 for cost in costs)
    return Cost(
        sum(cost.prompt_tokens for cost in costs),
        sum(cost.completion_tokens for cost in costs),
        usd,
        sum(cost.seconds for cost in costs),
        sum(cost.soft_label_bytes for cost in costs),
    )


def price(
    stages: Stages,
    plans: dict[str, StagePlan],
    figures: RequestStatistics,
    typical: Callable[[str], float],
    dropped: Mapping[str, int],
) -> Plan:
    """A plan with its cost. `typical` gives the prompt tokens of a request that cannot be rendered yet, but for what
    replies of stages above bring into it. They serve where none of the stage's requests is known, nor was one seen."""
    costs = dict.fromkeys(plans, Cost(0, 0, 0.0, 0.0))
    for stage in stages.asking:
        counts, mean = plans[stage.name], plans[stage.name].mean_prompt_tokens()
        unknown = counts.unknown / len(stage.asked_roles)  # each row has results of each
        all_of_it = dict[str, Asked]()
        for role in stage.asked_roles:
            asked = counts.by_role.get(role, Asked())
            each = mean
            if each is None and unknown:
                each = figures.expect(stage.shape, stages.settings.models[role], items_of(stage)).prompt_tokens
            if each is None and unknown:
                each = typical(stage.name) + _replies_shown(stages, stage, figures)
            tokens = asked.prompt_tokens + unknown * (each or 0.0)
            all_of_it[role] = Asked(asked.requests + round(unknown), tokens)
        costs[stage.name] = added_up([_cost(stages.settings, stage, *each, figures) for each in all_of_it.items()])
    return Plan(plans, costs, dict(dropped), assumed=_assumed(stages, plans, figures), seen=_seen(stages, figures))


def _replies_shown(stages: Stages, stage: ModelStage, figures: RequestStatistics) -> float:
    """Tokens of the replies that a request of `stage` shows, one of each map that it comes after or names."""
    shown = [each for each in stages.asking if each.name in {stage.shape.after, *stage.refers_to}]
    return sum(
        figures.expect(each.shape, stages.settings.models[each.first], 1).completion_tokens
        for each in shown
        if not isinstance(each, ListStage)
    )


def _seen(stages: Stages, figures: RequestStatistics) -> frozenset[str]:
    models = stages.settings.models
    return frozenset(
        stage.name
        for stage in stages.asking
        if all(figures.expect(stage.shape, models[role], 1).known for role in stage.asked_roles)
    )


def _assumed(stages: Stages, plans: Mapping[str, StagePlan], figures: RequestStatistics) -> dict[str, int]:
    found: dict[str, int] = {}
    for stage in stages.asking:
        for role in stage.recipes if plans[stage.name].calls and not isinstance(stage, ListStage) else ():
            each = figures.expect(stage.shape, stages.settings.models[role], 1)
            if not each.known and each.completion_tokens:
                found[stages.settings.setting(role, "assumed_tokens")] = round(each.completion_tokens)
    return found


def _cost(settings: Settings, stage: ModelStage, role: str, asked: Asked, figures: RequestStatistics) -> Cost:
    """What the requests of a stage to one role cost."""
    model = settings.models[role]
    each = figures.expect(stage.shape, model, items_of(stage))
    completion = asked.requests * each.completion_tokens
    return Cost(
        round(asked.prompt_tokens),
        round(completion),
        model.prices.of(asked.prompt_tokens, completion) if asked.requests else 0.0,
        _seconds(settings, model, asked.requests, each.seconds),
        0 if model.logprobs is None else packed_bytes(completion, model.logprobs),
    )


def plan_of_state(stages: Stages, state: State, figures: RequestStatistics) -> Plan:
    """The plan of a build that would leave everything as `state` says."""
    plans = {name: StagePlan(cached=state.requests.get(name, 0)) for name in stages.graph.names}
    dropped = {name: sum(why.values()) for name, why in state.dropped.items()}
    unmatched = (*stages.settings.unread, *state.unmatched)
    return replace(price(stages, plans, figures, lambda _: 0.0, dropped), unmatched=unmatched)


def items_of(stage: ModelStage) -> int:
    """Items that one request asks for."""
    return stage.results if isinstance(stage, ListStage) else 1


def _seconds(settings: Settings, model: ModelSettings, calls: int, each: float) -> float:
    """So many requests of `each` seconds through the gate of `model`."""
    limits = settings.limits_for(model)
    by_concurrency = math.ceil(calls / settings.concurrency(model)) * each
    return max(by_concurrency, calls * 60 / limits.rpm if limits.rpm else 0.0)
