"""Finds the one label that a reply gives, of those that it was asked to choose from.

A label is taken where it stands as the whole of a line, or as a value of its own in JSON, behind nothing but a name
for what was asked: never out of a sentence, which may say what the label is not ("It is not: positive").
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from distill_build.replies.brackets import spans
from distill_build.replies.labels import as_it_came, normalise
from distill_build.replies.lists import loaded
from distill_build.replies.objects import candidates

LABEL = "label"
"""The field of the object that a model is asked for."""
NAME = (
    r"(?:the |my )?(?:final |predicted )?(?:label|answer|sentiment|category|class|classification)(?: label)?(?: is)?"
    r"|(?:最终)?(?:标签|答案|类别|分类|情感)(?:是|为)?"
)
"""What models call the label. Any other words may be a sentence that says which label it is not."""
NAMED = re.compile(NAME, re.IGNORECASE)
LEAD = re.compile(rf"\W*(?:{NAME})\W{{0,3}}[:：]", re.IGNORECASE)
"""What may stand before a label on its line: "Label:", "**Answer:**"."""


class NoLabel(NamedTuple):
    """`detail` is a sentence for the model."""

    detail: str


def find_label(text: str, labels: Sequence[str]) -> str | NoLabel:
    """The one of `labels` that `text` gives, up to case, width and punctuation; in JSON, or on a line of its own.

    Of several objects the last counts that gives one. Of lines all have to give the same.
    """
    known = {normalise(label): label for label in labels}
    found = list(spans(text))
    if found and not found[-1].closed:
        return NoLabel("The JSON object is not closed: the reply ends in the middle of it.")
    values = [loaded(span) for span in found]
    in_json = next((label for said in _said(values) if (label := _label(said, labels, known)) is not None), None)
    if in_json is not None:
        return in_json
    named = {label for line in text.splitlines() if (label := _on_line(line, labels, known)) is not None}
    if len(named) == 1:
        return named.pop()
    wrong = "gives several of the labels" if named else "gives none of the labels"
    return NoLabel(f"The reply {wrong}; it has to give one of {_quoted(labels)}, and nothing else.")


def _quoted(labels: Sequence[str]) -> str:
    """Labels as a sentence names them."""
    return ", ".join(f'"{label}"' for label in labels)


def _said(values: list[Any]) -> Iterator[str]:
    """What objects say under `label`, or as the only thing that they say, by another name of it; the last first."""
    for each in candidates(values):
        fields = {str(key).strip().lower(): value for key, value in each.items()}
        only = (
            next((value for key, value in fields.items() if NAMED.fullmatch(key)), None) if len(fields) == 1 else None
        )
        said = fields.get(LABEL, only)
        if isinstance(said, str | int | float):
            yield _text(said)


def _text(said: Any) -> str:
    """A label that is a number or a truth value in JSON, as it is typed."""
    return said if isinstance(said, str) else msgspec.json.encode(said).decode()


def _on_line(line: str, labels: Sequence[str], known: Mapping[str, str]) -> str | None:
    whole = _label(line, labels, known)
    lead = LEAD.match(line) if whole is None else None
    return whole if lead is None else _label(line[lead.end() :], labels, known)


def _label(said: str, labels: Sequence[str], known: Mapping[str, str]) -> str | None:
    bare = as_it_came(said)
    return bare if bare in labels else known.get(normalise(bare))
