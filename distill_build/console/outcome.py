"""What a build did, and the sentences that say it. Pure: where the sentences go is the screens' business."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from distill_build.console.words import duration, tokens
from distill_build.records import number_of, short
from distill_build.settings import Stage
from distill_build.stages.report import Report

Tone = Literal["plain", "quiet", "good", "warning", "bad"]


@dataclass(frozen=True, slots=True)
class Line:
    """One sentence, and how it is meant."""

    text: str
    tone: Tone = "plain"


def up_to_date(report: Report) -> Line:
    """The one line of a build that had nothing to do."""
    items = ", ".join(number_of(report.count(stage), stage) for stage in report.stages)
    version = short(report.version)
    return Line(f"{report.name} is up to date: {items} (version {version}); nothing was asked", "good")


def ending(report: Report) -> Iterator[Line]:
    """What is said below the table: what came out, where it is, and what else is worth knowing."""
    yield from troubles(report)
    if report.complete:
        yield Line(f"{report.name} is complete: {_found(report, report.stages)}", "good")
    facts = [f"version {short(report.version)}"]
    facts += [f"run {report.run_id}"] if report.run_id else []
    yield Line(f"{report.folder} ({', '.join([*facts, duration(report.seconds)])})")
    if report.files:
        yield Line(f"  {'  '.join(str(_inside(file, report.folder)) for file in report.files)}", "quiet")
    if report.duplicates:
        subject = "1 question stands" if report.duplicates == 1 else f"{report.duplicates:,} questions stand"
        yield Line(f"{subject} under more than one parent", "quiet")


def troubles(report: Report) -> Iterator[Line]:
    """What nobody may miss, however quiet: edited files, the cap that stopped the build, missing items."""
    for copy in report.edited_by_hand:
        yield edited(copy)
    if report.other_lock is not None:
        yield Line(
            f"{report.other_lock.name} was not the one that was written here (it may have come from git, and name "
            f"another version); that one is kept as {report.other_lock}",
            "warning",
        )
    if report.stopped is not None:
        yield Line(report.stopped, "bad")
    if line := _shortage(report):
        yield Line(line, "warning")


def edited(copy: Path) -> Line:
    """What is said of a file that somebody else wrote, and that gave way to ours."""
    return Line(f"{copy.name} had been edited by hand or put there; that file is kept as {copy}", "warning")


def details(report: Report) -> Iterator[Line]:
    """What --verbose adds: the mean request of each stage."""
    for stage in report.stages:
        tally = report.tally.stages[stage]
        if tally.asked:
            mean = duration(tally.seconds / tally.asked)
            prompt, completion = tally.prompt_tokens / tally.asked, tally.completion_tokens / tally.asked
            yield Line(f"{stage}: {mean}, {tokens(prompt)} + {tokens(completion)} tokens a request", "quiet")
    yield Line(
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
    missing = ", ".join(number_of(report.missing(stage), stage) for stage in short)
    if len(short) == 1:
        missing = f"{report.missing(short[0]):,}"
    return f"{_found(report, short)}; {missing} missing{causes}"


def _found(report: Report, stages: tuple[Stage, ...] | list[Stage]) -> str:
    """ "11 of 11 tags, 472 of 480 answers"."""
    return ", ".join(f"{report.count(stage):,} of {number_of(report.expected.of(stage), stage)}" for stage in stages)


def _inside(file: Path, folder: Path) -> Path:
    return file.relative_to(folder) if file.is_relative_to(folder) else file
