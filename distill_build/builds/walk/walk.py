"""The recipe, top to bottom: a tree grows level by level, and at its tags stage after stage makes rows of rows.

    tree      each request brings more children of a tag; a tag that is there goes on by itself
    unit      what hangs on a tag works through the segments of the course (see `stages.course`), in each of which its
                stages make rows of rows (see `making`)
    barrier   where a transform looks at all units, it judges when the last of them has come, and they go on
    refill    a list that lost items there goes on for others: its unit works through that segment once more, and all
                are judged again, for so many rounds as the transform has

Each step makes one call and submits the steps which its result makes ready. `plan` and `build` run this same code;
they differ in who is asked.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from distill_build.builds.walk.asking import Asking
from distill_build.builds.walk.barrier import Barrier
from distill_build.builds.walk.bookkeeping import Bookkeeping
from distill_build.builds.walk.making import Making
from distill_build.builds.walk.nodes import Node, Unit, units_of
from distill_build.builds.walk.protocols import Estimator, Sink
from distill_build.builds.walk.tally import Tally
from distill_build.builds.walk.tree import TreeGrowth
from distill_build.calls.budget import FailureCap
from distill_build.calls.call import Ask
from distill_build.dataset.outcome import Outcome
from distill_build.dataset.unit import Row, Verdict, View, restored, topic_row
from distill_build.engine.manifest import digest
from distill_build.engine.scheduler import Scheduler
from distill_build.records import JsonObject
from distill_build.stages.all import Stages
from distill_build.stages.course import ChainLengths, course_of, read_transforms
from distill_build.stages.kinds.base import ModelStage

MOST_BYTES_HELD = 32_000_000
"""Bytes of rows in memory from which on units are ended one after the other.

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
        most_bytes_held: int = MOST_BYTES_HELD,
    ) -> None:
        """`lanes` names each role's lane in the scheduler: roles that share an endpoint and model share one.

        `scheduler` makes the scheduler, given a function that says whether more is held in memory than is to be.
        """
        self._stages = stages
        self._graph = stages.graph.up_to(until)
        self._sink = sink
        self._books = Bookkeeping(stages, self._graph, tally, cap, sink.was_kept)
        self.course = course_of(stages, until)
        self._read = read_transforms(stages, until)
        view = View(self._graph)
        self._barriers = [
            Barrier(number, segment, stages, view, self._books, sink, estimator)
            for number, segment in enumerate(self.course)
            if segment.judged is not None
        ]
        self._lengths = ChainLengths(stages, self.course)
        self._below_tags = any(shape.parent == self._tree and not shape.at_leaves for shape in self._graph)
        self._at = 0
        self._open = [0] * len(self.course)
        self.bytes_held = 0
        self.newly_dropped = self._books.newly_dropped
        self.reviews = self._books.reviews
        self.scheduler = scheduler(lambda: self.bytes_held > most_bytes_held)
        asking = Asking(ask, self.scheduler, lanes)
        self._submit = asking.submit
        self._making = Making(
            stages,
            self._graph,
            view,
            self.course,
            self._books,
            sink,
            estimator,
            asking,
            self._lengths,
            self._hold,
            self._step_done,
        )
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
            self._making.open_phase(unit, phase)
            unit.pending -= 1
            if unit.pending:
                return
            self._making.close_phase(unit, phase)
            unit.phase += 1
        outcome = self._sink.take(unit, unit.segment, segment, self._verdicts_digest(unit))
        if segment.judged is not None:
            self._measure(unit, self._barriers[unit.segment])
        self.bytes_held -= unit.leave()
        self._end_segment(unit, outcome)

    def _step_done(self, unit: Unit) -> None:
        """One of the steps of a unit has come to its end."""
        unit.pending -= 1
        if unit.pending == 0:
            self._making.close_phase(unit, self.course[unit.segment].phases[unit.phase])
            unit.phase += 1
            self._run_phases(unit)

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
                self.bytes_held -= unit.leave()

    def _measure(self, unit: Unit, barrier: Barrier) -> None:
        barrier.measure(unit, self._making.rows_above(unit, barrier.transform.name))

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
            unit.lacks,
        )
        for row in rows:
            self._hold(unit, row)

    def _lines(self, unit: Unit, stage: str) -> Iterator[JsonObject]:
        if stage in unit.judged:
            yield from self._sink.lines(stage, unit.judged[stage].lines)
        for outcome in unit.outcomes:
            if stage in outcome.rows:
                yield from map(unit.asked, self._sink.lines(stage, outcome.rows[stage]))

    def _hold(self, unit: Unit, row: Row) -> None:
        self.bytes_held += unit.add(row)
