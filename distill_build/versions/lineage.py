"""Which versions are those of a dataset, and in what order.

They are those that were built in its folder here, and those of its name that no folder here has built: they came by
import or pull, or from a folder that was moved. A folder that has built none, such as that of a copied project, sees
all of its name.

Records and lists of other datasets that cannot be read are passed over: a build does not fail, and no version is
refused, for what is somebody else's. `cache fsck` says what is damaged.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import msgspec

from distill_build.errors import CorruptEntryError, StorageError
from distill_build.versions.record import RecordStore, Version, built_at
from distill_build.versions.registry import Registry

ByDigest = dict[str, Version]
"""Versions by the digests of their records."""


@dataclass(frozen=True, slots=True)
class Lineage:
    """The histories of the datasets that use a cache."""

    records: RecordStore
    registry: Registry

    def add(self, folder: Path, version: Version) -> str:
        """Keeps `version` as the newest one of the dataset in `folder`; returns its record's digest.

        Where a build was killed between keeping its record and listing it, that record is listed instead.
        """
        digest = self._unlisted(folder, version) or self.records.add(msgspec.json.encode(version))
        self.registry.register(folder, version.name, [*self.registry.versions_in(folder), digest])
        return digest

    def latest(self, folder: Path) -> str | None:
        """The version that was built last in a folder; None where there is none, empty where it cannot be read."""
        versions = self.registry.versions_in(folder)
        try:
            return self.records.record(versions[-1]).version if versions else None
        except StorageError:
            return ""

    def history(self, folder: Path, name: str) -> list[Version]:
        """The versions of a dataset that can be read, oldest first."""
        own = self._own(folder)
        others = self._unowned(name) if self.registry.versions_in(folder) else self._named(name)
        return sorted((own | others).values(), key=built_at)  # a folder that is gone has both

    def adopt(self, folder: Path, name: str, version: str) -> bool:
        """Makes the history that came by import or pull that of a folder without one, up to `version`.

        Says whether there was such a history: a machine that builds a version which another one has made has made
        no new one.
        """
        unowned = self._unowned(name)
        digests = _oldest_first(unowned)
        last = max((place for place, digest in enumerate(digests) if unowned[digest].version == version), default=-1)
        if last >= 0:
            self.registry.register(folder, name, digests[: last + 1])
        return last >= 0

    def include(self, folder: Path, version: Version) -> None:
        """Makes `version` one of those of a folder, and all that came by import or pull too where it has none.

        What the folder lists and cannot be read stays where it stands.
        """
        root, readable = self.registry.root(folder), dict(self.records.readable())
        own = list(root.versions) if root is not None else _oldest_first(self._unowned(version.name))
        known = {digest: readable[digest] for digest in own if digest in readable}
        if version not in known.values():
            digest = next(digest for digest, record in readable.items() if record == version)
            newer = (
                place for place, each in enumerate(own) if each in known and built_at(known[each]) > built_at(version)
            )
            own.insert(next(newer, len(own)), digest)
        self.registry.register(folder, version.name, own)

    def damage(self, folder: Path) -> CorruptEntryError | None:
        """The first damaged record that may be of the dataset in a folder: no other folder lists it."""
        others = {
            digest
            for root in self.registry.readable()
            if Path(root.folder) != folder.absolute()
            for digest in root.versions
        }
        mine = [each for each in (*self.registry.versions_in(folder), *self.records.digests()) if each not in others]
        return next((damage for damage in map(self.records.damage, mine) if damage is not None), None)

    def _unlisted(self, folder: Path, version: Version) -> str | None:
        """The record of this version that no folder lists, where it is newer than all others of the dataset."""
        unowned = self._unowned(version.name)
        newest_own = max(map(built_at, self._own(folder).values()), default="")
        newest = max(unowned, key=lambda digest: built_at(unowned[digest]), default=None)
        if newest is None or unowned[newest].version != version.version or built_at(unowned[newest]) <= newest_own:
            return None
        return newest

    def _own(self, folder: Path) -> ByDigest:
        """The versions that were built in a folder."""
        listed = set(self.registry.versions_in(folder))
        return {digest: record for digest, record in self.records.readable() if digest in listed}

    def _unowned(self, name: str) -> ByDigest:
        """The versions of datasets called `name` that no folder here has built."""
        built = {digest for root in self.registry.readable() if _is_there(root.folder) for digest in root.versions}
        return {digest: record for digest, record in self._named(name).items() if digest not in built}

    def _named(self, name: str) -> ByDigest:
        """The versions of all datasets called `name`."""
        return {digest: record for digest, record in self.records.readable() if record.name == name}


def _oldest_first(versions: ByDigest) -> list[str]:
    return sorted(versions, key=lambda digest: built_at(versions[digest]))


def _is_there(folder: str) -> bool:
    return os.path.exists(folder)  # noqa: PTH110 - Path.exists raises for another user's folder
