"""A dataset that was built twice, for tests that carry its cache elsewhere."""

import shutil
import sqlite3
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path

from distill_build.engine.entry import Entry
from distill_build.engine.reading import ReadOnlyStore
from distill_build.versions.archive import Archive
from tests.e2e.workspace import Workspace
from tests.server import ScriptedServer

SMALL = ("topic=sports", "depth=2", "breadth=2", "questions_per_tag=2")
PRICES = ("model.prices.prompt=1", "model.prices.completion=2")
CALLS = 1 + 2 + 4 + 8
Files = dict[str, bytes]


@dataclass(frozen=True)
class Machine:
    """A project folder of its own; all of them may ask the same server."""

    workspace: Workspace

    @classmethod
    def at(cls, root: Path, server: ScriptedServer) -> "Machine":
        root.mkdir(parents=True)
        return cls(Workspace(root, server))

    @property
    def cache(self) -> Path:
        return self.workspace.root / ".distill-cache"

    def clone(self, files: Files) -> None:
        """What a fresh clone of the repository holds of a version: its lock."""
        self.workspace.folder().mkdir(parents=True)
        (self.workspace.folder() / "distill.lock").write_bytes(files["distill.lock"])

    def frozen(self) -> Files:
        """The files that --frozen gives; nothing may be asked."""
        assert self.workspace.server is not None
        sent = self.workspace.server.count
        finished = self.workspace.run(*SMALL, "--frozen")
        assert finished.status == 0, finished.stderr
        assert self.workspace.server.count == sent
        return self.workspace.bytes()

    def entries(self) -> dict[str, Entry]:
        """All calls in the cache; each of them can be read."""
        store = ReadOnlyStore(self.cache)
        try:
            found = {key: store.get(key) for key in store.keys()}  # noqa: SIM118 - a store is no mapping
        finally:
            store.close()
        return {key: entry for key, entry in found.items() if entry is not None}

    def wait_for_calls(self, number: int) -> None:
        """Waits until the cache holds so many calls on disk."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if (self.cache / "cache.db").exists():
                with sqlite3.connect(self.cache / "cache.db", timeout=30) as database:
                    try:
                        if database.execute("SELECT COUNT(*) FROM Cache").fetchone()[0] >= number:
                            return
                    except sqlite3.OperationalError:
                        pass  # the table is not there yet
            time.sleep(0.01)
        raise AssertionError(f"{number} calls did not come")

    def versions(self) -> list[str]:
        """The versions in the cache, oldest first."""
        return [version.version for version in sorted(Archive(self.cache).all(), key=lambda each: each.at)]


@dataclass(frozen=True)
class Twice:
    """A machine that built a dataset, then asked for all but the first tags anew.

    `first` and `second` are the dataset's files then, `before` is a copy of the cache between the two builds.
    """

    machine: Machine
    before: Path
    first: Files
    second: Files

    @property
    def version(self) -> str:
        """The second version's digest."""
        return str(tomllib.loads(self.second["distill.lock"].decode())["version"])

    @classmethod
    def build(cls, root: Path, server: ScriptedServer) -> "Twice":
        machine = Machine.at(root / "a", server)
        assert machine.workspace.run(*SMALL, *PRICES).status == 0
        first = machine.workspace.bytes()
        shutil.copytree(machine.cache, root / "before")
        assert machine.workspace.run(*SMALL, "--rebuild", "sports/*").status == 0
        return cls(machine, root / "before", first, machine.workspace.bytes())
