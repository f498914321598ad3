"""The expressions of a stage's file: compiled against what is known of rows, and worked out for one row."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from distill_build.dataset.unit import Place
from distill_build.prompting.known import Known
from distill_build.records import JsonObject
from distill_build.stages.kinds.columns import stages_in

if TYPE_CHECKING:  # as in `base`
    from distill_build.prompting.expressions import Expression


def compiled(source: str | None, name: str, known: Mapping[str, Known], own: str | None) -> "Expression | None":
    if source is None:
        return None
    from distill_build.prompting.expressions import compile_expression

    return compile_expression(source, name, stages_in(known), own, known)


def all_compiled(
    sources: Mapping[str, str] | None, name: str, known: Mapping[str, Known], own: str | None
) -> "dict[str, Expression]":
    found = {key: compiled(source, f"{name}.{key}", known, own) for key, source in (sources or {}).items()}
    return {key: expression for key, expression in found.items() if expression is not None}


def evaluated(expressions: "Mapping[str, Expression]", place: Place, row: JsonObject, others: JsonObject) -> JsonObject:
    """The values of expressions by name. Raises EvaluationError."""
    topic, path = place.path[0], list(place.path)
    return {name: expression.evaluate(row, others, topic, path) for name, expression in expressions.items()}
