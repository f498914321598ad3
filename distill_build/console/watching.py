"""One line on a terminal that says how far a command has come that is no build; nothing where there is no terminal."""

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from distill_build.console.stream import Stream


def watched(look: Callable[[], str], *, quiet: bool) -> AbstractContextManager[None]:
    """Shows what `look` says, a few times a second, while the context is open. It is called in another thread."""
    stream = Stream(sys.stderr, tolerant=True)
    if quiet or not stream.can_move:
        return nullcontext()
    from distill_build.console.live import LiveScreen

    return LiveScreen(stream).words(look)
