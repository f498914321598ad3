"""Several transfers at once, in threads for which the end of the process does not wait.

A network may be silent for minutes, and whoever interrupts a command is not to wait for it: executors of the standard
library would. Knows nothing of what is transferred.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from itertools import islice
from queue import SimpleQueue
from typing import TypeVar

from distill_build.errors import StorageError

GRACE_SECONDS = 1.0
"""How long what is under way may go on after an error or interruption. A file that goes to a disk is whole by then."""

Item = TypeVar("Item")
Result = TypeVar("Result")


def at_once(
    items: Iterable[Item], work: Callable[[Item], Result], number: int
) -> Iterator[tuple[Item, Future[Result]]]:
    """Each item with what `work` made of it, as they come; at most `number` are under way at any moment.

    An item is taken from `items` when it can be begun. Raises StorageError where the system has no thread for it.
    """
    done: SimpleQueue[tuple[Item, Future[Result]]] = SimpleQueue()
    threads: dict[Future[Result], threading.Thread] = {}

    def run(item: Item, future: Future[Result]) -> None:
        try:
            future.set_result(work(item))
        except BaseException as error:  # noqa: BLE001 - whoever asks for the result gets it
            future.set_exception(error)
        done.put((item, future))

    ahead = iter(items)
    try:
        while True:
            for item in islice(ahead, number - len(threads)):
                future = Future[Result]()
                threads[future] = _begun(run, item, future)
            if not threads:
                return
            item, future = done.get()
            del threads[future]
            yield item, future
    finally:
        _let_end(threads.values())


def _begun(work: Callable[..., None], *arguments: object) -> threading.Thread:
    thread = threading.Thread(target=work, args=arguments, daemon=True)
    try:
        thread.start()
    except RuntimeError as error:
        raise StorageError(
            f"a transfer cannot be begun: {error}. Let some other programs end, or raise the limits on processes and "
            "memory (ulimit -u, ulimit -v), and try again: what was done is kept"
        ) from error
    return thread


def _let_end(threads: Iterable[threading.Thread]) -> None:
    deadline = time.monotonic() + GRACE_SECONDS
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
