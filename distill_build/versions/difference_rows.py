"""The rows of any stage of one version, as far as a comparison reads them.

What a row has beside its bookkeeping is its content: that is what is compared, column by column. Columns are not known
before the rows are; of their content only hashes are kept.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from itertools import chain
from struct import Struct
from typing import Any, get_args

import msgspec

from distill_build.graph import Graph, Kind, Shape
from distill_build.records import Path, above_of
from distill_build.review import REVIEW, ReviewVerdict
from distill_build.versions.content import Content, rows_in, unreadable

RowFields = dict[str, Any]
ABSENT = hash(("a column", "that a row does not have"))
VERDICTS: Mapping[int, ReviewVerdict] = {hash(verdict): verdict for verdict in get_args(ReviewVerdict)}
"""What people may have said of a row, by the hash that stands for it."""
LABEL, QUESTION = "label", "question"
NOT_CONTENT: Mapping[Kind, frozenset[str]] = {
    "list": frozenset({"id", "tag", "path", "index", "flags"}),
    "map": frozenset(
        {"id", "question_id", "parent", "tag", "path", "sample", "model", "finish_reason", "usage", "call", "role"}
        | {"flags"}
    ),
    "transform": frozenset({"id"}),
    "group": frozenset({"id", "parent", "path"}),
}
"""The columns that say where a row stands, how it came to be, and what its content shows. An answer has the
question above it too."""


class Item(msgspec.Struct, frozen=True, gc=False):
    """A row of one side. `parent` is the id of the row above, "" for the topic; of a verdict it is the judged row.

    `by_hand` says that a person gave it: no reply holds it.
    """

    id: str
    parent: str
    sample: int = 0
    call: str = ""
    by_hand: bool = False


class Mark(Item, frozen=True, gc=False):
    """A row with hashes of its content, by column. `text` is that of a list alone: ids are made of it.

    They are Python's 64-bit hashes: among a million texts, two are alike once in 10^7 times. As bytes they take half
    the memory of a tuple, and the garbage collector has nothing to walk.
    """

    columns: tuple[str, ...] = ()
    hashes: bytes = b""
    text: str = ""

    @property
    def item(self) -> Item:
        """The row alone."""
        return Item(self.id, self.parent, self.sample, self.call, self.by_hand)

    @property
    def review(self) -> ReviewVerdict | None:
        """What a person has said of it."""
        pairs = zip(self.columns, self.values, strict=True) if REVIEW in self.columns else ()
        return next((VERDICTS.get(value) for name, value in pairs if name == REVIEW), None)

    @property
    def values(self) -> memoryview:
        """The hash of each column's content."""
        return memoryview(self.hashes).cast("q")

    def differing(self, other: "Mark") -> tuple[str, ...]:
        """The columns whose content differs, or that one of the two lacks."""
        if self.columns == other.columns:
            pairs = zip(self.columns, self.values, other.values, strict=True)
            return tuple([name for name, mine, its in pairs if mine != its])
        mine, its = (dict(zip(each.columns, each.values, strict=True)) for each in (self, other))
        return tuple(name for name in mine | its if mine.get(name, ABSENT) != its.get(name, ABSENT))


class Told(msgspec.Struct, frozen=True):
    """What people know a row by: its path, and its own question or label or that of a row above."""

    path: Path
    text: str


class VersionRows:
    """The rows of a version whose stages are `graph`. Raises StorageError for a line that cannot be read."""

    def __init__(self, content: Content, graph: Graph) -> None:
        self.content = content
        self.graph = graph

    def rows(self, shape: Shape, skipped: Collection[str] = frozenset()) -> Iterator[RowFields]:
        """The rows of a stage in order, without those in `skipped` chunks."""
        return rows_in(self.content, shape.file, RowFields, skipped)

    def marks(self, shape: Shape, skipped: Collection[str] = frozenset()) -> Iterator[Mark]:
        """The rows of a stage in order, with hashes of their content, without those in `skipped` chunks."""
        reader, read = _Reader(shape), self.content.get
        chunks = (chunk for chunk in self.content.chunks(shape.file) if chunk not in skipped)
        return chain.from_iterable(reader.marks(read(shape.file, chunk)) for chunk in chunks)

    def only(self, shape: Shape, wanted: Collection[str]) -> dict[str, RowFields]:
        """The rows of a stage with these ids; what comes behind the last of them is not read."""
        found: dict[str, RowFields] = {}
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
                paths.setdefault(key, tuple(row.get("path", ())))
                text = _text(shape, row)
                if text is None:
                    above[key] = above_of(row) or ""
                else:
                    texts[key] = text
            here = above
        return {key: Told(paths.get(key, ()), texts.get(key, "")) for key in wanted}


class _Reader:
    """Decodes the rows of one stage. It learns what columns there are when it meets one that it does not know, so that
    lines need not be decoded as dictionaries, which takes twice the time.
    """

    def __init__(self, shape: Shape) -> None:
        self._shape = shape
        self._known: dict[str, None] = {}
        self._learn([])

    def marks(self, data: bytes) -> list[Mark]:
        """The rows of a chunk. Raises StorageError for a line that cannot be read."""
        rows, mark, first = self._decoded(data), MARKS[self._shape.kind], len(HEADS[self._shape.kind])
        columns, last = self._columns, first + len(self._columns)
        pack = Struct(f"{len(columns)}q").pack
        return [
            mark(row, columns, pack(*[hash(it) if type(it) is str else _hash(it) for it in row[first:last]]))
            for row in map(msgspec.structs.astuple, rows)
        ]

    def _decoded(self, data: bytes) -> list[msgspec.Struct]:
        try:
            try:
                return self._decoder.decode_lines(data)
            except msgspec.ValidationError:
                self._learn(msgspec.json.Decoder(RowFields).decode_lines(data))
                return self._decoder.decode_lines(data)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise unreadable(self._shape.file, error) from error

    def _learn(self, rows: Iterable[RowFields]) -> None:
        head = HEADS[self._shape.kind]
        names = {name for name, *_ in head}
        self._known |= {name: None for row in rows for name in row}
        self._columns = content_columns(self._shape.kind, self._known)
        others = [name for name in self._known if name not in self._columns and name not in names]
        fields = [
            *head,
            *((f"content_{at}", Any, msgspec.UNSET) for at in range(len(self._columns))),
            *((f"other_{at}", msgspec.Raw, msgspec.Raw()) for at in range(len(others))),
        ]
        spelled = {f"content_{at}": name for at, name in enumerate(self._columns)}
        spelled |= {f"other_{at}": name for at, name in enumerate(others)}
        row = msgspec.defstruct(
            "RowFields", fields, rename=spelled, kw_only=True, forbid_unknown_fields=True, frozen=True, gc=False
        )
        self._decoder = msgspec.json.Decoder(row)


HEADS: Mapping[Kind, tuple[Any, ...]] = {
    "list": (("id", str), ("tag", str | None), ("index", int, 0)),
    "map": (("id", str), ("question_id", str, ""), ("parent", str, ""), ("sample", int), ("call", str, "")),
    "transform": (("id", str),),
    "group": (("id", str), ("parent", str)),
}
"""The columns that say which row it is: name and type, and what stands for one that is not there."""
MARKS: Mapping[Kind, Callable[[tuple[Any, ...], tuple[str, ...], bytes], Mark]] = {
    "list": lambda row, columns, hashes: Mark(row[0], row[1] or "", 0, "", row[2] < 0, columns, hashes, str(row[3])),
    "map": lambda row, columns, hashes: Mark(row[0], row[1] or row[2], row[3], row[4], not row[4], columns, hashes),
    "transform": lambda row, columns, hashes: Mark(row[0], row[0], 0, "", False, columns, hashes),
    "group": lambda row, columns, hashes: Mark(row[0], row[1], 0, "", False, columns, hashes),
}


def content_columns(kind: Kind, columns: Collection[str]) -> tuple[str, ...]:
    """Those that hold content, in order."""
    above = {QUESTION} if "question_id" in columns else set()
    return tuple(name for name in columns if name not in NOT_CONTENT[kind] and name not in above)


def _text(shape: Shape, row: RowFields) -> str | None:
    """What a row says for itself, None where that is for the row above to say."""
    if shape.after is None:
        return str(row[LABEL])
    text = row.get(QUESTION) if shape.kind != "list" else row[content_columns("list", row)[0]]
    return None if text is None else str(text)


def _hash(value: Any) -> int:
    """Of what is no text: so that 1 is not true, and -1 not -2. Of a column that is not there it is ABSENT."""
    return ABSENT if value is msgspec.UNSET else hash((type(value), msgspec.json.encode(value)))
