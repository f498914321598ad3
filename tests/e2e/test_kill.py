"""Guarantees 5, 6 and 9 under `kill -9`: nothing that arrived is asked again, and files are whole or old."""

import json
import os
import random
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from tests.e2e.workspace import TIMEOUT_SECONDS, Workspace, start
from tests.server import Body, Fault, ScriptedServer, hang

KILLS = 12
CONCURRENCY = 2
TREE = ("topic=sports", "depth=2", "breadth=[4,4]", "questions_per_tag=3", f"limits.concurrency={CONCURRENCY}")
SMALL = ("topic=sports", "depth=2", "breadth=2", "questions_per_tag=2")


def killed(process: "subprocess.Popen[str]") -> None:
    """Kills a build that is still at work."""
    assert process.poll() is None, f"it ended before it was killed: {process.communicate()}"
    process.kill()
    process.communicate()


def repeats(server: ScriptedServer) -> int:
    """How many requests were sent that had been sent before."""
    sent = Counter(json.dumps(request.body, sort_keys=True) for request in server.requests)
    return sum(times - 1 for times in sent.values())


def test_a_dozen_kills_cost_no_more_than_what_was_in_flight_and_change_no_byte(
    workspace: Workspace, server: ScriptedServer, tmp_path: Path
) -> None:
    """Each time the server answers a random few requests and then holds the others back; the kill comes at a random
    one of them, so that some fall into waiting for a reply and some between a reply and its commit."""
    moments = random.Random(20)
    held_from = 0

    def plan(index: int, _: Body) -> Fault | None:
        return hang() if index >= held_from else None

    server.plan = plan
    for _ in range(KILLS):
        moment = server.count + moments.randint(1, 4)
        held_from = moment + moments.randint(-1, 2)
        with workspace.at_work(*TREE) as (process, _):
            server.wait_for(moment, timeout=60)
            assert process.is_alive(), "it ended before it was killed"
        assert workspace.bytes() == {}, "files came into their places before all was there"
    held_from = 1 << 30
    assert workspace.run(*TREE).status == 0
    spent, again, interrupted = server.count, repeats(server), workspace.bytes()

    server.reset()
    (tmp_path / "quiet/.git").mkdir(parents=True)  # a project of its own
    quiet = Workspace(tmp_path / "quiet", server)
    assert quiet.run(*TREE).status == 0
    calls = server.count
    assert calls == 1 + 4 + 16 + 48
    assert spent <= calls + KILLS * CONCURRENCY
    assert again <= KILLS * CONCURRENCY
    assert interrupted == quiet.bytes()


def test_after_a_kill_the_next_build_of_other_settings_finds_what_arrived(
    workspace: Workspace, server: ScriptedServer
) -> None:
    server.plan = lambda index, _: hang() if index >= 5 else None
    with start(workspace, *SMALL, "limits.concurrency=1") as process:
        server.wait_for(6)
        killed(process)
    server.plan = ()
    assert workspace.run(*SMALL, "limits.concurrency=8", "formats=[alpaca]").status == 0
    assert repeats(server) <= 1


# A kill between two renames: what it leaves is written by hand, as engine/artefacts.py describes it.

OLD = (*SMALL, "formats=[messages,alpaca]")
NEW = (*SMALL, "questions_per_tag=1", "formats=[messages,csv]")
STATE = ("state.json", "units.json", "sources.jsonl")


def crash(old: Path, new: Path, target: Path, moved: int) -> int:
    """Makes `target` from the dataset `old` as a kill after `moved` renames towards `new` leaves it.

    Returns how many renames there are.
    """
    shutil.copytree(old, target)
    ready = target / "runs" / "killed" / "new"
    places = [path.relative_to(new) for path in sorted(new.rglob("*")) if path.is_file() and "runs" not in path.parts]
    places += [Path("runs") / name for name in STATE]
    moves = []
    for place in places:
        (ready / place.name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(new / place, ready / place.name)
        moves.append([f"killed/new/{place.name}", os.path.relpath(target / place, target / "runs")])
    journal = {"moves": moves, "removals": ["../dataset/train.alpaca.jsonl"]}
    (target / "runs" / "replacing.json").write_text(json.dumps(journal))
    for source, destination in moves[:moved]:
        (target / "runs" / source).replace(target / "runs" / destination)
    return len(moves)


@pytest.fixture
def two_versions(workspace: Workspace) -> tuple[Path, Path]:
    """The same dataset before and after a change of settings, in folders beside each other."""
    assert workspace.run(*OLD).status == 0
    shutil.copytree(workspace.folder(), workspace.root / "old")
    assert workspace.run(*NEW).status == 0
    shutil.copytree(workspace.folder(), workspace.root / "new")
    return workspace.root / "old", workspace.root / "new"


def test_a_kill_between_two_renames_is_finished_by_the_next_build_for_nothing(
    workspace: Workspace, server: ScriptedServer, two_versions: tuple[Path, Path]
) -> None:
    old, new = two_versions
    wanted, sent = workspace.bytes(), server.count
    for moved in (0, 1, 4, 11):
        shutil.rmtree(workspace.folder())
        assert crash(old, new, workspace.folder(), moved) == 11
        finished = workspace.run(*NEW, "--offline")
        assert (moved, finished.status, workspace.bytes()) == (moved, 0, wanted)
        assert "up to date" in finished.stderr
        assert not (workspace.folder() / "runs" / "replacing.json").exists()
    assert server.count == sent


def test_a_kill_between_two_renames_is_finished_before_a_build_of_the_old_settings(
    workspace: Workspace, server: ScriptedServer, two_versions: tuple[Path, Path]
) -> None:
    old, new = two_versions
    sent = server.count
    shutil.rmtree(workspace.folder())
    crash(old, new, workspace.folder(), 2)
    finished = workspace.run(*OLD)
    assert finished.status == 0
    assert "edited" not in finished.stderr, "the program's own files were taken for files edited by hand"
    shutil.rmtree(workspace.folder())
    shutil.copytree(old, workspace.folder())
    before = workspace.bytes()
    assert workspace.run(*OLD).status == 0
    assert (workspace.bytes(), server.count) == (before, sent)


def test_what_a_killed_build_left_unfinished_is_cleared_away(workspace: Workspace) -> None:
    left_behind = workspace.folder() / "runs" / "20200101T000000Z-abcdef" / "new"
    left_behind.mkdir(parents=True)
    (left_behind / "answers.spool").write_bytes(b"half")
    assert workspace.run("topic=sports", "depth=1", "breadth=2", "questions_per_tag=1").status == 0
    assert not left_behind.exists()


def test_a_cache_that_has_lost_its_database_is_not_silently_filled_again(
    workspace: Workspace, server: ScriptedServer
) -> None:
    assert workspace.run(*SMALL).status == 0
    for file in (workspace.root / ".distill-cache").glob("cache.db*"):
        file.unlink()
    shutil.rmtree(workspace.folder())
    sent = server.count
    for words in ((), ("plan",)):
        refused = workspace.run(*words, *SMALL)
        assert refused.status == 5
        assert "has lost its database" in refused.stderr
    assert server.count == sent


def test_answers_that_a_killed_build_took_away_are_not_exported_as_none(workspace: Workspace) -> None:
    assert workspace.run(*SMALL).status == 0
    fatal = str(workspace.folder() / "runs/replacing.json")
    with workspace.at_work(*SMALL, "--until=questions", fatal=fatal) as (process, _):
        process.join(TIMEOUT_SECONDS)
    finished = workspace.run("export", *SMALL)
    assert finished.status == 2
    assert "no answers to export" in finished.stderr
    assert workspace.run(*SMALL).status == 0
    assert len(workspace.rows("answers")) == 8
