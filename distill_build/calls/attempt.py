"""One attempt of a call: its request, and what is done with the response.

A response is stored before anything else is done with it, whatever reading it brings.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

import msgspec

from distill_build.calls.budget import Spending
from distill_build.calls.call import Call, derived_seed, standing
from distill_build.calls.pinned import PinnedResponses
from distill_build.engine.entry import Accepted, Attempt, Entry
from distill_build.engine.ledger import Ledger
from distill_build.engine.store import Store
from distill_build.models.base import ChatResponse, Model, Prices
from distill_build.models.completion import estimated_tokens
from distill_build.models.factory import GateKey
from distill_build.models.retry import RetryableError
from distill_build.records import JsonObject, Usage
from distill_build.replies.reply import Rejection, Reply, read_reply, read_usage


class Route(msgspec.Struct, frozen=True):
    """Where the calls of a role go, and on what terms.

    `name` is the model's, `gate` names the gate of the place where it is reached; `reasks` is per call and build;
    `reask` makes the messages that tell a model what was wrong with its reply, and whether that is to be JSON alone; it
    raises ModelFailure where it cannot; `timeout_s` is how many seconds one request may take.
    """

    name: str
    gate: GateKey
    model: Model
    prices: Prices
    reasks: int
    reask: Callable[[str, bool], Sequence[JsonObject]]
    timeout_s: float


class Request(msgspec.Struct, frozen=True):
    """An attempt of a call, ready to be sent.

    `index` is the number of attempts before it, of all builds; `added` are messages behind the call's own. With
    `displaces` the response takes the place of what stands, and `anew` says that something does.
    """

    call: Call
    route: Route
    index: int
    added: tuple[JsonObject, ...]
    displaces: bool
    anew: bool

    @property
    def body(self) -> JsonObject:
        """What is sent."""
        if self.index == 0:
            return self.call.body
        body = dict(self.call.body)
        body["messages"] = [*body["messages"], *self.added]
        if "seed" in body:
            manifest = self.call.manifest
            body["seed"] = derived_seed(manifest["seed"], manifest["sample"], self.index)
        return body


class Judged(msgspec.Struct, frozen=True):
    """The entry as it stands when a response is stored, with the verdict on the attempt.

    `overtaken` says that another process had an answer before this was sent.
    """

    entry: Entry
    verdict: Rejection | Accepted
    overtaken: bool = False


def next_request(call: Call, route: Route, entry: Entry | None, *, displaces: bool, first: bool) -> Request:
    """The attempt behind those in `entry`; `first` is for one that no other of this build preceded."""
    if entry is None:
        return Request(call, route, 0, (), displaces, anew=False)
    anew = first and displaces and entry.accepted is not None
    return Request(call, route, len(entry.attempts), _reask_messages(call, route, entry), displaces, anew)


def _reask_messages(call: Call, route: Route, entry: Entry) -> tuple[JsonObject, ...]:
    """Shows the model its last reply and what was wrong with it, where that is something it can mend."""
    reply = read_reply(entry.attempts[-1].response)
    verdict = call.read(reply)
    if not isinstance(verdict, Rejection) or verdict.cause != "invalid":
        return ()
    reask = route.reask(verdict.detail, "response_format" in call.body)
    shown = isinstance(reply, Reply) and reply.content
    return ({"role": "assistant", "content": shown}, *reask) if shown else tuple(reask)


def answered_since(request: Request, entry: Entry | None) -> Judged | None:
    """What another process has stored since `request` was made, where it has."""
    if entry is None or len(entry.attempts) <= request.index:
        return None
    verdict: Rejection | Accepted | None = standing(request.call, entry, PinnedResponses())
    if verdict is None:
        verdict = request.call.read(entry.attempts[-1].response)
        assert isinstance(verdict, Rejection), "an attempt that can be read stands"  # noqa: S101
    return Judged(entry, verdict, overtaken=True)


class StageCounts(Protocol):
    """What is counted of the calls of one stage."""

    found: int
    answered: int

    def spend(self, model: str, usage: Usage, usd: float | None, seconds: float) -> None:
        """Adds one response of the model of that name."""

    def fail(self, model: str, cause: str) -> None:
        """Adds one request to it that brought no response."""

    def wait(self, model: str, cause: str, seconds: float) -> None:
        """Adds what was waited before such a request was sent again."""


class Recorder:
    """Takes the responses that come: stores, judges and counts them."""

    def __init__(self, store: Store, counts: Mapping[str, StageCounts], spending: Spending, ledger: Ledger) -> None:
        """`counts` are by stage; `spending` may be that of several builds."""
        self._store = store
        self._counts = counts
        self._spending = spending
        self._ledger = ledger

    async def record(self, request: Request, response: ChatResponse, used: Callable[[int], None]) -> Judged:
        """Stores the response, and then goes by what stands in the store. `used` is told how many tokens it took.

        Raises EndpointError where it shows that no other will be of use.
        """
        call = request.call
        verdict: Rejection | Accepted = Rejection("invalid", "The reply could not be read.")
        usage, usd = Usage(), None
        try:
            reply = read_reply(response.raw)
            usage = usage_of(call.body, response.raw, reply)
            usd = request.route.prices.of(usage.prompt_tokens, usage.completion_tokens)
            used(usage.prompt_tokens + usage.completion_tokens)
            value = call.read(reply)
            verdict = value if isinstance(value, Rejection) else Accepted(0, value, call.reading)
        finally:  # an error of ours loses no response
            entry = await self._stored(request, response, usd, verdict)
        if isinstance(verdict, Accepted) or not request.displaces:  # ours, or that of another process which came first
            verdict = standing(call, entry, PinnedResponses()) or verdict
        self._count(request, response.seconds, usage, usd, verdict)
        request.route.model.require_fit(response.raw)
        return Judged(entry, verdict)

    def failed(self, request: Request, failure: RetryableError, attempts: int, delay_s: float | None) -> None:
        """Counts a request that brought no response; `delay_s` is the wait before the next one, None for the last.

        That is this call's own; `retry_after_s` is what the endpoint asked of everybody.
        """
        call, model = request.call, request.route.name
        self._counts[call.stage].fail(model, failure.cause)
        self._ledger.write(
            "retry" if delay_s is not None else "gave_up",
            stage=call.stage,
            path=call.path,
            call=call.key,
            model=model,
            cause=failure.cause,
            attempt=attempts,
            wait_s=None if delay_s is None else round(delay_s, 3),
            retry_after_s=None if failure.retry_after_s is None else round(failure.retry_after_s, 3),
        )

    def waited(self, request: Request, failure: RetryableError, seconds: float) -> None:
        """Counts the time until that request was sent again."""
        self._counts[request.call.stage].wait(request.route.name, failure.cause, seconds)

    async def _stored(
        self, request: Request, response: ChatResponse, usd: float | None, verdict: Rejection | Accepted
    ) -> Entry:
        now, seconds = datetime.now(UTC).isoformat(timespec="milliseconds"), round(response.seconds, 3)
        attempt = Attempt(request.index, response.raw, seconds, now, request.added, usd, anew=request.anew)
        accepted = verdict if isinstance(verdict, Accepted) else None
        entry = Entry(request.call.key, request.call.manifest, (attempt,), accepted)
        return await self._store.put(entry, displace=request.displaces)

    def _count(
        self, request: Request, seconds: float, usage: Usage, usd: float | None, verdict: Rejection | Accepted
    ) -> None:
        call = request.call
        self._counts[call.stage].spend(request.route.name, usage, usd, seconds)
        self._spending.add(usage.prompt_tokens + usage.completion_tokens, usd)
        self._ledger.write(
            "response",
            stage=call.stage,
            path=call.path,
            call=call.key,
            attempt=request.index,
            verdict=verdict.cause if isinstance(verdict, Rejection) else "accepted",
            seconds=round(seconds, 3),
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
        )


def usage_of(body: JsonObject, raw: Any, reply: Reply | Rejection) -> Usage:
    """The tokens of a response: as the endpoint counts them, or by the text where it counts none.

    A budget must hold there too. `reply` is what was read of `raw`.
    """
    usage = reply.usage if isinstance(reply, Reply) else read_usage(raw)
    if usage.prompt_tokens or usage.completion_tokens:
        return usage
    text = "" if isinstance(reply, Rejection) else f"{reply.reasoning or ''}{reply.content}"
    return Usage(round(estimated_tokens(body["messages"])), round(estimated_tokens([{"content": text}])))


class ResponseCost(msgspec.Struct, frozen=True):
    """Of a response, and of those before it in vain: tokens, and US dollars where prices were known."""

    prompt_tokens: int
    completion_tokens: int
    usd: float | None


def cost_of(entry: Entry, place: int) -> ResponseCost:
    """What the response at `place` has cost, with those before it that were found wanting.

    Responses that stood and were asked for anew are not among them, nor what another machine paid for the same.
    """
    first = place
    while first and not entry.attempts[first].anew and entry.attempts[first - 1].index < entry.attempts[first].index:
        first -= 1
    attempts, body = entry.attempts[first : place + 1], entry.manifest["body"]
    usages = [usage_of(body, attempt.response, read_reply(attempt.response)) for attempt in attempts]
    costs = [attempt.usd for attempt in attempts]
    return ResponseCost(
        sum(usage.prompt_tokens for usage in usages),
        sum(usage.completion_tokens for usage in usages),
        None if None in costs else sum(cost for cost in costs if cost is not None),
    )
