"""A project with two versions of one dataset, built once for a module's tests and put back for each of them."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.test_only_what_is_affected import InProcess
from tests.e2e.workspace import Workspace
from tests.server import ScriptedServer

SMALL = ("topic=sports", "depth=2", "breadth=[2,1]", "questions_per_tag=1")
OLD = (*SMALL, "formats=[csv,messages]", 'system_prompt="Be brief."', "format.reasoning=drop")
NEW = (*SMALL, "breadth=[1,1]")


@dataclass
class TwoVersions:
    """`project` holds what NEW gives; `old` and `new` are the files of both versions, the sources among them."""

    project: InProcess
    server: ScriptedServer
    old: dict[str, bytes]
    new: dict[str, bytes]
    kept: Path

    def restore(self) -> None:
        """Puts everything back, in the same place: a dataset is known to its cache by its folder."""
        shutil.rmtree(self.project.root)
        shutil.copytree(self.kept, self.project.root)
        self.server.reset()

    @property
    def old_version(self) -> str:
        """The beginning of the version's digest, as in its lock."""
        return self.old["distill.lock"].decode().split('version = "')[1][:8]


@contextmanager
def two_versions(folder: Path) -> Iterator[TwoVersions]:
    """Builds both in `folder`, with a server that lasts as long as the context."""
    with ScriptedServer() as server:
        project = InProcess(folder / "project", server)
        project.root.mkdir()
        files = []
        for words in (OLD, NEW):
            assert project.run(*words, "-q").status == 0
            files.append(everything(project))
        shutil.copytree(project.root, folder / "kept")
        yield TwoVersions(project, server, files[0], files[1], folder / "kept")


def everything(workspace: Workspace, name: str = "sports") -> dict[str, bytes]:
    """The dataset's files, the sources among them."""
    return workspace.bytes(name) | {"sources": (workspace.folder(name) / "runs/sources.jsonl").read_bytes()}


def versions(workspace: Workspace, *words: str) -> list[str]:
    """The versions that history lists, the newest first."""
    return [row["version"] for row in workspace.raw("history", "--json", *words).document["versions"]]
