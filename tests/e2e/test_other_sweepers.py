"""Hydra's own launcher and sweeper give what ours do, where ours do, and say what went wrong as ours do."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.workspace import Workspace, interrupt_and_release
from tests.server import Body, Fault, ScriptedServer, error

SMALL = ("-m", "topic=sports", "depth=1", "questions_per_tag=1")
HYDRAS = "multirun.yaml"


def files(workspace: Workspace) -> dict[str, bytes]:
    """What users and programs read of all sweeps, by path."""
    place = workspace.root / "outputs"
    found = {path.relative_to(place): path for path in place.rglob("*") if path.is_file()}
    return {str(path): found[path].read_bytes() for path in found if "runs" not in path.parts}


def rows(workspace: Workspace) -> list[dict[str, Any]]:
    (path,) = workspace.root.glob("outputs/**/sweep.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()]


WAYS = [("hydra/sweeper=basic",), ("hydra.sweeper.max_batch_size=1", "hydra.job.chdir=true")]


@pytest.mark.parametrize("words", WAYS, ids=" ".join)
def test_hydras_launcher_makes_the_same_files_and_ours_has_nothing_to_do_then(
    workspace: Workspace, server: ScriptedServer, tmp_path: Path, words: tuple[str, ...]
) -> None:
    done = workspace.run(*SMALL, "breadth=1,3", "hydra/launcher=basic", *words, "--json")
    assert (done.status, server.count) == (0, 1 + 3 + 3), "the second job finds what the first has asked for"
    assert [job["job"] for job in done.document["jobs"]] == ["breadth=1", "breadth=3"]
    assert rows(workspace) == done.document["jobs"]
    ours = workspace.run(*SMALL, "breadth=1,3")
    assert "2 jobs up to date; nothing was asked" in ours.stderr
    there = Workspace(tmp_path / "there", server)
    there.root.mkdir()
    assert there.run(*SMALL, "breadth=1,3").status == 0
    assert files(there) == {path: data for path, data in files(workspace).items() if not path.endswith(HYDRAS)}


@pytest.mark.parametrize(
    "words", [("hydra/launcher=basic",), ("hydra/sweeper=basic", "hydra.sweeper.max_batch_size=1")], ids=" ".join
)
def test_a_job_that_fails_leaves_the_others_alone_and_the_exit_code_says_so(
    workspace: Workspace, server: ScriptedServer, words: tuple[str, ...]
) -> None:
    def plan(_: int, body: Body) -> Fault | None:
        return error(404, "The model `gone` does not exist") if body["model"] == "gone" else None

    server.plan = plan
    done = workspace.run(*SMALL, "breadth=1", "teacher.name=gone,scripted", *words)
    assert done.status == 1
    assert "failed: teacher.name=gone: " in done.stderr
    failed, whole = rows(workspace)
    assert (failed["version"], whole["failures"], whole["error"]) == (None, 0, None)


def test_batches_are_one_sweep(workspace: Workspace, server: ScriptedServer) -> None:
    words = (*SMALL, "breadth=1", "student.name=Go,go,Go")
    done = workspace.run(*words, "hydra.sweeper.max_batch_size=1")
    assert (done.status, server.count) == (0, 1 + 2 + 2)
    assert done.stderr.count("built once") == 1, "what an earlier batch has built is left out, and that is said"
    assert [row["same"] for row in rows(workspace)] == [[{"student.name": "Go"}], []]
    again = workspace.run(*words)
    assert "2 jobs up to date; nothing was asked" in again.stderr, "folders have the same names"


def test_an_interruption_ends_all_jobs(workspace: Workspace, server: ScriptedServer) -> None:
    server.hold()
    with workspace.start(*SMALL, "breadth=1", "seed=1,2", "hydra/launcher=basic", *workspace.settings()) as process:
        server.wait_for(1)
        interrupt_and_release(process, server)
    assert (process.returncode, server.count) == (130, 1)


MISTAKES = [
    (("seed=1,x", "hydra/launcher=basic"), "distill-build: seed=x: expected a whole number"),
    (("output_dir=a,b", "hydra/launcher=basic"), "share output_dir, so it cannot be swept: leave out -m"),
    (("cache.dir=a,b",), "share cache.dir, so it cannot be swept: leave out -m"),
    (("seed=1,2", "hydra.sweep.dir=x"), "hydra.sweep.dir=x: a sweep lies with its dataset"),
    (("seed=1,2", "hydra/launcher=basic", "--rebuild", "*"), "leave out -m, or --rebuild"),
    (("seed=1,2", "hydra/launcher=joblib"), "pip install hydra-joblib-launcher"),
    (("seed=1,2", "hydra/sweeper=optuna"), "pip install hydra-optuna-sweeper"),
]


@pytest.mark.parametrize(("words", "said"), MISTAKES, ids=[" ".join(words) for words, _ in MISTAKES])
def test_a_mistake_is_told_before_anything_is_sent(
    workspace: Workspace, server: ScriptedServer, words: tuple[str, ...], said: str
) -> None:
    done = workspace.run(*SMALL, *words)
    assert (done.status, server.count) == (2, 0)
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_projects_files_may_ask_for_another_launcher(workspace: Workspace, server: ScriptedServer) -> None:
    (workspace.root / "more").mkdir()
    (workspace.root / "more/mine.yaml").write_text(
        "defaults: [base, _self_, {override hydra/launcher: basic}]\ntopic: go\ndepth: 1\nquestions_per_tag: 1\n"
    )
    done = workspace.run("-m", "--config-dir=more", "--config-name=mine", "breadth=1,2")
    assert (done.status, server.count) == (0, 5)
    assert "breadth=1: 1 tag" in done.stderr, "each job is built by itself"
