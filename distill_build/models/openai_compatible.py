"""A model behind an OpenAI-compatible chat-completions endpoint. The only place that knows httpx and aiohttp.

One attempt: gate → permit → POST → keep → permit left → gate freed. A failure that another attempt may mend waits
outside of both and comes again. Imported at the first request only, because httpx and aiohttp cost start-up time.
API: https://platform.openai.com/docs/api-reference/chat
"""

import asyncio
import os
import random
import ssl
import time
from collections.abc import Callable, Mapping
from typing import Any

import aiohttp
import httpx
import msgspec
from httpx_aiohttp import AiohttpTransport

from distill_build.errors import EndpointError
from distill_build.models.address import api_key, checked_address, environment_proxy
from distill_build.models.base import (
    DEFAULT_TIMEOUT_S,
    ChatResponse,
    JsonObject,
    Keep,
    Limits,
    ModelFailure,
    ModelSettings,
    Permit,
)
from distill_build.models.completion import error_in, estimated_tokens, is_completion, streamed, used_tokens
from distill_build.models.limits import Gate
from distill_build.models.refusals import Endpoint, Reply, status_of
from distill_build.models.retry import LONGEST_WAIT_S, RetryableError, RetryPolicy
from distill_build.models.streaming import Assembly, decoded_object
from distill_build.models.transport_errors import translated

CONNECT_TIMEOUT_S = 30.0
TIMEOUTS = {"connect": CONNECT_TIMEOUT_S, "read": None, "write": None, "pool": None}
DEFAULT_RETRIES = 6


class OpenAICompatible:
    """See `distill_build.models.base.Model`.

    `limits` gives timeout and retries; concurrency and pace are the gate's. `chance` returns random numbers
    in [0, 1). Raises ConfigurationError for a missing API key or an address that is none.
    """

    def __init__(
        self,
        model: ModelSettings,
        limits: Limits,
        gate: Gate,
        *,
        environment: Mapping[str, str] = os.environ,
        policy: RetryPolicy | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        address = checked_address(model)
        key = api_key(model, environment)
        self._gate = gate
        self._stream = model.stream
        self._timeout_s = limits.timeout_s or DEFAULT_TIMEOUT_S
        retries = DEFAULT_RETRIES if limits.retries is None else limits.retries
        self._policy = policy or RetryPolicy(retries)
        self._chance = chance
        self._endpoint = Endpoint(model, address, key)
        self._url = httpx.URL(f"{address}/chat/completions")
        self._headers = headers_for(key)
        self._transport: AiohttpTransport | None = None
        self._in_flight = 0
        self._fatal: str | None = None

    @property
    def in_flight(self) -> int:
        """HTTP requests that are under way now."""
        return self._in_flight

    async def complete(self, body: Mapping[str, Any], *, permit: Permit, keep: Keep) -> None:
        """Sends `body` until it brings a completion or cannot. See `distill_build.models.base.Model`."""
        content = msgspec.json.encode(streamed(body) if self._stream else body)
        tokens = estimated_tokens(body) if self._gate.paces_tokens else 0
        failed = 0
        while True:
            try:
                return await self._attempt(body, content, tokens, permit, keep)
            except RetryableError as failure:
                failed += 1
                delay_s = self._policy.delay(failure, failed, self._chance(), answered=self._gate.answered)
                if delay_s is None:
                    raise self._given_up(failure, failed) from failure
            await self._gate.rest(delay_s)

    def stop(self) -> None:
        """Ends the waiting of all requests that are not under way, now and from now on."""
        self._gate.stop()

    async def close(self) -> None:
        """Closes the connections."""
        if self._transport is not None:
            await self._transport.aclose()

    async def _attempt(self, body: Mapping[str, Any], content: bytes, tokens: int, permit: Permit, keep: Keep) -> None:
        entered, permitted = await self._gate.acquire(tokens), False
        try:
            self._still_usable()
            with permit():
                permitted = True
                response = await self._request(body, content)
                self._gate.succeeded()
                self._gate.correct(tokens, used_tokens(response.raw, tokens))
                await keep(response)
        except RetryableError as failure:
            self._hold_back(failure, entered)
            raise
        except EndpointError as error:
            self._fatal = str(error)
            raise
        finally:
            if not permitted:
                self._gate.forgo(tokens)
            self._gate.release()

    def _still_usable(self) -> None:
        """Stops those who waited at the gate while the endpoint was found to refuse everything."""
        if self._fatal:
            raise EndpointError(self._fatal)

    async def _request(self, body: Mapping[str, Any], content: bytes) -> ChatResponse:
        started = time.perf_counter()
        self._in_flight += 1
        try:
            async with asyncio.timeout(self._timeout_s):
                raw = await self._send(body, content)
        except (RetryableError, ModelFailure, EndpointError):
            raise
        except Exception as error:
            failure = translated(error, self._timeout_s)
            if failure is None:
                raise
            raise failure from error
        finally:
            self._in_flight -= 1
        return ChatResponse(raw, time.perf_counter() - started)

    async def _send(self, body: Mapping[str, Any], content: bytes) -> JsonObject:
        transport = self._transport or self._open()
        request = httpx.Request(
            "POST", self._url, headers=self._headers, content=content, extensions={"timeout": TIMEOUTS}
        )
        response = await transport.handle_async_request(request)
        self._gate.answered = True
        try:
            if not response.is_success:
                reply = Reply(response.status_code, response.headers, text_of(await response.aread()))
                raise self._endpoint.refusal(reply, body, time.time())
            raw = await self._read(response)
        finally:
            await response.aclose()
        self._check(raw, response, body)
        return raw

    async def _read(self, response: httpx.Response) -> JsonObject:
        if not self._stream:
            return decoded_object(await response.aread())
        assembly = Assembly()
        async for data in response.aiter_bytes():
            assembly.feed(data)
        return assembly.completion()

    def _check(self, raw: JsonObject, response: httpx.Response, body: Mapping[str, Any]) -> None:
        """Raises for an object that is not a completion, though its status was good."""
        error = error_in(raw)
        if error is not None:
            text = text_of(msgspec.json.encode({"error": error}))
            raise self._endpoint.refusal(Reply(status_of(error), response.headers, text), body, time.time())
        if not is_completion(raw):
            said = self._endpoint.quote(text_of(msgspec.json.encode(raw)))
            raise RetryableError("bad_response", f"not a chat completion: {said}")

    def _hold_back(self, failure: RetryableError, entered: int) -> None:
        """What the others behind the gate learn from a failure, before its slot is free."""
        if failure.cause == "rate_limited":
            self._gate.overloaded(entered)
        wait_s = failure.retry_after_s
        if wait_s is None:
            wait_s = self._policy.base_s if failure.cause == "rate_limited" else 0.0
        if wait_s > LONGEST_WAIT_S:
            self._fatal = (
                f"{self._endpoint.address} asks to wait {wait_s / 3600:.1f} hours ({failure.detail}). "
                "Run the same command again then; what has arrived is kept"
            )
            raise EndpointError(self._fatal) from failure
        if wait_s:
            self._gate.pause(wait_s)

    def _given_up(self, failure: RetryableError, attempts: int) -> ModelFailure | EndpointError:
        if failure.unreachable and not self._gate.answered:
            self._fatal = (
                f"cannot reach {self._endpoint.address}: {failure.detail}; "
                "is the server running? The address is model.base_url"
            )
            return EndpointError(self._fatal)
        times = "once" if attempts == 1 else f"{attempts} times"
        return ModelFailure(failure.cause, f"{failure.detail} (asked {times})")

    def _open(self) -> AiohttpTransport:
        """The one pool of connections, as large as the gate is wide."""
        address = self._endpoint.address
        https = address.startswith("https:")
        context = httpx.create_ssl_context() if https else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        connector = aiohttp.TCPConnector(limit=self._gate.concurrency, ssl=context, ttl_dns_cache=300)
        session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
        proxy = environment_proxy(address)
        self._transport = AiohttpTransport(client=session, verify=context, proxy=httpx.Proxy(proxy) if proxy else None)
        return self._transport


def headers_for(key: str | None) -> httpx.Headers:
    """The headers of every request."""
    headers = {
        "Accept": "application/json, text/event-stream",
        "Accept-Encoding": "gzip, deflate",
        "Content-Type": "application/json",
        "User-Agent": "distill-build",
    }
    return httpx.Headers(headers | ({"Authorization": f"Bearer {key}"} if key else {}))


def text_of(data: bytes) -> str:
    """Bytes that were meant as text."""
    return data.decode("utf-8", "replace")
