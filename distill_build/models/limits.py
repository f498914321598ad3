"""The gate in front of one (endpoint, model) pair: who may send when.

Holds the concurrency, spaces requests and tokens over the minute, stops everybody while the endpoint asks to
wait, and narrows itself when the endpoint is overloaded. Knows nothing of HTTP. First come, first served.

The plan of `acquire`: nobody waits and nothing holds back → take a slot. Otherwise join the queue; whoever
frees a slot, moves a pace or ends a pause calls `_admit`, which lets in the head of the queue for as long as
nothing holds it back, and sets one timer where only time does.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from distill_build.models.base import ModelFailure
from distill_build.models.traffic import Hold

MINUTE_S = 60.0
UNLIMITED = 1_000_000
NARROWED, NARROWED_IN_VAIN = 0.8, 0.5
"""What is left of the concurrency after a refusal."""


class Clock(Protocol):
    """Monotonic seconds, and a callback after some of them. An asyncio event loop is one."""

    def time(self) -> float: ...

    def call_later(self, delay: float, callback: Callable[[], object]) -> Any: ...


class RateLimit:
    """An even flow: so much a minute, none saved up. None means no limit.

    The generic cell rate algorithm (ITU-T I.371) with a burst of a tenth of a second, and a rate lowered by
    that burst, so that no minute holds more than `per_minute`.
    """

    def __init__(self, per_minute: int | None) -> None:
        limit = per_minute or UNLIMITED
        burst = max(1.0, limit / 600)
        self.limited = per_minute is not None
        self.seconds_each = MINUTE_S / (limit - burst + 1)
        self.allowance_s = (burst - 1) * self.seconds_each
        self.free_at = float("-inf")

    def wait_s(self, now: float) -> float:
        """Seconds until the next may go."""
        return self.free_at - self.allowance_s - now if self.limited else 0.0

    def take(self, amount: int, now: float) -> None:
        """Books `amount` requests or tokens."""
        if self.limited:
            self.free_at = max(self.free_at, now) + amount * self.seconds_each

    def give_back(self, amount: int) -> None:
        """Corrects a booking that was `amount` too high (too low, where negative)."""
        self.free_at -= amount * self.seconds_each


class Gate:
    """One gate for each (endpoint, model); roles that share both share it.

    `concurrency` None is no limit; `rpm` and `tpm` are requests and tokens a minute. Times are in seconds of
    `clock`, by default the running event loop.
    """

    def __init__(
        self,
        concurrency: int | None = None,
        rpm: int | None = None,
        tpm: int | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.concurrency = concurrency or UNLIMITED
        self.in_flight = 0
        self.width = float(self.concurrency)  # the concurrency that the endpoint stands at present
        self.answered = False  # whether the endpoint has ever sent anything back
        self.has_succeeded = False  # whether that was ever a completion
        self.paces_tokens = tpm is not None
        self._requests = RateLimit(rpm)
        self._tokens = RateLimit(tpm)
        self._clock = clock
        self._paused_until = float("-inf")
        self._queue: deque[tuple[asyncio.Future[None], int]] = deque()
        self._resting: dict[asyncio.Future[None], float] = {}  # until when
        self._stopped = False
        self._timer: Any = None
        self._narrowings = 0
        self._in_vain = False  # whether nothing has got through since the last narrowing

    @property
    def paced(self) -> bool:
        """Whether requests or tokens a minute are limited."""
        return self._requests.limited or self._tokens.limited

    async def acquire(self, tokens: int = 0) -> int:
        """Waits for a slot and books `tokens`. The number returned goes to `overloaded`.

        Raises ModelFailure("stopped") after `stop`.
        """
        self._require_running()
        now = self._running_clock().time()
        if not self._queue and self.in_flight < int(self.width) and self._wait_s(now) <= 0:
            self._enter(tokens, now)
        else:
            await self._stand_in_line(tokens)
        return self._narrowings

    def release(self) -> None:
        """Frees the slot."""
        self.in_flight -= 1
        if self._queue:
            self._admit()

    def forgo(self, tokens: int) -> None:
        """Gives back what `acquire` booked for a request that is not sent after all; its slot is for `release`."""
        self._requests.give_back(1)
        self._tokens.give_back(tokens)

    def correct(self, booked: int, used: int) -> None:
        """Says how many tokens a request has really used, after `booked` were taken for it."""
        if self.paces_tokens and booked != used:
            self._tokens.give_back(booked - used)
            self._admit()

    def pause(self, seconds: float) -> None:
        """Lets nobody in for `seconds`; a longer pause that stands already stays."""
        self._paused_until = max(self._paused_until, self._running_clock().time() + seconds)

    async def rest(self, seconds: float) -> None:
        """Waits without a slot, before a retry. Raises ModelFailure("stopped") after `stop`."""
        self._require_running()
        rested: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        clock = self._running_clock()
        timer = clock.call_later(seconds, lambda: finish(rested))
        self._resting[rested] = clock.time() + seconds
        try:
            await rested
        finally:
            timer.cancel()
            del self._resting[rested]

    def stop(self) -> None:
        """Ends all waiting, now and from now on; slots that are held stay until they are released."""
        self._stopped = True
        for waiting in [*self._resting, *(place for place, _ in self._queue)]:
            if not waiting.done():
                waiting.set_exception(stopped())
        self._queue.clear()

    def hold(self) -> Hold | None:
        """Why nothing is sent though something waits, and for how long. Any thread may ask."""
        if self._clock is None:
            return None
        now, paused_until, resting = self._clock.time(), self._paused_until, list(self._resting.values())
        if self._queue and self.in_flight < int(self.width):
            wait_s = self._wait_s(now)
            return Hold(wait_s, "retry" if wait_s <= paused_until - now else "pace") if wait_s > 0 else None
        return Hold(max(0.0, min(resting) - now), "retry") if resting and not self.in_flight else None

    def overloaded(self, entered: int) -> bool:
        """The endpoint refused for too many requests: a fifth of the concurrency less, once for all that were under
        way, and half of it where nothing has got through since it was last less. Returns whether that is so.

        `entered` is what `acquire` returned; requests that entered before the last narrowing say nothing new. This is
        additive increase, multiplicative decrease. TCP's half (RFC 5681) would leave one or two in flight for good
        where refusals do not come of our number of requests; with the tenth of Netflix's concurrency-limits, more are
        refused until a low limit is found.
        """
        if entered != self._narrowings:
            return False
        in_vain, self._in_vain = self._in_vain, True
        self._narrowings += 1
        left = NARROWED_IN_VAIN if in_vain else NARROWED
        self.width = max(1.0, min(self.width, self.in_flight + 1.0) * left)  # it may never have been as wide
        return in_vain

    def succeeded(self) -> None:
        """The endpoint answered: one more slot after each round of answers, up to the limit."""
        self.has_succeeded = True
        self._in_vain = False
        if self.width < self.concurrency:
            self.width = min(float(self.concurrency), self.width + 1 / self.width)

    def _running_clock(self) -> Clock:
        if self._clock is None:
            self._clock = asyncio.get_running_loop()
        return self._clock

    def _require_running(self) -> None:
        if self._stopped:
            raise stopped()

    def _wait_s(self, now: float) -> float:
        return max(self._paused_until - now, self._requests.wait_s(now), self._tokens.wait_s(now))

    def _enter(self, tokens: int, now: float) -> None:
        self.in_flight += 1
        self._requests.take(1, now)
        self._tokens.take(tokens, now)

    async def _stand_in_line(self, tokens: int) -> None:
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append((place, tokens))
        self._admit()
        try:
            await place
        except asyncio.CancelledError:
            if place.cancelled() or place.exception():
                self._admit()  # takes this place out of the queue
            else:
                self.release()  # the slot had come before the cancellation did
            raise
        if self._stopped:  # by the one whose slot this is: it was handed on before the reason to stop was told
            self.release()
            self._require_running()

    def _admit(self) -> None:
        now = self._running_clock().time()
        while self._queue:
            place, tokens = self._queue[0]
            if not place.done():
                if self.in_flight >= int(self.width):
                    return
                wait_s = self._wait_s(now)
                if wait_s > 0:
                    self._wake_after(wait_s)
                    return
                self._enter(tokens, now)
                place.set_result(None)
            self._queue.popleft()

    def _wake_after(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._running_clock().call_later(seconds, self._wake)

    def _wake(self) -> None:
        self._timer = None
        self._admit()


def stopped() -> ModelFailure:
    """What a request gets that was not sent because all is to end."""
    return ModelFailure("stopped", "the build was stopped before this request was sent")


def finish(waiting: asyncio.Future[None]) -> None:
    """Ends a wait that nothing else has ended."""
    if not waiting.done():
        waiting.set_result(None)
