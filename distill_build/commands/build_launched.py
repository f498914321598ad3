"""`build -m` where Hydra's plugins make or run the jobs: the sweep as whoever launches them sees it, and one job.

What lies on the disk in the end, and what is said of it, is as in `build_sweep`.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from distill_build.commands import build, build_sweep
from distill_build.commands.build_sweep import Work, alone, compared, work_on
from distill_build.console import job_console, open_console
from distill_build.console.words import number_of
from distill_build.engine.ledger import new_run_id
from distill_build.errors import DistillError
from distill_build.export.formats import check_formats
from distill_build.options import Options
from distill_build.settings import Settings
from distill_build.stages.report import Report
from distill_build.sweeps.done import Done
from distill_build.sweeps.jobs import Job, Sweep, jobs_in, refuse_several, settings_key
from distill_build.sweeps.launching import Launch
from distill_build.sweeps.ready import Ready, make_ready, session_of
from distill_build.sweeps.results import Row, results_of
from distill_build.sweeps.variants import Variant

if TYPE_CHECKING:
    from distill_build.sweeps.building import Built

FOUND = "optimization_results.yaml"
"""Hydra's sweepers for Optuna, Ax and Nevergrad write it when they have come to an end."""


def run_job(settings: Settings, folder: Path, options: Options) -> Report:
    """Builds one job in its folder. Progress is lines that begin with the job's name: others run beside it."""
    check_formats(settings.formats)
    job = Job((), settings, folder)
    console = job_console(job.name, quiet=options.quiet, verbose=options.verbose)
    report = build.bring_up_to_date(session_of(job, options, {}), options, console)
    items = ", ".join(number_of(report.count(stage), stage) for stage in report.stages)
    console.note(f"{items}; {number_of(report.tally.asked, 'requests')} sent")
    return report


def open_sweep(folder: Path, options: Options) -> "LaunchedSweep":
    """The sweep in `folder`. Raises UsageError for flags that make no sense with several builds."""
    build_sweep.check_flags(options)
    return LaunchedSweep(folder, options)


class LaunchedSweep:
    """A sweep whose jobs are told in batches. Those that come to the same settings are one."""

    def __init__(self, folder: Path, options: Options) -> None:
        self.errors: dict[str, DistillError] = {}
        self._folder = folder
        self._options = options
        self._console = open_console(quiet=options.quiet, verbose=options.verbose, json=options.json)
        self._run_id, self._started = new_run_id(), time.monotonic()
        self._first: Settings | None = None
        self._jobs: dict[bytes, Job] = {}
        self._work = Work({}, self.errors, {})

    def add(self, variants: Sequence[Variant], launch: Launch | None) -> list[Job]:
        """Builds more jobs, together or as `launch` does; the job of each variant.

        Raises ConfigurationError for one that differs from others in what a sweep has once.
        """
        self._first = self._first or variants[0].settings
        refuse_several([self._first, *(each.settings for each in variants)])
        keys = [settings_key(each.settings) for each in variants]
        new = [each for each, key in zip(variants, keys, strict=True) if key not in self._jobs]
        batch = self._sweep(jobs_in(self._folder, new))
        build_sweep.tell_same(batch, self._console)
        self._jobs |= {settings_key(job.settings): job for job in batch.jobs}
        self._build(batch, {job.name: keys.index(settings_key(job.settings)) for job in batch.jobs}, launch)
        return [self._jobs[key] for key in keys]

    def row(self, job: Job) -> Row:
        """What a job that was built holds."""
        return results_of([(job, None)], self._work.paid, Path(job.settings.cache.dir), None).rows[0]

    def finish(self) -> int:
        """Compares all jobs, says what came of them, and returns the exit code."""
        sweep = self._sweep(self._jobs.values())
        with alone(self._folder, self._run_id, self._console):
            results = compared(sweep, self._work)
        seconds = time.monotonic() - self._started
        done = Done(sweep, results, self._work.reports, self.errors, seconds)
        status = build_sweep.tell(done, self._options, self._console)
        found = self._folder / FOUND
        if found.exists() and not self.errors:
            self._console.note(f"what the sweeper has found: {found}")
        return status

    def _sweep(self, jobs: Iterable[Job]) -> Sweep:
        return Sweep(self._folder.name, self._folder, tuple(jobs))

    def _build(self, batch: Sweep, numbers: Mapping[str, int], launch: Launch | None) -> None:
        def build(stale: Sequence[Ready]) -> "Built":
            from distill_build.sweeps.building import build_together  # nothing to do needs no models, no store

            if launch is None:
                return build_together(self._folder, stale, self._options, self._console, self._run_id)
            return built_from(stale, launch([(numbers[ready.job.name], ready.job) for ready in stale]))

        jobs = make_ready(batch, self._options)
        with alone(self._folder, self._run_id, self._console):
            work = work_on(jobs, self._options, self._console, build)
        self._work.reports.update(work.reports)
        self._work.errors.update(work.errors)
        self._work.paid.update(work.paid)


def built_from(stale: Sequence[Ready], results: Sequence[Report | DistillError]) -> "Built":
    """What a launcher has brought back."""
    from distill_build.sweeps.building import Built, Outcome

    outcomes = [
        Outcome(ready, None, result) if isinstance(result, DistillError) else Outcome(ready, result, None)
        for ready, result in zip(stale, results, strict=True)
    ]
    return Built(outcomes, {})
