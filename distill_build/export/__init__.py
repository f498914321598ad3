"""Training rows → dataset formats. Knows nothing of files of a dataset, builds, stages or models."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path

from distill_build.export.card import CARD, card
from distill_build.export.formats import (
    FLAT,
    FORMATS,
    KD,
    LABELS,
    OF_TOKENS,
    PREFERENCE,
    check_formats,
    file_name,
    first_if_empty,
)
from distill_build.export.layout import TRAIN, Layout, TrainingRow, Turn
from distill_build.export.preference import RATING
from distill_build.export.trainers import check_trainers, trainer_files

__all__ = [
    "CARD",
    "FLAT",
    "FORMATS",
    "KD",
    "LABELS",
    "OF_TOKENS",
    "PREFERENCE",
    "RATING",
    "TRAIN",
    "Layout",
    "TrainingRow",
    "Turn",
    "check_formats",
    "check_trainers",
    "file_name",
    "filled_in",
    "first_if_empty",
    "write_companions",
    "write_exports",
]

BATCH_ROWS = 1000
"""Rows that are in memory at once, and in one row group of a Parquet file."""


def write_exports(
    rows: Iterable[TrainingRow], folder: Path, formats: Sequence[str], layout: Layout, sides: Sequence[str] = (TRAIN,)
) -> list[Path]:
    """Writes `rows` into `folder` in each of `formats`, in one pass, and returns the files: one for each side.

    The bytes depend on the arguments alone. All files are closed, none is synced. Raises ConfigurationError for
    a format that cannot be written (see `check_formats`), and whatever `rows` do.
    """
    check_formats(formats)
    folder.mkdir(parents=True, exist_ok=True)
    places = {(name, side): folder / file_name(name, side) for name in formats for side in sides}
    with ExitStack() as stack:
        writers = [(side, stack.enter_context(FORMATS[name].open(at, layout))) for (name, side), at in places.items()]
        for batch in _batches(iter(rows)):
            lost = {row.side for row in batch} - set(sides)
            assert not lost, f"rows of {lost} go into no file"  # noqa: S101 - a side is one of those a recipe names
            for side, write in writers:
                if own := batch if len(sides) == 1 else [row for row in batch if row.side == side]:
                    write(own)
    return list(places.values())


def write_companions(folder: Path, formats: Sequence[str], layout: Layout, sides: Sequence[str]) -> list[Path]:
    """Writes what makes the exports that lie in `folder` load by name, and work in trainers; returns the files."""
    filled = filled_in(folder, formats, sides)
    texts = {CARD: card(filled)} | trainer_files(filled, layout)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in texts]


def filled_in(folder: Path, formats: Sequence[str], sides: Sequence[str]) -> dict[str, list[str]]:
    """The sides of which the exports in `folder` have a row, by format."""
    return {name: [side for side in sides if not _is_empty(folder, name, side)] for name in formats}


def _is_empty(folder: Path, form: str, side: str) -> bool:
    return FORMATS[form].is_empty(folder / file_name(form, side))


def _batches(rows: Iterator[TrainingRow]) -> Iterator[list[TrainingRow]]:
    while batch := list(islice(rows, BATCH_ROWS)):
        yield batch
