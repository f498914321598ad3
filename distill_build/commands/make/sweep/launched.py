"""`build -m` where Hydra's plugins make or run the jobs: the sweep as whoever launches them sees it, and one job.

What lies on the disk in the end, and what is said of it, is as in `sweep.build`.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from msgspec.structs import replace

from distill_build.builds.report import Report
from distill_build.commands.make import build
from distill_build.commands.make.sweep.build import check_sweep_flags, tell, tell_same
from distill_build.config.launching import Launch
from distill_build.console import job_console, open_console
from distill_build.console.notes import say
from distill_build.engine.ledger import new_run_id
from distill_build.errors import DistillError, InterruptedBuildError, StoppedError
from distill_build.export.formats import check_formats
from distill_build.options import Options
from distill_build.records import number_of, rows_of
from distill_build.settings import Settings
from distill_build.sweeps.jobs import Choice, Job, Sweep, Variant, jobs_in, refuse_several, settings_key
from distill_build.sweeps.objectives import Target
from distill_build.sweeps.outcome import (
    JobOutcomes,
    SweepReport,
    build_outdated,
    conclude,
    conclude_interrupted,
    only_sweep_run,
)
from distill_build.sweeps.prepared import PreparedJob, job_session, prepare
from distill_build.sweeps.results import JobRow, results_of

FOUND = "optimization_results.yaml"
"""Hydra's sweepers for Optuna, Ax and Nevergrad write it when they have come to an end."""


def run_job(settings: Settings, folder: Path, options: Options) -> Report:
    """Builds one job in its folder. Progress is lines that begin with the job's name: others run beside it."""
    check_formats(settings.formats)
    job = Job((), settings, folder)
    console = job_console(job.name, quiet=options.quiet, verbose=options.verbose)
    report = build.bring_up_to_date(job_session(job, options, []), options, console)
    made = [stage for stage in report.stages if stage not in report.transforms]
    items = ", ".join(rows_of(report.count(stage), stage) for stage in made)
    console.note(f"{items}; {number_of(report.tally.asked, 'requests')} answered")
    return report


def open_sweep(folder: Path, options: Options) -> "LaunchedSweep":
    """The sweep in `folder`. Raises UsageError for flags that make no sense with several builds."""
    check_sweep_flags(options)
    return LaunchedSweep(folder, options)


class LaunchedSweep:
    """A sweep whose jobs are told in batches. Those that come to the same settings are one."""

    def __init__(self, folder: Path, options: Options) -> None:
        self._folder = folder
        self._options = options
        self._console = open_console(quiet=options.quiet, verbose=options.verbose, json=options.json)
        self._run_id, self._started = new_run_id(), time.monotonic()
        self._first: Settings | None = None
        self._jobs: dict[bytes, Job] = {}
        self._outcomes = JobOutcomes()

    def add(self, variants: Sequence[Variant], launch: Launch | None) -> list[Job]:
        """Builds more jobs, together or as `launch` does; the job of each variant.

        Raises ConfigurationError for one that differs from others in what a sweep has once.
        """
        self._first = self._first or variants[0].settings
        refuse_several([self._first, *(each.settings for each in variants)])
        keys = [settings_key(each.settings) for each in variants]
        for each, key in zip(variants, keys, strict=True):
            if key in self._jobs:
                self._repeat(key, each.choices)
        new = [each for each, key in zip(variants, keys, strict=True) if key not in self._jobs]
        batch = self._sweep(jobs_in(self._folder, new))
        tell_same(batch, self._console)
        self._jobs |= {settings_key(job.settings): job for job in batch.jobs}
        self._build(batch, {job.name: keys.index(settings_key(job.settings)) for job in batch.jobs}, launch)
        return [self._jobs[key] for key in keys]

    def _repeat(self, key: bytes, choices: tuple[Choice, ...]) -> None:
        """A job of an earlier batch is asked for again."""
        job = self._jobs[key]
        tell_same(self._sweep([replace(job, same=(choices,))]), self._console)
        self._jobs[key] = replace(job, same=(*job.same, choices))

    @property
    def errors(self) -> dict[str, DistillError]:
        """Those that ended jobs, by the jobs' names."""
        return self._outcomes.errors

    def row(self, job: Job) -> JobRow:
        """What a job that was built holds."""
        return results_of([job], {}, self._outcomes.paid, None).rows[0]

    def cap(self, job: Job) -> StoppedError | None:
        """What has cut a job short, if something has."""
        report = self._outcomes.reports.get(job.name)
        return report.stopped if report is not None else None

    def finish(self, targets: Sequence[Target]) -> int:
        """Compares all jobs, says what came of them, and returns the exit code."""
        status = tell(self._compared(), self._options, self._console, targets)
        found = self._folder / FOUND
        if found.exists() and not self.errors:
            self._console.note(f"what the sweeper has found: {found}")
        return status

    def stop(self, error: DistillError, way_on: str, targets: Sequence[Target]) -> int:
        """As `finish` where `error` has ended the sweep before its time. Raises it, unless a job or a cap ended so."""
        stopped = f"the sweeper stopped after {number_of(len(self._jobs), 'jobs')}"
        if error in self.errors.values() or isinstance(error, StoppedError):
            status = self.finish(targets)
            say(f"{stopped}: {way_on}")
            return status
        if self._outcomes.reports:
            self._console.sweep_report(self._compared(), targets)  # the document is that of the error
            say(stopped)
        raise error

    def _compared(self) -> SweepReport:
        with only_sweep_run(self._folder, self._run_id, self._console.note):
            return self._conclude()

    def _conclude(self) -> SweepReport:
        return conclude(self._sweep(self._jobs.values()), self._outcomes, time.monotonic() - self._started)

    def _sweep(self, jobs: Iterable[Job]) -> Sweep:
        return Sweep(self._folder.name, self._folder, tuple(jobs))

    def _build(self, batch: Sweep, numbers: Mapping[str, int], launch: Launch | None) -> None:
        def build(stale: Sequence[PreparedJob]) -> None:
            from distill_build.sweeps.building import build_together  # nothing to do needs no models, no store

            if launch is None:
                build_together(self._folder, stale, self._options, self._console, self._run_id, self._outcomes)
                return
            results = launch([(numbers[prepared.job.name], prepared.job) for prepared in stale])
            for prepared, result in zip(stale, results, strict=True):
                self._outcomes.note(prepared, result)
                if isinstance(result, Report):
                    self._outcomes.tally.add(result.tally)

        jobs = prepare(batch, self._options)
        with only_sweep_run(self._folder, self._run_id, self._console.note):
            try:
                build_outdated(self._outcomes, jobs, self._options.until, self._console.note, build)
                if (interruption := self._outcomes.interruption) is not None:
                    raise interruption
            except (InterruptedBuildError, KeyboardInterrupt):  # a launcher's own way to end
                conclude_interrupted(self._sweep(self._jobs.values()), self._outcomes)
                raise
