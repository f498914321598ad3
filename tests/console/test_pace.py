"""Rate and time left, read off a tally with a clock of our own."""

from distill_build.builds.plan.plan import Plan
from distill_build.builds.walk.tally import Tally
from distill_build.console.pace import Forecast, Pace
from distill_build.console.plain import Rhythm, progress_line
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
    return Pace(tally, {"tags": 0, "questions": 0, "answers": answers}, lambda: 4, forecast, clock)


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
    pace = Pace(Tally.of(EXPECTED), EXPECTED, lambda: 0, Forecast(plan(), settings()), Clock())
    assert [bar.stage for bar in pace.look().stages] == ["answers"]


def test_a_bar_behind_a_transform_is_full_without_what_was_dropped() -> None:
    told = sifted_report()
    view = Pace(told.tally, told.expected, lambda: 0, None, Clock()).look()
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
