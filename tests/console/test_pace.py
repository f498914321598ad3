"""Rate and time left, read off a tally with a clock of our own."""

import heapq
from collections import deque
from collections.abc import Callable
from random import Random

from msgspec.structs import replace

from distill_build.builds.plan.plan import Cost, Plan, StagePlan
from distill_build.builds.walk.tally import Tally
from distill_build.console.pace import Forecast, Pace
from distill_build.console.plain import Rhythm, progress_line
from distill_build.models.traffic import GateTraffic, Traffic
from distill_build.records import Usage
from tests.console.examples import EXPECTED, PRICES, plan, settings, sifted_report


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def answer(tally: Tally, number: int, seconds: float = 2.0) -> None:
    for _ in range(number):
        tally.stages["answers"].spend("m", Usage(100, 200), PRICES.of(100, 200), seconds)
        tally.stages["answers"].made += 1


def pace_of(tally: Tally, clock: Clock, told: Plan | None, answers: int = 100) -> Pace:
    forecast = None if told is None else Forecast(told, settings())
    return Pace(tally, {"tags": 0, "questions": 0, "answers": answers}, lambda: Traffic(4), forecast, clock)


def test_before_the_first_response_neither_rate_nor_time_left_is_known() -> None:
    view = pace_of(Tally.of(EXPECTED), Clock(), plan(ask=100)).look()
    assert (view.rate, view.left, view.in_flight) == (None, None, 4)


def test_time_left_is_what_is_left_at_the_speed_so_far() -> None:
    tally, clock = Tally.of(EXPECTED), Clock()
    pace = pace_of(tally, clock, plan(ask=100))
    pace.look()
    clock.now += 10
    answer(tally, 20)
    view = pace.look()
    assert view.rate == 2.0
    assert view.left == 40.0


def test_answers_that_the_cache_will_give_take_no_time() -> None:
    tally, clock = Tally.of(EXPECTED), Clock()
    pace = pace_of(tally, clock, plan(ask=30, cached=70))
    pace.look()
    clock.now += 10
    answer(tally, 20)
    assert pace.look().left == 5.0


def test_a_failed_item_is_settled() -> None:
    tally, clock = Tally.of(EXPECTED), Clock()
    pace = pace_of(tally, clock, None, answers=20)
    pace.look()
    clock.now += 10
    answer(tally, 19)
    tally.stages["answers"].missing = 1
    view = pace.look()
    assert (view.share, view.left) == (1.0, 0.0)
    assert "1 item failed" in progress_line(view)
    assert "left" not in progress_line(view)


def test_the_rate_forgets_what_is_long_ago() -> None:
    tally, clock = Tally.of(EXPECTED), Clock()
    pace = pace_of(tally, clock, plan(ask=100))
    answer(tally, 50)
    for _ in range(40):
        clock.now += 1
        view = pace.look()
    assert view.rate == 0.0


def test_stages_that_the_plan_does_not_reach_have_no_bar() -> None:
    pace = Pace(Tally.of(EXPECTED), EXPECTED, lambda: Traffic(0), Forecast(plan(), settings()), Clock())
    assert [bar.stage for bar in pace.look().stages] == ["answers"]


def test_a_bar_behind_a_transform_is_full_without_what_was_dropped() -> None:
    told = sifted_report()
    view = Pace(told.tally, told.expected, lambda: Traffic(0), None, Clock()).look()
    assert progress_line(view).startswith(
        "tags 11/11, questions 100/100, dedup 100/100 (6 dropped), answers 94/94, a_stage_"
    )
    assert view.share == 1.0


def test_a_line_says_items_requests_tokens_money_and_time() -> None:
    tally, clock = Tally.of(EXPECTED), Clock()
    pace = pace_of(tally, clock, plan(ask=100))
    pace.look()
    clock.now += 10
    answer(tally, 20)
    assert progress_line(pace.look()) == (
        "answers 20/100; 4 in flight, 2.0 requests/s, 6.0k tokens, $0.0022, 10 s, about 40 s left"
    )


def test_a_progress_line_comes_after_ten_seconds_or_ten_percent() -> None:
    rhythm = Rhythm()
    moments = [(0.3, 0.5), (2.0, 0.55), (3.0, 0.61), (3.5, 0.9), (4.0, 0.9), (13.9, 0.91), (14.0, 0.91)]
    assert [rhythm.due(elapsed, share) for elapsed, share in moments] == [
        False, False, True, False, True, False, True,
    ]  # fmt: skip


def test_a_long_build_writes_a_line_a_minute() -> None:
    rhythm = Rhythm()
    assert sum(rhythm.due(float(second), second / 1e6) for second in range(600, 1200)) == 10


# Time left, in builds that are played with a clock: requests of each stage, so many side by side.


class Played:
    """Answers that come as they would with `slots` at once; `each` gives the seconds of one by its number."""

    def __init__(self, number: int, slots: int, each: Callable[[int], float], told: Plan, pause_s: float = 0.0) -> None:
        self.tally, self.clock = Tally.of(EXPECTED), Clock()
        self.slots = slots
        ends = [0.0] * slots
        self.replies: list[tuple[float, float]] = []
        for place in range(number):
            began = heapq.heappop(ends)
            heapq.heappush(ends, began + each(place) + pause_s)
            self.replies.append((began + each(place), each(place)))
        self.replies.sort()
        self.end = self.replies[-1][0]
        forecast = Forecast(told, settings())
        self.pace = Pace(
            self.tally, {"tags": 0, "questions": 0, "answers": number}, lambda: Traffic(slots), forecast, self.clock
        )
        self.began = self.clock.now

    def lefts(self) -> list[tuple[float, float | None]]:
        """At each look, four times a second: how long it really has to go, and what is said."""
        told: list[tuple[float, float | None]] = []
        waiting = deque(self.replies)
        while waiting:
            self.clock.now += 0.25
            while waiting and waiting[0][0] <= self.clock.now - self.began:
                answer(self.tally, 1, waiting.popleft()[1])
            told.append((self.end - (self.clock.now - self.began), self.pace.look().left))
        return told


def said_well(lefts: list[tuple[float, float | None]], factor: float, within_s: float = 2.0) -> bool:
    """Whether all that is said is right within `factor`, or within some seconds, and most of the time it is said."""
    said = [(really, left) for really, left in lefts if left is not None]
    assert len(said) > len(lefts) / 2
    return all(really / factor - within_s <= left <= really * factor + within_s for really, left in said)


def test_the_time_left_of_a_steady_build_is_right_from_the_first_figure_on() -> None:
    assert said_well(Played(400, 32, lambda _: 2.0, plan(ask=400)).lefts(), 1.5)


def test_the_first_figure_waits_for_as_many_replies_as_are_in_flight() -> None:
    """Those that come first are the short ones: here they take less than half of the mean."""
    lengths = Random(1)
    seconds = [lengths.lognormvariate(1.0, 0.5) for _ in range(400)]
    played = Played(400, 32, seconds.__getitem__, plan(ask=400))
    lefts = played.lefts()
    first = next(place for place, (_, left) in enumerate(lefts) if left is not None)
    assert sum(end <= 0.25 * (first + 1) for end, _ in played.replies) >= 32
    assert said_well(lefts[: len(lefts) * 3 // 4], 3), "who is the last and how long that takes, nobody can tell"


def test_a_throttled_build_goes_by_the_rate_at_which_replies_really_come() -> None:
    """Half a second's work and three of waiting: the requests alone would say a seventh. They come
    four at a time, so at the end it is 4 s off."""
    assert said_well(Played(400, 4, lambda _: 0.5, plan(ask=400), pause_s=3.0).lefts(), 2, within_s=4.0)


def test_what_the_cache_has_is_no_work_and_no_speed() -> None:
    played = Played(60, 32, lambda _: 2.0, plan(ask=60, cached=940))
    played.pace = Pace(
        played.tally,
        {"tags": 0, "questions": 0, "answers": 1_000},
        lambda: Traffic(32),
        Forecast(plan(ask=60, cached=940), settings()),
        played.clock,
    )
    played.tally.stages["answers"].made = 940
    assert said_well(played.lefts(), 2)


def test_a_stage_that_has_not_begun_is_guessed_by_experience_alone() -> None:
    """Tags come one after the other, and all answers afterwards side by side."""
    told = plan(ask=320, seconds=100.0)
    for seen, left in ((frozenset[str](), None), (frozenset({"answers"}), 100.0)):
        tally, clock = Tally.of(EXPECTED), Clock()
        pace = Pace(
            tally,
            {"tags": 0, "questions": 0, "answers": 320},
            lambda: Traffic(1),
            Forecast(replace(told, seen=seen), settings()),
            clock,
        )
        for _ in range(10):
            clock.now += 1.0
            tally.stages["tags"].spend("m", Usage(100, 20), None, 1.0)
            pace.look()
        assert pace.look().left == left


def test_a_narrow_gate_is_gone_by_where_a_stage_has_not_begun() -> None:
    tally, clock = Tally.of(EXPECTED), Clock()
    traffic = Traffic(4, (GateTraffic("m", 4, 32),))
    forecast = Forecast(replace(plan(ask=320, seconds=100.0), seen=frozenset({"answers"})), settings())
    pace = Pace(tally, {"tags": 0, "questions": 0, "answers": 320}, lambda: traffic, forecast, clock)
    for _ in range(10):
        clock.now += 1.0
        tally.stages["tags"].spend("m", Usage(100, 20), None, 1.0)
    assert pace.look().left == 800.0


def test_a_long_pause_and_a_stop_leave_no_time_to_tell() -> None:
    tally, clock = Tally.of(EXPECTED), Clock()
    at = [Traffic(4)]
    pace = Pace(
        tally, {"tags": 0, "questions": 0, "answers": 100}, lambda: at[0], Forecast(plan(100), settings()), clock
    )
    for _ in range(10):
        clock.now += 1.0
        answer(tally, 2)
        assert pace.look().left == (None if tally.asked < 8 else (100 - tally.asked) / 2)
    at[0] = Traffic(4, stopped=True)
    assert pace.look().left is None
    assert "left" not in progress_line(pace.look())
    at[0] = Traffic(0)
    for _ in range(20):
        clock.now += 1.0
        view = pace.look()
    assert view.left is None


def test_a_transform_that_asks_nobody_takes_no_time() -> None:
    told = settings(stages=("tags", "questions", "dedup", "answers"))
    stages = ["tags", "questions", "dedup", "answers"]
    tally, clock = Tally.of(stages), Clock()
    told_plan = replace(plan(100), stages={**plan(100).stages, "dedup": StagePlan()})
    told_plan = replace(told_plan, costs={**told_plan.costs, "dedup": Cost(0, 0, 0.0, 0.0)})
    expected = {"tags": 0, "questions": 0, "dedup": 60, "answers": 100}
    pace = Pace(tally, expected, lambda: Traffic(4), Forecast(told_plan, told), clock)
    clock.now += 10
    answer(tally, 20)
    tally.stages["dedup"].judged = 30
    assert pace.look().left == 40.0
