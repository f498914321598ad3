"""A moment in which nobody may interrupt: files that belong together are being replaced."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

INTERRUPTIONS = (signal.SIGINT, signal.SIGTERM)


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
