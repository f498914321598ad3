"""Jobs in processes of joblib, Ray and submitit: side by side, on one cache, with statuses that reach the exit code."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.workspace import Workspace
from tests.server import Body, Fault, ScriptedServer, error

SMALL = ("topic=sports", "depth=1", "breadth=2", "questions_per_tag=1")
SWEEP = ("-m", *SMALL, "teacher.name=one,two,gone")
ANSWERS = 2
PATIENCE_SECONDS = 60.0


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder whose name leaves room for those of Ray's sockets; its logs go with it."""
    folder = Path(tempfile.mkdtemp(prefix="ray"))
    yield folder
    shutil.rmtree(folder)


def words_for(launcher: str, short_folder: Path) -> list[str]:
    """What a user types for a launcher, and for two processes of it."""
    init = "+hydra.launcher.ray.init."
    return {
        "joblib": ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"],
        "submitit": ["hydra/launcher=submitit_local"],
        "ray": [
            "hydra/launcher=ray",
            f"{init}num_cpus=2",
            f"{init}include_dashboard=false",
            f"{init}_temp_dir={short_folder}",
        ],
    }[launcher]


QUIET_RAY = {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}
"""Neither a token in the home folder nor reports to anybody."""


@pytest.mark.parametrize("launcher", ["joblib", "submitit", "ray"])
def test_jobs_share_the_cache_and_their_statuses_reach_the_exit_code(
    workspace: Workspace, server: ScriptedServer, launcher: str, short_folder: Path
) -> None:
    def plan(_: int, body: Body) -> Fault | None:
        return error(404, "The model `gone` does not exist") if body["model"] == "gone" else None

    assert workspace.run(*SMALL, "--until", "questions").status == 0
    before = server.count
    server.plan = plan
    server.hold()
    words = (*SWEEP, *words_for(launcher, short_folder), "limits.concurrency=1", *workspace.settings())
    with workspace.start(*words, environment=QUIET_RAY) as process:
        try:
            server.wait_for(before + 2, PATIENCE_SECONDS)  # one of each process
            server.release()
            _, said = process.communicate(timeout=PATIENCE_SECONDS)
        finally:
            process.terminate()  # which ends its workers too
    assert process.returncode == 1, said
    assert "failed: teacher.name=gone: " in said
    asked = [request.body["model"] for request in server.requests[before:]]
    assert asked.count("one") == asked.count("two") == ANSWERS, "tags and questions were in the cache"

    (folder,) = workspace.root.glob("outputs/sports/sweeps/*")
    whole = [json.loads(line) for line in (folder / "sweep.jsonl").read_text().splitlines()]
    assert [(row["job"], row["error"] is None) for row in whole] == [
        ("teacher.name=one", True), ("teacher.name=two", True), ("teacher.name=gone", False),
    ]  # fmt: skip
    holders = [
        json.loads((folder / f"teacher.name={name}/runs/lock").read_text())["process"] for name in ("one", "two")
    ]
    assert process.pid not in holders
    assert len(set(holders)) == 2

    server.plan, before = (), server.count
    assert workspace.run(*SWEEP).status == 0
    assert server.count == before + ANSWERS, "our own launcher goes on where that one ended: in the same folder"
    assert [path.name for path in workspace.root.glob("outputs/sports/sweeps/*")] == [folder.name]


def test_jobs_in_other_processes_work_on_the_project_around_where_one_stands(
    workspace: Workspace, server: ScriptedServer
) -> None:
    (workspace.root / "conf").mkdir()
    (workspace.root / "conf/distill.yaml").write_text("defaults: [base, _self_]\ncache: {dir: kept}\n")
    (workspace.root / "notes").mkdir()
    below = Workspace(workspace.root / "notes", server)
    words = ("-m", *SMALL[:-1], "questions_per_tag=1,2", *words_for("joblib", Path()))
    counts = []
    for standing, more in ((below, ()), (workspace, ()), (below, ("output_dir=mine",))):
        with standing.start(*words, *more, *workspace.settings()) as process:
            _, said = process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == 0, said
        counts.append(server.count)
    assert len(set(counts)) == 1, "all is in the cache of the root"
    assert [path.name for path in below.root.iterdir()] == ["mine"]
    assert len(list(below.root.glob("mine/sports/sweeps/*/questions_per_tag=*/distill.lock"))) == 2
    assert sorted(path.name for path in workspace.root.iterdir()) == ["conf", "kept", "notes", "outputs"]
