"""Tags that stand before a tag in the list of its parent are shown to what is asked below it: those, and no others."""

import json
import re
from pathlib import Path

import pytest

from distill_build.replies.labels import normalise
from tests.e2e.test_only_what_is_affected import InProcess, items_at, kind_of, own_prompt, place_of
from tests.server import Body, Fault, ScriptedServer, content, status

LINE = ("topic=sports", "depth=3", "breadth=2", "questions_per_tag=1", "per_request.tags=2", "per_request.questions=1")
TWO_LEVELS = ("topic=sports", "depth=2", "breadth=4", "questions_per_tag=1", "per_request.tags=2")


@pytest.fixture
def project(tmp_path: Path, server: ScriptedServer) -> InProcess:
    return InProcess(tmp_path, server)


def by_place(_: int, body: Body) -> Fault | None:
    """As many items as are asked for, by the place and the number of those that are there already."""
    kind, place = kind_of(body), place_of(body)
    if kind == "answers":
        return None
    there = len(re.findall(r"^- ", body["messages"][-1]["content"], re.MULTILINE)) + len(shown(body, "Already there"))
    return content(json.dumps({kind: items_at(kind, f"{place}|{there}")[:2]}))


def shown(body: Body, what: str = "Covered elsewhere") -> list[str]:
    """The labels that a request shows."""
    found = re.search(rf"^{what}: (.+)$", body["messages"][-1]["content"], re.MULTILINE)
    return found[1].split("; ") if found else []


def lists(server: ScriptedServer) -> list[tuple[str, str, list[str]]]:
    """Kind, place and shown labels of each request for a list."""
    bodies = [request.body for request in server.requests]
    return [(kind_of(body), place_of(body), shown(body)) for body in bodies if kind_of(body) != "answers"]


def test_tags_show_those_before_each_tag_above_and_questions_those_before_their_leaf(
    project: InProcess, server: ScriptedServer
) -> None:
    assert project.run(*LINE).status == 0
    labels = {row["number"]: row["label"] for row in project.rows("tags")}
    place = {" > ".join(row["path"]): row["number"] for row in project.rows("tags")} | {"sports": ""}
    expected = {
        "": [], "1": [], "2": ["1"], "1.1": [], "1.2": ["1.1"], "2.1": ["1"], "2.2": ["1", "2.1"],
        "1.1.1": [], "1.1.2": ["1.1.1"], "2.2.1": [], "2.2.2": ["2.2.1"],
    }  # fmt: skip
    found = {place[path]: said for _, path, said in lists(server)}
    assert {number: found[number] for number in expected} == {
        number: [labels[each] for each in earlier] for number, earlier in expected.items()
    }


def test_chinese_prompts_show_them_too_and_small_models_are_only_held_to_them(
    project: InProcess, server: ScriptedServer
) -> None:
    assert project.run(*LINE, "language=zh").status == 0
    labels = {row["number"]: row["label"] for row in project.rows("tags")}
    told = [request.body["messages"][-1]["content"] for request in server.requests]
    assert any(f"\n别处已涵盖：{labels['1']}；{labels['2.1']}\n" in text for text in told)
    server.reset()
    assert project.run(*LINE, "language=zh", "model.examples=true").status == 0
    assert not any("别处已涵盖" in json.dumps(request.body, ensure_ascii=False) for request in server.requests)


def test_a_list_that_grows_asks_nothing_below_what_was_there(project: InProcess, server: ScriptedServer) -> None:
    project.run(*TWO_LEVELS)
    before = {row["id"] for row in project.rows("tags")}
    for breadth in ("5", "[7,4]"):
        server.reset()
        assert project.run(*TWO_LEVELS, f"breadth={breadth}").status == 0
        old = {" > ".join(row["path"]) for row in project.rows("tags") if row["id"] in before and row["leaf"]}
        assert old.isdisjoint(place for kind, place, _ in lists(server) if kind == "questions")
        first = [request.body for request in server.requests if kind_of(request.body) == "tags"]
        assert all(shown(body, "Already there") or place_of(body) not in old for body in first)


def test_a_list_that_failed_and_heals_asks_nothing_of_its_neighbours(
    project: InProcess, server: ScriptedServer
) -> None:
    def ill(number: int, body: Body) -> Fault | None:
        at_topic = kind_of(body) == "tags" and place_of(body) == "sports"
        return status(400) if at_topic and shown(body, "Already there") else by_place(number, body)

    server.plan = ill
    assert project.run(*TWO_LEVELS).status == 1
    there = {place for _, place, _ in lists(server)}
    assert len([row for row in project.rows("tags") if row["level"] == 1]) == 2
    server.plan = by_place
    server.reset()
    assert project.run(*TWO_LEVELS).status == 0
    assert {place for _, place, _ in lists(server)} & there == {"sports"}


def test_a_label_that_was_shown_brings_nothing_new(project: InProcess, server: ScriptedServer) -> None:
    def repeating(number: int, body: Body) -> Fault | None:
        reply = by_place(number, body)
        if kind_of(body) != "tags" or shown(body, "Already there") or not shown(body):
            return reply
        return content(json.dumps({"tags": [shown(body)[0].upper(), items_at("tags", place_of(body))[0]]}))

    server.plan = repeating
    assert project.run(*TWO_LEVELS).status == 0
    level_1 = [row["label"] for row in project.rows("tags") if row["level"] == 1]
    below_last = [row["label"] for row in project.rows("tags") if row["path"][1] == level_1[-1] and row["level"] == 2]
    assert len(below_last) == 4
    assert normalise(level_1[0]) not in map(normalise, below_last)


def renaming(first: str) -> object:
    """The server's lists, but for the first tag of all."""

    def plan(number: int, body: Body) -> Fault | None:
        if kind_of(body) == "tags" and place_of(body) == "sports" and not shown(body, "Already there"):
            return content(json.dumps({"tags": [first, "Ball Games"]}))
        return by_place(number, body)

    return plan


def test_another_label_asks_for_the_tags_below_those_behind_it_and_for_no_question_of_theirs(
    project: InProcess, server: ScriptedServer
) -> None:
    line = ("topic=sports", "depth=2", "breadth=2", "questions_per_tag=1", "per_request.tags=2")
    server.plan = renaming("Running")  # type: ignore[assignment]
    project.run(*line)
    server.plan = renaming("Swimming")  # type: ignore[assignment]
    server.reset()
    planned = project.run("plan", *line, "--rebuild", "tags:sports", "--json").document
    assert project.run(*line, "--rebuild", "tags:sports").status == 0
    assert planned["exact"] is False
    assert sorted((kind, place) for kind, place, _ in lists(server) if "Ball Games" in place) == [
        ("tags", "sports > Ball Games")
    ], "its own list is asked for, since it shows another label; its leaves have the same neighbours as before"


def test_a_prompt_that_does_not_show_them_asks_nothing_where_one_changes(
    project: InProcess, server: ScriptedServer
) -> None:
    line = ("topic=sports", "depth=2", "breadth=2", "questions_per_tag=1", "per_request.tags=2")
    own_prompt(project, "en/tags.jinja", lambda text: re.sub(r"{% if elsewhere .*?{% endif %}\n", "", text, flags=re.S))
    server.plan = renaming("Running")  # type: ignore[assignment]
    project.run(*line)
    server.plan = renaming("Swimming")  # type: ignore[assignment]
    server.reset()
    assert project.run(*line, "--rebuild", "tags:sports").status == 0
    assert not [place for _, place, _ in lists(server) if "Ball Games" in place]


def test_explain_of_an_item_knows_what_its_request_shows(project: InProcess) -> None:
    project.run(*LINE)
    rows = {row["number"]: row for row in project.rows("tags")}
    question = next(row for row in project.rows("questions") if row["tag"] == rows["2.2.2"]["id"])
    for item in (question["id"], rows["2.2.2"]["id"], rows["2.2"]["id"]):
        said = project.run("explain", item, *LINE, "--json")
        assert (said.status, said.document["changed"]) == (0, []), said
