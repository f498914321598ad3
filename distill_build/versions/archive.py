"""The versions of datasets, kept in the cache beside the responses.

    <cache>/objects/     what the versions are made of: see `engine.objects`
    <cache>/versions/    a record for each version: see `versions.record`
    <cache>/datasets/    the datasets that use this cache: see `versions.registry`

A folder lists the versions of its dataset: those that were built in it or brought back into it. Beside them stand those
that came by import or pull and go back to the same first version. A name alone makes no dataset: another machine may
call something else the same.

A folder without a list, such as that of a clone or of a copied project, has the versions of the dataset that its lock
names, and without a lock all of its name. It takes them over as its own list with its first build or checkout, and
goes its own way from there.

Records and lists of other datasets that cannot be read are passed over: a build does not fail, and no version is
refused, for what is somebody else's. `cache fsck` says what is damaged.
"""

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec.structs import replace

from distill_build.dataset.lockfile import LOCK, sound_lock
from distill_build.engine.objects import Objects
from distill_build.errors import CorruptEntryError, StorageError
from distill_build.records import JsonObject
from distill_build.versions.record import (
    RECORD_SCHEME,
    Predecessor,
    RecordStore,
    Spent,
    Version,
    built_at,
    decode_record,
)
from distill_build.versions.registry import Registry, Root
from distill_build.versions.relatives import ByDigest, Relatives, of_origins, oldest_first, origins_of

__all__ = ["RECORD_SCHEME", "Archive", "Predecessor", "Root", "Spent", "Version", "decode_record"]


class Archive:
    """The versions in the cache at `directory`. Reading makes nothing; writing raises OSError where it cannot.

    What speaks of one record or of all roots is strict (`records`, `registry`): it raises CorruptEntryError for damage
    and StorageError for another scheme. What looks for versions passes over those that cannot be read.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.objects = Objects(directory / "objects")
        self.records = RecordStore(directory / "versions")
        self.registry = Registry(directory / "datasets")

    def recipe(self, version: Version | Predecessor) -> JsonObject:
        """All settings and prompts of a version, by stage."""
        recipe: JsonObject = json.loads(self.objects.get(version.recipe))
        return recipe

    def find(self, version: str, name: str | None = None) -> Version | None:
        """The newest record of the version whose digest begins with `version`, of any dataset or of one."""
        found = [record for record in self.all() if record.version.startswith(version)]
        return max((record for record in found if name in (None, record.name)), key=built_at, default=None)

    def all(self) -> Iterator[Version]:
        """Every version that can be read, of all datasets."""
        return (record for _, record in self.records.readable())

    def remove(self, digests: Iterable[str]) -> None:
        """Forgets versions, first what lists them: a kill in between leaves records of their own, which are whole."""
        gone = set(digests)
        self.registry.forget(gone)
        for digest in gone:
            self.records.file(digest).unlink(missing_ok=True)

    def inherit(self, folder: Path, name: str, version: str, before: str | None) -> None:
        """Has a folder without a list take over its dataset's, as `version` is built where `before` lay."""
        if not self.registry.versions_in(folder):
            inherited = _inherited(self._relatives(), folder, name, version, before)
            self.registry.register(folder, name, oldest_first(inherited))

    def is_news(self, folder: Path, version: str, before: str | None) -> bool:
        """Whether building `version` in a folder changes its dataset, where the version `before` lay or nothing did.

        It does not where that is the same one, or the newest one is, or one of the list comes where nothing was.
        """
        listed = list(self._listed(folder))
        newest = max(listed, key=built_at, default=None)
        if newest is not None and newest.version == version:
            return False
        return before not in (None, version) or all(each.version != version for each in listed)

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

    def newest(self, folder: Path, version: str) -> Version | None:
        """The newest record of a version that a folder lists and that can be read."""
        return next((record for record in self._listed(folder) if record.version == version), None)

    def history(self, folder: Path, name: str) -> list[Version]:
        """The versions of a dataset that can be read, oldest first."""
        return sorted(_history(self._relatives(), folder, name).values(), key=built_at)

    def strangers(self, folder: Path, name: str) -> list[Version]:
        """Versions of that name that came by import or pull, and are of another dataset than the one in `folder`."""
        relatives = self._relatives()
        history = _history(relatives, folder, name)
        others = {digest: each for digest, each in relatives.loose({name}).items() if digest not in history}
        return sorted(others.values(), key=built_at)

    def include(self, folder: Path, version: Version) -> None:
        """Makes `version` one of those of a folder, with all of its dataset where the folder has none.

        What the folder lists and cannot be read stays where it stands. Raises CorruptEntryError where the version is
        gone by now.
        """
        relatives = self._relatives()
        readable = relatives.records
        own = self.registry.versions_in(folder)
        own = own or oldest_first(of_origins(relatives.named(version.name), {version.origin}))
        known = {digest: readable[digest] for digest in own if digest in readable}
        if version not in known.values():
            digest = next((digest for digest, record in readable.items() if record == version), None)
            if digest is None:
                raise CorruptEntryError("its record was removed meanwhile")
            newer = (
                place for place, each in enumerate(own) if each in known and built_at(known[each]) > built_at(version)
            )
            own.insert(next(newer, len(own)), digest)
        self.registry.register(folder, version.name, own)

    def damage_in(self, folder: Path) -> CorruptEntryError | None:
        """The first damaged record that may be of the dataset in a folder: no other folder lists it."""
        others = {
            digest
            for root in self.registry.readable()
            if Path(root.folder) != folder.absolute()
            for digest in root.versions
        }
        mine = [each for each in (*self.registry.versions_in(folder), *self.records.digests()) if each not in others]
        return next((damage for damage in map(self.records.damage, mine) if damage is not None), None)

    def _listed(self, folder: Path) -> Iterator[Version]:
        """The versions that a folder lists and that can be read, the newest first: no others are looked at."""
        for digest in reversed(self.registry.versions_in(folder)):
            with suppress(StorageError):
                yield self.records.record(digest)

    def _relatives(self) -> Relatives:
        return Relatives(dict(self.records.readable()), tuple(self.registry.readable()))


def _history(relatives: Relatives, folder: Path, name: str) -> ByDigest:
    if relatives.has_list(folder):
        own = relatives.listed(folder)
        names = {record.name for record in own.values()}
        return own | of_origins(relatives.loose(names), origins_of(own))
    lock = sound_lock(folder / LOCK)
    if lock is not None and (own := _dataset_of(relatives, lock.name, lock.version)):
        return own  # by the lock's name: the folder may have been renamed
    return relatives.named(name)


def _dataset_of(relatives: Relatives, name: str, version: str) -> ByDigest:
    """The versions of the dataset that a folder without a list held as `version`.

    Those of a folder that is gone and had it, which was moved here; else all that go back to the same origin.
    """
    origins, moved = relatives.origins(version), relatives.moved(version)
    return of_origins(relatives.loose({name}) | moved if moved else relatives.named(name), origins)


def _inherited(relatives: Relatives, folder: Path, name: str, version: str, before: str | None) -> ByDigest:
    """What a folder without a list takes over as `version` is built there, where `before` lay."""
    lock = sound_lock(folder / LOCK)
    if before is not None and (own := _dataset_of(relatives, lock.name if lock is not None else name, before)):
        return own
    homeless = relatives.homeless(name)
    made = {digest: each for digest, each in homeless.items() if each.version == version}
    return of_origins(homeless, origins_of(made))


def _origin(relatives: Relatives, version: Version, replaced: Predecessor | None) -> str:
    """The first version of the dataset, as far as this cache knows."""
    if replaced is None:
        return version.version
    return min(relatives.origins(replaced.version), default=replaced.version)


def _left_by_killed(relatives: Relatives, listed: ByDigest, made: Version) -> str | None:
    """The record of the same step that a build left which was killed before it could list it: newer than all others."""
    newest = max(map(built_at, listed.values()), default="")
    for digest, record in relatives.loose({made.name}).items():
        same = (record.version, record.origin, record.predecessor) == (made.version, made.origin, made.predecessor)
        if same and built_at(record) > newest:
            return digest
    return None
