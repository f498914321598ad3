"""The versions of datasets, kept in the cache beside the responses.

    <cache>/objects/     what the versions are made of: see `engine.objects`
    <cache>/versions/    a record for each version: see `versions.record`
    <cache>/datasets/    the datasets that use this cache: see `versions.registry`

This is the one door to them. Which versions belong to which dataset is decided in `versions.lineage`.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from distill_build.engine.objects import Objects
from distill_build.errors import CorruptEntryError
from distill_build.records import JsonObject
from distill_build.versions.lineage import Lineage
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

__all__ = ["RECORD_SCHEME", "Archive", "Predecessor", "Root", "Spent", "Version", "decode_record"]


class Archive:
    """The versions in the cache at `directory`. Reading makes nothing; writing raises OSError where it cannot.

    What speaks of one record or of all roots is strict: it raises CorruptEntryError for damage and StorageError for
    another scheme. What looks for versions passes over those that cannot be read.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.objects = Objects(directory / "objects")
        self.records = directory / "versions"
        self.roots = directory / "datasets"
        self._records = RecordStore(self.records)
        self._registry = Registry(self.roots)
        self._lineage = Lineage(self._records, self._registry)

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
        return (record for _, record in self._records.readable())

    def readable(self) -> Iterator[tuple[str, Version]]:
        """Every version that can be read, with its record's digest."""
        return self._records.readable()

    def remove(self, digests: Iterable[str]) -> None:
        """Forgets versions, first what lists them: a kill in between leaves records of their own, which are whole."""
        gone = set(digests)
        self._registry.forget(gone)
        for digest in gone:
            self.record_file(digest).unlink(missing_ok=True)

    # Records, by their digests

    def add_record(self, data: bytes) -> str:
        """Keeps a version's record as it is written."""
        return self._records.add(data)

    def record(self, digest: str) -> Version:
        """The version under a record's digest."""
        return self._records.record(digest)

    def record_bytes(self, digest: str) -> bytes:
        """A version's record as it was written."""
        return self._records.data(digest)

    def record_digests(self) -> list[str]:
        """All records, by name alone."""
        return self._records.digests()

    def record_file(self, digest: str) -> Path:
        """The file of a version's record."""
        return self._records.file(digest)

    def damaged_records(self) -> Iterator[CorruptEntryError]:
        """Why records that are damaged cannot be read."""
        damage = map(self._records.damage, self._records.digests())
        return (error for error in damage if error is not None)

    # Datasets that use the cache, by their folders

    def register(self, folder: Path, name: str, versions: list[str]) -> None:
        """Makes the dataset in `folder` a root with just these versions."""
        self._registry.register(folder, name, versions)

    def root(self, folder: Path) -> Root | None:
        """What is registered of a dataset's folder."""
        return self._registry.root(folder)

    def all_roots(self) -> list[Root]:
        """Every dataset that uses this cache."""
        return self._registry.all()

    def root_file(self, folder: Path) -> Path:
        """The file that registers a dataset's folder."""
        return self._registry.file(folder)

    # Histories: see `Lineage`

    def inherit(self, folder: Path, name: str, version: str, before: str | None) -> None:
        """Has a folder without a list take over its dataset's, as `version` is built where `before` lay."""
        self._lineage.inherit(folder, name, version, before)

    def is_news(self, folder: Path, version: str, before: str | None) -> bool:
        """Whether building `version` in a folder where `before` lay changes its dataset."""
        return self._lineage.is_news(folder, version, before)

    def add(self, folder: Path, version: Version, before: Predecessor | None = None) -> str:
        """Keeps `version`, which replaces `before`, as the newest one of a folder; returns its record's digest."""
        return self._lineage.add(folder, version, before)

    def newest(self, folder: Path, version: str) -> Version | None:
        """The newest record of a version that a folder lists and that can be read."""
        return self._lineage.newest(folder, version)

    def history(self, folder: Path, name: str) -> list[Version]:
        """The versions of a dataset that can be read, oldest first."""
        return self._lineage.history(folder, name)

    def strangers(self, folder: Path, name: str) -> list[Version]:
        """Versions of that name that came from elsewhere, and are of another dataset than the one in `folder`."""
        return self._lineage.strangers(folder, name)

    def include(self, folder: Path, version: Version) -> None:
        """Makes `version` one of those of a folder."""
        self._lineage.include(folder, version)

    def damage_in(self, folder: Path) -> CorruptEntryError | None:
        """The first damaged record that may be of the dataset in a folder."""
        return self._lineage.damage(folder)
