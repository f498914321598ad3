"""What a remote is made of: packs, which are small bundles, and for each pack an index that says what is in it.

    packs/<SHA-256 of the file>.gz       calls, objects and version records: see `transfer.bundle`
    indexes/<SHA-256 of the file>.gz     one JSON object: an `Index`

Nothing there is ever changed, so who writes twice writes the same. A pack counts only once its index is there, which is
written after it; what all indexes say together tells which pack holds what.
"""

import gzip
import io
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import Annotated, Final, Literal, NamedTuple

import msgspec

from distill_build.cache.transfer.bundle import RECORD_BYTES, BundleWriter, Record
from distill_build.cache.transfer.remote import Remote, at_once
from distill_build.engine.entry import Entry
from distill_build.errors import CorruptEntryError

PACK_BYTES = 16 << 20
"""Before compression: 2 to 5 MB of text as it travels, which is what a killed push sends again."""
LARGEST_PACK = PACK_BYTES + RECORD_BYTES + (1 << 20)
"""No pack's file has more bytes: it is full after the record that reaches PACK_BYTES, and gzip adds next to nothing."""
INDEX_BYTES = 2 * PACK_BYTES
"""No index has more, compressed or not: it says less of a record than the record itself takes."""
INDEX_FORMAT: Final = "distill-build index"
INDEX_SCHEME = 1


Digest = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]


class Index(msgspec.Struct, frozen=True, kw_only=True):
    """What is in the pack named `pack`, a file of `size` bytes.

    `calls` maps keys to the digests of their responses, the accepted one first, or "" where none is. `objects` and
    `versions` are digests.
    """

    pack: Digest
    size: Annotated[int, msgspec.Meta(ge=0, le=LARGEST_PACK)]
    calls: dict[str, Annotated[list[str], msgspec.Meta(min_length=1)]]
    objects: list[Digest]
    versions: list[Digest]
    format: Literal["distill-build index"] = INDEX_FORMAT
    scheme: int = INDEX_SCHEME


class Pack(msgspec.Struct, frozen=True):
    """A pack and its index, as files."""

    name: str
    data: bytes
    index: Index

    def index_file(self) -> tuple[str, bytes]:
        """The index's digest and bytes."""
        data = gzip.compress(msgspec.json.encode(self.index), mtime=0)
        return sha256(data).hexdigest(), data


def in_packs(records: Iterable[tuple[Record, Entry | None]]) -> Iterator[Pack]:
    """Records, calls with their entries, as packs. The same records give the same packs."""
    pack = _OpenPack()
    for record, entry in records:
        pack.put(record, entry)
        if pack.size >= PACK_BYTES:
            yield pack.finished()
            pack = _OpenPack()
    if pack.count:
        yield pack.finished()


def responses_of(entry: Entry) -> list[str]:
    """What an index says of a call."""
    others = {attempt.digest for attempt in entry.attempts} - {entry.response}
    return [entry.response, *sorted(others)]


class _OpenPack:
    def __init__(self) -> None:
        self._file = io.BytesIO()
        self._bundle = BundleWriter(self._file)
        self._calls: dict[str, list[str]] = {}
        self._names: dict[str, list[str]] = {"object": [], "version": []}

    @property
    def size(self) -> int:
        return self._bundle.size

    @property
    def count(self) -> int:
        return self._bundle.count

    def put(self, record: Record, entry: Entry | None) -> None:
        self._bundle.put(record)
        if entry is not None:
            self._calls[record.name] = responses_of(entry)
        else:
            self._names[record.kind].append(record.name)

    def finished(self) -> Pack:
        self._bundle.close()
        data = self._file.getvalue()
        name, (objects, versions) = sha256(data).hexdigest(), self._names.values()
        index = Index(pack=name, size=len(data), calls=self._calls, objects=objects, versions=versions)
        return Pack(name, data, index)


class _IndexHead(msgspec.Struct):
    format: str
    scheme: int


def decode_index(name: str, data: bytes, place: str) -> Index:
    """The index that lies at `place`, called `name`. Raises CorruptEntryError for a damaged one, or another scheme."""
    if sha256(data).hexdigest() != name:
        raise damaged(place)
    try:
        text = _inflated(data)
        head = msgspec.json.decode(text, type=_IndexHead)
        if head.format == INDEX_FORMAT and head.scheme != INDEX_SCHEME:
            raise CorruptEntryError(
                f"{place} has scheme {head.scheme}, and this program knows scheme {INDEX_SCHEME}: use the version of "
                "distill-build that wrote it"
            )
        return msgspec.json.decode(text, type=Index)
    except (zlib.error, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise no_index(place) from error


def _inflated(data: bytes) -> bytes:
    """One gzip member's content. Raises zlib.error where it is none, cut off, or too large to be an index."""
    inflate = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)  # 16: gzip's header and checksum
    text = inflate.decompress(data, INDEX_BYTES)
    if not inflate.eof or inflate.unused_data:
        raise zlib.error("not one whole member of an index's size")
    return text


def no_index(place: str) -> CorruptEntryError:
    """The sentence for something that lies among the indexes."""
    return CorruptEntryError(f"{place} is no index of distill-build: remove it there")


def damaged(place: str) -> CorruptEntryError:
    """The sentence for an object whose bytes are not those it is named by."""
    return CorruptEntryError(
        f"{place} is damaged: remove it there, then send what it held again by cache push from a cache that has it"
    )


def gone(place: str, index: str) -> CorruptEntryError:
    """The sentence for a pack that lies no longer at `place`, where only the one at `index` tells what it held."""
    return CorruptEntryError(
        f"{place} is gone or cut off: send what it held again by cache push from a cache that has it; if none has, "
        f"remove {index} too"
    )


PACKS, INDEXES = "packs", "indexes"
READERS = 8
"""Indexes read at once: they are small."""


class PackedCall(NamedTuple):
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


class Indexes(msgspec.Struct):
    """`calls` has the variants of each key, `objects` and `versions` the packs that hold each digest.

    `damaged` maps indexes that cannot be used to the reason; `gone` has those whose packs are not there, or cut off.
    What these speak of does not count as being there.
    """

    calls: dict[str, list[PackedCall]] = msgspec.field(default_factory=lambda: defaultdict(list))
    objects: dict[str, list[str]] = msgspec.field(default_factory=lambda: defaultdict(list))
    versions: dict[str, list[str]] = msgspec.field(default_factory=lambda: defaultdict(list))
    damaged: dict[str, str] = msgspec.field(default_factory=dict)
    gone: dict[str, Index] = msgspec.field(default_factory=dict)

    def responses(self, key: str) -> set[str]:
        """The digests of all responses of a call that are there."""
        return set[str]().union(*(variant.responses for variant in self.calls.get(key, ())))

    def is_empty(self) -> bool:
        """Whether nothing was ever sent there."""
        return not (self.calls or self.objects or self.versions or self.damaged or self.gone)

    def add(self, index: Index) -> None:
        """Takes in what an index says."""
        for key, listed in index.calls.items():
            self.calls[key].append(PackedCall(index.pack, tuple(listed)))
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
