"""A build that is held to something, carried out as far as that tells whether it would be refused.

What it writes it writes into a temporary folder: `plan` changes nothing.
"""

import asyncio

from distill_build.builds.assembly import UnitRows
from distill_build.builds.baseline import Baseline, baseline_of
from distill_build.builds.execution import Execution, models_by_name
from distill_build.builds.finishing import Finish
from distill_build.builds.locked import locked_of, not_stored
from distill_build.builds.plan.plan import Plan
from distill_build.builds.session import Session
from distill_build.builds.walk.nodes import Node
from distill_build.calls.shared import Shared
from distill_build.dataset.transaction import NEW
from distill_build.engine.ledger import Ledger
from distill_build.engine.reading import Responses
from distill_build.engine.temporary import temporary_folder, written_below
from distill_build.options import Options


def dry_run(session: Session, options: Options, plan: Plan, store: Responses | None) -> bool:
    """Raises DifferenceError where a build with these options would, in the same words; `plan` is that build's.

    `store` is what the plan was made with, None where there is none. Says whether the build is held to a lock, and so
    asks nothing whatever its plan would.
    """
    locked = locked_of(session.dataset, options)
    if locked is None:
        if plan.calls and options.offline:
            raise not_stored("--offline", *plan.first)
        return False
    locked.refuse_requests(plan, session)
    if store is None:
        raise locked.needs_requests(plan, session)
    with temporary_folder() as folder, written_below(folder):
        _make(session, options, plan, store, Ledger(folder, "plan"))
    return True


def _make(session: Session, options: Options, plan: Plan, store: Responses, ledger: Ledger) -> None:
    baseline = baseline_of(session, options)
    folder = ledger.folder / NEW
    rows = UnitRows(session.stages.graph, baseline.previous, lambda: folder)
    execution, root = asyncio.run(_walk(session, options, store, ledger, baseline, rows))
    Finish(session, options, ledger, execution, plan, rows, folder).make(root)


async def _walk(
    session: Session, options: Options, store: Responses, ledger: Ledger, baseline: Baseline, rows: UnitRows
) -> tuple[Execution, Node]:
    settings = session.settings
    shared = Shared(models_by_name(settings, session.stages.roles, ""), settings.budget, None)
    try:
        execution = Execution(session, options, store, ledger, baseline, shared)
        return execution, await execution.walk(rows)
    finally:
        await shared.models.close()
