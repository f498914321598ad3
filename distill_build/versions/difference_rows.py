"""The rows of any stage of one version, as far as a comparison reads them.

What a row has beside its bookkeeping is its content: that is what is compared, column by column. Columns are not known
before the rows are, so lines are decoded whole; of their content only hashes are kept.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from distill_build.errors import StorageError
from distill_build.graph import Graph, Kind, Shape
from distill_build.records import BOOKKEEPING, Path
from distill_build.versions.content import Content, rows_in

Row = dict[str, Any]
LABEL, QUESTION = "label", "question"
LISTED = BOOKKEEPING - {QUESTION, LABEL}
"""The same of a list, whose text is its own."""


class Item(msgspec.Struct, frozen=True, gc=False):
    """A row of one side. `parent` is the id of the row above, "" for the topic; of a verdict it is the judged row."""

    id: str
    parent: str
    sample: int = 0
    call: str = ""


class Mark(msgspec.Struct, frozen=True, gc=False):
    """A row with hashes of its content, by column. `text` is that of a list alone: ids are made of it.

    They are Python's 64-bit hashes: among a million texts, two are alike once in 10^7 times.
    """

    item: Item
    columns: tuple[str, ...]
    hashes: tuple[int, ...]
    text: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """What people know a row by: its path, and its own question or label or that of a row above."""

    path: Path
    text: str


class VersionRows:
    """The rows of a version whose stages are `graph`. Raises StorageError for a line that cannot be read."""

    def __init__(self, content: Content, graph: Graph) -> None:
        self.content = content
        self.graph = graph

    def rows(self, shape: Shape, skipped: Collection[str] = frozenset()) -> Iterator[Row]:
        """The rows of a stage in order, without those in `skipped` chunks."""
        return rows_in(self.content, shape.file, Row, skipped)

    def marks(self, shape: Shape, skipped: Collection[str] = frozenset()) -> Iterator[Mark]:
        """The rows of a stage, with hashes of their content."""
        known: dict[tuple[str, ...], tuple[str, ...]] = {}
        listed, item_of = shape.kind == "list", ITEMS[shape.kind]
        for row in self._sound(shape, self.rows(shape, skipped)):
            names = tuple(row)
            columns = known.get(names)
            if columns is None:
                columns = known[names] = content_columns(shape.kind, names)
            hashes = tuple([hash(value) if type(value := row[name]) is str else _hash(value) for name in columns])
            yield Mark(item_of(row), columns, hashes, str(row[columns[0]]) if listed else "")

    def only(self, shape: Shape, wanted: Collection[str]) -> dict[str, Row]:
        """The rows of a stage with these ids; what comes behind the last of them is not read."""
        found: dict[str, Row] = {}
        for row in self.rows(shape) if wanted else ():
            if row.get("id") in wanted:
                found[row["id"]] = row
                if len(found) == len(wanted):
                    break
        return found

    def told(self, stage: str, wanted: Collection[str]) -> dict[str, Told]:
        """What the rows of a stage with these ids are known by."""
        here, paths, texts = {key: key for key in wanted}, dict[str, Path](), dict[str, str]()
        lineage = (self.graph[name] for name in reversed(self.graph.lineage(stage)))
        for shape in (shape for shape in lineage if shape.kind != "transform"):
            found, above = self.only(shape, set(here.values())), dict[str, str]()
            for key, row in ((key, found[at]) for key, at in here.items() if at in found):
                paths.setdefault(key, tuple(row["path"]))
                text = _text(shape, row)
                if text is None:
                    above[key] = ITEMS[shape.kind](row).parent
                else:
                    texts[key] = text
            here = above
        return {key: Told(paths.get(key, ()), texts.get(key, "")) for key in wanted}

    def _sound(self, shape: Shape, rows: Iterator[Row]) -> Iterator[Row]:
        """`rows`, as far as they have the columns of their kind."""
        needed = NEEDED[shape.kind]
        for row in rows:
            if not (needed <= row.keys() and type(row["id"]) is str):
                raise StorageError(
                    f"a line of {shape.file} lacks an id, or {', '.join(sorted(needed - {'id'}))}: "
                    "`distill-build verify` says where"
                )
            yield row


NEEDED: Mapping[Kind, frozenset[str]] = {
    "list": frozenset({"id", "tag", "path"}),
    "map": frozenset({"id", "sample", "path"}),
    "transform": frozenset({"id"}),
    "group": frozenset({"id", "parent", "path"}),
}
ITEMS: Mapping[Kind, Callable[[Row], Item]] = {
    "list": lambda row: Item(row["id"], row["tag"] or ""),
    "map": lambda row: Item(row["id"], row.get("question_id") or row.get("parent") or "", row["sample"], row["call"]),
    "transform": lambda row: Item(row["id"], row["id"]),
    "group": lambda row: Item(row["id"], row["parent"]),
}


def content_columns(kind: Kind, columns: Iterable[str]) -> tuple[str, ...]:
    """Those that hold content, in order."""
    bookkeeping = LISTED if kind == "list" else BOOKKEEPING
    return tuple(name for name in columns if name not in bookkeeping)


def _text(shape: Shape, row: Row) -> str | None:
    """What a row says for itself, None where that is for the row above to say."""
    if shape.after is None:
        return str(row[LABEL])
    text = row.get(QUESTION) if shape.kind != "list" else row[content_columns("list", row)[0]]
    return None if text is None else str(text)


def _hash(value: Any) -> int:
    """Of what is no text: so that 1 is not true, and -1 not -2."""
    return hash((type(value), msgspec.json.encode(value)))
