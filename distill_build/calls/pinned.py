"""Which response to a call counts for one dataset: the one that it is pinned to, whatever else stands in the cache.

A call has several responses where it was asked for anew (--rebuild), or where two machines had asked. One of them
stands, for everybody; but a dataset that was made from another one keeps that, until its own --rebuild names it. So
does a build that is held to a lock: what the lock says can be made as long as the cache holds the responses.
"""

from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Protocol

import msgspec

from distill_build.engine.entry import Entry
from distill_build.engine.reading import Responses
from distill_build.errors import CorruptEntryError
from distill_build.records import Source

Renewed = Mapping[str, Collection[str]]
"""Id of a tag, or the topic's text → the stages whose calls below it a --rebuild was asking anew."""


class Sourced(Protocol):
    """A row that says what it was read from."""

    @property
    def id(self) -> str: ...

    @property
    def calls(self) -> Mapping[str, Iterable[Source]]: ...


class PinnedResponses(msgspec.Struct):
    """`responses` maps keys of calls to digests of responses, both as bytes: there are very many. `others` are calls
    for which one was used in place of another one that stands.

    `renewed` are calls that a --rebuild was asking anew when it was ended; what came of it after `since` (UTC, ISO
    8601) is paid for, and wanted.
    """

    responses: dict[bytes, bytes] = msgspec.field(default_factory=dict)
    others: set[str] = msgspec.field(default_factory=set)
    renewed: set[str] = msgspec.field(default_factory=set)
    since: str = ""

    def add(self, rows: Iterable[Sourced], renewed: Renewed = MappingProxyType({})) -> None:
        """Pins what items were read from, but for calls that are known already."""
        for row in rows:
            stages = renewed.get(row.id, ())
            for stage, sources in row.calls.items():
                for key, response in sources:
                    with suppress(ValueError):  # what is no digest names no response
                        self.responses.setdefault(bytes.fromhex(key), bytes.fromhex(response))
                if stage in stages:
                    self.renewed.update(key for key, _ in sources)

    def place(self, entry: Entry) -> int | None:
        """Where the pinned response lies among the attempts of `entry`; None where what stands counts."""
        found = self.responses.get(bytes.fromhex(entry.key)) if self.responses else None
        if found is None or (pinned := found.hex()) == entry.response or self.is_renewed(entry):
            return None
        return next((place for place, attempt in enumerate(entry.attempts) if attempt.digest == pinned), None)

    def displaced(self, key: str) -> None:
        """The call was asked for anew here, so what stands counts from now on."""
        self.responses.pop(bytes.fromhex(key), None)
        self.others.discard(key)

    def differ(self, store: Responses) -> bool:
        """Whether another response stands for any call that is pinned, of this build's items or not."""
        return bool(self.others) or any(self._is_other(key.hex(), store) for key in self.responses)

    def _is_other(self, key: str, store: Responses) -> bool:
        try:
            entry = store.get(key)
        except CorruptEntryError:
            return True  # what it held comes back by cache pull, or is asked for again
        return entry is not None and self.place(entry) is not None

    def is_renewed(self, entry: Entry) -> bool:
        """Whether a --rebuild that was ended had an answer to this call already."""
        accepted = entry.accepted
        return entry.key in self.renewed and accepted is not None and entry.attempts[accepted.place].at >= self.since
