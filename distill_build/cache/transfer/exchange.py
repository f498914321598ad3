"""`cache push` sends what a remote lacks, in packs; `cache pull` fetches what it has and the cache lacks.

Packs go first, each followed by its index; version records go last of all, so that no reader sees a version before what
it is made of. A killed push leaves at most a few packs without an index, and the next one sends those again.
What has an index counts as being there: only who pulls reads a pack, and says what to remove where it is damaged.

A pull goes in rounds: of each call the best variant is taken first, since a response that stands is never displaced by
a later one; then the responses that other packs have of it. A pack that turns out damaged is left alone, and what it
was to bring is looked for elsewhere. Versions are taken last.
"""

import io
from collections import defaultdict
from collections.abc import Iterable, Iterator
from hashlib import sha256

import msgspec

from distill_build.cache.transfer.bundle import Record, read_bundle
from distill_build.cache.transfer.importer import Importer
from distill_build.cache.transfer.packs import INDEXES, PACKS, Index, Indexes, Pack, PackedCall, damaged, gone, in_packs
from distill_build.cache.transfer.remote import Remote, at_once
from distill_build.cache.transfer.selection import Holdings
from distill_build.cache.validation import intact
from distill_build.engine.entry import Entry
from distill_build.engine.store import Store
from distill_build.errors import CorruptEntryError
from distill_build.records import JsonObject
from distill_build.versions.archive import Archive

UPLOADS = 4
"""Uploads at once, each with a pack in memory."""


class Sent(msgspec.Struct):
    """What a push sent. `size` is in bytes; `seen_calls` and `seen_versions` count what was to be there in the end."""

    calls: int = 0
    objects: int = 0
    versions: int = 0
    packs: int = 0
    size: int = 0
    seen_calls: int = 0
    seen_versions: int = 0

    def row(self) -> JsonObject:
        """The figures by name."""
        return {
            "sent": {"calls": self.calls, "versions": self.versions, "packs": self.packs, "bytes": self.size},
            "seen": {"calls": self.seen_calls, "versions": self.seen_versions},
        }


class Push(msgspec.Struct, frozen=True):
    """One push of `holdings` to `remote`, whose `indexes` were read."""

    holdings: Holdings
    remote: Remote
    indexes: Indexes
    sent: Sent = msgspec.field(default_factory=Sent)

    def run(self) -> Sent:
        """Sends what is lacking. Raises StorageError where the remote cannot be written."""
        for folder in (PACKS, INDEXES):
            self.remote.remove_abandoned(folder)
        self._send(in_packs(self._calls_and_objects()))
        self._send(in_packs(self._versions()))
        return self.sent

    def _calls_and_objects(self) -> Iterator[tuple[Record, Entry | None]]:
        for entry, record in self.holdings.calls():
            self.sent.seen_calls += 1
            if {attempt.digest for attempt in entry.attempts} - self.indexes.responses(record.name):
                yield record, entry
        for record in self.holdings.objects():
            if record.name not in self.indexes.objects:
                yield record, None

    def _versions(self) -> Iterator[tuple[Record, None]]:
        for record in self.holdings.versions():
            self.sent.seen_versions += 1
            if record.name not in self.indexes.versions:
                yield record, None

    def _send(self, packs: Iterable[Pack]) -> None:
        for pack, sent in at_once(packs, self._send_one, UPLOADS):
            self.indexes.damaged.pop(sent.result(), None)  # it was mended
            self._count(pack)

    def _send_one(self, pack: Pack) -> str:
        """Sends a pack and its index, in a thread of its own; returns the index's name."""
        self.remote.write(PACKS, pack.name, pack.data)
        name, data = pack.index_file()
        self.remote.write(INDEXES, name, data)
        return name

    def _count(self, pack: Pack) -> None:
        self.sent.packs += 1
        self.sent.size += len(pack.data)
        self.sent.calls += len(pack.index.calls)
        self.sent.objects += len(pack.index.objects)
        self.sent.versions += len(pack.index.versions)


DOWNLOADS = 4
"""Downloads at once, each with a pack in memory."""
Wanted = dict[str, set[str]]
"""Pack → keys and digests to take from it."""


class Pull(msgspec.Struct):
    """One pull from `remote`, whose `indexes` were read.

    `packs` counts those fetched, `size` their bytes; `ahead` those that are still known to be needed. `damaged` are
    sentences about objects that could not be used.
    """

    remote: Remote
    indexes: Indexes
    store: Store
    archive: Archive
    importer: Importer
    packs: int = 0
    size: int = 0
    ahead: int = 0
    damaged: list[str] = msgspec.field(default_factory=list)

    def run(self) -> None:
        """Takes what is lacking. Raises StorageError where the remote cannot be read or the cache not written."""
        self.damaged += sorted(self.indexes.damaged.values())
        seen_calls, seen_versions = len(self.indexes.calls), len(self.indexes.versions)
        for variants in self.indexes.calls.values():
            variants.sort(key=lambda each: each.rank)
        while plan := self._plan():
            self._take(plan)
        self.importer.take_versions()
        self.importer.gains.seen_calls, self.importer.gains.seen_versions = seen_calls, seen_versions
        for name, index in self._lacking():
            self.damaged.append(str(gone(self.remote.place(PACKS, index.pack), self.remote.place(INDEXES, name))))

    def _lacking(self) -> Iterator[tuple[str, Index]]:
        """The indexes, with their names, of packs that are gone whose content came from nowhere else."""
        for name, index in sorted(self.indexes.gone.items()):
            calls = all({each for each in names if each} <= self._responses(key) for key, names in index.calls.items())
            if not (
                calls and all(map(self._has_object, index.objects)) and all(map(self._has_version, index.versions))
            ):
                yield name, index

    def _plan(self) -> Wanted:
        """What to take next; nothing where all is here, or cannot be had. Forgets what it will not look for again."""
        plan: Wanted = defaultdict(set)
        for key, variants in list(self.indexes.calls.items()):
            if (pack := self._next(key, variants)) is not None:
                plan[pack].add(key)
            else:
                del self.indexes.calls[key]
        for names, is_here in ((self.indexes.objects, self._has_object), (self.indexes.versions, self._has_version)):
            for name, packs in list(names.items()):
                if packs and not is_here(name):
                    plan[packs.pop()].add(name)
                else:
                    del names[name]
        return plan

    def _next(self, key: str, variants: list[PackedCall]) -> str | None:
        """The pack with the best variant of a call, of those not tried, that has a response which is not here."""
        here = self._responses(key)
        while variants:
            variant = variants.pop()
            if variant.responses - here:
                return variant.pack
        return None

    def _responses(self, key: str) -> set[str]:
        try:
            entry = self.store.get(key)
        except CorruptEntryError:
            return set()  # the remote's takes its place
        return set() if entry is None else {attempt.digest for attempt in entry.attempts}

    def _has_object(self, name: str) -> bool:
        return intact(self.archive.objects, name)

    def _has_version(self, name: str) -> bool:
        return self.importer.has_version(name)

    def _take(self, plan: Wanted) -> None:
        self.ahead = len(plan)
        for pack, fetched in at_once(sorted(plan), self._fetch, DOWNLOADS):
            self.ahead -= 1
            try:
                data = fetched.result()
                self.packs += 1
                self.size += len(data)
                for record in read_bundle(io.BytesIO(data), self.remote.place(PACKS, pack)):
                    if record.name in plan[pack]:
                        self.importer.take(record)
            except CorruptEntryError as error:
                self.damaged.append(str(error))
            self.importer.flush()

    def _fetch(self, pack: str) -> bytes:
        data = self.remote.read(PACKS, pack)
        if sha256(data).hexdigest() != pack:
            raise damaged(self.remote.place(PACKS, pack))
        return data
