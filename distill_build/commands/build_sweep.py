"""`build -m`: brings all jobs of a sweep up to date, and compares them."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from distill_build.console import Console, open_console
from distill_build.engine.ledger import new_run_id
from distill_build.engine.lock import exclusive
from distill_build.errors import DistillError, StorageError, UsageError
from distill_build.options import Options
from distill_build.records import JsonObject
from distill_build.stages.report import Report
from distill_build.stages.sharing import Paid
from distill_build.sweeps.done import Done
from distill_build.sweeps.jobs import Sweep, in_words, sweep_of
from distill_build.sweeps.ready import Ready, make_ready, settled
from distill_build.sweeps.results import Results, read_results, results_of, write_results
from distill_build.sweeps.shares import total
from distill_build.sweeps.variants import Variant

if TYPE_CHECKING:
    from distill_build.sweeps.building import Built


def run(variants: Sequence[Variant], options: Options) -> int:
    """Builds, compares, and returns the exit code: see `sweeps.statuses`."""
    sweep = checked_sweep(variants, options)
    console = open_console(quiet=options.quiet, verbose=options.verbose, json=options.json)
    tell_same(sweep, console)
    done = bring_up_to_date(sweep, make_ready(sweep, options), options, console)
    return tell(done, options, console)


def tell(done: Done, options: Options, console: Console) -> int:
    """Says what came of a sweep, and returns the exit code."""
    console.sweep_report(done)
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
            others = ", ".join(in_words(choices) for choices in job.same)
            console.note(f"{job.words} and {others} come to the same configuration: built once")


@dataclass(frozen=True, slots=True)
class Work:
    """What came of jobs that were not up to date, by their names; `paid` is what calls cost that were looked at."""

    reports: dict[str, Report]
    errors: dict[str, DistillError]
    paid: dict[str, Paid]


def bring_up_to_date(sweep: Sweep, jobs: Sequence[Ready], options: Options, console: Console) -> Done:
    """Builds the jobs that are not up to date together, one run of a sweep at a time."""
    run_id, started = new_run_id(), time.monotonic()

    def together(stale: Sequence[Ready]) -> "Built":
        from distill_build.sweeps.building import build_together  # nothing to do needs no models, no store

        return build_together(sweep.folder, stale, options, console, run_id)

    with alone(sweep.folder, run_id, console):
        work = work_on(jobs, options, console, together)
        results = compared(sweep, work)
    return Done(sweep, results, work.reports, work.errors, time.monotonic() - started)


@contextmanager
def alone(folder: Path, run_id: str, console: Console) -> Iterator[None]:
    """Holds the sweep's lock. Raises StorageError for a file in it that cannot be written."""
    try:
        with exclusive(
            folder / "runs" / "lock", run_id, lambda holder: console.note(f"waiting for {holder} of this sweep")
        ):
            yield
    except OSError as error:
        raise StorageError(f"{error.filename or folder} cannot be written: {error.strerror}") from error


def work_on(
    jobs: Sequence[Ready], options: Options, console: Console, build: "Callable[[Sequence[Ready]], Built]"
) -> Work:
    """Has `build` build the jobs that are not up to date."""
    now = [replace(ready, state=settled(ready, options.until, console.note)) for ready in jobs]
    stale = [ready for ready in now if ready.state is None]
    if not stale:
        return Work({}, {}, {})
    built = build(stale)
    return Work(
        {each.ready.job.name: each.report for each in built.outcomes if each.report is not None},
        {each.ready.job.name: each.error for each in built.outcomes if each.error is not None},
        built.paid,
    )


def compared(sweep: Sweep, work: Work) -> Results:
    """The results of all jobs, which are those of the last time where nothing was done."""
    before = read_results(sweep.folder)
    same = before is not None and [row.job for row in before.rows] == [job.name for job in sweep.jobs]
    if before is not None and same and not (work.reports or work.errors):
        return before
    each = [(job, work.errors.get(job.name)) for job in sweep.jobs]
    results = results_of(each, work.paid, Path(sweep.jobs[0].settings.cache.dir), before)
    write_results(sweep.folder, results)
    return results


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
