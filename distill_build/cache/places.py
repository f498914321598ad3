"""What lies where in a cache's folder, in bytes: the database, versions, quarantine. Knows no content."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from distill_build.engine.rows import DATABASE

QUARANTINE = "quarantine"
DATABASE_FILES = (DATABASE, f"{DATABASE}-wal")
SHARED_MEMORY = f"{DATABASE}-shm"
"""SQLite's, for as long as the database is open: it holds nothing."""


@dataclass(frozen=True, slots=True)
class Occupied:
    """Bytes by what they are for; `other` are value files, the marker, and notes."""

    database: int
    objects: int
    quarantine: int
    other: int

    @property
    def total(self) -> int:
        """What the cache takes. What is in quarantine is no part of it any more."""
        return self.database + self.objects + self.other


def occupied(directory: Path) -> Occupied:
    """The bytes in use in the cache at `directory`."""
    sums = {"database": 0, "objects": 0, QUARANTINE: 0, "other": 0}
    for path in files_below(directory):
        first = path.relative_to(directory).parts[0]
        if first == SHARED_MEMORY:
            continue
        kind = "database" if first in DATABASE_FILES else first if first in sums else "other"
        sums[kind] += size_of(path)
    return Occupied(**sums)


def files_below(directory: Path) -> Iterator[Path]:
    """Every file of the cache."""
    return (path for path in directory.rglob("*") if path.is_file())


def size_of(path: Path) -> int:
    """Bytes of a file; none where another process has taken it away meanwhile."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
