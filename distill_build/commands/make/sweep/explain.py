"""`explain -m`: what `explain` says, for each job of a sweep against the last build in the job's own folder."""

from collections.abc import Sequence

from distill_build.commands.make.explain import explain
from distill_build.commands.make.sweep.build import checked_sweep
from distill_build.console.page import print_document, print_lines
from distill_build.errors import UsageError
from distill_build.options import Options
from distill_build.sweeps.jobs import Variant, in_row
from distill_build.sweeps.prepared import prepare


def run(variants: Sequence[Variant], options: Options) -> int:
    """Prints what changed for each job, as if it were built by itself; returns 0. Raises UsageError for an item."""
    if options.arguments:
        raise UsageError(f"explain {options.arguments[0]} is for one configuration: leave out -m")
    sweep = checked_sweep(variants, options)
    jobs = [(prepared.job, explain(prepared.session, options)) for prepared in prepare(sweep, options)]
    if options.json:
        rows = [{"job": job.name, "choices": in_row(job.choices), **each.row()} for job, each in jobs]
        document = {"sweep": sweep.id, "folder": str(sweep.folder), "jobs": rows}
        print_document(document)
        return 0
    for job, explanation in jobs:
        print_lines([job.words, *(f"  {line}" for line in explanation.lines())])
    return 0
