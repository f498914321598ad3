"""What a build will do, in a sentence and as a table, and smaller settings where that is much. Pure.

The smaller settings come from the shape of the tree and the plan's own figures: so many requests of a stage, less those
that the cache answers, each as long and as dear as the plan says of that stage.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from distill_build.console.grid import Grid
from distill_build.console.outcome import Sentence, said_in_vain
from distill_build.console.words import UNKNOWN, rough_duration, rough_money, tokens, volume
from distill_build.records import number_of
from distill_build.settings import Budget, Settings
from distill_build.stages.kinds.declared import Declared, declared

if TYPE_CHECKING:
    from distill_build.builds.plan.plan import Cost, Plan, StagePlan

MUCH_SECONDS, MUCH_USD = 3_600, 20.0
"""From here on smaller settings are named…"""
COMFORTABLE_SECONDS, COMFORTABLE_USD = 3_000, 15.0
"""…which take no more than this."""
FEW = (100, 75, 50, 40, 30, 25, 20, 15, 12, 10, 8, 6, 5, 4, 3, 2)
"""What is offered in the place of a larger number."""
SUGGESTIONS = 2


class Smaller(msgspec.Struct, frozen=True):
    """Settings that ask for less, as typed, and what a build with them takes."""

    words: str
    seconds: float
    usd: float | None


def requests_and_cost(plan: "Plan") -> str:
    """The requests of a plan that has any, and what they take: "12 requests (…), about 4.2k tokens, $0.012, 3 s"."""
    cost = plan.cost
    about = "" if plan.exact else "about "
    price = "price unknown" if cost.usd is None else rough_money(cost.usd)
    return (
        f"{about}{number_of(plan.calls, 'requests')} ({_by_stage(plan)}), "
        f"{'about ' * plan.exact}{tokens(cost.prompt_tokens + cost.completion_tokens)} tokens, {price}, "
        f"{rough_duration(cost.seconds)}"
    )


def plan_lines(plan: "Plan", settings: Settings) -> Iterator[Sentence]:
    """The plan in one line, and a second one where it would take hours or much money."""
    cached = sum(stage.cached for stage in plan.stages.values())
    kept = f"; {number_of(cached, 'requests')} answered by the cache" if cached else ""
    yield from newly_dropped(plan)
    if not plan.calls:
        yield Sentence(f"plan: nothing to ask{kept}", "plain")
        return
    yield Sentence(f"plan: {requests_and_cost(plan)}{kept}")
    yield from cap(plan, settings.budget)
    if advice := advise(plan, settings):
        yield Sentence(advice, "warning")


def drops(plan: "Plan") -> Iterator[Sentence]:
    """What transforms would drop of the rows that are known."""
    if told := [f"{name} {number_of(number, 'rows')}" for name, number in plan.dropped.items() if number]:
        yield Sentence(f"would drop, of what is known: {', '.join(told)}", "quiet")


def yields(found: Mapping[str, Mapping[str, int]]) -> Iterator[Sentence]:
    """How many of the rows that are known each value of a threshold would keep."""
    for setting, kept in found.items():
        values = ", ".join(f"{value} → {rows:,}" for value, rows in kept.items())
        yield Sentence(f"{setting} would keep, of the rows that are known: {values}", "quiet")


def newly_dropped(plan: "Plan") -> Iterator[Sentence]:
    """How many rows go that the last build kept, and by which transforms: growth outranks some, a rule moves."""
    if plan.newly_dropped:
        rows = number_of(sum(plan.newly_dropped.values()), "rows")
        yield Sentence(
            f"{rows} that the last build kept would be dropped, by {' and '.join(plan.newly_dropped)}", "warning"
        )


def cap(plan: "Plan", budget: Budget) -> Iterator[Sentence]:
    """Which caps would be reached, so that not all comes about."""
    cost = plan.cost
    needs = {"calls": plan.calls, "tokens": cost.prompt_tokens + cost.completion_tokens, "usd": cost.usd or 0.0}
    caps = {name: getattr(budget, name) for name in needs}
    reached = [f"budget.{name}={cap:g}" for name, cap in caps.items() if cap is not None and needs[name] > cap]
    if reached:
        yield Sentence(
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
        for smaller in smaller_settings(plan, declared(settings))
    ]
    if not offers:
        return None
    return f"to start smaller: {', or '.join(offers)}; growing later keeps all that is there"


def smaller_settings(plan: "Plan", whole: Declared) -> list[Smaller]:
    """For each of a few settings the largest value below the present one with which a build is not much."""
    fitting: list[Smaller] = []
    for candidates in (_breadths(whole), _numbers(whole), _depths(whole), _everything(whole)):
        sized = (_sized(plan, less, words) for less, words in candidates)
        fit = next((smaller for smaller in sized if _is_comfortable(smaller)), None)
        if fit is not None and all(fit.words != other.words for other in fitting):
            fitting.append(fit)
    return fitting[:SUGGESTIONS]


Candidates = Iterator[tuple[Declared, str]]
"""What smaller settings declare, with those settings as typed, largest first."""


def _sized(plan: "Plan", less: Declared, words: str) -> Smaller:
    """What a build of `less` takes, where what is cached now is taken to be part of it."""
    seconds, usd = 0.0, 0.0
    for stage, requests in less.requests().items():
        planned, cost = plan.stages[stage], plan.costs[stage]
        if planned.calls:
            share = max(0, requests - planned.cached) / planned.calls
            seconds += share * cost.seconds
            usd += share * (cost.usd or 0.0)
    return Smaller(words, seconds, None if plan.cost.usd is None else usd)


def _breadths(whole: Declared) -> Candidates:
    breadth = whole.breadth
    for few in FEW:
        if isinstance(breadth, int) and few < breadth:
            yield replace(whole, breadth=few), f"breadth={few}"
        elif isinstance(breadth, list) and 1 < few < max(breadth):
            narrow = [min(few, value) for value in breadth]
            yield replace(whole, breadth=narrow), f"breadth={_typed(narrow)}"


def _numbers(whole: Declared) -> Candidates:
    """Fewer rows for each row above, of the last stage first: fewer answers, then fewer questions."""
    for stage, each in reversed(list(whole.each.items())):
        yield from ((_with_each(whole, stage, few), f"{whole.keys[stage]}={few}") for few in FEW if few < each)


def _with_each(whole: Declared, stage: str, few: int) -> Declared:
    return replace(whole, each={**whole.each, stage: min(few, whole.each[stage])})


def _depths(whole: Declared) -> Candidates:
    for depth in range(whole.depth - 1, 0, -1):
        if isinstance(whole.breadth, int):
            yield replace(whole, depth=depth), f"depth={depth}"
        else:
            breadth = whole.breadth[:depth]
            yield (
                replace(whole, depth=depth, breadth=breadth),
                f"depth={depth} breadth={_typed(breadth)}",
            )


def _everything(whole: Declared) -> Candidates:
    """All of it small, for what no single setting makes small."""
    lists = [shape.name for shape in whole.graph if shape.kind == "list" and shape.name in whole.each]
    for depth in range(min(whole.depth, 3), 0, -1):
        for few in (5, 3, 2):
            narrow = [min(few, value) for value in whole.breadths[:depth]]
            breadth = narrow if isinstance(whole.breadth, list) else narrow[0]
            less = replace(whole, depth=depth, breadth=breadth)
            for stage in lists:
                less = _with_each(less, stage, few)
            numbers = [f"{less.keys[stage]}={less.each[stage]}" for stage in lists]
            yield less, " ".join([f"depth={depth}", f"breadth={_typed(breadth)}", *numbers])


def _is_comfortable(smaller: Smaller) -> bool:
    return smaller.seconds <= COMFORTABLE_SECONDS and (smaller.usd or 0.0) <= COMFORTABLE_USD


def _typed(breadth: int | list[int]) -> str:
    """A breadth as typed: without spaces, which a shell would take apart."""
    return str(breadth).replace(" ", "")


def _by_stage(plan: "Plan") -> str:
    """ "1 for tags, 3 for questions, 60 for answers"."""
    return ", ".join(f"{planned.calls:,} for {stage}" for stage, planned in plan.stages.items() if planned.calls)


def shape(settings: Settings) -> str:
    """The settings that decide how many requests there are, as typed."""
    whole = declared(settings)
    numbers = [
        f"{key}={whole.each[stage]}"
        for stage, key in whole.keys.items()
        if "." not in key or whole.each[stage] > 1  # a stage of the user's own mostly makes one row
    ]
    return " ".join([f"depth={whole.depth}", f"breadth={_typed(whole.breadth)}", *numbers])


def plan_grid(plan: "Plan", asking: Sequence[str]) -> Grid:
    """The stages that ask, with the requests that a build would make, and what they would take."""
    rows = [(stage, *_figures([plan.stages[stage]], plan.costs[stage])) for stage in asking]
    total = ("total", *_figures(plan.stages.values(), plan.cost))
    heads = ("stage", "cached", "to ask", "unknown", "tokens", "cost", "time")
    return Grid(heads, (*rows, total), spare=("cached", "tokens", "time", "cost"))


def _figures(planned: "Iterable[StagePlan]", cost: "Cost") -> tuple[str, ...]:
    counted = list(planned)
    return (
        f"{sum(stage.cached for stage in counted):,}",
        f"{sum(stage.ask for stage in counted):,}",
        f"{sum(stage.unknown for stage in counted):,}",
        tokens(cost.prompt_tokens + cost.completion_tokens),
        rough_money(cost.usd),
        rough_duration(cost.seconds) if any(stage.calls for stage in counted) else "",
    )


def footnotes(plan: "Plan", settings: Settings) -> list[Sentence]:
    """How sure the figures are, and what the words in the table mean."""
    if not plan.calls:
        nothing = Sentence("nothing to ask: every request is answered by the cache", "good")
        return [nothing, *drops(plan), *newly_dropped(plan), *said_in_vain(plan.unmatched)]
    requests = number_of(plan.calls, "requests")
    notes = [Sentence(f"{requests} exactly; tokens, cost and time are estimated", "quiet")]
    if not plan.exact:
        unknown = sum(stage.unknown for stage in plan.stages.values())
        notes = [
            Sentence(f"about {requests}; tokens, cost and time are estimated", "quiet"),
            Sentence(
                f"unknown: {unknown:,} that follow from replies which are not there yet; counted from the settings",
                "quiet",
            ),
        ]
    if plan.assumed:
        each = " and ".join(f"{number:,} ({setting})" for setting, number in plan.assumed.items())
        notes.append(Sentence(f"completion tokens of one result, assumed until some have come: {each}", "quiet"))
    if stored := plan.cost.soft_label_bytes:
        notes.append(Sentence(f"soft labels add about {volume(stored)} to the cache", "quiet"))
    if plan.cost.usd is None:
        notes.append(Sentence(f"{UNKNOWN}: the model has no prices, see model.prices in its configuration", "quiet"))
    notes += [*drops(plan), *newly_dropped(plan), *said_in_vain(plan.unmatched), *cap(plan, settings.budget)]
    if advice := advise(plan, settings):
        notes.append(Sentence(advice, "warning"))
    return notes
