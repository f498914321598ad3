"""argv → command → exit code, and the one place where errors become text. Nothing heavy is imported here.

Exit codes: what the command says (0, 1, 3), the `exit_code` of a DistillError (2 to 5), 130 for an
interruption, and 70 (EX_SOFTWARE of sysexits.h) for a bug of ours.
"""

import errno
import importlib
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from distill_build.command_line import COMMANDS, CommandLine, parse
from distill_build.errors import DistillError, InterruptedBuildError, StorageError, UsageError, unusable

if TYPE_CHECKING:
    from distill_build.settings import Settings
    from distill_build.sweeps.launching import LaunchedJob
    from distill_build.sweeps.variants import Variant


UNWRITABLE = frozenset({errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""What a standard output that takes no more answers. Commands translate the errors of their own files."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line `argv`, by default the process's own, and returns its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    stand_in_for_closed_streams()
    try:
        status = run(words)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read our output has had enough of it
        forget_stdout()
        return 0
    except OSError as error:  # what was printed could not be written: a full disk, most often
        forget_stdout()
        return tell(StorageError(f"the output cannot be written: {error.strerror}"), as_json=False)
    return status


def stand_in_for_closed_streams() -> None:
    """Whoever started us may have closed them; then what is said goes nowhere, and nothing fails for it."""
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115 - for as long as the process lives
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: PTH123, SIM115 - as above


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
        return tell(error, as_json=as_json)
    except KeyboardInterrupt:
        return tell(InterruptedBuildError("interrupted"), as_json=as_json)
    except OSError as error:
        if error.filename is not None:
            return tell(StorageError(unusable(error, "")), as_json=as_json)
        if error.errno in UNWRITABLE:  # standard output, which has no name: `main` sees to it
            raise
        return tell_of_bug(error)
    except Exception as bug:  # noqa: BLE001 - the last place where a bug can still become a sentence
        return tell_of_bug(bug)


def tell_of_bug(bug: Exception) -> int:
    """Logs an error of ours and says so."""
    from distill_build.bug_report import tell_bug

    return tell_bug(bug)


def dispatch(line: CommandLine) -> int:
    """Runs a command line that has been taken apart."""
    if line.version:
        from importlib.metadata import version

        print(f"distill-build {version('distill-build')}")
        return 0
    if line.help:
        from distill_build.console.page import print_lines
        from distill_build.help import command_help, general_help

        print_lines(command_help(line.command) if line.command else general_help())
        return 0
    return run_composing(line) if COMMANDS[line.command].composes else run_reading(line)


def run_reading(line: CommandLine) -> int:
    """Runs a command that composes no configuration."""
    status: int = importlib.import_module(COMMANDS[line.command].module).run(line.options)
    return status


def run_composing(line: CommandLine) -> int:
    """Composes the configuration and runs the command with its settings; in a sweep with all of them together.

    What another launcher runs is for the command to say. Raises UsageError for a sweep where the command has none, and
    for an --until that is no stage.
    """
    from distill_build import config

    command = COMMANDS[line.command]

    def task(settings: "Settings") -> int:
        check_until(line.options.until, settings)
        status: int = importlib.import_module(command.module).run(settings, line.options)
        return status

    def sweep(variants: "Sequence[Variant]") -> int:
        if not command.sweep:
            raise UsageError(
                f"{line.command} is for the files of one dataset: leave out -m. The command that built a sweep writes "
                "other exports of its jobs with formats=…, and asks nothing"
            )
        for variant in variants:
            check_until(line.options.until, variant.settings)
        status: int = importlib.import_module(command.sweep).run(variants, line.options)
        return status

    def launched() -> "LaunchedJob":
        from distill_build.sweeps.launching import LaunchedJob

        return LaunchedJob(command.launched, line.options, Path.cwd())

    return config.run(line.settings, task, sweep, launched if command.launched else None)


def check_until(until: str, settings: "Settings") -> None:
    """Raises UsageError for an --until that is no stage in force."""
    from distill_build import settings_checks  # wanted where settings have been composed, and it is loaded then

    settings_checks.check_until(until, settings)


def tell(error: DistillError, *, as_json: bool) -> int:
    """Prints an error's sentence, and for programs a JSON document; returns its exit code."""
    from distill_build.commands.notes import say

    say(str(error))
    if as_json:
        document = {
            "error": {"kind": type(error).__name__, "message": str(error)},
            "exit_code": error.exit_code,
        }
        print(json.dumps(document, ensure_ascii=False), flush=True)
    return error.exit_code
