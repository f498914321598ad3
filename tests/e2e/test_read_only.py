"""A cache on a disk that cannot be written, as CI may mount one: what asks nothing works, and nothing is asked."""

import shutil
from pathlib import Path

from tests.e2e.mounts import read_only
from tests.e2e.test_disk import assert_sentence
from tests.e2e.workspace import LOCK, Workspace
from tests.server import ScriptedServer, hang

SMALL = ("topic=sports", "depth=1", "breadth=2", "questions_per_tag=2")
CALLS = 7


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_all_that_asks_nothing_works_with_a_read_only_cache(workspace: Workspace, server: ScriptedServer) -> None:
    assert workspace.run(*SMALL).status == 0
    before, cache = workspace.bytes(), workspace.root / ".distill-cache"
    kept = contents(cache)
    with read_only(cache):
        assert "up to date" in workspace.run(*SMALL).stderr
        assert workspace.run("plan", *SMALL, "breadth=3", "--json").document["calls"] > 0
        shutil.rmtree(workspace.folder())
        workspace.folder().mkdir()
        (workspace.folder() / LOCK).write_bytes(before[LOCK])
        assert workspace.run("plan", *SMALL, "--frozen").status == 0
        assert workspace.run(*SMALL, "--frozen").status == 0
        assert workspace.bytes() == before
        answer = workspace.rows("answers")[0]["id"]
        for words in (("tree",), ("show", answer), ("log", answer), ("cache", "stats"), ("history",), ("verify",)):
            finished = workspace.raw(*words)
            assert (finished.status, bool(finished.stdout)) == (0, True), (words, finished.stderr)
        assert workspace.run(*SMALL, "breadth=1").status == 0
        assert len(workspace.rows("answers")) == 2
    assert server.count == CALLS
    assert contents(cache) == kept


def test_a_build_that_would_have_to_ask_is_refused_before_it_does(workspace: Workspace, server: ScriptedServer) -> None:
    """A response is stored before anything else is done with it, so one that cannot be stored must not be paid for."""
    assert workspace.run(*SMALL).status == 0
    before = workspace.bytes()
    with read_only(workspace.root / ".distill-cache"):
        assert_sentence(workspace.run(*SMALL, "seed=1"), "read-only", "tags for sports", "set cache.dir")
        assert_sentence(workspace.run(*SMALL, "--rebuild=*"), "read-only")
        assert workspace.run(*SMALL, "seed=1", "--frozen").status == 4
        assert workspace.run(*SMALL, "seed=1", "--offline").status == 4
    assert (workspace.bytes(), server.count) == (before, CALLS)


def test_a_read_only_disk_without_a_cache_is_a_sentence(workspace: Workspace, server: ScriptedServer) -> None:
    place = workspace.root / "disk"
    place.mkdir()
    with read_only(place):
        assert_sentence(workspace.run(*SMALL, "cache.dir=disk/cache"), "disk/cache")
    assert server.count == 0


def test_what_a_killed_build_left_in_the_write_ahead_log_is_read_too(
    workspace: Workspace, server: ScriptedServer
) -> None:
    server.plan = lambda index, _: hang() if index >= 4 else None
    with workspace.start(*SMALL, "limits.concurrency=1", *workspace.settings()) as process:
        server.wait_for(5, timeout=60)
        process.kill()
        process.communicate()
    cache = workspace.root / ".distill-cache"
    assert (cache / "cache.db-wal").stat().st_size > 0
    with read_only(cache):
        plan = workspace.run("plan", *SMALL, "--json").document
        assert sum(stage["cached"] for stage in plan["stages"].values()) == 4
    (cache / "cache.db-shm").unlink()
    with read_only(cache):
        assert_sentence(workspace.run("plan", *SMALL), "cache.db-wal", "where the cache can be written")
    assert workspace.raw("cache", "stats").status == 0
    server.plan = ()
    assert workspace.run(*SMALL).status == 0
    assert server.count <= CALLS + 1
