"""What a model is to the rest of the program: settings, one method, and the ways in which it fails.

Knows nothing of builds, stages or caches.
"""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import msgspec

JsonObject = dict[str, Any]


class Prices(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """US dollars per million tokens; None where unknown."""

    prompt: float | None = None
    completion: float | None = None


DEFAULT_TIMEOUT_S = 600.0
"""Of a request, where neither model nor build says one."""


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How hard an endpoint may be driven. None means: no limit, or for a model: as the build says.

    `timeout_s` is in seconds for one HTTP request; `rpm` and `tpm` are requests and tokens a minute.
    """

    concurrency: int | None = None
    rpm: int | None = None
    tpm: int | None = None
    timeout_s: float | None = None
    retries: int | None = None
    reasks: int | None = None


class ModelSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One model behind one endpoint, as conf/model/*.yaml declares it.

    `engine` is `openai_compatible` or `embedded`; `path` (weights file) counts for `embedded` alone.
    A sampling parameter that is None is not sent.
    """

    engine: Literal["openai_compatible", "embedded"]
    name: str
    base_url: str | None = None
    api_key_env: str | None = None
    api_key_required: bool = True
    path: str | None = None
    revision: str | None = None
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    max_tokens_field: str = "max_tokens"
    structured: Literal["json_schema", "json_object", "none"] = "json_schema"
    send_seed: bool = True
    stream: bool = False
    examples: bool = False
    extra_body: dict[str, Any] = msgspec.field(default_factory=dict)
    prices: Prices = Prices()
    limits: Limits = Limits()


@dataclass(frozen=True, slots=True)
class ChatResponse:
    """One chat completion as it came.

    `raw` is the endpoint's JSON object (a stream is put together to one); `seconds` is how long it took.
    """

    raw: JsonObject
    seconds: float


class ModelFailure(Exception):  # noqa: N818 - a state of one request, told to the caller, not an error
    """A request that brought no completion, after all retries.

    `cause` is timeout, connection, server_error, rate_limited, bad_response, rejected or content_filter.
    """

    def __init__(self, cause: str, detail: str) -> None:
        super().__init__(f"{cause}: {detail}")
        self.cause = cause
        self.detail = detail


Keep = Callable[[ChatResponse], Awaitable[None]]
Permit = Callable[[], AbstractContextManager[None]]


class Model(Protocol):
    """One (endpoint, model) pair behind its gate.

    `complete` sends `body`, the JSON of a chat completion request, waiting at the gate for its turn.
    `permit` is entered right before every HTTP request that is sent (retries too), may raise then to stop it
    (a budget), and is left when the response is kept or the request has failed; `keep` is awaited with the
    response while the slot is still held, so that a response is stored before its slot is given to another
    request.

    Raises ModelFailure for a request that cannot be made to succeed, and EndpointError for an endpoint
    that refuses every request (wrong key, unknown model, refused parameter, no server at the address).
    """

    async def complete(self, body: Mapping[str, Any], *, permit: Permit, keep: Keep) -> None: ...

    @property
    def in_flight(self) -> int:
        """HTTP requests that are under way now."""

    def stop(self) -> None:
        """Ends the waiting of all requests that are not under way (at the gate, or before a retry) with
        ModelFailure("stopped"), now and from now on. What is under way goes on."""

    async def close(self) -> None: ...
