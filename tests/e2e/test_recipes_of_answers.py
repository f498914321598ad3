"""The recipes of several answers build as they stand: a classifier's training set, and pairs of answers."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.judged import judgement
from tests.e2e.test_only_what_is_affected import InProcess, steady
from tests.server import Body, Fault, ScriptedServer, classify, content, digest

LINE = ("topic=reviews", "name=sports", "depth=1", "breadth=2", "questions_per_tag=3")
LABELS = "answer.labels=[positive,negative]"
CLASSIFY = ("recipe=classify", LABELS)


def reply(number: int, body: Body) -> Fault | None:
    """Labels and scores by chance; lists by place alone."""
    kind, chance = classify(body), digest(body)[0]
    if kind == "scores":
        return judgement(chance % 5 + 1)
    if kind == "answers":
        return content(json.dumps({"label": ("positive", "negative")[chance % 2]}) if "label" in str(body) else None)
    return steady(number, body)


@pytest.fixture
def project(tmp_path: Path, server: ScriptedServer) -> InProcess:
    return InProcess(tmp_path, server)


def exported(project: InProcess, file: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (project.folder() / "dataset" / file).read_text().splitlines()]


def test_classify_asks_for_texts_and_gives_each_a_label_and_shares(project: InProcess, server: ScriptedServer) -> None:
    server.plan = reply
    done = project.run(*LINE, *CLASSIFY)
    assert done.status == 0, done.stderr
    assert server.kinds == {"tags": 1, "questions": 2, "answers": 30}
    assert "You write the texts of a dataset" in str(server.requests[1].body["messages"])
    rows = exported(project, "train.labels.jsonl")
    assert len(rows) == 6
    for row in rows:
        assert list(row["shares"]) == ["positive", "negative"]
        assert row["shares"][row["label"]] == max(row["shares"].values()) >= 0.6
    server.reset()
    stages = "stages=[tags,questions,dedup,split,answers,votes]"
    assert project.run(*LINE, *CLASSIFY, stages, "split.test=0.5").status == 0
    held_out = exported(project, "test.labels.jsonl")
    assert server.count == 0
    assert len(held_out) + len(exported(project, "train.labels.jsonl")) == 6
    assert held_out


def test_classify_has_prompts_in_chinese_and_for_small_models(project: InProcess, server: ScriptedServer) -> None:
    server.plan = reply
    axes = "axes={mood: {glad: 0.4, angry: 0.6}}"
    assert project.run(*LINE, *CLASSIFY, "language=zh").status == 0
    assert "你负责写文本" in str(server.requests[1].body["messages"])
    for language in ("en", "zh"):
        done = project.run(*LINE, *CLASSIFY, f"language={language}", "model.examples=true", axes)
        assert done.status == 0, done.stderr
        shown = [each.body["messages"] for each in server.requests if each.kind == "questions"][-1]
        assert [each["role"] for each in shown] == ["system", *["user", "assistant"] * 2, "user"]
        assert all("questions" in json.loads(each["content"]) for each in shown if each["role"] == "assistant")


def test_classify_without_labels_says_what_is_missing(project: InProcess, server: ScriptedServer) -> None:
    done = project.run(*LINE, "recipe=classify")
    assert (done.status, server.count) == (2, 0)
    assert "answer.labels is empty: name two at the least, as in answer.labels=[positive,negative]" in done.stderr


def test_preference_pairs_the_best_with_the_worst(project: InProcess, server: ScriptedServer) -> None:
    server.plan = lambda number, body: None if classify(body) == "answers" else reply(number, body)
    done = project.run(*LINE, "recipe=preference")
    assert done.status == 0, done.stderr
    assert server.kinds == {"tags": 1, "questions": 2, "answers": 24, "scores": 24}
    scores = {row["parent"]: row["score"] for row in project.rows("scores")}
    by_text = {row["answer"]: scores[row["id"]] for row in project.rows("answers")}
    rows = exported(project, "train.preference.jsonl")
    assert rows
    for row in rows:
        chosen, rejected = (
            row[side][-1]["content"].rpartition("</think>")[2].strip() for side in ("chosen", "rejected")
        )
        assert by_text[chosen] > by_text[rejected]
