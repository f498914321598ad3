"""Finds the one label that a reply gives, of those that it was asked to choose from.

A label is taken where it stands as the whole of a line, or as a value of its own in JSON, behind nothing but a name
for what was asked: never out of a sentence, which may say what the label is not ("It is not: positive"), nor behind one
that goes on over the end of its line.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from distill_build.records import as_typed
from distill_build.replies.brackets import Span, spans
from distill_build.replies.corrections import Given, takes_back, what_stands
from distill_build.replies.labels import as_it_came, normalise
from distill_build.replies.lists import loaded

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
SENTENCE = re.compile(r"(?<=[.!?。！？])\s*")
FENCE = re.compile(r"```\w*")
NEGATION = re.compile(
    r"\b(?:not?|never|none|neither|nor|wrong|incorrect|false|rul\w+ out|exclud\w+|except|rather than|instead of)\b"
    r"|n['’]t\b|不|非|没|未|错|除",
    re.IGNORECASE,
)
DEEPEST = 3
"""Objects, one in another, of which the innermost gives the label."""


class NoLabel(NamedTuple):
    """`detail` is a sentence for the model."""

    detail: str


def find_label(text: str, labels: Sequence[str]) -> str | NoLabel:
    """The one of `labels` that `text` gives, up to case, width and punctuation; in JSON, or on a line of its own.

    All that it gives have to be the same, but for a draft and what it takes back.
    """
    known = {normalise(label): label for label in labels}
    found = list(spans(text))
    if found and not found[-1].closed:
        return NoLabel("The JSON object is not closed: the reply ends in the middle of it.")
    prose, values = _apart(text, found)
    in_json = [Given(label, each.start, each.end) for each in values if (label := _label_in(each.value, labels, known))]
    named = set(what_stands(text, in_json, labels) if in_json else _on_lines(prose.splitlines(), labels, known))
    if len(named) == 1:
        return named.pop()
    wrong = "gives several of the labels" if named else "gives none of the labels"
    return NoLabel(f"The reply {wrong}; it has to give one of {_quoted(labels)} as its answer.")


def _quoted(labels: Sequence[str]) -> str:
    """Labels as a sentence names them."""
    return ", ".join(f'"{label}"' for label in labels)


def _apart(text: str, found: Iterable[Span]) -> tuple[str, list[Given[Any]]]:
    """`text` without its JSON, and the values that this holds, but for those that the words before rule out."""
    prose, values, position = "", list[Given[Any]](), 0
    for span in found:
        prose += text[position : span.start]
        position = span.end
        if not _leads_away(prose):
            values.append(Given(loaded(span), span.start, span.end))
    return prose + text[position:], values


def _leads_away(before: str) -> bool:
    """Whether the words that lead to what stands behind `before` say what the label is not."""
    *above, line = FENCE.sub("", before).split("\n")
    if not _has_words(line):
        line = next(filter(_has_words, reversed(above)), "")
        if not line.rstrip(" *_").endswith((":", "：")):
            return False
    return NEGATION.search(SENTENCE.split(line)[-1]) is not None


def _has_words(line: str) -> bool:
    return any(map(str.isalnum, line))


def _label_in(value: Any, labels: Sequence[str], known: Mapping[str, str]) -> str | None:
    """The label that JSON gives."""
    said = _said(value)
    return None if said is None else _label(said, labels, known)


def _said(value: Any) -> str | None:
    """What JSON says under `label`, or as the only thing that it says, by another name of it."""
    for _ in range(1 + DEEPEST):
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


def _on_lines(lines: Sequence[str], labels: Sequence[str], known: Mapping[str, str]) -> Iterator[str]:
    """The labels that stand on lines of their own. One may be the end of a sentence, as long as that has none."""
    open_ = False
    for place, line in enumerate(lines):
        if not _has_words(line):
            continue
        if (whole := _label(line, labels, known)) is not None:
            if not open_:
                yield from _standing(whole, lines[place + 1 :], labels)
        elif (lead := LEAD.match(line)) and (led := _label(line[lead.end() :], labels, known)) is not None:
            if not _leads_away("\n".join([*lines[:place], ""])):
                yield from _standing(led, lines[place + 1 :], labels)
        else:
            open_ = not ENDED.search(line) and not HEADING.fullmatch(line)


def _standing(label: str, behind: Sequence[str], labels: Sequence[str]) -> Iterator[str]:
    """`label`, unless the lines behind it take it back."""
    if not takes_back("\n".join(behind), label, labels):
        yield label


def _label(said: str, labels: Sequence[str], known: Mapping[str, str]) -> str | None:
    bare = as_it_came(said)
    return bare if bare in labels else known.get(normalise(bare))
