"""All jobs of a sweep in one process: planned first, then built side by side on one store, one budget, the same gates.

    build_together
      ├── plan every job; what cannot be used is told before anything is sent
      └── each job walks its tree with a scheduler of its own and writes its files when it has come to its end

A job that fails leaves the others alone. A call that several jobs need is sent by the first that comes to it.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager, closing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from distill_build.calls.caller import CallStates
from distill_build.calls.shared import Shared
from distill_build.engine.ledger import Ledger
from distill_build.engine.lock import LockHeldError
from distill_build.engine.reading import Responses
from distill_build.engine.store import Store, open_store
from distill_build.errors import DistillError, InterruptedBuildError
from distill_build.graph import in_order
from distill_build.models.factory import check
from distill_build.options import Options
from distill_build.settings import Budget, Settings
from distill_build.stages.asking import Asking, interruptible, roles_of
from distill_build.stages.assembly import UnitRows
from distill_build.stages.basis import basis_of
from distill_build.stages.building import learn, prepared_cache
from distill_build.stages.finishing import Finish
from distill_build.stages.locked import locked_of
from distill_build.stages.plan import Plan
from distill_build.stages.replacement import new_files, only_run_at_once
from distill_build.stages.report import Report, Watcher, expected_items
from distill_build.stages.versioning import register
from distill_build.sweeps.outcome import JobOutcomes, SumOfTallies, folder_error
from distill_build.sweeps.planning import Planning, SweepPlan
from distill_build.sweeps.prepared import PreparedJob, of_job

JOBS_AT_ONCE = 32
"""Each has some files open, and steps that wait at the gates."""
LOOK_AGAIN_SECONDS = 0.2
"""Between looks at a lock that another process holds."""


class SweepWatcher(Watcher, Protocol):
    """Someone who is told how a sweep goes."""

    def sweep_plan(self, plan: SweepPlan, settings: Settings) -> None:
        """What is about to be asked, before the first request; `settings` are those of a job."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A job with something to do. `may_ask` says whether anything may be sent for it."""

    prepared: PreparedJob
    plan: Plan
    may_ask: bool


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
    InterruptedBuildError when what was in flight has come.
    """
    session = stale[0].session
    with prepared_cache(session, console):
        store = open_store(session.cache_dir)
        try:
            asyncio.run(_Together(folder, store, options, console, run_id, outcomes).build(stale))
        finally:
            store.close()


class _Together:
    def __init__(
        self,
        folder: Path,
        store: Responses,
        options: Options,
        console: SweepWatcher,
        run_id: str,
        outcomes: JobOutcomes,
    ) -> None:
        self._folder = folder
        self._store = store
        self._options = options
        self._console = console
        self._run_id = run_id
        self._outcomes = outcomes
        self._tally = SumOfTallies()
        self._room = asyncio.Semaphore(JOBS_AT_ONCE)
        self._ending = asyncio.Lock()

    async def build(self, stale: Sequence[PreparedJob]) -> None:
        planning = Planning(self._store, self._options, self._console.note)
        planned: list[Planned] = []
        for prepared in stale:
            try:
                planned.append(await self._plan(prepared, planning))
            except (DistillError, OSError) as error:
                self._outcomes.note(prepared, folder_error(prepared, error))
        asking, together = [each for each in planned if each.may_ask], planning.together()
        check_models(asking)
        if asks := any(each.plan.calls for each in asking):
            self._console.sweep_plan(together, stale[0].job.settings)
        shared = self._shared(planned)
        try:
            await self._build_all(planned, shared, shows_progress=asks)
        finally:
            await shared.models.close()

    async def _plan(self, prepared: PreparedJob, planning: Planning) -> Planned:
        plan = await planning.add(prepared)
        locked = locked_of(prepared.dataset, self._options)
        if locked is not None:
            locked.refuse_requests(plan, prepared.session)
        forbidden = locked is not None or self._options.offline or self._options.frozen
        return Planned(prepared, plan, not forbidden and isinstance(self._store, Store))

    def _shared(self, planned: Sequence[Planned]) -> Shared:
        roles = {
            name: role
            for each in planned
            for name, role in roles_of(
                each.prepared.job.settings, each.prepared.session.stages.roles, each.prepared.job.name
            ).items()
        }
        budget = planned[0].prepared.job.settings.budget if planned else Budget()
        log_dir = self._folder / "runs" / self._run_id
        states, note = CallStates(costs=self._outcomes.paid), self._console.note
        return Shared(roles, budget, log_dir, builds=len(planned), states=states, note=note)

    async def _build_all(self, planned: Sequence[Planned], shared: Shared, *, shows_progress: bool) -> None:
        expected = sum_of_expected([each.prepared.job.settings for each in planned])
        progress = self._console.progress(self._tally, expected, lambda: shared.models.in_flight)
        with (
            interruptible(shared, self._console.note, "finished jobs have their files; run the sweep again to go on"),
            progress if shows_progress else nullcontext(),
        ):
            done = await asyncio.gather(*(self._build(each, shared) for each in planned), return_exceptions=True)
        raised = [error for error in done if error is not None]
        for error in sorted(raised, key=lambda each: isinstance(each, InterruptedBuildError)):
            raise error  # a bug first: it has interrupted the others

    async def _build(self, planned: Planned, shared: Shared) -> None:
        prepared = planned.prepared
        try:
            async with self._turn(prepared, shared):
                self._outcomes.note(prepared, await self._run(planned, shared))
        except InterruptedBuildError:
            raise
        except (DistillError, OSError) as error:
            self._outcomes.note(prepared, folder_error(prepared, error))
        except BaseException:
            shared.end(InterruptedBuildError("the sweep ended with the error of one of its jobs"))
            raise

    @asynccontextmanager
    async def _turn(self, prepared: PreparedJob, shared: Shared) -> AsyncIterator[None]:
        """Holds the job's lock, and a place among the jobs at once.

        Where another process has the lock, other jobs take the place meanwhile, and an interruption ends the waiting.
        """
        told = False
        while True:
            async with self._room:
                shared.refuse_if_ended()
                with ExitStack() as held:
                    try:
                        held.enter_context(only_run_at_once(prepared.dataset, self._run_id))
                    except LockHeldError as holder:
                        if not told:
                            self._console.note(
                                f"{prepared.job.words}: waiting for {holder} of {prepared.dataset.folder}"
                            )
                        told = True
                    else:
                        yield
                        return
            await asyncio.sleep(LOOK_AGAIN_SECONDS)

    async def _run(self, planned: Planned, shared: Shared) -> Report:
        session, options, started = planned.prepared.session, self._options, time.monotonic()
        dataset = session.dataset
        ledger = Ledger(dataset.runs, self._run_id)
        with closing(ledger), new_files(dataset, self._run_id) as new:
            register(session)
            basis = basis_of(session, options)
            asking = Asking(session, options, self._store, ledger, basis, shared, planned.prepared.job.name)
            ledger.write("plan", target=asking.target, **planned.plan.row())
            for tally in (self._tally, self._outcomes.tally):  # of these jobs, and of all batches
                tally.add(asking.tally)
            rows = UnitRows(session.stages.graph, basis.kept, new)
            try:
                root = await asking.walk(rows)
            finally:
                learn(asking)
            finish = Finish(session, options, ledger, asking, rows, new)
            async with self._ending:  # in a thread: what comes for other jobs is stored meanwhile
                return await asyncio.to_thread(finish.report, root, time.monotonic() - started)


def check_models(planned: Sequence[Planned]) -> None:
    """Raises ConfigurationError for a missing key or engine of any job before anything is sent."""
    for each in planned:
        roles = [
            role
            for stage in each.prepared.session.stages.asking
            if each.plan.stages[stage.name].calls
            for role in stage.recipes
        ]
        for role in dict.fromkeys(roles):
            try:
                check(each.prepared.job.settings.models[role])
            except DistillError as error:
                raise of_job(each.prepared.job, len(planned))(error) from error


def sum_of_expected(all_settings: Sequence[Settings]) -> dict[str, int]:
    """Items of all full trees."""
    each = [expected_items(settings) for settings in all_settings]
    return {stage: sum(items.get(stage, 0) for items in each) for stage in in_order(each)}
