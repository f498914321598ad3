"""`sample [N] [NAME]`: prints some rows that a model would learn from, drawn by seed.

They are rows of the exports; before there is any, those of the last stage that has some. A seed draws the same rows of
the same dataset, and most of those that it drew while a dataset grows.
"""

import heapq
import json
from collections.abc import Callable, Iterator
from functools import partial
from hashlib import sha256
from typing import NamedTuple

from distill_build.commands.locate import find_rows
from distill_build.commands.look.show import TEXT, THOUGHT
from distill_build.console.page import Line, print_document, print_lines
from distill_build.dataset.layout import Dataset
from distill_build.dataset.rows import content_of, list_text, read_objects
from distill_build.errors import UsageError
from distill_build.graph import Graph, Shape
from distill_build.options import Options
from distill_build.records import JsonObject, rows_of
from distill_build.stages.default import graph_in
from distill_build.stages.training.rows import exported_stage, training_rows

ROWS = 3
"""Drawn where no number is typed."""


class Drawable(NamedTuple):
    """A row; `texts` are what it says, by the names of columns."""

    id: str
    path: tuple[str, ...]
    texts: JsonObject


class Drawn(NamedTuple):
    """Rows of a stage in the order in which they lie, and of how many they were drawn."""

    stage: str
    rows: list[Drawable]
    of: int


def run(options: Options) -> int:
    """Prints as many rows as the first of the arguments says, or three."""
    number, name = _number_and_name(options.arguments)
    with find_rows(options, *name) as dataset:
        drawn = draw(dataset, number, options.seed)
    if options.json:
        print_document(_document(drawn, options.seed))
    else:
        print_lines(_text(drawn, options.seed))
    return 0


def _number_and_name(words: tuple[str, ...]) -> tuple[int, tuple[str, ...]]:
    if words and words[0].isdecimal():
        return int(words[0]), words[1:]
    if len(words) > 1:
        usage = f"distill-build sample {ROWS} {words[0]}"
        raise UsageError(f"the number stands before the dataset's name: {usage}")
    return ROWS, words


def draw(dataset: Dataset, number: int, seed: int) -> Drawn:
    """Draws `number` rows. Raises StorageError for files that cannot be read."""
    graph = graph_in(dataset)
    for stage, rows in _rows_to_show(dataset, graph):
        ranked = [(_lot(seed, row.id), place) for place, row in enumerate(rows())]
        if ranked:
            places = frozenset(place for _, place in heapq.nsmallest(number, ranked))
            return Drawn(stage, [row for place, row in enumerate(rows()) if place in places], len(ranked))
    return Drawn(graph.tree.name, [], 0)


def _lot(seed: int, key: str) -> bytes:
    return sha256(f"{seed}:{key}".encode()).digest()


def _rows_to_show(dataset: Dataset, graph: Graph) -> Iterator[tuple[str, Callable[[], Iterator[Drawable]]]]:
    """Kinds of rows by the name of their stage, those that say most first, each as what reads them."""
    recipe = dataset.recipe()
    exported = exported_stage(graph, recipe)
    if exported is not None and dataset.artefact(exported.file).exists():
        yield exported.name, partial(_exported, dataset, graph, recipe)
    for shape in reversed([*graph]):
        if shape.kind != "transform":
            yield shape.name, partial(_of_stage, dataset, shape)


def _exported(dataset: Dataset, graph: Graph, recipe: JsonObject) -> Iterator[Drawable]:
    for row in training_rows(dataset.artefact, graph, recipe, lambda _: None):  # what is refused is told by the build
        before = [{"question": turn.question, "answer": turn.answer} for turn in row.history]
        texts = {"question": row.question, "reasoning": row.reasoning, "answer": row.answer}
        yield Drawable(row.id, row.path, {**({"history": before} if before else {}), **texts})


def _of_stage(dataset: Dataset, shape: Shape) -> Iterator[Drawable]:
    for row in read_objects(dataset.artefact(shape.file), "id", "path"):
        texts = {shape.singular: list_text(row)} if shape.kind == "list" else content_of(row)
        yield Drawable(row["id"], tuple(row["path"]), texts)


def _document(drawn: Drawn, seed: int) -> JsonObject:
    """The document of `sample --json`."""
    rows = [{"id": row.id, "path": list(row.path), **row.texts} for row in drawn.rows]
    return {"stage": drawn.stage, "of": drawn.of, "seed": seed, "rows": rows}


def _text(drawn: Drawn, seed: int) -> Iterator[str | Line]:
    for row in drawn.rows:
        yield ((f"── {row.id}  {' / '.join(row.path)}", "head"),)
        for name, text in row.texts.items():
            if text is not None:
                yield from ("", *_titled(name, text if isinstance(text, str) else json.dumps(text, ensure_ascii=False)))
        yield ""
    yield f"{len(drawn.rows):,} of {rows_of(drawn.of, drawn.stage)}, drawn by --seed {seed}; `show ID` has more of one"


def _titled(name: str, text: str) -> tuple[str, ...]:
    """A text as it is read: an answer by itself, the reasoning before it in its marks, others under their names."""
    if name == THOUGHT:
        return ("<think>", text, "</think>")
    return (text,) if name == TEXT else (f"{name}:", text)
