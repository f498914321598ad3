"""Takes records from outside into a cache: calls and objects as they come, versions last and only whole.

What stands in the cache is kept (see `Entry.united`). A kill at any moment leaves a good cache, since each part is
whole or not there; taking the same records again adds what is missing.
"""

from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from distill_build.cache.transfer.bundle import Record
from distill_build.cache.validation import Wholeness, intact, validated_call, validated_object, validated_version
from distill_build.engine.entry import Attempt, Entry
from distill_build.engine.reading import cache_unusable
from distill_build.engine.store import Store
from distill_build.errors import CorruptEntryError
from distill_build.records import JsonObject
from distill_build.replies.reply import read_usage
from distill_build.versions.archive import Archive, Version

BATCH_CALLS = 500
BATCH_BYTES = 4 << 20
"""A transaction's bounds: other processes that write to this cache wait for it."""


class Gains(msgspec.Struct):
    """What a cache got. `usd` is what the new responses had cost, but for the `unpriced` ones; `tokens` is of all.

    `seen_calls` and `seen_versions` count what was offered, new or not; `incomplete` versions could not be taken.
    """

    calls: int = 0
    responses: int = 0
    objects: int = 0
    versions: int = 0
    usd: float = 0.0
    unpriced: int = 0
    tokens: int = 0
    seen_calls: int = 0
    seen_versions: int = 0
    incomplete: list[str] = msgspec.field(default_factory=list)

    def add(self, attempt: Attempt) -> None:
        """Counts a new response."""
        usage = read_usage(attempt.response)
        self.responses += 1
        self.tokens += usage.prompt_tokens + usage.completion_tokens
        self.usd += attempt.usd or 0.0
        self.unpriced += attempt.usd is None

    def row(self) -> JsonObject:
        """The figures by name."""
        return {
            "new": {"calls": self.calls, "responses": self.responses, "versions": self.versions},
            "seen": {"calls": self.seen_calls, "versions": self.seen_versions},
            "tokens": self.tokens,
            "usd": self.usd if self.unpriced < self.responses else None,
            "unpriced": self.unpriced,
        }


class Importer:
    """What is taken within one `with`; at its end, or where it breaks off, all calls that were taken are on disk."""

    def __init__(self, directory: Path, store: Store) -> None:
        self.gains = Gains()
        self._directory = directory
        self._store = store
        self._archive = Archive(directory)
        self._batch: list[Entry] = []
        self._batch_bytes = 0
        self._versions: dict[str, tuple[bytes, Version]] = {}
        self._wholeness = Wholeness(self._archive.objects)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.flush()

    def take(self, record: Record) -> None:
        """Takes a record. Raises CorruptEntryError where it is not what it says, StorageError as a Store does."""
        if record.kind == "call":
            self._take_call(validated_call(record.name, record.data), len(record.data))
        elif record.kind == "object":
            self._take_object(record.name, validated_object(record.name, record.data))
        else:
            self._versions[record.name] = (record.data, validated_version(record.name, record.data))

    def flush(self) -> None:
        """Puts the calls taken so far on disk."""
        batch, self._batch, self._batch_bytes = self._batch, [], 0
        if new := [entry for entry in batch if self._count(entry)]:
            self._store.unite(new)

    def take_versions(self) -> None:
        """Puts the versions taken so far on disk, if all that they are made of is there and gives what they say."""
        self.flush()
        versions, self._versions = self._versions, {}
        for name, (data, version) in versions.items():
            self.gains.seen_versions += 1
            if not self._is_complete(version):
                self.gains.incomplete.append(version.version)
            elif not self.has_version(name):
                self._write_record(data)
                self.gains.versions += 1

    def has_version(self, name: str) -> bool:
        """Whether a version's record is on disk and whole, or was taken."""
        try:
            return name in self._versions or bool(self._archive.records.record(name))
        except CorruptEntryError:
            return False

    def _take_call(self, entry: Entry, size: int) -> None:
        self.gains.seen_calls += 1
        self._batch.append(entry)
        self._batch_bytes += size
        if len(self._batch) >= BATCH_CALLS or self._batch_bytes >= BATCH_BYTES:
            self.flush()

    def _count(self, entry: Entry) -> bool:
        """Counts what is new of a call; says whether anything is."""
        standing = self._standing(entry.key)
        known = {(attempt.digest, attempt.at) for attempt in standing.attempts} if standing is not None else set()
        new = [attempt for attempt in entry.attempts if (attempt.digest, attempt.at) not in known]
        self.gains.calls += standing is None
        for attempt in new:
            self.gains.add(attempt)
        return bool(new) or (entry.accepted is not None and standing is not None and standing.accepted is None)

    def _standing(self, key: str) -> Entry | None:
        try:
            return self._store.get(key)
        except CorruptEntryError:
            return None  # unite puts the new one in its place

    def _take_object(self, name: str, data: bytes) -> None:
        objects = self._archive.objects
        if not intact(objects, name):
            try:
                objects.place(name).unlink(missing_ok=True)  # a damaged one: put would leave it
                objects.put(data)
            except OSError as error:
                raise cache_unusable(self._directory, error) from error
            self.gains.objects += 1

    def _is_complete(self, version: Version) -> bool:
        try:
            self._wholeness.check(version)
        except CorruptEntryError:
            return False
        return True

    def _write_record(self, data: bytes) -> None:
        try:
            self._archive.records.add(data)
        except OSError as error:
            raise cache_unusable(self._directory, error) from error
