"""The way of a call: what is stored when, who is asked how often, and what a build may spend. Over real HTTP."""

import asyncio
import multiprocessing
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from distill_build.builds.walk.tally import StageTally
from distill_build.calls.attempt import Recorder, Route
from distill_build.calls.budget import Halt, Spending
from distill_build.calls.call import HALTED, Call, Failed, Made, Result
from distill_build.calls.online import OnlineExecutor
from distill_build.calls.pinned import PinnedResponses
from distill_build.calls.resolver import CallResolver, CallStates
from distill_build.engine.claims import Claims
from distill_build.engine.ledger import Ledger
from distill_build.engine.manifest import SCHEME, digest
from distill_build.engine.reading import ReadOnlyStore
from distill_build.engine.store import Store
from distill_build.errors import BudgetExceededError
from distill_build.models.base import Prices
from distill_build.models.limits import Gate
from distill_build.replies.parse import ParsedAnswer, parse_answer
from distill_build.settings import Budget
from tests import server as scripted
from tests.models.asking import endpoint
from tests.server import Body, Fault, ScriptedServer

PATIENCE_SECONDS = 60.0


def read(reply: Any) -> Any:
    parsed = parse_answer(reply)
    return {"answer": parsed.answer} if isinstance(parsed, ParsedAnswer) else parsed


def call(text: str, reader: Callable[[Any], Any] = read) -> Call:
    """A call that asks for `text`."""
    body = {"model": "m", "seed": 1, "messages": [{"role": "user", "content": text}]}
    manifest = {"scheme": SCHEME, "stage": "poems", "body": body, "seed": 0, "sample": 0}
    return Call("poems", ("topic",), digest(manifest), manifest, reader, "poet")


class Build:
    """What one build asks with, on the cache in `folder`."""

    def __init__(
        self, folder: Path, server: ScriptedServer, *, slots: int = 4, budget: Budget | None = None, anew: bool = False
    ) -> None:
        self.store = Store(folder / "cache")
        self.gate = Gate(slots)
        self.model = endpoint(server.base_url, self.gate, timeout_s=PATIENCE_SECONDS)
        self.counts = StageTally()
        self.spending = Spending(budget or Budget())
        self.halt = Halt(lambda: None)
        gate = ("openai_compatible", server.base_url, "m")
        route = Route(
            "m", gate, self.model, Prices(), 1, lambda error: [{"role": "user", "content": error}], PATIENCE_SECONDS
        )
        recorder = Recorder(self.store, {"poems": self.counts}, self.spending, Ledger(folder / "runs", "run"))
        executor = OnlineExecutor(self.store, recorder, self.spending, self.halt, lambda: None)
        self.states = CallStates()
        self.resolver = CallResolver(
            self.store, executor, {"poet": route}, PinnedResponses(), {"poems": self.counts},
            states=self.states, anew=lambda _: anew, absent=None, halt=self.halt,
        )  # fmt: skip

    def run(self, use: Callable[[CallResolver], Awaitable[Any]]) -> Any:
        """What `use` comes to; everything is closed afterwards."""

        async def main() -> Any:
            try:
                return await asyncio.wait_for(use(self.resolver), PATIENCE_SECONDS)
            finally:
                await self.model.close()

        with closing(self.store):
            return asyncio.run(main())

    def ask(self, *calls: Call) -> list[Result]:
        """What becomes of `calls`, all at once."""
        results: list[Result] = self.run(lambda resolver: asyncio.gather(*map(resolver, calls)))
        return results


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        yield running


def stored(folder: Path) -> int:
    """How many calls the cache holds, for whoever looks now."""
    with closing(ReadOnlyStore(folder / "cache")) as store:
        return sum(1 for _ in store.keys())  # noqa: SIM118 - no dictionary


def test_a_response_is_stored_before_its_slot_is_given_to_another_request(
    tmp_path: Path, server: ScriptedServer
) -> None:
    before: list[int] = []

    def plan(_index: int, _body: Body) -> None:
        before.append(stored(tmp_path))

    server.plan = plan
    results = Build(tmp_path, server, slots=1).ask(*(call(f"poem {n}") for n in range(6)))
    assert all(isinstance(result, Made) for result in results)
    assert before == [0, 1, 2, 3, 4, 5]


def test_equal_calls_at_once_are_sent_once_and_later_ones_are_found(tmp_path: Path, server: ScriptedServer) -> None:
    build = Build(tmp_path, server)
    one, two, other = build.ask(call("a poem"), call("a poem"), call("another"))
    assert one == two != other
    assert (server.count, build.counts.answered, build.counts.found) == (2, 2, 0), (
        "what this build asks for it does not find"
    )
    again = Build(tmp_path, server)
    (found,) = again.ask(call("a poem"))
    assert isinstance(one, Made)
    assert isinstance(found, Made)
    assert (found.value, found.response, found.asked) == (one.value, one.response, False)
    assert (server.count, again.counts.found) == (2, 1)


def test_a_response_that_an_error_of_ours_keeps_from_being_read_is_stored(
    tmp_path: Path, server: ScriptedServer
) -> None:
    def fails(_reply: Any) -> Any:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Build(tmp_path, server).ask(call("a poem", fails))
    mended = Build(tmp_path, server)
    (result,) = mended.ask(call("a poem"))
    assert isinstance(result, Made)
    assert server.count == 1


def test_a_reply_that_cannot_stand_is_asked_for_again_with_what_was_wrong(
    tmp_path: Path, server: ScriptedServer
) -> None:
    server.plan = [scripted.content("", "length")]
    (result,) = Build(tmp_path, server).ask(call("a poem"))
    assert isinstance(result, Made)
    first, second = (request.body["seed"] for request in server.requests)
    assert first != second


def test_each_retry_is_a_request_of_the_budget(tmp_path: Path, server: ScriptedServer) -> None:
    server.plan = lambda _index, _body: scripted.status(500)
    build = Build(tmp_path, server, budget=Budget(calls=2))
    assert build.ask(call("a poem")) == [HALTED]
    assert (server.count, build.spending.sent) == (2, 2)
    assert "budget.calls is reached" in str(build.halt.reason)


def test_tokens_are_counted_by_the_text_where_the_endpoint_counts_none(tmp_path: Path, server: ScriptedServer) -> None:
    silent = {"choices": [{"message": {"content": "x" * 400}, "finish_reason": "stop"}]}
    server.plan = [scripted.raw(silent)]
    build = Build(tmp_path, server)
    build.ask(call("a poem"))
    assert (build.counts.prompt_tokens, build.counts.completion_tokens) == (6, 104)
    assert build.spending.tokens == 110


def is_free(directory: Path, key: str, said: Any) -> None:
    """In another process: whether a call could be claimed there."""
    said.send(Claims(directory).take(key))


def free_elsewhere(directory: Path, key: str) -> bool:
    said, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("forkserver").Process(target=is_free, args=(directory, key, there))
    process.start()
    free: bool = said.recv()
    process.join()
    return free


def test_a_call_is_claimed_while_it_is_in_flight_and_not_while_it_backs_off(
    tmp_path: Path, server: ScriptedServer
) -> None:
    def plan(index: int, _body: Body) -> Fault | None:
        return scripted.status(429, retry_after=30) if index == 0 else None

    poem, free = call("a poem"), list[bool]()
    server.plan = plan
    server.hold()
    build = Build(tmp_path, server)

    async def use(resolver: CallResolver) -> Result:
        asking = asyncio.ensure_future(resolver(poem))
        await asyncio.to_thread(server.wait_for, 1)
        free.append(await asyncio.to_thread(free_elsewhere, tmp_path / "cache", poem.key))
        server.release()
        while build.gate.in_flight:
            await asyncio.sleep(0.001)
        free.append(await asyncio.to_thread(free_elsewhere, tmp_path / "cache", poem.key))
        build.halt.because(BudgetExceededError("enough"))
        build.model.stop()
        return await asking

    assert build.run(use) is HALTED
    assert free == [False, True]
    assert server.count == 1


def test_what_was_asked_anew_in_vain_stands(tmp_path: Path, server: ScriptedServer) -> None:
    (before,) = Build(tmp_path, server).ask(call("a poem"))
    server.plan = lambda _index, _body: scripted.refusal()
    build = Build(tmp_path, server, anew=True)
    (after,) = build.ask(call("a poem"))
    assert isinstance(before, Made)
    assert isinstance(after, Made)
    assert (after.value, after.response) == (before.value, before.response)
    assert build.resolver.asked_in_vain == {call("a poem").key}


def test_what_was_asked_anew_displaces_what_stood(tmp_path: Path, server: ScriptedServer) -> None:
    Build(tmp_path, server).ask(call("a poem"))
    server.plan = lambda _index, _body: scripted.content("quite another poem")
    build = Build(tmp_path, server, anew=True)
    (after,) = build.ask(call("a poem"))
    assert isinstance(after, Made)
    assert after.value == {"answer": "quite another poem"}
    assert build.resolver.displaced == {call("a poem").key}


def test_a_call_that_came_to_nothing_is_not_tried_again_in_the_same_build(
    tmp_path: Path, server: ScriptedServer
) -> None:
    server.plan = lambda _index, _body: scripted.refusal()

    async def twice(resolver: CallResolver) -> tuple[Result, Result]:
        return await resolver(call("a poem")), await resolver(call("a poem"))

    first, second = Build(tmp_path, server).run(twice)
    assert isinstance(first, Failed)
    assert (first.cause, first.attempts) == ("refusal", 2)
    assert second is first
    assert server.count == 2
