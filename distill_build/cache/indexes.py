"""What all indexes of a remote say together: which pack holds what."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from distill_build.cache.packs import INDEX_BYTES, Index, decode_index, no_index
from distill_build.cache.remote import Remote
from distill_build.cache.transfers import at_once
from distill_build.errors import CorruptEntryError

PACKS, INDEXES = "packs", "indexes"
READERS = 8
"""Indexes read at once: they are small."""


class Variant(NamedTuple):
    """A call as one pack holds it. `listed` is what the index says: see `Index`. There are very many."""

    pack: str
    listed: tuple[str, ...]

    @property
    def accepted(self) -> str:
        """The digest of the response that stands there, empty where none does."""
        return self.listed[0]

    @property
    def responses(self) -> set[str]:
        """The digests of all responses."""
        return {digest for digest in self.listed if digest}

    @property
    def rank(self) -> tuple[int, bool, str, str]:
        """Best last. Who knows more responses made its choice later: a --rebuild is better than what it displaced."""
        return len(self.responses), bool(self.accepted), self.accepted, self.pack


@dataclass(slots=True)
class Indexes:
    """`calls` has the variants of each key, `objects` and `versions` the packs that hold each digest.

    `damaged` maps indexes that cannot be used to the reason; `gone` has those whose packs are not there, or cut off.
    What these speak of does not count as being there.
    """

    calls: dict[str, list[Variant]] = field(default_factory=lambda: defaultdict(list))
    objects: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    versions: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    damaged: dict[str, str] = field(default_factory=dict)
    gone: dict[str, Index] = field(default_factory=dict)

    def responses(self, key: str) -> set[str]:
        """The digests of all responses of a call that are there."""
        return set[str]().union(*(variant.responses for variant in self.calls.get(key, ())))

    def is_empty(self) -> bool:
        """Whether nothing was ever sent there."""
        return not (self.calls or self.objects or self.versions or self.damaged or self.gone)

    def add(self, index: Index) -> None:
        """Takes in what an index says."""
        for key, listed in index.calls.items():
            self.calls[key].append(Variant(index.pack, tuple(listed)))
        for name in index.objects:
            self.objects[name].append(index.pack)
        for name in index.versions:
            self.versions[name].append(index.pack)


def read_indexes(remote: Remote) -> Indexes:
    """All indexes of a remote. Raises StorageError where it cannot be read."""
    indexes, found = Indexes(), list(_read_all(remote))
    packs = remote.names(PACKS)  # after the indexes: who pushes meanwhile writes a pack before its index
    for name, read in found:
        if isinstance(read, CorruptEntryError):
            indexes.damaged[name] = str(read)
        elif packs.get(read.pack) != read.size:
            indexes.gone[name] = read
        else:
            indexes.add(read)
    return indexes


def _read_all(remote: Remote) -> Iterator[tuple[str, Index | CorruptEntryError]]:
    sizes = remote.names(INDEXES)

    def read(name: str) -> Index | CorruptEntryError:
        place = remote.place(INDEXES, name)
        if sizes[name] > INDEX_BYTES:
            return no_index(place)
        data = remote.read(INDEXES, name)
        try:
            return decode_index(name, data, place)
        except CorruptEntryError as error:
            return error

    for name, index in at_once(sorted(sizes), read, READERS):
        yield name, index.result()
