"""A sweep asks once for what its jobs share, compares them, and leaves the dataset's own files and history alone."""

import json
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from distill_build.versions.archive import Archive
from tests.e2e.caches import CACHE
from tests.e2e.workspace import COMMAND, Workspace, interrupt_and_release, variables
from tests.server import Body, Fault, ScriptedServer, error

SMALL = ("topic=sports", "depth=2", "questions_per_tag=2")
SWEEP = ("-m", *SMALL, "breadth=1,2,4")
PRICES = ("model.prices.prompt=1", "model.prices.completion=2")
CALLS = 5 + 2 * 4 * 4 + 4 * 4
"""Requests of breadth=4: a list for the topic and each tag, one for the questions of a leaf, and the answers."""


def sweep_folder(workspace: Workspace, place: str = "outputs/sports/sweeps") -> Path:
    """The folder of the one sweep that was run."""
    (folder,) = (workspace.root / place).iterdir()
    return folder


def rows(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "sweep.jsonl").read_text().splitlines()]


def artefacts(folder: Path) -> dict[str, bytes]:
    names = ("tags.jsonl", "questions.jsonl", "dedup.jsonl", "answers.jsonl", "dataset/train.messages.jsonl")
    return {name: (folder / name).read_bytes() for name in names}


def test_a_sweep_sends_as_many_requests_as_its_largest_job_and_gives_each_its_own_files(
    workspace: Workspace, server: ScriptedServer
) -> None:
    plan = workspace.run("plan", *SWEEP, *PRICES, "--json").document
    assert server.count == 0
    done = workspace.run(*SWEEP, *PRICES, "--json")
    assert (done.status, server.count) == (0, CALLS)
    document = done.document
    assert plan["calls"] == document["calls"] == CALLS, "the largest tree holds all others"
    assert [job["job"] for job in document["jobs"]] == ["breadth=1", "breadth=2", "breadth=4"]
    assert [job["choices"] for job in plan["jobs"]] == [{"breadth": each} for each in "124"]
    alone = [job["usd"] for job in document["jobs"]]
    assert document["union"]["usd"] == pytest.approx(alone[-1])
    assert sum(job["share_usd"] for job in document["jobs"]) == pytest.approx(document["union"]["usd"])
    assert document["sum"]["usd"] == pytest.approx(sum(alone))

    folder = sweep_folder(workspace)
    assert rows(folder) == document["jobs"]
    first = {path: path.read_bytes() for path in folder.rglob("*.jsonl") if "runs" not in path.parts}
    assert not workspace.rows("tags"), "the dataset's own place stays as it was"
    again = workspace.run(*SWEEP, *PRICES)
    assert (again.status, server.count) == (0, CALLS)
    assert "3 jobs up to date; nothing was asked" in again.stderr
    assert {path: path.read_bytes() for path in first} == first

    assert workspace.run(*SMALL, "breadth=2").status == 0
    assert artefacts(workspace.folder()) == artefacts(folder / "breadth=2"), "as a build by itself makes them"
    assert server.count == CALLS


def test_jobs_enter_no_history_and_gc_keeps_what_they_used(workspace: Workspace, server: ScriptedServer) -> None:
    assert workspace.run(*SWEEP).status == 0
    assert workspace.run(*SMALL, "breadth=1").status == 0
    assert workspace.raw("cache", "gc", "--keep-last", "1", "--older-than", "0d").status == 0
    for leaf in sweep_folder(workspace).rglob("state.json"):
        leaf.unlink()
    assert workspace.run(*SWEEP, "--offline").status == 0, "every response is still there"
    assert server.count == CALLS
    shutil.rmtree(sweep_folder(workspace))  # whose versions belong to no folder then
    assert len(workspace.raw("history", "sports", "--json").document["versions"]) == 1


def test_a_jobs_version_whose_record_was_set_aside_is_kept_again_for_nothing(
    workspace: Workspace, server: ScriptedServer
) -> None:
    words = ("-m", "topic=sports", "depth=1", "questions_per_tag=1", "breadth=1,2")
    assert workspace.run(*words).status == 0
    sent, archive, job = server.count, Archive(workspace.root / CACHE), sweep_folder(workspace) / "breadth=2"
    before = artefacts(job)
    root = archive.registry.root(job)
    assert root is not None
    archive.records.file(root.versions[-1]).write_text("{")
    assert workspace.raw("cache", "fsck").status == 5
    assert workspace.run(*words).status == 0
    (job / "answers.jsonl").unlink()
    assert workspace.raw("checkout", "latest", "-o", str(job)).status == 0
    assert (artefacts(job), server.count) == (before, sent)


def test_a_mistake_in_any_job_is_told_before_anything_is_sent(workspace: Workspace, server: ScriptedServer) -> None:
    for words, said in (
        (("breadth=2,3", "depth=1,0"), "distill-build: depth=0: expected a whole number"),
        (("depth=1,2", "teacher.api_key_env=NO_SUCH_KEY,null"), "depth=1 teacher.api_key_env=NO_SUCH_KEY: "),
        (("breadth=1,2", "--rebuild", "*"), "leave out -m, or --rebuild"),
        (("prompts.dir=prompts,trese",), "distill-build: prompts.dir=trese: there is no such folder: "),
        (("prompts.dir=trese", "depth=1,2"), "distill-build: prompts.dir=trese: there is no such folder: "),
    ):
        done = workspace.run("-m", "topic=sports", "teacher.api_key_required=true", *words)
        assert done.status == 2, done.stderr
        assert said in done.stderr
        assert "Traceback" not in done.stderr
    assert server.count == 0


def test_values_work_as_typed_and_equal_jobs_are_one(workspace: Workspace, server: ScriptedServer) -> None:
    tiny = ("depth=2", "questions_per_tag=1", "--until", "tags")
    lists = workspace.run("-m", "topic=sports", "breadth=[2,1],[1,1],[2, 1]", *tiny)
    assert lists.status == 0, lists.stderr
    assert "breadth=[2,1] is asked for 2 times: built once" in lists.stderr
    assert {path.name for path in sweep_folder(workspace).iterdir()} == {
        "breadth=[2,1]", "breadth=[1,1]", "sweep.jsonl", "runs",
    }  # fmt: skip
    topics = workspace.run("-m", "topic=网球,游泳, board games", "language=en,zh", "breadth=1", *tiny)
    assert topics.status == 0, topics.stderr
    folder = sweep_folder(workspace, "outputs/sweeps")
    jobs = rows(folder)
    assert [tuple(job["choices"].values()) for job in jobs] == [
        (language, topic) for topic in ("网球", "游泳", "board games") for language in ("en", "zh")
    ]
    assert jobs[0]["job"] == "language=en,topic=网球"
    assert jobs[4]["job"].startswith("language=en,topic=board-games~"), "another name than that of board-games"
    assert all((folder / job["job"] / "tags.jsonl").is_file() for job in jobs)
    assert server.count == 2 + 1 + 2 * 6


def test_a_failed_job_leaves_the_others_alone(workspace: Workspace, server: ScriptedServer) -> None:
    def plan(_: int, body: Body) -> Fault | None:
        return error(404, "The model `gone` does not exist") if body["model"] == "gone" else None

    server.plan = plan
    words = ("-m", *SMALL, "breadth=2", "teacher.name=scripted,gone")
    done = workspace.run(*words)
    assert done.status == 1
    assert "failed: teacher.name=gone: " in done.stderr
    folder = sweep_folder(workspace)
    whole, failed = rows(folder)
    assert (whole["counts"]["answers"], whole["missing"], whole["error"]) == (8, {}, None)
    assert "gone" in failed["error"]
    assert failed["version"] is None
    assert not (folder / "teacher.name=gone/answers.jsonl").exists()

    server.plan = ()
    before = server.count
    assert workspace.run(*words).status == 0
    assert server.count == before + 8, "the other job's answers, and nothing else"


def test_many_jobs_that_fail_take_no_files_with_them(workspace: Workspace, server: ScriptedServer) -> None:
    """A process may have few files open; what a job had is closed, however the job ends."""
    server.plan = lambda _, body: error(404, "no such model") if body["model"] == "gone" else None
    jobs = ",".join(map(str, range(150)))
    words = ("-m", "topic=sports", "depth=1", "breadth=1", f"seed={jobs}", "teacher.name=gone", "limits.concurrency=8")
    command = shlex.join([*COMMAND, *words, *workspace.settings(), "--json"])
    done = subprocess.run(
        ["bash", "-c", f"ulimit -n 256; exec {command}"],
        cwd=workspace.root,
        env=variables(None),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Too many open files" not in done.stderr
    assert done.returncode == 2
    assert all("gone" in row["error"] for row in json.loads(done.stdout)["jobs"])


def test_one_budget_holds_for_all_jobs_and_the_next_run_goes_on(workspace: Workspace, server: ScriptedServer) -> None:
    done = workspace.run(*SWEEP, "budget.calls=20")
    assert (done.status, server.count) == (3, 20)
    assert done.stderr.count("budget.calls is reached") == 1
    assert any(row["failures"] for row in rows(sweep_folder(workspace)))
    assert workspace.run(*SWEEP).status == 0
    assert server.count == CALLS


def test_an_interrupted_sweep_keeps_what_came_and_the_next_run_asks_for_the_rest(
    workspace: Workspace, server: ScriptedServer
) -> None:
    assert workspace.run(*SMALL, "breadth=1").status == 0
    sent = server.count
    server.hold()
    with workspace.start(*SWEEP, "limits.concurrency=2", *workspace.settings()) as process:
        server.wait_for(sent + 2)
        interrupt_and_release(process, server)
    assert process.returncode == 130
    assert server.count == sent + 2
    assert (sweep_folder(workspace) / "breadth=1/answers.jsonl").exists(), "that job had nothing to wait for"
    assert workspace.run(*SWEEP).status == 0
    assert server.count == CALLS


def test_a_sweep_can_be_held_to_its_locks(workspace: Workspace, server: ScriptedServer) -> None:
    assert workspace.run(*SWEEP).status == 0
    assert workspace.run(*SWEEP, "--frozen").status == 0
    refused = workspace.run("-m", *SMALL, "breadth=2,3", "--frozen")
    assert refused.status == 4
    assert "there is no" in refused.stderr
    assert server.count == CALLS


def test_jobs_typed_in_another_order_are_the_same_sweep(workspace: Workspace, server: ScriptedServer) -> None:
    tiny = ("-m", "topic=sports", "depth=1", "--until", "tags")
    assert workspace.run(*tiny, "seed=2,1", "breadth=1,2").status == 0
    sent = server.count
    assert workspace.run(*tiny, "breadth=2,1", "seed=1,2").status == 0
    jobs = rows(sweep_folder(workspace))
    assert [row["job"] for row in jobs] == [f"breadth={breadth},seed={seed}" for breadth in (2, 1) for seed in (1, 2)]
    assert server.count == sent


def test_a_jobs_very_version_can_be_taken_over_as_the_dataset(workspace: Workspace) -> None:
    assert workspace.run("-m", "topic=sports", "depth=1", "questions_per_tag=1", "breadth=1,2").status == 0
    folder = sweep_folder(workspace)
    version = rows(folder)[1]["version"]
    assert workspace.raw("checkout", version, "-o", "outputs/sports").status == 0
    assert artefacts(workspace.folder()) == artefacts(folder / "breadth=2")
    assert workspace.raw("verify").status == 0
