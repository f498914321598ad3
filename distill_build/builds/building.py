"""Builds of datasets, one or many: planned first, then walked side by side on one store, one budget, the same gates.

    Builds.run
      ├── every build is planned; what cannot be used is told before anything is sent
      └── each walks its tree with a scheduler of its own, and writes its files when it has come to its end

A build by itself is the case of one. What must hold: a response is stored before anything else is done with it; a
dataset's files change together and last; the bytes depend on the responses alone.
"""

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing, contextmanager, nullcontext
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Protocol

import msgspec
from msgspec.structs import replace

from distill_build.builds.assembly import UnitRows
from distill_build.builds.baseline import Baseline, baseline_of
from distill_build.builds.execution import Execution, models_by_name, role_name
from distill_build.builds.finishing import Finish
from distill_build.builds.kept_responses import StoreAndKept, take_responses
from distill_build.builds.notices import notices, unmatched
from distill_build.builds.plan.estimation import Needs, NoNeeds
from distill_build.builds.plan.plan import Plan
from distill_build.builds.plan.planning import PlanRows, StandingRows, make_plan
from distill_build.builds.plan.statistics import RequestStatistics
from distill_build.builds.replacement import replacement_of
from distill_build.builds.report import Replacement, Report, Watcher
from distill_build.builds.session import Session
from distill_build.builds.versioning import keep_unknown, register
from distill_build.builds.walk.tally import Tally
from distill_build.calls.budget import AbandonedError
from distill_build.calls.resolver import CallStates
from distill_build.calls.shared import Shared
from distill_build.dataset.so_far import RowsSoFar
from distill_build.dataset.transaction import new_files
from distill_build.engine.ledger import Ledger
from distill_build.engine.lock import in_use
from distill_build.engine.reading import Responses, writable
from distill_build.engine.signals import interruptible
from distill_build.engine.store import Store, open_store
from distill_build.errors import DistillError, InterruptedBuildError
from distill_build.graph import in_order
from distill_build.models.base import Limits, ModelSettings, SettingOf
from distill_build.models.factory import check_model
from distill_build.options import Options
from distill_build.records import number_of, short
from distill_build.settings import Budget
from distill_build.stages.kinds.declared import declared

FEW_ROWS = 1_000
"""A plan's walk over so few rows leaves about a megabyte, which takes 5 ms to look for."""


class Build(msgspec.Struct, frozen=True):
    """One dataset to bring up to date. `name` tells its models from others'; `words` begin what is said of it."""

    session: Session
    name: str = ""
    words: str = ""

    def said(self, text: str) -> str:
        """A sentence about this build."""
        return f"{self.words}: {text}" if self.words else text


class PlannedBuild(msgspec.Struct, frozen=True):
    """`may_ask` says whether anything may be sent for it; `baseline` is None where the lock was not held since.

    `replacement` is what it would take from the version that lies there.
    """

    build: Build
    plan: Plan
    may_ask: bool
    baseline: Baseline | None
    replacement: Replacement | None


class Occasion(Protocol):
    """Why builds are made: by itself, or as jobs of a sweep. It hears what becomes of them."""

    next_run: str
    """What goes on where all was interrupted."""
    states: CallStates
    tally: Tally
    """All builds together, for the progress."""
    log_dir: Path
    holds_locks: bool
    """Whether the builds' locks are held from before they are planned."""

    def needs(self, build: Build) -> Needs:
        """Who is told what the build's plan is made of."""

    def planned(self, builds: Sequence[PlannedBuild]) -> None:
        """All that could be planned, before the first request; raises what is wrong with a model."""

    def turn(self, build: Build, shared: Shared) -> AbstractAsyncContextManager[None]:
        """Holds the build's lock."""

    def begins(self, tally: Tally) -> None:
        """One more build is at work."""

    def ended(self, build: Build, result: Report | DistillError | OSError) -> None:
        """What became of a build; where none but this matters, an error is raised again."""


@contextmanager
def prepared_cache(session: Session, console: Watcher) -> Iterator[None]:
    """Makes the cache where there is none, and keeps it from being cleaned meanwhile."""
    if writable(session.cache_dir):
        session.directory.prepare()  # what is not there cannot be marked as in use
    with in_use(session.cache_dir, console.note):
        yield


def run_builds(builds: Sequence[Build], options: Options, console: Watcher, run_id: str, occasion: Occasion) -> None:
    """Brings datasets up to date that share a cache; `occasion` hears what comes of each, as it comes.

    Raises ConfigurationError before anything is sent, InterruptedBuildError where that is interrupted.
    """
    session = builds[0].session
    with prepared_cache(session, console):
        found = open_store(session.cache_dir)
        sessions = [build.session for build in builds]
        store = found if isinstance(found, Store) else StoreAndKept(found, sessions, console.note)
        try:
            asyncio.run(Builds(store, options, console, run_id, occasion).run(builds))
        finally:
            store.close()


class Builds:
    """See `run_builds`."""

    def __init__(self, store: Responses, options: Options, console: Watcher, run_id: str, occasion: Occasion) -> None:
        self._store = store
        self._options = options
        self._console = console
        self._run_id = run_id
        self._occasion = occasion
        self._finishing = asyncio.Lock()

    async def run(self, builds: Sequence[Build]) -> None:
        planned: list[PlannedBuild] = []
        for build in builds:
            try:
                planned.append(await self._plan(build))
            except (DistillError, OSError) as error:
                self._occasion.ended(build, error)
        if sum(sum(each.plan.wanted.values()) for each in planned) > FEW_ROWS:
            gc.collect()  # a walk's tree names itself in circles, and would lie beside that of the build
        self._occasion.planned(planned)
        await asyncio.sleep(0)  # an interruption that came meanwhile ends it here, and waits for no answer
        self._confirm(planned)
        shared = self._shared(planned)
        try:
            await self._run_all(planned, shared)
        finally:
            await shared.models.close()

    async def _plan(self, build: Build) -> PlannedBuild:
        session, options, store = build.session, self._options, self._store
        if isinstance(store, Store):
            take_responses(session, store, lambda text: self._console.note(build.said(text)))
        baseline = baseline_of(session, options)
        plan = await make_plan(session, store, baseline, options.until, self._occasion.needs(build))
        goes = replacement_of(session, options, baseline, plan)
        for notice in notices(session, options, baseline, plan, goes):
            self._console.note(build.said(notice))
        if baseline.locked is not None:
            baseline.locked.refuse_requests(plan, session)
        forbidden = baseline.locked is not None or options.offline or options.frozen
        may_ask = not forbidden and isinstance(store, Store)
        if may_ask:
            plan.require_use()
        return PlannedBuild(build, plan, may_ask, baseline if self._occasion.holds_locks else None, goes)

    def _confirm(self, planned: Sequence[PlannedBuild]) -> None:
        """Lets the person stop before rows go that nobody typed away. Raises InterruptedBuildError for who does."""
        if self._options.yes or self._options.rebuild:
            return
        goes = [each for each in planned if each.replacement and each.build.session.settings.confirm == "replace"]
        versions = [short(each.replacement.version) for each in goes if each.replacement]
        what = f"version {versions[0]}" if len(versions) == 1 else number_of(len(versions), "versions")
        told = [each.build.said(each.replacement.sentence("this build replaces")) for each in goes if each.replacement]
        if goes and not self._console.confirm(told, f"go on, and replace {what}?"):
            raise InterruptedBuildError(
                "not confirmed, so nothing was asked and nothing replaced; -y, or confirm=never, goes on unasked"
            )

    def _shared(self, planned: Sequence[PlannedBuild]) -> Shared:
        sessions = {each.build.name: each.build.session for each in planned}
        roles: dict[str, tuple[ModelSettings, Limits]] = {}
        settings: dict[str, SettingOf] = {}
        for name, session in sessions.items():
            roles |= models_by_name(session.settings, session.stages.roles, name)
            for role in session.stages.roles:
                settings[role_name(name, role)] = partial(session.settings.setting, role)
        return Shared(
            roles,
            next((session.settings.budget for session in sessions.values()), Budget()),
            self._occasion.log_dir,
            builds=len(planned),
            states=self._occasion.states,
            settings=settings,
            note=self._console.note,
        )

    def _interrupted(self, shared: Shared) -> None:
        """Ends the asking."""
        self._console.note(
            f"interrupted: waiting for what is in flight ({shared.models.in_flight}), then writing what is complete; "
            "interrupt again to leave at once"
        )
        next_run = self._occasion.next_run
        shared.stop(InterruptedBuildError(f"interrupted: what came is kept, and {next_run} goes on from there"))

    async def _run_all(self, planned: Sequence[PlannedBuild], shared: Shared) -> None:
        expected = [declared(each.build.session.settings).rows() for each in planned]
        all_expected = {name: sum(each.get(name, 0) for each in expected) for name in in_order(expected)}
        progress = self._console.progress(self._occasion.tally, all_expected, shared.models.traffic)
        shows_progress = any(each.plan.calls and each.may_ask for each in planned)
        with (
            interruptible(partial(self._interrupted, shared)),
            progress if shows_progress else nullcontext(),
        ):
            done = await asyncio.gather(*(self._build(each, shared) for each in planned), return_exceptions=True)
        raised = [error for error in done if error is not None]
        for error in sorted(raised, key=lambda each: isinstance(each, AbandonedError)):
            raise error  # what ended the others first

    async def _build(self, planned: PlannedBuild, shared: Shared) -> None:
        build = planned.build
        try:
            async with self._occasion.turn(build, shared):
                self._occasion.ended(build, await self._made(planned, shared))
        except (DistillError, OSError) as error:
            self._occasion.ended(build, error)
        except BaseException:
            shared.abandon()
            raise

    async def _made(self, planned: PlannedBuild, shared: Shared) -> Report:
        session, options, started = planned.build.session, self._options, time.monotonic()
        ledger = Ledger(session.dataset.runs, self._run_id)
        with closing(ledger), new_files(session.dataset, self._run_id) as new:
            register(session)
            baseline = planned.baseline or baseline_of(session, options)
            if baseline.state is not None:
                keep_unknown(session, baseline.state)
            execution = Execution(session, options, self._store, ledger, baseline, shared, planned.build.name)
            ledger.write("plan", target=execution.target, **planned.plan.row())
            self._occasion.begins(execution.tally)
            so_far = _rows_so_far(session, baseline, new)
            rows = UnitRows(session.stages.graph, baseline.previous, lambda: new, so_far=so_far)
            with closing(rows):
                try:
                    if session.rebuild and planned.may_ask:
                        await _renew(execution, new, self._console)
                        if session.rebuild.unmatched and not planned.plan.exact:  # else it is told before
                            self._console.note(planned.build.said(unmatched(session)))
                    root = await execution.walk(rows)
                finally:
                    learn(execution)
            finish = Finish(session, options, ledger, execution, planned.plan, rows, new, execution.halt.cut)
            async with self._finishing:  # in a thread: what comes for other builds is stored meanwhile
                report = await asyncio.to_thread(finish.report, root, time.monotonic() - started)
            present = baseline.present
            is_other = not report.kept_rows and present is not None and report.version != present.version
            return replace(report, replaced=planned.replacement if is_other else None)


class Alone:
    """The occasion of one build by itself. The caller holds its lock."""

    holds_locks = True

    def __init__(self, console: Watcher, log_dir: Path, options: Options) -> None:
        self.next_run = "the same --rebuild" if options.rebuild else "the next build"
        self.states = CallStates()
        self.tally = Tally.of(())
        self.log_dir = log_dir
        self.report: Report | None = None
        self._console = console

    def needs(self, build: Build) -> Needs:  # noqa: ARG002 - the protocol's
        return NoNeeds()

    def planned(self, builds: Sequence[PlannedBuild]) -> None:
        for each in builds:
            if each.baseline is not None and each.baseline.locked is None and each.plan.calls:
                self._console.plan(each.plan, each.build.session.settings)
        check_models(builds, lambda _, error: error)

    @asynccontextmanager
    async def turn(self, build: Build, shared: Shared) -> AsyncIterator[None]:  # noqa: ARG002 - as above
        yield

    def begins(self, tally: Tally) -> None:
        self.tally.stages = tally.stages

    def ended(self, build: Build, result: Report | DistillError | OSError) -> None:  # noqa: ARG002 - as above
        if not isinstance(result, Report):
            raise result
        self.report = result


def build_alone(session: Session, options: Options, console: Watcher, run_id: str) -> Report:
    """Brings one dataset up to date. The caller holds the dataset's lock.

    Raises DistillError or OSError with the old files left as they were; a cap that was reached is in the report.
    """
    started, occasion = time.monotonic(), Alone(console, session.dataset.runs / run_id, options)
    run_builds([Build(session)], options, console, run_id, occasion)
    assert occasion.report is not None, "a build ends with a report or an error"  # noqa: S101
    return replace(occasion.report, seconds=time.monotonic() - started)


def check_models(planned: Sequence[PlannedBuild], told: Callable[[Build, DistillError], DistillError]) -> None:
    """Raises ConfigurationError, as `told` of a build, for a missing key or engine before anything is sent."""
    for each in planned:
        if each.may_ask:
            stages = each.build.session.stages.asking
            asked = [role for stage in stages if each.plan.stages[stage.name].calls for role in stage.recipes]
            for role in dict.fromkeys(asked):
                try:
                    settings = each.build.session.settings
                    check_model(settings.models[role], partial(settings.setting, role))
                except DistillError as error:
                    raise told(each.build, error) from error


def _rows_so_far(session: Session, baseline: Baseline, folder: Path) -> RowsSoFar | None:
    """Who notes the rows of a build as they come; None where a complete version lies there to look at meanwhile."""
    if baseline.locked is not None or (baseline.present is not None and baseline.present.stands):
        return None
    return RowsSoFar(folder, session.stages.graph, session.identity)


def learn(execution: Execution) -> None:
    """Remembers what requests took, for estimates."""
    if execution.tally.asked:
        RequestStatistics(execution.session.cache_dir).learn(execution.tally)


async def _renew(execution: Execution, folder: Path, console: Watcher) -> None:
    """Asks anew what --rebuild names, in a walk of its own whose rows, in `folder`, are nobody's.

    The rows are read in the walk after it, when every reply that gives way has done so: two tags with the same
    question share a call, and would differ by who came first. The generation is renewed before, for whoever finds the
    cache after a crash, and again afterwards, for builds of other datasets that read it meanwhile.
    """
    session, previous, baseline = execution.session, execution.baseline.previous, execution.baseline
    alone = session.directory.generation() == baseline.generation
    during = session.directory.renew_generation()
    _note_rebuild(session)
    nothing_standing = StandingRows(session.dataset, None)  # what goes was told by the plan
    rows = PlanRows(session, baseline, execution.options.until, NoNeeds(), nothing_standing, lambda: folder)
    await execution.walk(rows)
    alone = alone and session.directory.generation() == during
    after = session.directory.renew_generation()
    baseline.generation = after if alone else ""  # another one renewed it: the next build must look at what it holds
    execution.resolver.asks_no_more_anew()
    calls = execution.resolver
    if calls.displaced:
        sources = session.dataset.sources()
        previous.stale |= {row.id for row in sources if any(key in calls.displaced for key, _ in row.responses)}
    if calls.asked_in_vain:
        console.note(f"asked again in vain: {len(calls.asked_in_vain)}; what stood before still does")
    for counts in execution.tally.stages.values():
        counts.count_anew()


def _note_rebuild(session: Session) -> None:
    """Notes what is about to be asked anew, for the build after one that is interrupted or killed meanwhile."""
    state = session.dataset.state()
    if state is not None:
        since = state.rebuilding_since or datetime.now(UTC).isoformat(timespec="milliseconds")
        globs = (*state.rebuilding, *session.rebuild.typed)
        session.dataset.write_state(replace(state, rebuilding=globs, rebuilding_since=since))
