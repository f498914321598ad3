import asyncio

import pytest

from distill_build.models.base import ModelFailure
from distill_build.models.limits import Gate, RateLimit
from distill_build.models.traffic import Hold
from tests.models.clock import HandClock

Entered = list[str]


async def settle() -> None:
    """Lets every task run that can."""
    for _ in range(20):
        await asyncio.sleep(0)


def enter(gate: Gate, name: str, entered: Entered, tokens: int = 0) -> "asyncio.Task[int]":
    """A task that takes a slot, writes its name down and keeps the slot."""

    async def run() -> int:
        number = await gate.acquire(tokens)
        entered.append(name)
        return number

    return asyncio.create_task(run())


def test_never_more_in_flight_than_the_concurrency_and_first_come_first_served() -> None:
    async def run() -> None:
        gate, entered = Gate(2, clock=HandClock()), Entered()
        for name in "abcde":
            enter(gate, name, entered)
        await settle()
        assert entered == ["a", "b"]
        gate.release()
        await settle()
        assert entered == ["a", "b", "c"]
        assert gate.in_flight == 2
        gate.release()
        gate.release()
        await settle()
        assert entered == list("abcde")

    asyncio.run(run())


def test_a_newcomer_does_not_overtake_those_who_wait() -> None:
    async def run() -> None:
        clock = HandClock()
        gate, entered = Gate(1, clock=clock), Entered()
        gate.pause(5)
        enter(gate, "a", entered)
        await settle()
        clock.now += 6  # the pause is over, but its timer has not run yet
        enter(gate, "b", entered)
        await settle()
        assert entered == ["a"]

    asyncio.run(run())


def test_a_cancelled_waiter_leaves_no_hole() -> None:
    async def run() -> None:
        gate, entered = Gate(1, clock=HandClock()), Entered()
        enter(gate, "a", entered)
        await settle()
        waiting, _next = enter(gate, "b", entered), enter(gate, "c", entered)
        await settle()
        waiting.cancel()
        await settle()
        gate.release()
        await settle()
        assert entered == ["a", "c"]
        assert gate.in_flight == 1

    asyncio.run(run())


def test_a_slot_granted_in_the_moment_of_cancellation_goes_to_the_next() -> None:
    async def run() -> None:
        gate, entered = Gate(1, clock=HandClock()), Entered()
        enter(gate, "a", entered)
        await settle()
        granted, _next = enter(gate, "b", entered), enter(gate, "c", entered)
        await settle()
        gate.release()
        granted.cancel()
        await settle()
        assert entered == ["a", "c"]
        assert gate.in_flight == 1

    asyncio.run(run())


@pytest.mark.parametrize("rpm", [1, 7, 60, 1200, 6000])
def test_no_minute_holds_more_than_rpm_requests_and_hardly_fewer(rpm: int) -> None:
    pace, now, times = RateLimit(rpm), 0.0, list[float]()
    while now < 180:
        times.append(now)
        pace.take(1, now)
        now += max(0.0, pace.wait_s(now))
    assert all(beyond - first > 59.999 for first, beyond in zip(times, times[rpm:], strict=False))
    assert len(times) >= 3 * rpm * 0.995


def test_requests_are_spread_over_the_minute() -> None:
    async def run() -> None:
        clock = HandClock()
        gate, entered = Gate(None, rpm=60, clock=clock), Entered()
        for name in "abc":
            enter(gate, name, entered)
        await settle()
        assert entered == ["a"]
        clock.advance(1)
        await settle()
        assert entered == ["a", "b"]

    asyncio.run(run())


def test_tokens_are_booked_before_and_corrected_after() -> None:
    async def run() -> None:
        clock = HandClock()
        gate, entered = Gate(None, tpm=600, clock=clock), Entered()
        enter(gate, "a", entered, tokens=300)
        enter(gate, "b", entered, tokens=10)
        await settle()
        clock.advance(20)
        await settle()
        assert entered == ["a"]  # 300 tokens at 600 a minute hold the next back for 30 s
        gate.correct(300, 100)
        await settle()
        assert entered == ["a", "b"]  # 100 tokens only 10 s

    asyncio.run(run())


def test_a_pause_holds_everybody_until_its_time() -> None:
    async def run() -> None:
        clock = HandClock()
        gate, entered = Gate(4, clock=clock), Entered()
        gate.pause(30)
        gate.pause(5)  # does not shorten the longer one
        enter(gate, "a", entered)
        await settle()
        clock.advance(29.9)
        await settle()
        assert entered == []
        clock.advance(0.2)
        await settle()
        assert entered == ["a"]

    asyncio.run(run())


def test_an_overload_narrows_the_gate_once_for_all_that_were_under_way() -> None:
    async def run() -> None:
        gate, entered = Gate(8, clock=HandClock()), Entered()
        tasks = [enter(gate, str(n), entered) for n in range(8)]
        numbers = await asyncio.gather(*tasks)
        for number in numbers:
            gate.overloaded(number)
        assert gate.width == 6.4
        gate.succeeded()
        width = gate.width
        for _ in numbers:
            gate.release()
        later = [enter(gate, "later", entered) for _ in range(8)]
        await settle()
        assert gate.in_flight == 6
        assert not gate.overloaded(await later[0])
        assert gate.width == pytest.approx(0.8 * width)

    asyncio.run(run())


def test_the_concurrency_grows_back_by_one_a_round_up_to_the_limit() -> None:
    async def run() -> None:
        gate = Gate(3, clock=HandClock())
        for _ in range(3):
            number = await gate.acquire()
        gate.overloaded(number)
        for _ in range(3):
            gate.release()
        gate.overloaded(await gate.acquire())  # nothing got through in between
        assert gate.width == 1
        gate.succeeded()
        assert gate.width == 2
        gate.succeeded()
        assert gate.width == 2.5
        for _ in range(10):
            gate.succeeded()
        assert gate.width == 3

    asyncio.run(run())


def test_a_second_refusal_with_nothing_got_through_between_halves_the_gate_and_says_so() -> None:
    async def run() -> None:
        gate = Gate(10, clock=HandClock())
        first = [await gate.acquire() for _ in range(10)]
        assert not gate.overloaded(first[0])
        assert not gate.overloaded(first[1]), "it was under way then"
        assert gate.width == 8
        for _ in range(10):
            gate.release()
        again = [await gate.acquire() for _ in range(8)]
        assert gate.overloaded(again[0])
        assert gate.width == 4
        gate.succeeded()
        for _ in range(8):
            gate.release()
        assert not gate.overloaded(await gate.acquire())

    asyncio.run(run())


def test_a_refusal_among_many_replies_leaves_the_gate_as_wide_as_the_replies_make_it() -> None:
    """Every third request is refused, whatever their number: half each time would come to one or two at once."""

    async def run() -> None:
        gate = Gate(32, clock=HandClock())
        numbers = [await gate.acquire() for _ in range(32)]
        widths = []
        for place in range(600):
            if place % 3 == 2:
                gate.overloaded(numbers.pop(0))
            else:
                numbers.pop(0)
                gate.succeeded()
            gate.release()
            while gate.in_flight < int(gate.width):
                numbers.append(await gate.acquire())
            widths.append(gate.width)
        assert min(widths) > 2
        assert sum(widths[100:]) / 500 > 3

    asyncio.run(run())


def test_a_gate_says_why_it_sends_nothing_and_for_how_long() -> None:
    async def run() -> None:
        clock = HandClock()
        gate, entered = Gate(2, rpm=60, clock=clock), Entered()
        assert gate.hold() is None
        for name in "ab":
            enter(gate, name, entered)
        await settle()
        assert gate.hold() == Hold(pytest.approx(1.0), "pace")
        gate.pause(3)
        clock.advance(2)
        assert gate.hold() == Hold(pytest.approx(1.0), "retry")
        clock.advance(1)
        await settle()
        assert entered == ["a", "b"]
        assert gate.hold() is None, "two are under way"
        resting = asyncio.create_task(gate.rest(5))
        await settle()
        assert gate.hold() is None, "others are under way"
        gate.release()
        gate.release()
        clock.advance(1)
        assert gate.hold() == Hold(pytest.approx(4.0), "retry")
        clock.advance(4)
        await resting
        assert gate.hold() is None

    asyncio.run(run())


def test_the_concurrency_never_falls_below_one() -> None:
    async def run() -> None:
        gate, entered = Gate(4, clock=HandClock()), Entered()
        for _ in range(5):
            gate.overloaded(await gate.acquire())
            gate.release()
        enter(gate, "a", entered)
        await settle()
        assert entered == ["a"]

    asyncio.run(run())


def test_stop_ends_all_waiting_now_and_from_now_on() -> None:
    async def run() -> None:
        gate, entered = Gate(1, clock=HandClock()), Entered()
        enter(gate, "a", entered)
        await settle()
        waiting = enter(gate, "b", entered)
        resting = asyncio.create_task(gate.rest(60))
        await settle()
        gate.stop()
        late = enter(gate, "c", entered)
        for task in (waiting, resting, late):
            with pytest.raises(ModelFailure, match="stopped"):
                await task
        gate.release()
        assert gate.in_flight == 0
        assert entered == ["a"]

    asyncio.run(run())


def test_a_rest_lasts_its_seconds() -> None:
    async def run() -> None:
        clock = HandClock()
        gate = Gate(1, clock=clock)
        resting = asyncio.create_task(gate.rest(2))
        await settle()
        clock.advance(1.9)
        await settle()
        assert not resting.done()
        clock.advance(0.1)
        await asyncio.wait_for(resting, 5)

    asyncio.run(run())
