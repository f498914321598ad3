"""Rows of the default stages, made by hand: what a build would write for them."""

from dataclasses import dataclass

from distill_build.records import JsonObject, Path, Usage, row_id


def tag_id(parent: str, label: str) -> str:
    """The id of a tag; `parent` is the parent tag's id, or the topic's text on level 1."""
    return row_id("t", parent, label)


def question_id(tag: str, question: str) -> str:
    """The id of a question below the leaf tag with id `tag`."""
    return row_id("q", tag, question)


def answer_id(question: str, sample: int) -> str:
    """The id of answer number `sample` (from 0) to the question with id `question`."""
    return row_id("a", question, sample)


def dedup_row(question: "Question") -> JsonObject:
    """The line of dedup.jsonl for a question that is kept."""
    return {"id": question.id, "kept": True, "why": [], "same_as": None}


@dataclass(frozen=True, slots=True)
class Tag:
    """`path` starts with the topic; `level` 1 is below the topic; `number` is for people and in no prompt."""

    id: str
    path: Path
    number: str
    label: str
    parent: str | None
    level: int
    leaf: bool

    def row(self) -> JsonObject:
        """The line of tags.jsonl."""
        return {
            "id": self.id,
            "path": list(self.path),
            "number": self.number,
            "label": self.label,
            "parent": self.parent,
            "level": self.level,
            "leaf": self.leaf,
            "flags": [],
        }


@dataclass(frozen=True, slots=True)
class Question:
    """A question of the leaf tag `tag`, whose path is `path`; `index` counts from 0 within the leaf."""

    id: str
    tag: str
    path: Path
    index: int
    question: str

    def row(self) -> JsonObject:
        """The line of questions.jsonl."""
        return {
            "id": self.id,
            "tag": self.tag,
            "path": list(self.path),
            "index": self.index,
            "question": self.question,
            "flags": [],
        }


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer number `sample` to a question; `call` is the key of the cached call that holds the response."""

    question: Question
    sample: int
    reasoning: str | None
    answer: str
    model: str
    finish_reason: str | None
    usage: Usage
    call: str

    @property
    def id(self) -> str:
        return answer_id(self.question.id, self.sample)

    def row(self) -> JsonObject:
        """The line of answers.jsonl."""
        return {
            "id": self.id,
            "question_id": self.question.id,
            "tag": self.question.tag,
            "path": list(self.question.path),
            "sample": self.sample,
            "question": self.question.question,
            "reasoning": self.reasoning,
            "answer": self.answer,
            "model": self.model,
            "finish_reason": self.finish_reason,
            "usage": self.usage.row(),
            "call": self.call,
            "flags": [] if self.reasoning else ["no_reasoning"],
        }
