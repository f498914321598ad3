"""The formats with one JSON object a line and a line for each row, UTF-8, not ASCII-escaped: messages,
prompt_completion, alpaca and sharegpt.

References: https://huggingface.co/docs/trl/dataset_formats (conversational language modeling, and prompt-completion)
for the first two, and https://github.com/hiyouga/LLaMA-Factory/blob/main/data/README.md for the others.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import msgspec

from distill_build.export.layout import (
    Layout,
    Open,
    TrainingRow,
    Write,
    additions,
    asked,
    reasoning_field,
    replied,
    reply,
    said_before,
)
from distill_build.records import JsonObject


def json_lines(record: Callable[[TrainingRow, Layout], JsonObject | None]) -> Open:
    """A format whose lines are what `record` makes of each row, keys in its order; None is no line."""

    def open_lines(path: Path, layout: Layout) -> AbstractContextManager[Write]:
        return _opened(path, layout, record)

    return open_lines


@contextmanager
def _opened(path: Path, layout: Layout, record: Callable[[TrainingRow, Layout], JsonObject | None]) -> Iterator[Write]:
    encode = msgspec.json.Encoder().encode_lines
    with path.open("wb") as file:

        def write(rows: Sequence[TrainingRow]) -> None:
            made = (record(row, layout) for row in rows)
            file.write(encode([each for each in made if each is not None]))

        yield write


def no_line_in(path: Path) -> bool:
    """Whether a file has no row."""
    return path.stat().st_size == 0


def lines_in(path: Path) -> int:
    """How many rows a file has."""
    with path.open("rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))


def messages(row: TrainingRow, layout: Layout) -> JsonObject:
    """The chat format of OpenAI: {"messages": [{"role": …, "content": …}, …]}."""
    return {"messages": [*asked(row, layout), replied(row, layout)], **additions(row, layout)}


def prompt_completion(row: TrainingRow, layout: Layout) -> JsonObject:
    """What a model is given, and what it is to learn: {"prompt": [{"role": "user", …}], "completion": [{"role":
    "assistant", …}]}. Trainers take the loss of the completion alone, under any chat template."""
    return {"prompt": asked(row, layout), "completion": [replied(row, layout)], **additions(row, layout)}


def alpaca(row: TrainingRow, layout: Layout) -> JsonObject:
    """The format of Stanford Alpaca, with LLaMA-Factory's `system`: {"instruction", "input", "output", "system"}.

    `input` is always empty: a question needs no second text. `history` has the turns before, where there are any.
    """
    history = (
        {"history": [[turn.question, said_before(turn, layout)] for turn in row.history]} if layout.dialogues else {}
    )
    return {
        "instruction": row.question,
        "input": "",
        "output": reply(row, layout),
        "system": layout.system_prompt or "",
        **history,
        **reasoning_field(row, layout),
        **additions(row, layout),
    }


def sharegpt(row: TrainingRow, layout: Layout) -> JsonObject:
    """The format of ShareGPT: {"conversations": [{"from": "human", "value": …}, {"from": "gpt", "value": …}]}.

    `system` is there where there is a system prompt.
    """
    said = [
        message
        for turn in row.history
        for message in ({"from": "human", "value": turn.question}, {"from": "gpt", "value": said_before(turn, layout)})
    ]
    conversations = [
        *said,
        {"from": "human", "value": row.question},
        {"from": "gpt", "value": reply(row, layout)},
    ]
    system = {"system": layout.system_prompt} if layout.system_prompt is not None else {}
    return {"conversations": conversations, **system, **reasoning_field(row, layout), **additions(row, layout)}
