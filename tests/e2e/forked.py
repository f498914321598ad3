"""Processes of the real command that are forked from one that has imported it: starting one takes no half second.

A command has a process, standard streams and an environment of its own, as if it were started anew; what lies in how
the interpreter starts (imports, PYTHON variables, the locale) is for `Workspace.start`.
"""

import glob
import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import forkserver
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import TemporaryDirectory

from distill_build.cli.dispatch import main

CHANGES = frozenset({"open", "os.rename", "os.remove", "os.mkdir", "os.link"})
"""Audit events, which come before what they tell of."""

PRELOADED = "tests.e2e.preloaded"

context = multiprocessing.get_context("forkserver")
context.set_forkserver_preload([PRELOADED])


def start_forkserver() -> None:
    """Starts the process that commands are forked from; the working directory is that of the repository."""
    forkserver.ensure_running()


@contextmanager
def at_work(
    words: Sequence[str], folder: Path, environment: dict[str, str], fatal: str = ""
) -> Iterator[tuple[BaseProcess, Path]]:
    """The command in `folder`, and where its `stdout` and `stderr` are; it is dead when the context ends.

    Where `fatal` is a glob pattern, it is killed as soon as a file appears there that was not there before.
    """
    with TemporaryDirectory() as streams:
        process = context.Process(target=command, args=(words, folder, environment, streams, fatal))
        process.start()
        try:
            yield process, Path(streams)
        finally:
            process.kill()
            process.join()


def run(words: Sequence[str], folder: Path, environment: dict[str, str], seconds: float) -> tuple[int, str, str]:
    """Status, stdout and stderr of the command in `folder`; TimeoutError after so many seconds."""
    with at_work(words, folder, environment) as (process, streams):
        process.join(seconds)
        if process.exitcode is None:
            raise TimeoutError(f"{words} went on for {seconds} s")
        stdout, stderr = ((streams / name).read_text(encoding="utf-8") for name in ("stdout", "stderr"))
        return process.exitcode, stdout, stderr


def command(words: Sequence[str], folder: Path, environment: dict[str, str], streams: str, fatal: str) -> None:
    """What the forked process does."""
    assert PRELOADED in sys.modules, "the forkserver leaves out in silence what it cannot import"
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for number, path in enumerate((os.devnull, f"{streams}/stdout", f"{streams}/stderr")):
        opened = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - for as long as the process lives
    sys.argv = ["distill-build", *words]
    if fatal:
        kill_when_it_appears(fatal)
    sys.exit(main(words))


def kill_when_it_appears(pattern: str) -> None:
    """Looks before whatever this process does with files: nothing is done after the one that made it appear."""
    before = set(glob.glob(pattern))  # noqa: PTH207 - a tenth of the time

    def look(event: str, _: object) -> None:
        if event in CHANGES and set(glob.glob(pattern)) - before:  # noqa: PTH207 - as above
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(look)
