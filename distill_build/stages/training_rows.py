"""The rows that a dataset's exports are made of: the one place that says which stage they come from."""

from collections.abc import Callable, Iterator
from pathlib import Path

from distill_build.artefact_rows import read_rows
from distill_build.export import TrainingRow
from distill_build.graph import Graph, Shape
from distill_build.records import JsonObject


def exported_stage(graph: Graph, recipe: JsonObject) -> Shape | None:  # noqa: ARG001 - where a stage's own `export` is
    """The stage whose rows feed the exports; None where there is none, and nothing to export."""
    return next((shape for shape in graph if shape.name == "answers"), None)


def training_rows(place: Callable[[str], Path], graph: Graph, recipe: JsonObject) -> Iterator[TrainingRow]:
    """The rows to export, in the order of the tree. `place` says where a file of the dataset lies, by its name.

    Raises StorageError with the number of a line that cannot be read.
    """
    stage = exported_stage(graph, recipe)
    return iter(()) if stage is None else read_rows(place(stage.file), TrainingRow)
