"""A tree by hand out of an indented text or a Markdown list, such as a book's contents."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from distill_build.errors import UsageError
from distill_build.replies.labels import normalise
from distill_build.subtree import NOTHING_SAID, TagByHand

HEADING = re.compile(r"(#{1,6})\s+(.*)")
MARKER = re.compile(r"(?:[-*+•]|\(?\d+[.)]|\d+(?:\.\d+)+\.?|[a-zA-Z][.)])\s+")
"""What begins an item of a list, or counts a chapter."""
LEADER = re.compile(r"[\s.…·]*(?:\.{2,}|…|\s{2,}|\t)[\s.…·]*\d+$")
"""What leads to a page's number in a book's contents, and that."""
TAB = 4
"""Spaces that a tab stands for."""


def read_outline(file: Path) -> TagByHand:
    """The tree that `file` outlines, in which nothing but its lines is below a tag that has some.

    Raises UsageError for a file that cannot be read, and one without a line.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
        raise UsageError(f"--from {file}: it cannot be read ({reason})") from error
    items = list(_items(text))
    if not items:
        raise UsageError(
            f"--from {file}: there is no line in it: each is a tag, below the last one that is indented less"
        )
    top = _below(items)
    if len(top.children) == 1 and (only := next(iter(top.children.values()))).children:
        return only  # the title of the whole
    return top


def _items(text: str) -> Iterator[tuple[int, str]]:
    """(how far it is indented, label) of each line; what stands below a heading is deeper than that."""
    heading = 0
    for line in text.splitlines():
        flat = line.expandtabs(TAB)
        if not flat.strip():
            continue
        if (match := HEADING.fullmatch(flat.strip())) is not None:
            heading = len(match[1])
            indent, label = heading, match[2].rstrip("# ")
        else:
            indent, label = 1 + heading + len(flat) - len(flat.lstrip()), flat.strip()
        if label := _label(label):
            yield indent if match is None else heading, label


def _label(text: str) -> str:
    marker = MARKER.match(text)
    bare = LEADER.sub("", text[marker.end() :] if marker else text)
    return " ".join(bare.strip("*_`: ").split())


def _below(items: Sequence[tuple[int, str]]) -> TagByHand:
    """The tag whose children are the least indented of `items`, each with what follows it further in."""
    if not items:
        return NOTHING_SAID
    least = min(indent for indent, _ in items)
    children: dict[str, TagByHand] = {}
    known: dict[str, str] = {}
    for place, (indent, label) in enumerate(items):
        if indent > least and place > 0:
            continue
        rest = items[place + 1 :]
        end = next((number for number, (deeper, _) in enumerate(rest) if deeper <= least), len(rest))
        name = known.setdefault(normalise(label), label)
        below = _below(rest[:end])
        children[name] = below if name not in children else _joined(children[name], below)
    return TagByHand(children=children, only=True)


def _joined(one: TagByHand, other: TagByHand) -> TagByHand:
    """Two parts of a text with one title."""
    children = {**one.children, **other.children}
    return TagByHand(children=children, only=bool(children)) if children else NOTHING_SAID
