"""`cache push`: sends what a remote lacks, in packs.

Packs go first, each followed by its index; version records go last of all, so that no reader sees a version before what
it is made of. A killed push leaves at most a few packs without an index, and the next one sends those again.
What has an index counts as being there: only who pulls reads a pack, and says what to remove where it is damaged.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from distill_build.cache.bundle import Record
from distill_build.cache.indexes import INDEXES, PACKS, Indexes
from distill_build.cache.packs import Pack, in_packs
from distill_build.cache.remote import Remote
from distill_build.cache.selection import Holdings
from distill_build.cache.transfers import at_once
from distill_build.engine.entry import Entry
from distill_build.records import JsonObject

WORKERS = 4
"""Uploads at once, each with a pack in memory."""


@dataclass(slots=True)
class Sent:
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


@dataclass(frozen=True, slots=True)
class Push:
    """One push of `holdings` to `remote`, whose `indexes` were read."""

    holdings: Holdings
    remote: Remote
    indexes: Indexes
    sent: Sent = field(default_factory=Sent)

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
        for pack, sent in at_once(packs, self._send_one, WORKERS):
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
