"""A row waits for what is missing, and for nothing else: what hangs on a tag and sees its questions is there as soon as
these are as many as are wanted at that place, be it a tag for questions of one's own or one with another number."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.own_project import write_prompt, write_stage
from tests.e2e.test_only_what_is_affected import InProcess, steady
from tests.e2e.workspace import Finished
from tests.server import Body, Fault, ScriptedServer, content, schema_of

PER_TAG = {
    "kind": "group", "after": "answers", "by": "tags", "columns": {"n": "rows.answers | length"},
    "export": {"question": "path[-1]", "answer": "rows.answers | map(attribute='answer') | join('; ')"},
}  # fmt: skip
SIZE = ("topic=sports", "depth=1", "breadth=2", "questions_per_tag=3")
STREAMED = "stages=[tags,questions,answers,size,per_tag]"
BEHIND = "stages=[tags,questions,dedup,answers,size,per_tag]"
"""Where rows leave memory and come back."""
OWN = {"question": "How long is it?", "path": ["Own"], "answer": "42 km"}


def reply(number: int, body: Body) -> Fault | None:
    """Lists of five by place alone, and the size of each tag but the one called Odd."""
    if "size" in schema_of(body).get("properties", {}):
        return content("large" if "Odd" in json.dumps(body["messages"]) else '{"size": 1}')
    return steady(number, body)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[ScriptedServer]:
    with ScriptedServer(plan=reply) as running:
        yield running


@pytest.fixture
def project(tmp_path: Path, endpoint: ScriptedServer) -> InProcess:
    write_stage(tmp_path, "per_tag", **PER_TAG)
    schema = {"type": "object", "properties": {"size": {"type": "integer"}}, "required": ["size"]}
    write_stage(tmp_path, "size", kind="map", after="tags", role="judge", schema=schema)
    write_prompt(tmp_path, "size", "How large is {{ path | join(' ') }} with {{ rows.questions | length }} questions?")
    (tmp_path / "conf/distill.yaml").write_text("defaults: [base, _self_]\n")
    (tmp_path / "curate/sports").mkdir(parents=True)
    return InProcess(tmp_path, endpoint)


def says(project: InProcess, file: str, text: str) -> None:
    (project.root / "curate/sports" / file).write_text(text)


def groups(project: InProcess) -> dict[str, int]:
    """How many answers the group of each tag was made of."""
    rows: list[dict[str, Any]] = project.rows("per_tag")
    return {row["path"][-1]: row["n"] for row in rows}


def exported(project: InProcess) -> list[str]:
    text = (project.folder() / "dataset/train.messages.jsonl").read_text()
    return [json.loads(line)["messages"][0]["content"] for line in text.splitlines()]


def is_whole(project: InProcess, done: Finished) -> bool:
    """Whether all is there, told and exported, now and once more."""
    assert (done.status, done.document["failures"], set(done.document["missing"].values())) == (0, 0, {0}), done.stderr
    assert exported(project) == list(groups(project))
    assert len(project.rows("size")) == len(project.rows("tags"))
    before = project.bytes()
    assert project.run("export", *SIZE).status == 0
    assert project.raw("verify", "sports").status == 0
    return project.bytes() == before


@pytest.mark.parametrize("stages", [STREAMED, BEHIND])
def test_a_tag_for_a_question_of_ones_own_has_all_that_hangs_on_a_tag(project: InProcess, stages: str) -> None:
    says(project, "questions.jsonl", json.dumps(OWN) + "\n")
    done = project.run(*SIZE, stages, "--json")
    assert groups(project) == {**dict.fromkeys(list(groups(project))[:2], 3), "Own": 1}
    assert is_whole(project, done)


@pytest.mark.parametrize("stages", [STREAMED, BEHIND])
def test_a_leaf_with_fewer_questions_has_all_that_hangs_on_a_tag(project: InProcess, stages: str) -> None:
    says(project, "tree.yaml", "tags: {Ball: {questions_per_tag: 1}}\nrename: {Ball: Ball games}\n")
    done = project.run(*SIZE, stages, "--json")
    assert sorted(groups(project).values()) == [1, 3]
    assert is_whole(project, done)


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("stages", [STREAMED, BEHIND])
def test_no_group_is_made_of_a_list_that_is_short(project: InProcess, stages: str, own: bool) -> None:
    """A question of one's own is none in the place of a model's."""
    says(project, "tree.yaml", "tags: {Ball: {questions_per_tag: 6}}\n")
    if own:
        says(project, "questions.jsonl", json.dumps(OWN | {"path": ["Ball"]}) + "\n")
    done = project.run(*SIZE, stages, "--json")
    assert (done.status, [row["path"] for row in project.rows("failures")]) == (1, [["sports", "Ball"]])
    assert list(groups(project).values()) == [3]
    assert exported(project) == list(groups(project))


def test_what_waits_is_told_where_nothing_says_any_more_for_what(project: InProcess) -> None:
    write_stage(project.root, "large", kind="transform", after="size", where="row.size > 0")
    stages = "stages=[tags,questions,answers,size,large]"
    says(project, "tree.yaml", "tags: {Odd: {}}\n")
    assert project.run(*SIZE, stages).status == 1
    assert [(row["stage"], row["path"][-1]) for row in project.rows("failures")] == [("size", "Odd")]
    assert len(exported(project)) == 3
    (project.folder() / "failures.jsonl").unlink()
    assert project.run("export", *SIZE, stages).status == 1
    told = [(row["stage"], row["path"][-1], row["cause"]) for row in project.rows("failures")]
    assert told == [("dataset", "Odd", "untold")] * 3
