"""What came of the jobs that were not up to date, whoever ran them."""

import errno
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from distill_build.calls.attempt import ResponseCost
from distill_build.engine.lock import exclusive
from distill_build.errors import DistillError, StorageError, unusable
from distill_build.options import Until
from distill_build.records import Source
from distill_build.stages.report import Report
from distill_build.sweeps.ready import Ready, settled
from distill_build.sweeps.tallies import SumOfTallies


@dataclass(frozen=True, slots=True)
class Work:
    """`reports` and `errors` are by the jobs' names; `paid` is what responses cost that were used.

    `tally` is what was asked for, also for jobs that an error ended.
    """

    reports: dict[str, Report] = field(default_factory=dict)
    errors: dict[str, DistillError] = field(default_factory=dict)
    paid: dict[Source, ResponseCost] = field(default_factory=dict)
    tally: SumOfTallies = field(default_factory=SumOfTallies)

    def note(self, ready: Ready, result: Report | DistillError) -> None:
        """What became of one job."""
        if isinstance(result, DistillError):
            self.errors[ready.job.name] = result
        else:
            self.reports[ready.job.name] = result


def work_on(
    work: Work,
    jobs: Sequence[Ready],
    until: Until,
    note: Callable[[str], None],
    build: Callable[[Sequence[Ready]], None],
) -> None:
    """Has `build` build the jobs that are not up to date; `note` takes what is to be said of the others.

    `work` takes the errors of those that cannot be looked at.
    """
    stale = []
    for ready in jobs:
        try:
            if settled(ready, until, note) is None:
                stale.append(replace(ready, state=None))
        except (DistillError, OSError) as error:
            work.note(ready, of_folder(ready, error))
    if stale:
        build(stale)


def of_folder(ready: Ready, error: DistillError | OSError) -> DistillError:
    """The error of a job whose folder cannot be used."""
    if isinstance(error, DistillError):
        return error
    way_out = "" if error.errno == errno.EISDIR else "; move away what is there"  # else it says so itself
    return StorageError(f"{unusable(error, ready.dataset.folder)}{way_out}")


@contextmanager
def alone(folder: Path, run_id: str, note: Callable[[str], None]) -> Iterator[None]:
    """Holds the sweep's lock. Raises StorageError for a file of the sweep that cannot be used."""
    try:
        with exclusive(folder / "runs" / "lock", run_id, lambda holder: note(f"waiting for {holder} of this sweep")):
            yield
    except OSError as error:
        raise StorageError(unusable(error, folder)) from error
