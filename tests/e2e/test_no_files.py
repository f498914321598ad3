"""A pipe in place of a dataset's file is refused with a sentence: nobody waits for what is written into it."""

import os
from pathlib import Path

import pytest

from tests.e2e.workspace import Workspace

FILES = ("distill.lock", "runs/state.json", "runs/sources.jsonl", "questions.jsonl", "dataset/train.messages.jsonl")
COMMANDS = (("verify",), ("history",), ("diff",), ("tree",))


@pytest.fixture
def built(workspace: Workspace) -> Workspace:
    assert workspace.run("topic=sports", "depth=1", "breadth=1", "questions_per_tag=1").status == 0
    return workspace


@pytest.mark.parametrize("name", FILES)
def test_a_pipe_in_a_files_place_keeps_no_command_waiting(built: Workspace, name: str) -> None:
    place: Path = built.folder() / name
    place.unlink()
    os.mkfifo(place)
    for words in COMMANDS:
        done = built.raw(*words)
        assert "Traceback" not in done.stderr
    for words in ((), ("--frozen",)):
        done = built.run("topic=sports", "depth=1", "breadth=1", "questions_per_tag=1", *words)
        assert done.status in (0, 4, 5)
        assert "Traceback" not in done.stderr
