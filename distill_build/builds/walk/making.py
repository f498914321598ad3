"""What a unit's stages make of its rows, phase by phase (see `stages.course`).

Each step makes one call and submits the steps which its result makes ready: a list grows request by request, a map asks
for results of a row as soon as that is there, transforms and groups are worked out when all that they look at has come.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from distill_build.builds.walk.asking import Asking
from distill_build.builds.walk.bookkeeping import Bookkeeping
from distill_build.builds.walk.nodes import Unit
from distill_build.builds.walk.protocols import Estimator, Sink
from distill_build.calls.call import Failed, Made, Unasked
from distill_build.dataset.unit import DROPPED_BEFORE, Row, Sight, View
from distill_build.graph import Graph
from distill_build.prompting.expressions import EvaluationError
from distill_build.records import JsonObject
from distill_build.review import EDIT, REJECT, REVIEW
from distill_build.stages.all import Stages
from distill_build.stages.chain import Chain
from distill_build.stages.course import ChainLengths, Phase, Segment
from distill_build.stages.kinds.base import Stage
from distill_build.stages.kinds.group_stage import GroupStage
from distill_build.stages.kinds.list_stage import ListStage
from distill_build.stages.kinds.map_stage import BY_PERSON, MapStage
from distill_build.stages.kinds.transform_stage import TransformStage


class Making:
    """Makes the rows of units, and the verdicts on them."""

    def __init__(
        self,
        stages: Stages,
        graph: Graph,
        view: View,
        course: Sequence[Segment],
        books: Bookkeeping,
        sink: Sink,
        estimator: Estimator,
        asking: Asking,
        lengths: ChainLengths,
        hold: Callable[[Unit, Row], None],
        step_done: Callable[[Unit], None],
    ) -> None:
        """`hold` takes in a new row of a unit, `step_done` is told of a unit whose step has come to its end."""
        self._stages = stages
        self._graph = graph
        self._tree = graph.tree.name
        self._view = view
        self._course = course
        self._books = books
        self._sink = sink
        self._estimator = estimator
        self._lengths = lengths
        self._hold = hold
        self._step_done = step_done
        self._makes_up = stages.settings.curate.refill
        self._submit, self._result = asking.submit, asking.result

    def open_phase(self, unit: Unit, phase: Phase) -> None:
        """Makes what can be made of the rows that are there, and submits what is to be asked of them."""
        for name in phase.immediate:
            for row in self.rows_above(unit, name):
                self._judge(unit, name, row)
        there = {name: self.rows_above(unit, name) for name in phase.asking}  # what comes starts by itself
        for name in phase.asking:
            stage = self._stages[name]
            if isinstance(stage, ListStage) and (unit.leaf or name in unit.node.subtree.own.items):
                self._start_list(unit, stage)
            elif isinstance(stage, MapStage):
                for row in there[name]:
                    self._start_results(unit, stage, row)

    def close_phase(self, unit: Unit, phase: Phase) -> None:
        """Makes what goes by all rows of a phase, when the last of them has come."""
        for name in phase.closing:
            stage = self._stages[name]
            if isinstance(stage, TransformStage):
                for row in self.rows_above(unit, name):
                    self._judge(unit, name, row)
            elif isinstance(stage, GroupStage) and stage.shape.by is not None:
                for row in self._rows(unit, stage.shape.by) if unit.leaf or stage.shape.by != self._tree else ():
                    self._make_group(unit, stage, row)

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
        self._hold(unit, row)
        self._books.made(row.stage)
        self._sink.made(row.stage, unit.shown(row.line))
        phase = self._course[unit.segment].phases[unit.phase]
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

    def rows_above(self, unit: Unit, name: str) -> list[Row]:
        """The rows that a stage comes after, in order."""
        return self._rows(unit, self._after(name))

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
