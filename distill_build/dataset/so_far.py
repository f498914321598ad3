"""The rows of a build that has not come to its end: noted as they come, and read back as the files of a dataset.

    <folder>/runs/<run id>/new/so-far.jsonl    what the build is of; then a line for each row, in the order of arrival

A build notes them where no rows of a complete version lie in its folder, so that there is something to look at. The
file goes with the run's other new files; that of a killed run stays until the next one.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

import msgspec

from distill_build.dataset.layout import FAILURES, Dataset, is_artefact
from distill_build.dataset.rows import Hanging
from distill_build.dataset.transaction import NEW, SO_FAR
from distill_build.engine.artefacts import open_file
from distill_build.engine.temporary import temporary_folder, written_below
from distill_build.graph import Graph
from distill_build.records import JsonObject


class _Begun(msgspec.Struct, frozen=True):
    """The first line."""

    stages: dict[str, str]
    recipe: JsonObject


class _Noted(msgspec.Struct, frozen=True):
    """Any other line: a row of a stage."""

    stage: str
    row: msgspec.Raw


class _Row(Hanging, frozen=True):
    """What says where a row stands among those of its stage. A verdict stands where the row does that it is on."""

    number: str | None = None
    index: int = 0
    sample: int = 0


class RowsSoFar:
    """Takes the rows of a build as they come. Each is handed to the system at once: whoever looks finds all of them."""

    def __init__(self, folder: Path, graph: Graph, recipe: JsonObject) -> None:
        """`folder` is that of the run's new files."""
        folder.mkdir(parents=True, exist_ok=True)
        self._file: BinaryIO = (folder / SO_FAR).open("wb", buffering=0)
        self._write([_Begun(graph.described(), recipe)])

    def close(self) -> None:
        self._file.close()

    def add(self, stage: str, rows: Sequence[JsonObject]) -> None:
        """Rows that were made."""
        self._write([{"stage": stage, "row": row} for row in rows])

    def _write(self, lines: Sequence[object]) -> None:
        left = memoryview(_ENCODER.encode_lines(lines))
        while left:  # a disk that is nearly full takes a part of it
            left = left[self._file.write(left) :]


_ENCODER = msgspec.json.Encoder()


class DatasetSoFar(Dataset, frozen=True):
    """A dataset as a build has come with it that has not ended: `rows` has the files of its `stages`.

    `run_id` and `settings` are that build's.
    """

    rows: Path
    stages: Graph
    settings: JsonObject
    run_id: str

    def artefact(self, name: str) -> Path:
        return (self.rows if is_artefact(name) or name == FAILURES else self.folder) / name

    def graph(self) -> Graph:
        return self.stages

    def recipe(self) -> JsonObject:
        return self.settings


@contextmanager
def dataset_so_far(dataset: Dataset) -> Iterator[DatasetSoFar | None]:
    """`dataset` with the rows of the build that has not come to its end; None where there is none to look at."""
    with ExitStack() as stack:
        yield _opened(dataset, stack)


def _opened(dataset: Dataset, stack: ExitStack) -> DatasetSoFar | None:
    place = max(dataset.runs.glob(f"*/{NEW}/{SO_FAR}"), default=None)
    if place is None:
        return None
    try:
        notes = stack.enter_context(open_file(place))
        begun = msgspec.json.decode(notes.readline(), type=_Begun)
    except (FileNotFoundError, msgspec.DecodeError):  # it has just come to its end, or has noted nothing yet
        return None
    graph, rows = Graph.parse(begun.stages), stack.enter_context(temporary_folder())
    with written_below(rows):
        _write_in_order(notes, graph, rows)
    return DatasetSoFar(dataset.folder, rows, graph, begun.recipe, place.parent.parent.name)


def _write_in_order(notes: BinaryIO, graph: Graph, folder: Path) -> None:
    """The rows in tree order, in a file for each stage that has any. What is in memory of each is where it lies."""
    noted: dict[str, dict[str, tuple[_Row, int]]] = {shape.name: {} for shape in graph}
    for line, start in _lines(notes):
        note = _NOTED.decode(line)
        row = _ROW.decode(note.row)
        noted[note.stage][row.id] = (row, start)  # one that is made once more counts as it came last
    places: dict[str, tuple[int, ...]] = {}
    for shape in graph:
        placed = sorted((_place(row, places), start) for row, start in noted[shape.name].values())
        if shape.kind != "transform":
            places |= {row.id: _place(row, places) for row, _ in noted[shape.name].values()}
        if placed:
            with (folder / shape.file).open("wb") as file:
                for _, start in placed:
                    notes.seek(start)
                    file.write(bytes(_NOTED.decode(notes.readline()).row) + b"\n")


def _lines(notes: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Each line with where it begins. One that is just being written is left out."""
    start = notes.tell()
    for line in notes:
        if line.endswith(b"\n"):
            yield line, start
        start += len(line)


def _place(row: _Row, places: Mapping[str, tuple[int, ...]]) -> tuple[int, ...]:
    """Where a row stands in the tree; `places` are those of the rows above it."""
    if row.number is not None:
        return tuple(map(int, row.number.split(".")))
    above = row.above
    return places.get(row.id, ()) if above is None else (*places.get(above, ()), row.index, row.sample)


_NOTED, _ROW = msgspec.json.Decoder(_Noted), msgspec.json.Decoder(_Row)
