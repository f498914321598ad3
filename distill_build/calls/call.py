"""What a model call is, what it comes to, and what the store says of it.

A call has attempts: 0 is the request, 1… are re-asks. Stored attempts that could not be accepted are judged again,
since the reader of replies may have learned something.
"""

import hashlib
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Protocol

import msgspec

from distill_build.calls.pinned import PinnedResponses
from distill_build.engine.entry import Accepted, Entry
from distill_build.engine.reading import Responses
from distill_build.errors import CorruptEntryError
from distill_build.records import JsonObject, Path
from distill_build.replies.reply import Rejection


class Call(msgspec.Struct, frozen=True):
    """One request to a model, ready to be looked up or sent.

    `path` is the place it works for, topic first; `role` names the model that is asked. `read` turns a raw response, or
    the `Reply` that was read from one, into a JSON value to keep, or says why it cannot stand; `reading` is the digest
    of the settings that it goes by, empty where these are the usual. `body` is what attempt 0 sends.
    """

    stage: str
    path: Path
    key: str
    manifest: JsonObject
    read: Callable[[Any], "Rejection | Any"]
    role: str
    reading: str = ""

    @property
    def body(self) -> JsonObject:
        body: JsonObject = self.manifest["body"]
        return body


class Made(msgspec.Struct, frozen=True):
    """The call has an accepted reply. `response` is its digest; `asked` says whether this build asked for it."""

    value: Any
    response: str
    asked: bool


class Failed(msgspec.Struct, frozen=True):
    """No reply could be accepted in this build."""

    cause: str
    attempts: int
    detail: str


class Unasked(msgspec.Struct, frozen=True):
    """Nothing is stored, and a plan asks nobody."""


Result = Made | Failed | Unasked


class Ask(Protocol):
    """What the pipeline needs of the outside: a result for a call."""

    async def __call__(self, call: Call) -> Result: ...


Absent = Callable[[Call], Failed]
"""What becomes of a call that is not stored where nothing may be asked: a failure, or an error that is raised."""
HALTED = Failed("stopped", 0, "the build was stopped before this was asked: see its last message")


@lru_cache(1024)  # most requests of a build are the first sample of their place
def derived_seed(seed: int, sample: int, attempt: int) -> int:
    """The seed that an endpoint gets: one of its own for each sample and attempt, 31 bits."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{sample}:{attempt}".encode()).digest()[:4], "big") >> 1


def look_up(store: Responses, call: Call, *, anew: bool) -> Entry | None:
    """What is stored for `call`; nothing where that is damaged and the call is to be asked `anew`.

    Raises CorruptEntryError with the way to mend it.
    """
    try:
        return store.get(call.key)
    except CorruptEntryError as error:
        if anew:
            return None
        raise CorruptEntryError(
            f"{error}. `distill-build cache fsck` sets all damage aside; what it held comes back by cache pull or "
            "cache import, or from what the folder keeps, or is asked for again by the next build: "
            f"this is {call.stage} of {' / '.join(call.path)}"
        ) from error


def standing(call: Call, entry: Entry | None, pinned: PinnedResponses) -> Accepted | None:
    """What counts for `call` among its stored attempts: the pinned one, the accepted, or the first that can be read.

    What was accepted by another reading is read again.
    """
    if entry is None:
        return None
    if (place := pinned.place(entry)) is not None:
        value = call.read(entry.attempts[place].response)
        if not isinstance(value, Rejection):
            if entry.accepted is not None:
                pinned.others.add(entry.key)
            return Accepted(place, value, call.reading)
    if entry.accepted is not None and entry.accepted.reading == call.reading:
        return entry.accepted
    first = [] if entry.accepted is None else [entry.accepted.place]  # what stands by another reading
    for place in dict.fromkeys((*first, *range(len(entry.attempts)))):
        value = call.read(entry.attempts[place].response)
        if not isinstance(value, Rejection):
            return Accepted(place, value, call.reading)
    return None
