"""Several transfers at once: never more than said, taken as needed, and an error is that of one alone."""

import threading
from collections.abc import Iterator

import pytest

from distill_build.cache.transfer.remote import at_once
from distill_build.errors import StorageError

MORE_THAN_THERE_IS = 1 << 50
"""A stack of so many bytes cannot be had."""


def test_so_many_are_under_way_at_once_and_no_more() -> None:
    together, begun, ended = threading.Barrier(3, timeout=30), [0], [0]

    def items() -> Iterator[int]:
        for number in range(9):
            begun[0] += 1
            assert begun[0] - ended[0] <= 3
            yield number

    def work(number: int) -> int:
        together.wait()
        return number * 2

    results = {}
    for number, done in at_once(items(), work, 3):
        ended[0] += 1
        results[number] = done.result()
    assert results == {number: number * 2 for number in range(9)}


def test_an_error_belongs_to_its_item() -> None:
    results = dict(at_once(["1", "x", "3"], int, 2))
    assert (results["1"].result(), results["3"].result()) == (1, 3)
    with pytest.raises(ValueError, match="x"):
        results["x"].result()


def test_what_is_under_way_comes_to_its_end_where_nobody_waits_for_it_any_more() -> None:
    begun, go_on, ended = threading.Event(), threading.Event(), []

    def work(name: str) -> None:
        if name == "slow":
            begun.set()
            go_on.wait()
            ended.append(name)
        else:
            begun.wait()
            raise OSError(name)

    threading.Timer(0.1, go_on.set).start()
    transfers = at_once(["slow", "bad"], work, 2)
    _, failed = next(transfers)
    assert failed.exception() is not None
    transfers.close()
    assert ended == ["slow"]


def test_that_there_is_no_thread_for_a_transfer_is_a_sentence() -> None:
    def items() -> Iterator[str]:
        yield "first"
        threading.stack_size(MORE_THAN_THERE_IS)
        yield "second"

    try:
        with pytest.raises(StorageError, match="try again"):
            list(at_once(items(), str, 2))
    finally:
        threading.stack_size(0)
