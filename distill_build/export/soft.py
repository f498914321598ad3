"""Soft labels in Parquet: for each row the tokens of the teacher's reply, and the likeliest at each place.

`token_ids` and `logprobs` are of the tokens that were drawn, `top_ids` and `top_logprobs` of the likeliest at the same
places, the likeliest first. A row without any has no line.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from distill_build.export.layout import Layout, TrainingRow, Write
from distill_build.export.parquet import TokenColumn, TokenRow, WriteTokens, open_token_columns

COLUMNS = (
    TokenColumn("token_ids", "int32"),
    TokenColumn("logprobs", "float16"),
    TokenColumn("top_ids", "int32", nested=True),
    TokenColumn("top_logprobs", "float16", nested=True),
)
LARGEST_GROUP = 8 << 20
"""Bytes of the rows that make a row group: they are in memory together, and a thousand long ones would fill it."""


@contextmanager
def open_soft(path: Path, layout: Layout) -> Iterator[Write]:
    """A new file; soft labels are had where the layout says."""
    with open_token_columns(path, COLUMNS, with_id=True) as write_group:

        def write(rows: Sequence[TrainingRow]) -> None:
            write_in_groups((_row(row, layout) for row in rows), write_group)

        yield write


def write_in_groups(rows: Iterable[TokenRow | None], write: WriteTokens) -> None:
    """Writes those that there are, as they come, in groups that memory can hold."""
    group, size = list[TokenRow](), 0
    for row in rows:
        if row is not None:
            group.append(row)
            size += sum(map(len, row.cells))
            if size >= LARGEST_GROUP:
                write(group)
                group, size = [], 0
    if group:
        write(group)


def _row(row: TrainingRow, layout: Layout) -> TokenRow | None:
    if (labels := layout.tokens.soft_labels(row)) is None:
        return None
    cells = (labels.token_ids, labels.logprobs, labels.top_ids, labels.top_logprobs)
    return TokenRow(row.id, cells, labels.width)
