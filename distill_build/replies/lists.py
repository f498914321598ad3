"""Finds the list in a reply's text: JSON as it should be, JSON as models write it, or a plain list.

Broken JSON is repaired, with one exception: a list that is not closed. Repair would make a whole one of it, and nobody
would miss the items that never came.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from distill_build.replies.brackets import spans
from distill_build.replies.json_values import loaded
from distill_build.replies.labels import ListReading
from distill_build.replies.numbering import marked_line


class NoList(NamedTuple):
    """`detail` is a sentence for the model."""

    detail: str


WRAPPERS = ("items", "list", "data", "results", "result", "output", "response", "answer")
TEXT_FIELDS = ("text", "value", "content", "prompt", "instruction", "title")
NUMBERED_KEY = re.compile(r"\D{0,10}\d+")
LOOKED_INTO = 8
"""Lists and objects, one in another, in which a list is looked for."""


def find_items(text: str, reading: ListReading) -> list[Any] | NoList:
    """The entries of the list in `text`: texts, and whatever else stood there, for the cleaning to drop.

    Of several lists the last that is not empty counts: what is found out while writing comes last. Objects
    that follow each other (JSON lines) are a list too.
    """
    values = []
    for span in spans(text):
        if not span.closed:
            return NoList(f"The list of {reading.name} is not closed: the reply ends in the middle of its JSON.")
        values.append(loaded(span))
    lists = [found for value in values if (found := entries(value, reading)) is not None]
    if lists:
        return next((found for found in reversed(lists) if found), [])
    named = [label for value in values if (label := named_text(value, reading.text_names)) is not None]
    return list(named) or plain_list(text) or NoList(missing(values, reading))


def said_of_items(text: str, reading: ListReading) -> Iterator[tuple[str, dict[str, Any]]]:
    """The text of each object in `text` that has one, as it stands there, and the object's other fields."""
    waiting = [loaded(span) for span in reversed(list(spans(text))) if span.closed]
    while waiting:
        value = waiting.pop()
        if (item := text_of(value, reading)) is not None:
            yield item, {str(key).strip().lower(): held for key, held in value.items()}
        if isinstance(value, dict | list):
            waiting += reversed(list(value.values()) if isinstance(value, dict) else value)


def entries(value: Any, reading: ListReading, depth: int = 0) -> list[Any] | None:
    """The list that `value` is or holds, flat and of texts where they can be found; None if it holds none."""
    if depth > LOOKED_INTO:
        return None
    if isinstance(value, list):
        return list(flattened(value, reading, depth))
    if not isinstance(value, dict):
        return None
    fields = {str(key).lower().replace(" ", "_"): held for key, held in value.items()}
    for name in (reading.name.lower(), *reading.other_names, *WRAPPERS):
        held = fields.get(name)
        found = plain_list(held) if isinstance(held, str) else entries(held, reading, depth + 1)
        if found is not None:
            return found
    return unnamed_entries(fields, reading, depth)


def unnamed_entries(fields: dict[str, Any], reading: ListReading, depth: int) -> list[Any] | None:
    """The entries of an object with no list under an expected name: its only list, or `tag1`, `tag2`, …"""
    lists = [held for held in fields.values() if isinstance(held, list)]
    if len(lists) == 1 and lists[0] and named_text(fields, reading.text_names) is None:
        return entries(lists[0], reading, depth + 1)
    if fields and all(map(NUMBERED_KEY.fullmatch, fields)):
        return list(flattened(fields.values(), reading, depth))
    return None


def flattened(values: Iterable[Any], reading: ListReading, depth: int) -> Iterator[Any]:
    for value in values:
        if isinstance(value, list) and depth < LOOKED_INTO:
            yield from flattened(value, reading, depth + 1)
        else:
            text = text_of(value, reading)
            yield value if text is None else text


def text_of(entry: Any, reading: ListReading) -> str | None:
    """The text of an entry that is an object: under the obvious name, or in its only text field."""
    if not isinstance(entry, dict):
        return None
    texts = [held for held in entry.values() if isinstance(held, str)]
    return named_text(entry, (*reading.text_names, *TEXT_FIELDS)) or (texts[0] if len(texts) == 1 else None)


def named_text(value: Any, names: tuple[str, ...]) -> str | None:
    """The first text that the object `value` holds under one of `names`."""
    if not isinstance(value, dict):
        return None
    fields = {str(key).lower(): held for key, held in value.items() if isinstance(held, str)}
    return next((fields[name] for name in names if name in fields), None)


def plain_list(text: str) -> list[Any] | None:
    """The lines of a bulleted or numbered list, those of the outermost level.

    One line alone is a list only with nothing beside it but an announcement that ends in a colon: prose has
    its dashes too.
    """
    lines = [line for line in text.splitlines() if line.strip()]
    marked = [(len(match["indent"]), line) for line in lines if (match := marked_line().match(line))]
    announced = [line for line in lines if line.rstrip().endswith((":", "："))]
    if not marked or (len(marked) == 1 and len(lines) > 1 + len(announced)):
        return None
    outermost = min(indent for indent, _ in marked)
    return [line.strip().rstrip(",;，；") for indent, line in marked if indent == outermost]


def missing(values: list[Any], reading: ListReading) -> str:
    """What to say where no list was found."""
    if any(isinstance(value, dict) for value in values):
        return f'The JSON object has no list named "{reading.name}".'
    return f'The reply holds no list; it has to be a JSON object with a list named "{reading.name}".'
