"""Builds compose the packed files once for all tests: see `composed_once`."""

from collections.abc import Iterator

import pytest

from tests.e2e.composed_once import composed_once


@pytest.fixture(autouse=True)
def compose_once() -> Iterator[None]:
    """For commands that run in the test's own process."""
    with composed_once():
        yield
