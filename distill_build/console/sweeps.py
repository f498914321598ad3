"""What a person sees of a sweep: the plan in a sentence, a table with a row for each job, and what went wrong. Pure."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from distill_build.console.forecast import cap
from distill_build.console.outcome import Sentence, edited, removed
from distill_build.console.sweep_table import NOTHING, Column, SweepTable, called
from distill_build.console.words import duration, money, rough_duration, rough_money, tokens
from distill_build.graph import in_order
from distill_build.records import number_of, short
from distill_build.settings import Budget, graph_of

if TYPE_CHECKING:
    from distill_build.builds.plan.plan import Plan
    from distill_build.sweeps.jobs import Job, Sweep
    from distill_build.sweeps.objectives import Target
    from distill_build.sweeps.outcome import SweepReport
    from distill_build.sweeps.planning import SweepPlan
    from distill_build.sweeps.results import JobRow, SweepCost


def sweep_plan_lines(plan: "SweepPlan", budget: Budget) -> Iterator[Sentence]:
    """What is about to be asked for, and whether that is more than it may be."""
    jobs, cost, about = len(plan.jobs), plan.union.cost, "" if plan.union.exact else "about "
    price = "price unknown" if cost.usd is None else rough_money(cost.usd)
    saved = f" together ({plan.calls:,} one by one)" if jobs > 1 else ""
    yield Sentence(
        f"plan: {number_of(jobs, 'jobs')}, {about}{number_of(plan.union.calls, 'requests')}{saved}, "
        f"{tokens(cost.prompt_tokens + cost.completion_tokens)} tokens, {price}, "
        f"{rough_duration(cost.seconds)}"
    )
    yield from cap(plan.union, budget)


def jobs_table(sweep: "Sweep", plan: "SweepPlan") -> SweepTable:
    """A row for each job by itself, and what all of them take together."""
    usd = rough_money(plan.union.cost.usd)
    graphs = [graph_of(job.settings) for job in sweep.jobs]
    asking = in_order([shape.name for shape in graph if shape.asks] for graph in graphs)
    requests: dict[str, Callable[[Plan], str]] = {stage: partial(_requests, stage) for stage in asking}
    counts = {"cached": _cached, **requests, "tokens": _tokens}
    columns = [
        *(Column(head, [count(each) for each in plan.jobs], count(plan.union)) for head, count in counts.items()),
        Column("cost alone", [rough_money(each.cost.usd) for each in plan.jobs], usd),
        Column("its share", [rough_money(share) for share in plan.shares], usd),
    ]
    return SweepTable(
        sweep.jobs, columns, ("cached", "its share", *asking[:-2], *asking[-1:], *asking[-2:-1]), "see -v, or --json"
    )


def plan_footnotes(plan: "SweepPlan", budget: Budget) -> Iterator[Sentence]:
    """What the figures are, what the sweep saves, and whether it is more than it may take."""
    if not plan.union.calls:
        yield Sentence("nothing to ask: every request is answered by the cache", "good")
        return
    about = "" if plan.union.exact else "about "
    cost = plan.union.cost
    yield Sentence(
        f"{about}{number_of(plan.union.calls, 'requests')} together, {plan.calls:,} one by one"
        f"{_saved(cost.usd, plan.usd)}; {rough_duration(cost.seconds)}"
    )
    asked = [stage for stage, planned in plan.union.stages.items() if planned.calls]
    counts = f"{', '.join(asked[:-1])} and {asked[-1]} count" if len(asked) > 1 else f"{asked[0]} counts"
    yield Sentence(f"{counts} requests to ask; tokens, cost and time are estimated", "quiet")
    yield from cap(plan.union, budget)


def _cached(plan: "Plan") -> str:
    return f"{sum(stage.cached for stage in plan.stages.values()):,}"


def _requests(stage: str, plan: "Plan") -> str:
    return f"{plan.stages[stage].calls:,}" if stage in plan.stages else NOTHING


def _tokens(plan: "Plan") -> str:
    return tokens(plan.cost.prompt_tokens + plan.cost.completion_tokens)


def _saved(union: float | None, alone: float | None) -> str:
    return "" if not union or alone is None else f"; {rough_money(union)} together, {rough_money(alone)} one by one"


CAUSES_SHOWN = 3
"""Of jobs that failed: each may take several rows."""
SHOWN_AS: dict[str, str] = {
    "unique": "unique",
    "near_duplicates": "near-dup",
    "leaf_coverage": "leaves",
    "failures": "failed",
    "tokens": "tokens",
    "usd": "cost alone",
}
"""Objectives that have a column in any case."""


def report_table(report: "SweepReport", targets: Sequence["Target"] = ()) -> SweepTable:
    """A row for each job: what it holds, how varied it is, and what that has cost; the best marked as `targets` say."""
    from distill_build.sweeps.objectives import pareto_optimal  # builds by themselves need none of it
    from distill_build.sweeps.results import RESULTS

    rows, union = report.results.rows, report.results.union
    usd = money(union.usd)
    sought = [target for target in targets if target.objective not in SHOWN_AS]
    graphs = [graph_of(job.settings) for job in report.sweep.jobs]
    stages = in_order([shape.name for shape in graph if shape.kind != "transform"] for graph in graphs)
    columns = [
        *(_column(target.objective, rows, partial(_sought, target)) for target in sought),
        *(_column(stage, rows, partial(_count, stage)) for stage in stages),
        _column("unique", rows, lambda row: _percent(row.unique)),
        _column("near-dup", rows, lambda row: _percent(row.near_duplicates)),
        _column("leaves", rows, lambda row: _percent(row.leaf_coverage)),
        _column("tokens", rows, lambda row: tokens(_spent(row)), tokens(_spent(union))),
        _column("cost alone", rows, lambda row: money(row.usd), usd),
        _column("its share", rows, lambda row: money(row.share_usd), usd),
        Column(
            "failed",
            [f"{row.failures:,}" if row.error is None else "failed" for row in rows],
            f"{sum(row.failures for row in rows):,}",
            loud=True,
        ),
        _column("version", rows, lambda row: short(row.version or NOTHING)),
    ]
    cheap = ("tokens",) if union.usd else ()  # they say no more than the price
    return SweepTable(
        report.sweep.jobs,
        columns,
        (
            *(*cheap, *stages[:-2], "its share", "leaves", "tokens", *stages[-1:]),
            *("near-dup", "failed", "cost alone", "version", *stages[-2:-1]),
        ),
        f"see -v, or {RESULTS} in the sweep's folder",
        kept=frozenset(SHOWN_AS[target.objective] for target in targets if target.objective in SHOWN_AS),
        best=pareto_optimal(rows, targets, {name for name, each in report.reports.items() if each.stopped}),
    )


def best_legend(targets: Sequence["Target"]) -> Sentence:
    """What the mark in the table means."""
    sought = [f"{target.objective} ({target.direction})" for target in targets]
    together = f"; with {len(sought)} numbers, those that no other job beats in all of them" if len(sought) > 1 else ""
    return Sentence(f"* best by {' and '.join(sought)}{together}", "quiet")


def _column(head: str, rows: Sequence["JobRow"], cell: Callable[["JobRow"], str], total: str = NOTHING) -> Column:
    """What was found of jobs; nothing of those that failed."""
    return Column(head, [cell(row) if row.error is None else NOTHING for row in rows], total)


def _count(stage: str, row: "JobRow") -> str:
    return f"{row.counts[stage]:,}" if stage in row.counts else NOTHING


def _sought(target: "Target", row: "JobRow") -> str:
    value = target.of(row)
    if value is None:
        return NOTHING
    return f"{value:,.0f}" if target.objective == "calls" else f"{value:.2%}"


def _spent(of: "JobRow | SweepCost") -> int:
    return of.tokens.prompt + of.tokens.completion


def _percent(share: float | None) -> str:
    """A share as a percentage; what is not quite all, or not quite nothing, is not rounded to it."""
    if share is None:
        return NOTHING
    rounded = f"{share:.0%}"
    return f"{share:.2%}" if rounded in ("0%", "100%") and share not in (0, 1) else rounded


def sweep_ending(report: "SweepReport") -> Iterator[Sentence]:
    """What is said below the table and its notes."""
    yield from sweep_troubles(report)
    yield from dict.fromkeys(sentence for each in report.reports.values() for sentence in removed(each))
    tally, jobs = report.tally, number_of(len(report.sweep.jobs), "jobs")
    if not report.reports and not report.errors:
        yield Sentence(f"{jobs} up to date; nothing was asked", "good")
    else:
        price = "" if not tally.usd else f" for {money(tally.usd)}"
        yield Sentence(f"{number_of(tally.asked, 'requests')} answered{price}{_behind(report)}")
    yield Sentence(f"{report.sweep.folder} ({duration(report.seconds)})")


def _behind(report: "SweepReport") -> str:
    together, alone = report.results.union.calls, sum(row.calls for row in report.results.rows)
    return f"; the jobs rest on {together:,} together, {alone:,} one by one" if alone > together else ""


def sweep_troubles(report: "SweepReport") -> Iterator[Sentence]:
    """What nobody may miss: jobs that failed, a cap that was reached, missing items."""
    yield from failed(report)
    for sentence in dict.fromkeys(str(each.stopped) for each in report.reports.values() if each.stopped):
        yield Sentence(sentence, "bad")
    for each in report.reports.values():
        for copy in each.edited_by_hand:
            yield edited(copy, each)
    short = [called(job) for job, row in zip(report.sweep.jobs, report.results.rows, strict=True) if row.failures]
    if short:
        place = report.sweep.folder / "*" / "failures.jsonl"
        yield Sentence(f"items are missing in {', '.join(short)}: see {place}", "warning")


def failed(report: "SweepReport") -> Iterator[Sentence]:
    """Why jobs failed, a cause once; of many causes the first few."""
    causes: dict[str, list[Job]] = {}
    for job in report.sweep.jobs:
        if (error := report.errors.get(job.name)) is not None:
            causes.setdefault(str(error).replace(str(job.folder), str(report.sweep.folder / "*")), []).append(job)
    for sentence, jobs in islice(causes.items(), CAUSES_SHOWN):
        said = sentence if len(jobs) > 1 else str(report.errors[jobs[0].name])
        yield Sentence(f"failed: {', '.join(map(called, jobs))}: {said}", "bad")
    more = [called(job) for jobs in list(causes.values())[CAUSES_SHOWN:] for job in jobs]
    if more:
        yield Sentence(f"failed: {', '.join(more)}: --json says why", "bad")
