"""The lines of a dataset's files, unit by unit: each tag with those that hang on it. All files are in the order of the
tree, so each is read forward once. Knows nothing of who sees which row.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from distill_build.dataset.rows import read_objects
from distill_build.dataset.unit import AGAIN, Row, topic_row
from distill_build.errors import StorageError
from distill_build.graph import Graph, Shape
from distill_build.records import JsonObject


def units_in(
    place: Callable[[str], Path], graph: Graph, wanted: frozenset[str]
) -> Iterator[tuple[Row, dict[str, list[JsonObject]]]]:
    """Each tag, with the lines of the `wanted` stages that hang on it; before them the topic, where any hang on that.

    Raises StorageError, behind the last tag, for a line that hangs on none, or not in the order of the tree.
    """
    readers = {shape.name: _Reader(place(shape.file), shape) for shape in graph if shape.name in wanted}
    below = [reader.next_path[0] for name, reader in readers.items() if name != graph.tree.name and reader.at_topic]
    if below:
        row = topic_row(graph.tree.name, below[0])
        yield row, _lines_of(row.line, graph, readers)
    for line in read_objects(place(graph.tree.file), "id", "path", "leaf"):
        yield Row(graph.tree.name, line, ()), _lines_of(line, graph, readers)
    for name, reader in readers.items():
        if name != graph.tree.name:
            reader.require_end(place(graph.rows_of(name).file if reader.shape.kind == "transform" else graph.tree.file))


def _lines_of(tag: JsonObject, graph: Graph, readers: "Mapping[str, _Reader]") -> dict[str, list[JsonObject]]:
    """The lines that hang on one tag."""
    path, lines = tuple(tag["path"]), dict[str, list[JsonObject]]()
    for name, reader in readers.items():
        if name == graph.tree.name:
            continue
        if reader.shape.kind == "transform":
            judged = [tag] if reader.shape.after == graph.tree.name else lines.get(reader.shape.after or "", [])
            lines[name] = reader.of_ids({each["id"] for each in judged})
        else:
            lines[name] = reader.of_path(path)
    return lines


class _Reader:
    """Reads an artefact forward, tag by tag."""

    def __init__(self, path: Path, shape: Shape) -> None:
        self.shape = shape
        self._path = path
        columns = ("id",) if shape.kind == "transform" else ("id", "path")
        self._lines = read_objects(path, *columns)
        self._next: JsonObject | None = next(self._lines, None)

    @property
    def next_path(self) -> list[str]:
        """The path of the next line; none where that has none, or there is no line."""
        return [] if self._next is None else self._next.get("path", [])

    @property
    def at_topic(self) -> bool:
        """Whether the next line hangs on the topic itself."""
        return len(self.next_path) == 1

    def of_path(self, path: tuple[str, ...]) -> list[JsonObject]:
        found = []
        while self._next is not None and tuple(self._next["path"]) == path:
            found.append(self._take())
        return found

    def of_ids(self, ids: set[str]) -> list[JsonObject]:
        found = []
        while self._next is not None and self._next["id"] in ids:
            found.append(self._take())
        return found

    def require_end(self, above: Path) -> None:
        """Raises StorageError where a line is left that no row of the artefact `above` stands for."""
        if self._next is not None:
            raise StorageError(
                f"{self._path} has a row {self._next['id']} that fits no row of {above} in its place, so they are not "
                f"of one build: {AGAIN}"
            )

    def _take(self) -> JsonObject:
        line = self._next
        assert line is not None, "there is a line to take"  # noqa: S101
        self._next = next(self._lines, None)
        return line
