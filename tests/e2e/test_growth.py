"""Larger numbers keep every item and ask for the new ones alone; smaller ones ask nothing (guarantees 3 and 7)."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.test_only_what_is_affected import InProcess, items_at, kind_of, place_of, steady
from tests.e2e.workspace import Workspace
from tests.server import Body, Fault, Kind, ScriptedServer, content

PAIRS = ("topic=sports", "per_request.tags=2", "per_request.questions=2")
NO_REFILL = "dedup.refill=0"
BASE = {"depth": "2", "breadth": "2", "questions_per_tag": "2", "answers_per_question": "1"}
"""3 requests for 6 tags, 4 for 8 questions, 8 for 8 answers."""

Row = dict[str, Any]
Plan = Callable[[int, Body], Fault | None]


def words(**changed: str) -> list[str]:
    return [*PAIRS, *(f"{key}={value}" for key, value in (BASE | changed).items())]


@pytest.fixture
def project(tmp_path: Path, server: ScriptedServer) -> InProcess:
    return InProcess(tmp_path, server)


def families(project: Workspace) -> dict[str, list[str]]:
    """Ids of the items directly below each topic, tag and question, in the order of the files."""
    found: dict[str, list[str]] = {}
    for tag in project.rows("tags"):
        found.setdefault(tag["parent"] or "topic", []).append(tag["id"])
    for question in project.rows("questions"):
        found.setdefault(question["tag"], []).append(question["id"])
    for answer in project.rows("answers"):
        found.setdefault(answer["question_id"], []).append(answer["id"])
    return found


def assert_begins_with(longer: dict[str, list[str]], shorter: dict[str, list[str]]) -> None:
    """Every family of `shorter` is the beginning of the same family in `longer`."""
    for parent, ids in shorter.items():
        assert longer[parent][: len(ids)] == ids


# Each number goes up from BASE, by requests that were counted with pencil and paper.
GROWN = [
    ({"breadth": "3"}, {"tags": 1 + 2 + 2, "questions": 5, "answers": 10}),
    ({"breadth": "4"}, {"tags": 1 + 2 + 2 * 2, "questions": 12, "answers": 24}),
    ({"breadth": "[3,2]"}, {"tags": 1 + 1, "questions": 2, "answers": 4}),
    ({"breadth": "[2,3]"}, {"tags": 2, "questions": 2, "answers": 4}),
    ({"breadth": "[2,2]"}, {}),
    ({"questions_per_tag": "3"}, {"questions": 4, "answers": 4}),
    ({"questions_per_tag": "5"}, {"questions": 8, "answers": 12}),
    ({"answers_per_question": "3"}, {"answers": 16}),
    (
        {"breadth": "3", "questions_per_tag": "3", "answers_per_question": "2"},
        {"tags": 5, "questions": 4 + 5 * 2, "answers": 9 * 3 * 2 - 8},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("larger", "asked"), GROWN, ids=lambda value: " ".join(map(str, value.values())))
def test_growing_keeps_every_item_and_asks_for_the_new_ones_alone(
    project: InProcess, server: ScriptedServer, larger: dict[str, str], asked: dict[str, int]
) -> None:
    assert project.run(*words()).status == 0
    assert server.kinds == {"tags": 3, "questions": 4, "answers": 8}
    small, files = families(project), project.bytes()
    answers = {row["id"]: row for row in project.rows("answers")}
    server.reset()
    assert project.run(*words(**larger)).status == 0
    assert server.kinds == asked
    assert_begins_with(families(project), small)
    assert {row["id"]: row for row in project.rows("answers") if row["id"] in answers} == answers
    large = project.bytes()
    server.reset()
    assert project.run(*words()).status == 0
    assert (server.count, project.bytes()) == (0, files), "lowering drops, and asks nothing"
    assert project.run(*words(**larger)).status == 0
    assert (server.count, project.bytes()) == (0, large), "raising again finds all in the cache"


def test_what_was_asked_beyond_the_total_is_there_when_the_total_reaches_it(
    project: InProcess, server: ScriptedServer
) -> None:
    project.run(*words(questions_per_tag="3"))
    server.reset()
    project.run(*words(questions_per_tag="4"))
    assert server.kinds == {"answers": 4}
    project.run(*words(questions_per_tag="5"))
    assert server.kinds == {"answers": 8, "questions": 4}


def test_a_deeper_tree_keeps_every_tag(project: InProcess, server: ScriptedServer) -> None:
    project.run(*words(depth="1"))
    kept = [tag["id"] for tag in project.rows("tags")]
    assert server.kinds == {"tags": 1, "questions": 2, "answers": 4}
    for depth, asked in (
        ("2", {"tags": 2, "questions": 4, "answers": 8}),
        ("3", {"tags": 4, "questions": 8, "answers": 16}),
    ):
        server.reset()
        assert project.run(*words(depth=depth)).status == 0
        assert server.kinds == asked
        tags = project.rows("tags")
        assert [tag["id"] for tag in tags if tag["level"] < int(depth)] == kept
        assert {tag["leaf"] for tag in tags if tag["level"] == int(depth)} == {True}
        kept = [tag["id"] for tag in tags]
    server.reset()
    project.run(*words(depth="1"))
    assert (server.count, len(project.rows("tags"))) == (0, 2)


@pytest.mark.parametrize("total", [1, 2, 3, 7])
def test_a_request_asks_for_as_many_items_whatever_the_total(
    project: InProcess, server: ScriptedServer, total: int
) -> None:
    project.run(*PAIRS, "depth=1", f"breadth={total}", "questions_per_tag=1", "--until", "tags")
    first = server.requests[0].body
    schema = first["response_format"]["json_schema"]["schema"]["properties"]["tags"]
    assert (schema["minItems"], schema["maxItems"], server.count) == (2, 2, -(-total // 2))
    assert "Name 2 sub-topics" in first["messages"][-1]["content"]


def batches(size: int) -> Plan:
    """Lists of `size` new items, whatever was asked for."""

    def plan(_: int, body: Body) -> Fault | None:
        kind = kind_of(body)
        return None if kind == "answers" else content(json.dumps({kind: items_at(kind, str(body["messages"]))[:size]}))

    return plan


def test_an_endpoint_that_gives_fewer_than_asked_is_asked_more_often(
    project: InProcess, server: ScriptedServer
) -> None:
    server.plan = batches(1)
    assert project.run(*words(depth="1", breadth="3", questions_per_tag="3")).status == 0
    assert server.kinds == {"tags": 3, "questions": 9, "answers": 9}
    server.reset()
    project.run(*words(depth="1", breadth="4", questions_per_tag="3"))
    assert server.kinds == {"tags": 1, "questions": 3, "answers": 3}


def test_an_endpoint_that_gives_more_than_asked_is_asked_less_often(project: InProcess, server: ScriptedServer) -> None:
    server.plan = batches(5)
    assert project.run(*words(depth="1", breadth="3", questions_per_tag="4")).status == 0
    assert server.kinds == {"tags": 1, "questions": 3, "answers": 12}
    assert [len(project.rows(name)) for name in ("tags", "questions")] == [3, 12]
    server.reset()
    project.run(*words(depth="1", breadth="5", questions_per_tag="5"))
    assert server.kinds == {"questions": 2, "answers": 25 - 12}
    server.reset()
    project.run(*words(depth="1", breadth="6", questions_per_tag="5"))
    assert server.kinds == {"tags": 1, "questions": 1, "answers": 5}


# Parents that yield nothing new.


def stuck_at(kind: Kind, place: str) -> Plan:
    """Well-behaved but for one place, where two items are all there ever is."""

    def plan(_: int, body: Body) -> Fault | None:
        if kind_of(body) == kind and place_of(body).endswith(place):
            return content(json.dumps({kind: items_at(kind, place)[:2]}))
        return None

    return plan


def test_a_parent_without_new_tags_is_given_up_and_tried_again_by_the_next_build(
    project: InProcess, server: ScriptedServer
) -> None:
    server.plan = stuck_at("tags", "sports")
    finished = project.run(*words(depth="1", breadth="4"))
    assert finished.status == 1
    assert server.kinds == {"tags": 1 + 3, "questions": 2, "answers": 4}
    (failure,) = project.rows("failures")
    assert (failure["stage"], failure["path"], failure["missing"]) == ("tags", ["sports"], 2)
    assert failure["cause"]
    assert failure["attempts"] == 3
    assert len(project.rows("tags")) == 2
    for _ in range(2):
        server.reset()
        assert project.run(*words(depth="1", breadth="4")).status == 1
        assert server.kinds == {"tags": 3}
    server.plan = ()
    server.reset()
    assert project.run(*words(depth="1", breadth="4")).status == 0
    assert server.kinds == {"tags": 1, "questions": 2, "answers": 4}
    assert not (project.folder() / "failures.jsonl").exists()
    server.reset()
    assert (project.run(*words(depth="1", breadth="4")).status, server.count) == (0, 0)


def test_a_leaf_without_new_questions_leaves_its_siblings_alone(project: InProcess, server: ScriptedServer) -> None:
    project.run(*words(depth="1"), "--until", "tags")
    first, second = project.rows("tags")
    server.plan = stuck_at("questions", first["label"])
    server.reset()
    assert project.run(*words(depth="1", questions_per_tag="4")).status == 1
    assert server.kinds == {"questions": 1 + 3 + 2, "answers": 2 + 4}
    (failure,) = project.rows("failures")
    assert (failure["stage"], failure["path"], failure["missing"]) == ("questions", first["path"], 2)
    tags = [question["tag"] for question in project.rows("questions")]
    assert tags == [first["id"]] * 2 + [second["id"]] * 4
    server.reset()
    assert project.run(*words(depth="1", questions_per_tag="4")).status == 1
    assert server.kinds == {"questions": 3}
    server.reset()
    assert project.run(*words(depth="1", questions_per_tag="2")).status == 0
    assert server.count == 0
    assert project.rows("failures") == []


# Duplicates.


def lists_of(tags: list[str], questions: list[str]) -> Plan:
    """The same lists at every place, and after them items of its own."""
    lists: dict[Kind, list[str]] = {"tags": tags, "questions": questions}

    def plan(_: int, body: Body) -> Fault | None:
        kind = kind_of(body)
        again = "more" in body["messages"][-1]["content"]
        return None if kind == "answers" or again else content(json.dumps({kind: lists[kind]}, ensure_ascii=False))

    return plan


def test_duplicates_among_the_children_of_one_parent_are_removed_and_made_good(
    project: InProcess, server: ScriptedServer
) -> None:
    tags = ["Ball Games", "ball games", "ＢＡＬＬ ＧＡＭＥＳ", "Ball-Games!", "Sports", "Water Sports"]
    asked = ["How high is the net?", "how high is the net", "How high is the net ？", "Why is it so high?"]
    server.plan = lists_of(tags, asked)
    assert project.run(*words(depth="1", breadth="3", questions_per_tag="3")).status == 0
    assert [tag["label"] for tag in project.rows("tags")][:2] == ["Ball Games", "Water Sports"]
    assert len(project.rows("tags")) == 3
    own = [row["question"] for row in project.rows("questions") if row["path"][-1] == "Ball Games"]
    assert own[:2] == ["How high is the net?", "Why is it so high?"]
    assert len(own) == 3
    assert server.kinds["tags"] == 2


def test_duplicates_across_parents_are_kept_where_no_stage_drops_them_and_their_answers_are_asked_once(
    project: InProcess, server: ScriptedServer
) -> None:
    server.plan = lists_of(["Tennis", "Squash"], ["How high is the net?", "Why is it so high?"])
    stages = "stages=[tags,questions,answers]"
    finished = project.run(*words(depth="1"), stages)
    assert finished.status == 0
    assert "4 of 4 questions repeat another (checks.jsonl)\n4 of 4 answers repeat another" in finished.stderr
    answers = project.rows("answers")
    assert (len(answers), len({row["id"] for row in answers}), len({row["call"] for row in answers})) == (4, 4, 2)
    assert server.kinds == {"tags": 1, "questions": 2, "answers": 2}
    server.reset()
    assert project.run(*words(depth="1", answers_per_question="2"), stages).status == 0
    assert server.kinds == {"answers": 2}


def test_of_duplicates_across_parents_the_first_in_rank_stays_and_the_others_are_told(
    project: InProcess, server: ScriptedServer
) -> None:
    server.plan = lists_of(["Tennis", "Squash"], ["How high is the net?", "Why is it so high?"])
    finished = project.run(*words(depth="1"), NO_REFILL)
    assert finished.status == 0
    assert "dedup dropped 2 of 4 questions" in finished.stderr
    questions, verdicts = project.rows("questions"), project.rows("dedup")
    assert [row["id"] for row in verdicts] == [row["id"] for row in questions]
    assert [row["kept"] for row in verdicts] == [True, True, False, False]
    assert [row["why"] for row in verdicts] == [[], [], *[["the same question as an earlier one"]] * 2]
    assert [row["same_as"] for row in verdicts] == [None, None, *(row["id"] for row in questions[:2])]
    assert "dedup dropped 2 rows: the same question as an earlier one\n" in finished.stderr
    assert "under more than one parent" not in finished.stderr
    assert [row["question_id"] for row in project.rows("answers")] == [row["id"] for row in questions[:2]]
    assert server.kinds == {"tags": 1, "questions": 2, "answers": 2}
    server.reset()
    assert project.run(*words(depth="1", answers_per_question="2"), NO_REFILL).status == 0
    assert server.kinds == {"answers": 2}


def test_a_new_tag_may_outrank_a_question_of_an_old_one_whose_answer_goes_with_it(
    project: InProcess, server: ScriptedServer
) -> None:
    asked = {"Tennis": ["How high is it?", "How long is it?"], "Squash": ["How long is it?", "How wide is it?"]}

    def plan(_: int, body: Body) -> Fault | None:
        kind = kind_of(body)
        items = (
            list(asked) if kind == "tags" else [each for tag in asked if tag in place_of(body) for each in asked[tag]]
        )
        return None if kind == "answers" else content(json.dumps({kind: items}))

    server.plan = plan
    assert project.run(*words(depth="1", breadth="1"), NO_REFILL).status == 0
    before = project.rows("answers")
    assert [row["question"] for row in before] == asked["Tennis"]
    server.reset()
    finished = project.run(*words(depth="1", breadth="2"), NO_REFILL)
    assert (finished.status, server.kinds) == (0, {"questions": 1, "answers": 1})
    assert len(project.rows("questions")) == 4, "what is dropped stays in the artefact above"
    answers = project.rows("answers")
    assert [row["question"] for row in answers] == [asked["Tennis"][0], *asked["Squash"]]
    assert (answers[0], answers[1]["call"]) == (before[0], before[1]["call"]), "the same text is the same call"
    assert project.run(*words(depth="1", breadth="1"), NO_REFILL).status == 0
    assert (project.rows("answers"), server.count) == (before, 2)


def test_the_real_command_grows_by_what_is_new(workspace: Workspace, server: ScriptedServer) -> None:
    workspace.run(*words(depth="1"))
    small = families(workspace)
    server.reset()
    assert workspace.run(*words(depth="1", breadth="3")).status == 0
    assert server.kinds == {"tags": 1, "questions": 1, "answers": 2}
    assert_begins_with(families(workspace), small)


def test_the_steady_server_of_these_tests_gives_the_same_list_to_every_request_at_a_place() -> None:
    body: Body = {"messages": [{"role": "user", "content": 'Subject: sports\nName 2 "tags"'}]}
    assert steady(0, body) == steady(1, body | {"temperature": 1})
