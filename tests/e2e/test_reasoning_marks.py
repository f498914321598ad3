"""`model.reasoning_marks`: how a reply is read. What is stored is read again, and nothing is asked."""

import pytest

from tests.e2e.workspace import Workspace
from tests.server import Body, Fault, ScriptedServer, content, schema_of

SMALL = ("topic=sports", "depth=1", "breadth=2", "questions_per_tag=2")
MARKS = 'model.reasoning_marks=[["<plan>","</plan>"]]'
CALLS = 1 + 2 + 4


@pytest.fixture(autouse=True)
def planning(server: ScriptedServer) -> None:
    """A teacher that thinks in marks of its own."""

    def reply(_: int, body: Body) -> Fault | None:
        return None if schema_of(body) else content("<plan>First this.</plan>\n\nThe answer.")

    server.plan = reply


def answers(workspace: Workspace, name: str = "sports") -> set[tuple[str | None, str]]:
    return {(row["reasoning"], row["answer"]) for row in workspace.rows("answers", name)}


def test_marks_that_are_named_later_are_read_from_what_is_stored(workspace: Workspace, server: ScriptedServer) -> None:
    assert workspace.run(*SMALL).status == 0
    first = workspace.bytes()
    assert answers(workspace) == {(None, "<plan>First this.</plan>\n\nThe answer.")}
    plan = workspace.run("plan", *SMALL, MARKS, "--json").document
    assert (plan["calls"], plan["exact"]) == (0, True)
    assert "reasoning_marks" in workspace.run("explain", *SMALL, MARKS).stdout
    assert workspace.run(*SMALL, MARKS).status == 0
    assert answers(workspace) == {("First this.", "The answer.")}
    told = workspace.raw("diff").stdout
    assert 'teacher.reasoning_marks: null → [["<plan>","</plan>"]]' in told
    assert "asked again" not in told
    assert workspace.run(*SMALL, MARKS, "--locked").status == 0
    assert workspace.run(*SMALL, "--locked").status == 4
    assert workspace.run(*SMALL).status == 0
    assert workspace.bytes() == first
    assert server.count == CALLS


def test_marks_of_one_role_are_its_own(workspace: Workspace, server: ScriptedServer) -> None:
    assert workspace.run(*SMALL).status == 0
    assert workspace.run(*SMALL, MARKS.replace("model.", "teacher.")).status == 0
    assert answers(workspace) == {("First this.", "The answer.")}
    assert workspace.run(*SMALL, MARKS.replace("model.", "student.")).status == 0
    assert answers(workspace) == {(None, "<plan>First this.</plan>\n\nThe answer.")}
    assert server.count == CALLS


def test_two_datasets_on_one_cache_read_the_same_replies_each_in_its_way(
    workspace: Workspace, server: ScriptedServer
) -> None:
    assert workspace.run(*SMALL, MARKS, "name=marked").status == 0
    assert workspace.run(*SMALL, "name=plain").status == 0
    marked = workspace.bytes("marked")
    assert workspace.run(*SMALL, MARKS, "name=marked", "questions_per_tag=1").status == 0
    assert workspace.run(*SMALL, MARKS, "name=marked").status == 0
    assert workspace.bytes("marked") == marked
    assert answers(workspace, "plain") == {(None, "<plan>First this.</plan>\n\nThe answer.")}
    assert server.count == CALLS


def test_a_reply_that_other_marks_make_useless_is_asked_for_again_and_only_that(
    workspace: Workspace, server: ScriptedServer
) -> None:
    served = server.plan
    assert callable(served)
    server.plan = lambda index, body: content("<plan>It never ends") if index == CALLS - 1 else served(index, body)
    assert workspace.run(*SMALL, "limits.concurrency=1").status == 0
    assert workspace.run("plan", *SMALL, MARKS, "--json").document["calls"] == 1
    server.plan = served
    assert workspace.run(*SMALL, MARKS).status == 0
    assert answers(workspace) == {("First this.", "The answer.")}
    assert server.count == CALLS + 1
    assert workspace.run(*SMALL, "name=again", MARKS).status == 0
    assert server.count == CALLS + 1


def test_no_marks_leave_the_text_whole(workspace: Workspace, server: ScriptedServer) -> None:
    server.plan = lambda _, body: None if schema_of(body) else content("<think>Hm.</think>Yes.")
    assert workspace.run(*SMALL).status == 0
    assert answers(workspace) == {("Hm.", "Yes.")}
    assert workspace.run(*SMALL, "model.reasoning_marks=[]").status == 0
    assert answers(workspace) == {(None, "<think>Hm.</think>Yes.")}
    assert server.count == CALLS


@pytest.mark.parametrize("typed", ["<plan>", "[<plan>]", "[[<plan>]]", '[["<plan>",""]]', '[["<plan>",3]]'])
def test_what_is_no_pair_of_marks_is_told(workspace: Workspace, server: ScriptedServer, typed: str) -> None:
    wrong = workspace.run(*SMALL, f"model.reasoning_marks={typed}")
    assert wrong.status == 2
    assert "model.reasoning_marks" in wrong.stderr
    assert "Traceback" not in wrong.stderr
    assert server.count == 0


def test_check_says_with_what_mark_a_text_begins(workspace: Workspace) -> None:
    looked = " ".join(workspace.run("check").stdout.split())
    assert "The text begins with <plan>" in looked
    assert "model.reasoning_marks" in looked
    assert "in the text, between <plan> and </plan>" in " ".join(workspace.run("check", MARKS).stdout.split())
