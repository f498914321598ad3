"""A judge rates each answer; what it did not say is a failure and never a number of ours."""

import json
import shutil
from typing import Any

import pytest

from tests.e2e.judged import JUDGED, LINE, asked, judgement, kept, reply
from tests.e2e.test_only_what_is_affected import InProcess, own_prompt
from tests.server import Body, Fault, ScriptedServer, classify, content

SCORED = "stages=[tags,questions,dedup,answers,scores]"
ALL = {"tags": 1, "questions": 2, "answers": 6, "scores": 6}


def test_each_answer_is_judged_once(project: InProcess) -> None:
    assert asked(project, SCORED) == ALL
    scores = project.rows("scores")
    assert [row["score"] for row in scores] == [2, 3, 4] * 2
    assert [row["parent"] for row in scores] == [row["id"] for row in project.rows("answers")]
    columns = ["id", "parent", "path", "sample", "reason", "by", "score"]
    assert list(scores[0])[: len(columns)] == columns
    assert asked(project, SCORED) == {}


def metadata(project: InProcess) -> list[dict[str, Any]]:
    lines = project.bytes()["dataset/train.messages.jsonl"].splitlines()
    return [json.loads(line)["metadata"] for line in lines]


def test_an_exported_row_has_its_mean_score_and_its_pass_rate(project: InProcess) -> None:
    asked(project, SCORED)
    assert [row["score"] for row in metadata(project)] == [2.0, 3.0, 4.0] * 2
    assert "pass_rate" not in metadata(project)[0]
    graded = SCORED.replace("]", ",attempts,grades]")
    assert asked(project, graded, "attempts.samples=2", "formats=[messages,csv]") == {"answers": 12, "grades": 12}
    assert [(row["pass_rate"], row["score"]) for row in metadata(project)] == [(0.0, 2.0), (1.0, 3.0), (1.0, 4.0)] * 2
    whole = project.bytes()
    shutil.rmtree(project.folder() / "dataset")
    assert project.run("export", *LINE, graded, "attempts.samples=2", "formats=[messages,csv]").status == 0
    assert project.bytes() == whole
    assert asked(project, SCORED, "--until", "answers") == {}
    assert project.run("export", *LINE, SCORED).status == 0
    assert [row["score"] for row in metadata(project)] == [-1.0] * 6, "they are not there"


def test_an_answer_that_lacks_a_score_is_exported_without_one_where_no_rule_goes_by_it(
    project: InProcess, endpoint: ScriptedServer
) -> None:
    def broken(number: int, body: Body) -> Fault | None:
        lacks = classify(body) == "scores" and "at level 2" in str(body["messages"])
        return judgement(6) if lacks else reply(number, body)

    endpoint.plan = broken
    asked(project, SCORED, "limits.reasks=0", status=1)
    assert [row["score"] for row in metadata(project)] == [-1.0, 3.0, 4.0] * 2


def test_the_judge_sees_question_reasoning_and_answer(project: InProcess) -> None:
    asked(project, SCORED)
    assert project.server is not None
    sent = [each.body["messages"][-1]["content"] for each in project.server.requests if each.kind == "scores"]
    for row in project.rows("answers"):
        (text,) = [each for each in sent if row["answer"] in each]
        assert row["question"] in text
        assert row["reasoning"] in text


@pytest.mark.parametrize("said", ["6", "null"])
def test_no_score_or_one_outside_of_its_range_is_a_failure(
    project: InProcess, endpoint: ScriptedServer, said: str
) -> None:
    def broken(number: int, body: Body) -> Fault | None:
        if classify(body) != "scores" or "at level 2" not in str(body["messages"]):
            return reply(number, body)
        return judgement(json.loads(said))

    endpoint.plan = broken
    line = (JUDGED, "filter.min_score=1", "limits.reasks=0")
    assert asked(project, *line, status=1) == ALL
    assert [(row["stage"], row["missing"]) for row in project.rows("failures")] == [("scores", 1)] * 2
    assert len(project.rows("scores")) == 4
    assert kept(project, "filter") == [True] * 4, "nothing is said of what has no score"
    assert len(project.bytes()["dataset/train.messages.jsonl"].splitlines()) == 4
    endpoint.plan = reply
    assert asked(project, *line) == {"scores": 2}
    assert kept(project, "filter") == [True] * 6


@pytest.mark.parametrize("structured", ["json_object", "none"])
def test_it_works_with_any_kind_of_structured_output(
    project: InProcess, endpoint: ScriptedServer, structured: str
) -> None:
    def told(number: int, body: Body) -> Fault | None:
        return judgement(4) if '"score"' in str(body["messages"][0]["content"]) else reply(number, body)

    endpoint.plan = told
    done = project.run(*LINE, SCORED, f"judge.structured={structured}")
    assert done.status == 0, done.stderr
    assert [row["score"] for row in project.rows("scores")] == [4] * 6


def test_a_number_in_words_of_prose_and_fences_is_read(project: InProcess, endpoint: ScriptedServer) -> None:
    def fenced(number: int, body: Body) -> Fault | None:
        if classify(body) != "scores":
            return reply(number, body)
        by = '{"correct": 4, "complete": 4, "clear": 5, "sound": 4}'
        return content(f'Let me see.\n```json\n{{"reason": "Good.", "by": {by}, "score": "4"}}\n```')

    endpoint.plan = fenced
    assert project.run(*LINE, SCORED).status == 0
    assert {row["score"] for row in project.rows("scores")} == {4}


def test_more_samples_ask_for_the_new_ones_and_filters_go_by_the_mean(
    project: InProcess, endpoint: ScriptedServer
) -> None:
    seen: dict[str, int] = {}

    def second_is_better(number: int, body: Body) -> Fault | None:
        if classify(body) != "scores":
            return reply(number, body)
        text = body["messages"][-1]["content"]
        first = seen.setdefault(text, body["seed"]) == body["seed"]
        return judgement(2 if first else 5)

    endpoint.plan = second_is_better
    assert asked(project, JUDGED, "filter.min_score=3.5") == ALL
    assert kept(project, "filter") == [False] * 6
    assert asked(project, JUDGED, "filter.min_score=3.5", "scores.samples=2") == {"scores": 6}
    assert kept(project, "filter") == [True] * 6
    assert {row["score"] for row in project.rows("filter")} == {3.5}
    assert len(project.rows("scores")) == 12
    assert asked(project, JUDGED, "filter.min_score=3.5") == {}


def test_several_judges_have_a_row_each_and_count_by_their_mean(project: InProcess, endpoint: ScriptedServer) -> None:
    def two(number: int, body: Body) -> Fault | None:
        if classify(body) != "scores":
            return reply(number, body)
        return judgement(5 if body["model"] == "another" else 2)

    endpoint.plan = two
    line = (JUDGED, "filter.min_score=3", "stage.scores.role=[judge,second]", "second.name=another")
    assert asked(project, *line)["scores"] == 12
    assert [row["role"] for row in project.rows("scores")] == ["judge", "second"] * 6
    assert {(row["score"], row["kept"]) for row in project.rows("filter")} == {(3.5, True)}


def test_an_answer_that_comes_out_the_same_is_not_judged_again(project: InProcess) -> None:
    asked(project, SCORED)
    whole = project.data()
    own_prompt(project, "en/scores.jinja", lambda text: text.replace("strict and fair", "fair"))
    assert asked(project, SCORED) == {"scores": 6}
    assert asked(project, SCORED, "judge.temperature=0.1") == {"scores": 6}
    assert asked(project, SCORED, "teacher.limits.retries=1") == {}, "no part of a request"
    assert {name for name, data in project.data().items() if data != whole[name]} == {"scores.jsonl"}


def test_growth_judges_what_is_new(project: InProcess) -> None:
    asked(project, SCORED)
    before = {row["id"]: row for row in project.rows("scores")}
    assert asked(project, SCORED, "questions_per_tag=4") == {"answers": 2, "scores": 2}
    after = {row["id"]: row for row in project.rows("scores")}
    assert before == {key: after[key] for key in before}
    assert asked(project, SCORED, "answers_per_question=2") == {"answers": 6, "scores": 6}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("scores.samples=3", "stages=[tags,questions,answers]"), "scores.samples=3 does nothing: scores is not among"),
        (("scores.samples=0", SCORED), "scores.samples=0: expected a whole number from 1 to 1000"),
        ((SCORED, "stage.scores.schema.required=[reason]"), "stage.scores.schema: a judge says score, a number, in"),
        ((SCORED, "stage.scores.schema.properties.score={type:string}"), "stage.scores.schema: a judge says score"),
        ((SCORED, "scores.sample=3"), "unknown setting 'scores.sample': did you mean 'scores.samples'?"),
    ],
)
def test_what_cannot_be_is_told_before_anything_is_asked(project: InProcess, words: tuple[str, ...], said: str) -> None:
    done = project.run(*LINE, *words)
    assert (done.status, said in done.stderr) == (2, True), done.stderr
    assert project.server is not None
    assert project.server.count == 0


def test_what_is_missing_of_a_filter_is_told_of_the_answers_that_are_there(project: InProcess) -> None:
    done = project.run(*LINE, JUDGED, "filter.min_score=4", "limits.concurrency=1", "budget.calls=7")
    assert (done.status, len(project.rows("answers"))) == (3, 4), done.stderr
    found = "4 of 6 answers, 0 of 6 scores, 0 of 4 rows of filter"
    assert f"{found}; 2 answers, 6 scores, 4 rows of filter missing" in done.stderr


def test_where_judges_lie_apart_is_told_and_a_rule_may_go_by_it(project: InProcess, endpoint: ScriptedServer) -> None:
    def two_minds(number: int, body: Body) -> Fault | None:
        second = body["model"] == "second"
        return judgement(5) if second and classify(body) == "scores" else reply(number, body)

    endpoint.plan = two_minds
    judges = ("stage.scores.role=[judge,second]", "second.name=second")
    told = project.run(*LINE, SCORED, *judges)
    assert "judges lie 2 or more apart on 4 of 6 that several rated" in " ".join(told.stderr.split())
    lines = [row for row in project.rows("checks") if row["check"] == "judges_apart"]
    assert [row["text"] for row in lines] == ["2, 5", "3, 5"] * 2
    answers = [row["id"] for row in project.rows("answers")]
    assert [row["ids"] for row in lines] == [[answers[0]], [answers[1]], [answers[3]], [answers[4]]]
    endpoint.reset()
    assert project.run(*LINE, JUDGED, *judges, "filter.max_spread=2").status == 0
    assert endpoint.count == 0
    rows = project.rows("filter")
    assert [(row["kept"], row["spread"], row["why"]) for row in rows[:3]] == [
        (False, 3, ["judges more than 2 apart"]),
        (True, 2, []),
        (True, 1, []),
    ]
    assert kept(project, "filter") == [False, True, True] * 2
    planned = project.run("plan", *LINE, JUDGED, *judges, "filter.max_spread=2")
    assert "filter.max_spread" in planned.stdout + planned.stderr
