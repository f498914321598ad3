"""The cache of a project, as tests look into it: beside the command, by SQLite alone."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from distill_build.versions.archive import Archive
from tests.e2e.workspace import Workspace

CACHE = ".distill-cache"


def copied(built: Workspace, target: Path) -> Workspace:
    """A copy of a project; its datasets are registered in the copy of its cache as built there."""
    shutil.copytree(built.root, target, dirs_exist_ok=True)
    archive = Archive(target / CACHE)
    for root in archive.registry.all():
        archive.registry.file(Path(root.folder)).unlink()
        archive.registry.register(target / Path(root.folder).relative_to(built.root), root.name, root.versions)
    return Workspace(target, built.server)


def database_of(project: Workspace) -> Path:
    return project.root / CACHE / "cache.db"


@contextmanager
def opened(project: Workspace) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(database_of(project))) as database, database:
        yield database


def keys(project: Workspace) -> set[str]:
    """The keys of all calls."""
    with opened(project) as database:
        return {key for (key,) in database.execute("SELECT key FROM Cache")}


def calls(project: Workspace) -> int:
    """How many calls there are."""
    with opened(project) as database:
        return int(database.execute("SELECT COUNT(*) FROM Cache").fetchone()[0])


def contents(folder: Path) -> dict[Path, bytes]:
    """Every file below a folder."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def flipped(data: bytes) -> bytes:
    """With one bit in the middle turned over."""
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
