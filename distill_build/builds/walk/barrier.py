"""A barrier: where a transform looks at the rows of all units, it judges them when the last unit has come.

Knows what rows go by, what is said of them, which lists are to go on for what was dropped, and what they stay short of
in the end. Knows nothing of how units come to it and go on: that is for the walk.
"""

from array import array
from collections.abc import Mapping, Sequence
from typing import Any

from distill_build.builds.walk.bookkeeping import Bookkeeping
from distill_build.builds.walk.nodes import NONE_YET, Judgement, Measures, Unit
from distill_build.builds.walk.protocols import Estimator, Sink
from distill_build.dataset.unit import Row, Sight, Verdict, View
from distill_build.records import rows_of
from distill_build.stages.all import Stages
from distill_build.stages.course import Segment
from distill_build.stages.kinds.list_stage import ListStage
from distill_build.stages.kinds.transform_stage import TransformStage

Verdicts = Mapping[str, Verdict]
"""What a transform says of the rows of one unit, by id, where it is not the usual."""


class Barrier:
    """The one behind `segment`, the course's segment number `number`."""

    def __init__(
        self,
        number: int,
        segment: Segment,
        stages: Stages,
        view: View,
        books: Bookkeeping,
        sink: Sink,
        estimator: Estimator,
    ) -> None:
        self._number = number
        self._segment = segment
        self._view = view
        self._books = books
        self._sink = sink
        self._estimator = estimator
        self._makes_up = stages.settings.curate.refill
        transform = stages[segment.judged or ""]
        assert isinstance(transform, TransformStage), "a transform judges there"  # noqa: S101
        self.transform = transform
        listed = None if segment.refilled is None else stages[segment.refilled]
        assert listed is None or isinstance(listed, ListStage), "what goes on is a list"  # noqa: S101
        self._list = listed
        self._places: dict[tuple[int, ...], tuple[int, ...]] = {}  # of many units they are the same

    def measure(self, unit: Unit, rows: Sequence[Row]) -> None:
        """Notes what the transform is to go by: of the `rows` of a unit that it may judge, in their order."""
        measures = unit.measures = Measures()
        for row in rows:
            sight = self._view.sight(row, self.transform.name)
            if sight is Sight.DROPPED:
                self._pass_over(measures, row)
                continue
            seen, names = sight is Sight.SEEN, self.transform.refers_to
            others = self._view.others(row, names, self.transform.name) if seen else None
            if others is None:  # it has no verdict and is not exported: failures.jsonl says what is missing
                measures.undecided = True
            else:
                measures.rows.append((row.id, self.transform.measure(unit.place, row.line, others)))
                measures.places.append(self._places.setdefault(row.place, row.place))

    def _pass_over(self, measures: Measures, row: Row) -> None:
        measures.passed_over += 1
        if self._makes_up and row.unwanted and row.place[0] >= 0:  # for a person's own none is to come
            measures.made_up_for.append(row.place[0])

    def verdicts(self, units: Sequence[Unit]) -> list[Verdicts]:
        """What the transform says of the rows of each unit, all of which are measured."""
        found = dict[int, dict[str, Verdict]]()
        numbers, measured = self._ranked(units)
        self._sink.judging(self.transform.name, measured)
        said = self.transform.verdicts(measured)
        for number, (key, _), verdict in zip(numbers, measured, said, strict=True):
            if verdict is not self.transform.usual:
                found.setdefault(number, {})[key] = verdict
        return [found.get(number, NONE_YET) for number in range(len(units))]

    def _ranked(self, units: Sequence[Unit]) -> tuple[Sequence[int], Sequence[tuple[str, Any]]]:
        """The rows of all units by rank, those of one rank in the order of units: the unit's number, and what it has
        measured of the row. Many rows have one rank."""
        by_rank: dict[tuple[int, ...], tuple[array[int], list[tuple[str, Any]]]] = {}
        for number, unit in enumerate(units):
            for place, row in zip(unit.measured.places, unit.measured.rows, strict=True):
                numbers, rows = by_rank.setdefault(unit.rank(self._segment.refilled, place), (array("I"), []))
                numbers.append(number)
                rows.append(row)
        in_order = [by_rank[rank] for rank in sorted(by_rank)]
        every = array("I")
        for numbers, _ in in_order:
            every.extend(numbers)
        return every, [row for _, rows in in_order for row in rows]

    def to_refill(self, units: Sequence[Unit], found: Sequence[Verdicts]) -> list[Unit]:
        """The units whose list is to go on, to a goal that is higher from now on.

        One that lacks anything is left to the next build, which tries that again first.
        """
        if self._list is None:
            return []
        short = list[Unit]()
        for unit, verdicts in zip(units, found, strict=True):
            goals = unit.goals_of(self._list)
            lost = goals.lost(unit.dropped_of_list(verdicts))
            if lost and goals.rounds < self.transform.refill and unit.outcomes[-1].memo is not None:
                unit.goals = {**unit.goals, self._list.name: goals.going_on(lost)}
                short.append(unit)
        return short

    def settle(self, units: Sequence[Unit], found: Sequence[Verdicts]) -> None:
        """Takes verdicts as the last word."""
        name, usual = self.transform.name, self.transform.usual
        for unit, verdicts in zip(units, found, strict=True):
            if self._list is not None:
                self._settle_list(unit, self._list, verdicts)
            measures = unit.measured
            for key, _ in measures.rows:
                self._books.judged(name, key, verdicts.get(key, usual))
            self._books.made(name, len(measures.rows))
            self._books.passed_over(name, measures.passed_over)
            lines = self._sink.take_verdicts(name, [verdicts.get(key, usual).line(key) for key, _ in measures.rows])
            unit.judged = {**unit.judged, name: Judgement(lines, verdicts)}
            unit.measures = None

    def _settle_list(self, unit: Unit, stage: ListStage, verdicts: Verdicts) -> None:
        """Says what a list stays short of, after all rounds."""
        wanted, outcome, goals = unit.wanted(stage), unit.outcomes[self._number], unit.goals_of(stage)
        dropped = unit.dropped_of_list(verdicts)
        lost = goals.lost(dropped)
        if (lost or unit.measured.undecided) and outcome.memo is None and goals.rounds < self.transform.refill:
            self._estimator.refill_unknown(stage, unit.node, lost)
        if not dropped:
            return
        made = outcome.rows[stage.name].count + outcome.spared.get(stage.name, 0)  # of a model, and not made up for
        self._books.replaced(self.transform.name, stage.shape, dropped, max(0, made - wanted))
        told = sum(row["missing"] for row in outcome.failures if row["stage"] == stage.name)
        if missing := wanted + dropped - made - told:
            told_of = f"{self.transform.name} dropped {dropped:,} of {rows_of(made, stage.name)}"
            self._books.stays_short(unit, self._number, stage.name, missing, told_of)
