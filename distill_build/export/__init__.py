"""Records → dataset formats. Knows answers.jsonl, and nothing of builds, stages or models."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path

from distill_build.artefact_rows import AnswerRow, read_rows
from distill_build.export.formats import FORMATS, check_formats
from distill_build.export.layout import Layout
from distill_build.settings import FormatSettings

__all__ = ["FORMATS", "check_formats", "write_exports"]

BATCH_ROWS = 1000
"""Rows that are in memory at once, and in one row group of a Parquet file."""


def write_exports(
    answers: Path, folder: Path, formats: Sequence[str], options: FormatSettings, system_prompt: str | None
) -> list[Path]:
    """Writes answers.jsonl into `folder` in each of `formats`, in one pass, and returns the files.

    The bytes depend on the arguments alone. All files are closed, none is synced. Raises ConfigurationError for
    a format that cannot be written (see `check_formats`), StorageError for a line that cannot be read.
    """
    check_formats(formats)
    layout = Layout(options.reasoning, options.metadata, system_prompt)
    folder.mkdir(parents=True, exist_ok=True)
    places = {folder / FORMATS[name].file_name: FORMATS[name] for name in formats}
    with ExitStack() as stack:
        writers = [stack.enter_context(form.open(path, layout)) for path, form in places.items()]
        for rows in _batches(read_rows(answers, AnswerRow)):
            for write in writers:
                write(rows)
    return list(places)


def _batches(rows: Iterator[AnswerRow]) -> Iterator[list[AnswerRow]]:
    while batch := list(islice(rows, BATCH_ROWS)):
        yield batch
