"""Questions that are much alike: which go, what moving the threshold asks for, what growth keeps."""

import importlib.util
import json
from pathlib import Path

import pytest

from tests.e2e.test_embedded import run_with, without
from tests.e2e.test_only_what_is_affected import InProcess, kind_of, place_of
from tests.server import Body, Fault, ScriptedServer, content

ASKED = {
    "Football": ["What is a yellow card?", "How does the offside rule work?", "How long is a football match?"],
    "Referees": ["What is a red card?", "How does the offside rule work exactly?", "How long is the football match?"],
}
LINE = ("topic=sports", "depth=1", "breadth=2", "per_request.questions=1", "per_request.tags=2", "dedup.refill=0")


def one_by_one(_: int, body: Body) -> Fault | None:
    """Two tags; at each its questions, one a request."""
    match kind_of(body):
        case "tags":
            return content(json.dumps({"tags": list(ASKED)}))
        case "questions":
            own = next(questions for tag, questions in ASKED.items() if f"> {tag}" in place_of(body))
            shown = body["messages"][-1]["content"]
            new = [question for question in own if question not in shown]
            return content(json.dumps({"questions": new[:1]}))
    return None


@pytest.fixture
def project(tmp_path: Path, server: ScriptedServer) -> InProcess:
    server.plan = one_by_one
    return InProcess(tmp_path, server)


def dropped(project: InProcess) -> dict[str, str]:
    """Of each question that was dropped, which one stays for it."""
    texts = {row["id"]: row["question"] for row in project.rows("questions")}
    return {texts[row["id"]]: texts[row["same_as"]] for row in project.rows("dedup") if not row["kept"]}


def test_of_questions_that_are_much_alike_the_first_stays_and_the_others_are_asked_for_no_answer(
    project: InProcess, server: ScriptedServer
) -> None:
    done = project.run(*LINE, "questions_per_tag=3")
    assert done.status == 0, done.stderr
    football, referees = ASKED.values()
    assert dropped(project) == {referees[1]: football[1], referees[2]: football[2]}
    assert server.kinds == {"tags": 1, "questions": 6, "answers": 4}
    assert "dedup dropped 2 rows: much like an earlier one" in done.stderr
    assert {row["likeness"] for row in project.rows("dedup")} == {None, 0.714, 1.0}


def test_a_moved_threshold_asks_for_what_it_lets_through_and_for_nothing_else(
    project: InProcess, server: ScriptedServer
) -> None:
    line = (*LINE, "questions_per_tag=3")
    assert project.run(*line).status == 0
    at_first = project.data()
    server.reset()
    planned = json.loads(project.run("plan", *line, "dedup.near=0.75", "--json").stdout)
    assert (planned["calls"], planned["exact"]) == (1, True)
    assert "dedup.near: auto → 0.75" in project.run("explain", *line, "dedup.near=0.75").stdout
    assert project.run(*line, "dedup.near=0.75").status == 0
    assert (server.kinds, len(dropped(project))) == ({"answers": 1}, 1)
    assert project.run(*line, "dedup.near=null").status == 0
    assert (server.kinds, len(dropped(project))) == ({"answers": 2}, 0)
    assert project.run(*line).status == 0
    assert (server.kinds, project.data()) == ({"answers": 2}, at_first), "back again, for nothing"
    assert project.run(*line, "dedup.near=0.7").status == 0
    assert (server.kinds, project.data()) == ({"answers": 2}, at_first), "what auto stands for"


def test_of_rows_that_are_to_be_asked_for_explain_says_no_verdict(project: InProcess) -> None:
    line = (*LINE, "questions_per_tag=3")
    assert project.run(*line).status == 0
    colder = project.run("explain", *line, "student.temperature=0.3").stdout
    assert "\ndedup: asks nothing, what it drops of the rows to be asked for is not known yet\n" in colder
    assert "than before" not in colder
    more = project.run("explain", *LINE, "questions_per_tag=4").stdout
    assert "\ndedup: asks nothing, drops 2 rows of those that are there, what it drops of the rows to be" in more
    below = project.run("explain", *line, "teacher.temperature=0.3").stdout
    assert "\ndedup: asks nothing, drops 2 rows, as before\n" in below, "what it judges is there"


def test_what_a_leaf_gains_drops_no_row_that_was_there(project: InProcess, server: ScriptedServer) -> None:
    assert project.run(*LINE, "questions_per_tag=2").status == 0
    before = {row["id"]: row for row in project.rows("dedup")}
    server.reset()
    assert project.run(*LINE, "questions_per_tag=3").status == 0
    assert server.kinds == {"questions": 2, "answers": 1}
    after = {row["id"]: row for row in project.rows("dedup")}
    assert {key: after[key] for key in before} == before


def test_a_threshold_of_no_use_is_refused(project: InProcess) -> None:
    for word in ("dedup.near=0", "dedup.near=1.5", "dedup.near=near"):
        done = project.run(*LINE, word)
        assert (done.status, f"{word}: expected" in done.stderr) == (2, True), done.stderr


def test_a_threshold_without_its_stage_does_nothing_and_is_told_so(project: InProcess) -> None:
    done = project.run(*LINE, "stages=[tags,questions,answers]", "dedup.near=0.9")
    assert (done.status, "dedup.near=0.9 does nothing" in done.stderr) == (2, True), done.stderr


MODEL_IS_THERE = importlib.util.find_spec("wordllama") is not None


@pytest.mark.parametrize("command", ["build", "plan"])
def test_by_meaning_without_its_extra_is_refused_before_anything_is_sent(
    project: InProcess, server: ScriptedServer, tmp_path_factory: pytest.TempPathFactory, command: str
) -> None:
    python = without(tmp_path_factory.mktemp("environment"), "wordllama")
    line = (*LINE, "questions_per_tag=3", "dedup.by=meaning", *project.settings())
    done = run_with(python, command, *line, cwd=project.root)
    assert (done.status, server.count) == (2, 0), done.stderr
    assert "pip install 'distill-build[meaning]'" in done.stderr
    equal = run_with(python, command, *line, "dedup.near=null", cwd=project.root)
    assert equal.status == 0, "equal ones need no model"


@pytest.mark.skipif(not MODEL_IS_THERE, reason="needs the extra `meaning`")
def test_by_meaning_the_same_is_said_again_and_nothing_is_asked(project: InProcess, server: ScriptedServer) -> None:
    line = (*LINE, "questions_per_tag=3", "dedup.by=meaning")
    assert project.run(*line).status == 0
    football, referees = ASKED.values()
    assert dropped(project) == {referees[1]: football[1], referees[2]: football[2]}
    at_first = project.data()
    server.reset()
    assert project.run(*line).status == 0
    assert "dedup.by: meaning → words" in project.run("explain", *line[:-1]).stdout
    assert (server.count, project.data()) == (0, at_first)
