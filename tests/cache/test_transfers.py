"""Several transfers at once: never more than said, taken as needed, and an error is that of one alone."""

import threading
from collections.abc import Iterator

import pytest

from distill_build.cache.transfers import at_once


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
