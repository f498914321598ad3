"""`model.reasoning_marks`: how a reply is read. What is stored is read again, and nothing is asked."""

from typing import Any

import pytest

from tests.e2e.own_project import write_prompt, write_stage
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


@pytest.mark.parametrize(
    "typed",
    ["<plan>", "[<plan>]", "[[<plan>]]", '[["<plan>",""]]', '[["",""]]', '[[" ","\t"]]', '[["<plan>",3]]'],
)
def test_what_is_no_pair_of_marks_is_told(workspace: Workspace, server: ScriptedServer, typed: str) -> None:
    wrong = workspace.run(*SMALL, f"model.reasoning_marks={typed}")
    assert wrong.status == 2
    assert "model.reasoning_marks" in wrong.stderr
    quoted = '"' in typed
    assert ("expected a list of [text that is not blank, text that is not blank]" in wrong.stderr) == quoted
    assert "Traceback" not in wrong.stderr
    assert server.count == 0


@pytest.mark.parametrize("mark", ["<own:plan>", "[OWN:PLAN]"])
def test_check_knows_a_mark_with_a_colon(workspace: Workspace, server: ScriptedServer, mark: str) -> None:
    server.plan = lambda _, body: None if schema_of(body) else content(f"{mark}First this. The answer.")
    assert f"The text begins with {mark}" in " ".join(workspace.run("check").stdout.split())


def test_check_says_with_what_mark_a_text_begins(workspace: Workspace) -> None:
    looked = " ".join(workspace.run("check").stdout.split())
    assert "The text begins with <plan>" in looked
    assert "model.reasoning_marks" in looked
    assert "in the text, between <plan> and </plan>" in " ".join(workspace.run("check", MARKS).stdout.split())


def chain(workspace: Workspace, key: str, name: str) -> list[Any]:
    """The links of `log`."""
    told = workspace.raw("log", key, "-o", f"outputs/{name}", "--json")
    assert told.status == 0, told.stderr
    links: list[Any] = told.document["chain"]
    return links


def test_log_reads_a_list_with_the_marks_of_its_own_dataset(workspace: Workspace, server: ScriptedServer) -> None:
    """One reply, and two datasets that read two lists in it."""
    lists = "<plan>\n1. Team games\n2. Races\n</plan>\n1. Ball games\n2. Board games"
    served = server.plan
    assert callable(served)
    server.plan = lambda index, body: content(lists) if index == 0 else served(index, body)
    for name, words in (("first", (MARKS,)), ("second", ("model.reasoning_marks=[]",))):
        assert workspace.run(*SMALL, *words, f"name={name}").status == 0
    labels = {name: [row["label"] for row in workspace.rows("tags", name)] for name in ("first", "second")}
    assert labels == {"first": ["Ball games", "Board games"], "second": ["Team games", "Races"]}
    for name in labels:
        links = [link for row in workspace.rows("tags", name) for link in chain(workspace, row["id"], name)]
        assert [link["lack"] for link in links] == [None, None]
        assert [attempt["verdict"] for link in links for attempt in link["attempts"]] == ["accepted"] * 2


def test_log_reads_a_reply_with_the_marks_of_who_was_asked(workspace: Workspace, server: ScriptedServer) -> None:
    """Of two judges the second thinks in marks of its own, and its first thought never ends."""
    (workspace.root / "conf").mkdir()
    (workspace.root / "conf/distill.yaml").write_text("defaults: [base, _self_]\n")
    write_stage(workspace.root, "comment", kind="map", after="answers", role=["mild", "strict"])
    write_prompt(workspace.root, "comment", "What do you say to this: {{ row.answer }}")
    endless: list[int] = []

    def reply(index: int, body: Body) -> Fault | None:
        if body["model"] == "strict" and not endless:
            endless.append(index)
            return content("<plan>It never ends")
        return None

    server.plan = reply
    one = ("topic=sports", "depth=1", "breadth=1", "questions_per_tag=1", "stages=[tags,questions,answers,comment]")
    marks = MARKS.replace("model.", "strict.")
    assert workspace.run(*one, "strict.name=strict", marks).status == 0
    verdicts = {
        row["role"]: [attempt["verdict"] for attempt in chain(workspace, row["id"], "sports")[-1]["attempts"]]
        for row in workspace.rows("comment")
    }
    assert verdicts == {"mild": ["accepted"], "strict": ["empty", "accepted"]}
