"""How far a build is, how fast it goes and how long it has to go, read off its tally. The clock comes in.

Time left: the requests that are still to be made of each stage, each as long as those before it, done side by side as
much as those before them. Downstream requests, which are the slow ones, so weigh what they take.
"""

import math
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from distill_build.builds.walk.tally import StageTally, Tally
from distill_build.console.words import elapsed, money, rate, rough_duration, tokens
from distill_build.settings import Settings
from distill_build.stages.declared import declared

if TYPE_CHECKING:
    from distill_build.builds.plan.plan import Plan

WINDOW_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class StageView:
    """One bar: items made and given up of those that are to be. A transform makes verdicts, some to drop a row."""

    stage: str
    made: int
    missing: int
    declared: int
    dropped: int = 0

    @property
    def left(self) -> int:
        return max(0, self.declared - self.made - self.missing)


@dataclass(frozen=True, slots=True)
class ProgressView:
    """A build at one moment. `rate` is requests per second; `elapsed` and `left` are seconds; None is unknown."""

    stages: tuple[StageView, ...]
    asked: int
    in_flight: int
    rate: float | None
    tokens: int
    usd: float | None
    missing: int
    elapsed: float
    left: float | None

    @property
    def share(self) -> float:
        """The part of all items that is settled, from 0 to 1."""
        declared = sum(stage.declared for stage in self.stages)
        return 1 - sum(stage.left for stage in self.stages) / declared if declared else 1.0

    def facts(self) -> list[str]:
        """What stands beside the bars, which say themselves what has failed."""
        facts = [f"{self.in_flight:,} in flight"]
        facts += [rate(self.rate)] if self.rate is not None else []
        facts += [f"{tokens(self.tokens)} tokens"]
        facts += [money(self.usd)] if self.usd is not None else []
        facts += [elapsed(self.elapsed)]
        facts += [f"about {rough_duration(self.left)} left"] if self.left else []
        return facts


@dataclass(frozen=True, slots=True)
class Forecast:
    """What was planned: requests of each stage and how many items one of them asks for."""

    plan: "Plan"
    settings: Settings

    def per_request(self, stage: str) -> int:
        return declared(self.settings).per_request.get(stage, 1)

    def side_by_side(self, stage: str, calls: int) -> int:
        """How many of so many requests are in flight at once. In a sweep another job may have the stage alone."""
        if stage not in self.settings.stage:
            return calls
        return min(self.settings.concurrency(self.settings.role(stage)), calls)

    def takes_part(self, stage: str) -> bool:
        planned = self.plan.stages[stage]
        return bool(planned.calls or planned.cached)


class Pace:
    """Looks at a tally from time to time."""

    def __init__(
        self,
        tally: Tally,
        expected: Mapping[str, int],
        in_flight: Callable[[], int],
        forecast: Forecast | None,
        clock: Callable[[], float],
    ) -> None:
        """`expected` are items of a full tree, by stage; `clock` gives seconds that only go up."""
        self._tally = tally
        self._expected = expected
        self._in_flight = in_flight
        self._forecast = forecast
        self._clock = clock
        self._began = clock()
        self._first_request: float | None = None
        self._seen: deque[tuple[float, int]] = deque([(self._began, tally.asked)])

    def look(self) -> ProgressView:
        """The build as it is now."""
        now, in_flight = self._clock(), self._in_flight()
        if self._first_request is None and (in_flight or self._tally.asked):
            self._first_request = now
        stages = tuple(self._stages())
        return ProgressView(
            stages=stages,
            asked=self._tally.asked,
            in_flight=in_flight,
            rate=self._rate(now),
            tokens=sum(self._tally.tokens),
            usd=self._tally.usd,
            missing=self._tally.missing,
            elapsed=now - self._began,
            left=self._left(now, stages),
        )

    def _stages(self) -> list[StageView]:
        return [
            StageView(stage, counts.judged or counts.made, counts.missing, self._wanted(stage, counts), counts.dropped)
            for stage, counts in self._tally.stages.items()
            if counts.made
            or counts.judged
            or counts.missing
            or (self._expected[stage] and (self._forecast is None or self._forecast.takes_part(stage)))
        ]

    def _wanted(self, stage: str, counts: StageTally) -> int:
        """Items that there are to be: none that would hang on what was dropped."""
        return max(0, self._expected[stage] - counts.spared)

    def _rate(self, now: float) -> float | None:
        """Requests per second over the last while; None before there is one."""
        self._seen.append((now, self._tally.asked))
        while len(self._seen) > 2 and now - self._seen[1][0] >= WINDOW_SECONDS:
            self._seen.popleft()
        then, asked = self._seen[0]
        if now <= then or not self._tally.asked:
            return None
        return (self._tally.asked - asked) / (now - then)

    def _left(self, now: float, stages: tuple[StageView, ...]) -> float | None:
        """Seconds until the end; None while there is nothing to tell it from."""
        done = sum(stage.seconds for stage in self._tally.stages.values())
        if not done or self._first_request is None or now <= self._first_request:
            return None
        work = 0.0
        for view in stages:
            each = self._seconds_each(view.stage)
            if view.left and each is None:
                return None
            work += self._requests_left(view) * (each or 0.0)
        return work * (now - self._first_request) / done

    def _seconds_each(self, stage: str) -> float | None:
        """What a request of `stage` takes: as seen in this build, else as the plan says."""
        counts = self._tally.stages[stage]
        if counts.asked:
            return counts.seconds / counts.asked
        if counts.judged:
            return 0.0
        if self._forecast is None:
            return None
        planned = self._forecast.plan
        calls, seconds = planned.stages[stage].calls, planned.costs[stage].seconds
        if not calls:  # nobody is asked, or the cache has all
            return 0.0
        return seconds * self._forecast.side_by_side(stage, calls) / calls

    def _requests_left(self, view: StageView) -> float:
        """By the items that are still to come, but not more than planned: some of those are in the cache."""
        if self._forecast is None:
            return view.left
        by_items = math.ceil(view.left / self._forecast.per_request(view.stage))
        planned = self._forecast.plan.stages[view.stage].calls - self._tally.stages[view.stage].asked
        return min(planned, by_items) if planned > 0 else by_items
