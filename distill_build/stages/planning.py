"""A plan: the pipeline walked with nobody to ask."""

from distill_build.calls.budget import FailureCap, Halt
from distill_build.engine.reading import ReadOnlyStore, Responses, holds_database, require_database
from distill_build.engine.scheduler import Scheduler
from distill_build.models.completion import estimated_tokens
from distill_build.options import Until
from distill_build.settings import Stage
from distill_build.stages import answers, questions, tags
from distill_build.stages.assembly import Kept
from distill_build.stages.basis import Basis
from distill_build.stages.dataset import FAILURES
from distill_build.stages.figures import Figures
from distill_build.stages.outlook import Estimate, Needs, NoNeeds, PlanAsk
from distill_build.stages.pipeline import Pipeline
from distill_build.stages.plan import Plan, StagePlan, price
from distill_build.stages.session import Session
from distill_build.stages.tally import STAGES, Tally
from distill_build.stages.tree import Leaf, LeafOutcome, Node, Rows

ONE_LANE = "plan"
NO_ROWS = Rows(False, 0, 0, 0)


class NoRows:
    """The sink of a walk that is not written: recalls what a build would recall."""

    def __init__(self, kept: Kept) -> None:
        self._kept = kept

    def recall(self, node: Node) -> LeafOutcome | None:
        return self._kept.recall(node)

    def take(self, leaf: Leaf) -> LeafOutcome:
        return LeafOutcome(None, NO_ROWS, NO_ROWS, NO_ROWS, (leaf.chain.requests, leaf.answer_requests))


def existing_store(session: Session) -> Responses | None:
    """The store, only read, or None where there is no cache yet: a plan makes none."""
    require_database(session.cache_dir)
    return ReadOnlyStore(session.cache_dir) if holds_database(session.cache_dir) else None


async def make_plan(
    session: Session, store: Responses | None, basis: Basis, until: Until, needs: Needs | None = None
) -> Plan:
    """What a build of these settings would ask for; `needs` is told of every request. Sends nothing, writes nothing."""
    needs = needs or NoNeeds()
    tally = Tally()
    stages = {stage: StagePlan() for stage in STAGES}
    scheduler = Scheduler({ONE_LANE: 1}, crowded=lambda: True)  # nothing waits: depth first holds the least
    pipeline = Pipeline(
        session.settings,
        session.recipes,
        dict.fromkeys(STAGES, ONE_LANE),
        scheduler,
        PlanAsk(store, basis.held, stages, lambda call: session.asked_anew(call.path), needs),
        NoRows(basis.kept),
        Estimate(session.settings, stages, until, needs),
        tally,
        FailureCap(0, Halt(lambda: None), session.dataset.artefact(FAILURES)),
        until,
    )
    pipeline.start()
    await scheduler.run()
    for name, counts in tally.stages.items():  # the requests behind the leaves that were recalled
        stages[name].cached += counts.cached
    return price(session.settings, stages, Figures(session.cache_dir), lambda stage: typical(session, stage))


def typical(session: Session, stage: Stage) -> float:
    """Prompt tokens of a request for a place that is not known yet, from one rendered for the topic itself."""
    settings, recipe = session.settings, session.recipes[stage]
    path = (settings.topic,) * (settings.depth if stage == "tags" else settings.depth + 1)
    match stage:
        case "tags":
            call = tags.request(recipe, settings, path, [], 0)
        case "questions":
            call = questions.request(recipe, settings, path, [], 0)
        case "answers":
            call = answers.request(recipe, settings, path, "What is " + " ".join(["word"] * 15) + "?", 0)
    return estimated_tokens(call.body["messages"])
