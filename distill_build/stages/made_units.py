"""The units of a dataset's files as they were made: with the verdicts on their rows, and with what these lack. How many
rows there are to be at a place is told by the recipe, as it is by settings to a build."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from distill_build.dataset.unit import Row, restored
from distill_build.dataset.unit_lines import units_in
from distill_build.graph import Graph, Shape
from distill_build.records import JsonObject
from distill_build.review import EDIT
from distill_build.stages.chain import item_key
from distill_build.stages.identity import BY_HAND, makes_up_for_rejected, tag_said_of
from distill_build.stages.kinds.declared import COUNTED_BY, counts_in, results_in
from distill_build.subtree import Subtree, whole_tree

Steps = tuple[tuple[str, int], ...]
"""From the topic to a tag: the label of each child on the way, and its place among its siblings."""


def made_units(
    place: Callable[[str], Path], graph: Graph, recipe: JsonObject, wanted: frozenset[str]
) -> Iterator[tuple[Row, list[Row]]]:
    """Each tag's row with those of the `wanted` stages that hang on it, in the order of the tree, of a dataset that was
    made with `recipe`; `place` says where a file of it lies.

    Raises StorageError for lines that cannot be read, or do not fit each other.
    """
    there_is_to_be = _ThereIsToBe(graph, recipe)
    for tag, lines in units_in(place, graph, wanted):
        yield tag, restored(tag, graph, lines, lambda _stage, _line, before: before, there_is_to_be.lacks)


class _ThereIsToBe:
    """How many rows there are to be below a row of a dataset that was made with `recipe`."""

    def __init__(self, graph: Graph, recipe: JsonObject) -> None:
        tree: JsonObject = recipe.get("tree", {})
        breadth: list[int] = tree.get("breadth", [])
        self._tree = whole_tree(tag_said_of(tree.get(BY_HAND, {})), len(breadth), breadth)
        self._found: dict[Steps, Callable[[str, int], Subtree]] = {}
        self._results: Mapping[str, int] = results_in(graph, recipe)
        self._lengths = counts_in(recipe)
        self._keys = {shape.name: str(recipe.get(shape.name, {}).get(COUNTED_BY)) for shape in graph}
        self._refill = makes_up_for_rejected(recipe)

    def lacks(self, above: Row, shape: Shape) -> bool:
        """Whether rows of a stage that are to hang on `above` are missing. A person's own items count for a model's:
        nothing here tells which of these are the same."""
        if shape.at_leaves and not above.line.get("leaf", True):
            return False
        if shape.kind == "list":
            return self._there(above, shape) < self._length(above.line, shape)
        return not _is_given(above, shape) and self._there(above, shape) < self._results.get(shape.name, 0)

    def _there(self, above: Row, shape: Shape) -> int:
        """With refill others are to be there for rejected rows, but for a person's own."""
        rows = above.below.get(shape.name, ())
        return sum(not (self._refill and row.unwanted and row.line.get("index", 0) >= 0) for row in rows)

    def _length(self, tag: JsonObject, shape: Shape) -> int:
        if (told := self._lengths.get(shape.name)) is None:
            return 0
        usual: int = told[min(tag["level"], len(told) - 1)] if isinstance(told, list) else told
        numbers = (int(number) - 1 for number in tag["number"].split("."))
        steps = tuple(zip(tag["path"][1:], numbers, strict=True))
        return self._subtree(steps).length_of(self._keys[shape.name], usual)

    def _subtree(self, steps: Steps) -> Subtree:
        return self._children(steps[:-1])(*steps[-1]) if steps else self._tree

    def _children(self, steps: Steps) -> Callable[[str, int], Subtree]:
        if (found := self._found.get(steps)) is None:
            found = self._found[steps] = self._subtree(steps).children_by(item_key)
        return found


def _is_given(above: Row, shape: Shape) -> bool:
    """Whether a person gave what the stage would be asked for."""
    given = (row.line for row in above.below.get(shape.name, ()) if row.line.get("call") == "")
    return any(line.get("finish_reason") != EDIT for line in given)
