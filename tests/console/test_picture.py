"""docs/picture.py draws what a terminal shows at the end."""

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "docs" / "picture.py"


def draw(tmp_path: Path, code: str) -> tuple[int, str]:
    """The exit code, and the text of the picture of what Python `code` prints."""
    out = tmp_path / "picture.svg"
    command = [sys.executable, str(SCRIPT), str(out), "--", sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    return done.returncode, out.read_text().replace("&#160;", " ")


def test_a_picture_shows_the_last_screen_alone(tmp_path: Path) -> None:
    status, svg = draw(tmp_path, r"print('first\nsecond\n\x1b[1A\r\x1b[2K' + chr(116) + 'hird')")
    assert status == 0
    assert ">third<" in svg
    assert ">second<" not in svg


def test_a_picture_names_no_folder_of_this_machine(tmp_path: Path) -> None:
    _, svg = draw(tmp_path, "import os; print('in', os.getcwd() + '/outputs')")
    assert ">in ./outputs<" in svg
    assert str(tmp_path) not in svg


def test_the_exit_code_is_that_of_the_command(tmp_path: Path) -> None:
    assert draw(tmp_path, "raise SystemExit(3)")[0] == 3
