"""Every test gets a folder of its own and no key: one that forgets isolation fails."""

import importlib.util
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.forked import start_forkserver
from tests.e2e.workspace import Workspace
from tests.server import ScriptedServer

if importlib.util.find_spec("hypothesis") is not None:  # the launchers' venv has none
    from hypothesis import settings

    settings.register_profile("untimed", deadline=None)  # how long an example takes says how busy the machine is
    settings.load_profile("untimed")


MEMORY = Path("/dev/shm")  # noqa: S108 - pytest makes a folder of its own there
ROOM = 2**31
"""Bytes: all tests together write a quarter of it, and what passed leaves nothing."""


def pytest_configure() -> None:
    """Tests write into memory where there is room for it: a small build spends half of its time in syncing files."""
    if "TMPDIR" not in os.environ and MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM:
        os.environ["TMPDIR"] = str(MEMORY)
        tempfile.tempdir = None


@pytest.fixture(autouse=True, scope="session")
def forkserver() -> None:
    """The process that commands are forked from imports `tests`, so it starts in the repository."""
    start_forkserver()


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Works in an empty folder, without keys or cache settings from the outside."""
    monkeypatch.chdir(tmp_path)
    for name in ("OPENAI_API_KEY", "DEEPSEEK_API_KEY", "DISTILL_CACHE_DIR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """A server that replies well and at once."""
    with ScriptedServer() as running:
        yield running


@pytest.fixture
def workspace(tmp_path: Path, server: ScriptedServer) -> Workspace:
    """A project folder whose model is `server`."""
    return Workspace(tmp_path, server)
