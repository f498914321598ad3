"""A project whose dataset has two versions; the first one holds half of the second."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.caches import copied
from tests.e2e.fsck.checked import PRICES, TREE
from tests.e2e.workspace import Workspace
from tests.server import Body, Fault, ScriptedServer, classify, content


def long_answers(_: int, body: Body) -> Fault | None:
    """Some answers are longer than a page of the database."""
    return content("word " * 3000) if classify(body) == "answers" and "1" in str(body["messages"]) else None


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """Not to be changed."""
    with ScriptedServer(plan=long_answers) as server:
        project = Workspace(tmp_path_factory.mktemp("project"), server)
        for breadth in (1, 2):
            assert project.run(*TREE, *PRICES, f"breadth={breadth}").status == 0
        yield project


@pytest.fixture
def project(built: Workspace, tmp_path: Path) -> Workspace:
    return copied(built, tmp_path)
