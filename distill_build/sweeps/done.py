"""A sweep that was built: its results, and the exit code that it comes to."""

from collections.abc import Sequence
from dataclasses import dataclass

from distill_build.errors import DistillError, StoppedError
from distill_build.stages.report import Report
from distill_build.stages.tally import Tally
from distill_build.sweeps.jobs import Sweep
from distill_build.sweeps.results import Results, read_results, results_of, state_of, write_results
from distill_build.sweeps.work import Work

SOMETHING_MISSING = 1
REPLACES_NOTHING = (2, 4, 5)
"""Exit codes that leave the old files as they were."""


@dataclass(frozen=True, slots=True)
class Done:
    """A sweep that was built, in so many seconds; `work` is what was done to the jobs that were not up to date."""

    sweep: Sweep
    results: Results
    work: Work
    seconds: float

    @property
    def reports(self) -> dict[str, Report]:
        """Of jobs that were built now, by their names."""
        return self.work.reports

    @property
    def errors(self) -> dict[str, DistillError]:
        """Those that ended jobs, by the jobs' names."""
        return self.work.errors

    @property
    def tally(self) -> Tally:
        """What this run has asked for."""
        return self.work.tally

    @property
    def status(self) -> int:
        """The exit code."""
        return status_of(
            list(self.errors.values()),
            built=len(self.sweep.jobs) - len(self.errors),
            missing=any(row.failures or row.missing for row in self.results.rows),
            stopped=[StoppedError.exit_code for report in self.reports.values() if report.stopped],
        )


def conclude(sweep: Sweep, work: Work, seconds: float) -> Done:
    """Compares all jobs, and brings sweep.jsonl up to date unless nothing was to be replaced.

    The results are those of the last time where they are of what lies in the folders. The caller holds the sweep's
    lock.
    """
    before = read_results(sweep.folder)
    if before is not None and not work.errors and not work.reports and before.hold(sweep.jobs):
        return Done(sweep, before, work, seconds)
    done = Done(sweep, results_of(sweep.jobs, work.errors, work.paid, before), work, seconds)
    if work.reports or not work.errors or done.status not in REPLACES_NOTHING:
        write_results(sweep.folder, done.results)
    return done


def conclude_interrupted(sweep: Sweep, work: Work) -> None:
    """Brings sweep.jsonl up to date where a sweep was ended before its time: finished jobs have new files."""
    if any(state_of(job) is not None for job in sweep.jobs):
        conclude(sweep, work, 0.0)


def status_of(errors: Sequence[DistillError], *, built: int, missing: bool, stopped: Sequence[int]) -> int:
    """The code of a sweep of which `built` jobs have files, with the `errors` of the others.

    A job that failed leaves the others alone, and the sweep has items missing. Where all jobs failed in the same way,
    or where a flag forbids what happened to one, or a disk is full, the code is that of the error itself. `stopped`
    are the codes of caps that were reached.
    """
    codes = {error.exit_code for error in errors}
    if codes and not built and len(codes) == 1:
        return codes.pop()
    of_errors = [code if code > DistillError.exit_code else SOMETHING_MISSING for code in codes]
    return max([0, SOMETHING_MISSING if missing else 0, *of_errors, *stopped])
