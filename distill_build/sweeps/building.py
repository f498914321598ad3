"""All jobs of a sweep in one process: planned first, then built side by side on one store, one budget, the same gates.

    build_together
      ├── plan every job; what cannot be used is told before anything is sent
      └── each job walks its tree with a scheduler of its own and writes its files when it has come to its end

A job that fails leaves the others alone. A call that several jobs need is sent by the first that comes to it.
"""

import asyncio
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from distill_build.engine.ledger import Ledger
from distill_build.engine.reading import Responses
from distill_build.engine.store import open_store
from distill_build.errors import DistillError, InterruptedBuildError, StorageError
from distill_build.models.factory import check
from distill_build.options import Options
from distill_build.settings import Budget, Settings
from distill_build.stages.asking import Asking, interruptible, roles_of
from distill_build.stages.assembly import LeafRows
from distill_build.stages.basis import basis_of
from distill_build.stages.building import learn, prepared_cache
from distill_build.stages.finishing import Finish
from distill_build.stages.locked import locked_of
from distill_build.stages.plan import Plan
from distill_build.stages.replacement import new_files, only_run
from distill_build.stages.report import Expected, Report, Watcher, expected_items
from distill_build.stages.sharing import Calls, Paid, Shared
from distill_build.stages.tally import STAGES
from distill_build.stages.versioning import register
from distill_build.sweeps.planning import Planning, SweepPlan
from distill_build.sweeps.ready import Ready, of_job
from distill_build.sweeps.tallies import SumOfTallies

JOBS_AT_ONCE = 32
"""Each has some files open, and steps that wait at the gates."""


class SweepWatcher(Watcher, Protocol):
    """Someone who is told how a sweep goes."""

    def sweep_plan(self, plan: SweepPlan, settings: Settings) -> None:
        """What is about to be asked, before the first request; `settings` are those of a job."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one job: a report, or the error that ended it."""

    ready: Ready
    report: Report | None
    error: DistillError | None


@dataclass(frozen=True, slots=True)
class Built:
    """`outcomes` of the jobs that were not up to date; `paid` is what the calls cost that were looked at."""

    outcomes: list[Outcome]
    paid: dict[str, Paid]


@dataclass(frozen=True, slots=True)
class Planned:
    """A job with something to do."""

    ready: Ready
    plan: Plan


def build_together(folder: Path, stale: Sequence[Ready], options: Options, console: SweepWatcher, run_id: str) -> Built:
    """Builds the jobs that are not up to date. The caller holds the sweep's lock; `folder` is the sweep's.

    Raises ConfigurationError before anything is sent, InterruptedBuildError when what was in flight has come.
    """
    session = stale[0].session
    with prepared_cache(session, console):
        store = open_store(session.cache_dir)
        try:
            return asyncio.run(_Together(folder, store, options, console, run_id).build(stale))
        finally:
            store.close()


class _Together:
    def __init__(self, folder: Path, store: Responses, options: Options, console: SweepWatcher, run_id: str) -> None:
        self._folder = folder
        self._store = store
        self._options = options
        self._console = console
        self._run_id = run_id
        self._room = asyncio.Semaphore(JOBS_AT_ONCE)
        self._tally = SumOfTallies()

    async def build(self, stale: Sequence[Ready]) -> Built:
        planning = Planning(self._store, self._options)
        planned: list[Planned] = []
        refused: list[Outcome] = []
        for ready in stale:
            try:
                planned.append(await self._plan(ready, planning))
            except DistillError as error:
                refused.append(Outcome(ready, None, error))
        together = planning.together()
        if not self._options.asks_nothing:
            check_models(planned)
            if together.union.calls:
                self._console.sweep_plan(together, stale[0].job.settings)
        shared = self._shared(planned)
        try:
            return Built(refused + await self._build_all(planned, shared, together), shared.calls.paid or {})
        finally:
            await shared.models.close()

    async def _plan(self, ready: Ready, planning: Planning) -> Planned:
        plan = await planning.add(ready)
        locked = locked_of(ready.dataset, self._options)
        if locked is not None:
            locked.refuse_requests(plan, ready.session)
        return Planned(ready, plan)

    def _shared(self, planned: Sequence[Planned]) -> Shared:
        roles = {
            name: role
            for each in planned
            for name, role in roles_of(each.ready.job.settings, each.ready.job.name).items()
        }
        budget = planned[0].ready.job.settings.budget if planned else Budget()
        log_dir = self._folder / "runs" / self._run_id
        return Shared(roles, budget, log_dir, builds=len(planned), calls=Calls(paid={}))

    async def _build_all(self, planned: Sequence[Planned], shared: Shared, together: SweepPlan) -> list[Outcome]:
        ending = "finished jobs have their files; run the sweep again to go on"
        with interruptible(shared, self._console.note, ending):
            jobs = [self._build(each, shared) for each in planned]
            if not together.union.calls or self._options.asks_nothing:
                done = await asyncio.gather(*jobs, return_exceptions=True)
            else:
                expected = sum_of_expected([each.ready.job.settings for each in planned])
                with self._console.progress(self._tally, expected, lambda: shared.models.in_flight):
                    done = await asyncio.gather(*jobs, return_exceptions=True)
        for result in done:
            if isinstance(result, BaseException):
                raise result
        return [result for result in done if isinstance(result, Outcome)]

    async def _build(self, planned: Planned, shared: Shared) -> Outcome:
        ready = planned.ready
        async with self._room:
            try:
                return Outcome(ready, await self._run(planned, shared), None)
            except InterruptedBuildError:
                raise
            except DistillError as error:
                return Outcome(ready, None, error)
            except OSError as error:
                place = error.filename or f"a file below {ready.dataset.folder}"
                return Outcome(ready, None, StorageError(f"{place} cannot be written: {error.strerror}"))
            except BaseException:
                shared.end(InterruptedBuildError("the sweep ended with the error of one of its jobs"))
                raise

    async def _run(self, planned: Planned, shared: Shared) -> Report:
        session, options, started = planned.ready.session, self._options, time.monotonic()
        dataset, console = session.dataset, self._console
        ledger = Ledger(dataset.runs, self._run_id)
        waiting = f"waiting for another build of {planned.ready.job.words}: "
        with (
            only_run(dataset, self._run_id, lambda holder: console.note(waiting + holder)),
            closing(ledger),
            new_files(dataset, self._run_id) as new,
        ):
            register(session)
            basis = basis_of(session, options)
            asking = Asking(session, options, self._store, ledger, basis, shared, planned.ready.job.name)
            ledger.write("plan", target=asking.target, **planned.plan.row())
            self._tally.add(asking.tally)
            rows = LeafRows(new, basis.kept)
            try:
                root = await asking.walk(rows)
            finally:
                learn(asking)
            finish = Finish(session, options, ledger, asking, rows)
            return finish.report(root, time.monotonic() - started)


def check_models(planned: Sequence[Planned]) -> None:
    """Raises ConfigurationError for a missing key or engine of any job before anything is sent."""
    for each in planned:
        settings = each.ready.job.settings
        for stage in STAGES:
            if each.plan.stages[stage].calls:
                try:
                    check(settings.role(stage))
                except DistillError as error:
                    raise of_job(each.ready.job, len(planned))(error) from error


def sum_of_expected(all_settings: Sequence[Settings]) -> Expected:
    """Items of all full trees."""
    each = [expected_items(settings) for settings in all_settings]
    return Expected(
        sum(items.tags for items in each),
        sum(items.questions for items in each),
        sum(items.answers for items in each),
    )
