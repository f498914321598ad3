"""One stored call: its manifest, every attempt's response, and the attempt that was accepted.

An entry is written as a line with the SHA-256 of what follows, then JSON. Nothing is ever unpickled.
"""

import hashlib
import json
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from distill_build.engine.manifest import SCHEME
from distill_build.errors import CorruptEntryError, StorageError


@dataclass(frozen=True, slots=True)
class Attempt:
    """One response as it came. `index` counts from 0; `seconds` is the request's time; `at` is UTC, ISO 8601.

    `added` are the messages that a re-ask put behind the request's own.
    """

    index: int
    response: Any
    seconds: float
    at: str
    added: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Accepted:
    """The attempt that stands, by its place in `Entry.attempts`, and what was read from it."""

    place: int
    value: Any


@dataclass(frozen=True, slots=True)
class Entry:
    """All that is known of one call. `accepted` is None while every attempt was found wanting."""

    key: str
    manifest: Any
    attempts: tuple[Attempt, ...]
    accepted: Accepted | None = None

    def joined(self, later: "Entry", *, displace: bool) -> "Entry":
        """This entry with the attempts of `later`, a writer that came second, behind its own.

        What was accepted first stands, unless `displace` says that the later one was asked for anew. A later entry
        without attempts accepts one of those that are here.
        """
        attempts = self.attempts + later.attempts
        if later.accepted is None or (self.accepted is not None and not displace):
            return replace(self, attempts=attempts)
        before = len(self.attempts) if later.attempts else 0
        moved = replace(later.accepted, place=later.accepted.place + before)
        return replace(self, attempts=attempts, accepted=moved)


def encode(entry: Entry) -> bytes:
    """The stored form of an entry."""
    accepted = entry.accepted and {"place": entry.accepted.place, "value": entry.accepted.value}
    row = {
        "scheme": SCHEME,
        "manifest": entry.manifest,
        "attempts": [_attempt_row(attempt) for attempt in entry.attempts],
        "accepted": accepted,
    }
    body = _utf8(row)
    return hashlib.sha256(body).hexdigest().encode() + b"\n" + body


def decode(key: str, stored: object) -> Entry:
    """The entry behind its stored form.

    Raises CorruptEntryError where the bytes are not those that were written, StorageError for another scheme.
    """
    if not isinstance(stored, bytes) or stored[64:65] != b"\n":
        raise _corrupt(key)
    body = stored[65:]
    if hashlib.sha256(body).hexdigest().encode() != stored[:64]:
        raise _corrupt(key)
    row = _json(body)
    if row["scheme"] != SCHEME:
        raise StorageError(
            f"cache entry {key[:12]} has scheme {row['scheme']}, and this program knows scheme {SCHEME}: "
            "use the version of distill-build that wrote it, or another cache.dir"
        )
    accepted = row["accepted"] and Accepted(row["accepted"]["place"], row["accepted"]["value"])
    return Entry(key, row["manifest"], tuple(_attempt(attempt) for attempt in row["attempts"]), accepted)


def _json(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)  # a third of json's time
    except msgspec.DecodeError:  # what only json could write, see _utf8
        return json.loads(body)


def _utf8(row: dict[str, Any]) -> bytes:
    try:
        return msgspec.json.encode(row)  # a fifth of json's time
    except (UnicodeEncodeError, OverflowError):  # half a surrogate pair, or a number of more than 64 bits
        return json.dumps(row, separators=(",", ":")).encode()


def _attempt_row(attempt: Attempt) -> dict[str, Any]:
    row = {
        "index": attempt.index,
        "response": attempt.response,
        "seconds": attempt.seconds,
        "at": attempt.at,
    }
    return row | {"added": list(attempt.added)} if attempt.added else row


def _attempt(row: dict[str, Any]) -> Attempt:
    return Attempt(row["index"], row["response"], row["seconds"], row["at"], tuple(row.get("added", ())))


def _corrupt(key: str) -> CorruptEntryError:
    return CorruptEntryError(f"cache entry {key[:12]} is damaged: its bytes are not those that were written")
