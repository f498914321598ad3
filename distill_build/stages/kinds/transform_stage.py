"""A transform: rows of the stage above are judged, and each is kept or dropped with a reason."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from distill_build.dataset.unit import Place, Verdict
from distill_build.graph import Shape
from distill_build.prompting.known import ANYTHING, TEXT, TEXTS, TRUTH, Known
from distill_build.records import JsonObject
from distill_build.settings import Settings, StageSettings
from distill_build.stages.kinds.base import Stage
from distill_build.stages.kinds.evaluation import all_compiled, compiled, evaluated

if TYPE_CHECKING:  # as in `base`
    from distill_build.prompting.expressions import Expression

JudgeScope = Literal["row", "dataset"]


class TransformStage(Stage):
    """Judges the rows of the stage above. By an expression, row by row; one of ours may look at all rows.

    A transform of scope `dataset` says of each row by itself what it goes by (`measure`: a small value), and judges
    these values together. Rows come in rank order: by their number within their tag first, then by place in the tree.
    """

    usual: ClassVar[Verdict] = Verdict(kept=True)
    """What one of scope `dataset` says of most rows."""

    @property
    def scope(self) -> JudgeScope:
        """What it looks at: each row by itself, or all rows together."""
        return "row"

    @property
    def refill(self) -> int:
        """Rounds in which a list goes on for what it dropped, where it looks at all rows: each round's rows are judged
        behind those before, whose verdicts have to stay as they are. 0: what it drops leaves a list shorter."""
        return 0

    def __init__(self, shape: Shape, settings: StageSettings, build: Settings, known: Mapping[str, Known]) -> None:
        """`known` is what is known of what expressions may name: see `columns.known_to`."""
        super().__init__(shape, settings, build)
        self.where = compiled(settings.where, f"stage.{shape.name}.where", known, shape.after)
        self.values = all_compiled(settings.columns, f"stage.{shape.name}.columns", known, shape.after)

    @property
    def refers_to(self) -> frozenset[str]:
        own = [self.where] if self.where is not None else []
        return frozenset().union(*(expression.rows for expression in (*own, *self.values.values())))

    @classmethod
    def columns(cls, own: StageSettings, above: Mapping[str, Known]) -> dict[str, Known]:  # noqa: ARG003
        return {"id": TEXT, "kept": TRUTH, "why": TEXTS, **dict.fromkeys(own.columns or {}, ANYTHING)}

    def verdict(self, place: Place, row: JsonObject, others: JsonObject) -> Verdict:
        """What is said of one row by itself. Raises EvaluationError."""
        columns = evaluated(self.values, place, row, others)
        if self.where is None or self.where.evaluate(row, others, place.path[0], list(place.path)):
            return Verdict(kept=True, columns=columns)
        return Verdict(kept=False, why=(f"{self._unmet(place, row, others)} does not hold",), columns=columns)

    @cached_property
    def _conditions(self) -> "list[Expression]":
        """What `where` joins by `and`."""
        from distill_build.prompting.expressions import compile_expression, conditions

        where = self.where
        assert where is not None, "it judges by an expression"  # noqa: S101
        return [compile_expression(part, where.name, where.rows, self.shape.after) for part in conditions(where.source)]

    def _unmet(self, place: Place, row: JsonObject, others: JsonObject) -> str:
        """The first condition that a dropped row does not meet: those behind it may not even apply."""
        topic, path = place.path[0], list(place.path)
        unmet = (part.source for part in self._conditions if not part.evaluate(row, others, topic, path))
        return next(unmet, self.settings.where or "")

    def measure(self, place: Place, row: JsonObject, others: JsonObject) -> Any:
        """What a row is judged by, where all are judged together; `others` are the rows that it `refers_to`."""
        raise NotImplementedError

    def verdicts(self, measured: Sequence[tuple[str, Any]]) -> Iterator[Verdict]:
        """What is said of each row, given the ids and measures of all in rank order; `usual` where that is all."""
        raise NotImplementedError

    @property
    def has_thresholds(self) -> bool:
        """Whether `yields` may tell anything."""
        return False

    def yields(self, measured: Sequence[tuple[str, Any]]) -> Mapping[str, Mapping[float, int]]:  # noqa: ARG002
        """How many rows other thresholds would keep, by the setting's name and value.

        `measured` are the ids and measures of all rows in rank order; of one of scope `row`, those of any rows.
        """
        return {}

    def identity(self) -> JsonObject:
        return super().identity() | {"after": self.shape.after} | self.own("where", "columns")
