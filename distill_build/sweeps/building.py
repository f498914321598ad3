"""All jobs of a sweep in one process: see `builds.building`, which builds them side by side as it builds one.

A job that fails leaves the others alone. A call that several jobs need is sent by the first that comes to it.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Protocol

from distill_build.builds.building import Build, PlannedBuild, check_models, run_builds
from distill_build.builds.plan.estimation import Needs
from distill_build.builds.report import Report, Watcher
from distill_build.builds.walk.tally import Tally
from distill_build.calls.resolver import CallStates
from distill_build.calls.shared import Shared
from distill_build.dataset.transaction import only_run_at_once
from distill_build.engine.lock import LockHeldError
from distill_build.errors import DistillError
from distill_build.options import Options
from distill_build.settings import Settings
from distill_build.sweeps.outcome import JobOutcomes, SumOfTallies, folder_error
from distill_build.sweeps.planning import JobNeeds, SweepPlan, UnionPlan
from distill_build.sweeps.prepared import PreparedJob, of_job

JOBS_AT_ONCE = 32
"""Each has some files open, and steps that wait at the gates."""
LOOK_AGAIN_SECONDS = 0.2
"""Between looks at a lock that another process holds."""


class SweepWatcher(Watcher, Protocol):
    """Someone who is told how a sweep goes."""

    def sweep_plan(self, plan: SweepPlan, settings: Settings) -> None:
        """What is about to be asked, before the first request; `settings` are those of a job."""


def build_together(
    folder: Path,
    stale: Sequence[PreparedJob],
    options: Options,
    console: SweepWatcher,
    run_id: str,
    outcomes: JobOutcomes,
) -> None:
    """Builds the jobs that are not up to date; `outcomes` takes what comes of each, as it comes.

    The caller holds the sweep's lock; `folder` is the sweep's. Raises ConfigurationError before anything is sent,
    InterruptedBuildError where that is interrupted.
    """
    builds = [Build(each.session, each.job.name, each.job.words) for each in stale]
    run_builds(builds, options, console, run_id, JobsTogether(folder, stale, console, run_id, outcomes))


class JobsTogether:
    """The occasion of builds that are jobs of a sweep: see `builds.building.Occasion`."""

    next_run = "the next run of the sweep"
    holds_locks = False

    def __init__(
        self,
        folder: Path,
        stale: Sequence[PreparedJob],
        console: SweepWatcher,
        run_id: str,
        outcomes: JobOutcomes,
    ) -> None:
        self.states = CallStates(costs=outcomes.paid)
        self.tally: Tally = SumOfTallies()
        self.log_dir = folder / "runs" / run_id
        self._jobs = {each.job.name: each for each in stale}
        self._console = console
        self._run_id = run_id
        self._outcomes = outcomes
        self._union = UnionPlan()
        self._needs: dict[str, JobNeeds] = {}
        self._room = asyncio.Semaphore(JOBS_AT_ONCE)

    def needs(self, build: Build) -> Needs:
        needs = self._needs[build.name] = self._union.needs_of(build.session)
        return needs

    def planned(self, builds: Sequence[PlannedBuild]) -> None:
        check_models(builds, lambda build, error: of_job(self._jobs[build.name].job, len(builds))(error))
        for each in builds:
            self._union.add(each.plan, self._needs[each.build.name], taken_over=False)
        if any(each.plan.calls for each in builds if each.may_ask):
            self._console.sweep_plan(self._union.plan(), next(iter(self._jobs.values())).job.settings)

    @asynccontextmanager
    async def turn(self, build: Build, shared: Shared) -> AsyncIterator[None]:
        """Holds the job's lock, and a place among the jobs at once.

        Where another process has the lock, other jobs take the place meanwhile, and an interruption ends the waiting.
        """
        told, dataset = False, build.session.dataset
        while True:
            async with self._room:
                shared.refuse_if_interrupted()
                with ExitStack() as held:
                    try:
                        held.enter_context(only_run_at_once(dataset, self._run_id))
                    except LockHeldError as holder:
                        if not told:
                            self._console.note(build.said(f"waiting for {holder} of {dataset.folder}"))
                        told = True
                    else:
                        yield
                        return
            await asyncio.sleep(LOOK_AGAIN_SECONDS)

    def begins(self, tally: Tally) -> None:
        for sums in (self.tally, self._outcomes.tally):  # of these jobs, and of all batches
            if isinstance(sums, SumOfTallies):
                sums.add(tally)

    def ended(self, build: Build, result: Report | DistillError | OSError) -> None:
        prepared = self._jobs[build.name]
        self._outcomes.note(prepared, result if isinstance(result, Report) else folder_error(prepared, result))
