"""What a dataset is made of: tags, questions, answers, and what could not be made. Pure and frozen.

Ids come from place and content, so the same item has the same id in every build and on every machine. 64 bits
of SHA-256: among a million items a collision has a chance of about one in 10^7.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

Path = tuple[str, ...]
JsonObject = dict[str, Any]
Source = tuple[str, str]
"""Where something was read from: the key of a call, and the digest of the response to it that was used."""

ID_HEX_DIGITS = 16
SHOWN_DIGITS = 12


def row_id(prefix: str, *parts: str | int) -> str:
    """The id of a row: `prefix` is its stage's, `parts` are the id of what it lies below, and what it is there."""
    text = json.dumps([prefix, *parts], ensure_ascii=False, separators=(",", ":"))
    return f"{prefix}_{hashlib.sha256(text.encode()).hexdigest()[:ID_HEX_DIGITS]}"


def number_of(amount: int, plural: str) -> str:
    """`amount` of something: "11 tags", "1 tag". The noun is a plural with s."""
    return f"{amount:,} {plural.removesuffix('s') if amount == 1 else plural}"


def rows_of(amount: int, stage: str, kind: str = "") -> str:
    """`amount` rows of a stage: "11 tags", "1 tag", "2 more tags" of the kind "more "; "3 rows of dedup" where its name
    is no plural.
    """
    if stage.endswith("s"):
        return number_of(amount, f"{kind}{stage}")
    return f"{number_of(amount, f'{kind}rows')} of {stage}"


def short(digest: str) -> str:
    """The beginning of a digest, as people are shown it: of a version, most often."""
    return digest[:SHOWN_DIGITS]


def tag_id(parent: str, label: str) -> str:
    """The id of a tag; `parent` is the parent tag's id, or the topic's text on level 1."""
    return row_id("t", parent, label)


def question_id(tag: str, question: str) -> str:
    """The id of a question below the leaf tag with id `tag`."""
    return row_id("q", tag, question)


def answer_id(question: str, sample: int) -> str:
    """The id of answer number `sample` (from 0) to the question with id `question`."""
    return row_id("a", question, sample)


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
        }


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one response, as the endpoint counts them; reasoning tokens are part of the completion's."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0

    def row(self) -> JsonObject:
        """The `usage` of a line of answers.jsonl."""
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "reasoning_tokens": self.reasoning_tokens,
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
        }


@dataclass(frozen=True, slots=True)
class Failure:
    """Items that could not be made: `missing` of them, for the cause named, after `attempts` in the last build.

    A retry after a fault of the network is no attempt of its own.

    One for each answer (then `question_id` is set), and one for each parent that is short of tags or questions.
    """

    stage: str
    path: Path
    missing: int
    cause: str
    attempts: int
    detail: str
    question_id: str | None = None

    def row(self) -> JsonObject:
        """The line of failures.jsonl."""
        place: JsonObject = {"path": list(self.path)}
        if self.question_id is not None:
            place["question_id"] = self.question_id
        return {
            "stage": self.stage,
            **place,
            "missing": self.missing,
            "cause": self.cause,
            "attempts": self.attempts,
            # An endpoint's words may hold half a surrogate pair, which no file can.
            "detail": self.detail.encode(errors="replace").decode(),
        }
