"""One JSON object a line, UTF-8, not ASCII-escaped: the frame of messages, alpaca and sharegpt."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import msgspec

from distill_build.artefact_rows import AnswerRow
from distill_build.export.layout import Layout, Open, Write
from distill_build.records import JsonObject


def json_lines(record: Callable[[AnswerRow, Layout], JsonObject]) -> Open:
    """A format whose lines are what `record` makes of each row, keys in its order."""

    def open_lines(path: Path, layout: Layout) -> AbstractContextManager[Write]:
        return _opened(path, layout, record)

    return open_lines


@contextmanager
def _opened(path: Path, layout: Layout, record: Callable[[AnswerRow, Layout], JsonObject]) -> Iterator[Write]:
    encode = msgspec.json.Encoder().encode_lines
    with path.open("wb") as file:

        def write(rows: Sequence[AnswerRow]) -> None:
            file.write(encode([record(row, layout) for row in rows]))

        yield write
