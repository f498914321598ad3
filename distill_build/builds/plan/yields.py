"""What other thresholds of transforms would keep, of the rows that a plan's walk comes to. Knows no stage of ours."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from distill_build.builds.walk.nodes import Unit
from distill_build.dataset.unit import Row, Sight, View, nothing_lacks, restored
from distill_build.records import JsonObject
from distill_build.stages.all import Stages
from distill_build.stages.course import Segment, needed_for
from distill_build.stages.kinds.transform_stage import TransformStage

Lines = Callable[[str], Iterable[JsonObject]]
"""A stage → the lines of its rows in one unit."""


class Yields:
    """Rows by the name of a setting and its value, of the transforms up to a stage that have thresholds.

    One that goes by single rows judges those of a unit when its segment has ended, any other all of them together.
    """

    def __init__(self, stages: Stages, until: str) -> None:
        self._stages = stages
        self._graph = stages.graph
        self._view = View(self._graph)
        reached = [stages[name] for name in self._graph.reached(until)]
        self._tried = {each.name: each for each in reached if isinstance(each, TransformStage) and each.has_thresholds}
        self._needed = {name: self._needed_for(each) for name, each in self._tried.items()}
        self._of_units: dict[str, Counter[float]] = {}
        self._of_all: dict[str, Mapping[float, int]] = {}
        self._last: dict[str, list[Mapping[str, Mapping[float, int]]]] = {}

    def __bool__(self) -> bool:
        """Whether there is a threshold at all."""
        return bool(self._tried)

    def made(self, unit: Unit, segment: Segment) -> None:
        """A segment of a unit has ended, whose rows are in memory."""
        self._last[unit.node.id] = []
        for stage in self._tried_in(segment):
            after = stage.shape.after or ""
            self._judge(stage, unit, [unit.tag] if after == self._graph.tree.name else unit.sorted(after))

    def recalled(self, unit: Unit, segment: Segment, lines: Lines) -> None:
        """A segment of a unit is as the last build left it, so nothing lacks, and its rows are not in memory."""
        self._last[unit.node.id] = []
        for stage in self._tried_in(segment):
            tag = Row(unit.tag.stage, unit.tag.line, ())
            there = {name: lines(name) for name in self._needed[stage.name]}
            rows = restored(tag, self._graph, there, self._number, nothing_lacks)
            self._judge(stage, unit, [row for row in (tag, *rows) if row.stage == stage.shape.after])

    def take_back(self, unit: Unit) -> None:
        """The last segment of a unit is worked through once more."""
        for told in self._last.pop(unit.node.id, ()):
            for setting, kept in told.items():
                self._of_units[setting].subtract(kept)

    def judged_together(self, transform: str, measured: Sequence[tuple[str, Any]]) -> None:
        """A transform over all units has come to judge, given ids and measures of its rows in rank order; what it said
        in a round before does not count."""
        if transform in self._tried and measured:
            self._of_all |= self._tried[transform].yields(measured)

    def row(self) -> dict[str, dict[str, int]]:
        """Setting → value → rows, for people and for JSON."""
        found = self._of_units | self._of_all
        return {setting: {f"{value:.12g}": kept[value] for value in sorted(kept)} for setting, kept in found.items()}

    def _needed_for(self, stage: TransformStage) -> list[str]:
        """The stages whose rows, besides the tag's own, have to be read for one."""
        needed = needed_for(self._graph, stage) - {self._graph.tree.name}
        return [name for name in self._graph.names if name in needed]

    def _number(self, stage: str, line: JsonObject, _: int) -> int:
        return self._stages[stage].number(line)

    def _tried_in(self, segment: Segment) -> list[TransformStage]:
        return [self._tried[name] for name in segment.stages if name in self._tried]

    def _judge(self, stage: TransformStage, unit: Unit, rows: Sequence[Row]) -> None:
        measured = []
        for row in rows:
            if self._view.sight(row, stage.name) is Sight.SEEN:
                others = self._view.others(row, stage.refers_to, stage.name)
                if others is not None:  # else nothing is known of it
                    measured.append((row.id, stage.measure(unit.place, row.line, others)))
        told = stage.yields(measured) if measured else {}
        self._last[unit.node.id].append(told)
        for setting, kept in told.items():
            self._of_units.setdefault(setting, Counter()).update(kept)
