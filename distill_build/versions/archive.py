"""The versions of datasets, kept in the cache beside the responses.

    <cache>/objects/           what the versions are made of: see `engine.objects`
    <cache>/versions/<digest>.json    one version each, never changed, named by the digest of its bytes
    <cache>/datasets/<digest of a folder>.json    a dataset that uses this cache: its folder and its versions, in order

A version says nothing of the machine that made it, so it can be carried to another cache. The files under datasets/
do: they are this cache's roots.
"""

import hashlib
import json
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from distill_build.engine.artefacts import ArtefactWriter
from distill_build.engine.objects import Objects
from distill_build.errors import CorruptEntryError, StorageError
from distill_build.records import JsonObject
from distill_build.versions.snapshot import FileSnapshot

RECORD_SCHEME = 1
FOLDER_DIGITS = 16


class Spent(msgspec.Struct, frozen=True):
    """What the build that made a version asked for. `usd` is None where a model has no prices."""

    calls: int
    prompt_tokens: int
    completion_tokens: int
    usd: float | None
    seconds: float


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """One version of one dataset. `at` is UTC, ISO 8601; `until` the stage that it reaches.

    `recipe` is the digest of the object with all settings and prompts, by stage; `files` maps artefacts, failures and
    sources (see `stages.assembly`) to what they hold. `counts` and `missing` are items by stage.
    """

    version: str
    name: str
    topic: str
    at: str
    until: str
    counts: dict[str, int]
    missing: dict[str, int]
    spent: Spent
    recipe: str
    files: dict[str, FileSnapshot]
    scheme: int = RECORD_SCHEME

    @property
    def complete(self) -> bool:
        return not self.missing


class Root(msgspec.Struct, frozen=True):
    """A dataset's folder that uses this cache; `versions` are digests of version records, oldest first."""

    folder: str
    name: str
    versions: list[str]


class Archive:
    """The versions in the cache at `directory`. Reading makes nothing; writing raises OSError where it cannot."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.objects = Objects(directory / "objects")
        self.records = directory / "versions"
        self.roots = directory / "datasets"

    def add(self, folder: Path, version: Version) -> str:
        """Keeps `version` as the newest one of the dataset in `folder`; returns its record's digest.

        Where a build was killed between keeping its record and listing it, that record is listed instead.
        """
        digest = self._unlisted(folder, version) or self.add_record(msgspec.json.encode(version))
        self.register(folder, version.name, [*self._versions_in(folder), digest])
        return digest

    def add_record(self, data: bytes) -> str:
        """Keeps a version's record as it is written."""
        digest = hashlib.sha256(data).hexdigest()
        _write(self.record_file(digest), data)
        return digest

    def register(self, folder: Path, name: str, versions: list[str]) -> None:
        """Makes the dataset in `folder` a root with just these versions."""
        root = Root(str(folder.absolute()), name, versions)
        _write(self.root_file(folder), msgspec.json.encode(root))

    def remove(self, digests: Iterable[str]) -> None:
        """Forgets versions, first what lists them: a kill in between leaves records of their own, which are whole."""
        gone = set(digests)
        for root in self.all_roots():
            if not gone.isdisjoint(root.versions):
                self.register(Path(root.folder), root.name, [each for each in root.versions if each not in gone])
        for digest in gone:
            self.record_file(digest).unlink(missing_ok=True)

    def root(self, folder: Path) -> Root | None:
        """What is registered of a dataset's folder."""
        path = self.root_file(folder)
        return _read_root(path) if path.exists() else None

    def all_roots(self) -> list[Root]:
        """Every dataset that uses this cache."""
        return [_read_root(path) for path in sorted(self.roots.glob("*.json"))]

    def record(self, digest: str) -> Version:
        """The version under a record's digest. Raises CorruptEntryError where it is gone or damaged."""
        return decode_record(digest, self.record_bytes(digest))

    def record_bytes(self, digest: str) -> bytes:
        """A version's record as it was written."""
        try:
            return self.record_file(digest).read_bytes()
        except OSError as error:
            reason = f"version record {digest[:12]} cannot be read: {error.strerror}"
            raise CorruptEntryError(f"{reason}; {_SET_ASIDE}") from error

    def record_digests(self) -> list[str]:
        """All records, by name alone."""
        return sorted(path.stem for path in self.records.glob("*.json") if not path.name.startswith("."))

    def latest(self, folder: Path) -> str | None:
        """The version that was built last in a folder; None where there is none, empty where its record is damaged."""
        versions = self._versions_in(folder)
        try:
            return self.record(versions[-1]).version if versions else None
        except CorruptEntryError:  # a build must not fail for it: fsck says what is damaged
            return ""

    def history(self, folder: Path, name: str) -> list[Version]:
        """The versions of a dataset, oldest first.

        They are those that were built in its folder here, and those of its name that no folder here has built: they
        came by import or pull, or from a folder that was moved. A folder that has built none, such as that of a copied
        project, sees all of its name.
        """
        own = {digest: self.record(digest) for digest in self._versions_in(folder)}
        others = self._unowned(name) if own else self._named(name)
        return sorted((own | others).values(), key=_age)  # a folder that is gone has both

    def adopt(self, folder: Path, name: str, version: str) -> bool:
        """Makes the history that came by import or pull that of a folder without one, up to `version`.

        Says whether there was such a history: a machine that builds a version which another one has made has made
        no new one.
        """
        try:
            unowned = self._unowned(name)
        except CorruptEntryError:  # a build must not fail for it: fsck says what is damaged
            return False
        digests = sorted(unowned, key=lambda digest: _age(unowned[digest]))
        last = max((place for place, digest in enumerate(digests) if unowned[digest].version == version), default=-1)
        if last >= 0:
            self.register(folder, name, digests[: last + 1])
        return last >= 0

    def include(self, folder: Path, version: Version) -> None:
        """Makes `version` one of those of a folder, and all that came by import or pull too where it has none."""
        root = self.root(folder)
        own = root.versions if root is not None else list(self._unowned(version.name))
        if all(self.record(digest) != version for digest in own):
            own = [*own, next(digest for digest in self.record_digests() if self.record(digest) == version)]
        self.register(folder, version.name, sorted(own, key=lambda digest: _age(self.record(digest))))

    def _unlisted(self, folder: Path, version: Version) -> str | None:
        """The record of this version that no folder lists, where it is newer than all others of the dataset."""
        try:
            unowned = self._unowned(version.name)
            newest_own = max((_age(self.record(digest)) for digest in self._versions_in(folder)), default="")
        except CorruptEntryError:  # a build must not fail for it: fsck says what is damaged
            return None
        newest = max(unowned, key=lambda digest: _age(unowned[digest]), default=None)
        if newest is None or unowned[newest].version != version.version or _age(unowned[newest]) <= newest_own:
            return None
        return newest

    def _unowned(self, name: str) -> dict[str, Version]:
        """The versions of datasets called `name` that no folder here has built, by their records' digests."""
        built = {digest for root in self.all_roots() for digest in root.versions if Path(root.folder).exists()}
        return {digest: record for digest, record in self._named(name).items() if digest not in built}

    def _named(self, name: str) -> dict[str, Version]:
        """The versions of all datasets called `name`, by their records' digests."""
        records = ((digest, self.record(digest)) for digest in self.record_digests())
        return {digest: record for digest, record in records if record.name == name}

    def find(self, version: str, name: str | None = None) -> Version | None:
        """The newest record of the version whose digest begins with `version`, of any dataset or of one."""
        found = [record for record in self.all() if record.version.startswith(version)]
        return max((record for record in found if name in (None, record.name)), key=_age, default=None)

    def recipe(self, version: Version) -> JsonObject:
        """All settings and prompts of a version, by stage."""
        recipe: JsonObject = json.loads(self.objects.get(version.recipe))
        return recipe

    def all(self) -> Iterator[Version]:
        """Every version, of all datasets."""
        return (self.record(digest) for digest in self.record_digests())

    def _versions_in(self, folder: Path) -> list[str]:
        root = self.root(folder)
        return root.versions if root is not None else []

    def record_file(self, digest: str) -> Path:
        """The file of a version's record."""
        return self.records / f"{digest}.json"

    def root_file(self, folder: Path) -> Path:
        """The file that registers a dataset's folder."""
        name = hashlib.sha256(str(folder.absolute()).encode()).hexdigest()[:FOLDER_DIGITS]
        return self.roots / f"{name}.json"


_SET_ASIDE = "`distill-build cache fsck` sets it aside, and cache pull or cache import brings it back"


def decode_record(digest: str, data: bytes) -> Version:
    """A version from its record. Raises CorruptEntryError where it is damaged, StorageError for another scheme."""
    if hashlib.sha256(data).hexdigest() != digest:
        raise CorruptEntryError(f"version record {digest[:12]} is damaged; {_SET_ASIDE}")
    record = msgspec.json.decode(data, type=Version)
    if record.scheme != RECORD_SCHEME:
        raise StorageError(
            f"version record {digest[:12]} has scheme {record.scheme}, and this program knows scheme {RECORD_SCHEME}: "
            "use the version of distill-build that wrote it"
        )
    return record


def _age(version: Version) -> str:
    return version.at


def _read_root(path: Path) -> Root:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Root)
    except (OSError, msgspec.DecodeError) as error:
        raise StorageError(f"{path} cannot be read ({error}): remove it and build its dataset again") from error


def _write(path: Path, data: bytes) -> None:
    """Replaces a small file as a whole, synced."""
    with ArtefactWriter(path.with_name(f".{path.name}.{secrets.token_hex(4)}")) as writer:
        writer.write(data)
    writer.path.replace(path)
