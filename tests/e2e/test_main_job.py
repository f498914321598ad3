"""The main job: from a topic to a dataset, and again for nothing."""

from tests.e2e.workspace import Workspace
from tests.server import ScriptedServer

SMALL = ("topic=sports", "depth=2", "breadth=3", "questions_per_tag=2")


def test_a_build_makes_every_item_that_the_settings_declare(workspace: Workspace) -> None:
    assert workspace.run(*SMALL).status == 0
    tags, questions, answers = (workspace.rows(name) for name in ("tags", "questions", "answers"))
    assert (len(tags), len(questions), len(answers)) == (12, 18, 18)
    assert [tag["number"] for tag in tags][:5] == ["1", "1.1", "1.2", "1.3", "2"]
    assert {tag["leaf"] for tag in tags if tag["level"] == 2} == {True}
    assert [answer["question_id"] for answer in answers] == [question["id"] for question in questions]


def test_a_second_build_sends_nothing_and_leaves_the_files_alone(workspace: Workspace, server: ScriptedServer) -> None:
    workspace.run(*SMALL)
    before, sent = workspace.bytes(), server.count
    finished = workspace.run(*SMALL)
    assert finished.status == 0
    assert "up to date" in finished.stderr
    assert finished.stdout == ""
    assert (workspace.bytes(), server.count) == (before, sent)
