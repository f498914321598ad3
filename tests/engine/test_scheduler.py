"""The scheduler: so many at once in each lane, the longest chain first, and a stop that awaits what is under way."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill_build.engine.scheduler import Scheduler

PATIENCE_SECONDS = 20.0


@dataclass
class Recorder:
    """Steps that say when they begin and end, and wait until they are let go."""

    begun: list[object] = field(default_factory=list)
    ended: list[object] = field(default_factory=list)
    under_way: int = 0
    most: int = 0
    open: asyncio.Event = field(default_factory=asyncio.Event)

    def step(self, name: object) -> Callable[[], Awaitable[None]]:
        async def run() -> None:
            self.begun.append(name)
            self.under_way += 1
            self.most = max(self.most, self.under_way)
            await self.open.wait()
            self.under_way -= 1
            self.ended.append(name)

        return run


def run(main: Callable[[], Coroutine[object, object, None]]) -> None:
    asyncio.run(asyncio.wait_for(main(), PATIENCE_SECONDS))


async def let_everything_start() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def test_without_steps_a_run_is_over_at_once() -> None:
    run(lambda: Scheduler({"lane": 1}).run())


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 3), st.integers(0, 3)), max_size=20), st.booleans())
def test_steps_run_by_the_length_of_their_chain_unless_it_is_crowded_then_by_place_then_in_the_order_of_coming(
    steps: list[tuple[int, int]], crowded: bool
) -> None:
    recorder = Recorder()

    async def main() -> None:
        recorder.open = asyncio.Event()
        recorder.open.set()
        scheduler = Scheduler({"lane": 1}, crowded=lambda: crowded)
        for order, (chain, place) in enumerate(steps):
            scheduler.submit("lane", chain, (place,), recorder.step((chain, place, order)))
        await scheduler.run()

    run(main)
    assert recorder.begun == sorted(
        ((chain, place, order) for order, (chain, place) in enumerate(steps)),
        key=lambda step: step[1:] if crowded else (-step[0], *step[1:]),
    )


def walked(crowded: Callable[[list[str]], bool]) -> list[str]:
    """In which order three lists of two items go, each item with one step more; `crowded` is given what was done."""
    order: list[str] = []

    async def main() -> None:
        scheduler = Scheduler({"lane": 1}, crowded=lambda: crowded(order))

        async def end(name: str) -> None:
            order.append(f"end {name}")

        async def begin(name: str) -> None:
            order.append(f"begin {name}")
            scheduler.submit("lane", 1, (int(name),), partial(end, name))

        for name in ("1", "2", "3"):
            scheduler.submit("lane", 2, (int(name),), partial(begin, name))
        await scheduler.run()

    run(main)
    return order


def test_the_longest_chain_goes_first() -> None:
    assert walked(lambda _: False) == ["begin 1", "begin 2", "begin 3", "end 1", "end 2", "end 3"]


def test_where_it_is_crowded_what_was_begun_is_ended_first() -> None:
    assert walked(lambda _: True) == ["begin 1", "end 1", "begin 2", "end 2", "begin 3", "end 3"]


def test_what_is_held_stays_within_the_bound_that_the_caller_counts() -> None:
    def held(done: list[str]) -> int:
        return sum(1 if step.startswith("begin") else -1 for step in done)

    order = walked(lambda done: held(done) >= 2)
    assert order == ["begin 1", "begin 2", "end 1", "begin 3", "end 2", "end 3"]
    assert max(held(order[:n]) for n in range(len(order))) == 2


@pytest.mark.parametrize("window", [1, 3, 8])
def test_never_more_steps_are_under_way_in_a_lane_than_its_window(window: int) -> None:
    recorder = Recorder()

    async def main() -> None:
        scheduler = Scheduler({"lane": window})
        for n in range(20):
            scheduler.submit("lane", 1, (n,), recorder.step(n))
        await let_everything_start()
        assert recorder.under_way == window
        recorder.open.set()
        await scheduler.run()

    run(main)
    assert recorder.most == window
    assert len(recorder.ended) == 20


def test_a_full_lane_does_not_hold_up_another() -> None:
    slow, quick = Recorder(), Recorder()
    quick.open.set()

    async def main() -> None:
        scheduler = Scheduler({"slow": 1, "quick": 1})
        for n in range(3):
            scheduler.submit("slow", 1, (n,), slow.step(n))
            scheduler.submit("quick", 1, (n,), quick.step(n))
        await let_everything_start()
        assert quick.ended == [0, 1, 2]
        assert slow.begun == [0]
        slow.open.set()
        await scheduler.run()

    run(main)


def test_a_stop_starts_nothing_new_awaits_what_is_under_way_and_raises_its_first_reason() -> None:
    recorder, told = Recorder(), []

    async def main() -> None:
        scheduler = Scheduler({"lane": 2}, lambda: told.append("stop"))
        for n in range(5):
            scheduler.submit("lane", 1, (n,), recorder.step(n))
        await let_everything_start()
        scheduler.stop(KeyError("first"))
        scheduler.stop(ValueError("second"))
        scheduler.submit("lane", 1, (0,), recorder.step("late"))
        finishing = asyncio.ensure_future(scheduler.run())
        await let_everything_start()
        assert not finishing.done(), "what is in flight is awaited"
        recorder.open.set()
        with pytest.raises(KeyError, match="first"):
            await finishing

    run(main)
    assert recorder.begun == recorder.ended == [0, 1]
    assert told == ["stop"]


def test_an_exception_of_a_step_ends_the_run_after_its_neighbours_have_ended() -> None:
    recorder, told = Recorder(), []

    async def fail() -> None:
        raise ZeroDivisionError

    async def main() -> None:
        scheduler = Scheduler({"lane": 2}, lambda: told.append("stop"))
        scheduler.submit("lane", 1, (0,), recorder.step("neighbour"))
        scheduler.submit("lane", 1, (1,), fail)
        scheduler.submit("lane", 1, (2,), recorder.step("never"))
        finishing = asyncio.ensure_future(scheduler.run())
        await let_everything_start()
        assert not finishing.done()
        recorder.open.set()
        with pytest.raises(ZeroDivisionError):
            await finishing

    run(main)
    assert recorder.ended == ["neighbour"]
    assert told == ["stop"]


def test_a_run_that_was_stopped_before_its_first_step_raises_the_reason() -> None:
    async def main() -> None:
        scheduler = Scheduler({"lane": 1})
        scheduler.stop(KeyError("early"))
        scheduler.submit("lane", 1, (0,), Recorder().step(0))
        with pytest.raises(KeyError):
            await scheduler.run()

    run(main)


def test_steps_that_never_wait_still_let_the_loop_look_around() -> None:
    async def main() -> None:
        scheduler = Scheduler({"lane": 1})
        steps = 0

        async def endless() -> None:
            nonlocal steps
            steps += 1
            scheduler.submit("lane", 1, (steps,), endless)

        scheduler.submit("lane", 1, (0,), endless)
        asyncio.get_running_loop().call_later(0.05, scheduler.stop, KeyError("signal"))
        with pytest.raises(KeyError):
            await scheduler.run()

    run(main)


def test_a_chain_of_steps_longer_than_the_stack_is_deep_ends_well() -> None:
    count = 5000

    async def main() -> None:
        scheduler = Scheduler({"lane": 1})
        left = count

        async def step() -> None:
            nonlocal left
            left -= 1
            if left:
                scheduler.submit("lane", 1, (left,), step)

        scheduler.submit("lane", 1, (0,), step)
        await scheduler.run()
        assert left == 0

    run(main)
