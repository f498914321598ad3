"""All stages that judge, choose and split, in one dataset: killed, made elsewhere, made again at other speeds."""

import json
import shutil
from pathlib import Path

import pytest

from tests.e2e.caches import CACHE
from tests.e2e.judged import LINE, reply
from tests.e2e.workspace import LOCK, Workspace, start
from tests.server import ScriptedServer

STAGES = "[tags,questions,dedup,decontaminate,answers,scores,attempts,grades,filter,select,split]"
WORDS = (
    *LINE,
    f"stages={STAGES}",
    "answers_per_question=2",
    "scores.samples=2",
    "attempts.samples=2",
    "filter.min_score=2",
    "filter.max_pass_rate=1",
    "filter.repeated=drop",
    "select.by=s1",
    "select.count=8",
    "split.test=0.4",
    "decontaminate.against=[bench.jsonl]",
)
JUDGING = ("dedup", "decontaminate", "filter", "select", "split")


@pytest.fixture
def workspace(tmp_path: Path, server: ScriptedServer) -> Workspace:
    server.plan = reply
    (tmp_path / "bench.jsonl").write_text(json.dumps({"question": "Who hid the grail?"}) + "\n", encoding="utf-8")
    return Workspace(tmp_path, server)


def built(workspace: Workspace, *more: str) -> dict[str, bytes]:
    done = workspace.run(*WORDS, *more)
    assert done.status == 0, done.stderr
    assert all(workspace.rows(name) for name in JUDGING)
    return workspace.bytes()


def test_after_kills_what_came_is_not_asked_again_and_the_files_are_the_same(
    workspace: Workspace, server: ScriptedServer
) -> None:
    whole = built(workspace)
    everything = server.count
    shutil.rmtree(workspace.folder())
    shutil.rmtree(workspace.root / CACHE)
    server.reset()
    most = 4
    for after in (10, 25, 45):
        server.hold_from(after)
        with start(workspace, *WORDS, f"limits.concurrency={most}") as process:
            server.wait_for(after + 1)
            process.kill()
            process.communicate()
        server.release()
    assert built(workspace) == whole
    assert everything <= server.count <= everything + 3 * most


def test_a_clone_with_the_responses_gives_the_same_frozen_and_asks_nothing(
    workspace: Workspace, server: ScriptedServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    whole = built(workspace)
    assert workspace.raw("cache", "export", "all.bundle").status == 0
    other = Workspace(tmp_path_factory.mktemp("clone"), server)
    for name in ("bench.jsonl", "all.bundle"):
        shutil.copy(workspace.root / name, other.root / name)
    other.folder().mkdir(parents=True)
    shutil.copy(workspace.folder() / LOCK, other.folder() / LOCK)
    assert other.raw("cache", "import", "all.bundle", "--cache-dir", CACHE).status == 0
    server.reset()
    done = other.run("--frozen", *WORDS)
    assert done.status == 0, done.stderr
    assert server.count == 0
    assert other.bytes() == whole


def test_the_order_of_arrival_does_not_show(workspace: Workspace, server: ScriptedServer) -> None:
    whole = built(workspace)
    for concurrency in (1, 40):
        shutil.rmtree(workspace.folder())
        shutil.rmtree(workspace.root / CACHE)
        server.reset()
        server.latency = lambda body, turn=concurrency: (len(json.dumps(body)) * turn) % 7 / 500
        assert built(workspace, f"limits.concurrency={concurrency}") == whole
        assert server.count > 0
