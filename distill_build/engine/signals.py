"""What Ctrl-C and SIGTERM do meanwhile: nothing where files that belong together are replaced; while requests are in
flight, the first ends what is under way in good order."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

INTERRUPTIONS = (signal.SIGINT, signal.SIGTERM)
SHOW_CURSOR = b"\x1b[?25h"
"""The bars hide the cursor; who leaves without ado must bring it back."""


@contextmanager
def undisturbed() -> Iterator[None]:
    """Ignores Ctrl-C and SIGTERM meanwhile: what they would interrupt is done in milliseconds.

    Signals reach the main thread alone, so in any other there is nothing to ignore; who ends the process there leaves a
    journal, which the next run carries out.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.SIG_IGN) for number in INTERRUPTIONS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def interruptible(end: Callable[[], None]) -> Iterator[None]:
    """Within an event loop: the first SIGINT or SIGTERM calls `end`, the second ends the process."""
    import asyncio  # who has files to replace need not wait for it

    interrupted = False

    def on_signal() -> None:
        nonlocal interrupted
        if interrupted:
            _leave()
        interrupted = True
        end()

    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in INTERRUPTIONS}
    for number in before:
        loop.add_signal_handler(number, on_signal)
    try:
        yield
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)


def _leave() -> None:
    if sys.stderr.isatty():
        os.write(sys.stderr.fileno(), SHOW_CURSOR)
    os._exit(130)
