"""A sweep that was built, and the exit code that it comes to."""

from collections.abc import Sequence
from dataclasses import dataclass

from distill_build.errors import DistillError, StoppedError
from distill_build.stages.report import Report
from distill_build.stages.tally import STAGES, StageTally, Tally
from distill_build.sweeps.jobs import Sweep
from distill_build.sweeps.results import Results
from distill_build.sweeps.tallies import sum_of

SOMETHING_MISSING = 1


@dataclass(frozen=True, slots=True)
class Done:
    """A sweep that was built: `reports` and `errors` of the jobs that were not up to date, by the jobs' names."""

    sweep: Sweep
    results: Results
    reports: dict[str, Report]
    errors: dict[str, DistillError]
    seconds: float

    @property
    def status(self) -> int:
        return status_of(
            list(self.errors.values()),
            built=len(self.sweep.jobs) - len(self.errors),
            missing=any(row.failures or row.missing for row in self.results.rows),
            stopped=[StoppedError.exit_code for report in self.reports.values() if report.stopped],
        )

    @property
    def tally(self) -> Tally:
        """What this run has asked for."""
        parts = [report.tally for report in self.reports.values()]
        return Tally({stage: sum_of([part.stages[stage] for part in parts] or [StageTally()]) for stage in STAGES})


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
