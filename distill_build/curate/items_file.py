"""Items of a list that are a person's own: each a text with its place, in JSONL, CSV or Parquet."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NoReturn

from distill_build.curate.files import FileStamp, stamp_of
from distill_build.curate.json_lines import no_text_of_theirs, objects_in
from distill_build.errors import ConfigurationError
from distill_build.export.parquet import read_parquet
from distill_build.replies.labels import normalise
from distill_build.subtree import DEEPEST, OwnItem, TagByHand, with_items_at

PATH, TOPIC = "path", "topic"
GIVEN = ("answer", "reasoning")
"""Columns with what would be asked for of an item, which a person may know already."""
SEPARATOR = "/"
"""Between the labels of a path that is one text."""


Places = dict[tuple[str, ...], list[OwnItem]]
"""The labels of a path below the topic → the items there."""


def with_items(tree: TagByHand, files: Sequence[Path], stage: str, item: str, topic: str) -> TagByHand:
    """`tree` with the items of `stage` in `files` at their places; `item` is the column of their text.

    Lines that name another topic are another dataset's, and of items that say the same at one place the first counts.
    Raises ConfigurationError with file, line and remedy for what is none.
    """
    try:
        stamps = tuple(map(stamp_of, files))
    except OSError as error:
        raise no_text_of_theirs(Path(error.filename), error) from error
    for path, items in _by_place(tuple(files), stamps, item, topic).items():
        tree = with_items_at(tree, path, stage, tuple(items), normalise)
    return tree


@lru_cache(maxsize=8)  # jobs of a sweep have one topic mostly, and the same thousands of items
def _by_place(files: tuple[Path, ...], stamps: tuple[FileStamp, ...], item: str, topic: str) -> Places:  # noqa: ARG001 - of the cache
    """The items by their places, each path as it was typed first."""
    places: Places = {}
    typed: dict[tuple[str, ...], tuple[str, ...]] = {}
    seen: set[tuple[tuple[str, ...], str]] = set()
    for place, line in (each for file in files for each in _lines(file)):
        if (told := _text(place, line, TOPIC)) is not None and normalise(told) != normalise(topic):
            continue
        text = _text(place, line, item)
        if text is None:
            _refuse(place, f'each line has a text {item}, as in {{"{item}": "…"}}')
        path, given = _path(place, line.get(PATH), topic), _given(place, line)
        key = tuple(normalise(label) for label in path)
        if (key, normalise(text)) not in seen:
            seen.add((key, normalise(text)))
            places.setdefault(typed.setdefault(key, path), []).append(OwnItem(text, given))
    return places


def _lines(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        if file.suffix == ".parquet":
            yield from _parquet(file)
        elif file.suffix == ".csv":
            yield from _csv(file)
        else:
            yield from objects_in(file, '{"question": "…"}')
    except (OSError, UnicodeDecodeError) as error:
        raise no_text_of_theirs(file, error) from error


def _csv(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    reader = csv.DictReader(io.StringIO(file.read_text(encoding="utf-8-sig"), newline=""), strict=True)
    try:
        for found in reader:
            if None in found or None in found.values():
                _refuse(f"{file}, line {reader.line_num}", "it has more or fewer columns than the first line names")
            yield f"{file}, line {reader.line_num}", {name: value or None for name, value in found.items()}
    except csv.Error as error:
        raise ConfigurationError(f"{file}, line {reader.line_num}: it is no CSV ({error})") from error


def _parquet(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        for number, found in enumerate(read_parquet(file.read_bytes()), start=1):
            yield f"{file}, row {number}", found
    except ImportError as error:
        raise ConfigurationError(
            f"{file}: Parquet is read by pyarrow, which is not installed: pip install 'distill-build[parquet]'"
        ) from error
    except ValueError as error:
        raise ConfigurationError(f"{file} is no Parquet ({error}): mend it, or move it away") from error


def _path(place: str, told: Any, topic: str) -> tuple[str, ...]:
    """The labels below the topic; none for an item below the topic itself."""
    if isinstance(told, str):
        told = _list_in(place, told)
    if told is None:
        return ()
    if not isinstance(told, list) or not all(isinstance(label, str) and label.strip() for label in told):
        _refuse(place, f'{PATH} is a list of labels, as in ["Ball games", "Tennis"], or a text as in Ball games/Tennis')
    labels = [" ".join(label.split()) for label in told]
    if labels and normalise(labels[0]) == normalise(topic):
        labels = labels[1:]
    if len(labels) > DEEPEST:
        _refuse(place, f"a tree has {DEEPEST} levels of tags at the most")
    return tuple(labels)


def _list_in(place: str, text: str) -> list[Any]:
    """The labels in a path that is one text: a list in JSON, else what stands between slashes."""
    if not text.lstrip().startswith("["):
        return [label for label in text.split(SEPARATOR) if label.strip()]
    try:
        found: list[Any] = json.loads(text)
    except ValueError as error:
        raise ConfigurationError(f"{place}: {PATH} is no list in JSON ({error})") from error
    return found


def _given(place: str, line: dict[str, Any]) -> dict[str, Any]:
    """What a person knows of what would be asked for: an answer with its reasoning, or nothing."""
    given = {name: text for name in GIVEN if (text := _text(place, line, name)) is not None}
    if given and GIVEN[0] not in given:
        _refuse(place, f"{GIVEN[1]} goes with an {GIVEN[0]}: add it, or leave {GIVEN[1]} out")
    return given


def _text(place: str, line: dict[str, Any], name: str) -> str | None:
    value = line.get(name)
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if not isinstance(value, str):
        _refuse(place, f"{name} is a text, not {value!r}")
    return value.strip()


def _refuse(place: str, why: str) -> NoReturn:
    raise ConfigurationError(f"{place}: {why}")
