"""One stored call: its manifest, every attempt's response, and the attempt that was accepted.

An entry is written as a line with the SHA-256 of what follows, then JSON. Nothing is ever unpickled.
"""

import hashlib
import json
from typing import Any, TypeGuard

import msgspec
from msgspec.structs import replace

from distill_build.engine.manifest import SCHEME
from distill_build.errors import CorruptEntryError, StorageError


class Attempt(msgspec.Struct, frozen=True):
    """One response as it came. `index` counts from 0; `seconds` is the request's time; `at` is UTC, ISO 8601.

    `added` are the messages that a re-ask put behind the request's own; `usd` is what it cost by the prices of then,
    None where there were none. `digest` names the response wherever it lies: see `response_digest`. `anew` is the
    first of those that were asked for though a response stood.
    """

    index: int
    response: Any
    seconds: float
    at: str
    added: tuple[Any, ...] = ()
    usd: float | None = None
    digest: str = ""
    anew: bool = False

    def __post_init__(self) -> None:
        if not self.digest:
            msgspec.structs.force_setattr(self, "digest", response_digest(self.response))


class Accepted(msgspec.Struct, frozen=True):
    """The attempt that stands, by its place in `Entry.attempts`, and what was read from it.

    `reading` is the digest of the settings that it was read by, empty for the usual ones.
    """

    place: int
    value: Any
    reading: str = ""


class Entry(msgspec.Struct, frozen=True):
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

    def united(self, other: "Entry") -> "Entry":
        """This entry with what `other`, the same call in another cache, knows beside it.

        Nothing that stands is displaced: the other's accepted attempt counts only where this one has none.
        """
        known = {(attempt.digest, attempt.at) for attempt in self.attempts}
        new = tuple(attempt for attempt in other.attempts if (attempt.digest, attempt.at) not in known)
        attempts = self.attempts + new
        if self.accepted is not None or other.accepted is None:
            return replace(self, attempts=attempts)
        chosen = other.attempts[other.accepted.place]
        same = [(attempt.digest, attempt.at) for attempt in attempts]  # what else is said of it may differ
        place = same.index((chosen.digest, chosen.at))
        return replace(self, attempts=attempts, accepted=replace(other.accepted, place=place))

    @property
    def response(self) -> str:
        """The digest of the accepted response; empty where none is accepted."""
        return "" if self.accepted is None else self.attempts[self.accepted.place].digest


DIGEST_CHARACTERS = 16
"""64 bits of SHA-256: it tells apart the few responses of one call."""


def response_digest(response: Any) -> str:
    """The name of a response by its content, the same in every cache that holds it."""
    return hashlib.sha256(_utf8(response)).hexdigest()[:DIGEST_CHARACTERS]


def encode(entry: Entry) -> bytes:
    """The stored form of an entry."""
    accepted = entry.accepted and _accepted_row(entry.accepted)
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
    row = _row(key, stored)
    if row["scheme"] != SCHEME:
        raise StorageError(
            f"cache entry {key[:12]} has scheme {row['scheme']}, and this program knows scheme {SCHEME}: "
            "use the version of distill-build that wrote it, or another cache.dir"
        )
    accepted = row["accepted"] and Accepted(**row["accepted"])
    return Entry(key, row["manifest"], tuple(_attempt(attempt) for attempt in row["attempts"]), accepted)


def scheme_of(key: str, stored: object) -> int:
    """The scheme of a stored entry, whether it is known here or not.

    Raises CorruptEntryError where the bytes are not those that were written, or are no entry.
    """
    try:
        scheme = _row(key, stored)["scheme"]
    except (LookupError, TypeError, ValueError) as error:
        raise _corrupt(key) from error
    if type(scheme) is not int:
        raise _corrupt(key)
    return scheme


def is_intact(stored: object) -> TypeGuard[bytes]:
    """Whether these are bytes as they were written, whatever they say."""
    if not isinstance(stored, bytes) or stored[64:65] != b"\n":
        return False
    return hashlib.sha256(stored[65:]).hexdigest().encode() == stored[:64]


def _row(key: str, stored: object) -> Any:
    if not is_intact(stored):
        raise _corrupt(key)
    return _json(stored[65:])


def _json(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)  # a third of json's time
    except msgspec.DecodeError:  # what only json could write, see _utf8
        return json.loads(body)


def _utf8(row: Any) -> bytes:
    try:
        return msgspec.json.encode(row)  # a fifth of json's time
    except (UnicodeEncodeError, OverflowError):  # half a surrogate pair, or a number of more than 64 bits
        return json.dumps(row, separators=(",", ":")).encode()


def _accepted_row(accepted: Accepted) -> dict[str, Any]:
    row = {"place": accepted.place, "value": accepted.value}
    return row | {"reading": accepted.reading} if accepted.reading else row


def _attempt_row(attempt: Attempt) -> dict[str, Any]:
    row = {
        "index": attempt.index,
        "response": attempt.response,
        "seconds": attempt.seconds,
        "at": attempt.at,
        "digest": attempt.digest,
    }
    if attempt.usd is not None:
        row["usd"] = attempt.usd
    if attempt.anew:
        row["anew"] = True
    return row | {"added": list(attempt.added)} if attempt.added else row


def _attempt(row: dict[str, Any]) -> Attempt:
    added, digest = tuple(row.get("added", ())), row.get("digest", "")  # caches of version 0.1 hold no digests
    usd, anew = row.get("usd"), row.get("anew", False)
    return Attempt(row["index"], row["response"], row["seconds"], row["at"], added, usd, digest, anew)


def _corrupt(key: str) -> CorruptEntryError:
    return CorruptEntryError(f"cache entry {key[:12]} is damaged: its bytes are not those that were written")
