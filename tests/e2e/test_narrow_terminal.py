"""Screens of the commands that build nothing, on a terminal of 80 columns, and the same in a pipe."""

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from distill_build.console.wrapping import cells
from tests.console.test_terminal import read_all
from tests.e2e.test_only_what_is_affected import InProcess
from tests.e2e.workspace import variables
from tests.server import ScriptedServer

COLUMNS = 80
SMALL = ("topic=ball games of all kinds that people play outside", "depth=1", "breadth=2", "questions_per_tag=1")
NAMED = ("model.name=provider/a-model-with-a-long-name-instruct", "name=games")
SCREENS = (
    "diff",
    "diff -v",
    "log {answer}",
    "show {answer}",
    "checkout latest",
    "verify",
    "cache stats",
    "cache gc --keep-last 1 --dry-run",
    "cache fsck",
    "explain name=games topic=games depth=1",
    "cache --help",
    "cache gc --help",
    "--help",
    "verify -o nowhere/to/be/found --cache-dir a/folder/that/is/not/there",
)
COPIED = re.compile(r"\b[0-9a-f]{12,64}\b|\b[aqt]_[0-9a-f]{16}\b")
ALL = "import json, sys; from distill_build.cli.dispatch import main\nfor words in json.loads(sys.argv[1]): main(words)"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two versions of a dataset whose names are long."""
    root = tmp_path_factory.mktemp("project")
    with ScriptedServer() as server:
        workspace = InProcess(root, server)
        for words in (SMALL, (*SMALL, 'system_prompt="Say what is needed to answer, and nothing else whatsoever."')):
            told = workspace.raw(*words, *workspace.settings()[:2], *NAMED, "-q")
            assert told.status == 0, told.stderr
    return root


def shown(project: Path, columns: int | None) -> list[str]:
    """The lines of all screens, in a pipe or on a terminal, which standard error is in both cases."""
    answer = json.loads((project / "outputs/games/answers.jsonl").read_text().splitlines()[0])["id"]
    words = json.dumps([screen.format(answer=answer).split() for screen in SCREENS])
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns or COLUMNS, 0, 0))
    with subprocess.Popen(
        [sys.executable, "-c", ALL, words],
        cwd=project,
        env=variables({"TERM": "dumb", "COLUMNS": ""}),
        stdin=subprocess.DEVNULL,
        stdout=slave if columns else subprocess.PIPE,
        stderr=slave,
    ) as child:
        os.close(slave)
        text = child.stdout.read().decode() if child.stdout is not None else read_all(master)
    os.close(master)
    return text.splitlines()


def test_no_row_is_wider_than_the_terminal_and_what_is_copied_stays_whole(project: Path) -> None:
    rows, lines = shown(project, COLUMNS), shown(project, None)
    assert [row for row in rows if cells(row) > COLUMNS] == []
    assert set(COPIED.findall("\n".join(rows))) == set(COPIED.findall("\n".join(lines)))


def test_tables_and_items_take_one_row_each(project: Path) -> None:
    rows = shown(project, COLUMNS)
    heads = [row for row in rows if re.match(r" *stage +model", row)]
    items = [row for row in rows if row.startswith("  ~ a_")]
    assert len(heads) == 2
    assert all(row.endswith(" cost") for row in heads)
    assert items
    assert all(row.endswith("… (reasoning and answer)") for row in items)


def test_in_a_pipe_a_sentence_is_one_line(project: Path) -> None:
    lines = shown(project, None)
    assert any(line.startswith("outputs/games is what its lock says") and line.endswith("2 exports") for line in lines)
    assert all(line.endswith("work? (reasoning and answer)") for line in lines if line.startswith("  ~ a_"))
