"""distill.lock as a build writes it: the same on every machine, small, and without a word about where it came from."""

import getpass
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.workspace import COMMAND, LOCK, TIMEOUT_SECONDS, Workspace
from tests.server import ScriptedServer

TREE = ("topic=体育与运动", "name=sports", "depth=2", "breadth=2", "questions_per_tag=2", "formats=[messages,csv]")


def build_elsewhere(workspace: Workspace, *words: str, **environment: str) -> int:
    """A build under another umask and whatever else `environment` says."""
    shell = ("bash", "-c", 'umask 077; exec "$@"', "bash")
    ended = subprocess.run(
        [*shell, *COMMAND, *TREE, *words, *workspace.settings()],
        cwd=workspace.root,
        env=dict(os.environ) | environment,
        capture_output=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    return ended.returncode


def test_another_machine_writes_the_same_lock(tmp_path: Path, server: ScriptedServer) -> None:
    here, there = Workspace(tmp_path / "here", server), Workspace(tmp_path / "far" / "there", server)
    for workspace in (here, there):
        workspace.root.mkdir(parents=True)
    assert here.run(*TREE).status == 0
    elsewhere = {"LC_ALL": "C", "TZ": "Asia/Kathmandu", "PYTHONHASHSEED": "7", "HOME": str(there.root), "COLUMNS": "20"}
    piece = build_elsewhere(there, "budget.calls=4", "limits.concurrency=1", **elsewhere)
    assert piece == 3, "a lock is written of what there is, and then of more"
    assert build_elsewhere(there, "limits.concurrency=9", "cache.dir=.distill-cache", **elsewhere) == 0
    assert there.bytes() == here.bytes()


def test_a_lock_says_nothing_of_its_machine_time_or_key(workspace: Workspace) -> None:
    secret = "sk-0123456789abcdef"  # noqa: S105 - nobody's
    assert workspace.run(*TREE, environment={"OPENAI_API_KEY": secret}).status == 0
    lock = workspace.lock()
    assert workspace.server is not None
    here = [str(workspace.root), workspace.server.base_url, str(workspace.server.port), socket.gethostname(), secret,
            sys.prefix, f"{os.getpid()}"]  # fmt: skip
    assert [word for word in here if re.search(rf"\b{re.escape(word)}\b", lock)] == []
    assert f'"{getpass.getuser()}"' not in lock
    assert not re.search(r"\d\d:\d\d:\d\d|20\d\d-\d\d", lock)


def test_a_lock_does_not_grow_with_the_dataset(workspace: Workspace) -> None:
    locks = []
    for size in (("breadth=2", "questions_per_tag=1"), ("breadth=4", "questions_per_tag=3", "answers_per_question=2")):
        assert workspace.run("topic=sports", "depth=1", *size).status == 0
        locks.append(workspace.lock())
    assert "counts.answers = 24" in locks[1]
    assert len(locks[0].splitlines()) == len(locks[1].splitlines())
    assert len(locks[1].encode()) < 10_000


def test_what_changed_is_a_line_or_two_for_who_reviews_it(workspace: Workspace) -> None:
    small = ("topic=sports", "depth=1", "breadth=2", "questions_per_tag=1")
    workspace.run(*small)
    before = set(workspace.lock().splitlines())
    workspace.run(*small, "teacher.temperature=0.5")
    changed = set(workspace.lock().splitlines()) - before
    assert {line.partition(" = ")[0] for line in changed} == {
        "version",
        'artefacts."answers.jsonl"',
        'exports."train.messages.jsonl"',
        "recipe.answers.models.teacher.sampling.temperature",
        "digest",
    }


@pytest.mark.parametrize("stop", ["--until", "budget.calls"])
def test_a_lock_says_how_far_a_dataset_reaches_and_what_is_missing(workspace: Workspace, stop: str) -> None:
    small = ("topic=sports", "depth=1", "breadth=2", "questions_per_tag=1")
    workspace.run(*small, *(("--until", "questions") if stop == "--until" else ("budget.calls=4",)))
    lock = workspace.lock()
    if stop == "--until":
        assert 'until = "questions"' in lock
        assert "missing" not in lock
        assert 'artefacts."answers.jsonl"' not in lock
    else:
        assert "missing.answers = 1" in lock
        assert "counts.answers = 1" in lock


def test_the_lock_is_among_the_files_that_come_back_when_they_are_lost(
    workspace: Workspace, server: ScriptedServer
) -> None:
    small = ("topic=sports", "depth=1", "breadth=2", "questions_per_tag=1")
    workspace.run(*small)
    before, sent = workspace.bytes(), server.count
    (workspace.folder() / LOCK).unlink()
    assert workspace.run(*small).status == 0
    assert (workspace.bytes(), server.count) == (before, sent)
    assert "up to date" in workspace.run(*small).stderr
