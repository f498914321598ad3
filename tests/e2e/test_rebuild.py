"""--rebuild: what is named is asked anew and the new replies are kept; what cannot be had anew stays as it was."""

from typing import Any

import pytest

from tests.e2e.caches import flipped, opened
from tests.e2e.workspace import WITHOUT_DEDUP, Workspace
from tests.server import Body, Fault, ScriptedServer, content, raw, status

SMALL = ("topic=sports", "depth=1", "breadth=3", "questions_per_tag=3")


def is_answer(body: Body) -> bool:
    return "response_format" not in body


def leaf(workspace: Workspace, index: int) -> str:
    """The path of a leaf, as --rebuild takes it."""
    return "/".join(workspace.rows("tags")[index]["path"])


def answers_of(workspace: Workspace, path: str) -> list[dict[str, Any]]:
    return [row for row in workspace.rows("answers") if "/".join(row["path"]) == path]


def test_what_is_named_is_asked_anew_and_the_rest_stays(workspace: Workspace, server: ScriptedServer) -> None:
    workspace.run(*SMALL)
    named, other = leaf(workspace, 0), leaf(workspace, 1)
    before = answers_of(workspace, other)
    server.reset()
    assert workspace.run(*SMALL, f"--rebuild={named}").status == 0
    assert server.count >= 4, "its questions, and the answers to them"
    assert answers_of(workspace, other) == before
    server.reset()
    assert workspace.run(*SMALL).status == 0
    assert server.count == 0


def test_what_was_asked_anew_is_what_a_fresh_folder_gets(workspace: Workspace, server: ScriptedServer) -> None:
    workspace.run(*SMALL)
    workspace.run(*SMALL, f"--rebuild={leaf(workspace, 0)}")
    server.reset()
    assert workspace.run(*SMALL, "output_dir=again").status == 0
    assert server.count == 0
    for name, data in workspace.bytes().items():
        assert (workspace.root / "again" / "sports" / name).read_bytes() == data


def same_questions(index: int, body: Body) -> Fault | None:
    """Every leaf gets the same three questions, and an answer tells which request it was."""
    if is_answer(body):
        return content(f"This is answer number {index}.")
    if "questions" in str(body["response_format"]):
        return content('{"questions": ["What is a ball made of?", "Who is the referee?", "Where is it played?"]}')
    return None


@pytest.mark.parametrize("wrong", ["failed", "damaged"])
def test_what_leaves_share_and_is_not_there_is_asked_anew_once(
    workspace: Workspace, server: ScriptedServer, wrong: str
) -> None:
    many = ("breadth=30", "questions_per_tag=1", "limits.concurrency=1")  # more than wait for one reply at once
    build = ("topic=sports", "depth=1", *many, WITHOUT_DEDUP, "limits.reasks=0")
    server.plan = lambda index, body: (
        content("") if is_answer(body) and wrong == "failed" else same_questions(index, body)
    )
    workspace.run(*build)
    if wrong == "damaged":
        with opened(workspace) as database:
            for row, value in database.execute("SELECT rowid, value FROM Cache WHERE tag = 'answers'").fetchall():
                database.execute("UPDATE Cache SET value = ? WHERE rowid = ?", (flipped(value), row))
    server.plan = same_questions
    plan = workspace.run("plan", *build, "--rebuild=answers:*", "--json").document
    server.reset()
    assert workspace.run(*build, "--rebuild=answers:*").status == 0
    assert (plan["calls"], server.count) == (1, 1)


@pytest.mark.parametrize("lost", ["outputs", "nothing"])
def test_leaves_that_share_a_question_share_the_new_answer(
    workspace: Workspace, server: ScriptedServer, lost: str
) -> None:
    """Their call is one, so a row that kept the old reply would depend on who came first."""
    server.plan = same_questions
    workspace.run(*SMALL, WITHOUT_DEDUP)
    assert server.kinds["answers"] == 3
    named = leaf(workspace, 1)
    if lost == "outputs":
        for path in workspace.folder().glob("*.jsonl"):
            path.unlink()
    assert workspace.run(*SMALL, WITHOUT_DEDUP, f"--rebuild={named}").status == 0
    by_question: dict[str, set[str]] = {}
    for row in workspace.rows("answers"):
        by_question.setdefault(row["question"], set()).add(row["answer"])
    assert [len(answers) for answers in by_question.values()] == [1, 1, 1]
    assert len(workspace.rows("answers")) == 9
    rebuilt = workspace.bytes()
    assert workspace.run(*SMALL, WITHOUT_DEDUP, "output_dir=again").status == 0
    assert (workspace.root / "again/sports/answers.jsonl").read_bytes() == rebuilt["answers.jsonl"]


def test_what_cannot_be_had_anew_stays_as_it_was(workspace: Workspace, server: ScriptedServer) -> None:
    workspace.run(*SMALL)
    before = workspace.bytes()
    server.plan = lambda _, __: status(503, retry_after=0)
    finished = workspace.run(*SMALL, "--rebuild=sports/*", "limits.retries=0", "--json")
    assert finished.status == 0
    assert "stood before" in finished.stderr
    requests = {name: (stage["cached"], stage["ask"]) for name, stage in finished.document["stages"].items()}
    assert requests == {"tags": (1, 0), "questions": (3, 0), "dedup": (0, 0), "answers": (9, 0)}
    assert workspace.bytes() == before


def test_a_budget_that_ends_a_rebuild_takes_nothing_away(workspace: Workspace) -> None:
    workspace.run(*SMALL)
    finished = workspace.run(*SMALL, "--rebuild=sports/*", "budget.calls=1", "limits.concurrency=1")
    assert finished.status == 3
    assert len(workspace.rows("answers")) == 9 - len(workspace.rows("failures"))
    assert len(workspace.rows("answers")) >= 6, "only what follows from the one new reply may be missing"


def test_a_glob_that_matches_nothing_is_said(workspace: Workspace, server: ScriptedServer) -> None:
    workspace.run(*SMALL)
    server.reset()
    finished = workspace.run(*SMALL, "--rebuild=spurts/*")
    assert "matches no path" in finished.stderr
    assert server.count == 0


def test_it_does_not_go_with_offline(workspace: Workspace) -> None:
    assert workspace.run(*SMALL, "--rebuild=*", "--offline").status == 2


def test_a_budget_of_tokens_holds_where_the_endpoint_counts_none(workspace: Workspace, server: ScriptedServer) -> None:
    def silent(index: int, body: Body) -> Fault | None:
        message = {"role": "assistant", "content": f"A long enough answer number {index}. " * 20}
        return raw({"choices": [{"message": message, "finish_reason": "stop"}]}) if is_answer(body) else None

    server.plan = silent
    finished = workspace.run(*SMALL, "budget.tokens=600", "limits.concurrency=1")
    assert finished.status == 3
    assert len(workspace.rows("answers")) < 9


def test_a_template_included_by_a_name_that_is_worked_out_is_refused(workspace: Workspace) -> None:
    own = workspace.root / "prompts" / "en"
    own.mkdir(parents=True)
    (own / "answers.jinja").write_text(
        '{% set part = "style" %}'
        '{% call message("user") %}{{ question }}{% include "en/" ~ part ~ ".jinja" %}{% endcall %}'
    )
    finished = workspace.run(*SMALL)
    assert finished.status == 2
    assert "in quotes" in finished.stderr


def test_it_is_the_cause_that_is_told_first(workspace: Workspace, server: ScriptedServer) -> None:
    server.plan = lambda index, body: content(f"This is answer number {index}.") if is_answer(body) else None
    assert workspace.run(*SMALL).status == 0
    told = workspace.run("plan", *SMALL, "--rebuild=answers:*", "--rebuild=nothing/*").stderr
    assert "9 answers made anew, changed or gone; --rebuild answers:* asks for others; `distill-build checkout" in told
    told = workspace.run("plan", *SMALL, "teacher.temperature=0.9", "--rebuild=answers:*").stderr
    assert "gone; --rebuild answers:* asks for others; teacher.temperature" in told
    built = workspace.run(*SMALL, "--rebuild=answers:*")
    assert (built.status, built.stderr.count("--rebuild answers:* asks for others")) == (0, 2), "before and after"


def test_what_is_damaged_is_asked_anew_where_it_is_named(workspace: Workspace, server: ScriptedServer) -> None:
    assert workspace.run(*SMALL).status == 0
    with opened(workspace) as database:
        for row, value in database.execute("SELECT rowid, value FROM Cache WHERE tag = 'answers'").fetchall():
            database.execute("UPDATE Cache SET value = ? WHERE rowid = ?", (flipped(value), row))
    server.reset()
    assert workspace.run(*SMALL, "name=other").status == 5, "nobody names it"
    plan = workspace.run("plan", *SMALL, "--rebuild=answers:*", "--json")
    assert (plan.status, plan.document["calls"]) == (0, 9)
    server.reset()
    assert workspace.run(*SMALL, "--rebuild=answers:*").status == 0
    assert server.kinds == {"answers": 9}
    assert workspace.raw("cache", "fsck").status == 0
