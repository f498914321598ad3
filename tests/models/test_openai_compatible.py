import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest

from distill_build.errors import BudgetExceededError, ConfigurationError, EndpointError, EndpointLimitError
from distill_build.models.base import Limits, Model, ModelFailure
from distill_build.models.limits import Gate
from distill_build.models.openai_compatible import OpenAICompatible
from distill_build.models.retry import RetryableError
from tests import server as scripted
from tests.models.asking import BODY, ask, ask_once, completed, endpoint, settings, with_model
from tests.server import Fault, ScriptedServer

TWICE = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


def test_a_completion_comes_as_the_endpoint_sent_it() -> None:
    with ScriptedServer() as server:
        response = ask_once(server.base_url)
        sent = server.requests[0]
    assert sent.body == BODY
    assert response.raw == scripted.completion(BODY, "answers", 5)
    assert response.seconds > 0


def test_a_stream_is_put_together_to_the_same_completion() -> None:
    with ScriptedServer() as server:
        streamed = ask_once(server.base_url, stream=True).raw
        sent = server.requests[0].body
    assert sent == {**BODY, "stream": True, "stream_options": {"include_usage": True}}
    assert streamed == scripted.completion(BODY, "answers", 5)


def test_an_endpoint_that_knows_no_streams_may_answer_with_one_object() -> None:
    whole = scripted.completion(BODY, "answers", 5)
    with ScriptedServer(plan=[scripted.raw(whole)]) as server:
        assert ask_once(server.base_url, stream=True).raw == whole


def as_events(*objects: Any) -> Fault:
    """A stream that nobody asked for."""
    events = b"".join(b"data: " + scripted.as_bytes(each) + b"\n\n" for each in objects)
    return scripted.status(200, events + b"data: [DONE]\n\n", headers={"Content-Type": "text/event-stream"})


def test_a_stream_that_nobody_asked_for_is_read_as_one() -> None:
    whole = scripted.completion(BODY, "answers", 5)
    with ScriptedServer(plan=[as_events(*scripted.chunks(whole, include_usage=True)), as_events(whole)]) as server:
        assert ask_once(server.base_url).raw == whole
        assert ask_once(server.base_url).raw == whole
        assert server.count == 2


def test_a_byte_order_mark_before_a_reply_is_passed_over() -> None:
    whole = scripted.completion(BODY, "answers", 5)
    with ScriptedServer(plan=[scripted.raw(b"\xef\xbb\xbf" + scripted.as_bytes(whole))]) as server:
        assert ask_once(server.base_url).raw == whole


def test_a_long_header_keeps_no_reply_from_being_read() -> None:
    long = scripted.Fault("completion", headers={"X-Trace": "t" * 100_000})
    with ScriptedServer(plan=lambda _index, _body: long) as server:
        assert ask_once(server.base_url).raw["choices"]
        assert server.count == 1


RETRYABLE: dict[str, tuple[Callable[[], Fault], str]] = {
    "429": (lambda: scripted.status(429, retry_after=0), "rate_limited"),
    "500": (lambda: scripted.status(500), "server_error"),
    "503": (lambda: scripted.status(503, retry_after="0.001"), "server_error"),
    "reset": (scripted.reset, "connection"),
    "reset midway": (scripted.reset_midway, "connection"),
    "garbage": (scripted.garbage, "bad_response"),
    "not http": (scripted.not_http, "bad_response"),
    "truncated": (scripted.truncated, "bad_response"),
    "no choices": (lambda: scripted.raw({"choices": []}), "bad_response"),
    "no message": (lambda: scripted.raw({"choices": [{"text": "x"}]}), "bad_response"),
    "a list": (lambda: scripted.raw([1]), "bad_response"),
    "empty body": (lambda: scripted.raw(""), "bad_response"),
    "error in a 200": (lambda: scripted.raw({"error": {"code": 502, "message": "upstream"}}), "server_error"),
    "error in a choice": (lambda: scripted.raw({"choices": [{"error": {"code": 429}}]}), "rate_limited"),
}


@TWICE
@pytest.mark.parametrize("name", RETRYABLE)
def test_what_another_attempt_may_mend_is_tried_again(name: str, stream: bool) -> None:
    fault, _ = RETRYABLE[name]
    with ScriptedServer(plan=[fault(), fault()]) as server:
        assert ask_once(server.base_url, stream=stream).raw["choices"][0]["message"]["content"]
        assert server.count == 3


@pytest.mark.parametrize("name", RETRYABLE)
def test_after_the_last_retry_the_failure_has_a_cause(name: str) -> None:
    fault, cause = RETRYABLE[name]
    with ScriptedServer(plan=lambda _index, _body: fault()) as server:
        with pytest.raises(ModelFailure) as failure:
            ask_once(server.base_url, retries=1)
        assert server.count == 2
    assert failure.value.cause == cause


@TWICE
@pytest.mark.parametrize("fault", [scripted.drip(), scripted.hang()], ids=["drip", "hang"])
def test_the_timeout_bounds_the_whole_request(fault: Fault, stream: bool) -> None:
    with ScriptedServer(plan=lambda _index, _body: fault) as server:
        with pytest.raises(ModelFailure) as failure:
            ask_once(server.base_url, retries=1, timeout_s=0.2, stream=stream)
        assert server.count == 2
    assert failure.value.cause == "timeout"
    assert "limits.timeout_s=0.2" in failure.value.detail


@pytest.mark.parametrize(
    "fault",
    [scripted.content("", "length"), scripted.content("x", "content_filter"), scripted.refusal()],
    ids=["length", "content_filter", "refusal"],
)
def test_a_completion_is_kept_whatever_it_says(fault: Fault) -> None:
    with ScriptedServer(plan=[fault]) as server:
        assert ask_once(server.base_url).raw["choices"][0]["finish_reason"]
        assert server.count == 1


def test_json_is_read_under_any_content_type() -> None:
    with ScriptedServer(plan=[scripted.wrong_content_type()]) as server:
        assert ask_once(server.base_url).raw["choices"]
        assert server.count == 1


def test_a_refused_key_stops_those_who_wait_at_the_gate() -> None:
    def plan(_index: int, _body: Any) -> Fault:
        return scripted.error(401, "no")

    async def use(model: Model) -> list[Any]:
        return await asyncio.gather(*(ask(model) for _ in range(20)), return_exceptions=True)

    with ScriptedServer(plan=plan) as server:
        results = with_model(lambda: endpoint(server.base_url, Gate(2)), use)
        assert server.count == 2
    assert all(isinstance(result, EndpointError) for result in results)


def test_a_redirect_is_not_followed() -> None:
    with ScriptedServer() as target:
        moved = {"Location": f"{target.base_url}/chat/completions"}
        redirect = scripted.status(301, headers=moved)
        with ScriptedServer(plan=[redirect]) as server, pytest.raises(EndpointError, match=r"model\.base_url="):
            ask_once(server.base_url)
        assert target.count == 0


@TWICE
def test_a_web_page_in_place_of_the_first_completion_brings_the_advice_at_once(stream: bool) -> None:
    with ScriptedServer(plan=lambda _index, _body: scripted.page()) as server:
        told = r"no chat completions .*\(200: a web page, 'Welcome to the hotel network'\)\. Set model\.base_url"
        with pytest.raises(EndpointError, match=told):
            ask_once(server.base_url, stream=stream)
        assert server.count == 1


def test_a_web_page_among_completions_is_tried_again() -> None:
    async def use(model: Model) -> None:
        await ask(model)
        await ask(model)

    with ScriptedServer(plan=[None, scripted.page()]) as server:
        with_model(lambda: endpoint(server.base_url, Gate(1)), use)
        assert server.count == 3


def test_an_address_may_have_a_query() -> None:
    with ScriptedServer() as server:
        assert ask_once(f"{server.base_url}?api-version=2024-10-21").raw["choices"]


def test_the_version_in_an_address_that_the_endpoint_refuses_is_told() -> None:
    refusal = scripted.status(400, {"error": {"message": "API version 2024-06-01 is not supported"}})
    with (
        ScriptedServer(plan=[refusal]) as server,
        pytest.raises(ModelFailure, match="version 2024-06-01 is not supported"),
    ):
        ask_once(f"{server.base_url}?api-version=2024-06-01")


def test_a_proxy_that_cannot_be_reached_is_not_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with pytest.raises(EndpointError, match=r"refused; the environment names a proxy .* NO_PROXY=192\.0\.2\.1"):
        ask_once("http://192.0.2.1/v1", retries=0)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_an_address_where_nothing_listens_is_said_with_the_setting() -> None:
    with pytest.raises(EndpointError, match=r"cannot reach http://127\.0\.0\.1.*refused.*model\.base_url"):
        ask_once(f"http://127.0.0.1:{free_port()}/v1", retries=1)


@pytest.mark.parametrize("query", ["?key=s3cr3t", "?api-version=1&key=s3cr3t#top"])
def test_what_stands_behind_an_address_is_in_no_sentence(query: str) -> None:
    with pytest.raises(EndpointError) as failure:
        ask_once(f"http://127.0.0.1:{free_port()}/v1{query}", retries=0)
    assert "s3cr3t" not in str(failure.value)


def test_an_endpoint_that_has_answered_and_goes_away_fails_the_item() -> None:
    async def use(model: Model) -> None:
        await ask(model)
        server.__exit__()
        await ask(model)

    server = ScriptedServer().__enter__()
    with pytest.raises(ModelFailure) as failure:
        with_model(lambda: endpoint(server.base_url, Gate(1)), use)
    assert failure.value.cause == "connection"


def test_the_slot_is_held_until_the_response_is_kept() -> None:
    async def run(server: ScriptedServer) -> None:
        gate = Gate(1)
        model = endpoint(server.base_url, gate)
        storing, stored = asyncio.Event(), asyncio.Event()

        async def ask_and_store() -> None:
            async with model.slot(BODY) as slot:
                await slot.send()
                storing.set()
                await stored.wait()

        first = asyncio.create_task(ask_and_store())
        second = asyncio.create_task(ask(model))
        await asyncio.wait_for(storing.wait(), 5)
        assert (gate.in_flight, model.in_flight, server.count) == (1, 0, 1)
        stored.set()
        await asyncio.gather(first, second)
        assert (gate.in_flight, server.count) == (0, 2)
        await model.close()

    with ScriptedServer() as server:
        asyncio.run(run(server))


def test_a_retry_waits_outside_the_slot() -> None:
    async def run(server: ScriptedServer) -> None:
        gate = Gate(1)
        limits = Limits(retries=1, timeout_s=5)
        model = OpenAICompatible(settings(server.base_url), limits, gate, chance=lambda: 0.999)
        waiting = asyncio.create_task(ask(model))  # fails, and would come again after half a second
        while server.count == 0:
            await asyncio.sleep(0.001)
        await ask(model)  # passes it meanwhile
        assert server.count == 2
        assert not waiting.done()
        model.stop()
        with pytest.raises(ModelFailure, match="stopped"):
            await waiting
        await model.close()

    with ScriptedServer(plan=[scripted.status(500)]) as server:
        asyncio.run(run(server))


def test_retry_after_holds_everybody_behind_the_gate() -> None:
    with ScriptedServer(plan=[scripted.status(429, retry_after="0.3")]) as server:
        with_model(lambda: endpoint(server.base_url, Gate(1)), lambda model: ask(model, times=3))
        refused, *later = server.requests
    assert refused.finished is not None
    assert all(request.arrived - refused.finished > 0.25 for request in later)


def test_a_refusal_without_a_time_to_wait_holds_nobody_else_up_until_nothing_gets_through() -> None:
    async def run(server: ScriptedServer) -> None:
        gate = Gate(4)
        limits = Limits(retries=2, timeout_s=5)
        model = OpenAICompatible(settings(server.base_url), limits, gate, chance=lambda: 0.0)
        failing = asyncio.create_task(ask(model))
        await asyncio.to_thread(server.wait_for, 2)  # refused twice, and nothing got through in between
        await asyncio.to_thread(server.wait_until_idle)
        while gate.hold() is None and not failing.done():
            await asyncio.sleep(0)
        assert gate.hold() is not None
        await failing
        await model.close()

    with ScriptedServer(plan=[scripted.status(429), scripted.status(429)]) as server:
        asyncio.run(run(server))
    first, second, third = server.requests
    assert third.arrived - second.arrived > 0.4
    assert second.arrived >= first.arrived


def test_a_model_says_before_it_waits_how_long_and_when_it_gives_up() -> None:
    delays: list[float | None] = []

    async def use(model: Model) -> None:
        for failed in (1, 2):
            with pytest.raises(RetryableError) as failure:
                async with model.slot(BODY) as slot:
                    await slot.send()
            with nullcontext() if failed == 1 else pytest.raises(ModelFailure):
                await model.back_off(failure.value, failed, delays.append)

    with ScriptedServer(plan=lambda _index, _body: scripted.status(429, retry_after="0.01")) as server:
        with_model(lambda: endpoint(server.base_url, Gate(1), retries=1), use)
    assert delays[1:] == [None]
    assert delays[0] is not None
    assert 0.01 <= delays[0] < 0.02


def test_a_rate_limit_narrows_the_gate() -> None:
    gate = Gate(8)
    with ScriptedServer(plan=[scripted.status(429, retry_after=0)]) as server:
        server.hold()

        async def use(model: Model) -> None:
            asking = asyncio.create_task(ask(model, times=8))
            await asyncio.to_thread(server.wait_for, 8)
            server.release()
            await asking

        with_model(lambda: endpoint(server.base_url, gate), use)
    assert gate.width < 8  # a fifth less, and a little more for each completion since


def test_a_wait_of_hours_stops_the_build_and_says_so() -> None:
    fault = scripted.status(429, retry_after=86400)
    with ScriptedServer(plan=[fault]) as server, pytest.raises(EndpointLimitError, match=r"24\.0 hours"):
        ask_once(server.base_url)


def test_never_more_in_flight_than_the_gate_lets_in() -> None:
    with ScriptedServer(latency=0.01) as server:
        with_model(lambda: endpoint(server.base_url, Gate(7)), lambda model: ask(model, times=50))
        assert server.count == 50
        assert server.max_in_flight == 7


def test_a_slot_that_is_left_without_sending_takes_no_place_in_the_pace() -> None:
    """At one a minute, each place that was taken would be a minute's wait."""

    async def use(model: Model) -> None:
        async with asyncio.timeout(20):
            for _ in range(3):
                with pytest.raises(BudgetExceededError):
                    async with model.slot(BODY):
                        raise BudgetExceededError("it is spent")
            assert len(await ask(model)) == 1

    with ScriptedServer() as server:
        with_model(lambda: endpoint(server.base_url, Gate(rpm=1, tpm=1)), use)


def test_each_attempt_has_a_slot_of_its_own_which_is_held_as_long_as_what_is_done_within() -> None:
    told: list[str] = []

    @contextmanager
    def telling() -> Iterator[None]:
        told.append("entered")
        try:
            yield
        finally:
            told.append(f"left with {gate.in_flight}")

    gate = Gate(1)
    with ScriptedServer(plan=[scripted.status(500)]) as server:
        with_model(lambda: endpoint(server.base_url, gate), lambda model: completed(model, within=telling))
    assert told == ["entered", "left with 1", "entered", "left with 1"]
    assert gate.in_flight == 0


def test_the_pace_goes_by_what_was_used() -> None:
    """A request that may use a hundred minutes' tokens and used none does not hold up the next."""

    async def use(model: Model) -> None:
        async with asyncio.timeout(20):
            for _ in range(2):
                async with model.slot({**BODY, "limit": 100_000}) as slot:
                    await slot.send()
                    slot.used(0)

    with ScriptedServer() as server:
        with_model(lambda: endpoint(server.base_url, Gate(tpm=1000), max_tokens_field="limit"), use)
        assert server.count == 2


def test_a_cancelled_request_frees_its_slot() -> None:
    async def run(server: ScriptedServer) -> None:
        gate = Gate(1)
        model = endpoint(server.base_url, gate)
        server.hold()
        hanging = asyncio.create_task(ask(model))
        await asyncio.to_thread(server.wait_for, 1)
        hanging.cancel()
        await asyncio.wait([hanging])
        assert (gate.in_flight, model.in_flight) == (0, 0)
        server.release()
        await ask(model)
        await model.close()

    with ScriptedServer() as server:
        asyncio.run(run(server))


def test_the_key_goes_into_the_header_and_nowhere_else() -> None:
    secret = "sk-very-secret"  # noqa: S105 - a made-up one

    def model_of() -> Model:
        model = settings(server.base_url, api_key_env="KEY", api_key_required=True)
        return OpenAICompatible(model, Limits(retries=0), Gate(1), environment={"KEY": f" {secret}\n"})

    with ScriptedServer(plan=[scripted.error(400, f"bad {secret}")]) as server:
        with pytest.raises(ModelFailure) as failure:
            with_model(model_of, ask)
        assert server.requests[0].headers["Authorization"] == f"Bearer {secret}"
        assert secret not in str(server.requests[0].body)
    assert secret not in str(failure.value)


def test_a_missing_key_names_the_variable_and_the_model() -> None:
    with pytest.raises(ConfigurationError, match=r"'gpt-x'.*MY_KEY"):
        ask_once("http://127.0.0.1/v1", name="gpt-x", api_key_env="MY_KEY", api_key_required=True)


def test_a_proxy_in_the_environment_is_not_used_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with ScriptedServer() as server:
        assert ask_once(server.base_url).raw


def test_a_proxy_in_the_environment_is_used_for_other_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedServer() as server:
        monkeypatch.setenv("http_proxy", server.base_url.removesuffix("/v1"))
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        assert ask_once("http://llm.example.invalid/v1").raw
        assert server.requests[0].headers["Host"] == "llm.example.invalid"
