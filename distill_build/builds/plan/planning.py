"""A plan: the stages walked with nobody to ask."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import cache, partial
from itertools import chain
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from distill_build.builds.assembly import UnitRows, encode_rows, tag_lines
from distill_build.builds.baseline import Baseline
from distill_build.builds.kept_responses import StoreAndKept
from distill_build.builds.plan.estimation import Estimate, Needs, NoNeeds, PlanAsk
from distill_build.builds.plan.plan import Plan, StagePlan, price
from distill_build.builds.plan.statistics import RequestStatistics
from distill_build.builds.plan.yields import Yields
from distill_build.builds.present import PresentVersion
from distill_build.builds.session import Session
from distill_build.builds.walk.nodes import Node, Unit, topic_node
from distill_build.builds.walk.nodes import walk as tags_below
from distill_build.builds.walk.tally import Tally
from distill_build.builds.walk.walk import Walk
from distill_build.calls.budget import FailureCap, Halt
from distill_build.calls.call import Call
from distill_build.dataset.layout import FAILURES, Dataset
from distill_build.dataset.outcome import Outcome
from distill_build.dataset.rows import TagRow, line_digest, line_digests, read_rows
from distill_build.engine.reading import ReadOnlyStore, Responses, holds_database, require_database
from distill_build.engine.scheduler import Scheduler
from distill_build.engine.temporary import temporary_folder, written_below
from distill_build.errors import ConfigurationError, EndpointError
from distill_build.models.completion import estimated_tokens
from distill_build.models.factory import fault_of_stored
from distill_build.prompting.rendering import RenderingError
from distill_build.records import JsonObject
from distill_build.records import Path as TagPath
from distill_build.settings import Settings, declared_tree
from distill_build.stages.course import Segment, course_of
from distill_build.stages.kinds.declared import declared

ONE_LANE = "plan"


@contextmanager
def existing_store(sessions: Sequence[Session], note: Callable[[str], None]) -> Iterator[Responses | None]:
    """The store that `sessions` share, only read, with what their folders keep; None where there is neither.

    A plan makes no cache; `note` is told what a build would take from a folder.
    """
    directory = sessions[0].cache_dir
    require_database(directory)
    store = ReadOnlyStore(directory) if holds_database(directory) else None
    with closing(StoreAndKept(store, sessions, note)) as both:
        yield None if both.is_empty else both


async def make_plan(
    session: Session,
    store: Responses | None,
    baseline: Baseline,
    until: str,
    needs: Needs | None = None,
    yields: Yields | None = None,
) -> Plan:
    """What a build of these settings would ask for; `needs` is told of every request, `yields` of every row that is
    judged, where there is anybody. Sends nothing, and writes into a temporary folder alone, if at all.

    Raises ConfigurationError where the first of all requests cannot be rendered: there would be nothing at all; and
    StorageError as `temporary_folder` and `written_below`.
    """
    try:
        session.stages.tree.request(topic_node(session.settings.topic, declared_tree(session.settings)).at, [], 0)
    except RenderingError as error:
        raise ConfigurationError(str(error)) from error
    with ExitStack() as stack:
        folder = cache(partial(_folder_for_rows, stack))
        standing, needs = StandingRows(session.dataset, baseline.present), needs or NoNeeds()
        rows = PlanRows(session, baseline, until, needs, standing, folder, yields)
        return await _planned(session, store, baseline, until, needs, rows)


def _folder_for_rows(stack: ExitStack) -> Path:
    folder = stack.enter_context(temporary_folder())
    stack.enter_context(written_below(folder))
    return folder


async def _planned(
    session: Session, store: Responses | None, baseline: Baseline, until: str, needs: Needs, rows: "PlanRows"
) -> Plan:
    graph = session.stages.graph.up_to(until)
    tally = Tally.of(session.stages.graph.names)
    plans = {name: StagePlan() for name in session.stages.graph.names}
    ask = PlanAsk(store, baseline.pinned, plans, session.asked_anew, needs, partial(_fault_of_stored, session.settings))
    walk = Walk(
        session.stages,
        until,
        dict.fromkeys(session.stages.roles, ONE_LANE),
        lambda crowded: Scheduler({ONE_LANE: 1}, crowded=crowded),
        ask,
        rows,
        Estimate(session.stages, graph, plans, needs),
        tally,
        FailureCap(0, Halt(lambda: None), session.dataset.artefact(FAILURES)),
    )
    walk.start()
    await walk.scheduler.run()
    for name, each in plans.items():  # the requests behind what was recalled
        each.cached += tally.stages[name].found
    dropped = {shape.name: tally.stages[shape.name].dropped for shape in graph if shape.kind == "transform"}
    plan = price(
        session.stages, plans, RequestStatistics(session.cache_dir), lambda stage: typical(session, stage), dropped
    )
    newly_dropped = dict(Counter(name for name, _ in walk.newly_dropped))
    unmatched = (*session.settings.unread, *walk.unmatched())
    spared = {name: tally.stages[name].spared for name in graph.names}
    full = declared(session.settings).rows()
    wanted = {name: full[name] - number for name, number in spared.items()}
    replaced, leaving = rows.replaced(walk.root), rows.leaving(walk.root)
    return replace(
        plan,
        newly_dropped=newly_dropped,
        replaced=replaced,
        wanted=wanted,
        leaving=leaving,
        unmatched=unmatched,
        in_vain=ask.in_vain,
    )


def _fault_of_stored(settings: Settings, call: Call, raw: JsonObject) -> EndpointError | None:
    return fault_of_stored(raw, settings.models[call.role], partial(settings.setting, call.role))


class PlanRows(UnitRows):
    """Takes the rows of a walk of which nothing is written but what later segments need, which `folder` takes.

    `standing` counts those of the version in the folder that the walk comes to again.
    """

    def __init__(
        self,
        session: Session,
        baseline: Baseline,
        until: str,
        needs: Needs,
        standing: "StandingRows",
        folder: Callable[[], Path],
        yields: Yields | None = None,
    ) -> None:
        self._course = course_of(session.stages, until)
        later = frozenset(name for each in self._course for name in (*each.loaded, *each.measured))
        super().__init__(session.stages.graph, baseline.previous, folder, later)
        self._refilled = {number for number, each in enumerate(self._course) if each.refilled is not None}
        self._again: dict[str, dict[str, int]] = {}
        self._needs = needs
        self._standing = standing
        self._yields = yields

    def recall(self, unit: Unit, segment: int, verdicts: str) -> Outcome | None:
        outcome = super().recall(unit, segment, verdicts)
        if outcome is not None:
            self._needs.recalled(unit.node.id)
            self._stand(unit, segment, {name: rows.count for name, rows in outcome.rows.items()})
            if self._yields is not None:
                self._yields.recalled(unit, self._course[segment], partial(self._lines_of, unit, outcome))
        return outcome

    def take(self, unit: Unit, number: int, segment: Segment, verdicts: str) -> Outcome:
        lines = {name: (unit.shown(row.line) for row in unit.sorted(name)) for name in segment.stages}
        self._stand(unit, number, {name: self._standing.again(name, own) for name, own in lines.items()})
        if self._yields is not None:
            self._yields.made(unit, segment)
        return super().take(unit, number, segment, verdicts)

    def take_back(self, unit: Unit) -> None:
        for name, rows in self._again.pop(unit.node.id).items():
            self._standing.stay(name, -rows)
        if self._yields is not None:
            self._yields.take_back(unit)

    def judging(self, transform: str, measured: Sequence[tuple[str, Any]]) -> None:
        if self._yields is not None:
            self._yields.judged_together(transform, measured)

    def _stand(self, unit: Unit, segment: int, again: dict[str, int]) -> None:
        """So many rows of a segment stay; of one that may be worked through once more that is noted."""
        if segment in self._refilled:
            self._again[unit.node.id] = again
        for name, rows in again.items():
            self._standing.stay(name, rows)

    def _lines_of(self, unit: Unit, last: Outcome, stage: str) -> Iterator[JsonObject]:
        """The rows of a unit that a stage made in any segment up to that of its `last` outcome."""
        judged = [unit.judged[stage].lines] if stage in unit.judged else []
        made = [outcome.rows[stage] for outcome in (*unit.outcomes, last) if stage in outcome.rows]
        return chain.from_iterable(self.lines(stage, rows) for rows in (*judged, *made))

    def replaced(self, root: Node) -> dict[str, int]:
        """By stage the rows of the version in the folder that the walk from `root` did not come to again."""
        tree = self._graph.tree.name
        self._standing.stay(tree, self._standing.again(tree, tag_lines(root)))
        return self._standing.replaced()

    def leaving(self, root: Node) -> tuple[TagPath, ...]:
        """The tags of that version for which the tree of the walk from `root` has no place, without those below them.

        Where a list is not all there, anything may come of it.
        """
        nodes = {None: root} | {node.id: node for node, _ in tags_below(root)}
        gone = (row for row in self._standing.tree_rows(self._graph.tree.name) if row.id not in nodes)
        return tuple(row.path for row in gone if (above := nodes.get(row.parent)) is not None and not above.lacking)


class StandingRows:
    """The rows of the version that lies in a folder, and how many of them a walk comes to again as they stand.

    Those of transforms are verdicts, which nobody has paid for.
    """

    def __init__(self, dataset: Dataset, present: PresentVersion | None) -> None:
        shapes = [] if present is None else [shape for shape in present.graph if shape.kind != "transform"]
        self._files = {shape.name: dataset.artefact(shape.file) for shape in shapes}
        self._counts = {} if present is None else {name: present.counts.get(name, 0) for name in self._files}
        self._other = frozenset[str]() if present is None else present.other
        self._again = dict.fromkeys(self._counts, 0)
        self._lines: dict[str, set[bytes]] = {}

    def stay(self, stage: str, rows: int) -> None:
        """So many rows are taken over."""
        if stage in self._again:
            self._again[stage] += rows

    def again(self, stage: str, rows: Iterable[JsonObject]) -> int:
        """How many of the rows that came out of the walk stand there alike."""
        if stage in self._other and stage in self._again:  # there is nothing to compare with
            return sum(1 for _ in rows)
        if not self._counts.get(stage):
            return 0
        lines = self._lines.get(stage)
        if lines is None:
            lines = self._lines[stage] = line_digests(self._files[stage])
        return sum(line_digest(encode_rows([row])) in lines for row in rows)

    def tree_rows(self, tree: str) -> Iterator[TagRow]:
        """The tags of the version, where the walk did not come to all of them."""
        if tree not in self._other and self._again.get(tree, 0) < self._counts.get(tree, 0):
            yield from read_rows(self._files[tree], TagRow)

    def replaced(self) -> dict[str, int]:
        """Rows by stage that the walk did not come to."""
        return {stage: max(0, count - self._again[stage]) for stage, count in self._counts.items()}


def typical(session: Session, stage: str) -> float:
    """Prompt tokens of a request for a place that is not known yet."""
    for each in session.stages.asking:
        if each.name == stage:
            with suppress(RenderingError):  # what a prompt makes of a place that is not there tells no more
                return estimated_tokens(each.typical_call().body["messages"])
    return 0.0
