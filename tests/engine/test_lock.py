"""One build at a time: who waits learns for whom, and the system lets go when a holder dies."""

import multiprocessing
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from distill_build.engine.lock import exclusive, in_use, unused
from distill_build.errors import StorageError

PATIENCE_SECONDS = 30.0


def hold(path: Path, note: str, held: Event, let_go: Event) -> None:
    """Another process: takes the lock and keeps it until it is told otherwise."""
    with exclusive(path, note, lambda _: None):
        held.set()
        let_go.wait(PATIENCE_SECONDS)


class Holder:
    """A process that holds the lock at `path`."""

    def __init__(self, path: Path, note: str) -> None:
        context = multiprocessing.get_context("spawn")
        self.let_go = context.Event()
        held = context.Event()
        self.process = context.Process(target=hold, args=(path, note, held, self.let_go))
        self.process.start()
        assert held.wait(PATIENCE_SECONDS)

    def end(self) -> None:
        self.let_go.set()
        self.process.join(PATIENCE_SECONDS)


def test_a_free_lock_is_taken_without_a_word(tmp_path: Path) -> None:
    told: list[str] = []
    for run in ("first", "second"):
        with exclusive(tmp_path / "runs" / "lock", run, told.append):
            assert f'"run": "{run}"' in (tmp_path / "runs" / "lock").read_text()
    assert told == []


def test_who_waits_is_told_the_run_and_the_process_of_the_holder(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    holder = Holder(path, "run-of-the-holder")
    told: list[str] = []
    entered = threading.Event()

    def on_wait(who: str) -> None:
        told.append(who)
        holder.let_go.set()

    def wait() -> None:
        with exclusive(path, "second", on_wait):
            entered.set()

    waiting = threading.Thread(target=wait)
    waiting.start()
    assert entered.wait(PATIENCE_SECONDS)
    waiting.join(PATIENCE_SECONDS)
    holder.end()
    assert len(told) == 1
    assert "run-of-the-holder" in told[0]
    assert str(holder.process.pid) in told[0]


def test_a_killed_holder_leaves_the_lock_free(tmp_path: Path) -> None:
    holder = Holder(tmp_path / "lock", "killed")
    holder.process.kill()
    holder.process.join(PATIENCE_SECONDS)
    told: list[str] = []
    with exclusive(tmp_path / "lock", "next", told.append):
        assert told == []


def test_an_exception_inside_frees_the_lock(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), exclusive(tmp_path / "lock", "first", lambda _: None):
        raise ZeroDivisionError
    with exclusive(tmp_path / "lock", "second", pytest.fail):
        pass


@pytest.mark.parametrize("note", ["", "{", "[]", "null", "{}"])
def test_a_note_that_cannot_be_read_still_lets_one_wait(tmp_path: Path, note: str) -> None:
    path = tmp_path / "lock"
    holder = Holder(path, "holder")
    path.write_text(note)
    told: list[str] = []

    def on_wait(who: str) -> None:
        told.append(who)
        holder.let_go.set()

    try:
        with exclusive(path, "second", on_wait):
            pass
    finally:
        holder.end()
    assert told == ["another build"]


def test_a_place_that_cannot_be_is_a_sentence_with_the_setting(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(StorageError, match="set output_dir"),
        exclusive(tmp_path / "file" / "runs" / "lock", "run", pytest.fail),
    ):
        pass


# A cache in use


def use(cache: Path, held: Event, let_go: Event) -> None:
    """Another process: a build with this cache."""
    with in_use(cache, print):
        held.set()
        let_go.wait(PATIENCE_SECONDS)


def clean(cache: Path, held: Event, let_go: Event) -> None:
    """Another process: it cleans this cache."""
    with unused(cache) as free:
        assert free
        held.set()
        let_go.wait(PATIENCE_SECONDS)


@contextmanager
def another(work: Callable[[Path, Event, Event], None], cache: Path) -> Iterator[Event]:
    """A process at work with the cache, until the event that is given is set, or the context ends."""
    context = multiprocessing.get_context("spawn")
    held, let_go = context.Event(), context.Event()
    process = context.Process(target=work, args=(cache, held, let_go))
    process.start()
    try:
        assert held.wait(PATIENCE_SECONDS)
        yield let_go
    finally:
        let_go.set()
        process.join(PATIENCE_SECONDS)


def test_any_number_of_builds_use_a_cache_and_nobody_cleans_it_meanwhile(tmp_path: Path) -> None:
    with another(use, tmp_path), in_use(tmp_path, pytest.fail), unused(tmp_path) as free:
        assert not free
    with unused(tmp_path) as free:
        assert free


def test_a_cache_that_is_cleaned_is_used_afterwards(tmp_path: Path) -> None:
    told: list[str] = []
    with another(clean, tmp_path) as let_go:
        with unused(tmp_path) as free:
            assert not free, "two clean it at once"

        def note(words: str) -> None:
            told.append(words)
            let_go.set()

        with in_use(tmp_path, note):
            assert told == [f"waiting for the cleaning of {tmp_path}"]


def test_a_place_that_cannot_be_written_is_used_and_never_cleaned(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with in_use(tmp_path / "file", pytest.fail):
        pass
    with pytest.raises(StorageError, match="cannot be written"), unused(tmp_path / "file"):
        pass
