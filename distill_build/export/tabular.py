"""The tabular formats: their columns, and CSV. Reasoning and answer are columns of their own, unless it is dropped.

CSV is that of RFC 4180: UTF-8, with a byte order mark where the layout says so, lines ended by CRLF, a header. Fields
with commas, quotes or line breaks stand in quotes, so texts come back as they were. Nothing is put before a field that
begins with `=`: that would change the data, and a spreadsheet is not what the file is for.
"""

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from distill_build.export.layout import Layout, TrainingRow, Write

METADATA = ("id", "question_id", "tag", "path", "sample", "model")
PATH_SEPARATOR = " / "


def column_names(layout: Layout) -> tuple[str, ...]:
    """The columns in their order; all but `system` are fields of a row."""
    system = () if layout.system_prompt is None else ("system",)
    reasoning = () if layout.reasoning == "drop" else ("reasoning",)
    return (*system, "question", *reasoning, "answer", *((*METADATA, *layout.columns) if layout.metadata else ()))


def cell(row: TrainingRow, name: str, layout: Layout) -> object:
    """What stands in column `name`: text, a number, a path, or None."""
    if name in layout.columns:
        return row.more[name]
    return layout.system_prompt if name == "system" else getattr(row, name)


@contextmanager
def open_csv(path: Path, layout: Layout) -> Iterator[Write]:
    """A new file with its header."""
    names = column_names(layout)
    with path.open("w", encoding="utf-8-sig" if layout.csv_bom else "utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(names)

        def write(rows: Sequence[TrainingRow]) -> None:
            writer.writerows([_flat(cell(row, name, layout)) for name in names] for row in rows)

        yield write


def no_row_in_csv(path: Path) -> bool:
    """Whether a file has its header alone."""
    with path.open("rb") as file:
        file.readline()
        return not file.read(1)


def rows_in_csv(path: Path) -> int:
    """How many rows a file has below its header: a line within quotes ends none."""
    quotes = ends = 0
    with path.open("rb") as file:
        for line in file:
            quotes += line.count(b'"')
            ends += quotes % 2 == 0
    return ends - 1


def _flat(value: object) -> object:
    return PATH_SEPARATOR.join(value) if isinstance(value, tuple) else value
