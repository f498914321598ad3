"""Finds where JSON begins and ends in a text that holds more than it, and puts its quotes right.

It takes strings as models write them: in single, double or curly quotes, with unescaped quotes and
apostrophes inside. So a quote opens a string only after `{ [ : ,` or a space, and closes it only before
`] } :`, another quote, or a comma with a value after it.
"""

import json
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from distill_build.replies.numbering import marker_at_start

BEGIN = re.compile(r"[{\[](?=\s*(?:[\"'“{\[\]}]|//|/\*))|\{(?=\s*\w+\s*:)")
NOT_JSON = re.compile(r"\[\s?[xX]?\](?=[\s(]\s*\S)|\{\}(?!\s*$)")  # a check box, or empty brackets in prose
CLOSER = {"{": "}", "[": "]"}
QUOTES = {'"': '"', "'": "'", "“": '”"', "”": "”"}
HALF_WIDTH = str.maketrans("，：", ",:")
DECODER = json.JSONDecoder(strict=False)
VALUE = r"[\"'“{\[\]}]|(?:true|false|null|-?\d+)\b|\w+\s*:|//|/\*|$"
AFTER_STRING = re.compile(rf"\s*(?:[\]}}:：]|[,，]\s*(?:{VALUE})|//|/\*|$|[\"'“])")
SYMBOL = re.compile(r"[{}\[\]\"'“”]|(?<![:\w/])//[^\n]*|/\*.*?\*/", re.DOTALL)
NEEDLESS_ESCAPE, UNESCAPED = re.compile(r"\\(['’])"), r"\1"
BARE_QUOTE, ESCAPED_QUOTE = re.compile(r'(?<!\\)"'), r"\\\g<0>"


class Span(NamedTuple):
    """JSON as it stands in a text, and with its strings in straight double quotes.

    It begins at `start`. Not `closed`: the text ended before it did.
    """

    start: int
    text: str
    requoted: str
    closed: bool = True

    @property
    def end(self) -> int:
        return self.start + len(self.text)


def is_in_marked_line(text: str, position: int) -> bool:
    """Whether `position` is in the middle of a bulleted or numbered line: JSON is quoted there in a list, as code."""
    line = text[text.rfind("\n", 0, position) + 1 : position]
    marker = marker_at_start().match(line)
    return marker is not None and marker.end() < len(line)


def nowhere(_text: str, _position: int) -> bool:
    """For replies that are no list: JSON behind a bullet is a value as any other."""
    return False


def spans(text: str, is_quoted: Callable[[str, int], bool] = is_in_marked_line) -> Iterator[Span]:
    """Each outermost JSON object or list in `text` but for those that are quoted; none comes after one that is not
    closed."""
    position = 0
    while begin := BEGIN.search(text, position):
        start = begin.start()
        if prose := NOT_JSON.match(text, start):
            position = prose.end()
        elif is_quoted(text, start):
            position = start + 1
        else:
            span = span_at(text, start)
            yield span
            if not span.closed:
                return
            position = span.end


def span_at(text: str, start: int) -> Span:
    """The JSON that begins at `start`."""
    try:
        end = DECODER.raw_decode(text, start)[1]
    except (ValueError, RecursionError):
        return scanned(text, start)
    return Span(start, text[start:end], text[start:end])


def scanned(text: str, start: int) -> Span:
    """The JSON at `start`, to where the brackets opened in it are all closed, each by its own kind."""
    expected: list[str] = []
    requoted: list[str] = []
    position = copied = start
    while symbol := SYMBOL.search(text, position):
        mark, position = symbol[0], symbol.end()
        if mark in CLOSER:
            expected.append(CLOSER[mark])
        elif mark in ("}", "]"):
            if expected.pop() != mark:
                break
            if not expected:
                return Span(start, text[start:position], "".join((*requoted, between(text[copied:position]))))
        elif mark in QUOTES and opens_string(text, symbol.start()):
            end = string_end(text, position, QUOTES[mark])
            if end is None:
                break
            requoted += between(text[copied : symbol.start()]), quoted(text[position : end - 1])
            position = copied = end
    return Span(start, text[start:], text[start:], closed=False)


def opens_string(text: str, position: int) -> bool:
    before = text[position - 1]
    return before.isspace() or before in "{[:：,，"


def string_end(text: str, start: int, quotes: str) -> int | None:
    """Past the quote that closes the string whose text begins at `start`."""
    position = start
    while position < len(text):
        character = text[position]
        position += 1
        if character == "\\":
            position += 1
        elif character in quotes and AFTER_STRING.match(text, position):
            return position
    return None


def between(strings: str) -> str:
    """What stands between two strings, with the commas and colons of a Chinese keyboard as JSON has them."""
    return strings.translate(HALF_WIDTH)


def quoted(inner: str) -> str:
    """`inner`, the text between two quotes, as a JSON string: its escapes stay, its bare quotes get one."""
    return f'"{BARE_QUOTE.sub(ESCAPED_QUOTE, NEEDLESS_ESCAPE.sub(UNESCAPED, inner))}"'
