"""Sends each request as it comes, by HTTP, as many at once as the model's gate lets in.

    1. Wait for a slot at the gate.
    2. In the slot: claim the call, look once more whether another process has answered it, ask the budget, send, store.
    3. A failure that another attempt may mend backs off outside of the slot, with nothing claimed, and begins again.
    4. So does a call that another process has claimed, when that one has let go of it.

There are never more responses that are not stored than slots, and a claim lasts for one HTTP request and the storing of
its response: an endpoint may ask to wait for an hour.
"""

import asyncio
import time
from collections.abc import Callable
from functools import partial

from distill_build.calls.attempt import Judged, Recorder, Request, answered_since
from distill_build.calls.budget import Halt, Spending
from distill_build.engine.store import Store
from distill_build.models.limits import stopped
from distill_build.models.retry import RetryableError

SHORTEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.05, 1.0
"""Between looks at what another process is asking for."""


class OnlineExecutor:
    """See `distill_build.calls.resolver.Executor`. `on_wait` is told of each call that waits for another process."""

    def __init__(
        self, store: Store, recorder: Recorder, spending: Spending, halt: Halt, on_wait: Callable[[], None]
    ) -> None:
        self._store = store
        self._claims = store.claims
        self._recorder = recorder
        self._spending = spending
        self._halt = halt
        self._on_wait = on_wait

    async def execute(self, request: Request) -> Judged:
        """One response to `request`, stored. See `Executor`."""
        key, model, body = request.call.key, request.route.model, request.body
        patience_s = 0.0 if request.displaces else request.route.timeout_s  # who asks anew wants an answer of its own
        failed = 0
        while True:
            try:
                async with model.slot(body) as slot:
                    if self._claims.take(key) or patience_s <= 0:
                        try:
                            if (found := self._answered_elsewhere(request)) is not None:
                                return found
                            self._spending.permit()
                            response = await slot.send()
                            return await self._recorder.record(request, response, slot.used)
                        finally:
                            self._claims.release(key)
            except RetryableError as failure:
                failed += 1
                await self._back_off(request, failure, failed)
            else:
                found, patience_s = await self._answer_of_another(request, patience_s)
                if found is not None:
                    return found

    async def _back_off(self, request: Request, failure: RetryableError, failed: int) -> None:
        """Waits before another attempt, and has it counted that the last one failed."""
        began = time.monotonic()
        try:
            tell = partial(self._recorder.failed, request, failure, failed)
            await request.route.model.back_off(failure, failed, tell)
        finally:
            self._recorder.waited(request, failure, time.monotonic() - began)

    def _answered_elsewhere(self, request: Request) -> Judged | None:
        """Raises ModelFailure("stopped") where nothing may be sent any more.

        The store is read again though the caller has: there may have been minutes at the gate since, and only under the
        claim it is certain that nobody else stores an answer after this look.
        """
        if self._halt.stopped:
            raise stopped()
        return None if request.displaces else answered_since(request, self._store.get(request.call.key))

    async def _answer_of_another(self, request: Request, patience_s: float) -> tuple[Judged | None, float]:
        """Waits for another process's answer or end, `patience_s` at most. Returns it, and what is left of that.

        That process may be stopped and not ended, or wait for another endpoint, and a third one may be answered
        sooner. Two whose requests fail in turns would wait for each other for ever, so no wait begins its time anew.
        """
        pause_s = SHORTEST_PAUSE_SECONDS
        while patience_s > 0 and self._claims.is_taken(request.call.key):
            self._on_wait()
            await asyncio.sleep(pause_s)
            patience_s, pause_s = patience_s - pause_s, min(2 * pause_s, LONGEST_PAUSE_SECONDS)
            if (found := self._answered_elsewhere(request)) is not None:
                return found, patience_s
        return None, patience_s
