"""`build -m`: brings all jobs of a sweep up to date, and compares them."""

import json
import time
from collections.abc import Sequence
from dataclasses import replace

import msgspec

from distill_build.console import Console, open_console
from distill_build.engine.ledger import new_run_id
from distill_build.engine.lock import exclusive
from distill_build.errors import DistillError, StorageError, UsageError
from distill_build.options import Options
from distill_build.records import JsonObject
from distill_build.stages.report import Report
from distill_build.sweeps.done import Done
from distill_build.sweeps.jobs import Sweep, in_words, sweep_of
from distill_build.sweeps.ready import Ready, make_ready, settled
from distill_build.sweeps.results import read_results, results_of, write_results
from distill_build.sweeps.shares import total
from distill_build.sweeps.variants import Variant


def run(variants: Sequence[Variant], options: Options) -> int:
    """Builds, compares, and returns the exit code: see `sweeps.statuses`."""
    sweep = checked_sweep(variants, options)
    console = open_console(quiet=options.quiet, verbose=options.verbose, json=options.json)
    tell_same(sweep, console)
    done = bring_up_to_date(sweep, make_ready(sweep, options), options, console)
    console.sweep_report(done)
    if options.json:
        print(json.dumps(document(done), ensure_ascii=False, indent=2))
    return done.status


def checked_sweep(variants: Sequence[Variant], options: Options) -> Sweep:
    """The sweep. Raises UsageError for flags that make no sense with several builds."""
    if options.rebuild:
        raise UsageError("--rebuild asks again for items of one build: leave out -m, or --rebuild")
    return sweep_of(variants)


def tell_same(sweep: Sweep, console: Console) -> None:
    """Says which jobs come to the same settings."""
    for job in sweep.jobs:
        if job.same:
            others = ", ".join(in_words(choices) for choices in job.same)
            console.note(f"{job.words} and {others} come to the same configuration: built once")


def bring_up_to_date(sweep: Sweep, jobs: Sequence[Ready], options: Options, console: Console) -> Done:
    """Builds the jobs that are not up to date, one run of a sweep at a time."""
    run_id, started = new_run_id(), time.monotonic()
    lock = sweep.folder / "runs" / "lock"
    reports: dict[str, Report] = {}
    errors: dict[str, DistillError] = {}
    try:
        with exclusive(lock, run_id, lambda holder: console.note(f"waiting for {holder} of this sweep")):
            now = [replace(ready, state=settled(ready, run_id, options.until, console.note)) for ready in jobs]
            before, paid = read_results(sweep.folder), {}
            stale = [ready for ready in now if ready.state is None]
            if stale:
                from distill_build.sweeps.building import build_together  # nothing to do needs no models, no store

                built = build_together(sweep.folder, stale, options, console, run_id)
                paid = built.paid
                reports = {each.ready.job.name: each.report for each in built.outcomes if each.report is not None}
                errors = {each.ready.job.name: each.error for each in built.outcomes if each.error is not None}
            results = before
            if results is None or stale or [row.job for row in results.rows] != [job.name for job in sweep.jobs]:
                each = [(job, errors.get(job.name)) for job in sweep.jobs]
                results = results_of(each, paid, jobs[0].session.cache_dir, before)
                write_results(sweep.folder, results)
    except OSError as error:
        raise StorageError(f"{error.filename or sweep.folder} cannot be written: {error.strerror}") from error
    return Done(sweep, results, reports, errors, time.monotonic() - started)


def document(done: Done) -> JsonObject:
    """The document of `build -m --json`: the shape of `build --json` for all jobs together, and a row for each."""
    tally, union = done.tally, done.results.union
    prompt, completion = tally.tokens
    rows = done.results.rows
    return {
        "calls": tally.asked,
        "exact": True,
        "stages": {
            name: {"cached": stage.cached, "ask": stage.asked, "unknown": 0} for name, stage in tally.stages.items()
        },
        "tokens": {"prompt": prompt, "completion": completion},
        "usd": tally.usd,
        "sweep": done.sweep.id,
        "folder": str(done.sweep.folder),
        "failures": sum(row.failures for row in rows),
        "seconds": round(done.seconds, 3),
        "jobs": [msgspec.to_builtins(row) for row in rows],
        "union": msgspec.to_builtins(union),
        "sum": {"calls": sum(row.calls for row in rows), "usd": total(row.usd for row in rows if row.error is None)},
        "exit_code": done.status,
    }
