"""Which part of a cache is carried elsewhere: all of it, or some versions with the calls they were read from."""

from collections.abc import Iterable, Iterator

import msgspec
from msgspec.structs import replace

from distill_build.cache.transfer.bundle import Record
from distill_build.cache.validation import objects_of, validated_call, validated_object
from distill_build.engine.entry import Entry, encode
from distill_build.engine.reading import ReadOnlyStore
from distill_build.errors import CorruptEntryError
from distill_build.history.used_responses import Sources
from distill_build.versions.archive import Archive, Version


class Selection(msgspec.Struct, frozen=True):
    """`versions` are digests of records. `responses` maps the calls wanted to the responses used, None wants all.

    `exact`: one version is wanted, with just the responses that it was read from.
    """

    versions: tuple[str, ...]
    responses: dict[str, set[str]] | None = None
    exact: bool = False


class Losses(msgspec.Struct):
    """What was wanted and could not be carried: calls by key, objects and versions by digest."""

    missing: list[str] = msgspec.field(default_factory=list)
    damaged: list[str] = msgspec.field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.missing or self.damaged)

    def sentence(self, done: str) -> str:
        """What is lacking in what was `done`: "written", "sent"."""
        parts = []
        if self.missing:
            parts.append(
                f"of the responses that the versions were read from, {len(self.missing):,} can no longer be found"
            )
        if self.damaged:
            parts.append(f"damaged parts: {len(self.damaged):,}, the first is {self.damaged[0]}")
        return (
            f"{done}, but not whole: {'; '.join(parts)}. `distill-build cache fsck` says which items that "
            "hits; a cache that still has them can bring them by cache import or cache pull"
        )


def whole_cache(archive: Archive) -> Selection:
    """All there is."""
    return Selection(tuple(archive.records.digests()))


def of_versions(archive: Archive, wanted: Iterable[Version], *, exact: bool) -> Selection:
    """Some versions. Raises CorruptEntryError where it cannot be read which responses they used."""
    versions = list(wanted)
    records = tuple(digest for digest, version in archive.records.readable() if version in versions)
    responses: dict[str, set[str]] = {}
    sources = Sources(archive)
    for version in versions:
        for row in sources.of(version):
            for key, response in row.responses:
                responses.setdefault(key, set()).add(response)
    return Selection(records, responses, exact)


class Holdings(msgspec.Struct, frozen=True):
    """What a selection comes to in one cache. What is damaged or gone is left out and named in `losses`."""

    selection: Selection
    store: ReadOnlyStore
    archive: Archive
    losses: Losses = msgspec.field(default_factory=Losses)
    _intact: set[str] = msgspec.field(default_factory=set)

    def calls(self) -> Iterator[tuple[Entry, Record]]:
        """The calls: of a whole cache oldest first, of versions in the order of their trees."""
        keys = self.store.keys() if self.selection.responses is None else iter(self.selection.responses)
        for key in keys:
            try:
                found = self._call(key)
            except CorruptEntryError:
                self.losses.damaged.append(f"call {key[:12]}")
                continue
            if found is not None:
                yield found

    def objects(self) -> Iterator[Record]:
        """What the versions are made of, each object once."""
        for name in dict.fromkeys(name for _, names in self._whole_versions() for name in names):
            yield Record("object", name, validated_object(name, self.archive.objects.get(name)))

    def versions(self) -> Iterator[Record]:
        """The records of the versions whose objects are all there."""
        for digest, _ in self._whole_versions():
            yield Record("version", digest, self.archive.records.data(digest))

    def _call(self, key: str) -> tuple[Entry, Record] | None:
        stored = self.store.stored(key)
        if stored is None and self.selection.responses is not None:
            self.losses.missing.append(key)
            return None
        entry = validated_call(key, stored)
        used = self.selection.responses[key] if self.selection.responses is not None else set()
        if used - {attempt.digest for attempt in entry.attempts}:
            self.losses.missing.append(key)
        if self.selection.exact and entry.response not in used:
            entry = _as_used(entry, used)
            return (entry, Record("call", key, encode(entry))) if entry.attempts else None
        assert isinstance(stored, bytes), "it was admitted"  # noqa: S101
        return entry, Record("call", key, stored)

    def _whole_versions(self) -> Iterator[tuple[str, list[str]]]:
        """Each version with its objects."""
        for digest in self.selection.versions:
            try:
                names = list(objects_of(self.archive.objects, self.archive.records.record(digest)))
                for name in set(names) - self._intact:
                    self.archive.objects.get(name)
                    self._intact.add(name)
            except CorruptEntryError:
                if (loss := f"version record {digest[:12]}") not in self.losses.damaged:
                    self.losses.damaged.append(loss)
            else:
                yield digest, names


def _as_used(entry: Entry, used: set[str]) -> Entry:
    """A call with the responses that a version was read from alone, since another one stands by now.

    None of them is accepted: whoever reads it next accepts the first that can be read.
    """
    return replace(entry, attempts=tuple(each for each in entry.attempts if each.digest in used), accepted=None)
