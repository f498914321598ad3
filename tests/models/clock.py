"""A clock that tests turn by hand: see `distill_build.models.limits.Clock`. Knows nothing of gates."""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(order=True)
class Timer:
    """A callback that is due at a time."""

    due: float
    number: int
    callback: Callable[[], object] = field(compare=False)
    cancelled: bool = field(default=False, compare=False)

    def cancel(self) -> None:
        self.cancelled = True


class HandClock:
    """Stands still until `advance`."""

    def __init__(self) -> None:
        self.now = 100.0
        self._timers: list[Timer] = []
        self._number = 0

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, callback: Callable[[], object]) -> Timer:
        self._number += 1
        timer = Timer(self.now + delay, self._number, callback)
        heapq.heappush(self._timers, timer)
        return timer

    def advance(self, seconds: float) -> None:
        """Lets `seconds` pass and runs what falls due on the way."""
        end = self.now + seconds
        while self._timers and self._timers[0].due <= end:
            timer = heapq.heappop(self._timers)
            self.now = max(self.now, timer.due)
            if not timer.cancelled:
                timer.callback()
        self.now = end
