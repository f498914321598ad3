"""argv → command → exit code, and the one place where errors become text. Nothing heavy is imported here.

Exit codes: what the command says (0, 1, 3), the `exit_code` of a DistillError (2 to 5), 130 for an
interruption, and 70 (EX_SOFTWARE of sysexits.h) for a bug of ours.
"""

import atexit
import errno
import gc
import importlib
import io
import os
import signal
import stat
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TextIO, cast

from distill_build.cli.grammar import COMMANDS
from distill_build.cli.parsing import CommandLine, parse
from distill_build.errors import (
    DistillError,
    InterruptedBuildError,
    MissingTopicError,
    StorageError,
    UsageError,
    unusable,
)
from distill_build.project import Project, enter, entered, project_around

if TYPE_CHECKING:
    from distill_build.config.launching import LaunchedJob
    from distill_build.settings import Settings
    from distill_build.sweeps.jobs import Variant


YOUNG_AT_START, YOUNG_AT_WORK = 250_000, 20_000
"""New objects after which the garbage collector looks for cycles among them. What imports and Hydra make, 150,000 for
one configuration, is there to stay: at Python's 700 it cost a fifth of a start to look through it, at 5,000 a tenth. Of
what a build makes most stays until its unit has ended: at 5,000 a twelfth of its CPU went into looking through that, at
20,000 a thirtieth, for 3 % more memory."""
UNWRITABLE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""What a standard output that takes no more answers. Commands translate the errors of their own files."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line `argv`, by default the process's own, and returns its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    gc.set_threshold(YOUNG_AT_START)
    atexit.register(gc.freeze)  # the interpreter's last collection would look through all that goes with the process
    for name in ("stdout", "stderr"):
        stream = lasting(getattr(sys, name))
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a letter that the terminal lacks is no reason to end a build
        setattr(sys, name, stream)
    try:
        status = run(words)
        sys.stdout.flush()
    except OSError as error:  # what was printed could not be written: a full disk, most often
        forget_stdout()
        return _tell(StorageError(f"the output cannot be written: {error.strerror}"), as_json=False)
    return status


class Pipe(io.FileIO):
    """A pipe whose reader may have had enough: what is written from then on goes nowhere.

    So a command comes to its own end, and to its own exit code, whoever reads along.
    """

    def write(self, data: Any, /) -> int:
        """Writes `data`, and says that all of it is written where nobody reads it any more."""
        try:
            return super().write(data)
        except (BrokenPipeError, ConnectionResetError):
            return memoryview(data).nbytes


def lasting(stream: TextIO | None) -> TextIO:
    """A standard stream that fails for no reader. Whoever started us may have closed it: then it leads nowhere."""
    if stream is None:
        return open(os.devnull, "w")  # noqa: PTH123 - for as long as the process lives
    if not isinstance(stream, io.TextIOWrapper) or not is_pipe(stream):
        return stream
    pipe = Pipe(stream.fileno(), "wb", closefd=False)
    raw = isinstance(stream.buffer, io.RawIOBase)  # PYTHONUNBUFFERED
    return io.TextIOWrapper(
        cast(BinaryIO, pipe) if raw else io.BufferedWriter(pipe),
        stream.encoding,
        stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def is_pipe(stream: TextIO) -> bool:
    """Whether a stream has a reader that can go away: a pipe, or a socket."""
    try:
        mode = os.fstat(stream.fileno()).st_mode
    except (OSError, ValueError):  # closed, or of no file
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def forget_stdout() -> None:
    """Keeps the interpreter from complaining when it flushes what cannot be written."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def run(words: Sequence[str]) -> int:
    """Runs a command line; what goes wrong becomes text and an exit code."""
    as_json = "--json" in words
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a cancelled CI job ends as Ctrl-C does
    try:
        return dispatch(parse(words))
    except DistillError as error:
        return _tell(error, as_json=as_json)
    except KeyboardInterrupt:
        return _tell(InterruptedBuildError("interrupted"), as_json=as_json)
    except OSError as error:
        if error.filename is not None:
            return _tell(StorageError(unusable(error, "")), as_json=as_json)
        if error.errno in UNWRITABLE:  # standard output, which has no name: `main` sees to it
            raise
        return tell_of_bug(error)
    except Exception as bug:  # noqa: BLE001 - the last place where a bug can still become a sentence
        return tell_of_bug(bug)


def tell_of_bug(bug: Exception) -> int:
    """Logs an error of ours and says so."""
    from distill_build.cli.bug_report import tell_bug

    return tell_bug(bug)


def dispatch(line: CommandLine) -> int:
    """Runs a command line that has been taken apart."""
    if line.version:
        from importlib.metadata import version

        print(f"distill-build {version('distill-build')}")
        return 0
    if line.help:
        from distill_build.cli.help import command_help, general_help
        from distill_build.console.page import print_lines

        print_lines(command_help(line.command) if line.command else general_help())
        return 0
    enter_project(line)
    if not COMMANDS[line.command].composes:
        return run_reading(line)
    try:
        return run_composing(line)
    except MissingTopicError:
        if not COMMANDS[line.command].finds or names_dataset(line):
            raise
    return run_composing(with_dataset(line))


def names_dataset(line: CommandLine) -> bool:
    """Whether a dataset is named, be it by a setting."""
    from distill_build.commands.curate.export import NAMING, key_of

    return line.options.names_dataset or not {*NAMING}.isdisjoint(map(key_of, line.options.overrides))


def with_dataset(line: CommandLine) -> CommandLine:
    """A command line that names the working directory's dataset, or the only one. Raises UsageError where none is."""
    from distill_build.commands.locate import find_dataset

    folder = str(find_dataset(line.options).folder)
    settings = (*COMMANDS[line.command].stand_in, *line.settings)
    return line._replace(options=line.options._replace(dataset=folder), settings=settings)


def enter_project(line: CommandLine) -> None:
    """Works in the root of the project around the working directory, and says so where that is elsewhere.

    A command that has no use for what is there begins a project there.
    """
    try:
        cwd = Path.cwd()
    except FileNotFoundError as error:
        raise UsageError("the working directory is gone: cd to one that is there") from error
    enter(project_around(cwd) if COMMANDS[line.command].reads else Project(cwd, cwd))
    project = entered()
    if project.is_elsewhere and not line.options.quiet and "--shell-completion" not in line.settings:
        from distill_build.console.notes import say

        say(f"the project is {project.root}, by its {project.sign}")


def command_of(module: str) -> Any:
    """The module of a command, which is to run now: from here on what is made is mostly not there to stay."""
    command = importlib.import_module(module)
    keep_what_is_there()
    gc.set_threshold(YOUNG_AT_WORK)
    return command


@cache
def keep_what_is_there() -> None:
    """Leaves all that there is out of later collections: once, as a second command of this process would keep the
    garbage of the first for good."""
    gc.freeze()


def run_reading(line: CommandLine) -> int:
    """Runs a command that composes no configuration."""
    status: int = command_of(COMMANDS[line.command].module).run(line.options)
    return status


def run_composing(line: CommandLine) -> int:
    """Composes the configuration and runs the command with its settings; in a sweep with all of them together.

    What another launcher runs is for the command to say. Raises UsageError for a sweep where the command has none, and
    for a flag that names no stage of these settings.
    """
    from distill_build.config import composition as config
    from distill_build.config.checks import check_rebuild, check_until
    from distill_build.config.curation import check_answers_by_hand

    command = COMMANDS[line.command]

    def task(settings: "Settings") -> int:
        check_until(line.options.until, settings)
        check_rebuild(line.options.rebuild, line.options.until, settings)
        if not line.options.names_dataset:
            check_answers_by_hand(settings)
        status: int = command_of(command.module).run(settings, line.options)
        return status

    def sweep(variants: "Sequence[Variant]") -> int:
        if not command.sweep:
            raise UsageError(
                f"{line.command} is for the files of one dataset: leave out -m. The command that built a sweep writes "
                "other exports of its jobs with formats=…, and asks nothing"
            )
        for variant in variants:
            check_until(line.options.until, variant.settings)
            check_answers_by_hand(variant.settings)
        status: int = command_of(command.sweep).run(variants, line.options)
        return status

    def launched() -> "LaunchedJob":
        from distill_build.config.launching import LaunchedJob

        return LaunchedJob(command.launched, line.options, entered())

    return config.run(line.settings, task, sweep, launched if command.launched else None)


def _tell(error: DistillError, *, as_json: bool) -> int:
    """Prints an error's sentence, and for programs a JSON document; returns its exit code."""
    from distill_build.console.notes import say
    from distill_build.console.page import print_document

    say(str(error))
    if as_json:
        print_document(
            {
                "error": {"kind": type(error).__name__, "message": str(error)},
                "exit_code": error.exit_code,
            }
        )
    return error.exit_code
