"""The recipe, top to bottom: a tree grows level by level, and at its tags stage after stage makes rows of rows.

    tree      each request brings more children of a tag; a tag that is there goes on by itself
    unit      what hangs on a tag works through the segments of the course (see `stages.course`):
                a list grows request by request, a map asks for results of a row as soon as that is there,
                transforms and groups are worked out when all that they look at has come
    barrier   where a transform looks at all units, it judges when the last of them has come, and they go on
    refill    a list that lost items there goes on for others: its unit works through that segment once more, and all
                are judged again, for so many rounds as the transform has

Each step makes one call and submits the steps which its result makes ready. `plan` and `build` run this same code;
they differ in who is asked.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from distill_build.builds.walk.asking import Asking
from distill_build.builds.walk.barrier import Barrier
from distill_build.builds.walk.bookkeeping import Bookkeeping
from distill_build.builds.walk.nodes import Node, Unit, units_of
from distill_build.builds.walk.protocols import Estimator, Sink
from distill_build.builds.walk.tally import Tally
from distill_build.builds.walk.tree import TreeGrowth
from distill_build.calls.budget import FailureCap
from distill_build.calls.call import Ask, Failed, Made, Unasked
from distill_build.dataset.outcome import Outcome
from distill_build.dataset.unit import DROPPED_BEFORE, Row, Sight, Verdict, View, restored, topic_row
from distill_build.engine.manifest import digest
from distill_build.engine.scheduler import Scheduler
from distill_build.prompting.expressions import EvaluationError
from distill_build.records import JsonObject
from distill_build.review import EDIT, REJECT, REVIEW
from distill_build.stages.all import Stages
from distill_build.stages.chain import Chain
from distill_build.stages.course import ChainLengths, Phase, course_of, read_transforms
from distill_build.stages.kinds.base import ModelStage, Stage
from distill_build.stages.kinds.declared import declared
from distill_build.stages.kinds.group_stage import GroupStage
from distill_build.stages.kinds.list_stage import ListStage
from distill_build.stages.kinds.map_stage import BY_PERSON, MapStage
from distill_build.stages.kinds.transform_stage import TransformStage

MOST_ROWS_HELD = 20_000
"""Rows in memory from which on units are ended one after the other. One row takes 1 to 5 kB with its texts.

What goes over it are the rows of the units that are being ended: no more of them than requests are in flight.
"""


class Walk:
    """One walk over the tree of one dataset."""

    def __init__(
        self,
        stages: Stages,
        until: str,
        lanes: Mapping[str, str],
        scheduler: Callable[[Callable[[], bool]], Scheduler],
        ask: Ask,
        sink: Sink,
        estimator: Estimator,
        tally: Tally,
        cap: FailureCap,
        most_rows_held: int = MOST_ROWS_HELD,
    ) -> None:
        """`lanes` names each role's lane in the scheduler: roles that share an endpoint and model share one.

        `scheduler` makes the scheduler, given a function that says whether more is held in memory than is to be.
        """
        self._stages = stages
        self._graph = stages.graph.up_to(until)
        self._sink = sink
        self._estimator = estimator
        self._books = Bookkeeping(stages, self._graph, tally, cap, sink.was_kept)
        self.course = course_of(stages, until)
        self._read = read_transforms(stages, until)
        self._view = View(self._graph)
        self._results = declared(stages.settings).results()
        self._makes_up = stages.settings.curate.refill
        self._barriers = [
            Barrier(number, segment, stages, self._view, self._books, sink, estimator)
            for number, segment in enumerate(self.course)
            if segment.judged is not None
        ]
        self._lengths = ChainLengths(stages, self.course)
        self._below_tags = any(shape.parent == self._tree and not shape.at_leaves for shape in self._graph)
        self._at = 0
        self._open = [0] * len(self.course)
        self.rows_held = 0
        self.newly_dropped = self._books.newly_dropped
        self.reviews = self._books.reviews
        self.scheduler = scheduler(lambda: self.rows_held > most_rows_held)
        asking = Asking(ask, self.scheduler, lanes)
        self._submit, self._result = asking.submit, asking.result
        self._growth = TreeGrowth(
            stages, self._books, sink, estimator, asking, self._lengths, self._tag_made, self._pass_barriers
        )
        self.root = self._growth.root

    def unmatched(self) -> list[str]:
        """Sentences on what people say of parts of the dataset that are not there, when the scheduler has run."""
        return [*self._books.unmatched, *self._books.reviews_in_vain()]

    @property
    def _tree(self) -> str:
        return self._graph.tree.name

    def start(self) -> None:
        """Submits the first step. When the scheduler has run, `root` holds what there is."""
        if self.course and self.root.subtree.own.items:
            self._start_unit(self.root, topic_row(self._tree, self.root.id))
        self._growth.start()

    # What hangs on tags

    def _tag_made(self, node: Node) -> None:
        if self.course and (node.leaf or self._below_tags or node.subtree.own.items):
            self._start_unit(node, Row(self._tree, node.line(), ()))

    def _start_unit(self, node: Node, row: Row) -> None:
        unit = node.unit = Unit(node, row, node.leaf)
        self._open[0] += 1
        self._start_segment(unit)

    # Segments of a unit

    def _start_segment(self, unit: Unit) -> None:
        """Goes on with the next segment: recalled, or step by step."""
        segment = self.course[unit.segment]
        if all(outcome.memo is not None for outcome in unit.outcomes):
            recalled = self._sink.recall(unit, unit.segment, self._verdicts_digest(unit))
            if recalled is not None:
                self._books.recalled(recalled)
                self._books.reviews_recalled(recalled, self._sink.reviewed(unit))
                self._end_segment(unit, recalled)
                return
        asking = [stage for name in segment.stages if isinstance(stage := self._stages[name], ModelStage)]
        if not segment.loaded or not asking:
            self._run_segment(unit)
        else:  # its rows are read when its turn comes, not all at once
            unit.pending += 1
            length = self._lengths.segment(unit.segment) + 1
            self._submit(asking[0].first, length, unit.node.place, partial(self._run_later, unit))

    async def _run_later(self, unit: Unit) -> None:
        unit.pending -= 1
        self._run_segment(unit)

    def _run_segment(self, unit: Unit) -> None:
        self._load(unit, self.course[unit.segment].loaded)
        unit.phase = 0
        self._run_phases(unit)

    def _run_phases(self, unit: Unit) -> None:
        """Opens phase after phase, until one has something to wait for or the segment is at its end."""
        segment = self.course[unit.segment]
        while unit.phase < len(segment.phases):
            phase = segment.phases[unit.phase]
            unit.pending += 1  # until all of the phase is submitted
            self._open_phase(unit, phase)
            unit.pending -= 1
            if unit.pending:
                return
            self._close_phase(unit, phase)
            unit.phase += 1
        outcome = self._sink.take(unit, unit.segment, segment, self._verdicts_digest(unit))
        if segment.judged is not None:
            self._measure(unit, self._barriers[unit.segment])
        self.rows_held -= unit.leave()
        self._end_segment(unit, outcome)

    def _step_done(self, unit: Unit) -> None:
        """One of the steps of a unit has come to its end."""
        unit.pending -= 1
        if unit.pending == 0:
            self._close_phase(unit, self.course[unit.segment].phases[unit.phase])
            unit.phase += 1
            self._run_phases(unit)

    def _open_phase(self, unit: Unit, phase: Phase) -> None:
        for name in phase.immediate:
            for row in self._rows(unit, self._after(name)):
                self._judge(unit, name, row)
        there = {name: self._rows(unit, self._after(name)) for name in phase.asking}  # what comes starts by itself
        for name in phase.asking:
            stage = self._stages[name]
            if isinstance(stage, ListStage) and (unit.leaf or name in unit.node.subtree.own.items):
                self._start_list(unit, stage)
            elif isinstance(stage, MapStage):
                for row in there[name]:
                    self._start_results(unit, stage, row)

    def _close_phase(self, unit: Unit, phase: Phase) -> None:
        for name in phase.closing:
            stage = self._stages[name]
            if isinstance(stage, TransformStage):
                for row in self._rows(unit, self._after(name)):
                    self._judge(unit, name, row)
            elif isinstance(stage, GroupStage) and stage.shape.by is not None:
                for row in self._rows(unit, stage.shape.by) if unit.leaf or stage.shape.by != self._tree else ():
                    self._make_group(unit, stage, row)

    def _end_segment(self, unit: Unit, outcome: Outcome) -> None:
        unit.outcomes = (*unit.outcomes, outcome)
        self._open[unit.segment] -= 1
        unit.segment += 1
        self._pass_barriers()

    # Barriers

    def _pass_barriers(self) -> None:
        """Judges where all units have come to a barrier, and has them go on."""
        while not self._growth.grows and self._at + 1 < len(self.course) and not self._open[self._at]:
            units, barrier = list(units_of(self.root)), self._barriers[self._at]
            self._measure_recalled(units, barrier)
            found = barrier.verdicts(units)
            if short := barrier.to_refill(units, found):
                self._work_once_more(short)
                continue
            barrier.settle(units, found)
            self._at += 1
            self._open[self._at] = len(units)
            for unit in units:
                self._start_segment(unit)

    def _measure_recalled(self, units: Sequence[Unit], barrier: Barrier) -> None:
        for unit in units:
            if unit.measures is None:
                self._load(unit, self.course[self._at].measured)
                self._measure(unit, barrier)
                self.rows_held -= unit.leave()

    def _measure(self, unit: Unit, barrier: Barrier) -> None:
        barrier.measure(unit, self._rows(unit, self._after(barrier.transform.name)))

    def _work_once_more(self, units: Sequence[Unit]) -> None:
        """Has units work through the segment before a barrier again, whose list has a higher goal now."""
        self._open[self._at] = len(units)
        for unit in units:
            *before, last = unit.outcomes
            self._books.taken_back(last)
            self._sink.take_back(unit)
            unit.outcomes, unit.measures = tuple(before), None
            unit.segment -= 1
        for unit in units:
            self._start_segment(unit)

    def _verdicts_digest(self, unit: Unit) -> str:
        """What transforms over all units have said of a unit's rows so far, as far as it matters to what comes behind,
        and how far its lists went for that. A rank shifts with every new row."""
        told = {name: said for name, each in unit.judged.items() if (said := self._said(name, each.verdicts))}
        if unit.goals:
            return digest([told, {name: goals.each for name, goals in unit.goals.items()}])
        return digest(told) if told else ""

    def _said(self, transform: str, found: Mapping[str, Verdict]) -> list[Any]:
        if transform in self._read:
            return [each.line(key) for key, each in found.items()]
        return [key for key, each in found.items() if not each.kept]

    # Rows that were written away

    def _load(self, unit: Unit, names: Sequence[str]) -> None:
        """Has rows of the segments before in memory again, with the verdicts on them."""
        rows = restored(
            unit.tag,
            self._graph,
            {name: self._lines(unit, name) for name in names if name != self._tree},
            lambda stage, line, _: self._stages[stage].number(line),
            self._results,
            refill=self._makes_up,
        )
        for row in rows:
            unit.add(row)
            self._hold()

    def _lines(self, unit: Unit, stage: str) -> Iterator[JsonObject]:
        if stage in unit.judged:
            yield from self._sink.lines(stage, unit.judged[stage].lines)
        for outcome in unit.outcomes:
            if stage in outcome.rows:
                yield from map(unit.asked, self._sink.lines(stage, outcome.rows[stage]))

    def _hold(self) -> None:
        self.rows_held += 1

    # Lists

    def _start_list(self, unit: Unit, stage: ListStage) -> None:
        wanted = unit.goals_of(stage).last
        match self._view.sight(unit.tag, stage.name):
            case Sight.DROPPED:
                self._books.spare(unit, stage.shape, wanted)
            case Sight.UNDECIDED:
                self._estimator.undecided(stage, unit.tag.id)
                self._books.not_all_known()
                self._books.leave_out(unit, unit.tag, stage.name)
            case Sight.SEEN:
                chain = unit.work.chains[stage.name] = Chain(wanted)
                self._make_own_items(unit, stage)
                if wanted:
                    unit.pending += 1
                    self._submit_list(unit, stage, chain)

    def _make_own_items(self, unit: Unit, stage: ListStage) -> None:
        """Makes the rows of a person's own items: they come before those of a model, and outrank them."""
        items = unit.node.subtree.own.items.get(stage.name, ())
        for index, item in enumerate(items, start=-len(items)):
            line = stage.line(unit.place, index, item.text) | stage.own_columns()
            self._books.expect(unit, stage.shape)
            line = stage.flagged(self._books.reviewed(unit, stage, line))
            self._row_made(unit, Row(stage.name, line, (index,), unit.tag))

    def _submit_list(self, unit: Unit, stage: ListStage, chain: Chain) -> None:
        length = self._lengths.step(unit.segment, stage.name, chain.missing)
        self._submit(stage.first, length, unit.node.place, partial(self._ask_items, unit, stage, chain))

    async def _ask_items(self, unit: Unit, stage: ListStage, chain: Chain) -> None:
        """One request for more items of a list."""
        node = unit.node
        request = partial(stage.request, node.at, chain.items, chain.requests, node.earlier())
        key, result = await self._result(request)
        match result:
            case Made(value, response, asked):
                items, columns = stage.taken(value, chain.requests)
                new = chain.take(items, columns, source=(key, response), asked=asked)
                rows = self._listed(unit, stage, chain, new.start)
                going_on = not chain.complete and not chain.given_up
                if going_on:  # before what is shorter
                    self._submit_list(unit, stage, chain)
                for row in rows:
                    self._row_made(unit, row)
                self._books.succeeded(stage.name)
                if going_on:
                    return
                self._books.list_ended(unit, stage.name, chain)
            case Failed() as failed:
                self._books.list_ended(unit, stage.name, chain, failed)
            case Unasked():
                self._estimator.list_unknown(stage, node, chain)
                self._books.not_all_known()
                self._books.leave_out(unit, unit.tag, stage.name)
        unit.work.requests[stage.name] = chain.requests
        self._step_done(unit)

    def _listed(self, unit: Unit, stage: ListStage, chain: Chain, index: int) -> list[Row]:
        """The rows of a list's items from `index` on; the list goes on for those that are to be made up for."""
        rows: list[Row] = []
        while index < min(chain.wanted, len(chain.items)):
            if unit.node.has_own(stage.name, chain.items[index]):
                self._books.spare(unit, stage.shape, 1)
            else:
                line = stage.line(unit.place, index, chain.items[index]) | chain.columns.get(index, {})
                line = stage.flagged(self._books.reviewed(unit, stage, line))
                rows.append(Row(stage.name, line, (index,), unit.tag))
                if self._makes_up and rows[-1].unwanted:
                    self._books.expect(unit, stage.shape)
                    chain.go_on()
            index += 1
        return rows

    # Results for rows

    def _start_results(self, unit: Unit, stage: MapStage, row: Row) -> None:
        match self._view.sight(row, stage.name):
            case Sight.DROPPED:
                self._books.spare(unit, stage.shape, stage.results)
                self._books.none_made(unit, stage, row)
            case Sight.SEEN if (given := unit.node.given_with(row, stage)) is not None:
                self._books.spare(unit, stage.shape, stage.results - 1)
                self._take_given(unit, stage, row, 0, given, BY_PERSON)
            case Sight.SEEN if self._others(row, stage) is not None:
                for number in range(stage.results):
                    self._start_result(unit, stage, row, number)
            case _:
                self._estimator.undecided(stage, row.id)
                self._books.not_all_known()
                self._books.leave_out(unit, row, stage.name)

    def _take_given(
        self, unit: Unit, stage: MapStage, row: Row, number: int, given: Mapping[str, Any], how: str
    ) -> None:
        """Makes the result that a person gave, for which nobody is asked."""
        line = stage.given_line(unit.place, row.line, given, number, how)
        line = stage.flagged(self._books.reviewed(unit, stage, line))
        self._row_made(unit, Row(stage.name, line, (*row.place, number), row))

    def _start_result(self, unit: Unit, stage: MapStage, row: Row, number: int) -> None:
        """Asks for one result of a row, unless a person's edit stands for it."""
        if (edited := self._books.edited_whole(unit, stage, row, number)) is not None:
            self._take_given(unit, stage, row, number, edited, EDIT)
            return
        unit.pending += 1
        length = self._lengths.step(unit.segment, stage.name, 1)
        step = partial(self._ask_result, unit, stage, row, number)
        self._submit(stage.role_of(number), length, (*unit.node.place, *row.place, number), step)

    async def _ask_result(self, unit: Unit, stage: MapStage, row: Row, number: int) -> None:
        """One result for one row."""
        others = self._others(row, stage)
        assert others is not None, "what is there does not go away"  # noqa: S101
        key, result = await self._result(partial(stage.request, unit.place, row.line, others, number))
        place = (*row.place, number)
        match result:
            case Made(value, response, _):
                line = stage.line(unit.place, row.line, number, key, value)
                line = stage.flagged(self._books.reviewed(unit, stage, line))
                unit.work.sources.setdefault(stage.name, {})[place] = (key, response)
                self._books.succeeded(stage.name)
                self._row_made(unit, Row(stage.name, line, place, row))
                if self._makes_up and line.get(REVIEW) == REJECT:
                    self._make_up_for(unit, stage, row, number)
            case Failed() as failed:
                self._books.awaits(stage, row, number)
                self._books.failed_for(unit, stage.name, row, place, failed)
            case Unasked():
                self._estimator.below_unknown(stage, row.id, number)
                self._books.awaits(stage, row, number)
                self._books.leave_out(unit, row, stage.name)
        unit.work.requests[stage.name] += 1
        self._step_done(unit)

    def _make_up_for(self, unit: Unit, stage: MapStage, row: Row, number: int) -> None:
        """Asks for one result more of a row, in the place of one that a person rejected: the next sample behind those
        declared, and behind those asked for so before. Which these are in the end depends on no order of arrival."""
        role = stage.role_of(number)
        rejected = [each for each in row.below[stage.name] if each.unwanted]
        more = sum(stage.role_of(each.place[-1]) == role for each in rejected)
        self._books.expect(unit, stage.shape)
        self._start_result(unit, stage, row, stage.further(number, more))

    def _row_made(self, unit: Unit, row: Row) -> None:
        """Takes a new row in, and starts what can be made from it."""
        assert row.above is not None, "a row hangs on another one"  # noqa: S101
        row.above.hang(row)
        unit.add(row)
        self._hold()
        self._books.made(row.stage)
        self._sink.made(row.stage, unit.shown(row.line))
        phase = self.course[unit.segment].phases[unit.phase]
        for name in phase.immediate:
            if self._after(name) == row.stage:
                self._judge(unit, name, row)
        for name in phase.asking:
            stage = self._stages[name]
            if isinstance(stage, MapStage) and stage.shape.after == row.stage:
                self._start_results(unit, stage, row)

    # Verdicts and groups

    def _judge(self, unit: Unit, name: str, row: Row) -> None:
        """Has a transform that goes by single rows judge one."""
        transform = self._transform(name)
        sight = self._view.sight(row, name)
        if sight is Sight.DROPPED:
            row.verdicts[name] = DROPPED_BEFORE
            self._books.spare(unit, transform.shape, 1, deeper=False)
            return
        others = self._others(row, transform) if sight is Sight.SEEN else None
        if others is None:
            unit.work.incomplete = True
            return
        try:
            verdict = transform.verdict(unit.place, row.line, others)
        except EvaluationError as error:
            self._books.failed_for(unit, name, row, row.place, Failed("expression", 0, str(error)))
            return
        row.verdicts[name] = verdict
        self._books.made(name)
        self._books.judged(name, row.id, verdict)
        if not verdict.kept:
            unit.work.rows_dropped[name] += 1
            unit.work.dropped.setdefault(name, Counter()).update(verdict.why)

    def _make_group(self, unit: Unit, stage: GroupStage, row: Row) -> None:
        sight = self._view.sight(row, stage.name)
        if sight is Sight.DROPPED:
            self._books.spare(unit, stage.shape, 1)
            return
        others = self._others(row, stage) if sight is Sight.SEEN else None
        if others is None:
            self._estimator.undecided(stage, row.id)
            self._books.not_all_known()
            self._books.leave_out(unit, row, stage.name)
            return
        if stage.says_nothing_of(others):
            self._books.spare(unit, stage.shape, 1)
            return
        try:
            line = stage.line(unit.place, row.line, others)
        except EvaluationError as error:
            self._books.failed_for(unit, stage.name, row, row.place, Failed("expression", 0, str(error)))
            return
        self._row_made(unit, Row(stage.name, line, (*row.place, 0), row))

    def _others(self, row: Row, stage: Stage) -> JsonObject | None:
        return self._view.others(row, stage.refers_to, stage.name)

    # Names

    def _rows(self, unit: Unit, stage: str) -> list[Row]:
        if stage != self._tree:
            return unit.sorted(stage)
        return [] if unit.tag.is_topic else [unit.tag]

    def _after(self, name: str) -> str:
        after = self._graph[name].after
        assert after is not None, "only the tree has no stage above it"  # noqa: S101
        return after

    def _transform(self, name: str) -> TransformStage:
        stage = self._stages[name]
        assert isinstance(stage, TransformStage), f"{name} judges rows"  # noqa: S101
        return stage
