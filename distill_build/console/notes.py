"""Sentences for the person, on standard error, from a command that has no console."""

import sys
from collections.abc import Callable

from distill_build.console.page import print_lines


def notes(*, quiet: bool) -> Callable[[str], None]:
    """What takes such sentences; with `quiet` they are not said."""
    return _silent if quiet else say


def say(text: str) -> None:
    """Says `text` in our name."""
    print_lines([f"distill-build: {text}"], sys.stderr)


def _silent(text: str) -> None:
    pass
