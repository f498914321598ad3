"""What repeats across the rows of a dataset, and how many of them have which flag: read from its artefacts alone.

So a build that took nearly all of its rows over says the same as one that made them all, and so does `checkout`. Rows
that a transform has dropped are looked past. Each file of texts is read once, and a second time where two may be equal;
what is held of 100,000 rows are a few MB, and the ids of those that repeat.
"""

import hashlib
from array import array
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path

import msgspec

from distill_build.dataset.layout import CheckCount, CheckExample
from distill_build.dataset.rows import Identified, Placed, VerdictRow, list_text, read_objects, read_rows
from distill_build.graph import Graph, Shape
from distill_build.records import JsonObject
from distill_build.replies.labels import beginning, normalise
from distill_build.stages.flags import FLAGS
from distill_build.stages.measures.quotas import Shares, quota
from distill_build.stages.measures.ratings import SCORE
from distill_build.stages.readers import editable_of

REPEATED, SAME_LABEL, QUOTA, APART = "repeated", "same_label", "quota", "judges_apart"
FAR = 2
"""Points between the least and the most that judges say of one row, from which on it is told that they do not agree."""
SHOWN_CHARACTERS = 200
"""Of a text, in its line of checks.jsonl."""
EXAMPLES = 3
"""Labels of the tree that a count names."""
NO_TEXT = -1
"""In the place of a text's hash, where a row is not compared with others: no hash is -1 in CPython."""


class _Flagged(Identified, frozen=True, gc=False):
    """Any row that a model was asked for."""

    flags: tuple[str, ...] = ()


class _Answered(_Flagged, frozen=True, gc=False):
    """A row that holds a reply as it came."""

    answer: str = ""


Looked = tuple[str, tuple[str, ...], str | None]
"""Of a row: its id, its flags, and its text, None where that is a value among few, which may well stand twice."""


class CheckedRows(msgspec.Struct, frozen=True):
    """The lines of checks.jsonl, by stage and in the order of the first row that each names; and the counts of all."""

    lines: list[JsonObject]
    counts: tuple[CheckCount, ...]

    @property
    def encoded(self) -> bytes:
        """The content of checks.jsonl, which is not there where this is empty."""
        return msgspec.json.Encoder().encode_lines(self.lines)


def check_rows(place: Callable[[str], Path], graph: Graph, recipe: JsonObject) -> CheckedRows:
    """Looks at the rows of all stages that ask. `place` says where a file lies, `recipe` what the rows were made with.

    Raises StorageError with the number of a line that cannot be read.
    """
    lines, counts = list[JsonObject](), list[CheckCount]()
    for shape in graph:
        if shape.asks and place(shape.file).exists():
            judges = [place(each.file) for each in graph.judges(shape.name)]
            dropped = {row.id for path in judges for row in read_rows(path, VerdictRow) if not row.kept}
            found = _Repeats(place, graph, shape, recipe, dropped)
            unmet = _Unmet(place(shape.file), shape, recipe.get(shape.name, {}).get("axes") or {}, dropped)
            apart = _Apart(place(shape.file), shape, dropped)
            lines += [*found.lines(), *unmet.lines, *apart.lines]
            counts += [*found.counts(), *unmet.counts(), *apart.counts()]
    return CheckedRows(lines, tuple(counts))


class _Text(msgspec.Struct):
    """A text that stands several times: as it stands first, and the rows."""

    first: str
    ids: list[str] = msgspec.field(default_factory=list)


class _Repeats:
    """What was found in one artefact."""

    def __init__(
        self, place: Callable[[str], Path], graph: Graph, shape: Shape, recipe: JsonObject, dropped: Container[str]
    ) -> None:
        self._path = place(shape.file)
        self._shape = shape
        self._is_tree = shape is graph.tree
        self._has_texts = shape.kind == "list" or editable_of(shape, recipe.get(shape.name, {})).form.is_free
        self._dropped = dropped
        self._flags = Counter[str]()
        self._flagged: dict[str, list[CheckExample]] = {}
        self._rows = 0
        self._groups = self._equal(self._likely_equal())

    @property
    def _check(self) -> str:
        return SAME_LABEL if self._is_tree else REPEATED

    def _read(self, chosen: Iterable[bool] | None = None) -> Iterator[Looked]:
        if self._shape.kind == "list":
            objects = read_objects(self._path, "id", chosen=chosen)
            return ((row["id"], tuple(row.get(FLAGS, ())), list_text(row)) for row in objects)
        if self._has_texts:
            return ((row.id, row.flags, row.answer) for row in read_rows(self._path, _Answered, chosen))
        return ((row.id, row.flags, None) for row in read_rows(self._path, _Flagged, chosen))

    def _likely_equal(self) -> list[bool]:
        """Counts rows and flags; of each row, whether its text begins as another one does."""
        hashes, seen, again = array("q"), set[int](), set[int]()
        for key, flags, text in self._read():
            hashes.append(NO_TEXT)
            if key in self._dropped:
                continue
            self._rows += 1
            for flag in flags:
                self._flags[flag] += 1
                if self._is_tree and text is not None and len(named := self._flagged.setdefault(flag, [])) < EXAMPLES:
                    named.append(CheckExample(text, 1))
            if text is not None:
                hashes[-1] = begins = hash(beginning(text))
                (again if begins in seen else seen).add(begins)
        return [begins in again for begins in hashes]

    def _equal(self, likely: Sequence[bool]) -> list[_Text]:
        """The texts that stand more than once, up to case, width and punctuation."""
        texts: dict[bytes, _Text] = {}
        for key, _, text in self._read(likely) if any(likely) else ():
            assert text is not None, "what is likely has begun alike"  # noqa: S101
            digest = hashlib.blake2b(normalise(text).encode(errors="replace"), digest_size=16).digest()
            texts.setdefault(digest, _Text(text[:SHOWN_CHARACTERS])).ids.append(key)
        return [text for text in texts.values() if len(text.ids) > 1]

    def lines(self) -> Iterator[JsonObject]:
        for text in self._groups:
            yield {
                "check": self._check,
                "stage": self._shape.name,
                "rows": len(text.ids),
                "text": text.first,
                "ids": text.ids,
            }

    def counts(self) -> Iterator[CheckCount]:
        """Flags by name, and what repeats; nothing of what no row shows."""
        name = self._shape.name
        for flag in sorted(self._flags):
            number = self._flags[flag]
            yield CheckCount(flag, name, number, self._rows, number, tuple(self._flagged.get(flag, ())))
        if self._groups:
            most = sorted(self._groups, key=lambda text: -len(text.ids))[:EXAMPLES] if self._is_tree else []
            examples = tuple(CheckExample(text.first, len(text.ids)) for text in most)
            rows = sum(len(text.ids) for text in self._groups)
            yield CheckCount(self._check, name, rows, self._rows, len(self._groups), examples)


class _Unmet:
    """Where the values that the items of one list have by an axis are others than its quota says: a line for each.

    A quota is that of the items that are left, though each came by one that counts those that were dropped: so a list
    of which a transform dropped two of one value is told, be it full.
    """

    def __init__(self, path: Path, shape: Shape, axes: Mapping[str, Shares], dropped: Container[str]) -> None:
        self.lines: list[JsonObject] = []
        self._shape = shape
        self._rows = self._other = 0
        kept = (row for row in read_objects(path, "id", "tag") if row["id"] not in dropped) if axes else ()
        for tag, rows in groupby(kept, key=lambda row: row["tag"]):
            self._look(tag, list(rows), axes)

    def _look(self, tag: str, rows: Sequence[JsonObject], axes: Mapping[str, Shares]) -> None:
        others = [0]
        for axis in sorted(axes):
            came, wanted = Counter(row.get(axis) for row in rows), quota(axes[axis], 0, len(rows))
            lacking = sum(max(0, count - came[value]) for value, count in wanted.items())
            others.append(lacking)
            if lacking:
                text = ", ".join(f"{came[value]} of {wanted.get(value, 0)} {value}" for value in sorted(axes[axis]))
                told = {"rows": lacking, "text": f"{axis}: {text}", "ids": [tag]}
                self.lines.append({"check": QUOTA, "stage": self._shape.name, **told})
        self._rows += len(rows)
        self._other += max(others)

    def counts(self) -> Iterator[CheckCount]:
        """How many items would have to have another value, at the least."""
        if self._other:
            yield CheckCount(QUOTA, self._shape.name, self._other, self._rows, len(self.lines), ())


class _Scored(Placed, frozen=True, gc=False):
    """A row that may hold a score."""

    score: float | None = None


class _Apart:
    """Where several judgements of one row lie far apart: a line for each such row."""

    def __init__(self, path: Path, shape: Shape, dropped: Container[str]) -> None:
        self.lines: list[JsonObject] = []
        self._shape = shape
        self._judged = 0
        scores = (row for row in read_rows(path, _Scored) if row.id not in dropped) if shape.name == SCORE.stage else ()
        for above, rows in groupby(scores, key=lambda row: row.above):
            said = [row.score for row in rows if row.score is not None]
            if len(said) > 1:
                self._judged += 1
                if max(said) - min(said) >= FAR:
                    told = {"rows": 1, "text": ", ".join(f"{score:g}" for score in said), "ids": [above]}
                    self.lines.append({"check": APART, "stage": shape.name, **told})

    def counts(self) -> Iterator[CheckCount]:
        """Of the rows that several judgements were made of."""
        if self.lines:
            number = len(self.lines)
            yield CheckCount(APART, self._shape.name, number, self._judged, number, ())
