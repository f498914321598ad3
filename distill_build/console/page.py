"""What a command prints on standard output for people: lines of spans, in colour on a terminal.

Where there are no colours, what was removed and added within a line stands in [-marks-] of its {+own+}.
"""

import os
import re
import sys
from typing import IO, Literal, Protocol, cast

from distill_build.console.stream import Stream

Style = Literal["plain", "head", "quiet", "added", "removed", "changed", "word added", "word removed"]
Span = tuple[str, Style]
STYLES: dict[Style, str] = {
    "plain": "",
    "head": "bold",
    "quiet": "dim",
    "added": "green",
    "removed": "red",
    "changed": "yellow",
    "word added": "bold green",
    "word removed": "red strike",
}
MARKS: dict[Style, tuple[str, str]] = {"word added": ("{+", "+}"), "word removed": ("[-", "-]")}
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""What a terminal would obey or turn around, in a model's words as well."""


class Page(Protocol):
    """Where lines go."""

    def line(self, *spans: Span) -> None:
        """Prints one line; a span may hold line ends of its own."""


def open_page() -> Page:
    """The page that fits standard output. rich is imported where there are colours to show."""
    stream = Stream(sys.stdout, tolerant=False)
    coloured = stream.isatty() and os.environ.get("TERM", "dumb") != "dumb" and not os.environ.get("NO_COLOR")
    return ColourPage(stream) if coloured else PlainPage(stream)


class PlainPage:
    """Marks instead of colours."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def line(self, *spans: Span) -> None:
        marked = ((*MARKS.get(style, ("", "")), harmless(text)) for text, style in spans)
        self._stream.write("".join(f"{before}{text}{after}" for before, after, text in marked) + "\n")


class ColourPage:
    """Colours through rich. Lines are left to the terminal to break, so that ids and paths can be copied."""

    def __init__(self, stream: Stream) -> None:
        from rich.console import Console

        self._console = Console(file=cast(IO[str], stream), force_terminal=True, highlight=False, emoji=False)

    def line(self, *spans: Span) -> None:
        from rich.text import Text

        parts = [(harmless(text), STYLES[style]) for text, style in spans]
        self._console.print(Text.assemble(*parts), soft_wrap=True)


def harmless(text: str) -> str:
    """`text` without what a terminal would obey."""
    return OBEYED.sub(" ", text)
