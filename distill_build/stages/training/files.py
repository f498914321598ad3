"""What training files need of the rows that they are made of, held against settings before anything is sent."""

from collections.abc import Sequence
from math import prod

from distill_build.errors import ConfigurationError
from distill_build.export import FLAT, KD, LABELS, OF_TOKENS, PREFERENCE, RATING, check_trainers
from distill_build.graph import Graph, Shape
from distill_build.records import HISTORY, LABEL, SHARES, JsonObject
from distill_build.stages.identity import form_by_digest
from distill_build.stages.kinds.declared import COUNTED_BY, results_in
from distill_build.stages.training.rows import COLUMN, exported_stage

VOTES = "votes"
"""What carries out a stage that counts answers, as recipes have it."""


def check_training_files(graph: Graph, recipe: JsonObject) -> None:
    """Whether the rows that `recipe` exports tell what its formats are made of.

    Raises ConfigurationError for a format that would have no row, and for a trainer that reads none of them.
    """
    shape = exported_stage(graph, recipe)
    formats = recipe["export"]["formats"]
    check_trainers(recipe["export"].get("trainers", ()), formats)
    if HISTORY in recipe["export"]["rows"]:
        _check_dialogues(formats)
    if shape is not None and PREFERENCE in formats:
        _check_pairs(graph, recipe, shape)
    if shape is not None and LABELS in formats:
        _check_labels(graph, recipe["export"]["rows"], shape)
        _check_votes(graph, recipe, shape)
    if shape is not None and (needing := next((name for name in formats if name in OF_TOKENS), None)) is not None:
        _check_log_probabilities(recipe, shape, needing)
        _check_replies(recipe, shape, needing)
    if shape is not None and KD in formats:
        _check_student(recipe)


def _check_dialogues(formats: Sequence[str]) -> None:
    if flat := next((name for name in formats if name in FLAT), None):
        raise ConfigurationError(
            f"formats={flat} has one question and one answer a row, and rows are dialogues: take messages, "
            f"prompt_completion, sharegpt, alpaca or parquet, or leave {flat} out of formats"
        )
    if PREFERENCE in formats:
        raise ConfigurationError(
            f"formats={PREFERENCE} sets answers to the same question against each other, and rows are dialogues, each "
            f"with turns of its own before its last answer: leave {PREFERENCE} out of formats, or have no dialogues"
        )


def _check_student(recipe: JsonObject) -> None:
    from distill_build.stages.measures.student import student_of

    export = recipe["export"]
    student_of(export.get("kd_tokenizer"), export.get("kd_student")).require_prompts(export["system_prompt"])


def _check_log_probabilities(recipe: JsonObject, shape: Shape, needing: str) -> None:
    models = recipe.get(shape.name, {}).get("models", {})
    if models and not any(model.get("logprobs") for model in models.values()):
        raise ConfigurationError(
            f"formats={needing} is made of log probabilities, and {shape.name} are asked for without: build with "
            f"{next(iter(models))}.logprobs=K (docs/soft.md), or leave {needing} out of formats"
        )


def _check_replies(recipe: JsonObject, shape: Shape, needing: str) -> None:
    """Whether it can be told of each row that it says what its reply does."""
    from distill_build.stages.readers import reply_form

    own, rows = recipe.get(shape.name, {}), recipe["export"]["rows"]
    if HISTORY in rows and recipe["export"].get("turns") == "each":
        raise ConfigurationError(
            f"formats={needing} is made of the replies to {shape.name} alone, and format.turns=each has rows of "
            "the turns before them: leave out one of the two"
        )
    if form_by_digest(recipe, shape.name):
        raise ConfigurationError(
            f"how replies to {shape.name} are read is known by its digest alone, since there is no state.json, and "
            f"formats={needing} is made of them: export with the settings that it was built with, without its name"
        )
    columns = () if (form := reply_form(shape, own)) is None else form.columns
    for column in ("reasoning", "answer"):
        source = rows.get(column)
        match = None if source is None else COLUMN.fullmatch(source)
        if source is not None and (match is None or match[1] not in columns):
            raise ConfigurationError(
                f"formats={needing} is made of the tokens of replies, and stage.{shape.name}.export.{column}={source} "
                f"is nothing that a reply to {shape.name} says: export what one says, or leave {needing} out of formats"
            )


def _check_pairs(graph: Graph, recipe: JsonObject, shape: Shape) -> None:
    what, out = f"formats={PREFERENCE} sets the best of several", f"or leave {PREFERENCE} out of formats"
    if RATING not in recipe["export"]["rows"].get("metadata", {}):
        from distill_build.stages.measures.ratings import SCORE  # who exports again needs no stage that asks

        raise ConfigurationError(
            f"{what} {shape.name} to a question against the worst, and nobody rates them: add {SCORE.stage} to "
            f"stages=[{','.join(graph.names)}], {out}"
        )
    if _rows_of_a_question(graph, recipe, shape) == 1:
        raise ConfigurationError(
            f"{what} {shape.name} to a question against the worst, and each question has one: say "
            f"{_counted_by(graph, recipe, shape)}=4, {out}"
        )


def _check_labels(graph: Graph, rows: JsonObject, shape: Shape) -> None:
    if lacking := [column for column in (LABEL, SHARES) if rows.get(column) is None]:
        raise ConfigurationError(
            f"formats={LABELS} writes what each question is, and the rows of {shape.name}, which are exported of "
            f"stages=[{','.join(graph.names)}], have no {' and no '.join(lacking)}: export a stage that says so, as in "
            f"stage.{shape.name}.export.{lacking[0]}=row.{lacking[0]}, or leave {LABELS} out of formats"
        )


def _check_votes(graph: Graph, recipe: JsonObject, shape: Shape) -> None:
    """Of votes in free text each row has other shares, and the column `shares` another type in each."""
    source = recipe["export"]["rows"][SHARES]
    for votes in graph:
        its_own = f"row.{SHARES}" if votes.name == shape.name else f"rows.{votes.name}.{SHARES}"
        voting = recipe.get(votes.after or "", {})
        if source == its_own and recipe.get(votes.name, {}).get("builtin") == VOTES and not voting.get("labels"):
            from distill_build.stages.kinds.answering import KIND  # as above

            kind = voting.get("names", {}).get(KIND, f"stage.{votes.after}.{KIND}")
            raise ConfigurationError(
                f"formats={LABELS} has the same labels in all rows, and {votes.name} counts {votes.after} that may say "
                f"anything: say {kind}=label, or leave {LABELS} out of formats"
            )


def _rows_of_a_question(graph: Graph, recipe: JsonObject, shape: Shape) -> int | None:
    """How many rows of `shape` hang on one item of a list; None where the recipe does not tell."""
    results = results_in(graph, recipe)
    above = [name for name in graph.lineage(shape.name) if graph[name].kind != "list"]
    return prod(results[name] for name in above) if all(name in results for name in above) else None


def _counted_by(graph: Graph, recipe: JsonObject, shape: Shape) -> str:
    """The setting that says how many rows there are below an item of a list."""
    first = next(name for name in graph.lineage(shape.name) if graph[name].kind != "list")
    told: str = recipe.get(first, {}).get(COUNTED_BY, f"stage.{first}.samples")
    return told
