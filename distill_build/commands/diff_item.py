"""`diff A B ID`: one item as it is in two versions, word by word."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from distill_build.artefact_rows import TagRow
from distill_build.commands.diff_comparison import Comparison
from distill_build.commands.diff_text import EMPTY, heading, notes, reason
from distill_build.console.page import HANG, Line, Style
from distill_build.console.word_diff import Piece, changed_words
from distill_build.errors import UsageError
from distill_build.records import JsonObject, answer_id, short
from distill_build.stages.attribution import Group
from distill_build.versions.content import Content, rows_in
from distill_build.versions.difference import Difference
from distill_build.versions.difference_rows import ANSWERS, QUESTIONS, AnswerRow, QuestionRow
from distill_build.versions.tag_matching import TagTree

Row = TagRow | QuestionRow | AnswerRow
OneRow = TypeVar("OneRow", QuestionRow, AnswerRow)
Place = tuple[object, int]
"""What is above an item, as the new version calls it, and which one it is there."""
STYLES: dict[str, Style] = {"same": "plain", "removed": "word removed", "added": "word added"}
TEXTS = {"tag": ("label",), "question": ("question",), "answer": ("question", "reasoning", "answer")}
SHOWN_MATCHES = 5


@dataclass(frozen=True, slots=True)
class Pair:
    """An item in the old and the new version, None where it is not there.

    `stand_in` says that the two are not one item: one came into the place of the other.
    """

    kind: str
    old: Row | None
    new: Row | None
    stand_in: bool = False

    @property
    def status(self) -> str:
        """What became of it."""
        if self.old is None or self.new is None:
            return "added" if self.old is None else "removed"
        if self.stand_in:
            return "replaced"
        if isinstance(self.old, TagRow) and isinstance(self.new, TagRow):
            return _tag_status(self.old, self.new)
        return "changed" if any(map(_differ, self.words().values())) else "same"

    def words(self) -> dict[str, list[Piece]]:
        """The item's texts woven together, one piece where they do not differ."""
        return {name: changed_words(_text(self.old, name), _text(self.new, name)) for name in TEXTS[self.kind]}


def find_pair(comparison: Comparison, wanted: str) -> Pair:
    """The item whose id in either version is, or begins with, `wanted`.

    Raises UsageError where there is none or more than one, or where items cannot be compared.
    """
    difference, old, new = comparison.difference, comparison.old.content, comparison.new.content
    if difference is None or old is None or new is None:
        raise UsageError(comparison.notes[0])
    match wanted[:2]:
        case "t_":
            return _tag(difference, wanted)
        case "q_":
            return _question(difference, _questions(old), _questions(new), wanted)
        case "a_":
            return _answer(difference, old, new, wanted)
    raise UsageError(f"'{wanted}' is no id: ids begin with t_, q_ or a_, and `diff -v` prints those that differ")


def _tag(difference: Difference, wanted: str) -> Pair:
    pairs, new = difference.matching.pairs, difference.new.tags
    old = {pairs.get(key, key): row for key, row in difference.old.tags.items()}
    key = _only(old, new, wanted)
    return Pair("tag", old.get(key), new.get(key))


def _question(difference: Difference, old: list[QuestionRow], new: list[QuestionRow], wanted: str) -> Pair:
    before = {difference.moved.get(row.id, row.id): row for row in old}
    after = {row.id: row for row in new}
    key = _only(before, after, wanted)
    return _pair("question", key, (before, _old_place(difference)), (after, _new_place))


def _answer(difference: Difference, old: Content, new: Content, wanted: str) -> Pair:
    moved, place = difference.moved, _old_place(difference)
    before = {_moved_answer(row, moved): row for row in rows_in(old, ANSWERS, AnswerRow)}
    after = {row.id: row for row in rows_in(new, ANSWERS, AnswerRow)}
    key = _only(before, after, wanted)
    old_places = {row.id: place(row) for row in _questions(old)}
    new_places = {row.id: _new_place(row) for row in _questions(new)}
    return _pair(
        "answer",
        key,
        (before, lambda row: (old_places.get(row.question_id), row.sample)),
        (after, lambda row: (new_places.get(row.question_id), row.sample)),
    )


def _questions(content: Content) -> list[QuestionRow]:
    return list(rows_in(content, QUESTIONS, QuestionRow))


def _moved_answer(row: AnswerRow, moved: Mapping[str, str]) -> str:
    question = moved.get(row.question_id)
    return row.id if question is None else answer_id(question, row.sample)


def _old_place(difference: Difference) -> Callable[[QuestionRow], Place]:
    return lambda row: (difference.matching.pairs.get(row.tag, row.id), row.index)


def _new_place(row: QuestionRow) -> Place:
    return row.tag, row.index


def _only(old: Mapping[str, Row], new: Mapping[str, Row], wanted: str) -> str:
    """The one key whose row is meant. An id that is whole is no beginning of others."""
    rows = [*old.items(), *new.items()]
    keys = {key for key, row in rows if row.id == wanted} or {key for key, row in rows if row.id.startswith(wanted)}
    if not keys:
        raise UsageError(f"neither version has {wanted}: `diff -v` prints the ids of items that differ")
    if len(keys) > 1:
        more = ", …" if len(keys) > SHOWN_MATCHES else ""
        raise UsageError(f"several ids begin with {wanted}: {', '.join(sorted(keys)[:SHOWN_MATCHES])}{more}")
    return keys.pop()


def _pair(
    kind: str,
    key: str,
    old: tuple[dict[str, OneRow], Callable[[OneRow], Place]],
    new: tuple[dict[str, OneRow], Callable[[OneRow], Place]],
) -> Pair:
    """The item under `key`; where one side lacks it, beside the one there that has its place and that is alone too."""
    before, after = old[0].get(key), new[0].get(key)
    if before is not None and after is None:
        after = _alone_at(old[1](before), new, old[0])
    elif after is not None and before is None:
        before = _alone_at(new[1](after), old, new[0])
    else:
        return Pair(kind, before, after)
    return Pair(kind, before, after, stand_in=before is not None and after is not None)


def _alone_at(
    place: Place, side: tuple[dict[str, OneRow], Callable[[OneRow], Place]], others: Mapping[str, OneRow]
) -> OneRow | None:
    rows, place_of = side
    return next((row for key, row in rows.items() if key not in others and place_of(row) == place), None)


def _text(row: Row | None, name: str) -> str:
    text: str | None = getattr(row, name, None)
    return text or ""


def item_document(comparison: Comparison, pair: Pair) -> JsonObject:
    """The document of `diff A B ID --json`. `words` are [kind, text] pairs for each text of the item."""
    group = _group(comparison, pair)
    return {
        "a": comparison.old.version,
        "b": comparison.new.version,
        "kind": pair.kind,
        "status": pair.status,
        "old": None if pair.old is None else msgspec.to_builtins(pair.old),
        "new": None if pair.new is None else msgspec.to_builtins(pair.new),
        "because": None if group is None else group.reason.because,
        "settings": [] if group is None else [cause.name for cause in group.reason.causes],
        "notes": comparison.notes,
        "words": {name: [[piece.kind, piece.text] for piece in words] for name, words in pair.words().items()},
    }


def item_text(comparison: Comparison, pair: Pair) -> Iterator[Line]:
    """For people."""
    yield from heading(comparison)
    yield from notes(comparison)
    yield EMPTY
    yield from _places(comparison, pair)
    for name, words in pair.words().items():
        if words or name != "reasoning":
            yield EMPTY
            yield ((_title(name, words), "head"),)
            yield (HANG, *((piece.text, STYLES[piece.kind]) for piece in words))


def _differ(words: list[Piece]) -> bool:
    return any(piece.kind != "same" for piece in words)


def _tag_status(old: TagRow, new: TagRow) -> str:
    if old.label != new.label:
        return "renamed"
    return "same" if old.path == new.path else "moved"


def _title(name: str, words: list[Piece]) -> str:
    return name.title() + " (the same in both)" * (not _differ(words))


def _places(comparison: Comparison, pair: Pair) -> Iterator[Line]:
    """What became of the item, and why; then its ids, paths and calls."""
    group, difference = _group(comparison, pair), comparison.difference
    why = f": {reason(group, settings_known=comparison.settings_known)}" if group is not None else ""
    yield ((f"{pair.kind} ", "plain"), (pair.status, "head"), (why, "plain"))
    if difference is not None:
        yield from _place("old", pair.old, difference.old)
        yield from _place("new", pair.new, difference.new)


def _place(side: str, row: Row | None, tree: TagTree) -> Iterator[Line]:
    if row is not None:
        path = row.path if isinstance(row, TagRow) else tree.tags[row.tag].path
        call = f"  call {short(row.call)}" if isinstance(row, AnswerRow) else ""
        yield ((f"  {side}  ", "quiet"), HANG, (f"{row.id}  {' / '.join(path)}{call}", "plain"))


def _group(comparison: Comparison, pair: Pair) -> Group | None:
    """The group that the item is in, None where it is the same."""
    row = pair.new or pair.old
    key = row.id if row is not None else ""
    groups = (group for group in comparison.groups if group.stage == f"{pair.kind}s")
    return next((group for group in groups if any(item.id == key for item in group.items)), None)
