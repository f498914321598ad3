"""`cache pull`: fetches what a remote has and the cache lacks, pack by pack.

In rounds: of each call the best variant is taken first, since a response that stands is never displaced by a later one;
then the responses that other packs have of it. A pack that turns out damaged is left alone, and what it was to bring
is looked for elsewhere. Versions are taken last.
"""

import io
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256

from distill_build.cache.admission import intact
from distill_build.cache.bundle import read_bundle
from distill_build.cache.indexes import INDEXES, PACKS, Indexes, Variant
from distill_build.cache.intake import Intake
from distill_build.cache.packs import Index, damaged, gone
from distill_build.cache.remote import Remote
from distill_build.cache.transfers import at_once
from distill_build.engine.store import Store
from distill_build.errors import CorruptEntryError
from distill_build.versions.archive import Archive

WORKERS = 4
"""Downloads at once, each with a pack in memory."""
Plan = dict[str, set[str]]
"""Pack → keys and digests to take from it."""


@dataclass(slots=True)
class Pull:
    """One pull from `remote`, whose `indexes` were read.

    `packs` counts those fetched, `size` their bytes; `ahead` those that are still known to be needed. `damaged` are
    sentences about objects that could not be used.
    """

    remote: Remote
    indexes: Indexes
    store: Store
    archive: Archive
    intake: Intake
    packs: int = 0
    size: int = 0
    ahead: int = 0
    damaged: list[str] = field(default_factory=list)

    def run(self) -> None:
        """Takes what is lacking. Raises StorageError where the remote cannot be read or the cache not written."""
        self.damaged += sorted(self.indexes.damaged.values())
        seen_calls, seen_versions = len(self.indexes.calls), len(self.indexes.versions)
        for variants in self.indexes.calls.values():
            variants.sort(key=lambda each: each.rank)
        while plan := self._plan():
            self._take(plan)
        self.intake.take_versions()
        self.intake.gains.seen_calls, self.intake.gains.seen_versions = seen_calls, seen_versions
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

    def _plan(self) -> Plan:
        """What to take next; nothing where all is here, or cannot be had. Forgets what it will not look for again."""
        plan: Plan = defaultdict(set)
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

    def _next(self, key: str, variants: list[Variant]) -> str | None:
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
        return self.intake.has_version(name)

    def _take(self, plan: Plan) -> None:
        self.ahead = len(plan)
        for pack, fetched in at_once(sorted(plan), self._fetch, WORKERS):
            self.ahead -= 1
            try:
                data = fetched.result()
                self.packs += 1
                self.size += len(data)
                for record in read_bundle(io.BytesIO(data), self.remote.place(PACKS, pack)):
                    if record.name in plan[pack]:
                        self.intake.take(record)
            except CorruptEntryError as error:
                self.damaged.append(str(error))
            self.intake.flush()

    def _fetch(self, pack: str) -> bytes:
        data = self.remote.read(PACKS, pack)
        if sha256(data).hexdigest() != pack:
            raise damaged(self.remote.place(PACKS, pack))
        return data
