"""The columns of the rows that a stage can see, known before there are any: from settings alone. Pure.

What stands in a prompt or an expression is held against them before anything is sent.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from distill_build.dataset.unit import View
from distill_build.errors import ConfigurationError
from distill_build.graph import Graph, Shape
from distill_build.prompting.known import ANYTHING, NUMBER, OF_TYPES, TEXT, TEXTS, Fields, Items, Known
from distill_build.replies.schemas import resolved
from distill_build.settings import Settings, StageSettings, graph_of

SHAPES_VALUES = frozenset({"anyOf", "oneOf", "allOf", "not", "if", "enum", "const", "patternProperties", "prefixItems"})
"""What a schema may say of a value in other ways than by its type."""
DEEPEST = 8
Columns = Mapping[str, Known]
ColumnsOf = Callable[[StageSettings, Columns], Columns]
"""A stage's settings and the columns of the rows above → those of its own rows."""


def all_columns(settings: Settings, of: Callable[[StageSettings], ColumnsOf]) -> dict[str, Columns]:
    """The columns of every stage in force; `of` says how those of one are told."""
    found: dict[str, Columns] = {}
    for name in settings.stages:
        own = settings.stage[name]
        above: Columns = found[own.after] if own.after is not None else {}
        found[name] = of(own)(own, above)
    return found


def known_to(name: str, settings: Settings, columns: Mapping[str, Columns], row: str | None = None) -> dict[str, Known]:
    """What is known of the variables of a stage's prompt and expressions: `row`, `rows`, `topic`, `path`.

    `row` is the stage whose row is at hand, where it is another one than its shape says.
    """
    graph, before = graph_of(settings), settings.stages[: settings.stages.index(name)]
    at_hand = row or graph[name].parent
    rows = {each: _seen(graph, graph[each], columns[each], at_hand) for each in before if at_hand is not None}
    own = {"row": Fields(columns[at_hand], is_row=True)} if at_hand is not None else {}
    return {**own, "rows": Fields(rows), "topic": TEXT, "path": TEXTS}


def _seen(graph: Graph, shape: Shape, columns: Columns, at_hand: str) -> Known:
    """The rows of a stage beside a row of another: one that lies above it, or a list of those that do not."""
    fields = Fields(columns, is_row=True)
    end = shape.after if shape.kind == "transform" and shape.after is not None else shape.name
    _, below = View(graph).way(at_hand, end)
    return fields if not below else Items(fields, f" of rows, since {shape.name} lies beside or below")


def stages_in(known: Mapping[str, Known]) -> list[str]:
    """The stages that may be named as `rows.X`."""
    rows = known.get("rows")
    return list(rows.fields) if isinstance(rows, Fields) else []


def known_of_list(names: Iterable[str]) -> dict[str, Known]:
    """What is known of the variables of a list's prompt."""
    special: dict[str, Known] = {
        "path": TEXTS,
        "elsewhere": TEXTS,
        "existing": TEXTS,
        "quota": Items(Fields({"axis": TEXT, "counts": Items(Fields({"value": TEXT, "count": NUMBER}))})),
        "count": NUMBER,
        "level": NUMBER,
        "examples": ANYTHING,
        "description": ANYTHING,
        "audience": ANYTHING,
    }
    return {name: special.get(name, TEXT) for name in names if name != "examples"}


def known_fields(schema: Mapping[str, Any]) -> dict[str, Known]:
    """The fields of a reply that fits `schema`: a row has all that are named, and no other."""
    return {name: _of_schema(held, schema, 0) for name, held in schema.get("properties", {}).items()}


def _of_schema(part: Any, document: Mapping[str, Any], depth: int) -> Known:
    if isinstance(part, Mapping) and "$ref" in part and depth < DEEPEST:
        return _of_schema(resolved(part["$ref"], document), document, depth + 1)
    if not isinstance(part, Mapping) or SHAPES_VALUES & part.keys() or depth >= DEEPEST:
        return ANYTHING
    match part.get("type"):
        case "object":
            fields = {name: _of_schema(held, document, depth + 1) for name, held in part.get("properties", {}).items()}
            return Fields(fields, closed=part.get("additionalProperties") is False)
        case "array":
            return Items(_of_schema(part.get("items"), document, depth + 1))
        case str() as kind:
            return OF_TYPES.get(kind, ANYTHING)
    return ANYTHING


def require_columns(name: str, settings: Settings, columns: Mapping[str, Columns], reads: Iterable[str]) -> None:
    """Raises ConfigurationError where the rows that a stage comes after lack a column that it reads."""
    after = settings.stage[name].after
    if after is None:
        return
    for column in reads:
        if column not in columns[after]:
            raise ConfigurationError(
                f"stage.{name}.after={after}: {name} goes by the column {column}, which {after} does not have: it has "
                f"{', '.join(columns[after])}"
            )
