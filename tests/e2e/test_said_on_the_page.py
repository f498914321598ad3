"""What waits for the next build, on a page of a dataset with tags by hand."""

import json
from typing import Any

import pytest

from tests.e2e.test_only_what_is_affected import InProcess
from tests.e2e.test_tree_by_hand import SMALL, built, by_place, level_1, project, says  # noqa: F401 - a fixture
from tests.e2e.workspace import Workspace
from tests.view.serving import Served, served


def page_of(project: InProcess) -> Any:  # noqa: F811
    """The dataset, served as it is by now."""
    assert project.server is not None
    return served(Workspace(project.root, project.server))


def said(view: Served) -> dict[str, Any]:
    found: dict[str, Any] = view.ask("/said", of=view.snapshot()).document
    return found


def id_of(project: InProcess, label: str) -> str:  # noqa: F811
    return next(str(row["id"]) for row in project.rows("tags") if row["label"] == label)


def test_items_by_the_label_that_people_see_are_built_and_hold_their_tag(project: InProcess) -> None:  # noqa: F811
    says(project, "rename: {Bravo sports: Team games}\nexclude: [Charlie sports]\n")
    lines = [
        {"question": f"Who is {number}?", "path": path} for number, path in enumerate(("team GAMES", "Charlie sports"))
    ]
    says(project, "".join(json.dumps(line) + "\n" for line in lines), "questions.jsonl")
    built(project)
    with page_of(project) as view:
        assert said(view)["waiting"] == 0
        assert view.say("/item", stage="questions", tag=id_of(project, "Alpha sports"), text="Another?").status == 200
        waits = said(view)
        assert [(item["path"], item["text"]) for item in waits["items"]] == [(["Alpha sports"], "Another?")]
        assert waits["waiting"] == 1
        held = view.say("/tag", id=id_of(project, "Team games"), exclude=True)
        assert (held.status, b"items of your own lie below it" in held.body) == (409, True)


def test_what_would_leave_nothing_is_refused_before_it_is_written(project: InProcess) -> None:  # noqa: F811
    tree = "only: true\ntags:\n  Golf: {depth: 0}\n  Chess: {depth: 0}\n"
    says(project, tree)
    built(project)
    with page_of(project) as view:
        golf, chess = (id_of(project, label) for label in ("Golf", "Chess"))
        assert view.say("/tag", id=golf, exclude=True).status == 200
        refused = view.say("/tag", id=chess, exclude=True)
        assert (refused.status, b"nothing would be left below sports: keep a tag" in refused.body) == (409, True)
        assert (project.root / "tree.yaml").read_text() == tree + "exclude:\n  - Golf\n"
        assert view.say("/item", stage="questions", text="What is sport?").status == 200
        assert view.say("/tag", id=chess, exclude=True).status == 200
    assert built(project) == [("answers", "What is sport?")]


TREE = """\
only: true
rename: {Golf: Clubs}
about: {Misc: {exclude: [Old]}}
tags:
  Golf: {depth: 0, description: on grass}
  Chess: {tags: [Openings, Endings]}
"""


@pytest.mark.parametrize(
    ("old", "new", "waits"),
    [
        ("", "", []),
        ("Golf: {depth: 0, description: on grass}", "Golf: {depth: 1, questions_per_tag: 3}", [["Golf"]]),
        ("[Openings, Endings]", "[Endings, Openings]", [["Chess"]]),
        ("[Openings, Endings]", "[Openings, Gambits]", [["Chess", "Endings"], ["Chess", "Gambits"]]),
        ("Golf: {depth", "Go: {depth: 0, breadth: 2}\n  Golf: {depth", [["Go"]]),
        ("tags: [Openings, Endings]", "tags: [Openings, Endings], exclude: [Endings]", [["Chess", "Endings"]]),
        ("exclude: [Old]", "exclude: [Old], breadth: 2", [["Misc"]]),
        ("rename: {Golf: Clubs}", "rename: {Golf: Club}", [["Golf"]]),
        ("only: true", "only: false", [[]]),
    ],
)
def test_one_change_waits_for_each_tag_of_which_something_else_is_said(
    project: InProcess,  # noqa: F811
    old: str,
    new: str,
    waits: list[list[str]],
) -> None:
    says(project, TREE)
    built(project)
    says(project, TREE.replace(old, new))
    with page_of(project) as view:
        found = said(view)
    assert sorted(tag["path"] for tag in found["tree"] if tag["waits"]) == waits
    assert found["waiting"] == len(waits)


def test_nothing_waits_where_a_lock_alone_tells_what_was_built(project: InProcess) -> None:  # noqa: F811
    says(project, TREE + "exclude: [" + ", ".join(f"Something long {number}" for number in range(40)) + "]\n")
    built(project)
    (project.folder() / "runs/state.json").unlink()
    with page_of(project) as view:
        assert said(view)["waiting"] == 0
        assert view.say("/tag", id=id_of(project, "Openings"), exclude=True).status == 200
        assert said(view)["waiting"] > 0


def test_a_question_is_added_at_a_tag_that_is_called_as_the_topic(project: InProcess) -> None:  # noqa: F811
    says(project, "tags: {Sports: {depth: 0}}\nonly: true\n")
    built(project)
    with page_of(project) as view:
        assert view.say("/item", stage="questions", tag=id_of(project, "Sports"), text="Mine?").status == 200
        assert said(view)["items"] == [{"stage": "questions", "path": ["Sports"], "text": "Mine?"}]
    assert built(project) == [("answers", "Mine?")]
    assert [row["path"] for row in project.rows("questions") if row["index"] < 0] == [["sports", "Sports"]]
