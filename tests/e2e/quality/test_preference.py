"""Pairs of a better and a worse answer, from several answers and what judges said of them."""

import json
import re
import shutil
from collections import Counter
from typing import Any

import pytest

from tests.e2e.judged import LINE, asked, judgement, reply
from tests.e2e.test_only_what_is_affected import InProcess
from tests.server import Body, Fault, ScriptedServer, classify, content

SCORED = "stages=[tags,questions,dedup,answers,scores]"
WORDS = (SCORED, "answers_per_question=3", "formats=[messages,preference]")
FILE = "dataset/train.preference.jsonl"


@pytest.fixture(autouse=True)
def graded(project: InProcess, endpoint: ScriptedServer) -> None:  # noqa: ARG001 - a project has its own plan first
    """Each question has answers of quality 1, 2, … in the order in which they are asked for, and judges see which."""
    answered = Counter[str]()

    def told(number: int, body: Body) -> Fault | None:
        text = body["messages"][-1]["content"]
        if classify(body) == "answers":
            answered[text] += 1
            return content(f"An answer of quality {answered[text]}.", reasoning_content="Hm.")
        if classify(body) == "scores":
            quality = int(re.findall(r"of quality (\d)", text)[-1])
            return judgement(3 if "at level 2" in text else quality + 1)
        return reply(number, body)

    endpoint.plan = told


def pairs(project: InProcess) -> list[dict[str, Any]]:
    return [json.loads(line) for line in project.bytes()[FILE].splitlines()]


def test_the_best_answer_to_a_question_stands_against_the_worst(project: InProcess) -> None:
    assert asked(project, *WORDS)["answers"] == 18
    rows, found = {row["id"]: row for row in project.rows("answers")}, pairs(project)
    assert len(found) == 4, "of six questions two have answers that are rated alike"
    for pair in found:
        metadata = pair["metadata"]
        assert pair["prompt"] == [{"role": "user", "content": rows[metadata["id"]]["question"]}]
        assert pair["chosen"] == [{"role": "assistant", "content": "<think>\nHm.\n</think>\n\nAn answer of quality 3."}]
        assert pair["rejected"][0]["content"].endswith("An answer of quality 1.")
        assert (metadata["score"], metadata["rejected_score"]) == (4.0, 2.0)
        assert rows[metadata["rejected_id"]]["answer"] == "An answer of quality 1."
        assert rows[metadata["rejected_id"]]["question_id"] == metadata["question_id"]
    assert project.raw("verify").status == 0


def test_questions_without_a_pair_are_told_by_build_and_export(project: InProcess) -> None:
    told = "2 of 6 questions have no preference pair: "
    assert told in project.run(*LINE, *WORDS).stderr
    again = project.run(*LINE, *WORDS).stderr
    assert "is up to date" in again
    assert told in again
    assert "6 of 6 questions have no preference pair: " in project.raw("export", "sports", "format.margin=3").stderr
    assert (pairs(project), project.raw("verify").status) == ([], 0)
    assert "format.margin: 3 → 1" in project.run("explain", *LINE, *WORDS).stdout
    assert asked(project, *WORDS) == {}
    assert len(pairs(project)) == 4


def test_answers_without_a_score_are_told_and_stand_in_no_pair(project: InProcess, endpoint: ScriptedServer) -> None:
    graded = endpoint.plan

    def unrated(number: int, body: Body) -> Fault | None:
        lacks = classify(body) == "scores" and "of quality 1" in body["messages"][-1]["content"]
        return judgement(6) if lacks else graded(number, body)

    endpoint.plan = unrated
    done = project.run(*LINE, *WORDS, "limits.reasks=0")
    assert "6 of 18 rows have no score, and stand in no pair: " in done.stderr
    assert {pair["metadata"]["rejected_score"] for pair in pairs(project)} == {3.0}


def test_another_margin_or_another_format_asks_nothing(project: InProcess) -> None:
    asked(project, *WORDS)
    before = project.bytes()
    assert asked(project, *WORDS, "format.margin=2.5") == {}
    assert pairs(project) == []
    assert asked(project, SCORED, "answers_per_question=3") == {}
    assert FILE not in project.bytes()
    exported = project.raw("export", "sports", "formats=[preference]")
    assert exported.status == 0, exported.stderr
    assert project.bytes() == before
    shutil.rmtree(project.folder() / "dataset")
    assert asked(project, *WORDS) == {}
    assert project.bytes() == before


@pytest.mark.parametrize(
    ("words", "way"),
    [
        (("answers_per_question=2",), "nobody rates them: add scores to stages=[tags,questions,dedup,answers]"),
        ((SCORED,), "each question has one: say answers_per_question=4"),
    ],
)
def test_what_cannot_give_a_pair_is_refused_before_anything_is_sent(
    project: InProcess, endpoint: ScriptedServer, words: tuple[str, ...], way: str
) -> None:
    for command in ((), ("plan",)):
        refused = project.run(*command, *LINE, *words, "formats=[preference]")
        assert (refused.status, endpoint.count) == (2, 0)
        assert f"{way}, or leave preference out of formats\n" in refused.stderr
        assert "formats=preference sets the best of several answers to a question against the worst" in refused.stderr
    assert project.run(*LINE, *words).status == 0
    before = project.bytes()
    refused = project.raw("export", "sports", "formats=[preference]")
    assert (refused.status, project.bytes()) == (2, before)
    assert way in refused.stderr
