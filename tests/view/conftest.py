"""The browser of pages, and a dataset that is served."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.workspace import Workspace
from tests.report.conftest import browser  # noqa: F401 - a fixture here, too
from tests.report.datasets import build, reply
from tests.server import ScriptedServer
from tests.view.serving import Served, served


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Workspace]:
    """A dataset with a judge, a filter and two questions without an answer."""
    with ScriptedServer(plan=reply) as server:
        made = Workspace(tmp_path, server)
        assert build(made, "filter.min_score=3") == 1
        yield made


@pytest.fixture
def view(project: Workspace) -> Iterator[Served]:
    """The dataset of `project`, served."""
    with served(project, "sports") as started:
        yield started
