"""Finds the one label that a reply gives, of those that it was asked to choose from.

A label is taken where it stands as the whole of a line, or as a value of its own in JSON, behind nothing but a name
for what was asked: never out of a sentence, which may say what the label is not ("It is not: positive"), nor behind one
that goes on over the end of its line.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from distill_build.records import as_typed
from distill_build.replies.brackets import Span, nowhere, spans
from distill_build.replies.corrections import (
    EXAMPLE,
    FENCE,
    NEGATION,
    SENTENCE_START,
    Given,
    denies,
    leads,
    takes_back,
    those_that_count,
)
from distill_build.replies.json_values import WRAPPED, loaded
from distill_build.replies.labels import as_it_came, normalise

LABEL = "label"
"""The field of the object that a model is asked for."""
NAME = (
    r"(?:the |my )?(?:final |predicted )?(?:label|answer|sentiment|category|class|classification)(?: label)?(?: is)?"
    r"|(?:最终)?(?:标签|答案|类别|分类|情感)(?:是|为)?"
)
"""What models call the label. Any other words may be a sentence that says which label it is not."""
WRAPPERS = r"result|output|response|prediction|data"
NAMED = re.compile(NAME, re.IGNORECASE)
KEY = re.compile(f"{NAME}|{WRAPPERS}", re.IGNORECASE)
"""The only field of an object that gives the label, or holds the object that does."""
HEADING = re.compile(rf"\W*(?:{NAME})\W*", re.IGNORECASE)
"""A line behind which the label stands on the next one."""
LEAD = re.compile(rf"\W*(?:{NAME})\W{{0,3}}[:：]", re.IGNORECASE)
"""What may stand before a label on its line: "Label:", "**Answer:**"."""
ENDED = re.compile(r"(?<!\.)[.!?。！？](?!\.)\W*$")
"""The end of a line on which a sentence ends."""
LISTED = re.compile(r"(?:^[^\S\n]*(?:[-*+•]|\d{1,3}[.)])[^\S\n]+[^\n]+(?:\n\s*)?){2,}", re.MULTILINE)
"""Lines behind markers of a list."""
COVER = "\ua66e"
"""A letter that no label has."""


class NoLabel(NamedTuple):
    """`detail` is a sentence for the model."""

    detail: str


def find_label(text: str, labels: Sequence[str]) -> str | NoLabel:
    """The one of `labels` that `text` gives, up to case, width and punctuation; in JSON, or on a line of its own.

    All that it gives have to be the same, also where words rule one out, but for what is final in its own words.
    """
    known = {normalise(label): label for label in labels}
    found = list(spans(text, nowhere))
    if found and not found[-1].closed:
        return NoLabel("The JSON object is not closed: the reply ends in the middle of it.")
    prose = _without_lists(_without_json(text, found), labels, known)
    given = [*_in_json(prose, found, labels, known), *_on_lines(prose, labels, known)]
    counted = those_that_count(prose, sorted(given, key=lambda each: each.start))
    named = {each.value for each in counted}
    label = named.pop() if len(named) == 1 else None
    if label is not None:
        before, after = prose[: counted[-1].start], prose[counted[-1].end :]
        if not denies(before, label) and not takes_back(after, label, labels):
            return label
    wrong = "gives several of the labels" if named else "gives none of the labels"
    return NoLabel(f"The reply {wrong}; it has to give one of {_quoted(labels)} as its answer.")


def _quoted(labels: Sequence[str]) -> str:
    """Labels as a sentence names them."""
    return ", ".join(f'"{label}"' for label in labels)


def _without_json(text: str, found: Iterable[Span]) -> str:
    """`text` with a sentence of the same length in the place of each JSON."""
    for span in found:
        text = text[: span.start] + ".".rjust(len(span.text), COVER) + text[span.end :]
    return text


def _without_lists(prose: str, labels: Sequence[str], known: Mapping[str, str]) -> str:
    """`prose` with words of the same length in the place of each list of labels that differ, which are what there is to
    choose from."""
    for listed in LISTED.finditer(prose):
        items = {_label(line, labels, known) for line in listed[0].split("\n") if _has_words(line)}
        if None not in items and len(items) > 1:
            covered = re.sub(r"[^\n]", COVER, listed[0])
            prose = prose[: listed.start()] + covered + prose[listed.end() :]
    return prose


def _leads_away(before: str) -> bool:
    """Whether the words that lead to what stands behind `before` say what the label is not."""
    *above, line = FENCE.sub("", before).split("\n")
    if not _has_words(line):
        line = next(filter(_has_words, reversed(above)), "")
        if not line.rstrip(" *_").endswith((":", "：")):
            return False
    return NEGATION.search(SENTENCE_START.split(line)[-1]) is not None


def _has_words(line: str) -> bool:
    return any(map(str.isalnum, line))


def _in_json(
    prose: str, found: Iterable[Span], labels: Sequence[str], known: Mapping[str, str]
) -> Iterator[Given[str | None]]:
    """The labels that JSON gives; None where it cannot be read or says another, and where words before rule it out."""
    for span in found:
        before, value = prose[: span.start], loaded(span)
        label = None if (said := _said(value)) is None else _label(said, labels, known)
        if label is not None or value is None or (said is not None and isinstance(value, dict)):
            ruled_out = _leads_away(before) or leads(EXAMPLE, before)
            yield Given(None if ruled_out else label, span.start, span.end)


def _said(value: Any) -> str | None:
    """What JSON says under `label`, or as the only thing that it says, by another name of it."""
    for _ in range(1 + WRAPPED):
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        if isinstance(value, str | int | float):
            return as_typed(value)
        if not isinstance(value, dict):
            return None
        fields = {str(key).strip().lower(): held for key, held in value.items()}
        only = next(iter(fields)) if len(fields) == 1 else ""
        value = fields.get(LABEL, fields[only] if KEY.fullmatch(only) else None)
    return None


def _on_lines(prose: str, labels: Sequence[str], known: Mapping[str, str]) -> Iterator[Given[str | None]]:
    """The labels that stand on lines of their own, one of which may be the end of a sentence as long as that has none;
    None where the words before rule it out."""
    open_, start = False, 0
    for line in prose.splitlines(keepends=True):
        above, start = start, start + len(line)
        if not _has_words(line):
            continue
        if (whole := _label(line, labels, known)) is not None:
            yield Given(None if open_ else whole, above, start)
        elif (lead := LEAD.match(line)) and (led := _label(line[lead.end() :], labels, known)) is not None:
            yield Given(None if _leads_away(prose[:above]) else led, above + lead.end(), start)
        else:
            open_ = not ENDED.search(line) and not HEADING.fullmatch(line)


def _label(said: str, labels: Sequence[str], known: Mapping[str, str]) -> str | None:
    bare = as_it_came(said)
    return bare if bare in labels else known.get(normalise(bare))
