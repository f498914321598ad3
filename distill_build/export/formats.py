"""The dataset formats, in one table: name → file name and how it is opened."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec

from distill_build.errors import ConfigurationError
from distill_build.export.json_lines import alpaca, json_lines, messages, sharegpt
from distill_build.export.layout import Open
from distill_build.export.parquet import open_parquet
from distill_build.export.tabular import open_csv


@dataclass(frozen=True, slots=True)
class Format:
    """`needs` is the package without which it cannot be written, and `extra` the extra that brings it."""

    file_name: str
    open: Open
    needs: str = ""
    extra: str = ""


FORMATS: Mapping[str, Format] = {
    "messages": Format("train.messages.jsonl", json_lines(messages)),
    "alpaca": Format("train.alpaca.jsonl", json_lines(alpaca)),
    "sharegpt": Format("train.sharegpt.jsonl", json_lines(sharegpt)),
    "csv": Format("train.csv", open_csv),
    "parquet": Format("train.parquet", open_parquet, needs="pyarrow", extra="parquet"),
}


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
