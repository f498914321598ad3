"""A model behind an OpenAI-compatible endpoint. The only place that knows aiohttp.

Imported at the first request only, because aiohttp costs start-up time.
API: https://platform.openai.com/docs/api-reference/chat
"""

import asyncio
import os
import random
import ssl
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import certifi
import msgspec
from yarl import URL

from distill_build.errors import EndpointError
from distill_build.models.address import (
    address_below,
    address_in_words,
    api_key,
    checked_address,
    environment_proxy,
    secrets_in,
)
from distill_build.models.base import (
    DEFAULT_TIMEOUT_S,
    ChatResponse,
    Limits,
    ModelFailure,
    ModelSettings,
    SettingOf,
    setting_of_model,
)
from distill_build.models.completion import error_in
from distill_build.models.dialect import dialect_of
from distill_build.models.limits import Gate
from distill_build.models.refusals import Endpoint, ErrorReply, status_of
from distill_build.models.retry import RetryableError, RetryPolicy
from distill_build.models.streaming import completion_in, is_page
from distill_build.models.transport_errors import translated
from distill_build.records import JsonObject
from distill_build.soft_labels import LackOfIds, NoTokenIdsError, TokensLostError, with_lack

CONNECT_TIMEOUT_S = 30.0
LONGEST_HEADER = 256 * 1024
"""Bytes of one header of a reply. Gateways write traces, policies and cookies into them, and aiohttp's 8,190 are soon
full: then a reply that is whole, and paid for, cannot be read."""
DEFAULT_RETRIES = 6


class OpenAICompatible:
    """See `distill_build.models.base.Model`.

    `limits` gives timeout and retries; concurrency and pace are the gate's. `setting` names the model's settings in
    sentences. `chance` returns random numbers in [0, 1). Raises ConfigurationError for a missing API key or an address
    that is none.
    """

    def __init__(
        self,
        model: ModelSettings,
        limits: Limits,
        gate: Gate,
        *,
        setting: SettingOf = setting_of_model,
        environment: Mapping[str, str] = os.environ,
        policy: RetryPolicy | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        address = checked_address(model, setting)
        key = api_key(model, environment, setting)
        self._gate = gate
        self._dialect = dialect_of(model)
        self._timeout_s = limits.timeout_s or DEFAULT_TIMEOUT_S
        retries = DEFAULT_RETRIES if limits.retries is None else limits.retries
        self._policy = policy or RetryPolicy(retries)
        self._chance = chance
        self._endpoint = Endpoint(model, address_in_words(address), key, setting, secrets_in(address))
        self._url = URL(address_below(address, self._dialect.path))
        self._headers = headers_for(key)
        self._session: aiohttp.ClientSession | None = None
        self._proxy: str | None = None
        self._in_flight = 0
        self._fatal: str | None = None

    @property
    def in_flight(self) -> int:
        """HTTP requests that are under way now."""
        return self._in_flight

    def slot(self, body: Mapping[str, Any]) -> "EndpointSlot":
        """A slot for one request: see `distill_build.models.base.Model`."""
        tokens = self._dialect.booked(body) if self._gate.paces_tokens else 0
        return EndpointSlot(self, self._gate, body, tokens)

    async def back_off(
        self, failure: RetryableError, failed: int, on_delay: Callable[[float | None], None] = lambda _: None
    ) -> None:
        """Waits before another attempt: see `distill_build.models.base.Model`."""
        delay_s = self._policy.delay(failure, failed, self._chance(), answered=self._gate.answered)
        on_delay(delay_s)
        if delay_s is None:
            raise self._given_up(failure, failed) from failure
        await self._gate.rest(delay_s)

    def stop(self) -> None:
        """Ends the waiting of all requests that are not under way, now and from now on."""
        self._gate.stop()

    async def close(self) -> None:
        """Closes the connections."""
        if self._session is not None:
            await self._session.close()

    def require_usable(self) -> None:
        """Stops those who waited at the gate while the endpoint was found to refuse everything."""
        if self._fatal:
            raise EndpointError(self._fatal)

    def require_fit(self, raw: JsonObject) -> None:
        """Raises EndpointError for what shows that no reply will be of use: see `distill_build.models.base.Model`."""
        if (error := self._endpoint.fault_of(raw)) is not None:
            self._fatal = str(error)
            raise error

    async def send(self, body: Mapping[str, Any], entered: int) -> ChatResponse:
        """One HTTP request. What the others behind the gate learn from its failure, they learn before it is raised.

        `entered` is what the gate said when it let the request in.
        """
        started = time.perf_counter()
        self._in_flight += 1
        try:
            raw = await self._exchange(body)
        except RetryableError as failure:
            self._hold_back(failure, entered)
            raise
        except EndpointError as error:
            self._fatal = str(error)
            raise
        finally:
            self._in_flight -= 1
        self._gate.succeeded()
        return ChatResponse(raw, time.perf_counter() - started)

    async def _exchange(self, body: Mapping[str, Any]) -> JsonObject:
        """The completion, or what the endpoint or the network says in place of one."""
        try:
            async with asyncio.timeout(self._timeout_s):
                response = await self._post(body)
                self._gate.answered = True
                try:
                    content = await response.read()
                finally:
                    response.release()
        except Exception as error:
            failure = translated(error, self._timeout_s, self._endpoint.quote)
            if failure is None:
                raise
            raise failure from error
        no_completion = is_page(content) and not self._gate.has_succeeded  # later on, somebody on the way hiccups
        if no_completion or not 200 <= response.status < 300:
            reply = ErrorReply(response.status, response.headers, _text_of(content))
            raise self._endpoint.refusal(reply, body, time.time())
        return self._completion(completion_in(content), response.headers, body)

    async def _post(self, body: Mapping[str, Any]) -> aiohttp.ClientResponse:
        """The response as soon as its headers are there."""
        session = self._session or self._open()
        content = msgspec.json.encode(self._dialect.sent(body))
        return await session.post(self._url, data=content, allow_redirects=False, proxy=self._proxy)

    def _completion(self, raw: JsonObject, headers: Mapping[str, str], body: Mapping[str, Any]) -> JsonObject:
        """Raises for an object that holds no completion, though its status was good."""
        error = error_in(raw)
        if error is not None:
            text = _text_of(msgspec.json.encode({"error": error}))
            raise self._endpoint.refusal(ErrorReply(status_of(error), headers, text), body, time.time())
        try:
            completion = self._dialect.completion(raw, body)
        except NoTokenIdsError as lack:  # it is paid for, so it is kept: see require_fit
            return with_lack(raw, LackOfIds(str(lack), self._endpoint.source, isinstance(lack, TokensLostError)))
        if completion is None:
            said = self._endpoint.quote(_text_of(msgspec.json.encode(raw)))
            raise RetryableError("bad_response", f"{self._dialect.lack(raw)}: {said}")
        return completion

    def _hold_back(self, failure: RetryableError, entered: int) -> None:
        """What the others behind the gate learn from a failure, before its slot is free.

        What the endpoint asks to wait holds everybody. Where it asks nothing, one refusal among replies that come well
        is the back-off of that one request; only where nothing gets through any more does everybody wait.
        """
        wait_s = failure.retry_after_s or 0.0
        if failure.cause == "rate_limited" and self._gate.overloaded(entered):
            wait_s = max(wait_s, self._policy.base_s)
        if wait_s:
            self._gate.pause(wait_s)

    def _given_up(self, failure: RetryableError, attempts: int) -> ModelFailure | EndpointError:
        if failure.unreachable and not self._gate.answered:
            way_out = f"is the server running? The address is {self._endpoint.setting('base_url')}"
            if self._proxy is not None:
                host = urlsplit(self._endpoint.address).hostname
                way_out = f"the environment names a proxy on the way, which NO_PROXY={host} leaves out"
            self._fatal = f"cannot reach {self._endpoint.address}: {failure.detail}; {way_out}"
            return EndpointError(self._fatal)
        times = "once" if attempts == 1 else f"{attempts} times"
        return ModelFailure(failure.cause, f"{failure.detail} (asked {times})")

    def _open(self) -> aiohttp.ClientSession:
        """The one pool of connections, as large as the gate is wide."""
        address = self._endpoint.address
        self._proxy = environment_proxy(address)
        if self._proxy is not None:
            secrets = [*self._endpoint.secrets, *secrets_in(self._proxy)]
            self._endpoint = msgspec.structs.replace(self._endpoint, secrets=secrets)
        context = trusting_context() if address.startswith("https:") else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._gate.concurrency, ssl=context, ttl_dns_cache=300),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=self._headers,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S),
            max_line_size=LONGEST_HEADER,
            max_field_size=LONGEST_HEADER,
        )
        return self._session


class EndpointSlot:
    """See `distill_build.models.base.Slot`. `tokens` are booked for the request."""

    __slots__ = ("_body", "_endpoint", "_entered", "_gate", "_sent", "_tokens")

    def __init__(self, endpoint: OpenAICompatible, gate: Gate, body: Mapping[str, Any], tokens: int) -> None:
        self._endpoint = endpoint
        self._gate = gate
        self._body = body
        self._tokens = tokens
        self._entered = 0
        self._sent = False

    async def __aenter__(self) -> "EndpointSlot":
        self._entered = await self._gate.acquire(self._tokens)
        try:
            self._endpoint.require_usable()
        except EndpointError:
            self._leave()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self._leave()

    async def send(self) -> ChatResponse:
        self._sent = True
        return await self._endpoint.send(self._body, self._entered)

    def used(self, tokens: int) -> None:
        self._gate.correct(self._tokens, tokens)

    def _leave(self) -> None:
        if not self._sent:
            self._gate.forgo(self._tokens)
        self._gate.release()


def trusting_context() -> ssl.SSLContext:
    """What certificates of endpoints are checked against: SSL_CERT_FILE or SSL_CERT_DIR where set, else certifi's.

    The system's own are not always there (a slim container image), or not found by OpenSSL (macOS).
    """
    named = ssl.get_default_verify_paths()
    if os.environ.get(named.openssl_cafile_env) or os.environ.get(named.openssl_capath_env):
        return ssl.create_default_context()
    return ssl.create_default_context(cafile=certifi.where())


def headers_for(key: str | None) -> dict[str, str]:
    """The headers of every request."""
    headers = {
        "Accept": "application/json, text/event-stream",
        "Accept-Encoding": "gzip, deflate",
        "Content-Type": "application/json",
        "User-Agent": "distill-build",
    }
    return headers | ({"Authorization": f"Bearer {key}"} if key else {})


def _text_of(data: bytes) -> str:
    """Bytes that were meant as text."""
    return data.decode("utf-8", "replace")
