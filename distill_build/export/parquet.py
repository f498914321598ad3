"""Apache Parquet with the columns of the CSV, the path as a list, and the row as messages. The only place that knows
pyarrow.

One version of pyarrow writes the same bytes for the same rows: format version, compression and row groups are
fixed, and no time is written. Its own version stands in the file.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate, chain, repeat
from pathlib import Path
from typing import Any, Literal

import msgspec

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


class TokenColumn(msgspec.Struct, frozen=True):
    """A column whose cells are lists of numbers, one a token: or where `nested` lists of lists, as wide as a row says.

    `kind` says what the bytes of a cell are, little-endian; floats of 16 bits become 32, which everybody reads.
    """

    name: str
    kind: Literal["int8", "int32", "float16", "float32"]
    nested: bool = False


class TokenRow(msgspec.Struct, frozen=True):
    """One row: its id, for each column the bytes of its numbers, and how wide its nested lists are."""

    id: str
    cells: tuple[bytes, ...]
    width: int


WriteTokens = Callable[[Sequence[TokenRow]], None]


@contextmanager
def open_token_columns(path: Path, columns: Sequence[TokenColumn], *, with_id: bool) -> Iterator[WriteTokens]:
    """A new file with `columns`, and before them `id` if it is wanted: some trainers take no text. Each call of the
    function that it gives writes one row group."""
    import pyarrow
    from pyarrow.parquet import ParquetWriter

    types = [(column.name, _token_type(column)) for column in columns]
    schema = pyarrow.schema([("id", pyarrow.string()), *types] if with_id else types)
    with ParquetWriter(path, schema, version="2.6", compression="zstd", compression_level=3) as writer:

        def write(rows: Sequence[TokenRow]) -> None:
            ids = [pyarrow.array([row.id for row in rows], pyarrow.string())] if with_id else []
            lists = [_token_lists(column, place, rows) for place, column in enumerate(columns)]
            writer.write_batch(pyarrow.record_batch([*ids, *lists], schema=schema))

        yield write


def _token_type(column: TokenColumn) -> Any:
    import pyarrow

    kinds = {"int8": pyarrow.int8(), "int32": pyarrow.int32()}
    flat = pyarrow.list_(kinds.get(column.kind, pyarrow.float32()))
    return pyarrow.list_(flat) if column.nested else flat


def _token_lists(column: TokenColumn, place: int, rows: Sequence[TokenRow]) -> Any:
    """One column of some rows: all their numbers in one piece, and where each list ends."""
    import pyarrow

    size = {"int8": 1, "int32": 4, "float16": 2, "float32": 4}[column.kind]
    numbers = [len(row.cells[place]) // size for row in rows]
    buffer = pyarrow.py_buffer(b"".join(row.cells[place] for row in rows))
    values = pyarrow.Array.from_buffers(getattr(pyarrow, column.kind)(), sum(numbers), [None, buffer])
    if column.kind == "float16":
        values = values.cast(pyarrow.float32())
    if not column.nested:
        return pyarrow.ListArray.from_arrays(_ends(numbers), values)
    lists = [number // row.width for number, row in zip(numbers, rows, strict=True)]
    widths = chain.from_iterable(repeat(row.width, number) for number, row in zip(lists, rows, strict=True))
    return pyarrow.ListArray.from_arrays(_ends(lists), pyarrow.ListArray.from_arrays(_ends(widths), values))


def _ends(lengths: Iterable[int]) -> Any:
    import pyarrow

    return pyarrow.array(accumulate(lengths, initial=0), pyarrow.int32())


def no_row_in_parquet(path: Path) -> bool:
    """Whether a file has no row."""
    return rows_in_parquet(path) == 0


def rows_in_parquet(path: Path) -> int:
    """How many rows a file has."""
    from pyarrow.parquet import read_metadata

    rows: int = read_metadata(path).num_rows
    return rows


def read_parquet(content: bytes) -> Iterator[JsonObject]:
    """The rows of a file of anybody's, given what is in it. Raises ImportError without pyarrow, ValueError for what is
    no such file, and where two columns have one name."""
    from pyarrow import ArrowException, BufferReader
    from pyarrow.parquet import ParquetFile

    try:
        file = ParquetFile(BufferReader(content))
        names = file.schema_arrow.names
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"two columns are called {twice}")
        for batch in file.iter_batches():
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
