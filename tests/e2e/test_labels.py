"""Rows of a stage that says what a question is, as a file for classifiers."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.judged import LINE, own_stage, reply
from tests.e2e.test_only_what_is_affected import InProcess
from tests.server import Body, Fault, ScriptedServer, classify, content

FILE = "dataset/train.labels.jsonl"
WORDS = (*LINE, "stages=[tags,questions,dedup,answers,sort]", "formats=[labels]")
SORT = {
    "kind": "map",
    "after": "answers",
    "role": "sorter",
    "schema": {
        "type": "object",
        "properties": {"kind": {"type": ["string", "null"]}, "votes": {"type": "object"}},
        "required": ["kind", "votes"],
    },
    "export": {
        "question": "rows.questions.question",
        "answer": "rows.answers.answer",
        "label": "row.kind",
        "shares": "row.votes",
    },
}


def sorted_by_level(number: int, body: Body) -> Fault | None:
    """At level 2 nobody knows; at 3 it is hard, and at 4 mostly."""
    if classify(body) != "sort":
        return reply(number, body)
    text = body["messages"][-1]["content"]
    if "at level 2" in text:
        return content(json.dumps({"kind": None, "votes": {"hard": 0.5, "easy": 0.5}}))
    return content(json.dumps({"kind": "hard", "votes": {"hard": 1 if "at level 3" in text else 0.75, "easy": 0}}))


@pytest.fixture(scope="module")
def endpoint() -> Iterator[ScriptedServer]:
    with ScriptedServer(plan=sorted_by_level) as running:
        yield running


@pytest.fixture
def project(tmp_path: Path, endpoint: ScriptedServer) -> InProcess:
    endpoint.plan = sorted_by_level
    endpoint.reset()
    return InProcess(tmp_path, endpoint)


def with_export(project: InProcess, **changes: str | None) -> None:
    export: dict[str, Any] = {**SORT["export"], **changes}  # type: ignore[dict-item]  # it is one
    own_stage(project, "sort", {**SORT, "export": export}, "{{ rows.questions.question }} What is it?")


def test_a_row_is_the_question_with_its_label_and_how_much_speaks_for_each(project: InProcess) -> None:
    with_export(project)
    done = project.run(*WORDS)
    assert done.status == 0, done.stderr
    rows = [json.loads(line) for line in project.bytes()[FILE].splitlines()]
    asked = {row["id"]: row["question"] for row in project.rows("questions")}
    assert [row["text"] for row in rows] == [asked[row["metadata"]["question_id"]] for row in rows]
    assert [(row["label"], row["shares"]) for row in rows] == [
        ("hard", {"hard": 1.0, "easy": 0.0}),
        ("hard", {"hard": 0.75, "easy": 0.0}),
    ] * 2
    assert "2 of 6 rows have no label, and stand in no line of the format labels: " in done.stderr
    exported = project.raw("export", "sports", "formats=[messages]")
    assert "2 of 6 rows have no label" in exported.stderr
    assert project.raw("verify").status == 0


@pytest.mark.parametrize("lacks", ["label", "shares"])
def test_without_a_label_or_shares_nothing_is_sent(project: InProcess, endpoint: ScriptedServer, lacks: str) -> None:
    with_export(project, **{lacks: None})
    refused = project.run(*WORDS)
    assert (refused.status, endpoint.count) == (2, 0)
    assert (
        f"have no {lacks}: export a stage that says so, as in stage.sort.export.{lacks}=row.{lacks}" in refused.stderr
    )


def test_shares_that_are_no_numbers_are_a_failure_of_their_row(project: InProcess) -> None:
    with_export(project, shares="row.kind")
    assert project.run(*WORDS).status == 1
    failures = project.rows("failures")
    assert [failure["cause"] for failure in failures] == ["shares"] * 4
    assert failures[0]["detail"].startswith("export.shares: row.kind is no mapping of labels to numbers")
    assert project.bytes()[FILE] == b""
