"""argv → command → exit code, and the one place where errors become text. Nothing heavy is imported here.

Exit codes: what the command says (0, 1, 3), the `exit_code` of a DistillError (2 to 5), 130 for an
interruption, and 70 (EX_SOFTWARE of sysexits.h) for a bug of ours.
"""

import importlib
import json
import os
import signal
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from distill_build.command_line import COMMANDS, CommandLine, parse
from distill_build.errors import DistillError, InterruptedBuildError

if TYPE_CHECKING:
    from distill_build.settings import Settings


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line `argv`, by default the process's own, and returns its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        status = run(words)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read our output has left; the interpreter must not complain when it flushes
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return InterruptedBuildError.exit_code
    return status


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
    except BrokenPipeError:
        raise
    except Exception as bug:  # noqa: BLE001 - the last place where a bug can still become a sentence
        from distill_build.bug_report import tell_bug

        return tell_bug(bug)


def dispatch(line: CommandLine) -> int:
    """Runs a command line that has been taken apart."""
    if line.version:
        from importlib.metadata import version

        print(f"distill-build {version('distill-build')}")
        return 0
    if line.help:
        from distill_build.help import command_help, general_help

        print(command_help(line.command) if line.command else general_help())
        return 0
    return run_composing(line) if COMMANDS[line.command].composes else run_reading(line)


def run_reading(line: CommandLine) -> int:
    """Runs a command that composes no configuration."""
    status: int = importlib.import_module(COMMANDS[line.command].module).run(line.options)
    return status


def run_composing(line: CommandLine) -> int:
    """Composes the configuration and runs the command with its settings; in a sweep once for each."""
    from distill_build import config

    def task(settings: "Settings") -> int:
        status: int = importlib.import_module(COMMANDS[line.command].module).run(settings, line.options)
        return status

    return config.run(line.settings, task, report=lambda error: tell(error, as_json=line.options.json))


def tell(error: DistillError, *, as_json: bool) -> int:
    """Prints an error's sentence, and for programs a JSON document; returns its exit code."""
    print(f"distill-build: {error}", file=sys.stderr)
    if as_json:
        document = {
            "error": {"kind": type(error).__name__, "message": str(error)},
            "exit_code": error.exit_code,
        }
        print(json.dumps(document, ensure_ascii=False), flush=True)
    return error.exit_code
