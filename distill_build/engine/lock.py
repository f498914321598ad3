"""Locks between processes, on files: one build of a dataset at a time, and nobody cleans a cache that is in use.

The system lets go of a lock when its process ends, however it ends.
"""

import fcntl
import json
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from distill_build.errors import StorageError


class LockHeldError(Exception):
    """Another process has the lock; it is told which."""


@contextmanager
def exclusive(path: Path, note: str, on_wait: Callable[[str], None]) -> Iterator[None]:
    """Holds the lock at `path`; `on_wait` is told once who has it, where another process does.

    The system lets go of it when the process ends, however it ends. The file stays: removing it would let two
    processes lock two files of one name. Raises StorageError where the file cannot be made.
    """
    with _opened(path) as file:
        _lock(file, fcntl.LOCK_EX, lambda: on_wait(_holder(path)))
        _sign(file, note)
        yield


@contextmanager
def exclusive_at_once(path: Path, note: str) -> Iterator[None]:
    """As `exclusive`, for who has other things to do than wait: raises LockHeldError where another process has it."""
    with _opened(path) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LockHeldError(_holder(path)) from error
        _sign(file, note)
        yield


def is_held(path: Path) -> bool:
    """Whether a process of this machine has the lock at `path`.

    One would wait for who looks, if only for a moment: so nobody looks unless the process that had it last is alive.
    """
    try:
        note = json.loads(path.read_text())
        if note["host"] != socket.gethostname() or note["process"] == os.getpid():
            return False
        os.kill(note["process"], 0)
        with path.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return True
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return False


def _opened(path: Path) -> TextIO:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("a+")
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror}; set output_dir") from error


def _sign(file: TextIO, note: str) -> None:
    """Says in the file who has the lock."""
    file.truncate(0)
    file.write(json.dumps({"process": os.getpid(), "host": socket.gethostname(), "run": note}))
    file.flush()


USERS = "users.lock"


@contextmanager
def in_use(cache: Path, note: Callable[[str], None]) -> Iterator[None]:
    """Marks the cache at `cache` as in use, by any number of processes; `note` is told where one cleans it first.

    Where the cache cannot be written nobody can clean it, and nothing is marked.
    """
    try:
        file = (cache / USERS).open("a+")
    except OSError:
        yield
        return
    with file:
        _lock(file, fcntl.LOCK_SH, lambda: note(f"waiting for the cleaning of {cache}"))
        yield


@contextmanager
def unused(cache: Path) -> Iterator[bool]:
    """Whether no process uses the cache at `cache`; if so none begins to for as long as the context lasts.

    Raises StorageError where the cache cannot be written.
    """
    try:
        file = (cache / USERS).open("a+")
    except OSError as error:
        raise StorageError(f"{cache / USERS} cannot be written: {error.strerror}") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def _lock(file: TextIO, kind: int, on_wait: Callable[[], None]) -> None:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        on_wait()
        fcntl.flock(file, kind)


def _holder(path: Path) -> str:
    try:
        note = json.loads(path.read_text())
        return f"run {note['run']} (process {note['process']} on {note['host']})"
    except (ValueError, KeyError, TypeError):
        return "another build"
