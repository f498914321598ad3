"""The lines of a dataset's files, read back one at a time as typed rows.

Knows the files alone: `distill_build.records` makes their lines, and here each reader names the fields that it
needs. Fields that are not named are skipped without being built, so a pass over 100,000 answers is short.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from distill_build.engine.artefacts import open_file
from distill_build.errors import StorageError
from distill_build.records import Source


class Identified(msgspec.Struct, frozen=True, gc=False):
    """Any line of tags.jsonl, questions.jsonl or answers.jsonl."""

    id: str


class TagRow(msgspec.Struct, frozen=True, gc=False):
    """A line of tags.jsonl."""

    id: str
    path: tuple[str, ...]
    number: str
    label: str
    parent: str | None
    leaf: bool


class OfTag(msgspec.Struct, frozen=True, gc=False):
    """A line of questions.jsonl or answers.jsonl: whose it is."""

    id: str
    tag: str


class QuestionText(msgspec.Struct, frozen=True, gc=False):
    """A line of questions.jsonl: what is asked."""

    question: str


class OfCall(msgspec.Struct, frozen=True, gc=False):
    """A line of answers.jsonl: its leaf, and the call that it was read from."""

    tag: str
    call: str


class OfQuestion(msgspec.Struct, frozen=True, gc=False):
    """A line of answers.jsonl: whose it is."""

    id: str
    tag: str
    question_id: str


class AnswerRow(msgspec.Struct, frozen=True, gc=False):
    """A line of answers.jsonl: what a training row is made of."""

    id: str
    question_id: str
    tag: str
    path: tuple[str, ...]
    sample: int
    question: str
    reasoning: str | None
    answer: str
    model: str


class SourcesRow(msgspec.Struct, frozen=True, gc=False):
    """A line of runs/sources.jsonl: a tag (or the topic, by its text) with the responses behind what is below it.

    `calls` are by stage: those that brought a list below it in their order, and those that rows below it were read
    from in the order of the rows.
    """

    id: str
    calls: dict[str, tuple[Source, ...]]

    @property
    def responses(self) -> tuple[Source, ...]:
        """All of them: key of the call and digest of the response."""
        return tuple(source for sources in self.calls.values() for source in sources)

    def of(self, stage: str) -> tuple[Source, ...]:
        """Those of one stage."""
        return self.calls.get(stage, ())


class FailureRow(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A line of failures.jsonl. `question_id` or `parent` is set where one result for a row is missing."""

    stage: str
    path: tuple[str, ...]
    missing: int
    cause: str
    attempts: int
    detail: str
    question_id: str | None = None
    parent: str | None = None

    @property
    def row(self) -> str | None:
        """The id of the row that lacks a result; None for a list that is short."""
        return self.question_id or self.parent


Row = TypeVar("Row")


def read_rows(path: Path, kind: type[Row]) -> Iterator[Row]:
    """The lines of the file at `path` as `kind`; none where there is no file.

    Raises StorageError with the number of a line that cannot be read.
    """
    return (row for row, _ in read_rows_with_lines(path, kind))


def read_rows_with_lines(path: Path, kind: type[Row]) -> Iterator[tuple[Row, bytes]]:
    """As `read_rows`, each row with the line that it came from."""
    if not path.exists():
        return
    decode = msgspec.json.Decoder(kind).decode
    with open_file(path) as lines:
        for number, line in enumerate(lines, start=1):
            if line.isspace():
                continue
            try:
                row = decode(line)
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                raise StorageError(
                    f"{path}, line {number}, cannot be read: {error}. Build the dataset again: the next build "
                    "keeps the damaged file beside and writes it anew from the cache"
                ) from error
            yield row, line
