"""A project whose server answers, judges, attempts and grades."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.judged import reply
from tests.e2e.test_only_what_is_affected import InProcess
from tests.server import ScriptedServer


@pytest.fixture(scope="module")
def endpoint() -> Iterator[ScriptedServer]:
    """A test may give it another plan for its own time."""
    with ScriptedServer(plan=reply) as running:
        yield running


@pytest.fixture
def project(tmp_path: Path, endpoint: ScriptedServer) -> InProcess:
    """A project of its own for each test."""
    endpoint.plan = reply
    endpoint.reset()
    return InProcess(tmp_path, endpoint)
