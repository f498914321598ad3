"""Runs steps as they become ready: so many at once in each lane, downstream first.

Knows nothing of what a step does. A step is a coroutine function that submits the steps which it makes ready.

    1. submit() puts a step on its lane's heap and wakes a worker where the lane has room.
    2. A worker takes the first step by priority, runs it to its end, takes the next, and ends on an empty heap.
    3. An exception that leaves a step, or stop(), ends the run: nothing new is started, `on_stop` tells those that
       wait for something other than a response to give up, and what is in flight is awaited.
    4. run() returns when no worker is left, and raises what stopped it.

Downstream first keeps the frontier small: a tree is walked depth first as far as the lanes are busy, so memory
follows the width of the window and not the size of the dataset.
"""

import asyncio
import heapq
import itertools
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

Step = Callable[[], Awaitable[None]]
Priority = tuple[int, ...]

BREATH_SECONDS = 0.02
"""After so long of steps that never waited, a worker lets the event loop look at signals and the screen."""


@dataclass(slots=True)
class _Lane:
    window: int
    ready: list[tuple[Priority, int, Step]] = field(default_factory=list)
    workers: int = 0


class Scheduler:
    """`windows` says how many steps may be under way in each lane; `on_stop` is called once, when a run ends early."""

    def __init__(self, windows: Mapping[str, int], on_stop: Callable[[], None] = lambda: None) -> None:
        self._lanes = {name: _Lane(window) for name, window in windows.items()}
        self._order = itertools.count()
        self._tasks: set[asyncio.Task[None]] = set()
        self._idle = asyncio.Event()
        self._breath = time.monotonic()
        self._reason: BaseException | None = None
        self._on_stop = on_stop

    def submit(self, lane: str, priority: Priority, step: Step) -> None:
        """Queues `step`; a lower priority goes first. Nothing is queued any more once the run is stopping."""
        if self._reason is not None:
            return
        there = self._lanes[lane]
        heapq.heappush(there.ready, (priority, next(self._order), step))
        if there.workers < there.window:
            there.workers += 1
            task = asyncio.ensure_future(self._work(there))
            self._tasks.add(task)
            task.add_done_callback(self._ended)

    def stop(self, reason: BaseException) -> None:
        """Starts nothing new; run() raises `reason` when what is in flight has ended. The first reason stands."""
        if self._reason is not None:
            return
        self._reason = reason
        for lane in self._lanes.values():
            lane.ready.clear()
        self._on_stop()

    async def run(self) -> None:
        """Returns when every step has run; raises what stopped the build."""
        if self._tasks:
            await self._idle.wait()
        if self._reason is not None:
            raise self._reason

    async def _work(self, lane: _Lane) -> None:
        try:
            while lane.ready:
                _, _, step = heapq.heappop(lane.ready)
                await step()
                await self._breathe()
        except BaseException as error:  # noqa: BLE001 - whatever ends a step ends the build, and run() raises it
            self.stop(error)
        finally:
            lane.workers -= 1

    async def _breathe(self) -> None:
        now = time.monotonic()
        if now - self._breath > BREATH_SECONDS:
            await asyncio.sleep(0)
            self._breath = time.monotonic()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not self._tasks:
            self._idle.set()
