"""One Ctrl-C: nothing new is started, what is in flight is awaited and stored. A second one leaves."""

import fcntl
import json
import os
import re
import select
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.e2e.workspace import Workspace, start
from tests.server import Body, Fault, ScriptedServer, status

SMALL = ("topic=sports", "depth=2", "breadth=3", "questions_per_tag=2")
CALLS = 31
LARGER = ("topic=sports", "depth=2", "breadth=3", "questions_per_tag=4", "limits.concurrency=4")
PATIENCE_SECONDS = 30.0
REBUILD = ("--rebuild", "answers:*")
SIGNALS = [signal.SIGINT, signal.SIGTERM]


def interrupt(process: "subprocess.Popen[str]", number: signal.Signals) -> None:
    """Sends a signal and waits until the process has taken it, so that a second one is not merged with it."""
    process.send_signal(number)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while pending(process, number):
        assert time.monotonic() < deadline, "the signal was never taken"
        time.sleep(0.001)


def pending(process: "subprocess.Popen[str]", number: signal.Signals) -> bool:
    """Whether a signal still waits for the process, as Linux tells it."""
    try:
        text = Path(f"/proc/{process.pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    masks = re.findall(r"^(?:SigPnd|ShdPnd):\s*([0-9a-f]+)$", text, re.MULTILINE)
    return any(int(mask, 16) >> (number - 1) & 1 for mask in masks)


def read_until(process: "subprocess.Popen[str]", text: str) -> str:
    """What the process writes to stderr, up to and with `text`."""
    assert process.stderr is not None
    read, deadline = "", time.monotonic() + PATIENCE_SECONDS
    while text not in read:
        left = deadline - time.monotonic()
        ready, _, _ = select.select([process.stderr], [], [], max(0.0, left))
        data = os.read(process.stderr.fileno(), 65536) if ready else b""
        assert data, f"{text!r} never came, only: {read}"
        read += data.decode()
    return read


@pytest.mark.parametrize("number", SIGNALS)
def test_an_interrupted_build_stores_what_is_in_flight_and_starts_nothing_new(
    workspace: Workspace, server: ScriptedServer, number: signal.Signals
) -> None:
    assert workspace.run(*SMALL).status == 0
    before, sent = workspace.bytes(), server.count
    server.hold()
    with start(workspace, *LARGER) as process:
        server.wait_for(sent + 4)
        interrupt(process, number)
        server.release()
        _, stderr = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 130
    assert "interrupted" in stderr
    assert "Traceback" not in stderr
    assert server.count == sent + 4
    assert rows_lost(workspace, before) == []

    assert workspace.run(*LARGER).status == 0
    assert len(workspace.rows("answers")) == 36
    assert server.count == CALLS + 18, "what had arrived was asked for again"


def rows_lost(workspace: Workspace, before: dict[str, bytes]) -> list[bytes]:
    """Rows of artefacts that were there and are not any more."""
    files = {name: data for name, data in before.items() if name.endswith(".jsonl") and "/" not in name}
    now = {line for name in files for line in workspace.bytes()[name].splitlines()}
    return [line for data in files.values() for line in data.splitlines() if line not in now]


def test_a_first_build_that_is_interrupted_writes_what_is_complete_and_says_that_it_is_not_all(
    workspace: Workspace, server: ScriptedServer
) -> None:
    server.hold_from(20)
    with start(workspace, *SMALL, "limits.concurrency=1", "--json") as process:
        server.wait_for(21)
        interrupt(process, signal.SIGINT)
        server.release()
        stdout, stderr = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 130
    document = json.loads(stdout)
    assert (document["exit_code"], document["counts"]["answers"]) == (130, len(workspace.rows("answers")))
    assert 0 < len(workspace.rows("answers")) < 18
    assert "interrupted: what came is kept, and the next build goes on from there" in " ".join(stderr.split())
    assert {row["cause"] for row in workspace.rows("failures")} == {"stopped"}
    assert sum(row["missing"] for row in workspace.rows("failures")) == document["missing"]["answers"]
    for command in (("tree",), ("verify",), ("show", workspace.rows("answers")[0]["id"])):
        looked = workspace.raw(*command)
        assert looked.status == 0
        assert "is unfinished: interrupted: what came is kept" in " ".join(looked.stderr.split())
    assert len((workspace.folder() / "dataset/train.messages.jsonl").read_bytes().splitlines()) == len(
        workspace.rows("answers")
    )
    assert workspace.run(*SMALL).status == 0
    assert server.count == CALLS
    assert "unfinished" not in workspace.raw("tree").stderr
    quiet = Workspace(workspace.root / "quiet", server)
    (quiet.root / ".git").mkdir(parents=True)  # a project of its own
    assert quiet.run(*SMALL).status == 0
    assert workspace.bytes() == quiet.bytes()


def test_an_interrupt_when_the_last_answers_are_under_way_leaves_nothing_out(
    workspace: Workspace, server: ScriptedServer
) -> None:
    server.hold_from(CALLS - 2)
    with start(workspace, *SMALL, "limits.concurrency=2") as process:
        server.wait_for(CALLS)
        interrupt(process, signal.SIGINT)
        server.release()
        _, stderr = process.communicate(timeout=PATIENCE_SECONDS)
    assert (process.returncode, server.count) == (0, CALLS), stderr
    assert "sports is complete" in stderr
    assert "unfinished" not in workspace.raw("tree").stderr


def interrupted_rebuild(workspace: Workspace, server: ScriptedServer) -> str:
    """What a rebuild of 18 answers says that is interrupted when three are there and one is under way."""
    assert workspace.run(*SMALL).status == 0
    server.hold_from(server.count + 3)
    with start(workspace, *SMALL, *REBUILD, "limits.concurrency=1") as process:
        server.wait_for(CALLS + 4)
        interrupt(process, signal.SIGINT)
        server.release()
        _, stderr = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 130
    return " ".join(stderr.split())


def test_the_same_rebuild_goes_on_where_one_was_interrupted(workspace: Workspace, server: ScriptedServer) -> None:
    before_said = interrupted_rebuild(workspace, server)
    assert "interrupted: what came is kept, and the same --rebuild goes on from there" in before_said
    assert "unfinished" not in workspace.raw("tree").stderr
    assert workspace.run("plan", *SMALL, *REBUILD, "--json").document["calls"] == 14
    assert workspace.run(*SMALL, *REBUILD).status == 0
    assert server.count == CALLS + 18
    assert workspace.run(*SMALL, *REBUILD).status == 0
    assert server.count == CALLS + 18 + 18, "it had come to its end, so this is another one"


def test_a_build_after_a_rebuild_that_was_interrupted_takes_what_came_and_says_so(
    workspace: Workspace, server: ScriptedServer
) -> None:
    interrupted_rebuild(workspace, server)
    built = workspace.run(*SMALL)
    assert (built.status, server.count) == (0, CALLS + 4)
    said = " ".join(built.stderr.split())
    assert "what an interrupted --rebuild answers:* brought is taken, and the rest is not asked for" in said
    assert "4 answers made anew, changed or gone; an interrupted --rebuild answers:* had others asked for" in said


def test_an_interrupted_build_drops_and_replaces_no_row_of_a_complete_version(
    workspace: Workspace, server: ScriptedServer
) -> None:
    assert workspace.run(*SMALL).status == 0
    before, sent = workspace.bytes(), server.count
    server.hold()
    other = (*SMALL, "teacher.temperature=0.1", "limits.concurrency=2")
    with start(workspace, *other) as process:
        server.wait_for(sent + 2)
        interrupt(process, signal.SIGINT)
        server.release()
        _, stderr = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 130
    assert workspace.bytes() == before
    assert "the files stay those of version" in " ".join(stderr.split())
    assert workspace.run(*other).status == 0
    assert server.count == sent + 18


def test_a_second_interrupt_leaves_at_once(workspace: Workspace, server: ScriptedServer) -> None:
    server.hold()
    with start(workspace, *SMALL) as process:
        server.wait_for(1)
        interrupt(process, signal.SIGINT)
        interrupt(process, signal.SIGINT)
        _, stderr = process.communicate(timeout=PATIENCE_SECONDS)
        still_held = server.in_flight
    assert process.returncode == 130
    assert "Traceback" not in stderr
    assert still_held <= 1
    server.release()
    server.wait_until_idle()
    sent = server.count
    assert sent == 1
    assert workspace.bytes() == {}
    assert workspace.run(*SMALL).status == 0
    assert server.count <= CALLS + 1


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("concurrency", [1, 4])
def test_an_interrupt_does_not_wait_for_a_retry_or_for_those_behind_it_at_the_gate(
    workspace: Workspace, server: ScriptedServer, number: signal.Signals, concurrency: int
) -> None:
    """The endpoint asks to wait for longer than this test has patience."""

    def plan(index: int, _: Body) -> Fault | None:
        return status(429, retry_after=300) if index >= 13 else None

    server.plan = plan
    with start(workspace, *SMALL, f"limits.concurrency={concurrency}") as process:
        server.wait_for(14)
        server.wait_until_idle()
        interrupt(process, number)
        _, stderr = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 130
    assert "Traceback" not in stderr
    refused = server.count - 13
    assert refused <= concurrency
    server.plan = ()
    assert workspace.run(*SMALL).status == 0
    assert server.count == CALLS + refused


def test_an_interrupt_while_paced_by_rpm_does_not_wait_for_the_turn(
    workspace: Workspace, server: ScriptedServer
) -> None:
    with start(workspace, *SMALL, "limits.rpm=1") as process:
        server.wait_for(1)
        server.wait_until_idle()
        interrupt(process, signal.SIGINT)
        _, stderr = process.communicate(timeout=PATIENCE_SECONDS)
    assert (process.returncode, server.count) == (130, 1)
    assert "Traceback" not in stderr


@pytest.mark.parametrize("number", SIGNALS)
def test_a_build_that_waits_for_another_can_be_interrupted(workspace: Workspace, number: signal.Signals) -> None:
    lock = workspace.folder() / "runs" / "lock"
    lock.parent.mkdir(parents=True)
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with start(workspace, *SMALL) as process:
            read_until(process, "waiting for another build")
            process.send_signal(number)
            _, stderr = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 130
    assert "Traceback" not in stderr


def test_an_interrupted_build_tells_a_program_so(workspace: Workspace, server: ScriptedServer) -> None:
    server.hold()
    with start(workspace, *SMALL, "--json") as process:
        server.wait_for(1)
        interrupt(process, signal.SIGTERM)
        server.release()
        stdout, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 130
    assert '"exit_code": 130' in stdout


def test_an_interruption_is_answered_at_once_and_counts_nothing_as_failed(
    workspace: Workspace, server: ScriptedServer
) -> None:
    server.hold()
    with start(workspace, "topic=sports", "depth=1", "breadth=4", "questions_per_tag=2") as process:
        server.wait_for(1)
        process.send_signal(signal.SIGINT)
        said = read_until(process, "interrupted: waiting for")
        server.release()
        _, rest = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 130
    assert "items failed" not in said + rest
    assert re.findall(r"^(?:tags|questions|answers) +\d+ of \d+ +(\d+) ", rest, re.MULTILINE) == ["0", "0", "0"]
