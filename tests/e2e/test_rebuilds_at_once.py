"""Two --rebuild at once: each dataset keeps what it read, and no response is lost that was paid for."""

import json
from pathlib import Path
from typing import Any

from distill_build.engine.reading import ReadOnlyStore
from tests.e2e.caches import CACHE
from tests.e2e.test_held_responses import ELSEWHERE, GROWN, SMALL, numbered
from tests.e2e.test_only_what_is_affected import InProcess, steady
from tests.e2e.test_two_builds import finish, read_until
from tests.e2e.workspace import TIMEOUT_SECONDS, Workspace, start
from tests.server import Body, Fault, ScriptedServer, content


def late(index: int, body: Body) -> Fault | None:
    return steady(index, body) or content(f"This is late answer number {index}.")


def answers(folder: Path) -> dict[str, Any]:
    rows = [json.loads(line) for line in (folder / "sports/answers.jsonl").read_text().splitlines()]
    return {row["id"]: row["answer"] for row in rows}


def responses(project: Workspace) -> int:
    """How many responses are stored."""
    store = ReadOnlyStore(project.root / CACHE)
    entries = [store.get(key) for key in store.keys()]  # noqa: SIM118 - no dictionary
    store.close()
    return sum(len(entry.attempts) for entry in entries if entry is not None)


def test_of_two_datasets_each_keeps_what_it_read(tmp_path: Path, server: ScriptedServer) -> None:
    """All of one is asked for anew while a leaf of the other is, whose second leaf is not looked at meanwhile."""
    server.plan = numbered
    project, here, there = InProcess(tmp_path, server), tmp_path / "outputs", tmp_path / "elsewhere"
    assert project.run(*SMALL).status == project.run(*SMALL, ELSEWHERE).status == 0
    before, rows = answers(there), project.rows("answers")
    named = rows[0]["path"]
    with ScriptedServer(plan=late) as slow:
        slow.hold()
        words = (*SMALL, ELSEWHERE, f"--rebuild={'/'.join(named)}")
        with Workspace(tmp_path, slow).at_work(*words) as (process, _):
            slow.wait_for(1)
            assert project.run(*SMALL, "--rebuild=*").status == 0
            slow.release()
            process.join(TIMEOUT_SECONDS)
            assert process.exitcode == 0
        assert responses(project) == server.count + slow.count
    made, other = answers(here), answers(there)
    assert {row["id"] for row in rows if other[row["id"]] == before[row["id"]]} == {
        row["id"] for row in rows if row["path"] != named
    }
    for words, folder, then in ((GROWN, here, made), ((*GROWN, ELSEWHERE), there, other)):
        assert project.run(*words).status == 0
        assert then.items() <= answers(folder).items()


def test_of_one_dataset_the_second_asks_when_the_first_has_ended(workspace: Workspace, server: ScriptedServer) -> None:
    server.plan = numbered
    assert workspace.run(*SMALL).status == 0
    sent, words = server.count, (*SMALL, "--rebuild=*")
    server.latency = 0.03
    server.hold()
    with workspace.at_work(*words) as (first, _):
        server.wait_for(sent + 1)
        with start(workspace, *words) as second:
            read_until(second, "waiting for another build")
            server.release()
            first.join(TIMEOUT_SECONDS)
            assert (first.exitcode, finish(second).status) == (0, 0)
    assert server.count == responses(workspace) == 3 * sent
    last = {f"This is answer number {index}." for index in range(2 * sent, 3 * sent)}
    assert set(answers(workspace.root / "outputs").values()) <= last
    assert "up to date" in workspace.run(*SMALL).stderr
