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
from distill_build.stages.replacement import new_files, only_run_at_once
from distill_build.stages.report import Expected, Report, Watcher, expected_items
from distill_build.stages.tally import STAGES
from distill_build.stages.versioning import register
from distill_build.sweeps.planning import Planning, SweepPlan
from distill_build.sweeps.ready import Ready, of_job
from distill_build.sweeps.tallies import SumOfTallies
from distill_build.sweeps.work import Work, of_folder

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

    ready: Ready
    plan: Plan
    may_ask: bool


def build_together(
    folder: Path, stale: Sequence[Ready], options: Options, console: SweepWatcher, run_id: str, work: Work
) -> None:
    """Builds the jobs that are not up to date; `work` takes what comes of each, as it comes.

    The caller holds the sweep's lock; `folder` is the sweep's. Raises ConfigurationError before anything is sent,
    InterruptedBuildError when what was in flight has come.
    """
    session = stale[0].session
    with prepared_cache(session, console):
        store = open_store(session.cache_dir)
        try:
            asyncio.run(_Together(folder, store, options, console, run_id, work).build(stale))
        finally:
            store.close()


class _Together:
    def __init__(
        self, folder: Path, store: Responses, options: Options, console: SweepWatcher, run_id: str, work: Work
    ) -> None:
        self._folder = folder
        self._store = store
        self._options = options
        self._console = console
        self._run_id = run_id
        self._work = work
        self._tally = SumOfTallies()
        self._room = asyncio.Semaphore(JOBS_AT_ONCE)
        self._ending = asyncio.Lock()

    async def build(self, stale: Sequence[Ready]) -> None:
        planning = Planning(self._store, self._options, self._console.note)
        planned: list[Planned] = []
        for ready in stale:
            try:
                planned.append(await self._plan(ready, planning))
            except (DistillError, OSError) as error:
                self._work.note(ready, of_folder(ready, error))
        asking, together = [each for each in planned if each.may_ask], planning.together()
        check_models(asking)
        if asks := any(each.plan.calls for each in asking):
            self._console.sweep_plan(together, stale[0].job.settings)
        shared = self._shared(planned)
        try:
            await self._build_all(planned, shared, shows_progress=asks)
        finally:
            await shared.models.close()

    async def _plan(self, ready: Ready, planning: Planning) -> Planned:
        plan = await planning.add(ready)
        locked = locked_of(ready.dataset, self._options)
        if locked is not None:
            locked.refuse_requests(plan, ready.session)
        forbidden = locked is not None or self._options.offline or self._options.frozen
        return Planned(ready, plan, not forbidden and isinstance(self._store, Store))

    def _shared(self, planned: Sequence[Planned]) -> Shared:
        roles = {
            name: role
            for each in planned
            for name, role in roles_of(each.ready.job.settings, each.ready.job.name).items()
        }
        budget = planned[0].ready.job.settings.budget if planned else Budget()
        log_dir = self._folder / "runs" / self._run_id
        states, note = CallStates(costs=self._work.paid), self._console.note
        return Shared(roles, budget, log_dir, builds=len(planned), states=states, note=note)

    async def _build_all(self, planned: Sequence[Planned], shared: Shared, *, shows_progress: bool) -> None:
        expected = sum_of_expected([each.ready.job.settings for each in planned])
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
        ready = planned.ready
        try:
            async with self._turn(ready, shared):
                self._work.note(ready, await self._run(planned, shared))
        except InterruptedBuildError:
            raise
        except (DistillError, OSError) as error:
            self._work.note(ready, of_folder(ready, error))
        except BaseException:
            shared.end(InterruptedBuildError("the sweep ended with the error of one of its jobs"))
            raise

    @asynccontextmanager
    async def _turn(self, ready: Ready, shared: Shared) -> AsyncIterator[None]:
        """Holds the job's lock, and a place among the jobs at once.

        Where another process has the lock, other jobs take the place meanwhile, and an interruption ends the waiting.
        """
        told = False
        while True:
            async with self._room:
                shared.refuse_if_ended()
                with ExitStack() as held:
                    try:
                        held.enter_context(only_run_at_once(ready.dataset, self._run_id))
                    except LockHeldError as holder:
                        if not told:
                            self._console.note(f"{ready.job.words}: waiting for {holder} of {ready.dataset.folder}")
                        told = True
                    else:
                        yield
                        return
            await asyncio.sleep(LOOK_AGAIN_SECONDS)

    async def _run(self, planned: Planned, shared: Shared) -> Report:
        session, options, started = planned.ready.session, self._options, time.monotonic()
        dataset = session.dataset
        ledger = Ledger(dataset.runs, self._run_id)
        with closing(ledger), new_files(dataset, self._run_id) as new:
            register(session)
            basis = basis_of(session, options)
            asking = Asking(session, options, self._store, ledger, basis, shared, planned.ready.job.name)
            ledger.write("plan", target=asking.target, **planned.plan.row())
            for tally in (self._tally, self._work.tally):  # of these jobs, and of all batches
                tally.add(asking.tally)
            rows = LeafRows(new, basis.kept)
            try:
                root = await asking.walk(rows)
            finally:
                learn(asking)
            finish = Finish(session, options, ledger, asking, rows)
            async with self._ending:  # in a thread: what comes for other jobs is stored meanwhile
                return await asyncio.to_thread(finish.report, root, time.monotonic() - started)


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
