"""A group: for each row of one stage, a row is made from those of another below it."""

from collections.abc import Mapping

from distill_build.dataset.unit import Place
from distill_build.graph import Shape
from distill_build.prompting.known import ANYTHING, TEXT, TEXTS, Known
from distill_build.records import JsonObject, row_id
from distill_build.settings import Settings, StageSettings
from distill_build.stages.kinds.base import Stage
from distill_build.stages.kinds.evaluation import all_compiled, evaluated


class GroupStage(Stage):
    """One row for each row of `by`, made from those of `after` below it."""

    def __init__(self, shape: Shape, settings: StageSettings, build: Settings, known: Mapping[str, Known]) -> None:
        """`known` is as that of a transform."""
        super().__init__(shape, settings, build)
        self.values = all_compiled(settings.columns, f"stage.{shape.name}.columns", known, shape.by)

    @classmethod
    def columns(cls, own: StageSettings, above: Mapping[str, Known]) -> dict[str, Known]:  # noqa: ARG003
        return {"id": TEXT, "parent": TEXT, "path": TEXTS, **dict.fromkeys(own.columns or {}, ANYTHING)}

    @property
    def refers_to(self) -> frozenset[str]:
        after = {self.shape.after} if self.shape.after is not None else set()
        return frozenset(after).union(*(expression.rows for expression in self.values.values()))

    def line(self, place: Place, row: JsonObject, others: JsonObject) -> JsonObject:
        """The line of the artefact for `row`, a line of `by`. Raises EvaluationError."""
        columns = self.values_at(place, row, others)
        return {"id": row_id(self.shape.prefix, row["id"]), "parent": row["id"], "path": list(place.path), **columns}

    def says_nothing_of(self, others: JsonObject) -> bool:  # noqa: ARG002 - an expression says something of any rows
        """Whether there is no row to make: what it would be made of was all thrown out, which is not missing."""
        return False

    def values_at(self, place: Place, row: JsonObject, others: JsonObject) -> JsonObject:
        """The columns of its own, for a line of `by`. Raises EvaluationError."""
        return evaluated(self.values, place, row, others)

    def identity(self) -> JsonObject:
        return super().identity() | {"after": self.shape.after, "by": self.shape.by} | self.own("columns")
