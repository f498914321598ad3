"""What differs between two versions of a dataset, item by item.

An item is the same where its id is, or would be if a renamed tag had kept its label (see `tag_matching`). Questions
cannot change: another text is another question. An answer changes where its reasoning or its answer text does.
Only chunks that the versions do not share are read, and of an answer's texts only digests are kept.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import msgspec

from distill_build.artefact_rows import TagRow
from distill_build.records import answer_id, question_id
from distill_build.versions.content import Content, rows_in, shared_chunks
from distill_build.versions.difference_rows import ANSWERS, QUESTIONS, TAGS, AnswerRow, QuestionRow
from distill_build.versions.tag_matching import Matcher, Matching, TagTree, tree_of


class Item(msgspec.Struct, frozen=True, gc=False):
    """A tag, question or answer of one side. `question` is a text; `question_id`, `sample`, `call` are an answer's."""

    id: str
    tag: str
    question: str = ""
    question_id: str = ""
    sample: int = 0
    call: str = ""


class ChangedAnswer(msgspec.Struct, frozen=True, gc=False):
    """An answer with another text, as it is in the new version; which texts, and the call and id that it had before."""

    item: Item
    reasoning: bool
    answer: bool
    old_call: str
    old_id: str


@dataclass(slots=True)
class Stage:
    """The items of one stage. `removed` are those of the old version, all others are of the new one."""

    added: list[Item] = field(default_factory=list)
    removed: list[Item] = field(default_factory=list)
    same: int = 0


@dataclass(slots=True)
class Answers(Stage):
    """`other_request` counts answers whose texts are the same, but came from another request."""

    changed: list[ChangedAnswer] = field(default_factory=list)
    other_request: int = 0


@dataclass(frozen=True, slots=True)
class Difference:
    """All that differs. A renamed tag is neither added nor removed; those below it are the same.

    `moved` maps questions below renamed tags from the id that they had to the one that they have.
    """

    old: TagTree
    new: TagTree
    matching: Matching
    moved: dict[str, str]
    tags: Stage
    questions: Stage
    answers: Answers

    @property
    def renamed(self) -> list[tuple[TagRow, TagRow]]:
        """The tops of renamed subtrees, old and new."""
        return self.matching.renamed


def compare(old: Content, new: Content) -> Difference:
    """What differs between two versions. Raises StorageError where a file cannot be read."""
    matcher = Matcher(tree_of(rows_in(old, TAGS, TagRow)), tree_of(rows_in(new, TAGS, TagRow)))
    shared = shared_chunks(old, new, QUESTIONS)
    old_rows = list(rows_in(old, QUESTIONS, QuestionRow, shared))
    new_rows = list(rows_in(new, QUESTIONS, QuestionRow, shared))
    old_left, new_left = matcher.undecided
    if old_left and new_left:
        matcher.match_renamed(_texts(old_rows, old_left), _texts(new_rows, new_left))
    moved = dict(_moved(old_rows, matcher.matching.pairs))
    return Difference(
        matcher.old,
        matcher.new,
        matcher.matching,
        moved,
        _tags(matcher),
        _questions(old_rows, new_rows, moved, new.lines(QUESTIONS)),
        _answers(old, new, moved),
    )


def _texts(rows: list[QuestionRow], tags: set[str]) -> dict[str, list[str]]:
    """The questions of `tags`."""
    texts = defaultdict[str, list[str]](list)
    for row in rows:
        if row.tag in tags:
            texts[row.tag].append(row.question)
    return texts


def _moved(rows: list[QuestionRow], pairs: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Old question → the id that it has under its renamed tag."""
    for row in rows:
        tag = pairs.get(row.tag, row.tag)
        if tag != row.tag:
            yield row.id, question_id(tag, row.question)


def _tags(matcher: Matcher) -> Stage:
    old_left, new_left = matcher.undecided
    return Stage(
        added=[Item(key, key) for key in matcher.new.tags if key in new_left],
        removed=[Item(key, key) for key in matcher.old.tags if key in old_left],
        same=len(matcher.matching.pairs) - len(matcher.matching.renamed),
    )


def _questions(old_rows: list[QuestionRow], new_rows: list[QuestionRow], moved: Mapping[str, str], total: int) -> Stage:
    """`total` counts the new version's questions, those in shared chunks among them."""
    before = {moved.get(row.id, row.id): row for row in old_rows}
    added = [Item(row.id, row.tag, row.question) for row in new_rows if before.pop(row.id, None) is None]
    removed = [Item(row.id, row.tag, row.question) for row in before.values()]
    return Stage(added, removed, total - len(added))


class _Before(msgspec.Struct, frozen=True, gc=False):
    """An old answer. Texts are kept as Python's 64-bit hashes: among a million, two are alike once in 10^7 times."""

    item: Item
    reasoning: int
    answer: int


def _answers(old: Content, new: Content, moved: Mapping[str, str]) -> Answers:
    shared = shared_chunks(old, new, ANSWERS)
    before = dict(_before(old, shared, moved))
    found = Answers()
    for row in rows_in(new, ANSWERS, AnswerRow, shared):
        other = before.pop(row.id, None)
        if other is None:
            found.added.append(_item(row))
            continue
        reasoning, answer = other.reasoning != hash(row.reasoning), other.answer != hash(row.answer)
        if reasoning or answer:
            found.changed.append(ChangedAnswer(_item(row), reasoning, answer, other.item.call, other.item.id))
        else:
            found.other_request += other.item.call != row.call
    found.removed = [other.item for other in before.values()]
    found.same = new.lines(ANSWERS) - len(found.added) - len(found.changed)
    return found


def _before(old: Content, shared: frozenset[str], moved: Mapping[str, str]) -> Iterator[tuple[str, _Before]]:
    """The old answers by the ids that they would have in the new version."""
    for row in rows_in(old, ANSWERS, AnswerRow, shared):
        question = moved.get(row.question_id)
        key = row.id if question is None else answer_id(question, row.sample)
        yield key, _Before(_item(row), hash(row.reasoning), hash(row.answer))


def _item(row: AnswerRow) -> Item:
    return Item(row.id, row.tag, row.question, row.question_id, row.sample, row.call)
