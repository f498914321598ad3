"""The store as a locked version saw it: where a call has several responses, the one that the version used.

Another response may stand by now: one asked for anew (--rebuild), or one that another machine had first. What the
lock says can be made all the same, as long as the cache holds the response.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from distill_build.engine.entry import Entry
from distill_build.engine.reading import Responses
from distill_build.errors import CorruptEntryError
from distill_build.stages.used_responses import sources_of
from distill_build.versions.archive import Archive


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
    """`store` as `version` saw it; as it is where the cache does not know the version, or its sources are damaged.

    What stands by now may give the same version then, and is compared with the lock: `Locked` tells of the damage
    where it does not.
    """
    archive = Archive(cache)
    used: dict[str, str] = {}
    if (record := archive.find(version)) is not None:
        with suppress(CorruptEntryError):
            rows = sources_of(archive, record)
            used = {key: response for row in rows for key, response in (*row.requests, *row.answers)}
    return LockedResponses(store, used)
