"""Sentences for the person, on standard error, from a command that has no console."""

import sys
from collections.abc import Callable


def notes(*, quiet: bool) -> Callable[[str], None]:
    """What takes such sentences; with `quiet` they are not said."""
    return _silent if quiet else _say


def _say(text: str) -> None:
    print(f"distill-build: {text}", file=sys.stderr)


def _silent(text: str) -> None:
    pass
