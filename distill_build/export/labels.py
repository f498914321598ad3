"""The format for classifiers: {"text": the question, "label": what it is, "shares": {label: how much speaks for it}}.

`shares` are soft labels where no endpoint gives probabilities. Rows without a label have no line.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from distill_build.export.layout import Layout, TrainingRow, Write, additions
from distill_build.records import JsonObject


@contextmanager
def open_labels(path: Path, layout: Layout) -> Iterator[Write]:
    """A new file."""
    encode = msgspec.json.Encoder().encode_lines
    with path.open("wb") as file:

        def write(rows: Sequence[TrainingRow]) -> None:
            file.write(encode([_record(row, layout) for row in rows if row.label is not None]))

        yield write


def _record(row: TrainingRow, layout: Layout) -> JsonObject:
    shares = {label: float(share) for label, share in (row.shares or {}).items()}
    return {"text": row.question, "label": row.label, "shares": shares, **additions(row, layout)}
