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
from typing import Literal

import msgspec

from distill_build.records import JsonObject

TAG = re.compile(r"<(/?)think>")
TRAIN: Literal["train"] = "train"
"""The side of all rows where nothing splits them."""


class Layout(msgspec.Struct, frozen=True):
    """How rows are laid out; `system_prompt` stands before each question, None for none. `csv_bom` is of CSV alone.

    `columns` are what rows tell of themselves beside their ids and their place, by name: whether that is a text or a
    number.
    """

    reasoning: Literal["think", "field", "drop"]
    metadata: bool
    system_prompt: str | None
    csv_bom: bool = False
    columns: Mapping[str, Literal["text", "number"]] = {}


class TrainingRow(msgspec.Struct, frozen=True, gc=False):
    """What a model is to learn from one row of a dataset, whichever stage that is of.

    `question_id` is the question's where there is a row for it; `tag` and `path` are the place in the tree; `side` is
    the one that it was split to. `more` holds what stands in `Layout.columns`.
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


Write = Callable[[Sequence[TrainingRow]], None]
Open = Callable[[Path, Layout], AbstractContextManager[Write]]
"""Opens a new file at a path, and gives a function that appends rows to it until the context ends."""


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

    A text is "" where a row has none, as reasoning is.
    """
    if not layout.metadata:
        return {}
    texts = {name for name, kind in layout.columns.items() if kind == "text"}
    more = {name: "" if value is None and name in texts else value for name, value in row.more.items()}
    return {
        "metadata": {"id": row.id, "question_id": row.question_id, "tag": row.tag, "path": row.path, **more},
    }


def reasoning_field(row: TrainingRow, layout: Layout) -> JsonObject:
    """The `reasoning` field of a row of a JSON format, as an object to be merged into it.

    "" where a row has none: readers that take a column's type from the first rows want text in all of them.
    """
    return {"reasoning": row.reasoning or ""} if layout.reasoning == "field" else {}
