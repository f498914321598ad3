"""`build -m`: brings all jobs of a sweep up to date, and compares them."""

import json
import time
from collections.abc import Sequence

import msgspec

from distill_build.console import Console, open_console
from distill_build.engine.ledger import new_run_id
from distill_build.errors import InterruptedBuildError, UsageError
from distill_build.options import Options
from distill_build.records import JsonObject
from distill_build.sweeps.done import Done, conclude, conclude_interrupted
from distill_build.sweeps.goals import Goal
from distill_build.sweeps.jobs import Sweep, same_sentence, sweep_of
from distill_build.sweeps.ready import Ready, make_ready
from distill_build.sweeps.results import calls_behind
from distill_build.sweeps.shares import total
from distill_build.sweeps.variants import Variant
from distill_build.sweeps.work import Work, alone, work_on


def run(variants: Sequence[Variant], options: Options) -> int:
    """Builds, compares, and returns the exit code: see `sweeps.done`."""
    sweep = checked_sweep(variants, options)
    console = open_console(quiet=options.quiet, verbose=options.verbose, json=options.json)
    tell_same(sweep, console)
    done = bring_up_to_date(sweep, make_ready(sweep, options), options, console)
    return tell(done, options, console)


def tell(done: Done, options: Options, console: Console, goals: Sequence[Goal] = ()) -> int:
    """Says what came of a sweep, and by `goals` which jobs are the best; returns the exit code."""
    console.sweep_report(done, goals)
    if options.json:
        print(json.dumps(document(done), ensure_ascii=False, indent=2))
    return done.status


def checked_sweep(variants: Sequence[Variant], options: Options) -> Sweep:
    """The sweep. Raises UsageError for flags that make no sense with several builds."""
    check_flags(options)
    return sweep_of(variants)


def check_flags(options: Options) -> None:
    """Raises UsageError for flags that make no sense with several builds."""
    if options.rebuild:
        raise UsageError("--rebuild asks again for items of one build: leave out -m, or --rebuild")


def tell_same(sweep: Sweep, console: Console) -> None:
    """Says which jobs come to the same settings."""
    for job in sweep.jobs:
        if job.same:
            console.note(same_sentence(job))


def bring_up_to_date(sweep: Sweep, jobs: Sequence[Ready], options: Options, console: Console) -> Done:
    """Builds the jobs that are not up to date together, one run of a sweep at a time."""
    run_id, started, work = new_run_id(), time.monotonic(), Work()

    def together(stale: Sequence[Ready]) -> None:
        from distill_build.sweeps.building import build_together  # nothing to do needs no models, no store

        build_together(sweep.folder, stale, options, console, run_id, work)

    with alone(sweep.folder, run_id, console.note):
        try:
            work_on(work, jobs, options.until, console.note, together)
        except InterruptedBuildError:
            conclude_interrupted(sweep, work)
            raise
        return conclude(sweep, work, time.monotonic() - started)


def document(done: Done) -> JsonObject:
    """The document of `build -m --json`: the shape of `build --json` for all jobs together, and a row for each."""
    tally, union = done.tally, done.results.union
    prompt, completion = tally.tokens
    rows, behind = done.results.rows, calls_behind(done.sweep.jobs)
    return {
        "calls": tally.asked,
        "exact": True,
        "stages": {
            name: {"cached": max(0, behind[name] - stage.answered), "ask": stage.asked, "unknown": 0}
            for name, stage in tally.stages.items()
        },
        "tokens": {"prompt": prompt, "completion": completion},
        "usd": tally.usd,
        "sweep": done.sweep.id,
        "folder": str(done.sweep.folder),
        "failures": sum(row.failures for row in rows),
        "seconds": round(done.seconds, 3),
        "jobs": [msgspec.to_builtins(row) for row in rows],
        "union": msgspec.to_builtins(union),
        "sum": {
            "calls": sum(row.calls for row in rows),
            "usd": total(row.usd for row in rows if row.version is not None),
        },
        "exit_code": done.status,
    }
