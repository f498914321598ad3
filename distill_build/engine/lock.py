"""One build of a dataset at a time: a lock on a file, with a note in it of who holds it."""

import fcntl
import json
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from distill_build.errors import StorageError


@contextmanager
def exclusive(path: Path, note: str, on_wait: Callable[[str], None]) -> Iterator[None]:
    """Holds the lock at `path`; `on_wait` is told once who has it, where another process does.

    The system lets go of it when the process ends, however it ends. The file stays: removing it would let two
    processes lock two files of one name. Raises StorageError where the file cannot be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+")
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror}; set output_dir") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_wait(_holder(path))
            fcntl.flock(file, fcntl.LOCK_EX)
        file.truncate(0)
        file.write(json.dumps({"process": os.getpid(), "host": socket.gethostname(), "run": note}))
        file.flush()
        yield


def _holder(path: Path) -> str:
    try:
        note = json.loads(path.read_text())
        return f"run {note['run']} (process {note['process']} on {note['host']})"
    except (ValueError, KeyError, TypeError):
        return "another build"
