"""The lines of a version's files, as far as a comparison reads them. Fields that are not named are skipped.

`gc=False`: hundreds of thousands of rows that hold text alone are nothing for the garbage collector to walk.
"""

import msgspec

TAGS, QUESTIONS, ANSWERS = "tags.jsonl", "questions.jsonl", "answers.jsonl"
FAILURES, SOURCES = "failures.jsonl", "runs/sources.jsonl"


class QuestionRow(msgspec.Struct, frozen=True, gc=False):
    """A line of questions.jsonl."""

    id: str
    tag: str
    index: int
    question: str


class AnswerRow(msgspec.Struct, frozen=True, gc=False):
    """A line of answers.jsonl."""

    id: str
    question_id: str
    tag: str
    sample: int
    question: str
    reasoning: str | None
    answer: str
    call: str


class FailureRow(msgspec.Struct, frozen=True, gc=False):
    """A line of failures.jsonl."""

    stage: str
    path: tuple[str, ...]
    question_id: str | None = None
