"""The recipes that put stages of quality together build as they stand."""

from pathlib import Path

from tests.e2e.judged import asked, kept, reply
from tests.e2e.test_only_what_is_affected import InProcess
from tests.server import ScriptedServer


def test_judged_keeps_what_the_judge_finds_good(tmp_path: Path, server: ScriptedServer) -> None:
    server.plan = reply
    project = InProcess(tmp_path, server)
    assert asked(project, "recipe=judged") == {"tags": 1, "questions": 2, "answers": 6, "scores": 6}
    assert kept(project, "filter") == [False, False, True] * 2
    assert asked(project, "recipe=judged", "filter.min_score=3") == {}
    assert kept(project, "filter") == [False, True, True] * 2
    shown = project.raw("show", project.rows("answers")[0]["id"])
    assert "score below 3" in shown.stdout, shown


def test_s1_draws_from_what_has_reasoning_and_is_hard(tmp_path: Path, server: ScriptedServer) -> None:
    server.plan = reply
    project = InProcess(tmp_path, server)
    sent = asked(project, "recipe=s1", "select.count=1")
    assert sent == {"tags": 1, "questions": 2, "answers": 6 + 12, "grades": 12}
    assert sorted(kept(project, "select")) == [False] * 5 + [True]
    whole = project.bytes()
    assert asked(project, "recipe=s1", "select.count=2") == {}
    assert asked(project, "recipe=s1", "select.count=1") == {}
    assert project.bytes() == whole
    assert project.raw("verify").status == 0
