"""The rows that a dataset's exports are made of: those of the last stage that says how (`export`), as far as every
transform behind it has kept them and what they come from. A row that its columns make no training row of is a failure
of that row alone.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from distill_build.dataset.failures import untold
from distill_build.dataset.layout import FAILURES
from distill_build.dataset.rows import read_objects
from distill_build.dataset.unit import Row, Sight, View
from distill_build.errors import ConfigurationError
from distill_build.export import TRAIN, TrainingRow, Turn
from distill_build.graph import END, Graph, Shape
from distill_build.prompting.known import Fields, Known
from distill_build.records import EXPORTED, HISTORY, LABEL, SHARES, Failure, JsonObject, as_typed
from distill_build.review import ACCEPT, EDIT, REJECT, REVIEW
from distill_build.settings import Settings
from distill_build.stages.kinds.columns import stages_in
from distill_build.stages.kinds.declared import results_in
from distill_build.stages.made_units import made_units
from distill_build.stages.measures.means import mean_of, rounded

if TYPE_CHECKING:  # most exports are columns as they stand, which checkout reads without what evaluates the others
    from distill_build.prompting.expressions import Expression

REQUIRED = ("question", "answer")
"""What every training row has; its reasoning may be null."""
SIDE, MORE = "side", "metadata."
"""The column that says to which side a row goes, and what the names of those begin with that its metadata has."""
COLUMN = re.compile(r"row\.(\w+)")
"""An expression that is a column of the row itself: most are, and 100,000 of them are read without being evaluated."""


def exported_stage(graph: Graph, recipe: JsonObject) -> Shape | None:
    """The stage whose rows feed the exports; None where there is none, and nothing to export."""
    name = _export_of(recipe).get("stage")
    return graph[name] if name is not None and name in graph else None


def deciding(graph: Graph, shape: Shape) -> list[Shape]:
    """The stages that decide which rows of `shape` are exported: transforms behind it, and those that they judge."""
    behind = [each.name for each in graph if each.kind == "transform" and graph.is_before(shape.name, each.name)]
    names = {name for transform in behind for name in (transform, *graph.lineage(transform))}
    return [each for each in graph if each.name in names]


def uncounted(graph: Graph, shape: Shape, recipe: JsonObject) -> list[str]:
    """Those that decide and of which `recipe` does not say how many rows there have to be, so that one could be missing
    and nobody would know."""
    beside = [each for each in deciding(graph, shape) if each.name not in graph.lineage(shape.name)]
    results = results_in(graph, recipe)
    return [each.name for each in beside if each.kind != "transform" and each.name not in results]


def check_export(shape: Shape, settings: Settings, known: Mapping[str, Known]) -> None:
    """Whether a stage's `export` can be worked out; `known` is what is known of what it may name.

    Raises ConfigurationError for an expression that cannot be compiled, and for a column that is not there.
    """
    row = known["row"]
    assert isinstance(row, Fields), "what is exported are the rows of a stage"  # noqa: S101
    for column, source in (settings.stage[shape.name].export or {}).items():
        key = f"stage.{shape.name}.export.{column}"
        match = COLUMN.fullmatch(source) if source is not None else None
        if source is not None and match is None:
            from distill_build.prompting.expressions import compile_expression  # ours are columns as they stand

            compile_expression(source, key, stages_in(known), shape.name, known)
        elif match is not None and match[1] not in row.fields:
            has = ", ".join(row.fields)
            raise ConfigurationError(f"{key}={source}: {shape.name} has no column {match[1]}; it has {has}")


class _Mean(msgspec.Struct, frozen=True):
    """A column of the rows of a stage, whose mean is told."""

    stage: str
    column: str


Refused = Callable[[Failure], None]
"""Told of a row that is not exported though no transform dropped it, with the cause."""


def training_rows(
    place: Callable[[str], Path], graph: Graph, recipe: JsonObject, refused: Refused
) -> Iterator[TrainingRow]:
    """The rows to export, in the order of the tree. `place` says where a file of the dataset lies, by its name.

    `refused` is told of each row that makes none: an expression has no value for it, a text that every training row has
    is null, or it waits for something where failures.jsonl says that nothing is missing. Raises StorageError with the
    number of a line that cannot be read.
    """
    shape = exported_stage(graph, recipe)
    if shape is None:
        return
    written = set[str]()
    for made in _made(place, graph, shape, recipe):
        if isinstance(made, Failure):
            refused(made)
        elif recipe.get("export", {}).get("turns") == "each":
            yield from _turn_by_turn(made, written)
        else:
            yield made


def _turn_by_turn(row: TrainingRow, written: set[str]) -> Iterator[TrainingRow]:
    """A row for each turn of a dialogue, with those before it, but for those whose ids are `written` already, of a
    dialogue that begins alike; those that are made are added. Numbers are means of what is said of the last turn."""
    of_all = {name: value if isinstance(value, str) else None for name, value in row.more.items()}
    for place, turn in enumerate(row.history):
        if turn.id in written:
            continue
        written.add(turn.id)
        yield replace(
            row,
            id=turn.id,
            question=turn.question,
            reasoning=turn.reasoning,
            answer=turn.answer,
            model=turn.model,
            call=turn.call,
            history=row.history[:place],
            more=of_all,
        )
    yield row


def _made(
    place: Callable[[str], Path], graph: Graph, shape: Shape, recipe: JsonObject
) -> Iterator[TrainingRow | Failure]:
    sources, means = _sources(recipe), _means_there(place, graph, recipe)
    if not means and _stands_alone(place, graph, shape, sources):
        own = {column: match[1] for column, source in sources.items() if (match := COLUMN.fullmatch(source))}
        unknown = dict.fromkeys(_means(recipe))
        lines = read_objects(place(shape.file), "id", "path")
        return (_of_columns(line, own, sources, unknown) for line in lines if goes_on(line, recipe))
    return _joined(place, graph, shape, sources, dict.fromkeys(_means(recipe)) | means, recipe)


def artefacts_read(place: Callable[[str], Path], graph: Graph, shape: Shape, recipe: JsonObject) -> list[str]:
    """The artefacts that the training rows of `shape`, which is exported, are read from: names of files, in order."""
    sources, means = _sources(recipe), _means_there(place, graph, recipe)
    if not means and _stands_alone(place, graph, shape, sources):
        return [shape.file]
    wanted = _stages_read(graph, shape, _compiled(graph, shape, sources), means)
    return [each.file for each in graph if each.name in wanted]


def _sources(recipe: JsonObject) -> dict[str, str]:
    """Column of a training row → its expression; those of `metadata` and the side among them."""
    export = _export_of(recipe)
    own = {column: source for column in (*EXPORTED, SIDE) if (source := export.get(column)) is not None}
    return own | {f"{MORE}{name}": told["from"] for name, told in _metadata(recipe).items() if "from" in told}


def said_in(columns: JsonObject, recipe: JsonObject) -> tuple[str | None, str | None]:
    """The reasoning and the answer of a training row whose stage has these `columns`, where both are exported as they
    stand there."""
    sources = _sources(recipe)
    own = (COLUMN.fullmatch(sources.get(name, "")) for name in ("reasoning", "answer"))
    values = [None if match is None else columns.get(match[1]) for match in own]
    reasoning, answer = (None if value is None else as_typed(value) for value in values)
    return reasoning, answer


def _means(recipe: JsonObject) -> dict[str, _Mean]:
    """Column of a training row → what it is the mean of."""
    told = {name: told["mean"].split(".") for name, told in _metadata(recipe).items() if "mean" in told}
    return {f"{MORE}{name}": _Mean(*parts) for name, parts in told.items()}


def _means_there(place: Callable[[str], Path], graph: Graph, recipe: JsonObject) -> dict[str, _Mean]:
    """Those of stages that were built: a build may have ended before one, which decides on nothing."""
    built = {shape.name for shape in graph if place(shape.file).exists()}
    return {name: each for name, each in _means(recipe).items() if each.stage in built}


def _metadata(recipe: JsonObject) -> JsonObject:
    metadata: JsonObject = _export_of(recipe).get("metadata", {})
    return metadata


def _stands_alone(place: Callable[[str], Path], graph: Graph, shape: Shape, sources: Mapping[str, str]) -> bool:
    """Whether a row tells by itself all that is exported of it, and that it is."""
    if any(each.kind == "transform" and graph.is_before(shape.name, each.name) for each in graph):
        return False
    if not all(COLUMN.fullmatch(source) for source in sources.values()):
        return False
    first = next(read_objects(place(shape.file), "id", "path"), None)
    return first is None or {"question_id", "tag"} <= first.keys()  # else its place is told by the rows above


def _compiled(graph: Graph, shape: Shape, sources: Mapping[str, str]) -> "dict[str, Expression]":
    from distill_build.prompting.expressions import compile_expression

    return {
        column: compile_expression(source, f"stage.{shape.name}.export.{column}", list(graph.names), shape.name)
        for column, source in sources.items()
    }


def _stages_read(
    graph: Graph, shape: Shape, expressions: "Mapping[str, Expression]", means: Mapping[str, _Mean | None]
) -> frozenset[str]:
    """The stages whose rows tell what is exported of those of `shape`: with all that these lie below."""
    named = {name for each in expressions.values() for name in each.rows}
    averaged = {each.stage for each in means.values() if each is not None}
    needed = {shape.name, *named, *averaged, *(each.name for each in graph if each.kind == "transform")}
    return frozenset(needed | {above for name in needed for above in graph.lineage(name)})


def _export_of(recipe: JsonObject) -> JsonObject:
    rows: JsonObject = recipe.get("export", {}).get("rows", {})
    return rows


def goes_by_acceptance(recipe: JsonObject) -> bool:
    """Whether rows go on only where a person has accepted them, or written them."""
    return _export_of(recipe).get("reviewed") == "accepted"


def goes_on(line: JsonObject, recipe: JsonObject) -> bool:
    """Whether what people say of a row lets it go on."""
    if goes_by_acceptance(recipe):
        return line.get(REVIEW) in (ACCEPT, EDIT)
    return line.get(REVIEW) != REJECT


def _of_columns(
    line: JsonObject, columns: Mapping[str, str], sources: Mapping[str, str], more: JsonObject
) -> TrainingRow | Failure:
    values = {name: line.get(key) for name, key in columns.items()} | more
    return _row(line, line.get("question_id"), line.get("tag"), values, sources)


def _row(
    line: JsonObject, question: str | None, tag: str | None, values: Mapping[str, Any], sources: Mapping[str, str]
) -> TrainingRow | Failure:
    """One row. What is no text is told as JSON: a list of an answer's parts, say. A question is as a prompt shows it,
    without outer white space."""
    for column in REQUIRED:
        if values[column] is None:
            fault = f"export.{column}: {sources[column]} is null, and a training row needs a text there"
            return _failure(line, "null", fault)
    shares = values.get(SHARES)
    if not isinstance(shares, Mapping | None) or not all(
        isinstance(each, int | float) for each in (shares or {}).values()
    ):
        fault = f"export.{SHARES}: {sources[SHARES]} is no mapping of labels to numbers, as in positive: 0.8"
        return _failure(line, "shares", fault)
    if isinstance(history := _history(values.get(HISTORY)), str):
        return _failure(line, HISTORY, f"export.{HISTORY}: {sources[HISTORY]}: {history}")
    return TrainingRow(
        id=line["id"],
        question_id=question,
        tag=tag,
        path=tuple(line["path"]),
        sample=line.get("sample", 0),
        question=as_typed(values["question"]).strip(),
        reasoning=None if (reasoning := values.get("reasoning")) is None else as_typed(reasoning),
        answer=as_typed(values["answer"]),
        model=line.get("model") or "",
        side=values.get(SIDE, TRAIN),
        call="" if line.get(REVIEW) == EDIT else line.get("call") or "",
        label=None if (label := values.get(LABEL)) is None else as_typed(label),
        shares=shares,
        history=history,
        more={name.removeprefix(MORE): value for name, value in values.items() if name.startswith(MORE)},
    )


def _history(said: Any) -> tuple[Turn, ...] | str:
    """The turns before a row; or why they are none."""
    try:
        turns = msgspec.convert(said or (), tuple[Turn, ...])
    except msgspec.ValidationError as error:
        return f"a turn before has the texts id, question, answer, and reasoning or null ({error})"
    return tuple(replace(turn, question=turn.question.strip()) for turn in turns)


def _failure(line: JsonObject, cause: str, fault: str) -> Failure:
    """Of a row that is not exported."""
    return Failure(END, tuple(line["path"]), 1, cause, 0, fault, {"parent": line["id"]})


def _joined(
    place: Callable[[str], Path],
    graph: Graph,
    shape: Shape,
    sources: Mapping[str, str],
    means: Mapping[str, _Mean | None],
    recipe: JsonObject,
) -> Iterator[TrainingRow | Failure]:
    expressions = _compiled(graph, shape, sources)
    named = frozenset[str]().union(*(each.rows for each in expressions.values()))
    view, nothing_failed = View(graph), not place(FAILURES).exists()
    for tag, rows in made_units(place, graph, recipe, _stages_read(graph, shape, expressions, means)):
        for row in (tag, *rows):
            sight = view.sight(row, END) if row.stage == shape.name and goes_on(row.line, recipe) else Sight.DROPPED
            if sight is Sight.DROPPED:
                continue
            others = view.others(row, named, END) if sight is Sight.SEEN else None
            if others is not None:
                told: JsonObject = {name: _mean(view, row, each) for name, each in means.items()}
                yield _evaluated(row, tag, others, expressions, told, graph)
            elif nothing_failed:
                yield untold(END, tuple(row.line["path"]), 1, {"parent": row.id})


def _mean(view: View, row: Row, of: _Mean | None) -> float | None:
    """None where one of the rows is missing: that holds up no row, which has been paid for."""
    if of is None:
        return None
    others = view.others(row, (of.stage,), END)
    return None if others is None else rounded(mean_of(others[of.stage], of.column))


def _evaluated(
    row: Row,
    tag: Row,
    others: JsonObject,
    expressions: "Mapping[str, Expression]",
    means: JsonObject,
    graph: Graph,
) -> TrainingRow | Failure:
    from distill_build.prompting.expressions import EvaluationError

    path = list(row.line["path"])
    try:
        values = {name: each.evaluate(row.line, others, path[0], path) for name, each in expressions.items()}
    except EvaluationError as error:
        return _failure(row.line, "expression", str(error))
    lists = [name for name in graph.lineage(row.stage) if graph[name].kind == "list" and name != graph.tree.name]
    sources = {name: each.source for name, each in expressions.items()}
    return _row(row.line, row.at(lists[-1]).id if lists else None, tag.id, values | means, sources)
