"""What a person sees of a sweep: the plan in a sentence, a table with a row for each job, and what went wrong. Pure."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from distill_build.console.grid import Grid
from distill_build.console.outcome import Line
from distill_build.console.words import duration, money, number_of, rough_duration, rough_money, tokens
from distill_build.records import short
from distill_build.stages.tally import STAGES

if TYPE_CHECKING:
    from distill_build.stages.plan import Plan
    from distill_build.sweeps.done import Done
    from distill_build.sweeps.jobs import Sweep
    from distill_build.sweeps.planning import SweepPlan
    from distill_build.sweeps.results import Row

TOGETHER = "together"
NOTHING = ""


def plan_sentence(plan: "SweepPlan", jobs: int) -> Line:
    """What is about to be asked for."""
    cost, about = plan.union.cost, "" if plan.union.exact else "about "
    price = "price unknown" if cost.usd is None else rough_money(cost.usd)
    saved = f" together ({plan.calls:,} one by one)" if jobs > 1 else ""
    return Line(
        f"plan: {number_of(jobs, 'jobs')}, {about}{number_of(plan.union.calls, 'requests')}{saved}, "
        f"{tokens(cost.prompt_tokens + cost.completion_tokens)} tokens, {price}, "
        f"{rough_duration(cost.seconds)}"
    )


def plan_grid(sweep: "Sweep", plan: "SweepPlan") -> Grid:
    """A row for each job by itself, and what all of them take together."""
    rows = []
    for job, each, share in zip(sweep.jobs, plan.jobs, plan.shares, strict=True):
        cached = sum(stage.cached for stage in each.stages.values())
        rows.append((job.words, f"{cached:,}", *_asked(each), rough_money(each.cost.usd), rough_money(share)))
    usd = rough_money(plan.union.cost.usd)
    total = (TOGETHER, NOTHING, *_asked(plan.union), usd, usd)
    heads = ("job", "cached", "tags", "questions", "answers", "tokens", "cost alone", "its share")
    return Grid(heads, (*rows, total), spare=("cached", "tokens"))


def plan_footnotes(plan: "SweepPlan") -> Iterator[Line]:
    """What the figures are, and what the sweep saves."""
    if not plan.union.calls:
        yield Line("nothing to ask: every request is answered by the cache", "good")
        return
    about = "" if plan.union.exact else "about "
    cost = plan.union.cost
    yield Line(
        f"{about}{number_of(plan.union.calls, 'requests')} together, {plan.calls:,} one by one"
        f"{_saved(cost.usd, plan.usd)}; {rough_duration(cost.seconds)}"
    )
    yield Line("tags, questions and answers count requests to ask; tokens, cost and time are estimated", "quiet")


def _asked(plan: "Plan") -> tuple[str, ...]:
    cost = plan.cost
    counts = [f"{plan.stages[stage].calls:,}" for stage in STAGES]
    return (*counts, tokens(cost.prompt_tokens + cost.completion_tokens))


def _saved(union: float | None, alone: float | None) -> str:
    return "" if not union or alone is None else f"; {rough_money(union)} together, {rough_money(alone)} one by one"


def report_grid(done: "Done") -> Grid:
    """A row for each job: what it holds, how varied it is, and what that has cost."""
    union = done.results.union
    failures = sum(row.failures for row in done.results.rows)
    spent = tokens(union.tokens.prompt + union.tokens.completion)
    total = (TOGETHER, *[NOTHING] * 6, spent, money(union.usd), money(union.usd), f"{failures:,}", NOTHING)
    heads = (
        "job", "tags", "questions", "answers", "unique", "near-dup", "leaves", "tokens", "cost alone", "its share",
        "failed", "version",
    )  # fmt: skip
    words = [job.words for job in done.sweep.jobs]
    rows = [_row(name, row) for name, row in zip(words, done.results.rows, strict=True)]
    return Grid(heads, (*rows, total), spare=("version", "tags", "tokens", "leaves", "near-dup"), loud=("failed",))


def _row(words: str, row: "Row") -> tuple[str, ...]:
    if row.error is not None:
        return (words, *[NOTHING] * 9, "failed", NOTHING)
    counts = [f"{row.counts[stage]:,}" if stage in row.counts else NOTHING for stage in STAGES]
    shares = [_percent(share) for share in (row.unique, row.near_duplicates, row.leaf_coverage)]
    spent = tokens(row.tokens.prompt + row.tokens.completion)
    version = short(row.version or "")
    return (words, *counts, *shares, spent, money(row.usd), money(row.share_usd), f"{row.failures:,}", version)


def _percent(share: float | None) -> str:
    """A share as a percentage; what is not quite all, or not quite nothing, is not rounded to it."""
    if share is None:
        return NOTHING
    rounded = f"{share:.0%}"
    return f"{share:.1%}" if rounded in ("0%", "100%") and share not in (0, 1) else rounded


def ending(done: "Done") -> Iterator[Line]:
    """What is said below the table."""
    yield from troubles(done)
    tally, jobs = done.tally, len(done.sweep.jobs)
    behind = sum(row.calls for row in done.results.rows)
    if not done.reports and not done.errors:
        yield Line(f"{number_of(jobs, 'jobs')} up to date; nothing was asked", "good")
    else:
        price = "" if not tally.usd else f" for {money(tally.usd)}"
        kept = f"; {done.results.union.calls:,} are behind all jobs together, {behind:,} one by one" if jobs > 1 else ""
        yield Line(f"{number_of(tally.asked, 'requests')} sent{price}{kept}")
    yield Line(f"{done.sweep.folder} ({duration(done.seconds)})")


def troubles(done: "Done") -> Iterator[Line]:
    """What nobody may miss: jobs that failed, a cap that was reached, missing items."""
    by_sentence: dict[str, list[str]] = {}
    for job in done.sweep.jobs:
        if (error := done.errors.get(job.name)) is not None:
            by_sentence.setdefault(str(error), []).append(job.words)
    for sentence, words in by_sentence.items():
        yield Line(f"failed: {', '.join(words)}: {sentence}", "bad")
    for sentence in dict.fromkeys(report.stopped for report in done.reports.values() if report.stopped):
        yield Line(sentence, "bad")
    for report in done.reports.values():
        for copy in report.edited_by_hand:
            yield Line(f"{copy.name} had been edited by hand; the edited file is kept as {copy}", "warning")
    short = [job.words for job, row in zip(done.sweep.jobs, done.results.rows, strict=True) if row.failures]
    if short:
        place = done.sweep.folder / "*" / "failures.jsonl"
        yield Line(f"items are missing in {', '.join(short)}: see {place}", "warning")
