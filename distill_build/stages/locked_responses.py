"""The store as a locked version saw it: where a call has several responses, the one that the version used.

Another response may stand by now: one asked for anew (--rebuild), or one that another machine had first. What the
lock says can be made all the same, as long as the cache holds the response.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from distill_build.artefact_rows import SourcesRow
from distill_build.engine.entry import Entry
from distill_build.engine.reading import Responses
from distill_build.errors import CorruptEntryError
from distill_build.stages.dataset import SOURCES
from distill_build.versions.archive import Archive
from distill_build.versions.snapshot import lines_of


@dataclass(slots=True)
class LockedResponses:
    """A view of `store`; `used` maps keys of calls to the digests of the responses that the version used.

    `differs` says whether any entry that was read had another response standing.
    """

    store: Responses
    used: dict[str, str]
    differs: bool = False

    def get(self, key: str) -> Entry | None:
        """As the store's; an entry whose standing response is another one has the version's alone, still to be read."""
        entry = self.store.get(key)
        used = self.used.get(key)
        if entry is None or used is None or entry.response == used:
            return entry
        attempts = tuple(attempt for attempt in entry.attempts if attempt.digest == used)
        if not attempts:
            return entry
        self.differs = True
        return replace(entry, attempts=attempts[:1], accepted=None)

    def keys(self) -> Iterator[str]:
        """As the store's."""
        return self.store.keys()

    def size(self) -> tuple[int, int]:
        """As the store's."""
        return self.store.size()

    def close(self) -> None:
        """Closes the store."""
        self.store.close()


def as_locked(store: Responses, cache: Path, version: str) -> LockedResponses:
    """`store` as `version` saw it; as it is where the cache does not know the version, or its sources are damaged."""
    archive = Archive(cache)
    used: dict[str, str] = {}
    with suppress(CorruptEntryError):  # what stands by now may give the same version, and is compared with the lock
        record = archive.find(version)
        if record is not None and SOURCES in record.files:
            rows = map(msgspec.json.Decoder(SourcesRow).decode, lines_of(archive.objects, record.files[SOURCES]))
            used = {key: response for row in rows for key, response in (*row.requests, *row.answers)}
    return LockedResponses(store, used)
