"""What came of a sweep: of each job that was not up to date, whoever built it, and of all together.

build_outdated    has those jobs built that need it
conclude          compares all jobs, and brings sweep.jsonl up to date
SweepReport       what is told of it in the end, with the exit code
"""

import errno
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
from msgspec.structs import replace

from distill_build.builds.report import Report
from distill_build.builds.walk.tally import StageTally, Tally, sums_in, unanswered_in
from distill_build.calls.attempt import ResponseCost
from distill_build.engine.lock import exclusive
from distill_build.errors import DistillError, InterruptedBuildError, StorageError, unusable
from distill_build.graph import in_order
from distill_build.records import Source
from distill_build.sweeps.jobs import Sweep
from distill_build.sweeps.prepared import PreparedJob, settled_state
from distill_build.sweeps.results import Results, read_results, results_of, state_of, write_results

SOMETHING_MISSING = 1
REPLACES_NOTHING = (2, 4, 5)
"""Exit codes that leave the old files as they were."""


class SumOfTallies(Tally):
    """The tallies of builds side by side, read as one: it adds up at every look.

    Items that several jobs have in common count for each of them.
    """

    def __init__(self) -> None:
        self._parts: list[Tally] = []

    def add(self, part: Tally) -> None:
        """One more build's tally, which may go on growing."""
        self._parts.append(part)

    @property
    def stages(self) -> dict[str, StageTally]:  # type: ignore[override]  # a field there, worked out here
        names = in_order(part.stages for part in self._parts)
        return {stage: sum_of([part.stages[stage] for part in self._parts if stage in part.stages]) for stage in names}


def sum_of(parts: list[StageTally]) -> StageTally:
    """One stage of several builds."""
    costs = [part.usd for part in parts]
    return StageTally(
        found=sum(part.cached for part in parts),
        asked=sum(part.asked for part in parts),
        answered=sum(part.answered for part in parts),
        made=sum(part.made for part in parts),
        missing=sum(part.missing for part in parts),
        prompt_tokens=sum(part.prompt_tokens for part in parts),
        completion_tokens=sum(part.completion_tokens for part in parts),
        usd=None if None in costs else sum(cost for cost in costs if cost is not None),
        seconds=sum(part.seconds for part in parts),
        by_model=sums_in(parts),
        unanswered=unanswered_in(parts),
        judged=sum(part.judged for part in parts),
        dropped=sum(part.dropped for part in parts),
        spared=sum(part.spared for part in parts),
        refilled=sum(part.refilled for part in parts),
        why=sum((part.why for part in parts), Counter()),
    )


class JobOutcomes(msgspec.Struct, frozen=True):
    """`reports` and `errors` are by the jobs' names; `paid` is what responses cost that were used.

    `tally` is what was asked for, also for jobs that an error ended.
    """

    reports: dict[str, Report] = msgspec.field(default_factory=dict)
    errors: dict[str, DistillError] = msgspec.field(default_factory=dict)
    paid: dict[Source, ResponseCost] = msgspec.field(default_factory=dict)
    tally: SumOfTallies = msgspec.field(default_factory=SumOfTallies)

    @property
    def interruption(self) -> InterruptedBuildError | None:
        """What was told to a job that was cut short by an interruption, or that had not begun then."""
        reasons = (*(report.stopped for report in self.reports.values()), *self.errors.values())
        return next((reason for reason in reasons if isinstance(reason, InterruptedBuildError)), None)

    def note(self, prepared: PreparedJob, result: Report | DistillError) -> None:
        """What became of one job."""
        if isinstance(result, DistillError):
            self.errors[prepared.job.name] = result
        else:
            self.reports[prepared.job.name] = result


def build_outdated(
    outcomes: JobOutcomes,
    jobs: Sequence[PreparedJob],
    until: str,
    note: Callable[[str], None],
    build: Callable[[Sequence[PreparedJob]], None],
) -> None:
    """Has `build` build the jobs that are not up to date; `note` takes what is to be said of the others.

    `outcomes` takes the errors of those that cannot be looked at.
    """
    stale = []
    for prepared in jobs:
        try:
            if settled_state(prepared, until, note) is None:
                stale.append(replace(prepared, state=None))
        except (DistillError, OSError) as error:
            outcomes.note(prepared, folder_error(prepared, error))
    if stale:
        build(stale)


def folder_error(prepared: PreparedJob, error: DistillError | OSError) -> DistillError:
    """The error of a job whose folder cannot be used."""
    if isinstance(error, DistillError):
        return error
    way_out = "" if error.errno == errno.EISDIR else "; move away what is there"  # else it says so itself
    return StorageError(f"{unusable(error, prepared.dataset.folder)}{way_out}")


@contextmanager
def only_sweep_run(folder: Path, run_id: str, note: Callable[[str], None]) -> Iterator[None]:
    """Holds the sweep's lock. Raises StorageError for a file of the sweep that cannot be used."""
    try:
        with exclusive(folder / "runs" / "lock", run_id, lambda holder: note(f"waiting for {holder} of this sweep")):
            yield
    except OSError as error:
        raise StorageError(unusable(error, folder)) from error


class SweepReport(msgspec.Struct, frozen=True):
    """A sweep that was built, in so many seconds; `outcomes` is what was done to the jobs that were not up to date."""

    sweep: Sweep
    results: Results
    outcomes: JobOutcomes
    seconds: float

    @property
    def reports(self) -> dict[str, Report]:
        """Of jobs that were built now, by their names."""
        return self.outcomes.reports

    @property
    def errors(self) -> dict[str, DistillError]:
        """Those that ended jobs, by the jobs' names."""
        return self.outcomes.errors

    @property
    def tally(self) -> Tally:
        """What this run has asked for."""
        return self.outcomes.tally

    @property
    def status(self) -> int:
        """The exit code."""
        return sweep_status(
            list(self.errors.values()),
            built=len(self.sweep.jobs) - len(self.errors),
            missing=any(row.failures or row.missing for row in self.results.rows),
            stopped=[report.stopped.exit_code for report in self.reports.values() if report.stopped],
        )


def conclude(sweep: Sweep, outcomes: JobOutcomes, seconds: float) -> SweepReport:
    """Compares all jobs, and brings sweep.jsonl up to date unless nothing was to be replaced.

    The results are those of the last time where they are of what lies in the folders. The caller holds the sweep's
    lock.
    """
    before = read_results(sweep.folder)
    if before is not None and not outcomes.errors and not outcomes.reports and before.hold(sweep.jobs):
        return SweepReport(sweep, before, outcomes, seconds)
    report = SweepReport(sweep, results_of(sweep.jobs, outcomes.errors, outcomes.paid, before), outcomes, seconds)
    if outcomes.reports or not outcomes.errors or report.status not in REPLACES_NOTHING:
        write_results(sweep.folder, report.results)
    return report


def conclude_interrupted(sweep: Sweep, outcomes: JobOutcomes) -> None:
    """Brings sweep.jsonl up to date where a sweep was ended before its time: finished jobs have new files."""
    if any(state_of(job) is not None for job in sweep.jobs):
        conclude(sweep, outcomes, 0.0)


def sweep_status(errors: Sequence[DistillError], *, built: int, missing: bool, stopped: Sequence[int]) -> int:
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
