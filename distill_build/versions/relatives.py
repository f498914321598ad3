"""Which version records belong together, as one reading of a cache shows them: by list, by name, and by origin."""

import os
from dataclasses import dataclass
from pathlib import Path

from distill_build.versions.record import Version, built_at
from distill_build.versions.registry import Root

ByDigest = dict[str, Version]
"""Versions by the digests of their records."""


@dataclass(frozen=True, slots=True)
class Relatives:
    """All versions that can be read, and the lists of all folders that can be."""

    records: ByDigest
    roots: tuple[Root, ...]

    def listed(self, folder: Path) -> ByDigest:
        """The versions that a folder lists."""
        digests = {digest for root in self.roots if Path(root.folder) == folder.absolute() for digest in root.versions}
        return {digest: record for digest, record in self.records.items() if digest in digests}

    def unlisted(self, name: str) -> ByDigest:
        """The versions of datasets called `name` that no folder lists which is there."""
        digests = {digest for root in self.roots if _is_there(root.folder) for digest in root.versions}
        return {digest: record for digest, record in self.named(name).items() if digest not in digests}

    def named(self, name: str) -> ByDigest:
        """The versions of all datasets called `name`."""
        return {digest: record for digest, record in self.records.items() if record.name == name}

    def origins(self, name: str, version: str | None) -> set[str]:
        """The origins of the datasets called `name` that hold a version."""
        return {record.origin for record in self.named(name).values() if record.version == version}

    def of_origins(self, name: str, origins: set[str]) -> ByDigest:
        """The versions of the datasets called `name` that go back to one of `origins`."""
        return {digest: record for digest, record in self.named(name).items() if record.origin in origins}


def oldest_first(versions: ByDigest) -> list[str]:
    """Digests of records in the order of building."""
    return sorted(versions, key=lambda digest: built_at(versions[digest]))


def _is_there(folder: str) -> bool:
    return os.path.exists(folder)  # noqa: PTH110 - Path.exists raises for another user's folder
