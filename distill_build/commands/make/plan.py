"""`plan`: says what `build` would do, and sends nothing."""

import asyncio
from collections.abc import Callable

from distill_build.builds.plan.plan import Plan, plan_of_state
from distill_build.builds.plan.yields import Yields
from distill_build.builds.session import Session
from distill_build.builds.up_to_date import current_state
from distill_build.commands.make.build import check_flags, session_of
from distill_build.console import open_console, plan_table
from distill_build.console.page import print_document
from distill_build.engine.reading import Responses
from distill_build.options import Options
from distill_build.settings import Settings


def run(settings: Settings, options: Options) -> int:
    """Prints the plan; returns 0.

    Raises DifferenceError where a build with --offline, --locked or --frozen would, and EndpointError where a stored
    reply stops one.
    """
    check_flags(options)
    session = session_of(settings, options)
    yields = Yields(session.stages, options.until)
    plan = plan_of(session, options, open_console(quiet=options.quiet, verbose=False, json=options.json).note, yields)
    plan.require_use()
    if options.json:
        print_document(plan.row() | {"yields": yields.row()})
    else:
        plan_table(plan, settings, yields.row())
    return 0


def plan_of(session: Session, options: Options, note: Callable[[str], None], yields: Yields | None = None) -> Plan:
    """The plan of a build with these options: the last build's own where nothing has changed since.

    `note` is told what such a build would say before it began, and `yields` of what it would judge, for which it has to
    walk. Raises DifferenceError as `run`.
    """
    from distill_build.builds.plan.statistics import RequestStatistics

    state = current_state(session, options.until)
    if state is not None and not yields:
        return plan_of_state(session.stages, state, RequestStatistics(session.cache_dir))

    from distill_build.builds.plan.planning import existing_store

    with existing_store([session], note) as store:
        plan = asyncio.run(_walk(session, options, store, note, yields))
        return _tried_out(session, options, store, plan) if options.asks_nothing else plan


async def _walk(
    session: Session,
    options: Options,
    store: Responses | None,
    note: Callable[[str], None],
    yields: Yields | None,
) -> Plan:
    from distill_build.builds.baseline import baseline_of
    from distill_build.builds.notices import notices, unmatched_so_far
    from distill_build.builds.plan.planning import make_plan
    from distill_build.builds.replacement import replacement_of

    baseline = baseline_of(session, options)
    plan = await make_plan(session, store, baseline, options.until, yields=yields)
    for notice in notices(session, options, baseline, plan, replacement_of(session, options, baseline, plan)):
        note(notice)
    if (notice_of_globs := unmatched_so_far(session, plan)) is not None:
        note(notice_of_globs)
    return plan


def _tried_out(session: Session, options: Options, store: Responses | None, plan: Plan) -> Plan:
    from distill_build.builds.plan.dry_run import dry_run  # most plans need no more than a plan

    return plan.of_cache() if dry_run(session, options, plan, store) else plan
