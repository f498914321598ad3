"""A dataset keeps the responses that it was made from, whatever was asked for anew elsewhere on the same cache."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.test_only_what_is_affected import InProcess, steady
from tests.e2e.two_versions import versions
from tests.e2e.workspace import TIMEOUT_SECONDS, Workspace
from tests.server import Body, Fault, ScriptedServer, content, hang

SMALL = ("topic=sports", "depth=1", "breadth=2", "questions_per_tag=2", "limits.concurrency=1")
GROWN = (*SMALL, "questions_per_tag=3")
ELSEWHERE = "output_dir=elsewhere"


def numbered(index: int, body: Body) -> Fault | None:
    """Lists by place, and answers that tell which request they came from."""
    return steady(index, body) or content(f"This is answer number {index}.")


@pytest.fixture
def project(tmp_path: Path, server: ScriptedServer) -> InProcess:
    """A project with a dataset whose answers have been asked for anew from another folder."""
    server.plan = numbered
    project = InProcess(tmp_path, server)
    assert project.run(*SMALL).status == 0
    return project


def ask_anew_elsewhere(project: Workspace, server: ScriptedServer) -> None:
    before = project.bytes()
    assert project.run(*SMALL, ELSEWHERE, "--rebuild=*").status == 0
    assert project.bytes() == before
    assert read(project, "elsewhere") != before["answers.jsonl"]
    server.reset()


def read(project: Workspace, folder: str) -> bytes:
    return (project.root / folder / "sports/answers.jsonl").read_bytes()


def answers(project: Workspace) -> dict[str, Any]:
    return {row["id"]: row["answer"] for row in project.rows("answers")}


def test_a_dataset_stays_as_it_is(project: InProcess, server: ScriptedServer) -> None:
    before = project.bytes()
    ask_anew_elsewhere(project, server)
    assert "keeps the responses that it was made from" in project.run("plan", *SMALL).stderr
    first = project.run(*SMALL)
    assert (first.status, server.count) == (0, 0)
    assert "keeps the responses that it was made from" in first.stderr
    assert "up to date" in project.run(*SMALL).stderr
    assert project.bytes() == before
    assert project.run(*SMALL, "output_dir=third").status == 0, "a new folder takes what stands"
    assert read(project, "third") == read(project, "elsewhere") != before["answers.jsonl"]


def test_growth_asks_for_what_is_new_and_replaces_nothing(project: InProcess, server: ScriptedServer) -> None:
    before = answers(project)
    ask_anew_elsewhere(project, server)
    assert project.run("plan", *GROWN, "--json").document["stages"]["answers"]["cached"] == len(before)
    assert project.run(*GROWN).status == 0
    after = answers(project)
    assert (server.kinds["answers"], len(after)) == (2, 6)
    assert {each: after[each] for each in before} == before
    assert project.run(*GROWN, "formats=[csv]").status == 0, "and once more, from what it has noted of itself"
    assert answers(project) == after


def test_what_a_version_that_was_brought_back_holds_stays(project: InProcess, server: ScriptedServer) -> None:
    before = project.bytes()
    assert project.run(*SMALL, "--rebuild=*").status == 0
    rebuilt = project.bytes()
    assert rebuilt != before
    version = versions(project)[0]
    assert project.raw("checkout", "latest~1").status == 0
    server.reset()
    assert project.run(*SMALL).status == 0
    assert (project.bytes(), server.count) == (before, 0)
    assert project.raw("checkout", version).status == 0
    assert project.bytes() == rebuilt


def test_what_a_lock_brought_stays(project: InProcess, server: ScriptedServer) -> None:
    before = project.bytes()
    ask_anew_elsewhere(project, server)
    lock = project.lock()
    shutil.rmtree(project.folder())
    project.folder().mkdir()
    (project.folder() / "distill.lock").write_text(lock)
    assert project.run(*SMALL, "--frozen").status == 0
    assert project.run(*GROWN).status == 0
    assert project.run(*SMALL).status == 0
    assert project.bytes() == before


def test_its_own_rebuild_takes_the_place_of_what_it_held(project: InProcess, server: ScriptedServer) -> None:
    ask_anew_elsewhere(project, server)
    before = answers(project)
    named = "/".join(project.rows("tags")[0]["path"])
    paths = {row["id"]: "/".join(row["path"]) for row in project.rows("answers")}
    assert project.run(*SMALL, f"--rebuild={named}").status == 0
    after = answers(project)
    assert {each for each in before if before[each] != after[each]} == {each for each in before if paths[each] == named}
    assert project.run(*SMALL).status == 0
    assert answers(project) == after


@pytest.mark.parametrize("edited", [(), ("tags.jsonl", "runs/sources.jsonl")], ids=["whole", "edited"])
def test_what_a_killed_rebuild_has_paid_for_is_used(
    workspace: Workspace, server: ScriptedServer, edited: tuple[str, ...]
) -> None:
    server.plan = numbered
    assert workspace.run(*SMALL).status == 0
    before = answers(workspace)
    server.reset()
    paths = ["/".join(row["path"]) for row in workspace.rows("tags")]
    server.plan = lambda index, body: hang() if index >= 2 else numbered(100 + index, body)
    with workspace.at_work(*SMALL, f"--rebuild={paths[0]}") as (process, _):
        server.wait_for(3)
        assert process.is_alive(), "it ended before it was killed"
    server.reset()
    for name in edited:
        (workspace.folder() / name).write_text("{}\n")
    assert workspace.run(*SMALL).status == 0
    after = answers(workspace)
    assert server.count == 0
    assert [after[each] for each in before if before[each] != after[each]] == ["This is answer number 101."]


def test_a_sweeps_jobs_keep_theirs(project: InProcess, server: ScriptedServer) -> None:
    sweep = ("-m", *SMALL[:-1], "breadth=1,2")
    assert project.run(*sweep, "-q").status == 0
    files = {path: path.read_bytes() for path in (project.folder() / "sweeps").rglob("answers.jsonl")}
    ask_anew_elsewhere(project, server)
    assert project.run(*sweep, "format.reasoning=drop", "-q").status == 0
    assert server.count == 0
    assert {path.read_bytes() for path in (project.folder() / "sweeps").rglob("answers.jsonl")} == set(files.values())


@pytest.mark.parametrize(
    "between",
    [
        [*SMALL, "--until=tags"],
        [*SMALL, "--until=questions"],
        [*SMALL, "breadth=1"],
        [*SMALL, "teacher.temperature=0.1"],
        [*SMALL, "seed=3"],
    ],
    ids=["tags", "questions", "less", "other", "all"],
)
def test_a_build_that_reaches_less_or_else_makes_it_forget_nothing(
    project: InProcess, server: ScriptedServer, between: list[str]
) -> None:
    before = answers(project)
    ask_anew_elsewhere(project, server)
    assert project.run(*between).status == 0
    server.reset()
    assert project.run(*SMALL).status == 0
    assert (answers(project), server.count) == (before, 0)


@pytest.mark.parametrize("lost", ["runs", "runs/state.json", "runs/sources.jsonl", "."])
def test_what_was_lost_comes_back_as_it_was(project: InProcess, server: ScriptedServer, lost: str) -> None:
    before = answers(project)
    ask_anew_elsewhere(project, server)
    place = project.folder() / lost
    place.unlink() if place.is_file() else shutil.rmtree(place)
    assert project.run(*SMALL).status == 0
    assert (answers(project), server.count) == (before, 0)


def grown_elsewhere(project: Workspace) -> dict[str, Any]:
    """The answers that were there before, after the growth of the dataset elsewhere."""
    before = {json.loads(line)["id"] for line in read(project, "elsewhere").splitlines()}
    assert project.run(*GROWN, ELSEWHERE).status == 0
    rows = [json.loads(line) for line in read(project, "elsewhere").splitlines()]
    assert len(rows) == 6
    return {row["id"]: row["answer"] for row in rows if row["id"] in before}


def test_a_build_elsewhere_that_reads_while_a_rebuild_asks_keeps_what_it_read(
    project: InProcess, server: ScriptedServer
) -> None:
    before, sent = answers(project), server.count
    server.hold()
    with project.at_work(*SMALL, "--rebuild=*") as (process, _):
        server.wait_for(sent + 1)
        assert project.run(*SMALL, ELSEWHERE).status == 0
        server.release()
        process.join(TIMEOUT_SECONDS)
        assert process.exitcode == 0
    assert answers(project) != before
    assert grown_elsewhere(project) == before


def test_a_dataset_elsewhere_keeps_its_own_though_the_rebuild_was_killed(
    project: InProcess, server: ScriptedServer
) -> None:
    before, sent = answers(project), server.count
    assert project.run(*SMALL, ELSEWHERE).status == 0
    server.plan = lambda index, body: hang() if index >= sent + 5 else numbered(index, body)
    with project.at_work(*SMALL, "--rebuild=*"):
        server.wait_for(sent + 6)
    server.plan = numbered
    assert grown_elsewhere(project) == before


def test_sources_that_were_edited_are_not_gone_by(project: InProcess, server: ScriptedServer) -> None:
    before = answers(project)
    ask_anew_elsewhere(project, server)
    shutil.copy(project.root / "elsewhere/sports/runs/sources.jsonl", project.folder() / "runs/sources.jsonl")
    assert project.run(*SMALL).status == 0
    assert (answers(project), server.count) == (before, 0)


def test_a_rebuild_that_is_killed_before_any_reply_lets_nothing_go(
    workspace: Workspace, server: ScriptedServer
) -> None:
    server.plan = numbered
    assert workspace.run(*SMALL).status == 0
    before = answers(workspace)
    assert workspace.run(*SMALL, ELSEWHERE, "--rebuild=*").status == 0
    server.reset()
    server.plan = lambda _, __: hang()
    with workspace.at_work(*SMALL, "--rebuild=*") as (process, _):
        server.wait_for(1)
        assert process.is_alive(), "it ended before it was killed"
    server.reset()
    assert workspace.run(*SMALL).status == 0
    assert (answers(workspace), server.count) == (before, 0)


@pytest.mark.parametrize("check", ["--frozen", "--locked"])
def test_a_check_takes_nothing_from_a_rebuild_that_was_killed(
    workspace: Workspace, server: ScriptedServer, check: str
) -> None:
    """The new reply to the first leaf's questions, and that to the first of them, had come."""
    replies = [
        content('{"questions": ["Who is the referee?", "Where is it played?"]}'),
        content("A man with a whistle."),
    ]
    server.plan = numbered
    assert workspace.run(*SMALL).status == 0
    before = answers(workspace)
    server.reset()
    server.plan = lambda index, _: replies[index] if index < 2 else hang()
    with workspace.at_work(*SMALL, f"--rebuild={'/'.join(workspace.rows('tags')[0]['path'])}") as (process, _):
        server.wait_for(3)
        assert process.is_alive(), "it ended before it was killed"
    server.reset()
    assert workspace.run(*SMALL, check).status == 0
    assert answers(workspace) == before
    assert workspace.raw("cache", "gc", "--max-size", "1KB").status == 0
    assert workspace.run(*SMALL).status == 0
    assert (server.count, len(answers(workspace))) == (1, 4)
    assert "A man with a whistle." in answers(workspace).values()


def test_a_check_goes_by_its_lock_though_the_folder_holds_what_came_after(
    project: InProcess, server: ScriptedServer
) -> None:
    before, lock = answers(project), project.lock()
    assert project.run(*SMALL, "--rebuild=*").status == 0
    (project.folder() / "distill.lock").write_text(lock)
    server.reset()
    assert project.run(*SMALL, "--locked").status == 0
    assert (answers(project), server.count) == (before, 0)


def test_growth_in_a_fresh_clone_goes_on_from_what_its_lock_names(project: InProcess, server: ScriptedServer) -> None:
    before = answers(project)
    ask_anew_elsewhere(project, server)
    clone = InProcess(project.root / "clone", server)
    clone.folder().mkdir(parents=True)
    (clone.folder() / "distill.lock").write_text(project.lock())
    assert clone.run(*GROWN, f"cache.dir={project.root / '.distill-cache'}").status == 0
    after = answers(clone)
    assert (server.count, len(after)) == (2, 6)
    assert {each: after[each] for each in before} == before
