"""How far a build is, how fast it goes and how long it has to go, read off its tally. The clock comes in.

Time left: each stage has so many requests left and gets so many replies a second; the longest of those that are at
work decides, and what has not begun comes after it, as long as requests of its kind have taken before. It is told when
replies enough have come: those that come first are the short ones, and a plan that has seen none only guesses.
"""

import math
from collections import Counter, deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import msgspec

from distill_build.builds.walk.tally import StageTally, Tally
from distill_build.console.throttling import reasons
from distill_build.console.words import elapsed, money, rate, rough_duration, tokens
from distill_build.models.traffic import Traffic
from distill_build.settings import Settings
from distill_build.stages.kinds.declared import declared

if TYPE_CHECKING:
    from distill_build.builds.plan.plan import Plan

WINDOW_SECONDS = 15.0
LATENCIES = 3
"""A window is as many requests long, where these take longer."""
FEW = 8
"""Replies before which nothing is said of the time left: the mean of so many is right within a third or so where they
differ by their own length, and they must be as many as are in flight, or those that come first would count alone."""


class StageView(msgspec.Struct, frozen=True):
    """One bar: items made and given up of those that are to be. A transform makes verdicts, some to drop a row."""

    stage: str
    made: int
    missing: int
    declared: int
    dropped: int = 0

    @property
    def left(self) -> int:
        return max(0, self.declared - self.made - self.missing)


class ProgressView(msgspec.Struct, frozen=True):
    """A build at one moment. `rate` is requests per second; `elapsed` and `left` are seconds; None is unknown.

    `reasons` are sentences on why requests are held back.
    """

    stages: tuple[StageView, ...]
    asked: int
    in_flight: int
    rate: float | None
    tokens: int
    usd: float | None
    missing: int
    elapsed: float
    left: float | None
    reasons: tuple[str, ...] = ()

    @property
    def share(self) -> float:
        """The part of all items that is settled, from 0 to 1."""
        declared = sum(stage.declared for stage in self.stages)
        return 1 - sum(stage.left for stage in self.stages) / declared if declared else 1.0

    def facts(self) -> list[str]:
        """What stands beside the bars, which say themselves what has failed. Nothing in flight is told with its
        reason: by itself it would look like a fault."""
        facts = [f"{self.in_flight:,} in flight"] if self.in_flight or self.reasons else []
        facts += self.reasons
        facts += [rate(self.rate)] if self.rate is not None else []
        facts += [f"{tokens(self.tokens)} tokens"]
        facts += [money(self.usd)] if self.usd is not None else []
        facts += [elapsed(self.elapsed)]
        facts += [f"about {rough_duration(self.left)} left"] if self.left else []
        return facts


class Forecast(msgspec.Struct, frozen=True):
    """What was planned: requests of each stage and how many items one of them asks for."""

    plan: "Plan"
    settings: Settings

    def per_request(self, stage: str) -> int:
        return declared(self.settings).per_request.get(stage, 1)

    def side_by_side(self, stage: str, calls: float, traffic: Traffic) -> float:
        """How many of so many requests are in flight at once. In a sweep another job may have the stage alone."""
        if stage not in self.settings.stage:
            return calls
        model = self.settings.role(stage)
        widths = [gate.width for gate in traffic.gates if gate.model == model.name]
        return max(1.0, min([calls, self.settings.concurrency(model), *widths]))

    def takes_part(self, stage: str) -> bool:
        planned = self.plan.stages[stage]
        return bool(planned.calls or planned.cached)


class Sample(msgspec.Struct, frozen=True):
    """What there was at a time: replies, those of each stage, and requests to each model that brought none."""

    at: float
    asked: int
    by_stage: Mapping[str, int]
    unanswered: Counter[str]


class Pace:
    """Looks at a tally from time to time."""

    def __init__(
        self,
        tally: Tally,
        expected: Mapping[str, int],
        traffic: Callable[[], Traffic],
        forecast: Forecast | None,
        clock: Callable[[], float],
    ) -> None:
        """`expected` are items of a full tree, by stage; `clock` gives seconds that only go up."""
        self._tally = tally
        self._expected = expected
        self._traffic = traffic
        self._forecast = forecast
        self._clock = clock
        self._began = clock()
        self._samples: deque[Sample] = deque([self._sample(self._began)])

    def look(self) -> ProgressView:
        """The build as it is now."""
        now, traffic = self._clock(), self._traffic()
        self._remember(now)
        stages = tuple(self._stages())
        ended = traffic.stopped or not any(view.left for view in stages)
        return ProgressView(
            stages=stages,
            asked=self._tally.asked,
            in_flight=traffic.in_flight,
            rate=self._rate(now),
            tokens=sum(self._tally.tokens),
            usd=self._tally.usd,
            missing=self._tally.missing,
            elapsed=now - self._began,
            left=None if traffic.stopped else self._left(now, stages, traffic),
            reasons=() if ended else tuple(reasons(traffic, self._tally, self._recent(now).unanswered)),
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

    def _sample(self, now: float) -> Sample:
        unanswered: Counter[str] = Counter()
        for (model, _), each in self._tally.unanswered.items():
            unanswered[model] += each.requests
        asked = {stage: counts.asked for stage, counts in self._tally.stages.items()}
        return Sample(now, sum(asked.values()), asked, unanswered)

    def _remember(self, now: float) -> None:
        """Keeps what was seen for as long as some requests take."""
        self._samples.append(self._sample(now))
        means = [counts.seconds / counts.asked for counts in self._tally.stages.values() if counts.asked]
        window = max([WINDOW_SECONDS, *(LATENCIES * mean for mean in means)])
        while len(self._samples) > 2 and now - self._samples[1].at >= window:
            self._samples.popleft()

    def _recent(self, now: float) -> Sample:
        """What there was a while ago."""
        old = (sample for sample in reversed(self._samples) if now - sample.at >= WINDOW_SECONDS)
        return next(old, self._samples[0])

    def _rate(self, now: float) -> float | None:
        """Requests per second over the last while; None before there is one."""
        then, asked = self._recent(now), self._tally.asked
        return (asked - then.asked) / (now - then.at) if now > then.at and asked else None

    def _left(self, now: float, stages: tuple[StageView, ...], traffic: Traffic) -> float | None:
        """Seconds until the end; None while there is nothing to tell it from."""
        left = {view.stage: self._requests_left(view) for view in stages}
        if self._tally.asked < min(FEW, sum(left.values())):
            return None
        at_work, in_turn, later = [0.0], 0.0, 0.0
        for stage, requests in left.items():
            if not requests:
                continue
            each = self._seconds_each(stage, requests, traffic)
            if each is None:
                return None
            if not each:  # nobody is asked: a transform has no role
                continue
            alone = requests * each / self._side_by_side(stage, requests, traffic)
            if self._tally.stages[stage].asked:
                at_work.append(max(alone, self._at_this_rate(now, stage, requests)))
                in_turn += alone
            else:
                later += alone
        seconds = max(*at_work, in_turn) + later
        return None if math.isinf(seconds) else seconds

    def _at_this_rate(self, now: float, stage: str, requests: float) -> float:
        """Seconds for so many requests of a stage, at the rate since it began, or in the last while."""
        asked = self._tally.stages[stage].asked
        idle = (sample for sample in reversed(self._samples) if not sample.by_stage.get(stage, 0))
        then = next(idle, self._samples[0])
        replies = asked - then.by_stage.get(stage, 0)
        return requests * (now - then.at) / replies if replies else math.inf

    def _side_by_side(self, stage: str, requests: float, traffic: Traffic) -> float:
        if self._forecast is None:
            return max(1, traffic.in_flight)
        return self._forecast.side_by_side(stage, requests, traffic)

    def _seconds_each(self, stage: str, left: float, traffic: Traffic) -> float | None:
        """What a request of `stage` takes: as seen in this build, else as the plan says by experience."""
        counts = self._tally.stages[stage]
        if counts.asked >= min(max(FEW, traffic.in_flight), left):
            return counts.seconds / counts.asked if counts.asked else None
        if counts.judged:
            return 0.0
        if self._forecast is None:
            return None
        planned = self._forecast.plan
        calls, seconds = planned.stages[stage].calls, planned.costs[stage].seconds
        if not calls:  # nobody is asked, or the cache has all
            return 0.0
        if stage not in planned.seen:
            return None
        return seconds * self._forecast.side_by_side(stage, calls, Traffic(0)) / calls

    def _requests_left(self, view: StageView) -> float:
        """By the items that are still to come, but not more than planned: some of those are in the cache."""
        if self._forecast is None:
            return view.left
        by_items = math.ceil(view.left / self._forecast.per_request(view.stage))
        planned = self._forecast.plan.stages[view.stage].calls - self._tally.stages[view.stage].asked
        return min(planned, by_items) if planned > 0 else by_items
