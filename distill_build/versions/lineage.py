"""Which versions are those of a dataset, and in what order.

A folder lists the versions of its dataset: those that were built in it or brought back into it. Beside them stand those
that came by import or pull and go back to the same first version. A name alone makes no dataset: another machine may
call something else the same.

A folder without a list, such as that of a clone or of a copied project, has the versions of the dataset that its lock
names, and without a lock all of its name. It takes them over as its own list with its first build or checkout, and
goes its own way from there.

Records and lists of other datasets that cannot be read are passed over: a build does not fail, and no version is
refused, for what is somebody else's. `cache fsck` says what is damaged.
"""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec
from msgspec.structs import replace

from distill_build.errors import CorruptEntryError, StorageError
from distill_build.versions.lockfile import LOCK, sound_lock
from distill_build.versions.record import Predecessor, RecordStore, Version, built_at
from distill_build.versions.registry import Registry
from distill_build.versions.relatives import ByDigest, Relatives, oldest_first


@dataclass(frozen=True, slots=True)
class Lineage:
    """The histories of the datasets that use a cache."""

    records: RecordStore
    registry: Registry

    def adopt(self, folder: Path, name: str, version: str, before: str | None) -> bool:
        """Makes a folder without a list take over its dataset's; says whether building `version` there is no news.

        `before` is the version that lay in the folder, None for nothing. It is no news where that is the same one, or
        the newest one is, or where another machine has made it and this folder has none yet.
        """
        relatives, inherits = self._relatives(), not self.registry.versions_in(folder)
        listed = _inherited(relatives, name, version, before) if inherits else relatives.listed(folder)
        if inherits:
            self.registry.register(folder, name, oldest_first(listed))
        newest = max(listed.values(), key=built_at, default=None)
        if newest is not None and newest.version == version:
            return True
        unchanged = before == version or (before is None and inherits)
        return unchanged and any(each.version == version for each in listed.values())

    def add(self, folder: Path, version: Version, before: Predecessor | None = None) -> str:
        """Keeps `version`, which replaces `before`, as the newest one of a folder; returns its record's digest.

        It replaces the newest one where nothing else is known. Where a build was killed between keeping its record and
        listing it, that record is listed instead.
        """
        relatives = self._relatives()
        listed = relatives.listed(folder)
        if before is None or before.version == version.version:  # as where the record of what lies there was lost
            newest = max(listed.values(), key=built_at, default=None)
            before = newest.as_predecessor() if newest is not None else None
        made = replace(version, predecessor=before, origin=_origin(relatives, version, before))
        digest = _left_by_killed(relatives, listed, made) or self.records.add(msgspec.json.encode(made))
        self.registry.register(folder, made.name, [*self.registry.versions_in(folder), digest])
        return digest

    def holds(self, folder: Path, version: str) -> bool:
        """Whether a folder lists a version that can be read."""
        for digest in reversed(self.registry.versions_in(folder)):
            with suppress(StorageError):
                if self.records.record(digest).version == version:
                    return True
        return False

    def history(self, folder: Path, name: str) -> list[Version]:
        """The versions of a dataset that can be read, oldest first."""
        return sorted(_history(self._relatives(), folder, name).values(), key=built_at)

    def strangers(self, folder: Path, name: str) -> list[Version]:
        """Versions of that name that came by import or pull, and are of another dataset than the one in `folder`."""
        relatives = self._relatives()
        history = _history(relatives, folder, name)
        others = {digest: each for digest, each in relatives.unlisted(name).items() if digest not in history}
        return sorted(others.values(), key=built_at)

    def include(self, folder: Path, version: Version) -> None:
        """Makes `version` one of those of a folder, with all of its dataset where the folder has none.

        What the folder lists and cannot be read stays where it stands.
        """
        relatives = self._relatives()
        readable = relatives.records
        own = self.registry.versions_in(folder)
        own = own or oldest_first(relatives.of_origins(version.name, {version.origin}))
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

    def _relatives(self) -> Relatives:
        return Relatives(dict(self.records.readable()), tuple(self.registry.readable()))


def _history(relatives: Relatives, folder: Path, name: str) -> ByDigest:
    if own := relatives.listed(folder):
        origins = {version.origin for version in own.values()}
        return own | {key: each for key, each in relatives.unlisted(name).items() if each.origin in origins}
    if (lock := sound_lock(folder / LOCK)) and (origins := relatives.origins(name, lock.version)):
        return relatives.of_origins(name, origins)
    return relatives.named(name)


def _inherited(relatives: Relatives, name: str, version: str, before: str | None) -> ByDigest:
    """What a folder without a list takes over as `version` is built there, where `before` lay."""
    if before is not None and (origins := relatives.origins(name, before)):
        return relatives.of_origins(name, origins)
    unlisted = relatives.unlisted(name)
    origins = {each.origin for each in unlisted.values() if each.version == version}
    return {digest: each for digest, each in unlisted.items() if each.origin in origins}


def _origin(relatives: Relatives, version: Version, replaced: Predecessor | None) -> str:
    """The first version of the dataset, as far as this cache knows."""
    if replaced is None:
        return version.version
    return min(relatives.origins(version.name, replaced.version), default=replaced.version)


def _left_by_killed(relatives: Relatives, listed: ByDigest, version: Version) -> str | None:
    """The record of this version that a build left which was killed before it could list it: newer than all others."""
    unlisted = relatives.unlisted(version.name)
    newest = max(unlisted, key=lambda digest: built_at(unlisted[digest]), default=None)
    newest_listed = max(map(built_at, listed.values()), default="")
    if newest is None or unlisted[newest].version != version.version or built_at(unlisted[newest]) <= newest_listed:
        return None
    return newest
