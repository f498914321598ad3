"""A build: plan, ask, and hand the walked tree on to its end.

What must hold: a response is stored before anything else is done with it; the dataset's files change together and
last; the bytes depend on the responses alone.
"""

import asyncio
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from distill_build.builds.nodes import Node
from distill_build.engine.ledger import Ledger
from distill_build.engine.lock import in_use
from distill_build.engine.reading import ReadOnlyStore, writable
from distill_build.engine.store import Store, open_store
from distill_build.options import Options
from distill_build.stages.asking import Asking, interruptible
from distill_build.stages.assembly import UnitRows
from distill_build.stages.basis import basis_of
from distill_build.stages.figures import Figures
from distill_build.stages.finishing import Finish
from distill_build.stages.outlook import NoNeeds
from distill_build.stages.plan import Plan
from distill_build.stages.planning import PlanRows, make_plan
from distill_build.stages.remarks import remarks
from distill_build.stages.replacement import new_files
from distill_build.stages.report import Report, Watcher, expected_items
from distill_build.stages.session import Session
from distill_build.stages.versioning import register


@dataclass(frozen=True, slots=True)
class Walked:
    """A tree that was walked, with where its rows lie."""

    root: Node
    asking: Asking
    rows: UnitRows


def build(session: Session, options: Options, console: Watcher, ledger: Ledger) -> Report:
    """Brings the dataset up to date. The caller holds the dataset's lock.

    Raises DistillError or OSError with the old files left as they were; a cap that was reached is in the report.
    """
    started = time.monotonic()
    with closing(ledger), new_files(session.dataset, ledger.run_id) as new:
        with prepared_cache(session, console):
            report = _build(session, options, console, ledger, new, started)
        return replace(report, seconds=time.monotonic() - started)


@contextmanager
def prepared_cache(session: Session, console: Watcher) -> Iterator[None]:
    """Makes the cache where there is none, and keeps it from being cleaned meanwhile."""
    if writable(session.cache_dir):
        session.directory.prepare()  # what is not there cannot be marked as in use
    with in_use(session.cache_dir, console.note):
        yield


def _build(session: Session, options: Options, console: Watcher, ledger: Ledger, new: Path, started: float) -> Report:
    """The build itself, on a cache that nobody cleans meanwhile."""
    store = open_store(session.cache_dir)
    try:
        register(session)
        walked = asyncio.run(_walk(session, options, store, console, ledger, new))
        finish = Finish(session, options, ledger, walked.asking, walked.rows, new)
        return finish.report(walked.root, time.monotonic() - started)
    finally:
        store.close()


async def _walk(
    session: Session, options: Options, store: Store | ReadOnlyStore, console: Watcher, ledger: Ledger, new: Path
) -> Walked:
    basis = basis_of(session, options)
    plan = await make_plan(session, store, basis, options.until)
    for remark in remarks(session, options, basis, plan):
        console.note(remark)
    if basis.locked is not None:
        basis.locked.refuse_requests(plan, session)
    elif plan.calls:
        console.plan(plan, session.settings)
    asking = Asking(session, options, store, ledger, basis, note=console.note)
    ledger.write("plan", target=asking.target, **plan.row())
    rows = UnitRows(session.stages.graph, basis.kept, new)
    return Walked(await _ask(asking, plan, rows, console), asking, rows)


async def _ask(asking: Asking, plan: Plan, rows: UnitRows, console: Watcher) -> Node:
    settings = asking.session.settings
    try:
        if asking.absent is None:
            asking.check_models(plan)
        with interruptible(asking.shared, console.note, "the dataset is as it was; build again to go on"):
            if not plan.calls or asking.absent is not None:
                return await asking.walk(rows)
            with console.progress(asking.tally, expected_items(settings), asking.in_flight):
                if asking.session.rebuild:
                    await _renew(asking, console)
                return await asking.walk(rows)
    finally:
        await asking.close()
        learn(asking)


def learn(asking: Asking) -> None:
    """Remembers what requests took, for estimates."""
    if asking.tally.asked:
        names = {stage.name: stage.recipes[stage.first].model.name for stage in asking.session.stages.asking}
        Figures(asking.session.cache_dir).learn(asking.tally, names)


async def _renew(asking: Asking, console: Watcher) -> None:
    """Asks anew what --rebuild names, in a walk of its own that writes no rows.

    The rows are read in the walk after it, when every reply that gives way has done so: two tags with the same
    question share a call, and would differ by who came first. The generation is renewed before, for whoever finds the
    cache after a crash, and again afterwards, for builds of other datasets that read it meanwhile.
    """
    session, kept, basis = asking.session, asking.basis.kept, asking.basis
    alone = session.directory.generation() == basis.generation
    during = session.directory.renew_generation()
    _note_rebuild(session)
    await asking.walk(PlanRows(session, basis, asking.options.until, NoNeeds()))
    alone = alone and session.directory.generation() == during
    after = session.directory.renew_generation()
    basis.generation = after if alone else ""  # another one renewed it: the next build must look at what it holds
    asking.caller.asks_no_more_anew()
    calls = asking.shared.states
    if calls.displaced:
        sources = session.dataset.sources()
        kept.stale |= {row.id for row in sources if any(key in calls.displaced for key, _ in row.responses)}
    if calls.asked_in_vain:
        console.note(f"asked again in vain: {len(calls.asked_in_vain)}; what stood before still does")
    for counts in asking.tally.stages.values():
        counts.count_anew()


def _note_rebuild(session: Session) -> None:
    """Notes what is about to be asked anew, for the build after one that is interrupted or killed meanwhile."""
    state = session.dataset.state()
    if state is not None:
        since = state.rebuilding_since or datetime.now(UTC).isoformat(timespec="milliseconds")
        globs = (*state.rebuilding, *session.rebuild.typed)
        session.dataset.write_state(replace(state, rebuilding=globs, rebuilding_since=since))
