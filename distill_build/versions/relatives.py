"""Which version records belong together, as one reading of a cache shows them: by list, by name, and by origin."""

import os
from collections.abc import Set
from pathlib import Path

import msgspec

from distill_build.versions.record import Version, built_at
from distill_build.versions.registry import Root

ByDigest = dict[str, Version]
"""Versions by the digests of their records."""


class Relatives(msgspec.Struct, frozen=True):
    """All versions that can be read, and the lists of all folders that can be."""

    records: ByDigest
    roots: tuple[Root, ...]

    def has_list(self, folder: Path) -> bool:
        """Whether a folder lists versions, be they readable or not."""
        return any(root.versions for root in self.roots if Path(root.folder) == folder.absolute())

    def listed(self, folder: Path) -> ByDigest:
        """The versions that a folder lists."""
        digests = {digest for root in self.roots if Path(root.folder) == folder.absolute() for digest in root.versions}
        return {digest: record for digest, record in self.records.items() if digest in digests}

    def loose(self, names: Set[str]) -> ByDigest:
        """The versions of datasets so called that no folder lists: they came by import or pull."""
        return self._not_listed_by(self.roots, names)

    def homeless(self, name: str) -> ByDigest:
        """The versions of datasets called `name` that no folder lists which is there: its own may have been moved."""
        return self._not_listed_by(tuple(root for root in self.roots if _is_there(root.folder)), {name})

    def moved(self, version: str) -> ByDigest:
        """The versions that folders list which are gone, and had `version`."""
        gone = [{*root.versions} & self.records.keys() for root in self.roots if not _is_there(root.folder)]
        had = [digests for digests in gone if any(self.records[digest].version == version for digest in digests)]
        return {digest: record for digest, record in self.records.items() if any(digest in digests for digests in had)}

    def named(self, name: str) -> ByDigest:
        """The versions of all datasets called `name`."""
        return {digest: record for digest, record in self.records.items() if record.name == name}

    def origins(self, version: str) -> set[str]:
        """The origins of the datasets that hold a version, whatever their names."""
        return {record.origin for record in self.records.values() if record.version == version}

    def _not_listed_by(self, roots: tuple[Root, ...], names: Set[str]) -> ByDigest:
        listed = {digest for root in roots for digest in root.versions}
        return {key: each for key, each in self.records.items() if each.name in names and key not in listed}


def of_origins(versions: ByDigest, origins: Set[str]) -> ByDigest:
    """Those of `versions` that go back to one of `origins`."""
    return {digest: record for digest, record in versions.items() if record.origin in origins}


def origins_of(versions: ByDigest) -> set[str]:
    """Where `versions` go back to."""
    return {record.origin for record in versions.values()}


def oldest_first(versions: ByDigest) -> list[str]:
    """Digests of records in the order of building."""
    return sorted(versions, key=lambda digest: built_at(versions[digest]))


def _is_there(folder: str) -> bool:
    return os.path.exists(folder)  # noqa: PTH110 - Path.exists raises for another user's folder
