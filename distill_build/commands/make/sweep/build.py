"""`build -m`: brings all jobs of a sweep up to date, and compares them."""

import time
from collections.abc import Sequence

import msgspec

from distill_build.builds.walk.tally import StageTally
from distill_build.console import Console, open_console
from distill_build.console.page import print_document
from distill_build.engine.ledger import new_run_id
from distill_build.errors import InterruptedBuildError, UsageError
from distill_build.graph import in_order
from distill_build.options import Options
from distill_build.records import JsonObject
from distill_build.sweeps.jobs import Sweep, Variant, same_sentence, sweep_of
from distill_build.sweeps.objectives import Target
from distill_build.sweeps.outcome import (
    JobOutcomes,
    SweepReport,
    build_outdated,
    conclude,
    conclude_interrupted,
    only_sweep_run,
)
from distill_build.sweeps.prepared import PreparedJob, prepare
from distill_build.sweeps.results import calls_behind
from distill_build.sweeps.shares import total


def run(variants: Sequence[Variant], options: Options) -> int:
    """Builds, compares, and returns the exit code: see `sweeps.outcome`."""
    sweep = checked_sweep(variants, options)
    console = open_console(quiet=options.quiet, verbose=options.verbose, json=options.json)
    tell_same(sweep, console)
    report = _bring_up_to_date(sweep, prepare(sweep, options), options, console)
    return tell(report, options, console)


def tell(report: SweepReport, options: Options, console: Console, targets: Sequence[Target] = ()) -> int:
    """Says what came of a sweep, and by `targets` which jobs are the best; returns the exit code."""
    console.sweep_report(report, targets)
    if options.json:
        print_document(_document(report))
    return report.status


def checked_sweep(variants: Sequence[Variant], options: Options) -> Sweep:
    """The sweep. Raises UsageError for flags that make no sense with several builds."""
    check_sweep_flags(options)
    return sweep_of(variants)


def check_sweep_flags(options: Options) -> None:
    """Raises UsageError for flags that make no sense with several builds."""
    if options.rebuild:
        raise UsageError("--rebuild asks again for items of one build: leave out -m, or --rebuild")


def tell_same(sweep: Sweep, console: Console) -> None:
    """Says which jobs come to the same settings."""
    for job in sweep.jobs:
        if job.same:
            console.note(same_sentence(job))


def _bring_up_to_date(sweep: Sweep, jobs: Sequence[PreparedJob], options: Options, console: Console) -> SweepReport:
    """Builds the jobs that are not up to date together, one run of a sweep at a time."""
    run_id, started, outcomes = new_run_id(), time.monotonic(), JobOutcomes()

    def together(stale: Sequence[PreparedJob]) -> None:
        from distill_build.sweeps.building import build_together  # nothing to do needs no models, no store

        build_together(sweep.folder, stale, options, console, run_id, outcomes)

    with only_sweep_run(sweep.folder, run_id, console.note):
        try:
            build_outdated(outcomes, jobs, options.until, console.note, together)
        except InterruptedBuildError:
            conclude_interrupted(sweep, outcomes)
            raise
        return conclude(sweep, outcomes, time.monotonic() - started)


def _document(report: SweepReport) -> JsonObject:
    """The document of `build -m --json`: the shape of `build --json` for all jobs together, and a row for each."""
    tally, union = report.tally, report.results.union
    prompt, completion = tally.tokens
    rows, behind = report.results.rows, calls_behind(report.sweep.jobs)
    stages, nothing = in_order([behind, tally.stages]), StageTally()
    return {
        "calls": tally.asked,
        "exact": True,
        "stages": {
            name: {"cached": max(0, behind.get(name, 0) - stage.answered), "ask": stage.asked, "unknown": 0}
            for name, stage in ((name, tally.stages.get(name, nothing)) for name in stages)
        },
        "tokens": {"prompt": prompt, "completion": completion},
        "usd": tally.usd,
        "retries": tally.retries,
        "sweep": report.sweep.id,
        "folder": str(report.sweep.folder),
        "failures": sum(row.failures for row in rows),
        "seconds": round(report.seconds, 3),
        "jobs": [msgspec.to_builtins(row) for row in rows],
        "union": msgspec.to_builtins(union),
        "sum": {
            "calls": sum(row.calls for row in rows),
            "usd": total(row.usd for row in rows if row.version is not None),
        },
        "exit_code": report.status,
    }
