"""The record of one version, and the folder of a cache that holds such records.

    <cache>/versions/<digest>.json    one version each, never changed, named by the digest of its bytes

A record says nothing of the machine that made it, so it can be carried to another cache. In a cache that is shared
there may be damaged ones, and some that another release of this program wrote: `record` refuses them, for whoever
must know all, and `readable` passes them over.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from distill_build.engine.artefacts import replace_file
from distill_build.errors import CorruptEntryError, StorageError
from distill_build.graph import Graph
from distill_build.versions.snapshot import FileSnapshot

RECORD_SCHEME = 2
UNREADABLE = (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What reading a small file of somebody else may raise."""


class Spent(msgspec.Struct, frozen=True):
    """What the build that made a version asked for. `usd` is None where a model has no prices."""

    calls: int
    prompt_tokens: int
    completion_tokens: int
    usd: float | None
    seconds: float


class Predecessor(msgspec.Struct, frozen=True, kw_only=True):
    """What a version replaced, as far as a history tells of it. The version itself may be gone."""

    version: str
    until: str
    counts: dict[str, int]
    missing: dict[str, int]
    recipe: str


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """One version of one dataset. `at` is UTC, ISO 8601; `until` the stage that it reaches.

    `recipe` is the digest of the object with all settings and prompts, by stage; `files` maps artefacts, failures and
    sources (see `builds.assembly`) to what they hold. `counts` and `missing` are items by stage. `origin` is the first
    version of the dataset: versions of another origin are those of another dataset, whatever its name.
    `stages` describes the graph. `spent` is None where the record was made anew, after the cache was lost, say.
    """

    version: str
    name: str
    topic: str
    at: str
    until: str
    counts: dict[str, int]
    missing: dict[str, int]
    spent: Spent | None
    recipe: str
    files: dict[str, FileSnapshot]
    predecessor: Predecessor | None = None
    origin: str = ""
    stages: dict[str, str] = {}
    scheme: int = RECORD_SCHEME

    @property
    def complete(self) -> bool:
        return not self.missing

    @property
    def graph(self) -> Graph:
        """The stages of the dataset."""
        return Graph.parse(self.stages)

    @property
    def recipes(self) -> tuple[str, ...]:
        """The objects with settings and prompts that a history of this version needs."""
        return (self.recipe,) if self.predecessor is None else (self.recipe, self.predecessor.recipe)

    def as_predecessor(self) -> Predecessor:
        """What the next version keeps of this one."""
        return Predecessor(
            version=self.version, until=self.until, counts=self.counts, missing=self.missing, recipe=self.recipe
        )


class RecordStore:
    """The records in the folder `directory`. Reading makes nothing; writing raises OSError where it cannot."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def add(self, data: bytes) -> str:
        """Keeps a record as it is written; returns its digest."""
        digest = hashlib.sha256(data).hexdigest()
        replace_file(self.file(digest), data)
        return digest

    def file(self, digest: str) -> Path:
        """The file of a record."""
        return self.directory / f"{digest}.json"

    def digests(self) -> list[str]:
        """All records, by name alone."""
        return sorted(path.stem for path in self.directory.glob("*.json") if not path.name.startswith("."))

    def data(self, digest: str) -> bytes:
        """A record as it was written. Raises CorruptEntryError where it is gone."""
        try:
            return self.file(digest).read_bytes()
        except OSError as error:
            reason = f"version record {digest[:12]} cannot be read: {error.strerror}"
            raise CorruptEntryError(f"{reason}; {_SET_ASIDE}") from error

    def record(self, digest: str) -> Version:
        """The version under a digest. Raises CorruptEntryError where it is damaged, StorageError for another scheme."""
        return decode_record(digest, self.data(digest))

    def readable(self) -> Iterator[tuple[str, Version]]:
        """Every version that can be read, with its record's digest."""
        for digest in self.digests():
            try:
                yield digest, self.record(digest)
            except StorageError:
                continue

    def damage(self, digest: str) -> CorruptEntryError | None:
        """Why the version under a digest cannot be read; None where it can be, or is of another scheme."""
        try:
            self.record(digest)
        except CorruptEntryError as error:
            return error
        except StorageError:
            return None
        return None


_SET_ASIDE = "`distill-build cache fsck` sets it aside, and cache pull or cache import brings it back"


class _Head(msgspec.Struct):
    scheme: int


def decode_record(digest: str, data: bytes) -> Version:
    """A version from its record. Raises CorruptEntryError where it is damaged, StorageError for another scheme."""
    if hashlib.sha256(data).hexdigest() != digest:
        raise CorruptEntryError(f"version record {digest[:12]} is damaged; {_SET_ASIDE}")
    try:
        scheme = msgspec.json.decode(data, type=_Head).scheme  # first: what else stands there is the scheme's matter
        if scheme != RECORD_SCHEME:
            raise StorageError(
                f"version record {digest[:12]} has scheme {scheme}, and this program knows scheme {RECORD_SCHEME}: "
                "use the version of distill-build that wrote it"
            )
        return msgspec.json.decode(data, type=Version)
    except UNREADABLE as error:
        raise CorruptEntryError(f"version record {digest[:12]} is damaged ({error}); {_SET_ASIDE}") from error


def built_at(version: Version) -> str:
    """When a version was built, which is the order of a history."""
    return version.at
