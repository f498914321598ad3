"""`plan -m`: says what `build -m` would do, job by job and together, and sends nothing."""

import asyncio
from collections.abc import Callable, Sequence

from distill_build.builds.plan.planning import existing_store
from distill_build.commands.make.sweep.build import checked_sweep, tell_same
from distill_build.console import open_console, sweep_plan_table
from distill_build.console.page import print_document
from distill_build.engine.reading import Responses
from distill_build.errors import DistillError
from distill_build.options import Options
from distill_build.records import JsonObject
from distill_build.sweeps.jobs import Sweep, Variant, in_row
from distill_build.sweeps.outcome import folder_error
from distill_build.sweeps.planning import SweepPlan, UnionPlan
from distill_build.sweeps.prepared import PreparedJob, of_job, prepare


def run(variants: Sequence[Variant], options: Options) -> int:
    """Prints the plan; returns 0."""
    sweep = checked_sweep(variants, options)
    console = open_console(quiet=options.quiet, verbose=options.verbose, json=options.json)
    tell_same(sweep, console)
    jobs = prepare(sweep, options)
    with existing_store([job.session for job in jobs], console.note) as store:
        plan = asyncio.run(_plan_of(jobs, store, options, console.note))
        if options.asks_nothing:
            refuse_what_builds_would(jobs, store, plan, options)
    if options.json:
        print_document(_document(sweep, plan))
    else:
        sweep_plan_table(sweep, plan, verbose=options.verbose)
    return 0


def refuse_what_builds_would(
    jobs: Sequence[PreparedJob], store: Responses | None, plan: SweepPlan, options: Options
) -> None:
    """Raises DifferenceError where the build of a job with --offline, --locked or --frozen would, with the job."""
    from distill_build.builds.plan.dry_run import dry_run  # most plans need no more than a plan

    for prepared, each in zip(jobs, plan.jobs, strict=True):
        try:
            if prepared.state is None:
                dry_run(prepared.session, options, each, store)
        except DistillError as error:
            raise of_job(prepared.job, len(jobs))(error) from error


async def _plan_of(
    jobs: Sequence[PreparedJob], store: Responses | None, options: Options, note: Callable[[str], None]
) -> SweepPlan:
    """The plans of all jobs; `note` takes what is to be said of one."""
    union = UnionPlan()
    for prepared in jobs:
        try:
            await union.add_job(prepared, store, options, note)
        except (DistillError, OSError) as error:
            raise of_job(prepared.job, len(jobs))(folder_error(prepared, error)) from error
    return union.plan()


def _document(sweep: Sweep, plan: SweepPlan) -> JsonObject:
    """The document of `plan -m --json`: the shape of `plan --json` for all jobs together, and for each of them."""
    jobs = [
        {"job": job.name, "choices": in_row(job.choices), **each.row(), "share_usd": share}
        for job, each, share in zip(sweep.jobs, plan.jobs, plan.shares, strict=True)
    ]
    return {
        **plan.union.row(),
        "sweep": sweep.id,
        "folder": str(sweep.folder),
        "jobs": jobs,
        "sum": {"calls": plan.calls, "usd": plan.usd},
    }
