"""What is said of requests that brought no response: while it is so, at the end, and cause by cause."""

from distill_build.builds.walk.tally import Tally
from distill_build.console.pace import Forecast, Pace
from distill_build.console.plain import progress_line
from distill_build.console.throttling import unanswered_details, unanswered_lines
from distill_build.models.traffic import GateTraffic, Hold, Traffic
from distill_build.records import Usage
from tests.console.examples import EXPECTED, plan, settings


def tally(answered: int = 40, **unanswered: int) -> Tally:
    """So many answers of the model m, and requests that brought none, each of which waited for half a second."""
    told = Tally.of(EXPECTED)
    stage = told.stages["answers"]
    for _ in range(answered):
        stage.spend("m", Usage(100, 20), None, 0.5)
    stage.made = answered
    for cause, number in unanswered.items():
        for _ in range(number):
            stage.fail("m", cause)
            stage.wait("m", cause, 0.5)
    return told


def line_of(told: Tally, traffic: Traffic, later: float = 1.0) -> str:
    """The progress line a while after nothing had happened yet."""
    times = iter([100.0, 100.0 + later, 100.0 + later, 100.0 + later])
    before = Tally.of(EXPECTED)
    pace = Pace(before, {"tags": 0, "questions": 0, "answers": 480}, lambda: traffic, None, lambda: next(times))
    before.stages = told.stages
    return progress_line(pace.look())


def test_nothing_in_flight_stands_there_with_the_model_the_cause_and_the_wait() -> None:
    gate = GateTraffic("m", 4, 32, hold=Hold(0.8, "retry"))
    line = line_of(tally(28, rate_limited=12), Traffic(0, (gate,)))
    assert "; 0 in flight, m refused 12 of 40 requests: rate limited (429), 4 of 32 at once, next in 0.8 s, " in line


def test_nothing_in_flight_for_no_reason_that_is_known_is_not_told() -> None:
    assert "in flight" not in line_of(tally(), Traffic(0))
    assert "2 in flight" in line_of(tally(), Traffic(2))


def test_who_keeps_the_pace_of_the_limits_says_so() -> None:
    gate = GateTraffic("m", 32, 32, paced=True, hold=Hold(2.0, "pace"))
    assert "0 in flight, m keeps to limits.rpm and limits.tpm, next in 2.0 s" in line_of(tally(), Traffic(0, (gate,)))
    assert "keeps to" not in line_of(tally(), Traffic(1, (gate,)))


def test_what_was_refused_long_ago_is_told_no_more() -> None:
    clock = [100.0]
    told = tally(28, rate_limited=12)
    pace = Pace(told, EXPECTED, lambda: Traffic(4), Forecast(plan(480), settings()), lambda: clock[0])
    for _ in range(4):
        clock[0] += 5.0
        line = progress_line(pace.look())
    assert "refused" not in line
    told.stages["answers"].fail("m", "timeout")
    assert "m failed 13 of 41 requests: rate limited (429) 12, timeouts 1" in progress_line(pace.look())


def test_nothing_is_held_back_any_more_where_all_is_made_or_was_stopped() -> None:
    gate = GateTraffic("m", 4, 32, hold=Hold(0.8, "retry"))
    assert "refused" not in line_of(tally(480, rate_limited=12), Traffic(0, (gate,)))
    assert "refused" not in line_of(tally(28, rate_limited=12), Traffic(0, (gate,), stopped=True))


def test_the_end_says_in_one_line_per_model_how_often_it_refused_and_what_asks_more_gently() -> None:
    (line,) = unanswered_lines(tally(40, rate_limited=12), 20.0)
    assert line.text == (
        "m refused 12 of 52 requests: rate limited (429); retries waited 6.0 s, side by side. 120 a minute got "
        "through: limits.rpm=120, or a lower limits.concurrency, asks more gently"
    )
    assert line.tone == "warning"


def test_in_a_few_seconds_no_rate_has_shown() -> None:
    (line,) = unanswered_lines(tally(40, rate_limited=12), 2.0)
    assert line.text.endswith(". A lower limits.concurrency, or limits.rpm, asks more gently")


def test_a_few_failures_are_told_quietly_and_without_advice() -> None:
    (line,) = unanswered_lines(tally(400, connection=2, rate_limited=1), 20.0)
    assert line.text == (
        "m failed 3 of 403 requests: lost connections 2, rate limited (429) 1; retries waited 1.5 s, side by side"
    )
    assert line.tone == "quiet"


def test_timeouts_have_an_advice_of_their_own_and_what_went_well_no_line() -> None:
    (line,) = unanswered_lines(tally(10, timeout=10), 20.0)
    assert "limits.timeout_s" in line.text
    assert not list(unanswered_lines(tally(), 20.0))


def test_verbose_has_a_line_for_each_cause() -> None:
    assert [line.text for line in unanswered_details(tally(rate_limited=2, timeout=1))] == [
        "m, rate limited (429): 2 requests, 1.0 s of waiting, 0.5 s each",
        "m, timeouts: 1 request, 0.5 s of waiting, 0.5 s each",
    ]
