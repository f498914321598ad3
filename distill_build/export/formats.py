"""The dataset formats, in one table: name → file name and how it is opened."""

from collections.abc import Callable, Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path

import msgspec

from distill_build.errors import ConfigurationError
from distill_build.export.json_lines import (
    alpaca,
    json_lines,
    lines_in,
    messages,
    no_line_in,
    prompt_completion,
    sharegpt,
)
from distill_build.export.kd import open_kd
from distill_build.export.labels import labels
from distill_build.export.layout import TRAIN, Open
from distill_build.export.parquet import no_row_in_parquet, open_parquet, rows_in_parquet
from distill_build.export.preference import open_preference
from distill_build.export.soft import open_soft
from distill_build.export.tabular import no_row_in_csv, open_csv, rows_in_csv


class Format(msgspec.Struct, frozen=True):
    """`suffix` ends the name of a file, which begins with its side. `is_empty` says of a file whether it holds no row,
    `count` how many, reading all of it; `has_all` is false where not every row has a line in it. `needs` is the package
    without which it cannot be written, and `extra` the extra that brings it."""

    suffix: str
    open: Open
    is_empty: Callable[[Path], bool] = no_line_in
    count: Callable[[Path], int] = lines_in
    has_all: bool = True
    needs: str = ""
    extra: str = ""

    @property
    def lines(self) -> bool:
        """Whether it is JSON lines."""
        return self.suffix.endswith(".jsonl")


def _parquet(suffix: str, opened: Open, *, has_all: bool = True) -> Format:
    return Format(suffix, opened, no_row_in_parquet, rows_in_parquet, has_all, needs="pyarrow", extra="parquet")


PREFERENCE, LABELS, SOFT, KD = "preference", "labels", "soft", "kd"
FLAT = ("csv", LABELS)
"""Formats that have no place for the turns before the last."""
OF_TOKENS = (SOFT, KD)
"""Formats that are made of the teacher's log probabilities."""
FORMATS: Mapping[str, Format] = {
    "messages": Format("messages.jsonl", json_lines(messages)),
    "prompt_completion": Format("prompt_completion.jsonl", json_lines(prompt_completion)),
    "alpaca": Format("alpaca.jsonl", json_lines(alpaca)),
    "sharegpt": Format("sharegpt.jsonl", json_lines(sharegpt)),
    PREFERENCE: Format("preference.jsonl", open_preference, has_all=False),
    LABELS: Format("labels.jsonl", json_lines(labels), has_all=False),
    "csv": Format("csv", open_csv, no_row_in_csv, rows_in_csv),
    "parquet": _parquet("parquet", open_parquet),
    SOFT: _parquet("soft.parquet", open_soft, has_all=False),
    KD: _parquet("kd.parquet", open_kd, has_all=False),
}


def file_name(form: str, side: str) -> str:
    """The file of one side in a format."""
    return f"{side}.{FORMATS[form].suffix}"


def first_if_empty(files: Iterable[Path]) -> Path | None:
    """The first export of the training side among `files` that has all rows, else the first, where it holds none."""
    by_name = {file_name(name, TRAIN): form for name, form in FORMATS.items()}
    found = [path for path in files if path.name in by_name and path.is_file()]
    first = next(iter(sorted(found, key=lambda path: not by_name[path.name].has_all)), None)
    return first if first is not None and by_name[first.name].is_empty(first) else None


def check_formats(formats: Iterable[str]) -> None:
    """Raises ConfigurationError for a format that is not known or whose package is not installed.

    Cheap, to be called before a build spends anything.
    """
    for name in formats:
        if name not in FORMATS:
            raise ConfigurationError(f"formats={name} is not known: take some of {', '.join(FORMATS)}")
        needs, extra = FORMATS[name].needs, FORMATS[name].extra
        if needs and find_spec(needs) is None:
            raise ConfigurationError(
                f"formats={name} needs {needs}, which is not installed: pip install 'distill-build[{extra}]'"
            )
