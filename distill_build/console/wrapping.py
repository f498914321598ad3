"""Lines that a terminal has no room for: broken between words, or cut. Pure. Widths are in cells."""

import re
import unicodedata
from collections.abc import Iterator

WIDE = "\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uff60"
CLOSING = "\u3001\u3002\u3009\u300b\u300d\u300f\u3011\uff01\uff09\uff0c\uff1a\uff1b\uff1f"
WORD = rf"\s*(?:[{WIDE}][{CLOSING}]*|[^\s{WIDE}]+)"
"""What no row ends within: a word, or a character of a script that is written without spaces. A path is a word.

A pattern that is compiled where a line is broken: that takes longer than all else here, and most streams are wide.
"""
INDENT = 2
CUT = "…"


def cells(text: str) -> int:
    """The width of a text on a terminal, where Chinese characters take two cells."""
    if text.isascii():
        return len(text)
    return len(text) + sum(unicodedata.east_asian_width(character) in "WF" for character in text)


def fits_width(text: str, width: int) -> bool:
    """Whether a row of `width` takes all of `text`."""
    return 2 * len(text) <= width or cells(text) <= width  # the first is for streams, where every line fits


def wrapped(text: str, width: int) -> list[str]:
    """The rows of a line; those that follow begin a little to the right of the first."""
    return [margin + text[start:end] for margin, start, end in rows(text, width)]


def rows(text: str, width: int, hang: int | None = None) -> Iterator[tuple[str, int, int]]:
    """The margin of each row of a line, and which part of `text` stands on it.

    What follows the first row stands `hang` cells from the left, or somewhat more than `text` itself, and less where a
    word needs the room. One that is longer than a row is left to the terminal to break, so that it can be copied.
    """
    if fits_width(text, width):
        yield "", 0, len(text)
        return
    if hang is None:
        hang = len(text) - len(text.lstrip()) + INDENT
    margin, start, end = "", 0, 0
    for word in re.finditer(WORD, text):
        if start < end and cells(margin + text[start : word.end()]) > width:
            yield margin, start, end
            start = word.end() - len(word[0].lstrip())
            margin = " " * min(hang, width // 2, width - cells(text[start : word.end()]))
        end = word.end()
    yield margin, start, end


def cut(text: str, width: int) -> str:
    """`text` without the end of it that is too much."""
    if fits_width(text, width):
        return text
    text = text[: max(0, width)]  # no character is narrower than a cell, and most of a text may be too much
    while text and cells(text) >= width:
        text = text[:-1]
    return text.rstrip() + CUT


def shortened(text: str, width: int) -> str:
    """`text` without what is too much in the middle of it: the ends of two tell more of which is which."""
    if fits_width(text, width):
        return text
    room = (width - len(CUT)) // 2
    end = text[len(text) - room :]  # as above
    while cells(end) > room:
        end = end[1:]
    return cut(text[: width - room + 1], width - room) + end


def visible(text: str) -> str:
    """`text` without what a terminal would obey."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
