"""The rows of a build that has not come to its end: noted as they come, and read back as the files of a dataset.

    <folder>/runs/<run id>/new/so-far.jsonl    what the build is of; then a line for each row, in the order of arrival

A build notes them where no rows of a complete version lie in its folder, so that there is something to look at. The
file goes with the run's other new files; that of a killed run stays until the next one.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

import msgspec

from distill_build.dataset.layout import FAILURES, Dataset, is_artefact
from distill_build.dataset.transaction import NEW
from distill_build.engine.artefacts import open_file
from distill_build.graph import Graph
from distill_build.records import JsonObject

SO_FAR = "so-far.jsonl"
_Position = tuple[int, ...]


class _Begun(msgspec.Struct, frozen=True):
    """The first line."""

    stages: dict[str, str]
    recipe: JsonObject


class _Noted(msgspec.Struct, frozen=True):
    """Any other line: a row of a stage, or as many bytes of the artefact in the folder as lie between two places."""

    stage: str
    row: msgspec.Raw = msgspec.Raw()
    kept: tuple[int, int] | None = None


class _Row(msgspec.Struct, frozen=True):
    """What says where a row stands among those of its stage. A verdict stands where the row does that it is on."""

    id: str
    number: str | None = None
    question_id: str | None = None
    parent: str | None = None
    tag: str | None = None
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

    def keep(self, stage: str, start: int, length: int) -> None:
        """Rows that stay as they lie in the folder's artefact."""
        if length:
            self._write([{"stage": stage, "kept": (start, start + length)}])

    def _write(self, lines: Sequence[object]) -> None:
        self._file.write(_ENCODER.encode_lines(lines))


_ENCODER = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class DatasetSoFar(Dataset):
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
    notes = sorted(dataset.runs.glob(f"*/{NEW}/{SO_FAR}"))
    begun = _beginning(notes[-1]) if notes else None
    if begun is None:
        yield None
        return
    graph = Graph.parse(begun.stages)
    with TemporaryDirectory(prefix="distill-so-far-") as folder:
        rows = Path(folder)
        _write_in_order(notes[-1], dataset, graph, rows)
        yield DatasetSoFar(dataset.folder, rows, graph, begun.recipe, notes[-1].parent.parent.name)


def has_rows_so_far(dataset: Dataset) -> bool:
    """Whether a build is at a dataset, or was killed, that has noted rows."""
    return any(dataset.runs.glob(f"*/{NEW}/{SO_FAR}"))


def _beginning(notes: Path) -> _Begun | None:
    """What a build is of; None where it has just come to its end, or has not noted it yet."""
    try:
        with open_file(notes) as file:
            return msgspec.json.decode(file.readline(), type=_Begun)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def _write_in_order(notes: Path, dataset: Dataset, graph: Graph, folder: Path) -> None:
    """The rows in tree order, in a file for each stage that has any."""
    noted: dict[str, list[tuple[_Row, bytes]]] = {shape.name: [] for shape in graph}
    for stage, line in _lines(notes, dataset, graph):
        noted[stage].append((_ROW.decode(line), line))
    places: dict[str, _Position] = {}
    for shape in graph:
        placed = sorted((_place(row, places), line) for row, line in noted[shape.name])
        if shape.kind != "transform":
            places |= {row.id: _place(row, places) for row, _ in noted[shape.name]}
        if placed:
            (folder / shape.file).write_bytes(b"".join(line + b"\n" for _, line in placed))


def _place(row: _Row, places: Mapping[str, _Position]) -> _Position:
    """Where a row stands in the tree; `places` are those of the rows above it."""
    if row.number is not None:
        return tuple(map(int, row.number.split(".")))
    above = row.question_id or row.parent or row.tag
    return places.get(row.id, ()) if above is None else (*places.get(above, ()), row.index, row.sample)


def _lines(notes: Path, dataset: Dataset, graph: Graph) -> Iterator[tuple[str, bytes]]:
    """The stage and the line of each row, in the order of arrival. One that is just being written is left out."""
    with open_file(notes) as file:
        file.readline()
        for line in file:
            if line.endswith(b"\n"):
                noted = _NOTED.decode(line)
                kept = () if noted.kept is None else _kept(dataset.artefact(graph[noted.stage].file), *noted.kept)
                for row in kept or (bytes(noted.row),):
                    yield noted.stage, row


def _kept(artefact: Path, start: int, end: int) -> list[bytes]:
    with open_file(artefact) as file:
        file.seek(start)
        return file.read(end - start).splitlines()


_NOTED, _ROW = msgspec.json.Decoder(_Noted), msgspec.json.Decoder(_Row)
