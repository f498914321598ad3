"""Beside a build that has not come to its end there is something to look at: the rows that it has so far."""

import json

from tests.e2e.workspace import Workspace, start
from tests.server import ScriptedServer

SMALL = ("topic=sports", "depth=2", "breadth=2", "questions_per_tag=2", "limits.concurrency=1")
LISTS = 3 + 4
"""Requests for tags and questions."""


def look(workspace: Workspace, *words: str) -> dict[str, object]:
    """The document of a command that only looks, which says that these are not all rows."""
    found = workspace.raw(*words, "--json")
    assert found.status == 0, found.stderr
    assert "the rows so far of run" in found.stderr
    document: dict[str, object] = json.loads(found.stdout)
    return document


def test_tree_show_and_sample_tell_what_a_first_build_has_while_it_runs(
    workspace: Workspace, server: ScriptedServer
) -> None:
    server.hold_from(LISTS + 3)
    with start(workspace, *SMALL) as process:
        server.wait_for(LISTS + 4)
        assert look(workspace, "tree")["counts"] == {"tags": 6, "questions": 8, "dedup": 8, "answers": 3}
        sampled = look(workspace, "sample", "9")
        assert (sampled["stage"], sampled["of"]) == ("answers", 3)
        drawn = sampled["rows"]
        assert isinstance(drawn, list)
        assert look(workspace, "show", drawn[0]["id"])["stage"] == "answers"
        assert "of 3 answers" in workspace.raw("sample").stdout
        assert process.poll() is None
        server.release()
        process.communicate(timeout=60)
    assert process.returncode == 0
    kept = {row["id"]: row["answer"] for row in workspace.rows("answers")}
    assert all(kept[row["id"]] == row["answer"] for row in drawn)
    ended = workspace.raw("tree")
    assert "rows so far" not in ended.stderr


def test_verify_says_that_a_first_build_is_at_work_or_was_killed(workspace: Workspace, server: ScriptedServer) -> None:
    server.hold_from(LISTS + 3)
    with start(workspace, *SMALL) as process:
        server.wait_for(LISTS + 4)
        running = workspace.raw("verify")
        process.kill()
        process.wait()
    server.release()
    for verdict in (running, workspace.raw("verify")):
        assert verdict.status == 4
        assert "a build of it is at work, or was killed, and has made no version yet" in verdict.stdout


def test_an_item_of_a_stage_that_the_build_has_not_come_to_is_told_so(
    workspace: Workspace, server: ScriptedServer
) -> None:
    server.hold_from(LISTS)
    with start(workspace, *SMALL) as process:
        server.wait_for(LISTS + 1)
        found = workspace.raw("show", "a_12")
        server.release()
        process.communicate(timeout=60)
    assert found.status == 2
    assert "outputs/sports has no answers.jsonl: no build of it has come so far yet" in found.stderr


def test_before_there_is_an_answer_questions_are_drawn(workspace: Workspace, server: ScriptedServer) -> None:
    server.hold_from(LISTS)
    with start(workspace, *SMALL) as process:
        server.wait_for(LISTS + 1)
        sampled = look(workspace, "sample")
        server.release()
        process.communicate(timeout=60)
    assert (sampled["stage"], sampled["of"]) == ("questions", 8)


def test_what_a_killed_build_had_can_be_looked_at_until_the_next_one(
    workspace: Workspace, server: ScriptedServer
) -> None:
    server.hold_from(LISTS + 2)
    with start(workspace, *SMALL) as process:
        server.wait_for(LISTS + 3)
        process.kill()
        process.wait()
    assert look(workspace, "tree")["counts"] == {"tags": 6, "questions": 8, "dedup": 8, "answers": 2}
    server.release()
    server.wait_until_idle()
    assert workspace.run(*SMALL).status == 0
    assert "rows so far" not in workspace.raw("tree").stderr
    assert not list(workspace.folder().glob("runs/*/new"))


def test_beside_a_build_that_goes_on_where_one_was_interrupted_nothing_is_out_of_sight(
    workspace: Workspace, server: ScriptedServer
) -> None:
    """What the build takes over from the rows that lie there is among its rows."""
    assert workspace.run(*SMALL, "budget.calls=13").status == 3
    done = len(workspace.rows("answers"))
    server.hold_from(server.count)
    with start(workspace, *SMALL) as process:
        server.wait_for(14)
        sampled = look(workspace, "sample")
        assert (sampled["stage"], sampled["of"]) == ("answers", done)
        server.release()
        process.communicate(timeout=60)
    assert process.returncode == 0


def test_beside_the_growth_of_a_complete_version_that_version_is_shown(
    workspace: Workspace, server: ScriptedServer
) -> None:
    assert workspace.run(*SMALL).status == 0
    server.hold_from(server.count + 2)
    with start(workspace, *SMALL, "questions_per_tag=4") as process:
        server.wait_for(server.count + 3)
        found = workspace.raw("tree", "--json")
        server.release()
        process.communicate(timeout=60)
    assert json.loads(found.stdout)["counts"]["answers"] == 8
    assert "rows so far" not in found.stderr


def test_a_seed_draws_the_same_rows_and_another_one_others(workspace: Workspace) -> None:
    assert workspace.run(*SMALL).status == 0

    def drawn(*words: str) -> list[str]:
        return [row["id"] for row in workspace.raw("sample", *words, "--json").document["rows"]]

    assert drawn("3") == drawn("3", "sports", "--seed", "0")
    assert len({tuple(drawn("3", "--seed", str(seed))) for seed in range(5)}) > 1
    assert set(drawn("2")) <= set(drawn("3"))
    assert drawn("100") == [row["id"] for row in workspace.rows("answers")]


def test_a_word_that_is_no_number_is_a_name(workspace: Workspace) -> None:
    assert workspace.run(*SMALL).status == 0
    assert workspace.raw("sample", "sports").status == 0
    wrong = workspace.raw("sample", "sports", "3")
    assert (wrong.status, "the number stands before" in wrong.stderr) == (2, True)
    unknown = workspace.raw("sample", "3", "sprots")
    assert (unknown.status, "did you mean 'sports'?" in unknown.stderr) == (2, True)
