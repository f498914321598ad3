"""A tree by hand out of an indented text or a Markdown list, such as a book's contents."""

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from distill_build.curate.tree_file import label_in, no_label
from distill_build.errors import UsageError
from distill_build.replies.labels import normalise
from distill_build.subtree import DEEPEST, NOTHING_SAID, TagByHand

HEADING = re.compile(r"(#{1,6})\s+(.*)")
MARKER = re.compile(r"(?:[-*+•]|\(?\d+[.)]|\d+(?:\.\d+)+\.?|[a-zA-Z][.)])\s+")
"""What begins an item of a list, or counts a chapter."""
LEADER = re.compile(r"[\s.…·]*(?:\.{2,}|…|\s{2,}|\t)[\s.…·]*\d+$")
"""What leads to a page's number in a book's contents, and that."""
TAB = 4
"""Spaces that a tab stands for."""


def read_outline(file: Path) -> TagByHand:
    """The tree that `file` outlines, in which nothing but its lines is below a tag that has some.

    Raises UsageError for a file that cannot be read, one without a line, and what a tree.yaml cannot say.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
        raise UsageError(f"--from {file}: it cannot be read ({reason})") from error
    top, first_at = _tree(file, text)
    if not top.children:
        raise UsageError(
            f"--from {file}: there is no line in it: each is a tag, below the last one that is indented less"
        )
    whole = next(iter(top.children.values()))
    is_titled = len(top.children) == 1 and bool(whole.children)
    if (line := first_at.get(DEEPEST + is_titled + 1)) is not None:
        raise UsageError(f"--from {file}, line {line}: a tree has {DEEPEST} levels of tags at the most")
    return (whole if is_titled else top).by_hand()  # without the title of the whole


class _Outlined(msgspec.Struct):
    """A tag with what stands below it, by what stands for one label."""

    label: str = ""
    children: dict[str, "_Outlined"] = {}

    def by_hand(self) -> TagByHand:
        if not self.children:
            return NOTHING_SAID
        return TagByHand(children={each.label: each.by_hand() for each in self.children.values()}, only=True)


def _tree(file: Path, text: str) -> tuple[_Outlined, dict[int, int]]:
    """What all lines are below, and the first line of each level. Parts with one title are one."""
    top, first_at = _Outlined(), dict[int, int]()
    around = [(-1, top)]
    for number, indent, label in _items(text):
        if label_in(label) is None:
            raise UsageError(f"--from {file}, line {number}: {no_label(label)}")
        while around[-1][0] >= indent:
            around.pop()
        tag = around[-1][1].children.setdefault(normalise(label), _Outlined(label))
        first_at.setdefault(len(around), number)
        around.append((indent, tag))
    return top, first_at


def _items(text: str) -> Iterator[tuple[int, int, str]]:
    """(its number, how far it is indented, label) of each line; what stands below a heading is deeper than that."""
    heading = 0
    for number, line in enumerate(text.splitlines(), start=1):
        flat = line.expandtabs(TAB)
        if not flat.strip():
            continue
        if (match := HEADING.fullmatch(flat.strip())) is not None:
            heading = len(match[1])
            indent, label = heading, match[2].rstrip("# ")
        else:
            indent, label = 1 + heading + len(flat) - len(flat.lstrip()), flat.strip()
        if label := _label(label):
            yield number, indent, label


def _label(text: str) -> str:
    marker = MARKER.match(text)
    bare = LEADER.sub("", text[marker.end() :] if marker else text)
    return " ".join(bare.strip("*_`: ").split())
