"""Training rows → dataset formats. Knows nothing of files of a dataset, builds, stages or models."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path

from distill_build.export.formats import FORMATS, check_formats, first_if_empty
from distill_build.export.layout import Layout, TrainingRow
from distill_build.settings import FormatSettings

__all__ = ["FORMATS", "TrainingRow", "check_formats", "first_if_empty", "write_exports"]

BATCH_ROWS = 1000
"""Rows that are in memory at once, and in one row group of a Parquet file."""


def write_exports(
    rows: Iterable[TrainingRow],
    folder: Path,
    formats: Sequence[str],
    options: FormatSettings,
    system_prompt: str | None,
) -> list[Path]:
    """Writes `rows` into `folder` in each of `formats`, in one pass, and returns the files.

    The bytes depend on the arguments alone. All files are closed, none is synced. Raises ConfigurationError for
    a format that cannot be written (see `check_formats`), and whatever `rows` do.
    """
    check_formats(formats)
    layout = Layout(options.reasoning, options.metadata, system_prompt, options.csv_bom)
    folder.mkdir(parents=True, exist_ok=True)
    places = {folder / FORMATS[name].file_name: FORMATS[name] for name in formats}
    with ExitStack() as stack:
        writers = [stack.enter_context(form.open(path, layout)) for path, form in places.items()]
        for batch in _batches(iter(rows)):
            for write in writers:
                write(batch)
    return list(places)


def _batches(rows: Iterator[TrainingRow]) -> Iterator[list[TrainingRow]]:
    while batch := list(islice(rows, BATCH_ROWS)):
        yield batch
