"""Comma-separated values after RFC 4180: UTF-8 without a byte order mark, lines ended by CRLF, a header.

Fields with commas, quotes or line breaks stand in quotes, so texts come back as they were. Nothing is put before
a field that begins with `=`: that would change the data, and a spreadsheet is not what the file is for.
"""

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from distill_build.artefact_rows import AnswerRow
from distill_build.export.columns import cell, column_names
from distill_build.export.layout import Layout, Write

PATH_SEPARATOR = " / "


@contextmanager
def open_csv(path: Path, layout: Layout) -> Iterator[Write]:
    """A new file with its header."""
    names = column_names(layout)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(names)

        def write(rows: Sequence[AnswerRow]) -> None:
            writer.writerows([_flat(cell(row, name, layout)) for name in names] for row in rows)

        yield write


def _flat(value: object) -> object:
    return PATH_SEPARATOR.join(value) if isinstance(value, tuple) else value
