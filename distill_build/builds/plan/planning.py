"""A plan: the stages walked with nobody to ask."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

from distill_build.builds.assembly import UnitRows
from distill_build.builds.baseline import Baseline
from distill_build.builds.kept_responses import StoreAndKept
from distill_build.builds.plan.estimation import Estimate, Needs, NoNeeds, PlanAsk
from distill_build.builds.plan.plan import Plan, StagePlan, price
from distill_build.builds.plan.statistics import RequestStatistics
from distill_build.builds.session import Session
from distill_build.builds.walk.nodes import Unit
from distill_build.builds.walk.tally import Tally
from distill_build.builds.walk.walk import Walk
from distill_build.calls.budget import FailureCap, Halt
from distill_build.dataset.layout import FAILURES
from distill_build.dataset.outcome import Outcome
from distill_build.engine.reading import ReadOnlyStore, Responses, holds_database, require_database
from distill_build.engine.scheduler import Scheduler
from distill_build.errors import ConfigurationError
from distill_build.models.completion import estimated_tokens
from distill_build.prompting.prompts import RenderingError
from distill_build.stages.course import course_of

ONE_LANE = "plan"


def existing_store(sessions: Sequence[Session], note: Callable[[str], None]) -> Responses | None:
    """The store that `sessions` share, only read, with what their folders keep; None where there is neither.

    A plan makes no cache; `note` is told what a build would take from a folder.
    """
    directory = sessions[0].cache_dir
    require_database(directory)
    store = ReadOnlyStore(directory) if holds_database(directory) else None
    both = StoreAndKept(store, sessions, note)
    return None if both.is_empty else both


async def make_plan(
    session: Session, store: Responses | None, baseline: Baseline, until: str, needs: Needs | None = None
) -> Plan:
    """What a build of these settings would ask for; `needs` is told of every request. Sends nothing, writes nothing.

    Raises ConfigurationError where the first of all requests cannot be rendered: there would be nothing at all.
    """
    try:
        session.stages.tree.request((session.settings.topic,), [], 0)
    except RenderingError as error:
        raise ConfigurationError(str(error)) from error
    needs, graph = needs or NoNeeds(), session.stages.graph.up_to(until)
    tally = Tally.of(session.stages.graph.names)
    plans = {name: StagePlan() for name in session.stages.graph.names}
    walk = Walk(
        session.stages,
        until,
        dict.fromkeys(session.stages.roles, ONE_LANE),
        lambda crowded: Scheduler({ONE_LANE: 1}, crowded=crowded),
        PlanAsk(store, baseline.pinned, plans, session.asked_anew, needs),
        PlanRows(session, baseline, until, needs),
        Estimate(session.stages, graph, plans, needs),
        tally,
        FailureCap(0, Halt(lambda: None), session.dataset.artefact(FAILURES)),
    )
    walk.start()
    await walk.scheduler.run()
    for name, each in plans.items():  # the requests behind what was recalled
        each.cached += tally.stages[name].cached
    dropped = {shape.name: tally.stages[shape.name].dropped for shape in graph if shape.kind == "transform"}
    plan = price(
        session.stages, plans, RequestStatistics(session.cache_dir), lambda stage: typical(session, stage), dropped
    )
    return replace(plan, newly_dropped=len(walk.newly_dropped))


class PlanRows(UnitRows):
    """Takes the rows of a walk of which nothing is written: what later segments need is held in memory."""

    def __init__(self, session: Session, baseline: Baseline, until: str, needs: Needs) -> None:
        course = course_of(session.stages, until)
        later = frozenset(name for each in course for name in (*each.loaded, *each.measured))
        super().__init__(session.stages.graph, baseline.previous, None, later)
        self._needs = needs

    def recall(self, unit: Unit, segment: int, verdicts: str) -> Outcome | None:
        outcome = super().recall(unit, segment, verdicts)
        if outcome is not None:
            self._needs.recalled(unit.node.id)
        return outcome


def typical(session: Session, stage: str) -> float:
    """Prompt tokens of a request for a place that is not known yet."""
    for each in session.stages.asking:
        if each.name == stage:
            with suppress(RenderingError):  # what a prompt makes of a place that is not there tells no more
                return estimated_tokens(each.typical_call().body["messages"])
    return 0.0
