"""Runs steps as they become ready: so many at once in each lane, the longest chain first.

Knows nothing of what a step does. A step is a coroutine function that submits the steps which it makes ready. Its chain
is how many steps are still to come one after the other, itself among them.

    1. submit() puts a step on its lane's heap for chains of that length, and wakes a worker where the lane has room.
    2. A worker takes a step of the longest chain, runs it to its end, takes the next, and ends where none is left.
       While it is crowded it takes that of the lowest place, and none where another lane has a lower one waiting.
    3. An exception that leaves a step, or stop(), ends the run: nothing new is started, `on_stop` tells those that
       wait for something other than a response to give up, and what is in flight is awaited.
    4. run() returns when no worker is left, and raises what stopped it.

Where latency rules, the longest chain that is left decides when all is done, so it goes first (Graham 1966 on list
scheduling; the critical path). That opens many chains at once, and what they have made is held until they end. Places
are those of a tree, so that the lowest of them first is depth first, and ends what is under way there before anything
is begun elsewhere: so who counts what is held says when it is `crowded`, and memory stays within that bound whatever
the size of the whole. It is one order for all lanes: else the lane of questions would go on while that of answers lags.
"""

import asyncio
import heapq
import itertools
import time
from bisect import insort
from collections.abc import Awaitable, Callable, Mapping

Step = Callable[[], Awaitable[None]]
Rank = tuple[int, ...]

BREATH_SECONDS = 0.02
"""After so long of steps that never waited, a worker lets the event loop look at signals and the screen."""


class _Lane:
    """The steps that are ready, in a heap for each length of chain; `lengths` are those that have any, in order.

    `waiting` counts them; `held_up` says that they wait for another lane.
    """

    __slots__ = ("_heaps", "_lengths", "_window", "held_up", "waiting", "workers")

    def __init__(self, window: int) -> None:
        self._heaps: dict[int, list[tuple[Rank, int, Step]]] = {}
        self._lengths: list[int] = []
        self._window = window
        self.workers = 0
        self.waiting = 0
        self.held_up = False

    @property
    def room(self) -> int:
        """How many more workers there may be."""
        return self._window - self.workers

    @property
    def lowest(self) -> Rank:
        """The lowest place that waits."""
        return min(self._heaps[chain][0][0] for chain in self._lengths)

    def push(self, chain: int, place: Rank, order: int, step: Step) -> None:
        heap = self._heaps.get(chain)
        if heap is None:
            heap = self._heaps[chain] = []
            insort(self._lengths, chain)
        heapq.heappush(heap, (place, order, step))
        self.waiting += 1

    def pop_longest(self) -> Step:
        return self._pop(self._lengths[-1])

    def pop_lowest(self) -> Step:
        return self._pop(min(self._lengths, key=lambda chain: self._heaps[chain][0][:2]))

    def _pop(self, chain: int) -> Step:
        heap = self._heaps[chain]
        _, _, step = heapq.heappop(heap)
        self.waiting -= 1
        if not heap:
            del self._heaps[chain]
            self._lengths.remove(chain)
        return step

    def clear(self) -> None:
        self._heaps.clear()
        self._lengths.clear()
        self.waiting = 0


class Scheduler:
    """`windows` says how many steps may be under way in each lane; `on_stop` is called once, when a run ends early.

    `crowded` says whether so much is held in memory that what was begun is to be ended before more is begun.
    """

    def __init__(
        self,
        windows: Mapping[str, int],
        on_stop: Callable[[], None] = lambda: None,
        crowded: Callable[[], bool] = lambda: False,
    ) -> None:
        self._lanes = {name: _Lane(window) for name, window in windows.items()}
        self._order = itertools.count()
        self._tasks: set[asyncio.Task[None]] = set()
        self._idle = asyncio.Event()
        self._breath = time.monotonic()
        self._reason: BaseException | None = None
        self._on_stop = on_stop
        self._crowded = crowded

    def submit(self, lane: str, chain: int, place: Rank, step: Step) -> None:
        """Queues `step`, with which `chain` steps are left one after the other.

        Of chains of one length the lower `place` goes first, then who came first. Nothing is queued any more once the
        run is stopping.
        """
        if self._reason is not None:
            return
        there = self._lanes[lane]
        there.push(chain, place, next(self._order), step)
        self._start_workers(there, 1)

    def stop(self, reason: BaseException) -> None:
        """Starts nothing new; run() raises `reason` when what is in flight has ended. The first reason stands."""
        if self._reason is not None:
            return
        self._reason = reason
        for lane in self._lanes.values():
            lane.clear()
        self._on_stop()

    async def run(self) -> None:
        """Returns when every step has run; raises what stopped the build."""
        if self._tasks:
            await self._idle.wait()
        if self._reason is not None:
            raise self._reason

    def _start_workers(self, lane: _Lane, most: int) -> None:
        """Has more workers work on what waits in a lane, unless that has to wait for another lane."""
        lane.held_up = not self._may_go_on(lane)
        if not lane.held_up:
            for _ in range(min(most, lane.room)):
                lane.workers += 1
                task = asyncio.ensure_future(self._work(lane))
                self._tasks.add(task)
                task.add_done_callback(self._ended)

    def _may_go_on(self, lane: _Lane) -> bool:
        """Whether what waits in a lane need not wait for another one. One lane always may."""
        if len(self._lanes) == 1 or not self._crowded():
            return True
        return all(lane.lowest <= other.lowest for other in self._lanes.values() if other.waiting)

    async def _work(self, lane: _Lane) -> None:
        try:
            while lane.waiting:
                if not self._may_go_on(lane):
                    lane.held_up = True
                    break
                await (lane.pop_lowest() if self._crowded() else lane.pop_longest())()
                self._wake()
                await self._breathe()
        except BaseException as error:  # noqa: BLE001 - whatever ends a step ends the build, and run() raises it
            self.stop(error)
        finally:
            lane.workers -= 1
            self._wake()  # the last worker must leave no lane waiting

    def _wake(self) -> None:
        """Lets lanes go on that were held up and need not be any more."""
        for lane in self._lanes.values():
            if lane.held_up and lane.waiting:
                self._start_workers(lane, lane.waiting)

    async def _breathe(self) -> None:
        now = time.monotonic()
        if now - self._breath > BREATH_SECONDS:
            await asyncio.sleep(0)
            self._breath = time.monotonic()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not self._tasks:
            self._idle.set()
