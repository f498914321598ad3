"""A model call as a build action: look it up, or send it, store what comes, and judge it.

The one room where engine and models meet. A call has attempts: 0 is the request, 1… are re-asks. Stored attempts
that could not be accepted are judged again first, since the reader of replies may have learned something.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from glob import escape
from typing import Any, Protocol, cast

from distill_build.engine.entry import Accepted, Attempt, Entry
from distill_build.engine.ledger import Ledger
from distill_build.engine.reading import Responses
from distill_build.engine.store import Store
from distill_build.errors import (
    BudgetExceededError,
    CorruptEntryError,
    EndpointError,
    InterruptedBuildError,
)
from distill_build.models.base import ChatResponse, Model, ModelFailure, Prices
from distill_build.models.limits import stopped
from distill_build.records import JsonObject, Usage
from distill_build.settings import ROLE_OF_STAGE, Stage
from distill_build.stages.budget import Halt, Spending
from distill_build.stages.figures import estimated_tokens
from distill_build.stages.parse import Rejection, read_reply, read_usage
from distill_build.stages.prompts import Prompts
from distill_build.stages.recipe import Call, derived_seed
from distill_build.stages.sharing import Calls, Paid
from distill_build.stages.tally import Tally, price_of


@dataclass(frozen=True, slots=True)
class Made:
    """The call has an accepted reply. `response` is its digest; `asked` says whether this build asked for it."""

    value: Any
    response: str
    asked: bool


@dataclass(frozen=True, slots=True)
class Failed:
    """No reply could be accepted in this build."""

    cause: str
    attempts: int
    detail: str


@dataclass(frozen=True, slots=True)
class Unasked:
    """Nothing is stored, and a plan asks nobody."""


Result = Made | Failed | Unasked


class Ask(Protocol):
    """What the pipeline needs of the outside: a result for a call."""

    async def __call__(self, call: Call) -> Result: ...


@dataclass(frozen=True, slots=True)
class Seat:
    """A stage's model, by the name it is asked for, with what a call needs to know of it. `reasks` is per build."""

    name: str
    model: Model
    prices: Prices
    reasks: int
    structured: str
    prompts: Prompts


Absent = Callable[[Call], Failed]
"""What becomes of a call that is not stored where nothing may be asked: a failure, or an error that is raised."""
HALTED = Failed("stopped", 0, "the build was stopped before this was asked: see its last message")


def look_up(store: Responses, call: Call) -> Entry | None:
    """What is stored for `call`. Raises CorruptEntryError with the way to mend it."""
    try:
        return store.get(call.key)
    except CorruptEntryError as error:
        place = escape("/".join(call.path))
        raise CorruptEntryError(
            f"{error}. `distill-build cache fsck` sets all damage aside; what it held comes back by cache pull or "
            f"cache import, or is asked for again by the next build. For this one alone: --rebuild '{place}'"
        ) from error


def standing(call: Call, entry: Entry | None) -> Accepted | None:
    """What stands for `call` among its stored attempts: the accepted one, else the first that can be read now."""
    if entry is None:
        return None
    if entry.accepted is not None:
        return entry.accepted
    for place, attempt in enumerate(entry.attempts):
        value = call.read(attempt.response)
        if not isinstance(value, Rejection):
            return Accepted(place, value)
    return None


class Caller:
    """Asks models for what the store does not hold. Equal calls that are under way at once are sent once."""

    def __init__(
        self,
        store: Responses,
        seats: Mapping[Stage, Seat],
        *,
        tally: Tally,
        calls: Calls,
        spending: Spending,
        ledger: Ledger,
        anew: Callable[[Call], bool],
        absent: Absent | None,
        halt: Halt,
    ) -> None:
        """`calls` and `spending` may be shared with builds that run side by side; `tally` counts what is asked here.

        `anew` says which calls are to be asked again though they stand (--rebuild), `absent` what becomes of calls
        that are not stored where nothing may be asked; None where models are asked. A store that cannot be written
        needs one.
        """
        self.calls = calls
        self._store = store
        self._seats = seats
        self._tally = tally
        self._spending = spending
        self._ledger = ledger
        self._anew = anew
        self._absent = absent
        self._halt = halt
        self._ended = False
        self._flying: set[str] = set()

    def asks_no_more_anew(self) -> None:
        """From now on what stands is taken as it stands."""
        self._anew = lambda _: False

    def end(self) -> None:
        """Nothing more is sent, though it may wait for its turn already: an error has ended the build."""
        self._ended = True

    @property
    def stopped(self) -> bool:
        """Whether models may not be asked any more."""
        return self._ended or self._halt.reason is not None

    async def __call__(self, call: Call) -> Result:
        while (flight := self.calls.flights.get(call.key)) is not None:
            own = call.key in self._flying
            joined: Result = await asyncio.shield(flight)
            if joined is not HALTED or self._halt.reason is not None:
                self._tally.stages[call.stage].cached += isinstance(joined, Made) and not own
                return joined  # else another build, which asked for it, was stopped, and this one was not
        if (failed := self.calls.failed.get(call.key)) is not None:
            return cast(Failed, failed)
        entry = self._look_up(call)
        accepted = standing(call, entry)
        if accepted is None:
            return await self._fly(call, entry)
        if self._asks_anew(call):
            renewed = await self._fly(call, entry)
            return renewed if isinstance(renewed, Made) else self._stands(call, self._made(call, entry, accepted))
        if entry is not None and entry.accepted is None:  # an attempt that could not be read when it came
            await self._accept(call, accepted)
        self._tally.stages[call.stage].cached += 1
        return self._made(call, entry, accepted)

    async def _accept(self, call: Call, accepted: Accepted) -> None:
        """Keeps what could be read of a stored attempt only now; on a read-only disk each build reads it again."""
        if isinstance(self._store, Store):
            await self._store.put(Entry(call.key, call.manifest, (), accepted))

    async def put(self, entry: Entry, *, displace: bool) -> Entry:
        """Stores a response that has come."""
        assert isinstance(self._store, Store), "nothing is asked where nothing can be stored"  # noqa: S101
        return await self._store.put(entry, displace=displace)

    def verdict_on(self, call: Call, entry: Entry) -> Rejection | Accepted:
        """What an entry that another process wrote meanwhile says of the call."""
        accepted = standing(call, entry)
        if accepted is not None:
            return accepted
        value = call.read(entry.attempts[-1].response)
        assert isinstance(value, Rejection), "an attempt that can be read stands"  # noqa: S101
        return value

    def _asks_anew(self, call: Call) -> bool:
        return self._anew(call) and call.key not in self.calls.displaced and call.key not in self.calls.unrenewed

    def _stands(self, call: Call, made: Made) -> Made:
        """What was asked anew in vain. It is no failure: the item is there."""
        self.calls.failed.pop(call.key, None)
        self.calls.unrenewed.add(call.key)
        return made

    def _look_up(self, call: Call) -> Entry | None:
        try:
            return look_up(self._store, call)
        except CorruptEntryError:
            if self._anew(call):
                return None
            raise

    async def _fly(self, call: Call, entry: Entry | None) -> Result:
        """Asks, while others who want the same call wait for this one."""
        if self._halt.reason is not None:
            return HALTED
        if self._absent is not None:
            return self._absent(call)
        if self._ended:
            raise InterruptedBuildError("the build ended before this was asked")
        flight: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self.calls.flights[call.key] = flight
        self._flying.add(call.key)
        try:
            result = await self._ask(call, entry)
        except InterruptedBuildError:
            flight.set_result(HALTED)
            raise
        except BaseException as error:
            flight.set_exception(error)
            flight.exception()  # nobody may be waiting for it
            raise
        finally:
            del self.calls.flights[call.key]
            self._flying.discard(call.key)
        flight.set_result(result)
        if isinstance(result, Failed):
            if result is not HALTED:
                self.calls.failed[call.key] = result
        elif entry is not None and entry.accepted is not None:
            self.calls.displaced.add(call.key)
        return result

    async def _ask(self, call: Call, entry: Entry | None) -> Result:
        """One attempt after the other, until one is accepted or this build's re-asks are used up."""
        seat = self._seats[call.stage]
        last = Rejection("empty", "nothing was asked")
        for turn in range(1 + seat.reasks):
            attempt = _Attempt(self, call, entry, seat)
            try:
                entry, verdict = await attempt.send()
            except ModelFailure as failure:
                if failure.cause == "stopped" and self._halt.reason is None:
                    raise InterruptedBuildError("the build ended while this waited for its turn") from failure
                return HALTED if failure.cause == "stopped" else Failed(failure.cause, turn + 1, failure.detail)
            except EndpointError as error:
                raise self._of_role(call.stage, error) from error
            except BudgetExceededError as reached:
                self._halt.because(reached)
                return HALTED
            if isinstance(verdict, Accepted):
                self._count_answered(call, attempt)
                return self._made(call, entry, verdict, asked=not attempt.overtaken)
            last = verdict
        return Failed(last.cause, 1 + seat.reasks, last.detail)

    def _count_answered(self, call: Call, attempt: "_Attempt") -> None:
        counts = self._tally.stages[call.stage]
        if attempt.overtaken:
            counts.cached += 1
        else:
            counts.answered += 1

    def _of_role(self, stage: Stage, error: EndpointError) -> EndpointError:
        """The error with the role whose settings it speaks of, where the roles have models of their own."""
        if len({seat.name for seat in self._seats.values()}) == 1:
            return error
        role = ROLE_OF_STAGE[stage]
        return EndpointError(f"{error} (this is the {role}'s model: where model.… is named, set {role}.…)")

    def _made(self, call: Call, entry: Entry | None, accepted: Accepted, *, asked: bool = False) -> Made:
        assert entry is not None, "what stands was read from an entry"  # noqa: S101
        if self.calls.paid is not None:
            self.calls.paid[call.key] = paid_for(entry)
        return Made(accepted.value, entry.attempts[accepted.place].digest, asked)


def paid_for(entry: Entry) -> Paid:
    """What all responses of an entry have cost."""
    usages = [spent(entry.manifest["body"], attempt.response) for attempt in entry.attempts]
    costs = [attempt.usd for attempt in entry.attempts]
    return Paid(
        sum(usage.prompt_tokens for usage in usages),
        sum(usage.completion_tokens for usage in usages),
        None if None in costs else sum(cost for cost in costs if cost is not None),
    )


class _Overtaken(Exception):  # noqa: N818 - no error: another process was sooner
    """The call was answered by another process while this one waited for a slot."""

    def __init__(self, entry: Entry) -> None:
        super().__init__(entry.key)
        self.entry = entry


class _Attempt:
    """One request of a call, from its body to the stored and judged response.

    `overtaken` says that another process had an answer before this was sent.
    """

    def __init__(self, caller: Caller, call: Call, entry: Entry | None, seat: Seat) -> None:
        self._caller = caller
        self._call = call
        self._seat = seat
        self._index = len(entry.attempts) if entry is not None else 0
        self._added = _reask_messages(call, entry, seat) if entry is not None else ()
        self._outcome: tuple[Entry, Rejection | Accepted] | None = None
        self.overtaken = False

    async def send(self) -> tuple[Entry, Rejection | Accepted]:
        """The entry as it stands afterwards, with the verdict on this attempt. Raises ModelFailure."""
        try:
            await self._seat.model.complete(self._body(), permit=self._permit, keep=self._keep)
        except _Overtaken as overtaken:
            self.overtaken = True
            return overtaken.entry, self._caller.verdict_on(self._call, overtaken.entry)
        if self._outcome is None:
            raise AssertionError("a model ended a request without a response and without a failure")
        return self._outcome

    def _permit(self) -> None:
        """Lets the request go, unless the budget is spent or another process has had an answer meanwhile."""
        if self._caller.stopped:
            raise stopped()
        if not self._caller._anew(self._call):
            entry = self._caller._store.get(self._call.key)
            if entry is not None and len(entry.attempts) > self._index:
                raise _Overtaken(entry)
        self._caller._spending.permit()

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
        if entry.accepted is not None and (isinstance(verdict, Accepted) or not self._caller._anew(self._call)):
            verdict = entry.accepted  # ours, or that of another process which came first
        self._outcome = entry, verdict
        self._report(response, verdict)

    async def _store_it(self, response: ChatResponse, verdict: Rejection | Accepted) -> Entry:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        usage = spent(self._call.body, response.raw)
        usd = price_of(usage.prompt_tokens, usage.completion_tokens, self._seat.prices)
        seconds = round(response.seconds, 3)
        attempt = Attempt(self._index, response.raw, seconds, now, tuple(self._added), usd)
        accepted = verdict if isinstance(verdict, Accepted) else None
        entry = Entry(self._call.key, self._call.manifest, (attempt,), accepted)
        return await self._caller.put(entry, displace=self._caller._anew(self._call))

    def _report(self, response: ChatResponse, verdict: Rejection | Accepted) -> None:
        usage = spent(self._call.body, response.raw)
        self._caller._tally.stages[self._call.stage].spend(usage, self._seat.prices, response.seconds)
        usd = price_of(usage.prompt_tokens, usage.completion_tokens, self._seat.prices)
        self._caller._spending.add(usage.prompt_tokens + usage.completion_tokens, usd)
        self._caller._ledger.write(
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
