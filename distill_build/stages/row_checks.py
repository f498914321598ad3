"""Whether the rows of a dataset fit each other: every id that of its content, once, and below something that is there.

What is remembered of 100,000 answers is their ids: some 20 MB.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import TypeVar

import msgspec

from distill_build.artefact_rows import TagRow, read_rows
from distill_build.errors import StorageError
from distill_build.records import answer_id, question_id, tag_id
from distill_build.stages.dataset import Dataset


class QuestionPlace(msgspec.Struct, frozen=True, gc=False):
    """A line of questions.jsonl: all that its id is made of."""

    id: str
    tag: str
    question: str


class AnswerPlace(msgspec.Struct, frozen=True, gc=False):
    """A line of answers.jsonl: all that its id is made of, and its tag."""

    id: str
    question_id: str
    tag: str
    sample: int


Place = TypeVar("Place", TagRow, QuestionPlace, AnswerPlace)
TWICE = "the id of an earlier row stands again"
FOREIGN = "the id is not that of the content"


class RowChecks:
    """One pass over each artefact of `dataset`. `counts` are the rows that were seen, by file."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self.counts: dict[str, int] = {}
        self._leaf_of_tag: dict[str, bool] = {}
        self._tag_of_question: dict[str, str] = {}
        self._answers: set[str] = set()

    def problems(self) -> Iterator[tuple[str, str]]:
        """(file, what is wrong with it): each kind once, with the number of rows and the first of them."""
        yield from self._pass("tags.jsonl", TagRow, self._tag)
        yield from self._pass("questions.jsonl", QuestionPlace, self._question)
        yield from self._pass("answers.jsonl", AnswerPlace, self._answer)

    def _pass(self, name: str, kind: type[Place], look: Callable[[Place], Iterator[str]]) -> Iterator[tuple[str, str]]:
        path = self.dataset.artefact(name)
        if not path.is_file():
            return
        numbers, first = Counter[str](), dict[str, str]()
        self.counts[name] = 0
        try:
            for row in read_rows(path, kind):
                self.counts[name] += 1
                for problem in look(row):
                    numbers[problem] += 1
                    first.setdefault(problem, row.id)
        except StorageError as error:
            yield name, str(error)
        yield from ((name, _told(problem, number, first[problem])) for problem, number in numbers.items())

    def _tag(self, row: TagRow) -> Iterator[str]:
        if row.id in self._leaf_of_tag:
            yield TWICE
        if row.id != tag_id(row.parent or row.path[0], row.label):
            yield FOREIGN
        if row.parent is not None and self._leaf_of_tag.get(row.parent, True):
            yield "the parent does not stand before the tag, or is a leaf"
        self._leaf_of_tag[row.id] = row.leaf

    def _question(self, row: QuestionPlace) -> Iterator[str]:
        if row.id in self._tag_of_question:
            yield TWICE
        if row.id != question_id(row.tag, row.question):
            yield FOREIGN
        if not self._leaf_of_tag.get(row.tag, False):
            yield "the tag is not there, or is no leaf"
        self._tag_of_question[row.id] = row.tag

    def _answer(self, row: AnswerPlace) -> Iterator[str]:
        if row.id in self._answers:
            yield TWICE
        if row.id != answer_id(row.question_id, row.sample):
            yield FOREIGN
        if self._tag_of_question.get(row.question_id) != row.tag:
            yield "the question is not there, or stands below another tag"
        self._answers.add(row.id)


def _told(problem: str, number: int, first: str) -> str:
    return f"{problem}, in {first}" + f" and {number - 1:,} more" * (number > 1)
