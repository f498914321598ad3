"""What a command prints for people: lines of spans, in colour on a terminal, broken where it is narrower than they are.

Where there are no colours, what was removed and added within a line stands in [-marks-] of its {+own+}.
"""

import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import IO, Literal, Protocol, TextIO, cast

from distill_build.console.stream import Stream
from distill_build.console.wrapping import cells, rows

Style = Literal["plain", "head", "quiet", "added", "removed", "changed", "word added", "word removed", "hang"]
StyledText = tuple[str, Style]
Line = tuple[StyledText, ...]
STYLES: dict[Style, str] = {
    "plain": "",
    "head": "bold",
    "quiet": "dim",
    "added": "green",
    "removed": "red",
    "changed": "yellow",
    "word added": "bold green",
    "word removed": "red strike",
    "hang": "",
}
MARKS: dict[Style, tuple[str, str]] = {"word added": ("{+", "+}"), "word removed": ("[-", "-]")}
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""What a terminal would obey or turn around, in a model's words as well."""
HANG: StyledText = ("", "hang")
"""Stands in a line where its second column begins: there the rows begin that follow the first."""


class Page(Protocol):
    """Where lines go. `width` is how many cells a line may take."""

    @property
    def width(self) -> int: ...

    def line(self, *spans: StyledText) -> None:
        """Prints one line; a span may hold line ends of its own, and then what follows them begins at the left."""


def open_page() -> Page:
    """The page that fits standard output. rich is imported where there are colours to show."""
    stream = Stream(sys.stdout, tolerant=False)
    coloured = stream.isatty() and os.environ.get("TERM", "dumb") != "dumb" and not os.environ.get("NO_COLOR")
    return ColourPage(stream) if coloured else PlainPage(stream)


def print_lines(lines: Iterable[str | Line], target: TextIO | None = None) -> None:
    """Prints lines without colours, on standard output or on `target`."""
    page = PlainPage(Stream(target or sys.stdout, tolerant=False))
    for line in lines:
        page.line(*([(line, "plain")] if isinstance(line, str) else line))


def print_document(document: Mapping[str, object]) -> None:
    """Prints the one JSON document of a command; what the encoding of standard output lacks is escaped."""
    text = json.dumps(document, ensure_ascii=False, indent=2)
    try:
        text.encode(sys.stdout.encoding or "utf-8")  # a stream in memory has none
    except UnicodeEncodeError:
        text = json.dumps(document, indent=2)
    print(text, flush=True)


def line_width() -> int:
    """Cells that a line on standard output may take."""
    return Stream(sys.stdout, tolerant=False).line_width


class PlainPage:
    """Marks instead of colours."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    @property
    def width(self) -> int:
        return self._stream.line_width

    def line(self, *spans: StyledText) -> None:
        marked = ((*MARKS.get(style, ("", "")), harmless(text)) for text, style in spans)
        text = "".join(f"{before}{text}{after}" for before, after, text in marked)
        for margin, start, end in _rows(text, self.width, spans):
            self._stream.write(f"{margin}{text[start:end]}\n")


class ColourPage:
    """Colours through rich."""

    def __init__(self, stream: Stream) -> None:
        from rich.console import Console

        self._stream = stream
        file, width = cast(IO[str], stream), stream.width
        self._console = Console(file=file, width=width, force_terminal=True, highlight=False, emoji=False)

    @property
    def width(self) -> int:
        return self._stream.line_width

    def line(self, *spans: StyledText) -> None:
        from rich.text import Text

        text = Text.assemble(*((harmless(text), STYLES[style]) for text, style in spans))
        for margin, start, end in _rows(text.plain, self.width, spans):
            self._console.print(Text(margin) + text[start:end], soft_wrap=True)


def _rows(text: str, width: int, spans: Line) -> Iterator[tuple[str, int, int]]:
    """As `rows`, for the lines that are in `text`: a column is theirs where there is one line alone."""
    if "\n" not in text:
        place = spans.index(HANG) if HANG in spans else None
        hang = None if place is None else sum(cells(text) for text, _ in spans[:place])
        yield from rows(text, width, hang)
        return
    start = 0
    for line in text.split("\n"):
        yield from ((margin, start + first, start + last) for margin, first, last in rows(line, width, 0))
        start += len(line) + 1


def harmless(text: str) -> str:
    """`text` without what a terminal would obey."""
    return OBEYED.sub(" ", text)
