"""The questions of benchmarks, from files, and whether a text has a run of words in common with them.

A run is `ngram` words, lower-cased and without punctuation, one behind the other; where words are not set apart, as in
Chinese, each character is one. A text of fewer words is one run by itself. (s1, https://arxiv.org/abs/2501.19393, and
open-r1 drop what has any run of 8 in common.)
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from distill_build.errors import ConfigurationError
from distill_build.export.parquet import read_parquet
from distill_build.replies.labels import CJK, normalise

COLUMNS = ("question", "problem", "prompt", "instruction", "query", "text", "input")
"""Where a row of a benchmark has its question, by the first of these names that it has."""
RUN_BYTES = 8
PARQUET, OBJECTS, TEXTS = ".parquet", (".jsonl", ".ndjson", ".json"), (".txt", ".md")
MARK = "#"
"""Behind a file, before the name of the column that holds its questions."""


@cache  # see `labels.cjk`
def one_word() -> re.Pattern[str]:
    """A word, or a character where none are set apart."""
    return re.compile(rf"{CJK}|(?:(?!{CJK})\w)+")


def set_apart(text: str) -> list[str]:
    """The words of a text, and the characters where none are set apart."""
    return one_word().findall(normalise(text))


def runs_of(text: str, ngram: int) -> list[tuple[str, ...]]:
    """Every run of a text; one alone where it has no more words than that, and none where it has no word."""
    words = set_apart(text)
    return [tuple(words[start : start + ngram]) for start in range(max(1, len(words) - ngram + 1))] if words else []


class Benchmark(msgspec.Struct, frozen=True):
    """A file as it was read: its questions, and the SHA-256 of the same bytes. `file` is what it is named by, with the
    column of its questions."""

    file: str
    sha256: str
    questions: tuple[str, ...]


class Benchmarks:
    """The runs of the questions in some, each with the first file that has it. 1,000,000 of them take 100 MB."""

    def __init__(self, benchmarks: Sequence[Benchmark], ngram: int) -> None:
        self._ngram = ngram
        self._runs: dict[bytes, str] = {}
        for benchmark in benchmarks:
            for question in benchmark.questions:
                for run in runs_of(question, ngram):
                    self._runs.setdefault(_digest(run), benchmark.file)

    def hits(self, text: str) -> tuple[list[tuple[str, str]], int]:
        """The runs of `text` that a benchmark has, each with that one's file; and how many it has at all."""
        runs = runs_of(text, self._ngram)
        found = ((" ".join(run), self._runs.get(_digest(run))) for run in runs)
        return [(run, file) for run, file in found if file is not None], len(runs)


def read_benchmark(file: str) -> Benchmark:
    """Reads a file once. Raises ConfigurationError for one that is not there, cannot be read or holds no question."""
    path, column = _parted(file)
    if not path.endswith((PARQUET, *OBJECTS, *TEXTS)):
        raise ConfigurationError(
            f"{_setting(file)}: a benchmark is a file {PARQUET}, {OBJECTS[0]} with one object a line, or {TEXTS[0]} "
            "with one question a line"
        )
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{_setting(file)} cannot be read: {error.strerror}") from error
    rows = _parquet_rows(file, content) if path.endswith(PARQUET) else _rows(file, path, content)
    texts = [
        row if isinstance(row, str) else _question(row, column, f"{path}, row {number}")
        for number, row in enumerate(rows, 1)
    ]
    questions = tuple(text for text in texts if set_apart(text))
    if not questions:
        raise ConfigurationError(f"{_setting(file)}: there is no question in it: leave it out, or fetch it again")
    return Benchmark(file, hashlib.sha256(content).hexdigest(), questions)


def _rows(file: str, path: str, content: bytes) -> Iterator[Any]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{_setting(file)} is no UTF-8 text: {error.reason} at byte {error.start}") from error
    lines = [line.removesuffix("\r") for line in text.split("\n")]  # other breaks may stand within a text
    if not path.endswith(OBJECTS):
        yield from lines
        return
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                yield msgspec.json.decode(line)
            except msgspec.DecodeError as error:
                raise ConfigurationError(
                    f"{_setting(file)}, line {number} is no JSON ({error}): a benchmark has one object a line; a text "
                    "with one question a line is named .txt"
                ) from error


def _parquet_rows(file: str, content: bytes) -> Iterator[Any]:
    try:
        yield from read_parquet(content)
    except ImportError:
        raise ConfigurationError(
            f"{_setting(file)} needs pyarrow, which is not installed: pip install 'distill-build[parquet]'"
        ) from None
    except ValueError as error:
        raise ConfigurationError(f"{_setting(file)} cannot be read as Parquet: {error}") from error


def _question(row: Any, column: str, where: str) -> str:
    names = (column,) if column else COLUMNS
    if isinstance(row, Mapping):
        name = next((name for name in names if isinstance(row.get(name), str)), None)
        if name is not None:
            text: str = row[name]
            return text
    has = ", ".join(map(str, row)) if isinstance(row, Mapping) else "no columns"
    raise ConfigurationError(
        f"decontaminate.against: {where} has no text under {' or '.join(names)}; it has {has}: name the column, as in "
        f"benchmark.jsonl{MARK}problem"
    )


def _parted(file: str) -> tuple[str, str]:
    """The path, and the column that is named behind it; "" for none. A path may have the mark in it."""
    if Path(file).exists():
        return file, ""
    path, mark, column = file.rpartition(MARK)
    return (path, column) if mark else (file, "")


def _setting(file: str) -> str:
    return f"decontaminate.against={file}"


def _digest(run: tuple[str, ...]) -> bytes:
    return hashlib.blake2b(" ".join(run).encode(errors="replace"), digest_size=RUN_BYTES).digest()
