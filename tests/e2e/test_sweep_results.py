"""What a sweep says of its jobs is what lies in their folders and what was paid, however the runs before it ended."""

import fcntl
import shutil
import signal

import pytest

from distill_build.prompting.files import packed_folder
from tests.e2e.test_sweep import rows, sweep_folder
from tests.e2e.workspace import Workspace, interrupt_and_release
from tests.server import Body, Fault, ScriptedServer, content, error

SMALL = ("topic=sports", "depth=1", "questions_per_tag=1")
SWEEP = ("-m", *SMALL, "breadth=1,2")
PRICES = ("model.prices.prompt=1000", "model.prices.completion=1000")
PATIENCE_SECONDS = 60.0


def edit_prompt(workspace: Workspace) -> None:
    """Makes all answers other calls."""
    folder = workspace.root / "prompts" / "en"
    folder.mkdir(parents=True)
    packed = (packed_folder() / "en/answers.jinja").read_text(encoding="utf-8")
    (folder / "answers.jinja").write_text(packed.replace("question }}", "question }} Be brief."))


@pytest.mark.parametrize("place", [".sweep.jsonl.*", "runs/.union.json.*"])
def test_a_run_killed_as_it_writes_its_results_is_made_good_by_the_next(workspace: Workspace, place: str) -> None:
    assert workspace.run(*SWEEP, "--until", "tags").status == 0
    with workspace.at_work(*SWEEP, fatal=f"{workspace.root}/outputs/sports/sweeps/*/{place}") as (process, _):
        process.join(PATIENCE_SECONDS)
        assert process.exitcode == -signal.SIGKILL
    done = workspace.run(*SWEEP, "--json")
    assert done.status == 0
    assert [row["until"] for row in rows(sweep_folder(workspace))] == ["dataset", "dataset"]
    shutil.rmtree(sweep_folder(workspace))
    assert workspace.run(*SWEEP, "--json").document["union"] == done.document["union"]


def test_a_run_that_replaces_nothing_leaves_the_results_too(workspace: Workspace) -> None:
    assert workspace.run(*SWEEP).status == 0
    folder = sweep_folder(workspace)
    before = (folder / "sweep.jsonl").read_bytes()
    edit_prompt(workspace)
    assert workspace.run(*SWEEP, "--locked").status == 4
    assert (folder / "sweep.jsonl").read_bytes() == before
    shutil.rmtree(workspace.root / "prompts")
    done = workspace.run(*SWEEP, "--json")
    assert (done.status, [row["error"] for row in done.document["jobs"]]) == (0, [None, None])


def test_an_interrupted_sweep_says_of_finished_jobs_what_they_hold_now(
    workspace: Workspace, server: ScriptedServer
) -> None:
    words = ("-m", *SMALL, "breadth=1,3")
    assert workspace.run(*words).status == 0
    folder = sweep_folder(workspace)
    before = rows(folder)
    edit_prompt(workspace)
    assert workspace.run(*SMALL, "breadth=1").status == 0  # so that one job has nothing to ask
    sent = server.count
    server.hold()
    with workspace.start(*words, "limits.concurrency=1", *workspace.settings()) as process:
        server.wait_for(sent + 1)
        interrupt_and_release(process, server)
    assert process.returncode == 130
    now = rows(folder)
    assert now[0]["version"] != before[0]["version"]
    assert now[0]["version"] in (folder / "breadth=1/distill.lock").read_text()
    assert now[1] == before[1], "its files are the old ones"


def test_what_a_job_paid_before_it_failed_is_counted(workspace: Workspace, server: ScriptedServer) -> None:
    server.plan = lambda _, body: error(404, "no such model") if body["model"] == "gone" else None
    done = workspace.run("-m", *SMALL, "breadth=2", "seed=1,2", "teacher.name=gone", *PRICES, "--json")
    answered = 2 + 2 * 2
    assert (done.status, done.document["calls"]) == (2, answered)
    assert done.document["usd"] > 0
    assert f"{answered} requests answered" in done.stderr


def test_a_job_costs_what_it_would_have_by_itself(workspace: Workspace, server: ScriptedServer) -> None:
    """Whatever else was asked anew for others, and with what was paid for in vain."""
    clean = workspace.run(*SWEEP, *PRICES, "--json").document["jobs"]
    shutil.rmtree(sweep_folder(workspace))
    assert workspace.run(*SMALL, "breadth=1", *PRICES, "--rebuild", "*", "-q").status == 0
    again = workspace.run(*SWEEP, *PRICES, "--json").document["jobs"]
    assert [(row["calls"], row["tokens"]) for row in again] == [(row["calls"], row["tokens"]) for row in clean]

    def in_vain(_: int, body: Body) -> Fault | None:
        return content("…", "length") if body.get("temperature") == 0.9 else None

    server.plan = in_vain
    words = ("-m", *SMALL, "breadth=2", "seed=5", "teacher.temperature=0.1,0.9", "limits.reasks=1", *PRICES, "--json")
    done = workspace.run(*words)
    good, bad = done.document["jobs"]
    assert (done.status, bad["failures"], bad["calls"]) == (1, 2, good["calls"])
    assert bad["tokens"]["prompt"] > good["tokens"]["prompt"], "each answer was asked for twice"
    assert done.document["union"]["usd"] == pytest.approx(done.document["usd"]), "all that was sent is behind a job"


def test_a_job_that_another_process_holds_keeps_no_other_from_its_end(
    workspace: Workspace, server: ScriptedServer
) -> None:
    assert workspace.run(*SWEEP, "--until", "tags").status == 0
    folder = sweep_folder(workspace)
    with (folder / "breadth=1/runs/lock").open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with workspace.start(*SWEEP, *workspace.settings()) as process:
            while not (folder / "breadth=2/answers.jsonl").exists():
                assert process.poll() is None
            process.send_signal(signal.SIGINT)
            said = process.communicate(timeout=PATIENCE_SECONDS)[1]
    assert process.returncode == 130
    assert "breadth=1: waiting for run " in said
    assert not (folder / "breadth=1/answers.jsonl").exists()
    assert server.in_flight == 0


def test_jobs_are_asked_for_side_by_side(workspace: Workspace, server: ScriptedServer) -> None:
    server.hold()
    with workspace.start("-m", *SMALL, "breadth=1", "seed=1,2", *workspace.settings()) as process:
        server.wait_for(2)  # each job can but ask for its first tags now
        server.release()
        process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0


def test_a_sweep_held_to_locks_that_are_not_there_is_told_of_a_missing_key_first(
    workspace: Workspace, server: ScriptedServer
) -> None:
    keys = ("teacher.api_key_env=NO_SUCH_KEY", "teacher.api_key_required=true")
    done = workspace.run(*SWEEP, *keys, "--locked")
    assert (done.status, server.count) == (2, 0)
    assert "NO_SUCH_KEY" in done.stderr
    assert "there is no" in workspace.run(*SWEEP, "--locked").stderr


def test_a_job_whose_folder_cannot_be_used_leaves_the_others_alone(workspace: Workspace) -> None:
    assert workspace.run(*SWEEP, "--until", "tags").status == 0
    folder = sweep_folder(workspace)
    shutil.rmtree(folder / "breadth=1")
    (folder / "breadth=1").write_text("mine")
    done = workspace.run(*SWEEP)
    assert done.status == 5
    assert "breadth=1" in done.stderr
    assert "move away what is there" in done.stderr
    assert (folder / "breadth=2/answers.jsonl").exists()
    assert (folder / "breadth=1").read_text() == "mine"
    refused, built = rows(folder)
    assert (refused["version"], built["error"], built["until"]) == (None, None, "dataset")
    plan = workspace.run("plan", *SWEEP)
    assert (plan.status, "breadth=1: " in plan.stderr) == (5, True)
    (folder / "breadth=1").unlink()
    assert workspace.run(*SWEEP).status == 0


def test_the_version_of_a_job_that_failed_again_is_still_told(workspace: Workspace, server: ScriptedServer) -> None:
    """One job is built anew, the other one cannot be: what lies in its folder is as it was."""
    words = ("-m", *SMALL, "breadth=1", "teacher.name=one,gone")
    assert workspace.run(*words).status == 0
    folder = sweep_folder(workspace)
    before = {row["job"]: row["version"] for row in rows(folder)}
    edit_prompt(workspace)
    server.plan = lambda _, body: error(404, "no such model") if body["model"] == "gone" else None
    assert workspace.run(*words).status == 1
    one, gone = rows(folder)
    assert (one["version"] != before["teacher.name=one"], one["error"]) == (True, None)
    assert (gone["version"], "gone" in gone["error"]) == (before["teacher.name=gone"], True)


@pytest.mark.parametrize("launcher", ["hydra/launcher=basic", "hydra.sweeper.max_batch_size=1"])
def test_an_interrupted_sweep_tells_of_finished_jobs_whoever_runs_them(
    workspace: Workspace, server: ScriptedServer, launcher: str
) -> None:
    assert workspace.run(*SMALL, "breadth=1").status == 0
    sent = server.count
    server.hold()
    with workspace.start(*SWEEP, launcher, *workspace.settings()) as process:
        server.wait_for(sent + 1)
        interrupt_and_release(process, server)
    assert process.returncode == 130
    finished = rows(sweep_folder(workspace))
    assert finished[0]["version"] is not None
    assert workspace.run(*SWEEP).status == 0


@pytest.mark.parametrize("words", [(), ("hydra/launcher=basic",), ("hydra.sweeper.max_batch_size=1",)])
def test_what_the_cache_answered_is_counted_once_for_all_jobs(workspace: Workspace, words: tuple[str, ...]) -> None:
    def cached() -> int:
        stages = workspace.run(*SWEEP, *words, "--json").document["stages"]
        return sum(stage["cached"] for stage in stages.values())

    assert workspace.run(*SMALL, "breadth=2").status == 0
    calls = 1 + 2 + 2
    assert [cached(), cached()] == [calls, calls]
