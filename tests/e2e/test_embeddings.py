"""Questions compared by vectors of an endpoint: what is asked for, kept and paid is as of any other stage."""

import importlib.util
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.test_dedup import ASKED, dropped, one_by_one
from tests.e2e.test_only_what_is_affected import InProcess
from tests.e2e.test_refill import OneByOne
from tests.server import Body, Fault, ScriptedServer, embedding_of, raw, status

pytestmark = pytest.mark.skipif(importlib.util.find_spec("wordllama") is None, reason="needs the extra `meaning`")

LINE = (
    "topic=sports", "depth=1", "breadth=2", "per_request.questions=1", "per_request.tags=2", "questions_per_tag=3",
    "dedup.refill=0", "dedup.by=meaning", "embedder.name=vectors",
)  # fmt: skip
THEMES = {"card": [5.0, 0.5, 0.0], "offside": [0.0, 5e-2, 0.0], "long": [0.0, 0.0, 5.0]}


def by_theme(number: int, body: Body) -> Fault | None:
    """The vector of what a question is about; a red card is somewhat nearer to its rule than a yellow one."""
    if "input" not in body:
        return one_by_one(number, body)
    vector = next((vector for word, vector in THEMES.items() if word in body["input"]), [1.0, 1.0, 1.0])
    return raw(embedding_of(body, [*vector, 2.0 if "red" in body["input"] else 0.0]))


@pytest.fixture
def project(tmp_path: Path, server: ScriptedServer) -> InProcess:
    server.plan = by_theme
    return InProcess(tmp_path, server)


def test_a_model_for_the_embedder_puts_its_stage_before_dedup(project: InProcess, server: ScriptedServer) -> None:
    planned = json.loads(project.run("plan", *LINE, "--json").stdout)
    assert (planned["stages"]["embeddings"]["unknown"], planned["exact"]) == (6, False)
    done = project.run(*LINE, "embedder.temperature=0.5", "+embedder.extra_body.dimensions=4")
    assert done.status == 0, done.stderr
    assert server.kinds == {"tags": 1, "questions": 6, "embeddings": 6, "answers": 3}
    football, referees = ASKED.values()
    assert dropped(project) == dict(zip(referees, football, strict=True))
    sent = [request.body for request in server.requests if request.kind == "embeddings"]
    assert sorted(body.pop("input") for body in sent) == sorted((*football, *referees))
    assert all(body == {"model": "vectors", "dimensions": 4} for body in sent), "nothing is sampled"
    rows = project.rows("embeddings")
    assert [row["parent"] for row in rows] == [row["id"] for row in project.rows("questions")]
    assert {(row["model"], row["usage"]["completion_tokens"]) for row in rows} == {("vectors", 0)}
    assert football[0] in project.raw("log", rows[0]["id"]).stdout


def test_thresholds_ask_nothing_and_another_model_asks_for_vectors_alone(
    project: InProcess, server: ScriptedServer
) -> None:
    assert project.run(*LINE).status == 0
    at_first = project.data()
    server.reset()
    assert project.run(*LINE, "embedder.temperature=1", "embedder.stream=true").status == 0
    assert (server.count, project.data()) == (0, at_first)
    assert project.run(*LINE, "dedup.near=0.98").status == 0
    assert (server.kinds, len(dropped(project))) == ({"answers": 1}, 2)
    server.reset()
    assert project.run(*LINE, "dedup.by=words").status == 0
    assert (server.count, project.rows("embeddings")) == (0, [])
    server.reset()
    assert project.run(*LINE, "embedder.name=others").status == 0
    assert (server.kinds, len(dropped(project))) == ({"embeddings": 6}, 3)
    server.reset()
    assert project.run(*LINE).status == 0
    assert (server.count, project.data()) == (0, at_first)


def test_a_missing_vector_is_named_offline_and_a_locked_build_needs_none(
    project: InProcess, server: ScriptedServer
) -> None:
    assert project.run(*LINE).status == 0
    server.reset()
    done = project.run("--offline", *LINE, "embedder.revision=2")
    assert (done.status, server.count) == (4, 0)
    assert "embeddings" in done.stderr, done.stderr
    shutil.rmtree(project.root / ".distill-cache")
    assert project.run("--frozen", *LINE).status == 0, "a folder keeps its responses"
    assert (project.run(*LINE).status, server.count) == (0, 0)


def test_a_budget_goes_by_the_price_of_what_is_sent_alone(project: InProcess, server: ScriptedServer) -> None:
    prices = ("model.prices.prompt=1", "model.prices.completion=1", "embedder.prices.prompt=1e5", "budget.usd=1")
    done = project.run(*LINE, *prices, "embedder.prices.completion=null", "limits.concurrency=1")
    assert (done.status, "budget.usd" in done.stderr) == (3, True), done.stderr
    assert (server.kinds["embeddings"], "answers" in server.kinds) == (2, False)


@pytest.mark.parametrize(
    "vector",
    [[0.0, 0.0], [], [1.0, None], [1.0, True], "AAAA", None, [1.0, "NaN"], [[1.0]], [10**400, 1.0]],
    ids=lambda vector: str(vector)[:20],
)
def test_what_is_no_vector_is_a_failure_of_its_row(project: InProcess, server: ScriptedServer, vector: Any) -> None:
    def broken(number: int, body: Body) -> Fault | None:
        if "long is a" in body.get("input", ""):
            return raw(embedding_of(body, vector))
        return by_theme(number, body)

    server.plan = broken
    done = project.run(*LINE, "limits.retries=0")
    assert done.status == 1, done.stderr
    (failure,) = [row for row in project.rows("failures") if row["stage"] == "embeddings"]
    said = "all numbers of its vector are 0" if vector == [0.0, 0.0] else "no embeddings in it"
    assert (failure["cause"], said in failure["detail"]) == ("bad_response", True), failure
    assert len(project.rows("dedup")) == 5, "what it cannot compare it does not judge"
    server.plan = by_theme
    assert (project.run(*LINE).status, len(project.rows("dedup"))) == (0, 6)


def test_vectors_of_several_lengths_are_told(project: InProcess, server: ScriptedServer) -> None:
    def grown(number: int, body: Body) -> Fault | None:
        longer = [1.0] * (4 if "red" in body.get("input", "") else 3)
        return raw(embedding_of(body, longer)) if "input" in body else one_by_one(number, body)

    server.plan = grown
    done = project.run(*LINE)
    assert (done.status, "have 3 and 4 numbers" in done.stderr, "embedder.revision=2" in done.stderr) == (2, True, True)
    server.plan = by_theme
    assert project.run(*LINE, "embedder.revision=2").status == 0


def test_an_endpoint_without_embeddings_is_told_by_builds_and_by_check(
    project: InProcess, server: ScriptedServer
) -> None:
    server.plan = lambda number, body: status(404) if "input" in body else by_theme(number, body)
    for command in ((), ("check",)):
        done = project.run(*command, *LINE)
        assert done.status == 2
        assert "there are no embeddings at that address (404" in done.stdout + done.stderr, done.stderr
        assert "Set embedder.base_url" in done.stdout + done.stderr
    server.plan = by_theme
    server.reset()
    done = project.run("check", *LINE)
    assert (done.status, server.kinds["embeddings"]) == (0, 1)


def test_the_packed_chat_model_has_no_embeddings(project: InProcess) -> None:
    done = project.raw("plan", *LINE)
    assert (done.status, "model@embedder=openai_embeddings" in done.stderr) == (2, True), done.stderr


def test_without_a_model_of_its_own_the_packed_one_compares(project: InProcess, server: ScriptedServer) -> None:
    assert project.run(*LINE[:-1]).status == 0
    assert "embeddings" not in server.kinds
    assert not (project.folder() / "embeddings.jsonl").exists()


@pytest.mark.parametrize("word", ["dedup.near=null", "stage.dedup.near=null"])
def test_where_only_equal_questions_go_no_vector_is_asked_for(
    project: InProcess, server: ScriptedServer, word: str
) -> None:
    planned = project.run("plan", *LINE, word, "--json").document
    assert "embeddings" not in planned["stages"]
    assert project.run(*LINE, word).status == 0
    assert server.kinds == {"tags": 1, "questions": 6, "answers": 6}


@pytest.mark.parametrize(
    "word", ["embedder.base_url=http://localhost:1/v1", "+embedder.extra_body.dimensions=4", "embedder.limits.rpm=9"]
)
def test_settings_of_an_embedder_without_a_name_are_refused(project: InProcess, word: str) -> None:
    done = project.run("plan", *LINE[:-1], word)
    said = f"{word.lstrip('+').partition('=')[0]} does nothing: no model is named for embedder"
    assert (done.status, said in done.stderr) == (2, True), done.stderr
    assert project.run("plan", *LINE[:-2], "dedup.by=words", word).status == 0


def test_a_model_that_is_typed_for_who_is_not_asked_is_told(project: InProcess, server: ScriptedServer) -> None:
    word, line = "model@embedder=openai_embeddings", LINE[:-2]
    for command in ("plan", "build"):
        done = project.run(command, *line, word)
        assert (done.status, f"{word} does nothing" in done.stderr) == (0, True), done.stderr
    assert "embeddings" not in server.kinds
    assert "does nothing" not in project.run("plan", *line, "dedup.by=meaning", word).stderr
    assert "does nothing" not in project.run("plan", *line, "model@embedder=same").stderr


def test_a_sweep_takes_the_stage_in_for_those_jobs_that_go_by_it(project: InProcess, server: ScriptedServer) -> None:
    done = project.run("-m", *LINE[:-2], "embedder.name=vectors,others", "dedup.by=words,meaning")
    assert done.status == 0, done.stderr
    assert server.kinds["embeddings"] == 12


def test_what_comes_in_the_place_of_dropped_questions_is_compared_too(
    project: InProcess, server: ScriptedServer
) -> None:
    model = OneByOne()
    more = ["How long is a break?", "Is there a third half?"]  # the first is near one of the other leaf
    model.asked["Referees"] += more
    server.plan = lambda number, body: by_theme(number, body) if "input" in body else model(number, body)
    line = (*LINE, "dedup.refill=2")
    assert project.run(*line).status == 1
    built, vectors = project.bytes(), project.rows("embeddings")
    assert [row["parent"] for row in vectors] == [row["id"] for row in project.rows("questions")]
    football, referees = model.asked.values()
    instead = {referees[4]: football[0], referees[5]: referees[3], more[0]: football[2], more[1]: referees[3]}
    assert dropped(project) == dict(zip(referees[:3], football, strict=False)) | instead
    assert [(row["missing"], row["cause"]) for row in project.rows("failures")] == [(2, "duplicate")]
    server.reset()
    shutil.rmtree(project.folder())
    assert project.run(*line).status == 1
    assert (server.count, project.bytes()) == (0, built)
