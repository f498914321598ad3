"""The recipes that put stages of quality together build as they stand."""

import shutil
from pathlib import Path

from tests.e2e.judged import LINE, asked, kept, reply
from tests.e2e.test_only_what_is_affected import InProcess
from tests.server import Body, Fault, ScriptedServer, hang


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


EVERYTHING = (
    "stages=[tags,questions,dedup,decontaminate,answers,scores,attempts,grades,filter,select,split]",
    "filter.min_score=2",
    "select.by=s1",
    "select.count=3",
    "split.test=0.4",
    "axes={difficulty:{easy:0.5,hard:0.5}}",
    "limits.concurrency=2",
)
"""Every stage of quality at once."""


def test_a_kill_costs_no_more_than_what_was_in_flight_and_the_folder_alone_gives_the_same(
    tmp_path: Path, server: ScriptedServer
) -> None:
    held_from, in_flight = 20, 2

    def plan(index: int, body: Body) -> Fault | None:
        return hang() if index >= held_from else reply(index, body)

    server.plan = plan
    project = InProcess(tmp_path, server)
    with project.at_work(*LINE, *EVERYTHING) as (process, _):
        server.wait_for(held_from + in_flight)
        assert process.is_alive()
    held_from = 1 << 30
    answered = server.count - in_flight
    server.reset()
    done = project.run(*LINE, *EVERYTHING)
    assert done.status == 0, done.stderr
    again, whole = server.count, project.data()
    assert project.raw("verify").status == 0

    shutil.rmtree(tmp_path / ".distill-cache")
    server.reset()
    done = project.run(*LINE, *EVERYTHING, "--frozen")
    assert (done.status, server.count) == (0, 0), done.stderr

    (tmp_path / "quiet/.git").mkdir(parents=True)  # a project of its own
    quiet = InProcess(tmp_path / "quiet", server)
    assert quiet.run(*LINE, *EVERYTHING).status == 0
    assert quiet.data() == whole
    assert again == server.count - answered
