"""A call is claimed by one process at a time, and nobody is left waiting for a process that has died."""

import multiprocessing
from multiprocessing.connection import Connection
from pathlib import Path

from distill_build.engine.claims import Claims
from distill_build.engine.manifest import digest

ONE, TWO = digest("one"), digest("two")


def claim(directory: Path, key: str, said: Connection) -> None:
    """Another process: claims a call, and goes on until it is killed."""
    claims = Claims(directory)
    said.send(claims.take(key))
    said.recv()


def test_a_claimed_call_is_taken_for_others_until_its_process_ends(tmp_path: Path) -> None:
    here, (said, there) = Claims(tmp_path), multiprocessing.Pipe()
    process = multiprocessing.get_context("forkserver").Process(target=claim, args=(tmp_path, ONE, there))
    process.start()
    assert said.recv() is True
    assert (here.is_taken(ONE), here.take(ONE)) == (True, False)
    assert (here.is_taken(TWO), here.take(TWO)) == (False, True), "another call"
    process.kill()
    process.join()
    assert (here.is_taken(ONE), here.take(ONE)) == (False, True)


def test_a_call_that_was_let_go_can_be_claimed_by_others(tmp_path: Path) -> None:
    here, (said, there) = Claims(tmp_path), multiprocessing.Pipe()
    here.take(ONE)
    here.release(ONE)
    process = multiprocessing.get_context("forkserver").Process(target=claim, args=(tmp_path, ONE, there))
    process.start()
    assert said.recv() is True
    process.kill()
    process.join()


def test_where_there_are_no_locks_nobody_is_waited_for(tmp_path: Path) -> None:
    assert Claims(tmp_path / "nowhere").take(ONE) is True
