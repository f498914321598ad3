"""What every format has to decide alike: where the reasoning goes, what identifies a row. Pure.

The one text that holds reasoning and answer has the form of DeepSeek-R1 and Qwen3, which trainers know:

    <think>
    …
    </think>

    …

Its first `</think>` is always the end of the reasoning. So a reasoning that speaks of the tag gets a space into
it (`</ think>`), and an answer that speaks of it but has no reasoning gets an empty block before it. The answer
itself is never changed, nor is anything where reasoning has a field of its own.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Literal, Protocol

import msgspec

from distill_build.records import JsonObject
from distill_build.settings import KdSettings
from distill_build.soft_labels import SoftLabels

TAG = re.compile(r"<(/?)think>")
TRAIN: Literal["train"] = "train"
"""The side of all rows where nothing splits them."""


class TokenSequence(msgspec.Struct, frozen=True):
    """A prompt in the tokens of the model that is to be trained, and a teacher's reply in the same, with its soft
    labels."""

    prompt: Sequence[int]
    reply: SoftLabels

    def __len__(self) -> int:
        return len(self.prompt) + len(self.reply)


class TokensOf(Protocol):
    """What rows are in tokens: None for one of which that cannot be had."""

    def soft_labels(self, row: "TrainingRow") -> SoftLabels | None: ...

    def token_sequence(self, row: "TrainingRow") -> TokenSequence | None: ...


class NoTokens:
    """Of no row."""

    def soft_labels(self, row: "TrainingRow") -> None:  # noqa: ARG002 - see TokensOf
        return None

    def token_sequence(self, row: "TrainingRow") -> None:  # noqa: ARG002
        return None


class Training(msgspec.Struct, frozen=True):
    """What is to be trained on the rows: `trainers` are those whose files are written beside them, `max_length` the
    tokens of a row that they train on at the most, `student` the model, "" for none that is known."""

    trainers: Sequence[str] = ()
    max_length: int = 2048
    student: str = ""


class Layout(msgspec.Struct, frozen=True):
    """How rows are laid out; `system_prompt` stands before each question, None for none. `csv_bom` is of CSV alone,
    `margin` of preference: how far two answers are rated apart at the least.

    `columns` are what rows tell of themselves beside their ids and their place, by name: whether that is a text or a
    number. `tokens` has what a row is in tokens, and `kd` is what the rows of kd are for. `dialogues` says that rows
    have turns before them.
    """

    reasoning: Literal["think", "field", "drop"]
    metadata: bool
    system_prompt: str | None
    csv_bom: bool = False
    margin: float = 1
    training: Training = Training()
    columns: Mapping[str, Literal["text", "number"]] = {}
    tokens: TokensOf = NoTokens()
    kd: KdSettings = KdSettings()
    dialogues: bool = False


class Turn(msgspec.Struct, frozen=True, gc=False):
    """A turn of a dialogue before the last: what was asked and answered, by which model, and the key of the call."""

    id: str
    question: str
    reasoning: str | None
    answer: str
    model: str = ""
    call: str = ""


class TrainingRow(msgspec.Struct, frozen=True, gc=False):
    """What a model is to learn from one row of a dataset, whichever stage that is of.

    `question_id` is the question's where there is a row for it; `tag` and `path` are the place in the tree; `side` is
    the one that it was split to. `more` holds what stands in `Layout.columns`. `call` is the key of the call whose
    reply it says, empty where a person wrote it. `label` is what the question is, and `shares` how much speaks for each
    label, where the stage tells that. `history` are the turns before, where it is the last one of a dialogue.
    """

    id: str
    question_id: str | None
    tag: str | None
    path: tuple[str, ...]
    sample: int
    question: str
    reasoning: str | None
    answer: str
    model: str
    side: str = TRAIN
    more: Mapping[str, str | float | None] = {}
    call: str = ""
    label: str | None = None
    shares: Mapping[str, float] | None = None
    history: tuple[Turn, ...] = ()


Write = Callable[[Sequence[TrainingRow]], None]
Open = Callable[[Path, Layout], AbstractContextManager[Write]]
"""Opens a new file at a path, and gives a function that appends rows to it until the context ends."""


UNRATED = -1.0
"""In the place of a number that a row does not have, in JSON: no mean is below 0. With null a file whose first 10 MB
have none does not load alone (datasets 4.0 to 5.2), whatever a card beside it says."""


def asked(row: TrainingRow, layout: Layout) -> list[JsonObject]:
    """The messages up to the reply: the system prompt, where there is one, the turns before, and the question.

    An answer before has its thought in a field of its own alone: from a text templates strip it.
    """
    system = [] if layout.system_prompt is None else [{"role": "system", "content": layout.system_prompt}]
    said = [message for turn in row.history for message in _said(turn, layout)]
    return [*system, *said, {"role": "user", "content": row.question}]


def _said(turn: Turn, layout: Layout) -> tuple[JsonObject, JsonObject]:
    answer = {"role": "assistant", "content": said_before(turn, layout), **_thought(turn, layout)}
    return {"role": "user", "content": turn.question}, answer


def said_before(turn: Turn, layout: Layout) -> str:
    """The answer of a turn before the last, without its thought."""
    return with_reasoning(None, turn.answer) if layout.reasoning == "think" else turn.answer


def _thought(turn: Turn | TrainingRow, layout: Layout) -> JsonObject:
    """With a field of its own, reasoning is `reasoning_content`, the name that chat templates read."""
    return {"reasoning_content": turn.reasoning or ""} if layout.reasoning == "field" else {}


def replied(row: TrainingRow, layout: Layout) -> JsonObject:
    """The message of the reply."""
    return {"role": "assistant", "content": reply(row, layout), **_thought(row, layout)}


def reply(row: TrainingRow, layout: Layout) -> str:
    """The text that a model is to learn to give."""
    return with_reasoning(row.reasoning, row.answer) if layout.reasoning == "think" else row.answer


def with_reasoning(reasoning: str | None, answer: str) -> str:
    """Reasoning and answer as one text whose first `</think>` ends the reasoning; the answer alone has no block."""
    if not reasoning and "</think>" not in answer:
        return answer
    thought = TAG.sub(r"<\1 think>", reasoning or "")
    return f"<think>\n{thought}\n</think>\n\n{answer}"


def additions(row: TrainingRow, layout: Layout) -> JsonObject:
    """The `metadata` of a row of a JSON format, as an object to be merged into it; empty where it is switched off.

    Readers take a column's type from the first rows, so each row has a value of it: a text is "" where there is none,
    as reasoning is, and a number UNRATED.
    """
    if not layout.metadata:
        return {}
    more = {name: _typed(row.more[name], kind) for name, kind in layout.columns.items()}
    place = {"id": row.id, "question_id": row.question_id or "", "tag": row.tag or "", "path": row.path}
    return {"metadata": {**place, **more}}


def _typed(value: str | float | None, kind: Literal["text", "number"]) -> str | float:
    """A number is never whole: 4 would be of another type than 4.5."""
    if kind == "number":
        return UNRATED if value is None else float(value)
    return "" if value is None else str(value)


def reasoning_field(row: TrainingRow, layout: Layout) -> JsonObject:
    """The `reasoning` field of a row of a JSON format, as an object to be merged into it.

    "" where a row has none: readers that take a column's type from the first rows want text in all of them.
    """
    return {"reasoning": row.reasoning or ""} if layout.reasoning == "field" else {}
