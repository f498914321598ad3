"""What a build will do, in a sentence, and smaller settings where that is much. Pure.

The smaller settings come from the shape of the tree and the plan's own figures: so many requests of a stage, less those
that the cache answers, each as long and as dear as the plan says of that stage.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from distill_build.console.outcome import Line
from distill_build.console.words import rough_duration, rough_money, tokens
from distill_build.records import number_of
from distill_build.settings import Budget, Settings, Stage
from distill_build.stages.tally import STAGES

if TYPE_CHECKING:
    from distill_build.stages.plan import Plan

MUCH_SECONDS, MUCH_USD = 3_600, 20.0
"""From here on smaller settings are named…"""
COMFORTABLE_SECONDS, COMFORTABLE_USD = 3_000, 15.0
"""…which take no more than this."""
FEW = (100, 75, 50, 40, 30, 25, 20, 15, 12, 10, 8, 6, 5, 4, 3, 2)
"""What is offered in the place of a larger number."""
SUGGESTIONS = 2


@dataclass(frozen=True, slots=True)
class Smaller:
    """Settings that ask for less, as typed, and what a build with them takes."""

    words: str
    seconds: float
    usd: float | None


def plan_lines(plan: "Plan", settings: Settings) -> Iterator[Line]:
    """The plan in one line, and a second one where it would take hours or much money."""
    cached = sum(stage.cached for stage in plan.stages.values())
    kept = f"; {number_of(cached, 'requests')} answered by the cache" if cached else ""
    if not plan.calls:
        yield Line(f"plan: nothing to ask{kept}", "plain")
        return
    cost = plan.cost
    about = "" if plan.exact else "about "
    price = "price unknown" if cost.usd is None else rough_money(cost.usd)
    yield Line(
        f"plan: {about}{number_of(plan.calls, 'requests')} ({_by_stage(plan)}), "
        f"{'about ' * plan.exact}{tokens(cost.prompt_tokens + cost.completion_tokens)} tokens, {price}, "
        f"{rough_duration(cost.seconds)}{kept}"
    )
    yield from cap(plan, settings.budget)
    if advice := advise(plan, settings):
        yield Line(advice, "warning")


def cap(plan: "Plan", budget: Budget) -> Iterator[Line]:
    """Which caps would be reached, so that not all comes about."""
    cost = plan.cost
    needs = {"calls": plan.calls, "tokens": cost.prompt_tokens + cost.completion_tokens, "usd": cost.usd or 0.0}
    caps = {name: getattr(budget, name) for name in needs}
    reached = [f"budget.{name}={cap:g}" for name, cap in caps.items() if cap is not None and needs[name] > cap]
    if reached:
        yield Line(
            f"{' and '.join(reached)} would stop this before its end: what is complete by then is written, and a build "
            "with a new budget goes on from there",
            "warning",
        )


def advise(plan: "Plan", settings: Settings) -> str | None:
    """Smaller settings, where the plan takes more than an hour or more than twenty dollars."""
    cost = plan.cost
    if cost.seconds <= MUCH_SECONDS and (cost.usd or 0.0) <= MUCH_USD:
        return None
    offers = [
        f"{smaller.words} would take about {rough_duration(smaller.seconds)}"
        + (f" and {rough_money(smaller.usd)}" if smaller.usd else "")
        for smaller in smaller_settings(plan, settings)
    ]
    if not offers:
        return None
    return f"to start smaller: {', or '.join(offers)}; growing later keeps all that is there"


def smaller_settings(plan: "Plan", settings: Settings) -> list[Smaller]:
    """For each of a few settings the largest value below the present one with which a build is not much."""
    fitting: list[Smaller] = []
    for candidates in (_breadths(settings), _numbers(settings), _depths(settings), _everything(settings)):
        sized = (_sized(plan, settings, changes) for changes in candidates)
        fit = next((smaller for smaller in sized if _is_comfortable(smaller)), None)
        if fit is not None and all(fit.words != other.words for other in fitting):
            fitting.append(fit)
    return fitting[:SUGGESTIONS]


def requests_of(settings: Settings) -> dict[Stage, int]:
    """The requests of a build from nothing, when each brings what it was asked for."""
    tags, parents = 0, 1
    for level in range(1, settings.depth + 1):
        tags += parents * math.ceil(settings.breadth_at(level) / settings.per_request.tags)
        parents *= settings.breadth_at(level)
    questions = parents * math.ceil(settings.questions_per_tag / settings.per_request.questions)
    answers = parents * settings.questions_per_tag * settings.answers_per_question
    return {"tags": tags, "questions": questions, "answers": answers}


Changes = dict[str, int | list[int]]


def _sized(plan: "Plan", settings: Settings, changes: Changes) -> Smaller:
    """What a build takes with `changes`, where what is cached now is taken to be part of it."""
    wanted = requests_of(msgspec.structs.replace(settings, **changes))
    seconds, usd = 0.0, 0.0
    for stage in STAGES:
        planned, cost = plan.stages[stage], plan.costs[stage]
        if planned.calls:
            share = max(0, wanted[stage] - planned.cached) / planned.calls
            seconds += share * cost.seconds
            usd += share * (cost.usd or 0.0)
    words = " ".join(f"{key}={value}".replace(" ", "") for key, value in changes.items())
    return Smaller(words, seconds, None if plan.cost.usd is None else usd)


def _breadths(settings: Settings) -> Iterator[Changes]:
    breadth = settings.breadth
    if isinstance(breadth, int):
        yield from _below(breadth, "breadth")
        return
    for most in FEW:
        if 1 < most < max(breadth):
            yield {"breadth": [min(most, value) for value in breadth]}


def _numbers(settings: Settings) -> Iterator[Changes]:
    """Fewer answers for each question, then fewer questions."""
    yield from _below(settings.answers_per_question, "answers_per_question")
    yield from _below(settings.questions_per_tag, "questions_per_tag")


def _below(present: int, key: str) -> Iterator[Changes]:
    for value in FEW:
        if value < present:
            yield {key: value}


def _depths(settings: Settings) -> Iterator[Changes]:
    for depth in range(settings.depth - 1, 0, -1):
        yield _with_depth(settings, depth)


def _everything(settings: Settings) -> Iterator[Changes]:
    """All of it small, for what no single setting makes small."""
    for depth in range(min(settings.depth, 3), 0, -1):
        for few in (5, 3, 2):
            breadth = settings.breadth if isinstance(settings.breadth, list) else [settings.breadth] * depth
            narrow: list[int] = [min(few, value) for value in breadth[:depth]]
            yield {
                "depth": depth,
                "breadth": narrow if isinstance(settings.breadth, list) else narrow[0],
                "questions_per_tag": min(few, settings.questions_per_tag),
            }


def _with_depth(settings: Settings, depth: int) -> Changes:
    if isinstance(settings.breadth, list):
        return {"depth": depth, "breadth": settings.breadth[:depth]}
    return {"depth": depth}


def _is_comfortable(smaller: Smaller) -> bool:
    return smaller.seconds <= COMFORTABLE_SECONDS and (smaller.usd or 0.0) <= COMFORTABLE_USD


def _by_stage(plan: "Plan") -> str:
    """ "1 for tags, 3 for questions, 60 for answers"."""
    return ", ".join(f"{plan.stages[stage].calls:,} for {stage}" for stage in STAGES if plan.stages[stage].calls)
