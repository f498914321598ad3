"""A call is claimed by one process at a time, and nobody is left waiting for a process that has died."""

import multiprocessing
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

from distill_build.engine.claims import CLAIMS, Claims
from distill_build.engine.manifest import digest
from distill_build.engine.rows import DATABASE

ONE, TWO = digest("one"), digest("two")


def claim(directory: Path, key: str, said: Connection) -> None:
    """Another process: claims a call, and goes on until it is killed."""
    claims = Claims(directory)
    said.send(claims.take(key))
    said.recv()


@contextmanager
def another_process_that_claims(directory: Path, key: str) -> Iterator[bool]:
    """Whether it gets the call; it is killed in the end."""
    said, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("forkserver").Process(target=claim, args=(directory, key, there))
    process.start()
    try:
        yield said.recv()
    finally:
        process.kill()
        process.join()


def test_a_claimed_call_is_taken_for_others_until_its_process_ends(tmp_path: Path) -> None:
    here = Claims(tmp_path)
    with another_process_that_claims(tmp_path, ONE) as got_it:
        assert got_it is True
        assert (here.is_taken(ONE), here.take(ONE)) == (True, False)
        assert (here.is_taken(TWO), here.take(TWO)) == (False, True), "another call"
    assert (here.is_taken(ONE), here.take(ONE)) == (False, True)


def test_a_claimed_call_is_not_given_to_another_process(tmp_path: Path) -> None:
    here = Claims(tmp_path)
    assert here.take(ONE) is True
    with another_process_that_claims(tmp_path, ONE) as got_it:
        assert got_it is False


def test_a_call_that_was_let_go_can_be_claimed_by_others(tmp_path: Path) -> None:
    here = Claims(tmp_path)
    here.take(ONE)
    here.release(ONE)
    with another_process_that_claims(tmp_path, ONE) as got_it:
        assert got_it is True


def test_who_only_looks_whether_a_call_is_taken_does_not_keep_it(tmp_path: Path) -> None:
    here = Claims(tmp_path)
    assert here.is_taken(ONE) is False
    with another_process_that_claims(tmp_path, ONE) as got_it:
        assert got_it is True


def test_where_the_file_cannot_be_opened_nobody_is_waited_for(tmp_path: Path) -> None:
    (tmp_path / CLAIMS).mkdir()
    here = Claims(tmp_path)
    assert (here.take(ONE), here.is_taken(ONE)) == (True, False)


def test_who_can_write_the_database_can_claim(tmp_path: Path) -> None:
    (tmp_path / DATABASE).touch()
    (tmp_path / DATABASE).chmod(0o664)
    Claims(tmp_path).take(ONE)
    assert stat.S_IMODE((tmp_path / CLAIMS).stat().st_mode) == 0o664
