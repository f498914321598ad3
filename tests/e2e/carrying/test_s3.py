"""`cache push` and `cache pull` over a real S3 API: only what lacks travels, and a kill loses nothing."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.e2e.carrying.machines import Machine, Twice
from tests.s3 import S3


@pytest.fixture(scope="module")
def running_s3() -> Iterator[S3]:
    with S3() as running:
        yield running


@pytest.fixture
def s3(running_s3: S3) -> Iterator[S3]:
    running_s3.reset()
    yield running_s3
    running_s3.drop()


@contextmanager
def at_work(machine: Machine, verb: str, address: str, s3: S3) -> Iterator["subprocess.Popen[str]"]:
    with machine.workspace.start("cache", verb, address, environment=s3.environment) as process:
        try:
            yield process
        finally:
            process.kill()


def killed(process: "subprocess.Popen[str]") -> None:
    """Kills a command that is still at work."""
    assert process.poll() is None, process.communicate()
    process.kill()
    process.communicate()


def packs(paths: list[str]) -> list[str]:
    return [path for path in paths if "/packs/" in path and path.endswith(".gz")]


def indexes(paths: list[str]) -> list[str]:
    return [path for path in paths if "/indexes/" in path and path.endswith(".gz")]


def test_a_killed_push_is_completed_by_the_next_and_gives_a_fresh_clone_the_same_bytes(
    built: Twice, other: Machine, s3: S3
) -> None:
    """Killed after the first pack and before its index, so that pack is sent again; then nothing is."""
    address, a = s3.address("killed"), built.machine.workspace
    s3.hold(lambda method, path: method == "PUT" and "/indexes/" in path)
    with at_work(built.machine, "push", address, s3) as process:
        s3.wait_for_held(1)
        killed(process)
    (calls,), (unfinished,) = packs(s3.sent("PUT")), indexes(s3.sent("PUT"))
    s3.drop()
    pushed = a.raw("cache", "push", address, "--json", environment=s3.environment)
    assert pushed.status == 0, pushed.stderr
    assert pushed.document["sent"]["calls"] == len(built.machine.entries())
    first, second, versions, last = s3.sent("PUT")
    assert (first, second) == (calls, unfinished)
    assert (packs([versions]), indexes([last])) == ([versions], [last])
    assert versions != calls
    s3.reset()
    again = a.raw("cache", "push", address, environment=s3.environment)
    assert (again.status, s3.sent("PUT"), s3.sent("POST")) == (0, [], [])
    assert "nothing to send" in again.stdout
    assert other.workspace.raw("cache", "pull", address, environment=s3.environment).status == 0
    assert other.entries() == built.machine.entries()
    other.clone(built.second)
    assert other.frozen() == built.second


def test_two_pushes_at_once_leave_one_whole_remote_and_a_killed_pull_is_completed_by_the_next(
    built: Twice, other: Machine, s3: S3
) -> None:
    """Both have looked at the empty remote before either writes. The pull gets the calls' pack, not the versions'."""
    address = s3.address("twice")
    s3.hold(lambda method, _: method == "PUT")
    with at_work(built.machine, "push", address, s3) as one, at_work(built.machine, "push", address, s3) as two:
        s3.wait_for_held(2)
        s3.reset()
        for process in (one, two):
            _, said = process.communicate(timeout=60)
            assert process.returncode == 0, said
    versions = packs(s3.sent("PUT"))[-1]

    s3.hold(lambda method, path: method == "GET" and path == versions)
    with at_work(other, "pull", address, s3) as process:
        s3.wait_for_held(1)
        other.wait_for_calls(len(built.machine.entries()))
        killed(process)
    assert other.versions() == []
    s3.drop()
    assert other.workspace.raw("cache", "pull", address, environment=s3.environment).status == 0
    assert packs(s3.sent("GET")) == [versions]
    assert (other.entries(), other.versions()) == (built.machine.entries(), built.machine.versions())


def test_a_damaged_pack_is_named_and_what_is_said_mends_it(built: Twice, other: Machine, s3: S3) -> None:
    address, a = s3.address("damaged"), built.machine.workspace
    assert a.raw("cache", "push", address, environment=s3.environment).status == 0
    largest = max(s3.objects("damaged/packs/").items(), key=lambda item: len(item[1]))[0]
    s3.put(largest, bytes(len(s3.objects(largest)[largest])))
    pulled = other.workspace.raw("cache", "pull", address, environment=s3.environment)
    assert pulled.status == 5
    assert f"{s3.address(largest)} is damaged: remove it there, then send" in pulled.stderr
    s3.remove(largest)
    assert a.raw("cache", "push", address, environment=s3.environment).status == 0
    mended = other.workspace.raw("cache", "pull", address, environment=s3.environment)
    assert (mended.status, mended.stderr) == (0, "")
    assert other.entries() == built.machine.entries()


def test_whoever_interrupts_does_not_wait_for_a_silent_network(built: Twice, s3: S3) -> None:
    s3.hold(lambda method, _: method == "PUT")
    with at_work(built.machine, "push", s3.address("silent"), s3) as process:
        s3.wait_for_held(1)
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=30) == ("", "distill-build: interrupted\n")
        assert process.returncode == 130


def test_troubles_of_s3_are_told_in_a_sentence_without_secrets(built: Twice, s3: S3) -> None:
    nobody = {"AWS_EC2_METADATA_DISABLED": "true", "AWS_SHARED_CREDENTIALS_FILE": "/nowhere"}
    troubles = {
        "Make the bucket": ("s3://no-such-bucket/x", s3.environment),
        "redentials": ("s3://bucket/x", nobody),
    }
    for words, (address, environment) in troubles.items():
        finished = built.machine.workspace.raw("cache", "push", address, environment=environment)
        assert (finished.status, len(finished.stderr.splitlines())) == (5, 1), finished.stderr
        assert words in finished.stderr
        assert "the-secret-key" not in finished.stderr
        assert "the-key-id" not in finished.stderr
