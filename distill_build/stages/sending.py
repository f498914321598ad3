"""One request of a call: from its body to the response, stored, judged and counted.

The one room where engine and models meet. A response is stored before anything else is done with it, whatever reading
it brings.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from distill_build.engine.claims import Claims
from distill_build.engine.entry import Accepted, Attempt, Entry
from distill_build.engine.ledger import Ledger
from distill_build.engine.reading import Responses
from distill_build.engine.store import Store
from distill_build.models.base import ChatResponse, Model, Prices
from distill_build.models.limits import stopped
from distill_build.records import JsonObject, Usage
from distill_build.replies.parse import Rejection, read_reply, read_usage
from distill_build.stages.budget import Spending
from distill_build.stages.call import standing
from distill_build.stages.figures import estimated_tokens
from distill_build.stages.held_responses import HeldResponses
from distill_build.stages.prompts import Prompts
from distill_build.stages.recipe import Call, derived_seed
from distill_build.stages.tally import Tally, price_of

SHORTEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.05, 1.0
"""Between looks at what another process is asking for."""


@dataclass(frozen=True, slots=True)
class Seat:
    """A stage's model, by the name it is asked for, with what a call needs to know of it.

    `role` is whose node it stands in. `reasks` is per build; `timeout_s` is how many seconds one request may take.
    """

    role: str
    name: str
    model: Model
    prices: Prices
    reasks: int
    structured: str
    prompts: Prompts
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Books:
    """Where a build enters what it asks for. `spending` may be that of several builds.

    `waiting` is told of each call that waits for another process.
    """

    store: Responses
    tally: Tally
    spending: Spending
    ledger: Ledger
    waiting: Callable[[], None]

    async def put(self, entry: Entry, *, displace: bool) -> Entry:
        """Stores a response that has come; see `Store.put`."""
        assert isinstance(self.store, Store), "nothing is asked where nothing can be stored"  # noqa: S101
        return await self.store.put(entry, displace=displace)

    @property
    def claims(self) -> Claims:
        """What this process is asking for."""
        assert isinstance(self.store, Store), "nothing is asked where nothing can be stored"  # noqa: S101
        return self.store.claims


class _Overtaken(Exception):  # noqa: N818 - no error: another process was sooner
    """The call was answered by another process while this one waited."""

    def __init__(self, entry: Entry) -> None:
        super().__init__(entry.key)
        self.entry = entry


class _Claimed(Exception):  # noqa: N818 - no error: another process is at it
    """Another process that shares the cache is asking for the call."""


class Sending:
    """One request of a call, from its body to the stored and judged response.

    `overtaken` says that another process had an answer before this was sent.
    """

    def __init__(
        self,
        call: Call,
        entry: Entry | None,
        seat: Seat,
        books: Books,
        *,
        displace: bool,
        first: bool,
        ended: Callable[[], bool],
    ) -> None:
        """`entry` is what is stored already; with `displace` the response takes the place of what stands.

        `first` is for a request that no other of this build preceded; `ended` says whether nothing may be sent any
        more.
        """
        self._call = call
        self._seat = seat
        self._books = books
        self._displace = displace
        self._anew = first and displace and entry is not None and entry.accepted is not None
        self._ended = ended
        self._index = len(entry.attempts) if entry is not None else 0
        self._added = _reask_messages(call, entry, seat) if entry is not None else ()
        self._patience_s = 0.0 if displace else seat.timeout_s  # who asks anew wants an answer of its own
        self._outcome: tuple[Entry, Rejection | Accepted] | None = None
        self.overtaken = False

    async def send(self) -> tuple[Entry, Rejection | Accepted]:
        """The entry as it stands afterwards, with the verdict on this attempt. Raises ModelFailure."""
        try:
            while self._outcome is None:
                await self._until_free()
                with suppress(_Claimed):
                    await self._seat.model.complete(self._body(), permit=self._permit, keep=self._keep)
                    assert self._outcome is not None, "a request ends with a response or a failure"  # noqa: S101
        except _Overtaken as overtaken:
            self.overtaken = True
            return overtaken.entry, _verdict_on(self._call, overtaken.entry)
        return self._outcome

    async def _until_free(self) -> None:
        """Waits outside the model's slot for another process's answer or end, in all as long as a request may take.

        That process may be stopped and not ended, or wait for another endpoint, and a third one may be answered
        sooner. Two whose requests fail in turns would wait for each other for ever, so no wait begins its time anew.
        """
        pause_s = SHORTEST_PAUSE_SECONDS
        while self._patience_s > 0 and self._books.claims.is_taken(self._call.key):
            self._books.waiting()
            await asyncio.sleep(pause_s)
            self._patience_s, pause_s = self._patience_s - pause_s, min(2 * pause_s, LONGEST_PAUSE_SECONDS)
            self._require_unanswered()

    @contextmanager
    def _permit(self) -> Iterator[None]:
        """Claims the call for one request, unless the budget is spent or another process has or wants an answer."""
        if not self._books.claims.take(self._call.key) and self._patience_s > 0:
            raise _Claimed
        try:
            self._require_unanswered()
            self._books.spending.permit()
            yield
        finally:
            self._books.claims.release(self._call.key)

    def _require_unanswered(self) -> None:
        """Raises _Overtaken, or ModelFailure("stopped") where nothing may be sent any more."""
        if self._ended():
            raise stopped()
        if not self._displace:
            entry = self._books.store.get(self._call.key)
            if entry is not None and len(entry.attempts) > self._index:
                raise _Overtaken(entry)

    def _body(self) -> JsonObject:
        if self._index == 0:
            return self._call.body
        body = dict(self._call.body)
        body["messages"] = [*body["messages"], *self._added]
        if "seed" in body:
            manifest = self._call.manifest
            body["seed"] = derived_seed(manifest["seed"], manifest["sample"], self._index)
        return body

    async def _keep(self, response: ChatResponse) -> None:
        """Stores the response, whatever reading it brings, and then goes by what stands in the store."""
        verdict: Rejection | Accepted = Rejection("invalid", "the reply could not be read")
        try:
            value = self._call.read(response.raw)
            verdict = value if isinstance(value, Rejection) else Accepted(0, value)
        finally:
            entry = await self._store_it(response, verdict)
        if entry.accepted is not None and (isinstance(verdict, Accepted) or not self._displace):
            verdict = entry.accepted  # ours, or that of another process which came first
        self._outcome = entry, verdict
        self._report(response, verdict)

    async def _store_it(self, response: ChatResponse, verdict: Rejection | Accepted) -> Entry:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        usage = spent(self._call.body, response.raw)
        usd = price_of(usage.prompt_tokens, usage.completion_tokens, self._seat.prices)
        seconds = round(response.seconds, 3)
        attempt = Attempt(self._index, response.raw, seconds, now, tuple(self._added), usd, anew=self._anew)
        accepted = verdict if isinstance(verdict, Accepted) else None
        entry = Entry(self._call.key, self._call.manifest, (attempt,), accepted)
        return await self._books.put(entry, displace=self._displace)

    def _report(self, response: ChatResponse, verdict: Rejection | Accepted) -> None:
        usage = spent(self._call.body, response.raw)
        self._books.tally.stages[self._call.stage].spend(usage, self._seat.prices, response.seconds)
        usd = price_of(usage.prompt_tokens, usage.completion_tokens, self._seat.prices)
        self._books.spending.add(usage.prompt_tokens + usage.completion_tokens, usd)
        self._books.ledger.write(
            "response",
            stage=self._call.stage,
            path=self._call.path,
            call=self._call.key,
            attempt=self._index,
            verdict=verdict.cause if isinstance(verdict, Rejection) else "accepted",
            seconds=round(response.seconds, 3),
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
        )


def _verdict_on(call: Call, entry: Entry) -> Rejection | Accepted:
    """What an entry that another process wrote meanwhile says of the call."""
    accepted = standing(call, entry, HeldResponses())
    if accepted is not None:
        return accepted
    value = call.read(entry.attempts[-1].response)
    assert isinstance(value, Rejection), "an attempt that can be read stands"  # noqa: S101
    return value


def spent(body: JsonObject, raw: Any) -> Usage:
    """The tokens of a response: as the endpoint counts them, or by the text where it counts none.

    A budget must hold there too.
    """
    usage = read_usage(raw)
    if usage.prompt_tokens or usage.completion_tokens:
        return usage
    reply = read_reply(raw)
    text = "" if isinstance(reply, Rejection) else f"{reply.reasoning or ''}{reply.content}"
    return Usage(round(estimated_tokens(body["messages"])), round(estimated_tokens([{"content": text}])))


def _reask_messages(call: Call, entry: Entry, seat: Seat) -> tuple[JsonObject, ...]:
    """Shows the model its last reply and what was wrong with it, where that is something it can mend."""
    last = entry.attempts[-1]
    verdict = call.read(last.response)
    if not isinstance(verdict, Rejection) or verdict.cause != "invalid":
        return ()
    reply = read_reply(last.response)
    content = "" if isinstance(reply, Rejection) else reply.content
    reask = seat.prompts.render("reask", error=verdict.detail, structured=seat.structured)
    return ({"role": "assistant", "content": content}, *reask) if content else tuple(reask)
