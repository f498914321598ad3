"""Records the last screen of a command as an SVG picture: python docs/picture.py OUT.svg -- COMMAND…

The command runs in a pseudo-terminal of 92 by 30 cells. Lines that it draws over, such as bars, are followed as far as
rich draws: cursor up, carriage return, erase line. The working directory is written as `.` and the home as `~`.
"""

import fcntl
import html
import io
import os
import pty
import re
import shlex
import struct
import sys
import termios
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

COLUMNS, ROWS = 92, 30
WEB_FONT = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)
"""A picture asks nobody for a font: the viewer's own monospace will do."""
SPACE = "&#160;"
INDENTED = re.compile(
    r'(?P<head><text [^>]*?)x="(?P<start>[\d.]+)" y="(?P<y>[\d.]+)" textLength="(?P<length>[\d.]+)"(?P<rest>[^>]*>)'
    rf"(?P<spaces>(?:{SPACE})+)(?P<text>[^<]+)<"
)
PIECE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[@-Z\\-_]|[\r\n]|[^\x1b\r\n]+|\x1b")


class Screen:
    """The lines of a terminal, each as text with its colour codes."""

    def __init__(self) -> None:
        self.lines = [""]
        self._row = 0
        self._returned = False

    def feed(self, piece: str) -> None:
        """Obeys one control sequence, or takes one piece of text."""
        if piece == "\n":
            self._row += 1
            self.lines += [""] * (self._row + 1 - len(self.lines))
        elif piece == "\r":
            self._returned = True
            return
        elif piece.startswith("\x1b["):
            self._control(piece)
        elif not piece.startswith("\x1b"):
            self._write(piece)
        self._returned = False

    def _control(self, piece: str) -> None:
        kind, figure = piece[-1], piece[2:-1]
        if kind == "A":
            self._row = max(0, self._row - int(figure or 1))
        elif kind == "K":
            self.lines[self._row] = ""
        elif kind == "m":
            self.lines[self._row] += piece

    def _write(self, text: str) -> None:
        """Text after a carriage return takes the line's place."""
        self.lines[self._row] = text if self._returned else self.lines[self._row] + text


def record(command: list[str]) -> tuple[str, int]:
    """What `command` writes to a terminal, and its exit code."""
    child, terminal = pty.fork()
    if child == 0:
        os.environ.update(TERM="xterm-256color", COLORTERM="truecolor")
        for name in ("CI", "NO_COLOR", "COLUMNS"):
            os.environ.pop(name, None)
        try:
            fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
            os.execvp(command[0], command)  # noqa: S606 - running the command is what this is for
        except OSError as error:
            sys.stderr.write(f"{command[0]}: {error.strerror}\n")
            os._exit(127)
    chunks = []
    while chunk := read(terminal):
        chunks.append(chunk)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return b"".join(chunks).decode(errors="replace"), status


def read(terminal: int) -> bytes:
    """The next output; nothing when the command has ended, which Linux reports as an error."""
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""


def last_screen(output: str) -> list[str]:
    """The lines that are left at the end of `output`, without paths of this machine."""
    for place, sign in ((str(Path.cwd()), "."), (str(Path.home()), "~")):
        output = re.sub(re.escape(place) + r"(?=[/\s\x1b]|$)", sign, output)
    screen = Screen()
    for piece in PIECE.findall(output):
        screen.feed(piece)
    while screen.lines and not Text.from_ansi(screen.lines[-1]).plain.strip():
        screen.lines.pop()
    return screen.lines


def draw(lines: list[str], title: str) -> str:
    """The SVG of a terminal that shows `lines`."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    for line in lines:
        console.print(Text.from_ansi(line), highlight=False)
    svg = console.export_svg(title=title, theme=MONOKAI, unique_id="terminal")
    return INDENTED.sub(unindented, WEB_FONT.sub("", svg))


def unindented(found: re.Match[str]) -> str:
    """A piece of text placed where its letters begin: some viewers drop the spaces before them, and it slips left."""
    start, length, spaces = float(found["start"]), float(found["length"]), found["spaces"].count(SPACE)
    indent = spaces * length / (spaces + len(html.unescape(found["text"])))
    head = found["head"]
    return (
        f'{head}x="{start + indent:g}" y="{found["y"]}" textLength="{length - indent:g}"{found["rest"]}{found["text"]}<'
    )


def main(words: list[str]) -> int:
    """Writes the picture, and returns the exit code of the command."""
    if len(words) < 3 or words[1] != "--":
        sys.stderr.write("usage: python docs/picture.py OUT.svg -- COMMAND…\n")
        return 2
    out, command = Path(words[0]), words[2:]
    output, status = record(command)
    typed = shlex.join([Path(command[0]).name, *command[1:]])
    lines = [f"\x1b[1m$ {typed}\x1b[0m", *last_screen(output)][-ROWS:]
    out.write_text(draw(lines, Path(command[0]).name), encoding="utf-8")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
