"""Asks models for what the store does not hold, and takes what it does."""

import asyncio
from collections.abc import Callable, Mapping
from typing import cast

from distill_build.engine.entry import Accepted, Entry
from distill_build.engine.store import Store
from distill_build.errors import (
    BudgetExceededError,
    CorruptEntryError,
    EndpointError,
    InterruptedBuildError,
)
from distill_build.models.base import ModelFailure
from distill_build.replies.parse import Rejection
from distill_build.settings import Stage
from distill_build.stages.budget import Halt
from distill_build.stages.call import HALTED, Absent, Failed, Made, Result, look_up, standing
from distill_build.stages.held_responses import HeldResponses
from distill_build.stages.recipe import Call
from distill_build.stages.sending import Books, Seat, Sending, spent
from distill_build.stages.sharing import Calls, Paid


class Caller:
    """Asks models for what the store does not hold. Equal calls that are under way at once are sent once."""

    def __init__(
        self,
        books: Books,
        held: HeldResponses,
        seats: Mapping[Stage, Seat],
        *,
        calls: Calls,
        anew: Callable[[Call], bool],
        absent: Absent | None,
        halt: Halt,
    ) -> None:
        """`calls` may be shared with builds that run side by side.

        `anew` says which calls are to be asked again though they stand (--rebuild), `absent` what becomes of calls
        that are not stored where nothing may be asked; None where models are asked. A store that cannot be written
        needs one.

        `failed` are the keys of calls that could not be made.
        """
        self.calls = calls
        self._books = books
        self._held = held
        self._seats = seats
        self._anew = anew
        self._absent = absent
        self._halt = halt
        self.failed: set[str] = set()
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
        """What becomes of a call: made, or failed."""
        result = await self._result(call)
        if isinstance(result, Failed) and result is not HALTED:
            self.failed.add(call.key)
        else:
            self.failed.discard(call.key)
        return result

    async def _result(self, call: Call) -> Result:
        while (flight := self.calls.flights.get(call.key)) is not None:
            own = call.key in self._flying
            joined: Result = await asyncio.shield(flight)
            if joined is not HALTED or self._halt.reason is not None:
                self._books.tally.stages[call.stage].found += isinstance(joined, Made) and not own
                return joined  # else another build, which asked for it, was stopped, and this one was not
        if (failed := self.calls.failed.get(call.key)) is not None:
            return cast(Failed, failed)
        entry = self._look_up(call)
        accepted = standing(call, entry, self._held)
        if accepted is None:
            return await self._fly(call, entry)
        if self._asks_anew(call):
            renewed = await self._fly(call, entry)
            return renewed if isinstance(renewed, Made) else self._stands(call, self._made(call, entry, accepted))
        if entry is not None and entry.accepted is None:  # an attempt that could not be read when it came
            await self._accept(call, accepted)
        self._books.tally.stages[call.stage].found += 1
        return self._made(call, entry, accepted)

    async def _accept(self, call: Call, accepted: Accepted) -> None:
        """Keeps what could be read of a stored attempt only now; on a read-only disk each build reads it again."""
        if isinstance(self._books.store, Store):
            await self._books.put(Entry(call.key, call.manifest, (), accepted), displace=False)

    def _asks_anew(self, call: Call) -> bool:
        return self._anew(call) and call.key not in self.calls.displaced and call.key not in self.calls.unrenewed

    def _stands(self, call: Call, made: Made) -> Made:
        """What was asked anew in vain. It is no failure: the item is there."""
        self.calls.failed.pop(call.key, None)
        self.calls.unrenewed.add(call.key)
        return made

    def _look_up(self, call: Call) -> Entry | None:
        try:
            return look_up(self._books.store, call)
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
            self._held.displaced(call.key)
        return result

    async def _ask(self, call: Call, entry: Entry | None) -> Result:
        """One attempt after the other, until one is accepted or this build's re-asks are used up."""
        seat = self._seats[call.stage]
        last = Rejection("empty", "nothing was asked")
        for turn in range(1 + seat.reasks):
            displace, first = self._anew(call), turn == 0
            request = Sending(
                call, entry, seat, self._books, displace=displace, first=first, ended=lambda: self.stopped
            )
            try:
                entry, verdict = await request.send()
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
                self._count_answered(call, request)
                return self._made(call, entry, verdict, asked=not request.overtaken)
            last = verdict
        return Failed(last.cause, 1 + seat.reasks, last.detail)

    def _count_answered(self, call: Call, request: Sending) -> None:
        counts = self._books.tally.stages[call.stage]
        if request.overtaken:
            counts.found += 1
        else:
            counts.answered += 1

    def _of_role(self, stage: Stage, error: EndpointError) -> EndpointError:
        """The error with the role whose settings it speaks of, where the roles have models of their own."""
        if len({seat.name for seat in self._seats.values()}) == 1:
            return error
        role = self._seats[stage].role
        return EndpointError(f"{error} (this is the {role}'s model: where model.… is named, set {role}.…)")

    def _made(self, call: Call, entry: Entry | None, accepted: Accepted, *, asked: bool = False) -> Made:
        assert entry is not None, "what stands was read from an entry"  # noqa: S101
        response = entry.attempts[accepted.place].digest
        if self.calls.paid is not None:
            self.calls.paid[call.key, response] = paid_for(entry, accepted.place)
        return Made(accepted.value, response, asked)


def paid_for(entry: Entry, place: int) -> Paid:
    """What the response at `place` has cost, with those before it that were found wanting.

    Responses that stood and were asked for anew are not among them, nor what another machine paid for the same.
    """
    first = place
    while first and not entry.attempts[first].anew and entry.attempts[first - 1].index < entry.attempts[first].index:
        first -= 1
    attempts = entry.attempts[first : place + 1]
    usages = [spent(entry.manifest["body"], attempt.response) for attempt in attempts]
    costs = [attempt.usd for attempt in attempts]
    return Paid(
        sum(usage.prompt_tokens for usage in usages),
        sum(usage.completion_tokens for usage in usages),
        None if None in costs else sum(cost for cost in costs if cost is not None),
    )
