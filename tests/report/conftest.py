"""One browser for all tests of a worker."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.report.browser import Browser


@pytest.fixture(scope="package")
def browser() -> "Iterator[Browser]":
    from tests.report.browser import start_browser  # which skips the tests where there is none

    with start_browser() as started:
        yield started
