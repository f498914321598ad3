"""The Optuna sweeper goes by the numbers that compare jobs."""

import json
import re
from pathlib import Path

import pytest
import yaml

from tests.e2e.workspace import Workspace
from tests.server import ScriptedServer, error

SEARCH = (
    "-m",
    "topic=sports",
    "depth=1",
    "questions_per_tag=1",
    "breadth=1,2,3",
    "hydra/sweeper=optuna",
    "hydra/sweeper/sampler=grid",
)


def found(workspace: Workspace, *before: Path) -> tuple[Path, dict[str, object]]:
    """The folder of the only sweep but for those `before`, and what Optuna says of it."""
    (folder,) = set(workspace.root.glob("outputs/sports/sweeps/*")) - set(before)
    return folder, yaml.safe_load((folder / "optimization_results.yaml").read_text())


def test_the_best_job_is_the_one_with_the_best_number(workspace: Workspace, server: ScriptedServer) -> None:
    prices = ("model.prices.prompt=1", "model.prices.completion=2")
    done = workspace.run(*SEARCH, *prices, "objective=usd", "hydra.sweeper.direction=maximize")
    assert (done.status, server.count) == (0, 1 + 3 + 3), "batches share what they ask for"
    folder, result = found(workspace)
    rows = {row["job"]: row for row in map(json.loads, (folder / "sweep.jsonl").read_text().splitlines())}
    assert set(rows) == {"breadth=1", "breadth=2", "breadth=3"}
    assert result["best_params"] == {"breadth": 3}
    assert result["best_value"] == rows["breadth=3"]["usd"] == max(row["usd"] for row in rows.values())
    assert f"what the sweeper has found: {folder.relative_to(workspace.root)}/optimization_results.yaml" in done.stderr

    best, why = [line for line in done.stderr.splitlines() if line.startswith("*")]
    assert (best.split()[1], why) == ("3", "* best by usd (maximize)")
    counted = re.findall(r"answers (\d+)/(\d+);", done.stderr)
    assert counted
    assert all(made == expected for made, expected in counted), "each batch counts its own"

    again = workspace.run(*SEARCH, *prices, "objective=[calls,unique]", "hydra.sweeper.direction=[minimize,maximize]")
    assert (again.status, server.count) == (0, 7), "all is in the cache"
    (solution,) = found(workspace, folder)[1]["solutions"]
    assert solution == {"params": {"breadth": 1}, "values": [3.0, 1.0]}


def test_a_budget_ends_a_search_as_it_ends_a_build(workspace: Workspace, server: ScriptedServer) -> None:
    done = workspace.run(*SEARCH, "hydra.sweeper.n_jobs=1", "budget.calls=2")
    assert (done.status, server.count) == (3, 2)
    assert "budget.calls is reached" in done.stderr
    assert "the sweeper stopped after 1 job: raise or leave out the cap (budget.*, -k), and run" in done.stderr
    assert "max_failure_rate" not in done.stderr, "it is for jobs that fail"


STOPS = [
    (("breadth=1,-1",), 2, "breadth=-1: expected a whole number", ["breadth=1"]),
    (("breadth=1", "seed=0,1"), 1, "2 jobs: mend what failed", ["seed=0", "seed=1"]),
]


@pytest.mark.parametrize(("words", "status", "said", "jobs"), STOPS, ids=["mistake", "failed job"])
def test_a_sweeper_that_stops_early_leaves_its_jobs_compared(
    workspace: Workspace, server: ScriptedServer, words: tuple[str, ...], status: int, said: str, jobs: list[str]
) -> None:
    server.plan = lambda index, _: error(404, "gone") if index >= 3 else None
    sampler = ("hydra/sweeper/sampler=random", "hydra.sweeper.sampler.seed=2", "hydra.sweeper.n_trials=4")
    done = workspace.run(*SEARCH[:-1], *sampler, "hydra.sweeper.n_jobs=1", *words)
    assert done.status == status
    assert f"the sweeper stopped after {len(jobs)} job" in done.stderr
    assert said in done.stderr
    (table,) = workspace.root.glob("outputs/sports/sweeps/*/sweep.jsonl")
    assert [json.loads(line)["job"] for line in table.read_text().splitlines()] == jobs


def test_what_cannot_be_searched_is_a_sentence(workspace: Workspace, server: ScriptedServer) -> None:
    for words, said in (
        (("objective=uniq",), "objective=uniq: did you mean 'unique'?"),
        (("objective=usd",), "objective=usd needs prices"),
        (("objective=unique", "--until=tags"), "objective=unique needs questions"),
        (("teacher.temperature=interval(0,1)",), "OptunaSweeper gave up (ValueError: GridSampler only supports"),
    ):
        done = workspace.run(*SEARCH, *words)
        assert (done.status, server.count) == (2, 0)
        assert said in done.stderr
    plan = workspace.run("plan", *SEARCH)
    assert plan.status == 2
    assert "OptunaSweeper chooses values by what came of others" in plan.stderr
