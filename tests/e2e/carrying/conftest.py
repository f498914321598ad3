"""Two machines for tests that carry a cache from one to the other."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.carrying.machines import Machine, Twice
from tests.server import ScriptedServer


@pytest.fixture(scope="session")
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        yield running


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory, server: ScriptedServer) -> Twice:
    """Machine A, to be read only."""
    return Twice.build(tmp_path_factory.mktemp("built"), server)


@pytest.fixture
def other(tmp_path: Path, server: ScriptedServer) -> Machine:
    """Machine B, which has nothing yet."""
    return Machine.at(tmp_path / "b", server)
