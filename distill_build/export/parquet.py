"""Apache Parquet with the columns of the CSV, the path as a list, and the row as messages. The only place that knows
pyarrow.

One version of pyarrow writes the same bytes for the same rows: format version, compression and row groups are
fixed, and no time is written. Its own version stands in the file.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from distill_build.export.layout import Layout, TrainingRow, Write, asked, replied
from distill_build.export.tabular import cell, column_names
from distill_build.records import JsonObject

MESSAGES = "messages"
"""The column that trainers read; the others are for people."""
REPEATED = ("messages.list.element.role", "system", "tag", "path.list.element", "model")
"""Columns whose few values come again and again, so that a dictionary of them makes the file smaller."""


@contextmanager
def open_parquet(path: Path, layout: Layout) -> Iterator[Write]:
    """A new file; each call of the function that it gives writes one row group."""
    import pyarrow
    from pyarrow.parquet import ParquetWriter

    schema = _schema(layout)
    with ParquetWriter(
        path, schema, version="2.6", compression="zstd", compression_level=3, use_dictionary=list(REPEATED)
    ) as writer:

        def write(rows: Sequence[TrainingRow]) -> None:
            columns = [[_value(row, name, layout) for row in rows] for name in schema.names]
            arrays = [pyarrow.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
            writer.write_batch(pyarrow.record_batch(arrays, schema=schema))

        yield write


def no_row_in_parquet(path: Path) -> bool:
    """Whether a file has no row."""
    from pyarrow.parquet import read_metadata

    rows: int = read_metadata(path).num_rows
    return not rows


def read_parquet(content: bytes) -> Iterator[JsonObject]:
    """The rows of a file of anybody's, given what is in it. Raises ImportError without pyarrow, ValueError for what is
    no such file."""
    from pyarrow import ArrowException, BufferReader
    from pyarrow.parquet import ParquetFile

    try:
        for batch in ParquetFile(BufferReader(content)).iter_batches():
            yield from batch.to_pylist()
    except (ArrowException, OSError) as error:  # of pages that are torn, or packed badly
        raise ValueError(str(error)) from error


def _value(row: TrainingRow, name: str, layout: Layout) -> object:
    return [*asked(row, layout), replied(row, layout)] if name == MESSAGES else cell(row, name, layout)


def _schema(layout: Layout) -> Any:
    import pyarrow

    text, turn = pyarrow.string(), ["role", "content", *["reasoning_content"] * (layout.reasoning == "field")]
    special = {name: pyarrow.float64() for name, kind in layout.columns.items() if kind == "number"}
    special |= {"path": pyarrow.list_(text), "sample": pyarrow.int32()}
    special[MESSAGES] = pyarrow.list_(pyarrow.struct([(name, text) for name in turn]))
    return pyarrow.schema([(name, special.get(name, text)) for name in (MESSAGES, *column_names(layout))])
