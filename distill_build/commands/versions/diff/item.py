"""`diff A B ID`: one row as it is in two versions, word by word, with the verdicts on it."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from distill_build.commands.versions.diff.comparison import Both, Comparison
from distill_build.commands.versions.diff.text import EMPTY, heading, reason_text, side_notes
from distill_build.console.page import HANG, Line, Style
from distill_build.console.word_diff import Piece, changed_words
from distill_build.errors import UsageError
from distill_build.graph import Shape
from distill_build.history.grouping import Group
from distill_build.records import JsonObject, row_id, short
from distill_build.versions.difference_rows import LABEL, QUESTION, Item, RowFields, VersionRows, content_columns

STYLES: dict[str, Style] = {"same": "plain", "removed": "word removed", "added": "word added"}
SHOWN_MATCHES = 5
Words = dict[str, list[Piece]]


class Pair(msgspec.Struct, frozen=True):
    """A row of a stage in the old and the new version, None where it is not there.

    `stand_in` says that the two are not one row: one came into the place of the other. `verdicts` are the rows of
    transforms that judge it.
    """

    shape: Shape
    old: RowFields | None
    new: RowFields | None
    stand_in: bool = False
    verdicts: tuple["Pair", ...] = ()

    @property
    def status(self) -> str:
        """What became of it."""
        if self.old is None or self.new is None:
            return "added" if self.old is None else "removed"
        if self.stand_in:
            return "replaced"
        if self.shape.after is None:
            return _tag_status(self.old, self.new)
        return "changed" if any(map(_differ, self.words().values())) else "same"

    def words(self) -> Words:
        """The row's content woven together by column, one piece where it does not differ."""
        names = {name: None for row in (self.old, self.new) if row is not None for name in _columns(self.shape, row)}
        return {name: changed_words(column_text(self.old, name), column_text(self.new, name)) for name in names}


def find_pair(comparison: Comparison, wanted: str) -> Pair:
    """The row whose id in either version is, or begins with, `wanted`.

    Raises UsageError where there is none or more than one, or where rows cannot be compared.
    """
    if (both := comparison.both) is None:
        raise UsageError(comparison.notes[0])
    shape = both.new.graph.of_id(wanted) or both.old.graph.of_id(wanted)
    if shape is None:
        prefixes = [f"{each.prefix}_" for each in both.new.graph if each.kind != "transform"]
        known = " or ".join([", ".join(prefixes[:-1])] * (len(prefixes) > 1) + prefixes[-1:])
        raise UsageError(f"'{wanted}' is no id: ids begin with {known}, and `diff -v` prints those that differ")
    return _Finder(both).pair(shape, wanted)


class _Finder:
    """Finds rows by the ids that they have, or would have, in the new version: their keys."""

    def __init__(self, both: Both) -> None:
        self._both = both
        self._known: dict[tuple[bool, str], dict[str, Item]] = {}

    def pair(self, shape: Shape, wanted: str) -> Pair:
        """A row beside itself; where one side lacks it, beside the one there that has its place and is alone too."""
        old, new = self._rows(shape.name, old=True), self._rows(shape.name, old=False)
        key = _only(old, new, wanted)
        before, after, stand_in = old.get(key), new.get(key), False
        if before is None or after is None:
            other = self._in_place_of(shape.name, key, old=before is not None)
            before, after = before or old.get(other or ""), after or new.get(other or "")
            stand_in = other is not None
        rows = _row(self._both.old, shape, before), _row(self._both.new, shape, after)
        return Pair(shape, *rows, stand_in, tuple(self._verdicts(shape, before, after)))

    def _verdicts(self, judged: Shape, before: Item | None, after: Item | None) -> Iterator[Pair]:
        for name in self._both.difference.stages:
            graphs = [side.graph for side in (self._both.new, self._both.old) if name in side.graph]
            shape = graphs[0][name]
            if shape.kind == "transform" and judged.name == graphs[0].lineage(name)[-1]:
                verdicts = _row(self._both.old, shape, before), _row(self._both.new, shape, after)
                if any(verdicts):
                    yield Pair(shape, *verdicts)

    def _rows(self, stage: str, *, old: bool) -> dict[str, Item]:
        """Key → row of a stage."""
        if (old, stage) not in self._known:
            self._known[old, stage] = dict(self._read(stage, old=old))
        return self._known[old, stage]

    def _read(self, stage: str, *, old: bool) -> Iterator[tuple[str, Item]]:
        side, moves = self._both.old if old else self._both.new, self._both.difference.moves
        if stage not in side.graph:
            return
        shape = side.graph[stage]
        if shape.after is None:
            tree = self._both.difference.old if old else self._both.difference.new
            moved = moves.moved if old else {}
            yield from ((moved.get(key, key), Item(key, "")) for key in tree.by_id)
            return
        for mark in side.marks(shape):
            yield moves.key(shape, mark, mark.text) if old else mark.id, mark.item

    def _in_place_of(self, stage: str, key: str, *, old: bool) -> str | None:
        """The row of the other side that stands where one stands that only the `old` or the new side has."""
        shape = (self._both.old if old else self._both.new).graph[stage]
        mine, others = self._rows(stage, old=old), self._rows(stage, old=not old)
        if shape.after is None or not others:
            return None
        if shape.kind == "list":
            place = self._places(shape, old=old).get(key)
            there = (other for other, at in self._places(shape, old=not old).items() if at == place)
            return next((other for other in there if other not in mine), None)
        item, parent = mine[key], shape.parent or ""
        above = self._both.difference.moves.moved.get(item.parent, item.parent) if old else item.parent
        if above in self._rows(parent, old=not old):
            return None  # what would stand there has the same key
        if (above := self._in_place_of(parent, above, old=old) or "") == "":
            return None
        other = row_id(shape.prefix, above) if shape.kind == "group" else row_id(shape.prefix, above, item.sample)
        return other if other in others and other not in mine else None

    def _places(self, shape: Shape, *, old: bool) -> dict[str, tuple[str, int]]:
        """Key → the tag above it, as the new version calls it, and its index there."""
        moved = self._both.difference.moves.moved if old else {}
        rows = (self._both.old if old else self._both.new).rows(shape)
        tags = ((row, row["tag"] or "") for row in rows)
        places = {row["id"]: (moved.get(tag, tag), row["index"]) for row, tag in tags}
        return {key: places[item.id] for key, item in self._rows(shape.name, old=old).items()}


def _row(side: VersionRows, shape: Shape, item: Item | None) -> RowFields | None:
    if item is None or shape.name not in side.graph:
        return None
    return side.only(side.graph[shape.name], {item.id}).get(item.id)


def _only(old: Mapping[str, Item], new: Mapping[str, Item], wanted: str) -> str:
    """The one key whose row is meant. An id that is whole is no beginning of others."""
    rows = [*old.items(), *new.items()]
    keys = {key for key, row in rows if row.id == wanted} or {key for key, row in rows if row.id.startswith(wanted)}
    if not keys:
        raise UsageError(f"neither version has {wanted}: `diff -v` prints the ids of rows that differ")
    if len(keys) > 1:
        more = ", …" if len(keys) > SHOWN_MATCHES else ""
        raise UsageError(f"several ids begin with {wanted}: {', '.join(sorted(keys)[:SHOWN_MATCHES])}{more}")
    return keys.pop()


def _columns(shape: Shape, row: RowFields) -> tuple[str, ...]:
    """The columns that are shown of a row: its content, behind the question that it is about."""
    if shape.after is None:
        return (LABEL,)
    content = content_columns(shape.kind, row)
    return (QUESTION, *content) if QUESTION in row and QUESTION not in content else content


def column_text(row: RowFields | None, name: str) -> str:
    value: Any = None if row is None else row.get(name)
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return "; ".join(value)
    return "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def item_document(comparison: Comparison, pair: Pair) -> JsonObject:
    """The document of `diff A B ID --json`. `words` are [kind, text] pairs for each column of the row's content;
    `verdicts` say the same of what transforms say of it.
    """
    return {
        "a": comparison.old.version,
        "b": comparison.new.version,
        **_pair_row(comparison, pair),
        "notes": comparison.notes,
        "verdicts": {verdict.shape.name: _pair_row(comparison, verdict) for verdict in pair.verdicts},
    }


def _pair_row(comparison: Comparison, pair: Pair) -> JsonObject:
    group = _group(comparison, pair)
    return {
        "stage": pair.shape.name,
        "status": pair.status,
        "old": pair.old,
        "new": pair.new,
        "because": None if group is None else group.reason.because,
        "settings": [] if group is None else [cause.name for cause in group.reason.causes],
        "words": {name: [[piece.kind, piece.text] for piece in words] for name, words in pair.words().items()},
    }


def item_text(comparison: Comparison, pair: Pair) -> Iterator[Line]:
    """For people."""
    yield from heading(comparison)
    yield from side_notes(comparison)
    yield EMPTY
    yield _status(comparison, pair, pair.shape.name.removesuffix("s"))
    for side, row in (("old", pair.old), ("new", pair.new)):
        yield from _place(side, row)
    yield from (_status(comparison, verdict, verdict.shape.name) for verdict in pair.verdicts)
    columns = pair.words()
    for verdict in pair.verdicts:
        columns |= {f"{verdict.shape.name} {name}": words for name, words in verdict.words().items()}
    for name, words in columns.items():
        if words:
            yield EMPTY
            yield ((_title(name, words), "head"),)
            yield (HANG, *((piece.text, STYLES[piece.kind]) for piece in words))


def _differ(words: list[Piece]) -> bool:
    return any(piece.kind != "same" for piece in words)


def _tag_status(old: RowFields, new: RowFields) -> str:
    if old[LABEL] != new[LABEL]:
        return "renamed"
    return "same" if old["path"] == new["path"] else "moved"


def _title(name: str, words: list[Piece]) -> str:
    return name.capitalize() + " (the same in both)" * (not _differ(words))


def _status(comparison: Comparison, pair: Pair, name: str) -> Line:
    """What became of a row, and why."""
    group = _group(comparison, pair)
    why = f": {reason_text(comparison, group)}" if group is not None else ""
    return ((f"{name} ", "plain"), (pair.status, "head"), (why, "plain"))


def _place(side: str, row: RowFields | None) -> Iterator[Line]:
    """The id, path and call of a row."""
    if row is not None:
        call = f"  call {short(row['call'])}" if row.get("call") else ""
        yield ((f"  {side}  ", "quiet"), HANG, (f"{row['id']}  {' / '.join(row['path'])}{call}", "plain"))


def _group(comparison: Comparison, pair: Pair) -> Group | None:
    """The group that the row is in, None where it is the same."""
    row = pair.new or pair.old
    key = row["id"] if row is not None else ""
    groups = (group for group in comparison.groups if group.stage == pair.shape.name)
    return next((group for group in groups if any(item.id == key for item in group.items)), None)
