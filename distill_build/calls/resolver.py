"""From a call to its result: what the store holds, what another step is asking for already, or what a model answers."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec

from distill_build.calls.attempt import Judged, Request, ResponseCost, Route, StageCounts, cost_of, next_request
from distill_build.calls.budget import AbandonedError, Halt
from distill_build.calls.call import HALTED, Absent, Call, Failed, Made, Result, look_up, standing
from distill_build.calls.pinned import PinnedResponses
from distill_build.engine.entry import Accepted, Entry
from distill_build.engine.reading import Responses
from distill_build.engine.store import Store
from distill_build.errors import BudgetExceededError, EndpointError
from distill_build.models.base import ModelFailure
from distill_build.models.factory import GateKey
from distill_build.records import Source
from distill_build.replies.reply import BY_READING, Rejection


class Executor(Protocol):
    """Carries requests to their models, many at once: each as it comes (`online`), or gathered into batches.

    Whoever awaits `execute` does not mind for how long.
    """

    async def execute(self, request: Request) -> Judged:
        """Comes back when the response is stored, and judged.

        Raises ModelFailure for a request that cannot be made to succeed, or that was stopped; EndpointError for an
        endpoint that refuses every request; BudgetExceededError where the budget does not cover it.
        """


class Flight(msgspec.Struct, frozen=True):
    """A call that is being asked for: who asks, how the reply will be read, and what will have come of it."""

    asker: "CallResolver"
    reading: str
    result: "asyncio.Future[Result]"


class CallStates(msgspec.Struct):
    """What is known of calls in all builds that run side by side.

    `in_flight` are being asked for, by key (single flight). `failed` are not tried again: by key, by where they were
    asked, and by how the reply is read, for another address or reading may do better; the reading is None where no
    reading would help. `costs` notes what every response has cost that is used; None where nobody wants to know.
    """

    in_flight: dict[str, Flight] = msgspec.field(default_factory=dict)
    failed: dict[tuple[str, GateKey, str | None], Failed] = msgspec.field(default_factory=dict)
    costs: dict[Source, ResponseCost] | None = None


class CallResolver:
    """Asks models for what the store does not hold. Equal calls that are under way at once are sent once."""

    def __init__(
        self,
        store: Responses,
        executor: Executor | None,
        routes: Mapping[str, Route],
        pinned: PinnedResponses,
        counts: Mapping[str, StageCounts],
        *,
        states: CallStates,
        anew: Callable[[Call], bool],
        absent: Absent | None,
        halt: Halt,
    ) -> None:
        """`routes` are by role, `counts` by stage; `states` may be shared with builds that run side by side.

        `anew` says which calls are to be asked again though they stand (--rebuild), `absent` what becomes of calls
        that are not stored where nothing may be asked; None where models are asked, and then there is an `executor`.

        `failed` are the calls that could not be made, by key and reading. `displaced` are the keys of those whose
        accepted reply gave way to a new one, `asked_in_vain` of those that were asked anew and whose old reply stands.
        """
        self._store = store
        self._executor = executor
        self._routes = routes
        self._pinned = pinned
        self._counts = counts
        self._states = states
        self._anew = anew
        self._absent = absent
        self._halt = halt
        self.failed: set[tuple[str, str]] = set()
        self.displaced: set[str] = set()
        self.asked_in_vain: set[str] = set()

    def asks_no_more_anew(self) -> None:
        """From now on what stands is taken as it stands."""
        self._anew = lambda _: False

    async def __call__(self, call: Call) -> Result:
        """What becomes of a call: made, or failed."""
        result = await self._result(call)
        self._halt.left_out |= result is HALTED
        if isinstance(result, Failed) and result is not HALTED:
            self.failed.add((call.key, call.reading))
        else:
            self.failed.discard((call.key, call.reading))
        return result

    async def _result(self, call: Call) -> Result:
        """What came of a flight counts for who would have asked and read alike: this build, and the same reading.

        Another build may have another address, and another part of the tree may read the reply otherwise: who waits
        there looks at what is stored by then, and asks where that will not do.
        """
        anew = self._anew(call)  # of every call, whoever asks for it: who named it is told what named nothing
        while True:
            flight = self._states.in_flight.get(call.key)
            if flight is not None and flight.asker is self and flight.reading == call.reading:
                joined = await asyncio.shield(flight.result)
                if joined is not HALTED or self._halt.reason is not None:
                    return joined
                continue  # it was abandoned, and so is this
            entry = look_up(self._store, call, anew=anew)
            accepted = standing(call, entry, self._pinned)
            if entry is not None and accepted is not None and (flight is None or not anew):
                return await self._found(call, entry, accepted, anew=anew)
            if flight is None:
                failed = self._failed(call)
                return failed if failed is not None else await self._ask(call, entry)
            await asyncio.wait([flight.result])

    async def _found(self, call: Call, entry: Entry, accepted: Accepted, *, anew: bool) -> Result:
        """What is stored for a call stands, unless it is asked anew."""
        done = self._pinned.is_renewed(entry)  # by a --rebuild that was ended before its time
        if anew and not done and call.key not in self.displaced and call.key not in self.asked_in_vain:
            renewed = await self._ask(call, entry)
            self._halt.left_out |= renewed is HALTED
            return renewed if isinstance(renewed, Made) else self._stands(call, self._made(call, entry, accepted))
        if entry.accepted is None:  # an attempt that could not be read when it came
            await self._accept(call, accepted)
        self._counts[call.stage].found += 1
        return self._made(call, entry, accepted)

    def _failed(self, call: Call) -> Failed | None:
        """What came of a call that was asked for in vain, here or in a build beside this one."""
        gate, failed = self._routes[call.role].gate, self._states.failed
        return failed.get((call.key, gate, None)) or failed.get((call.key, gate, call.reading))

    def _note_failed(self, call: Call, failed: Failed) -> None:
        reading = call.reading if failed.cause in BY_READING else None
        self._states.failed[call.key, self._routes[call.role].gate, reading] = failed

    async def _accept(self, call: Call, accepted: Accepted) -> None:
        """Keeps what could be read of a stored attempt only now; on a read-only disk each build reads it again."""
        if isinstance(self._store, Store):
            await self._store.put(Entry(call.key, call.manifest, (), accepted), displace=False)

    def _stands(self, call: Call, made: Made) -> Made:
        """What was asked anew in vain. It is no failure: the item is there."""
        for reading in (None, call.reading):
            self._states.failed.pop((call.key, self._routes[call.role].gate, reading), None)
        self.asked_in_vain.add(call.key)
        return made

    async def _ask(self, call: Call, entry: Entry | None) -> Result:
        """Asks, while others who want the same call wait for this one."""
        if self._halt.reason is not None:
            return HALTED
        if self._absent is not None:
            return self._absent(call)
        if self._halt.ended:
            raise AbandonedError("the build ended before this was asked")
        flight: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._states.in_flight[call.key] = Flight(self, call.reading, flight)
        try:
            result = await self._answer(call, entry)
        except AbandonedError:
            flight.set_result(HALTED)
            raise
        except BaseException as error:
            flight.set_exception(error)
            flight.exception()  # nobody may be waiting for it
            raise
        finally:
            del self._states.in_flight[call.key]
        flight.set_result(result)
        if isinstance(result, Failed):
            if result is not HALTED:
                self._note_failed(call, result)
        elif self._anew(call):  # whether or not there was one to displace: it is asked anew once
            self.displaced.add(call.key)
            self._pinned.displaced(call.key)
        return result

    async def _answer(self, call: Call, entry: Entry | None) -> Made | Failed:
        """One attempt after the other, until one is accepted or this build's re-asks are used up."""
        assert self._executor is not None, "nothing is asked where nothing can be stored"  # noqa: S101
        route = self._routes[call.role]
        last = Rejection("empty", "nothing was asked")
        for turn in range(1 + route.reasks):
            if entry is not None and not self._anew(call):
                _require_fit(call, route, entry)
            try:
                request = next_request(call, route, entry, displaces=self._anew(call), first=turn == 0)
            except ModelFailure as failure:  # what is wrong with its reply cannot be said to the model
                return Failed(failure.cause, turn, failure.detail)
            try:
                judged = await self._executor.execute(request)
            except ModelFailure as failure:
                if failure.cause == "stopped" and self._halt.reason is None:
                    raise AbandonedError("the build ended while this waited for its turn") from failure
                return HALTED if failure.cause == "stopped" else Failed(failure.cause, turn + 1, failure.detail)
            except BudgetExceededError as reached:
                self._halt.because(reached)
                return HALTED
            if isinstance(judged.verdict, Accepted):
                self._count(call, judged)
                return self._made(call, judged.entry, judged.verdict, asked=not judged.overtaken)
            entry, last = judged.entry, judged.verdict
        return Failed(last.cause, 1 + route.reasks, last.detail)

    def _count(self, call: Call, judged: Judged) -> None:
        counts = self._counts[call.stage]
        if judged.overtaken:
            counts.found += 1
        else:
            counts.answered += 1

    def _made(self, call: Call, entry: Entry, accepted: Accepted, *, asked: bool = False) -> Made:
        response = entry.attempts[accepted.place].digest
        if self._states.costs is not None:
            self._states.costs[call.key, response] = cost_of(entry, accepted.place)
        return Made(accepted.value, response, asked)


def _require_fit(call: Call, route: Route, entry: Entry) -> None:
    """Raises EndpointError where what is stored shows that it would be asked in vain once more."""
    try:
        route.model.require_fit(entry.attempts[-1].response)
    except EndpointError as error:
        raise in_vain(error, call.stage) from error


def in_vain(error: EndpointError, stage: str) -> EndpointError:
    """`error` of a reply to `stage` that is stored."""
    return EndpointError(
        f"{error}. So says a reply that is stored, and nothing was asked: where the endpoint has changed since, "
        f"--rebuild '{stage}:*' asks it again"
    )
