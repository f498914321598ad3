"""What a walk counts and notes: rows that are missing, spared or dropped, and why."""

from collections.abc import Callable

from distill_build.builds.walk.nodes import Node, Unit
from distill_build.builds.walk.tally import Tally
from distill_build.calls.budget import FailureCap
from distill_build.calls.call import HALTED, Failed
from distill_build.dataset.outcome import Outcome
from distill_build.dataset.unit import Row, Verdict
from distill_build.graph import Graph, Shape
from distill_build.records import Failure, JsonObject
from distill_build.stages.all import Stages
from distill_build.stages.chain import FRUITLESS_REQUESTS, Chain
from distill_build.stages.map_stage import MapStage

NOTHING_NEW = Failed("nothing_new", FRUITLESS_REQUESTS, f"{FRUITLESS_REQUESTS} requests in a row brought nothing new")


class Bookkeeping:
    """Of one walk over the stages of `graph`. `newly_dropped` are transforms with their lines for rows that they kept
    before."""

    def __init__(
        self, stages: Stages, graph: Graph, tally: Tally, cap: FailureCap, was_kept: Callable[[str, str], bool]
    ) -> None:
        """`was_kept` says of a transform and a row's id whether the last build's transform kept that row."""
        self.tally = tally
        self.newly_dropped: list[tuple[str, JsonObject]] = []
        self._stages = stages
        self._graph = graph
        self._cap = cap
        self._was_kept = was_kept
        self._order = {name: place for place, name in enumerate(graph.names)}

    def made(self, stage: str, rows: int = 1) -> None:
        """Counts rows that are new, or judged."""
        self.tally.stages[stage].made += rows

    def succeeded(self, stage: str) -> None:
        """Notes that a request of a stage brought something."""
        self._cap.succeeded(stage)

    def spare(self, unit: Unit, shape: Shape, rows: int, *, deeper: bool = True) -> None:
        """Counts rows that are not made since what they would hang on was dropped, and all that would follow."""
        unit.spared[shape.name] += rows
        self.tally.stages[shape.name].spared += rows
        for below in self._graph if deeper else ():
            if below.parent == shape.name:
                stage = self._stages[below.name]
                each = stage.results if isinstance(stage, MapStage) else 1
                self.spare(unit, below, rows * each)

    def judged(self, name: str, key: str, verdict: Verdict) -> None:
        """Counts a verdict on a row, and notes one that drops what the last build had kept."""
        self.tally.stages[name].judge(verdict.why, kept=verdict.kept)
        if not verdict.kept and self._was_kept(name, key):
            self.newly_dropped.append((name, verdict.line(key)))

    def recalled(self, outcome: Outcome) -> None:
        """Counts what the last build made of a segment."""
        for name, rows in outcome.rows.items():
            tally = self.tally.stages[name]
            tally.made += rows.count
            if self._graph[name].kind == "transform":
                tally.judged += rows.count
            elif rows.count:
                self._cap.succeeded(name)
        for name, requests in outcome.requests.items():
            self.tally.stages[name].found += requests
        for name, rows_spared in outcome.spared.items():
            self.tally.stages[name].spared += rows_spared
        for name, reasons in outcome.dropped.items():
            self.tally.stages[name].dropped += sum(reasons.values())
            self.tally.stages[name].why.update(reasons)

    def short_of(self, stage: str, node: Node, chain: Chain, failed: Failed = NOTHING_NEW) -> Failure | None:
        """What is to be said of a list that has come to its end; None where it has all that it wanted."""
        if chain.complete:
            return None
        self._failed(stage, chain.missing, failed)
        return Failure(stage, node.path, chain.missing, failed.cause, failed.attempts, failed.detail)

    def list_failed(self, unit: Unit, stage: str, failure: Failure) -> None:
        """Notes that a unit's list is short."""
        self.leave_out(unit, unit.tag, stage)
        unit.failures[self._order[stage],] = failure

    def failed_for(self, unit: Unit, stage: str, row: Row, place: tuple[int, ...], failed: Failed) -> None:
        """Notes that a row lacks a result."""
        self.leave_out(unit, row, stage)
        self._failed(stage, 1, failed)
        column = {self._stages[stage].above_column: row.id}
        unit.failures[self._order[stage], *place] = Failure(
            stage, unit.node.path, 1, failed.cause, failed.attempts, failed.detail, column
        )

    def leave_out(self, unit: Unit, row: Row, stage: str) -> None:
        """Notes that a row lacks what `stage` was to make of it."""
        row.lacking.add(stage)
        unit.incomplete = True

    def _failed(self, stage: str, missing: int, failed: Failed) -> None:
        if failed is not HALTED:  # what was not asked has not failed
            self.tally.stages[stage].missing += missing
            self._cap.failed(stage, failed.cause, failed.detail)
