"""Two builds of one dataset take turns, two that share a cache both go on, and one question is one call."""

import json
import os
import select
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from tests.e2e.workspace import Finished, Workspace
from tests.server import Body, Fault, ScriptedServer, classify, content, hang

SMALL = ("topic=sports", "depth=2", "breadth=3", "questions_per_tag=2")
CALLS = 31
PATIENCE_SECONDS = 60.0


@contextmanager
def start(workspace: Workspace, *words: str) -> Iterator["subprocess.Popen[str]"]:
    """A build at work; a test that fails leaves none behind."""
    with workspace.start(*words, *workspace.settings()) as process:
        try:
            yield process
        finally:
            process.kill()


def finish(process: "subprocess.Popen[str]") -> Finished:
    stdout, stderr = process.communicate(timeout=PATIENCE_SECONDS)
    return Finished(process.returncode, stdout, stderr)


def read_until(process: "subprocess.Popen[str]", text: str) -> str:
    """What the process writes to stderr, up to and with `text` and its line."""
    assert process.stderr is not None
    read, deadline = "", time.monotonic() + PATIENCE_SECONDS
    while text not in read or not read.endswith("\n"):
        ready, _, _ = select.select([process.stderr], [], [], max(0.0, deadline - time.monotonic()))
        data = os.read(process.stderr.fileno(), 65536) if ready else b""
        assert data, f"{text!r} never came, only: {read}"
        read += data.decode()
    return read


def most_sent(server: ScriptedServer) -> int:
    """How often the request that was sent most often was sent."""
    return max(Counter(json.dumps(request.body, sort_keys=True) for request in server.requests).values())


def test_the_second_build_of_a_dataset_waits_names_the_first_and_then_asks_nothing(
    workspace: Workspace, server: ScriptedServer
) -> None:
    server.hold()
    with start(workspace, *SMALL) as first:
        server.wait_for(1)
        with start(workspace, *SMALL) as second:
            waiting = read_until(second, "waiting for another build")
            (run,) = [path.name for path in (workspace.folder() / "runs").iterdir() if path.is_dir()]
            assert run in waiting
            assert str(first.pid) in waiting
            server.release()
            assert finish(first).status == 0
            after = finish(second)
    assert after.status == 0
    assert "up to date" in after.stderr
    assert server.count == CALLS


def test_the_second_build_goes_on_where_a_killed_first_left_off(workspace: Workspace, server: ScriptedServer) -> None:
    server.plan = lambda index, _: hang() if index >= 4 else None
    with start(workspace, *SMALL, "limits.concurrency=1") as first:
        server.wait_for(5)
        with start(workspace, *SMALL, "limits.concurrency=1") as second:
            read_until(second, "waiting for another build")
            server.plan = ()
            first.kill()
            first.communicate()
            assert finish(second).status == 0
    assert server.count <= CALLS + 1
    assert len(workspace.rows("answers")) == 18


def test_builds_of_two_datasets_share_a_cache_at_the_same_time(workspace: Workspace, server: ScriptedServer) -> None:
    server.hold()
    with (
        start(workspace, *SMALL, "limits.concurrency=8") as sports,
        start(workspace, "topic=music", *SMALL[1:], "limits.concurrency=8") as music,
    ):
        server.wait_for(2, timeout=PATIENCE_SECONDS)
        server.release()
        ended = [finish(sports), finish(music)]
    assert [each.status for each in ended] == [0, 0]
    assert "locked" not in ended[0].stderr + ended[1].stderr
    assert server.count == 2 * CALLS
    assert most_sent(server) == 1
    for topic in ("sports", "music"):
        assert len(workspace.rows("answers", topic)) == 18


def test_two_builds_with_the_same_questions_send_each_at_most_twice_and_agree(
    workspace: Workspace, server: ScriptedServer
) -> None:
    """The server answers the same request differently each time, so who came second has to take what stands."""

    def plan(index: int, body: Body) -> Fault | None:
        return content(f"answer number {index}") if classify(body) == "answers" else None

    server.plan = plan
    server.hold()
    with (
        start(workspace, *SMALL, "name=one", "limits.concurrency=4") as one,
        start(workspace, *SMALL, "name=two", "limits.concurrency=4") as two,
    ):
        server.wait_for(2, timeout=PATIENCE_SECONDS)
        server.release()
        ended = [finish(one), finish(two)]
    assert [each.status for each in ended] == [0, 0]
    assert most_sent(server) <= 2
    assert workspace.bytes("one") == workspace.bytes("two")


def test_one_question_under_many_leaves_is_asked_once(workspace: Workspace, server: ScriptedServer) -> None:
    shared = json.dumps({"questions": ["Why is the sky blue at noon?", "How far away is the moon?"]})
    server.plan = lambda _, body: content(shared) if classify(body) == "questions" else None
    server.latency = 0.02
    assert workspace.run("topic=sports", "depth=1", "breadth=5", "questions_per_tag=2").status == 0
    assert server.kinds == {"tags": 1, "questions": 5, "answers": 2}
    answers = workspace.rows("answers")
    assert len(answers) == 10
    assert len({row["id"] for row in answers}) == 10
    assert len({(row["question"], row["answer"]) for row in answers}) == 2


def test_a_shared_question_that_fails_is_asked_once_too(workspace: Workspace, server: ScriptedServer) -> None:
    shared = json.dumps({"questions": ["Why is the sky blue at noon?"]})

    def plan(_: int, body: Body) -> Fault | None:
        return (
            content(shared) if classify(body) == "questions" else content("") if classify(body) == "answers" else None
        )

    server.plan = plan
    words = ("topic=sports", "depth=1", "breadth=3", "questions_per_tag=1", "limits.reasks=1")
    assert workspace.run(*words).status == 1
    assert server.kinds["answers"] == 2
    assert len(workspace.rows("failures")) == 3


def test_a_question_that_failed_is_not_asked_again_where_it_turns_up_later_in_the_build(
    workspace: Workspace, server: ScriptedServer
) -> None:
    """One at a time, first come, first served: it has failed before the second leaf's second list brings it."""
    sky, moon, sea = "Why is the sky blue?", "How far away is the moon?", "How deep is the sea?"
    lists = iter(([sky, moon], [sea], [sky]))

    def plan(_: int, body: Body) -> Fault | None:
        if classify(body) == "questions":
            return content(json.dumps({"questions": next(lists)}))
        return content("") if "sky" in str(body["messages"]) else None

    server.plan = plan
    words = ("topic=sports", "depth=1", "breadth=2", "questions_per_tag=2", "limits.reasks=0", "limits.concurrency=1")
    assert workspace.run(*words).status == 1
    answers = [str(request.body["messages"][-1]["content"]) for request in server.requests if request.kind == "answers"]
    assert sorted(answer.strip() for answer in answers) == sorted([sky, moon, sea])
    assert len(workspace.rows("failures")) == 2
