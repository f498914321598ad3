"""What a build did: the table, and the sentences that say it. Pure: where they go is the screens' business."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from distill_build.builds.report import Report
from distill_build.builds.walk.tally import StageTally
from distill_build.console.checks import check_sentences
from distill_build.console.grid import Grid
from distill_build.console.words import duration, money, tokens
from distill_build.graph import END
from distill_build.records import number_of, rows_of, short

NAMED_ROWS = 3
"""Rows that a sentence names; the number of all others is told."""
REASONS_SHOWN = 3
"""Of those for which a transform has dropped rows."""
Tone = Literal["plain", "quiet", "good", "warning", "bad"]


class Sentence(msgspec.Struct, frozen=True):
    """One sentence, and how it is meant."""

    text: str
    tone: Tone = "plain"


def report_grid(report: Report) -> Grid:
    """Stages with what was made, cached, failed, and what that took."""
    rows = [
        (stage, _made(report, stage), *(_figures([tally]) if report.graph[stage].asks else _asked_nobody(tally)))
        for stage, tally in report.stages.items()
    ]
    total = ("total", "", *_figures(report.stages.values()))
    heads = ("stage", "made", "failed", "asked", "cached", "tokens", "cost", "model time")
    spare = ("asked", "model time", "tokens", "cached", "cost")
    return Grid(heads, (*rows, total), spare, loud=("failed",))


def _made(report: Report, stage: str) -> str:
    """Rows of those that are to be there; of a transform, those that stayed of those that it was to judge."""
    if report.graph[stage].kind != "transform":
        return f"{report.count(stage):,} of {report.wanted(stage):,}"
    tally = report.tally.stages[stage]
    return f"{tally.judged - tally.dropped:,} of {report.wanted(stage):,}"


def _asked_nobody(tally: StageTally) -> tuple[str, ...]:
    """The cells of a stage that asks no model: it may fail all the same."""
    return (f"{tally.missing:,}" if tally.missing else "", *[""] * 5)


def _figures(tallies: Iterable[StageTally]) -> tuple[str, ...]:
    """The cells of what stages failed at, asked for, found and took, added up."""
    counted = list(tallies)
    asked, prices = sum(tally.asked for tally in counted), [tally.usd for tally in counted]
    return (
        f"{sum(tally.missing for tally in counted):,}",
        f"{asked:,}",
        f"{sum(tally.cached for tally in counted):,}",
        tokens(sum(tally.prompt_tokens + tally.completion_tokens for tally in counted)),
        money(None if None in prices else sum(price or 0.0 for price in prices)),
        duration(sum(tally.seconds for tally in counted)) if asked else "",
    )


def verdicts(report: Report) -> Iterator[Sentence]:
    """What transforms dropped, and why, for below the table."""
    for stage, tally in report.transforms.items():
        if tally.dropped:
            shown = tally.why.most_common(REASONS_SHOWN)
            alone = len(tally.why) == 1
            reasons = [reason if alone else f"{reason} ({number:,})" for reason, number in shown]
            reasons += ["…"] if len(tally.why) > REASONS_SHOWN else []
            why = f": {', '.join(reasons)}" if reasons else ""
            yield Sentence(f"{stage} dropped {number_of(tally.dropped, 'rows')}{why}{_refilled(tally)}", "quiet")


def _refilled(tally: StageTally) -> str:
    """What came in the place of rows that a transform dropped."""
    return f"; {tally.refilled:,} more came in their place" if tally.refilled else ""


def _dropped(report: Report, stage: str) -> str:
    """ "dedup dropped 6 of 100 questions"."""
    tally, judged = report.tally.stages[stage], report.graph[stage].after or "rows"
    return f"{stage} dropped {tally.dropped:,} of {rows_of(tally.judged, judged)}"


def up_to_date(report: Report) -> Iterator[Sentence]:
    """What is said of a build that had nothing to do: that, and again what is to be known of its rows."""
    items = ", ".join(rows_of(report.count(stage), stage) for stage in report.stages if stage not in report.transforms)
    version = short(report.version)
    yield from said_in_vain(report.unmatched)
    yield Sentence(f"{report.name} is up to date: {items} (version {version}); nothing was asked", "good")
    yield from (Sentence(text, "quiet") for text in check_sentences(report.checks))


def ending(report: Report) -> Iterator[Sentence]:
    """What is said below the table: what came out, where it is, and what else is worth knowing."""
    yield from troubles(report)
    yield from removed(report)
    if report.complete:
        items = _found(report, [stage for stage in report.stages if stage not in report.transforms])
        dropped = [_dropped(report, stage) for stage, tally in report.transforms.items() if tally.dropped]
        yield Sentence(f"{report.name} is complete: {'; '.join([items, *dropped])}", "good")
    facts = [f"version {short(report.version)}"]
    facts += [f"run {report.run_id}"] if report.run_id else []
    yield Sentence(f"{report.folder} ({', '.join([*facts, duration(report.seconds)])})")
    if report.files:
        yield Sentence(f"  {'  '.join(str(_inside(file, report.folder)) for file in report.files)}", "quiet")
    yield from map(Sentence, check_sentences(report.checks))


def troubles(report: Report) -> Iterator[Sentence]:
    """What nobody may miss, however quiet: edited files, what stopped the build, missing items."""
    for copy in report.edited_by_hand:
        yield edited(copy, report)
    if report.other_lock is not None:
        yield Sentence(
            f"{report.other_lock.name} was not the one that was written here (it may have come from git, and name "
            f"another version); that one is kept as {report.other_lock}",
            "warning",
        )
    if report.replaced is not None:
        yield Sentence(report.replaced.sentence("replaced"), "warning")
    yield from said_in_vain(report.unmatched)
    if report.newly_dropped:
        yield Sentence(_newly_dropped(report), "warning")
    if (empty := report.empty_export) is not None:
        yield Sentence(f"no row is exported: {empty} is empty", "warning")
    if report.stopped is not None:
        yield Sentence(str(report.stopped), "bad")
    if report.kept_rows:
        lost = number_of(report.kept_rows, "rows")
        yield Sentence(
            f"the files stay those of version {short(report.version)}: {lost} of a complete version would be gone or "
            "replaced. What came is stored in the cache",
            "warning",
        )
        return
    if line := _shortage(report):
        yield Sentence(line, "warning")


def said_in_vain(found: Sequence[str]) -> Iterator[Sentence]:
    """What people say of parts of the dataset that are not there."""
    yield from (Sentence(said, "warning") for said in found[:NAMED_ROWS])
    if len(found) > NAMED_ROWS:
        yield Sentence(f"and {len(found) - NAMED_ROWS:,} more that match nothing", "warning")


def _newly_dropped(report: Report) -> str:
    """Which rows are dropped that the last build kept: growth brought others that outrank them, or a rule has moved."""
    told = [
        f"{line['id']} ({'; '.join(line['why'])})" for _, line in report.newly_dropped[:NAMED_ROWS]
    ]  # fmt: skip
    names = ", ".join(dict.fromkeys(name for name, _ in report.newly_dropped))
    more = len(report.newly_dropped) - len(told)
    rows = number_of(len(report.newly_dropped), "rows")
    return f"{names} drops {rows} that the last build kept: {', '.join(told)}" + f" and {more:,} more" * (more > 0)


def edited(copy: Path, report: Report) -> Sentence:
    """What is said of a file that somebody else wrote, and that gave way to ours."""
    keeps = copy.name in report.graph.files
    way = "; `distill-build edit` before a build would take over what it says" * keeps
    return Sentence(f"{copy.name} had been edited by hand or put there; that file is kept as {copy}{way}", "warning")


def removed(report: Report) -> Iterator[Sentence]:
    """What is said of files that this build was not to make; of rows that go, the version that is replaced tells."""
    gone = [_inside(path, report.folder) for path in report.removed]
    told = [path for path in gone if report.replaced is None or path.parent.name]
    if told:
        are, it = ("is", "it") if len(told) == 1 else ("are", "them")
        formats = report.until == END and all(path.parent.name for path in told)
        way = f"with {it} in formats=[…] or trainers=[…]" if formats else "that is"
        yield Sentence(
            f"{', '.join(map(str, told))} {are} removed, and the lock names {it} no more: this build was not to make "
            f"{it}. One {way} brings {it} back, and asks nothing",
            "warning",
        )


def details(report: Report) -> Iterator[Sentence]:
    """What --verbose adds: the mean request of each stage."""
    for stage in report.stages:
        tally = report.tally.stages[stage]
        if tally.asked:
            mean = duration(tally.seconds / tally.asked)
            prompt, completion = tally.prompt_tokens / tally.asked, tally.completion_tokens / tally.asked
            yield Sentence(f"{stage}: {mean}, {tokens(prompt)} + {tokens(completion)} tokens a request", "quiet")
    yield Sentence(
        "asked (re-asks among them) and cached count requests; model time adds up what they took side by side; "
        "tokens are prompt + completion",
        "quiet",
    )


def _shortage(report: Report) -> str | None:
    """What is missing, with the place where the causes stand."""
    short = [stage for stage in report.stages if report.missing(stage)]
    causes = f": see {report.folder / 'failures.jsonl'}" if report.failures else ""
    if not short:
        return f"{number_of(report.failures, 'failures')}{causes}" if report.failures else None
    missing = ", ".join(rows_of(report.missing(stage), stage) for stage in short)
    if len(short) == 1:
        missing = f"{report.missing(short[0]):,}"
    return f"{_found(report, short)}; {missing} missing{causes}"


def _found(report: Report, stages: Iterable[str]) -> str:
    """ "11 of 11 tags, 472 of 480 answers"; what is whole and smaller than declared stands by itself: "94 answers"."""
    return ", ".join(_of_wanted(report, stage) for stage in stages)


def _of_wanted(report: Report, stage: str) -> str:
    count, missing = report.count(stage), report.missing(stage)
    if not missing and (count < report.expected[stage] or not report.graph[stage].asks):
        return rows_of(count, stage)
    wanted = count + missing if missing else report.wanted(stage)  # of what is missing above, a verdict is not missing
    return f"{count:,} of {rows_of(wanted, stage)}"


def _inside(file: Path, folder: Path) -> Path:
    return file.relative_to(folder) if file.is_relative_to(folder) else file
