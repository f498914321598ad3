"""Items of a list that are a person's own: each a text with its place, in JSONL, CSV or Parquet."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NoReturn

from distill_build.curate.files import FileStamp, stamp_of
from distill_build.curate.json_lines import objects_in, read_back
from distill_build.curate.texts import all_bytes_of, cannot_be_read, is_about, text_in, way_out
from distill_build.errors import ConfigurationError
from distill_build.export.parquet import read_parquet
from distill_build.replies.labels import normalise
from distill_build.subtree import DEEPEST, ItemAt, OwnItem, TagByHand, with_items_at

PATH, TOPIC, NOTE = "path", "topic", "note"
"""Beside the text: where it lies, whose it is, and what its author wants to remember, which no build looks at."""
GIVEN = ("answer", "reasoning")
"""Columns with what would be asked for of an item, which a person may know already."""
DELIMITERS = ",;\t"
"""Between the columns of a CSV, which spreadsheets choose by the language of their user."""
SEPARATOR = "/"
"""Between the labels of a path that is one text."""


MOST_TOLD = 80
"""Characters of what somebody typed that are told."""


def with_items(tree: TagByHand, files: Sequence[Path], stage: str, item: str, topic: str) -> TagByHand:
    """`tree` with the items of `stage` in `files` at their places; `item` is the column of their text.

    Lines that name another topic are another dataset's, and of items that say the same at one place the first counts.
    Raises ConfigurationError with file, line and remedy for what is none.
    """
    try:
        stamps = tuple(map(stamp_of, files))
    except OSError as error:
        raise cannot_be_read(Path(error.filename), error) from error
    items = _items(tuple(files), stamps, item, topic)
    return with_items_at(tree, stage, items, normalise) if items else tree


@lru_cache(maxsize=8)  # jobs of a sweep have one topic mostly, and the same thousands of items
def _items(files: tuple[Path, ...], stamps: tuple[FileStamp, ...], item: str, topic: str) -> tuple[ItemAt, ...]:  # noqa: ARG001 - of the cache
    """The items in the order of their lines."""
    items: list[ItemAt] = []
    for place, line in (each for file in files for each in _lines(file, item)):
        if not is_about(topic, line.get(TOPIC), place):
            continue
        path, own = _item(place, line, item, topic)
        items.append(ItemAt(own, normalise(own.text), path, tuple(map(normalise, path))))
    return tuple(items)


def read_item(line: dict[str, Any], item: str, topic: str) -> tuple[tuple[str, ...], OwnItem]:
    """The labels of the place, below the topic, and the item of a line that is about to be written.

    Raises ConfigurationError with the reason alone where it could be read by nobody.
    """
    return read_back(line, lambda place, line: _item(place, line, item, topic))


def path_line(path: tuple[str, ...], topic: str) -> dict[str, list[str]]:
    """What a line says of a place. Before a tag that is called as the topic that one stands."""
    if not path:
        return {}
    return {PATH: [topic, *path] if normalise(path[0]) == normalise(topic) else list(path)}


def _item(place: str, line: dict[str, Any], item: str, topic: str) -> tuple[tuple[str, ...], OwnItem]:
    _refuse_unknown(place, line, item)
    text = _text(place, line, item)
    if text is None:
        _refuse(place, f'each line has a text {item}, as in {{"{item}": "…"}}')
    return _path(place, line.get(PATH), topic), OwnItem(text, _given(place, line), place)


def _lines(file: Path, item: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if file.suffix == ".parquet":
        return _parquet(file)
    return _csv(file, item) if file.suffix == ".csv" else objects_in(file, f'{{"{item}": "…"}}')


def _csv(file: Path, item: str) -> Iterator[tuple[str, dict[str, Any]]]:
    records = _records(file)
    place, names = next(records, ("", [item]))  # an empty file has no items
    names = [name.strip() for name in names]
    if item not in names:
        told = ", ".join(names)[:MOST_TOLD]
        _refuse(place, f"the first line names the columns, as in {item},{PATH},{GIVEN[0]}: here it is {told}")
    _refuse_unknown(place, names, item)
    if twice := next((name for name in names if names.count(name) > 1), None):
        _refuse(place, f"two columns are called {twice}: leave one of them out")
    for place, cells in records:
        if len(cells) != len(names):
            told = f"it has more or fewer columns than the first line names ({len(cells)}, not {len(names)})"
            _refuse(place, f"{told}: what has a mark in it that stands between columns is put in quotes")
        yield place, {name: cell or None for name, cell in zip(names, cells, strict=True)}


def _records(file: Path) -> Iterator[tuple[str, list[str]]]:
    """Where each record begins, and its cells; of empty lines none."""
    text = text_in(file)
    head = text.partition("\n")[0]
    delimiter = max(DELIMITERS, key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    while True:
        place = f"{file}, line {reader.line_num + 1}"
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise ConfigurationError(
                f"{place}: it is no CSV ({error}): a text with quotes stands in quotes, and each within it twice"
            ) from error
        if cells is None:
            return
        if cells:
            yield place, cells


def _parquet(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        for number, found in enumerate(read_parquet(all_bytes_of(file)), start=1):
            yield f"{file}, row {number}", found
    except ImportError as error:
        raise ConfigurationError(
            f"{file}: Parquet is read by pyarrow, which is not installed: pip install 'distill-build[parquet]'"
        ) from error
    except ValueError as error:
        raise ConfigurationError(f"{file} cannot be read as Parquet ({error}): mend it, or move it away") from error


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
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(
            f'{place}: {PATH} is no list in JSON ({error}): as in ["Ball games", "Tennis"], or Ball games/Tennis'
        ) from error
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


def _refuse_unknown(place: str, names: Iterable[str], item: str) -> None:
    """Refuses columns of which nothing would come: one is a slip, or holds what its author takes to be used."""
    known = (item, PATH, *GIVEN, TOPIC, NOTE)
    for name in names:
        if name not in known:
            remedy = way_out(name, known, f"take it out, or put what is for yourself into {NOTE}")
            _refuse(place, f"{name or 'a column without a name'}: no build reads such a column; {remedy}")


def _refuse(place: str, why: str) -> NoReturn:
    raise ConfigurationError(f"{place}: {why}")
