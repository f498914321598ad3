"""Two builds of one dataset take turns, two that share a cache both go on, and one question is one call."""

import json
import os
import random
import select
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from distill_build.engine.reading import ReadOnlyStore
from tests.e2e.workspace import WITHOUT_DEDUP, Finished, Workspace, start
from tests.server import Body, Fault, Request, ScriptedServer, classify, content, hang, status

SMALL = ("topic=sports", "depth=2", "breadth=3", "questions_per_tag=2")
CALLS = 31
PATIENCE_SECONDS = 60.0
CONCURRENCY = 2


def finish(process: "subprocess.Popen[str]", seconds: float = PATIENCE_SECONDS) -> Finished:
    stdout, stderr = process.communicate(timeout=seconds)
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


def test_two_builds_with_the_same_calls_send_each_once_and_agree(workspace: Workspace, server: ScriptedServer) -> None:
    """The server answers the same request differently each time, so who came second has to take what stands."""

    def plan(index: int, body: Body) -> Fault | None:
        return content(f"answer number {index}") if classify(body) == "answers" else None

    server.plan = plan
    server.latency = 0.02
    with (
        start(workspace, *SMALL, "name=one", "limits.concurrency=4") as one,
        start(workspace, *SMALL, "name=two", "limits.concurrency=4") as two,
    ):
        ended = [finish(one), finish(two)]
    assert [each.status for each in ended] == [0, 0]
    assert (server.count, most_sent(server)) == (CALLS, 1)
    assert workspace.data("one") == workspace.data("two")


@contextmanager
def stuck_at_its_fifth_request(
    workspace: Workspace, server: ScriptedServer, fault: Fault | None = None
) -> Iterator["subprocess.Popen[str]"]:
    """A build whose fifth request hangs, or meets `fault`; all others of the server are answered."""
    server.plan = lambda index, _: (fault or hang()) if index == 4 else None
    with start(workspace, *SMALL, "name=one", "limits.concurrency=1") as one:
        server.wait_for(5)
        yield one


WAITING = "another build on this cache is asking"


@contextmanager
def one_waits_for_another(
    workspace: Workspace, server: ScriptedServer
) -> Iterator[tuple["subprocess.Popen[str]", "subprocess.Popen[str]", str]]:
    """A build whose fifth request hangs, another one that has come to wait for it, and what that has said so far."""
    with (
        stuck_at_its_fifth_request(workspace, server) as one,
        start(workspace, *SMALL, "name=two", "limits.concurrency=1") as two,
    ):
        yield one, two, read_until(two, WAITING)


def test_a_build_asks_for_what_another_was_asking_for_when_it_was_killed(
    workspace: Workspace, server: ScriptedServer
) -> None:
    with one_waits_for_another(workspace, server) as (one, two, _):
        one.kill()
        ended = finish(two)
    assert ended.status == 0
    assert (server.count, most_sent(server)) == (CALLS + 1, 2)


def test_nobody_waits_for_another_build_longer_than_a_request_may_take_or_until_a_third_was_answered(
    workspace: Workspace, server: ScriptedServer
) -> None:
    """The second one may wait for ten minutes, the third for half a second."""
    with one_waits_for_another(workspace, server) as (one, two, said):
        assert workspace.run(*SMALL, "name=three", "limits.timeout_s=0.5").status == 0
        ended = finish(two)
        assert (ended.status, one.poll()) == (0, None)
    assert (said + ended.stderr).count(WAITING) == 1, "it is told once"
    assert (server.count, most_sent(server)) == (CALLS + 1, 2)
    assert workspace.data("two") == workspace.data("three")


def test_nobody_waits_for_a_build_that_was_told_to_wait(workspace: Workspace, server: ScriptedServer) -> None:
    with (
        ScriptedServer() as other,
        stuck_at_its_fifth_request(workspace, server, status(429, retry_after=600)) as one,
    ):
        assert Workspace(workspace.root, other).run(*SMALL, "name=two").status == 0
        assert one.poll() is None
    assert (server.count, other.count) == (5, CALLS - 4)


def test_a_build_that_waits_for_anothers_answer_can_be_interrupted(
    workspace: Workspace, server: ScriptedServer
) -> None:
    with one_waits_for_another(workspace, server) as (one, two, _):
        two.send_signal(signal.SIGINT)
        ended = finish(two)
        assert one.poll() is None
    assert ended.status == 130
    assert "Traceback" not in ended.stderr
    assert most_sent(server) == 1


def test_a_build_that_waits_for_anothers_answer_ends_where_its_budget_does(
    workspace: Workspace, server: ScriptedServer
) -> None:
    with stuck_at_its_fifth_request(workspace, server) as one:
        ended = workspace.run(*SMALL, "name=two", "limits.concurrency=2", "budget.calls=3")
        assert one.poll() is None
    assert ended.status == 3
    assert (server.count, most_sent(server)) == (5 + 3, 1)


LEAF = ("topic=sports", "depth=1", "breadth=1", "questions_per_tag=6", "per_request.questions=6")


def test_a_request_that_waited_for_its_turn_is_not_sent_where_another_build_has_the_answer(
    workspace: Workspace, server: ScriptedServer
) -> None:
    """One at a time: the first answer of the waiting build is in flight while the other build gets all others."""
    assert workspace.run(*LEAF, "--until", "questions").status == 0
    sent = server.count
    with (
        ScriptedServer() as slow,
        start(Workspace(workspace.root, slow), *LEAF, "limits.concurrency=1", "--json") as waiting,
    ):
        slow.hold()
        slow.wait_for(1, timeout=PATIENCE_SECONDS)
        with start(workspace, *LEAF, "name=other") as other:
            server.wait_for(sent + 5, timeout=PATIENCE_SECONDS)
            server.wait_until_idle()
            slow.release()
            ended = [finish(other), finish(waiting)]
        assert (slow.count, server.count) == (1, sent + 5), "what the other build had been answered was sent"
    assert [each.status for each in ended] == [0, 0]
    assert ended[1].document["stages"]["answers"] == {"cached": 5, "ask": 1, "unknown": 0}
    assert workspace.data() == workspace.data("other")


LONG_SECONDS = float(os.environ.get("DISTILL_TWO_BUILDS_SECONDS", "1"))
"""How long the two builds of the test below go on: a minute is `DISTILL_TWO_BUILDS_SECONDS=60`."""
LATENCY_SECONDS = 0.1
QUESTIONS_A_SECOND = 3
"""For each of nine leaves; with four requests under way at a time, of which some are the same."""
SENDING_SECONDS = 0.5
"""From a last look at the cache to the arrival of the request, on a machine with much else to do."""


def test_two_builds_of_two_datasets_with_the_same_calls_go_on_for_a_while_and_share_all_that_they_can(
    workspace: Workspace, server: ScriptedServer
) -> None:
    """The calls of both are the same. One that was sent twice was in flight in both at the same moment: from when it
    is decided on, which is shortly before it arrives, until its response is stored, which the entry tells. One build
    sends three at once and the other one, whose queue is overtaken again and again."""
    chance = random.Random(5)

    def late(_: int, __: Body) -> Fault | None:
        server.latency = chance.uniform(0.5, 1.5) * LATENCY_SECONDS
        return None

    server.plan = late
    words = ("topic=sports", "depth=2", "breadth=3", f"questions_per_tag={round(LONG_SECONDS * QUESTIONS_A_SECOND)}")
    slow = (*words, "name=one", f"limits.concurrency={CONCURRENCY - 1}")
    fast = (*words, "name=two", f"limits.concurrency={CONCURRENCY + 1}")
    began = time.monotonic()
    with start(workspace, *slow) as one, start(workspace, *fast) as two:
        ended = [finish(one, LONG_SECONDS * 10 + PATIENCE_SECONDS), finish(two, LONG_SECONDS * 10 + PATIENCE_SECONDS)]
    seconds = time.monotonic() - began
    assert [each.status for each in ended] == [0, 0], [each.stderr for each in ended]
    assert "locked" not in ended[0].stderr + ended[1].stderr
    assert workspace.data("one") == workspace.data("two")
    stored, twice = first_stored(workspace), sent_twice(server)
    late_ones = [
        requests[0].body
        for body, requests in twice.items()
        if any(again.arrived > stored[body] + SENDING_SECONDS for again in requests[1:])
    ]
    print(f"{seconds:.0f} s, {server.count} requests, {len(twice)} sent twice, {len(late_ones)} of them too late")
    assert late_ones == []


def sent_twice(server: ScriptedServer) -> dict[str, list[Request]]:
    """The requests that were sent more than once, by their bodies."""
    sent: dict[str, list[Request]] = {}
    for request in server.requests:
        sent.setdefault(json.dumps(request.body, sort_keys=True), []).append(request)
    return {body: requests for body, requests in sent.items() if len(requests) > 1}


def first_stored(workspace: Workspace) -> dict[str, float]:
    """For each request, when its first response was stored, by the clock that the server uses."""
    clocks = time.time() - time.monotonic()
    store = ReadOnlyStore(workspace.root / ".distill-cache")
    entries = [entry for key in store.keys() if (entry := store.get(key)) is not None]  # noqa: SIM118 - no dictionary
    store.close()
    return {
        json.dumps(entry.manifest["body"], sort_keys=True): datetime.fromisoformat(entry.attempts[0].at).timestamp()
        - clocks
        for entry in entries
    }


def test_one_question_under_many_leaves_is_asked_once(workspace: Workspace, server: ScriptedServer) -> None:
    shared = json.dumps({"questions": ["Why is the sky blue at noon?", "How far away is the moon?"]})
    server.plan = lambda _, body: content(shared) if classify(body) == "questions" else None
    server.latency = 0.02
    assert workspace.run("topic=sports", "depth=1", "breadth=5", "questions_per_tag=2", WITHOUT_DEDUP).status == 0
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
    words = ("topic=sports", "depth=1", "breadth=3", "questions_per_tag=1", "limits.reasks=1", WITHOUT_DEDUP)
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
    assert workspace.run(*words, WITHOUT_DEDUP).status == 1
    answers = [str(request.body["messages"][-1]["content"]) for request in server.requests if request.kind == "answers"]
    assert sorted(answer.strip() for answer in answers) == sorted([sky, moon, sea])
    assert len(workspace.rows("failures")) == 2
