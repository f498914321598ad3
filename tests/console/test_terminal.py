"""What is drawn on a real (pseudo-)terminal, and what happens when that goes away."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping

import pytest
from rich.cells import cell_len

BUILD = "from tests.console.test_console import *; whole_build(plain_console())"
COLOUR = re.compile(r"\x1b\[[\d;]*3[0-7][\d;]*m")
HIDE_CURSOR = "\x1b[?25l"
CONTROL = re.compile(r"\x1b\[[0-?]*[@-~]")


def on_terminal(code: str, columns: int = 80, environment: Mapping[str, str] = {}) -> tuple[str, str]:
    """Runs Python `code` with a terminal as its standard error; returns (standard output, what the terminal got)."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
    given = {"TERM": "xterm-256color", "PYTHONUTF8": "1", **environment}
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=slave, env=given
    ) as child:
        os.close(slave)
        shown = read_all(master)
        out = child.stdout.read().decode() if child.stdout is not None else ""
    os.close(master)
    assert child.returncode == 0, shown
    return out, shown


def read_all(master: int) -> str:
    chunks: list[bytes] = []
    while True:
        try:
            chunk = os.read(master, 65536)
        except OSError:  # Linux says so when the last process has closed the other side
            chunk = b""
        if not chunk:
            return b"".join(chunks).decode().replace("\r\n", "\n")
        chunks.append(chunk)


def test_bars_and_colours_are_drawn_on_a_terminal() -> None:
    out, shown = on_terminal(BUILD)
    assert out == ""
    assert "━" in shown
    assert "0 of 480" in CONTROL.sub("", shown)
    assert "\x1b[33m472 of 480 answers; 8 missing" in shown


def test_the_cursor_is_visible_at_the_end() -> None:
    _, shown = on_terminal(BUILD)
    assert shown.rfind("\x1b[?25h") > shown.rfind(HIDE_CURSOR) >= 0


@pytest.mark.parametrize("columns", [60, 80, 140])
def test_no_row_is_wider_than_the_terminal(columns: int) -> None:
    names = "name='体育与运动', folder=Path('outputs/体育与运动')"
    _, shown = on_terminal(f"{BUILD}; plain_console(verbose=True).report(short_report({names}))", columns)
    rows = CONTROL.sub("", shown).replace("\r", "\n").split("\n")
    assert max(map(cell_len, rows)) <= columns


TEN_STAGES = """
from tests.console.test_console import *
from tests.console.examples import sifted_report
told = sifted_report()
console = plain_console(verbose=True)
with console.progress(told.tally, told.expected, lambda: Traffic(2)):
    told.tally.stages["answers"].missing = 3
console.report(told)
"""


@pytest.mark.parametrize("columns", [32, 40, 80, 140])
def test_ten_stages_with_long_names_fit_any_terminal(columns: int) -> None:
    rows = CONTROL.sub("", on_terminal(TEN_STAGES, columns)[1]).replace("\r", "\n").split("\n")
    assert max(map(cell_len, rows)) <= max(columns, len("a_stage_with_as_long_a_name_as_any,"))
    shown = "\n".join(rows)
    assert "94 of 100" in shown
    assert "3 failed" in shown
    bars = [row for row in rows if "100 of 100 6 dropped" in row]
    assert bars
    assert all(row.startswith("dedup ") for row in bars)
    assert all(("━" in row) == (columns > 32) for row in bars), "numbers come before bars where there is no room"


def test_no_color_is_obeyed() -> None:
    _, shown = on_terminal(BUILD, environment={"NO_COLOR": "1"})
    assert HIDE_CURSOR in shown
    assert not COLOUR.search(shown)


@pytest.mark.parametrize("environment", [{"TERM": "dumb"}, {"CI": "true"}])
def test_a_terminal_that_cannot_move_its_cursor_gets_plain_lines(environment: Mapping[str, str]) -> None:
    _, shown = on_terminal(BUILD, environment=environment)
    assert "\x1b" not in shown
    assert "472 of 480 answers; 8 missing" in shown


def test_an_up_to_date_build_draws_nothing_and_needs_no_rich() -> None:
    code = (
        "import sys; from tests.console.test_console import *; plain_console().report(report(up_to_date=True)); "
        "print('rich' in sys.modules)"
    )
    out, shown = on_terminal(code, columns=140)
    assert out == "False\n"
    assert shown.count("\n") == 1


@pytest.mark.parametrize(("said", "width"), [("50", 50), ("0", 70), ("-1", 70), ("wide", 70)])
def test_a_width_that_is_no_number_above_0_is_not_gone_by(said: str, width: int) -> None:
    code = (
        "import sys\nfrom distill_build.console.live import LiveScreen\n"
        "from distill_build.console.page import ColourPage\n"
        "from distill_build.console.stream import Stream\nstream = Stream(sys.stderr, tolerant=False)\n"
        "ColourPage(stream).line(('a sentence', 'plain'))\nprint(stream.width, LiveScreen(stream).width)"
    )
    assert on_terminal(code, 70, {"COLUMNS": said}) == (f"{width} {width}\n", "a sentence\n")


def test_a_note_stands_above_the_bars() -> None:
    code = (
        "from tests.console.test_console import *\nconsole = plain_console()\n"
        "with console.progress(Tally.of(EXPECTED), EXPECTED, lambda: Traffic(0)): console.note('look [here]')"
    )
    assert "look [here]\n" in CONTROL.sub("", on_terminal(code)[1])


def test_a_terminal_that_goes_away_ends_no_build() -> None:
    code = (
        "from tests.console.test_console import *\nconsole = plain_console()\n"
        "with console.progress(Tally.of(EXPECTED), EXPECTED, lambda: Traffic(0)):\n"
        "  print('began', flush=True)\n  input()\n"
        "console.report(short_report())\nprint('whole')"
    )
    master, slave = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=slave,
        env={"TERM": "xterm-256color", "PYTHONUTF8": "1"},
        text=True,
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        os.close(slave)
        assert child.stdout.readline() == "began\n"
        os.close(master)
        child.stdin.write("\n")
        child.stdin.close()
        assert child.stdout.read() == "whole\n"
    assert child.returncode == 0
