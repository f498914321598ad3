"""Standard error as something that may go away: a closed terminal must not end a build that is being paid for."""

import os
import select
import signal
import sys
from contextlib import suppress
from typing import TextIO

WIDTH_WITHOUT_TERMINAL = 100
SIGNALS_SEEN_SECONDS = 0.2
"""Between looks at signals, while a person thinks."""


class Stream:
    """A text stream, and what can be done on it. `target` is None where the process was started without one.

    A `tolerant` stream ignores that it is gone; another raises OSError, as standard output should.
    """

    def __init__(self, target: TextIO | None, *, tolerant: bool) -> None:
        self._target = target
        self._tolerant = tolerant
        self.encoding: str = getattr(target, "encoding", None) or "utf-8"

    def write(self, text: str) -> int:
        """Writes `text` if there is anybody to read it; what the encoding lacks becomes a question mark."""
        if self._target is not None:
            try:
                self._target.write(text.encode(self.encoding, "replace").decode(self.encoding))
            except (OSError, ValueError):
                self._lose()
        return len(text)

    def flush(self) -> None:
        if self._target is not None:
            try:
                self._target.flush()
            except (OSError, ValueError):
                self._lose()

    def fileno(self) -> int:
        """The file descriptor. Raises OSError where there is none."""
        if self._target is None:
            raise OSError("the stream is gone")
        return self._target.fileno()

    def isatty(self) -> bool:
        try:
            return self._target is not None and self._target.isatty()
        except ValueError:  # closed
            return False

    def confirm(self, question: str) -> bool:
        """Whether the person at the terminal says yes; true where there is none to ask, or to answer from."""
        if not self.isatty() or sys.stdin is None or not sys.stdin.isatty():
            return True
        before = signal.signal(signal.SIGINT, signal.default_int_handler)  # asyncio's would wait for the line to end
        try:
            self.write(f"{question} [y/N] ")
            self.flush()
            while not select.select([sys.stdin], [], [], SIGNALS_SEEN_SECONDS)[0]:
                pass  # one that comes right before a read begins would wait for the line to end, too: it is seen here
            return sys.stdin.readline().strip().casefold() in ("y", "yes")
        finally:
            signal.signal(signal.SIGINT, before)

    @property
    def width(self) -> int:
        """Cells in a row: what COLUMNS says, where that is a number above 0, or else the terminal."""
        columns = os.environ.get("COLUMNS", "")
        try:
            if columns.isdecimal() and int(columns):
                return int(columns)
            return os.get_terminal_size(self.fileno()).columns or 80
        except (OSError, ValueError):
            return WIDTH_WITHOUT_TERMINAL

    @property
    def line_width(self) -> int:
        """Cells that a line may take: any number where programs read it, in a pipe or a file."""
        return self.width if self.isatty() else sys.maxsize

    @property
    def can_move(self) -> bool:
        """Whether it is a terminal on which lines may be drawn over. Logs of CI services are not, even with a pty."""
        in_ci = os.environ.get("CI", "").lower() not in ("", "0", "false")
        return self.isatty() and os.environ.get("TERM", "dumb") not in ("dumb", "unknown") and not in_ci

    def _lose(self) -> None:
        """Called while a fault is handled: gives the stream up, or raises the fault again.

        What is still in the stream's buffer is sent nowhere, or the interpreter trips over it when it leaves.
        """
        if not self._tolerant:
            raise
        target, self._target = self._target, None
        with suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            if target is not None:
                os.dup2(nowhere, target.fileno())
            os.close(nowhere)
