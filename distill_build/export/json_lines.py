"""The formats with one JSON object a line, UTF-8, not ASCII-escaped: messages, alpaca and sharegpt.

References: https://huggingface.co/docs/trl/dataset_formats (conversational language modeling) for messages, and
https://github.com/hiyouga/LLaMA-Factory/blob/main/data/README.md for the other two.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import msgspec

from distill_build.export.layout import Layout, Open, TrainingRow, Write, additions, reasoning_field, reply
from distill_build.records import JsonObject


def json_lines(record: Callable[[TrainingRow, Layout], JsonObject]) -> Open:
    """A format whose lines are what `record` makes of each row, keys in its order."""

    def open_lines(path: Path, layout: Layout) -> AbstractContextManager[Write]:
        return _opened(path, layout, record)

    return open_lines


@contextmanager
def _opened(path: Path, layout: Layout, record: Callable[[TrainingRow, Layout], JsonObject]) -> Iterator[Write]:
    encode = msgspec.json.Encoder().encode_lines
    with path.open("wb") as file:

        def write(rows: Sequence[TrainingRow]) -> None:
            file.write(encode([record(row, layout) for row in rows]))

        yield write


def no_line_in(path: Path) -> bool:
    """Whether a file has no row."""
    return path.stat().st_size == 0


def messages(row: TrainingRow, layout: Layout) -> JsonObject:
    """The chat format of OpenAI: {"messages": [{"role": …, "content": …}, …]}.

    With a field of its own, reasoning is `reasoning_content`, the name that chat templates read.
    """
    assistant = {"role": "assistant", "content": reply(row, layout)}
    if layout.reasoning == "field":
        assistant["reasoning_content"] = row.reasoning or ""
    turns = [{"role": "user", "content": row.question}, assistant]
    if layout.system_prompt is not None:
        turns.insert(0, {"role": "system", "content": layout.system_prompt})
    return {"messages": turns, **additions(row, layout)}


def alpaca(row: TrainingRow, layout: Layout) -> JsonObject:
    """The format of Stanford Alpaca, with LLaMA-Factory's `system`: {"instruction", "input", "output", "system"}.

    `input` is always empty: a question needs no second text.
    """
    return {
        "instruction": row.question,
        "input": "",
        "output": reply(row, layout),
        "system": layout.system_prompt or "",
        **reasoning_field(row, layout),
        **additions(row, layout),
    }


def sharegpt(row: TrainingRow, layout: Layout) -> JsonObject:
    """The format of ShareGPT: {"conversations": [{"from": "human", "value": …}, {"from": "gpt", "value": …}]}.

    `system` is there where there is a system prompt.
    """
    conversations = [
        {"from": "human", "value": row.question},
        {"from": "gpt", "value": reply(row, layout)},
    ]
    system = {"system": layout.system_prompt} if layout.system_prompt is not None else {}
    return {"conversations": conversations, **system, **reasoning_field(row, layout), **additions(row, layout)}
