"""What a model is to the rest of the program: settings, a slot for each request, and the ways in which it fails.

Knows nothing of builds, stages or caches.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Annotated, Any, Literal, Protocol

import msgspec

from distill_build.models.retry import RetryableError
from distill_build.records import JsonObject, ReasoningMode


class Prices(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """US dollars per million tokens; None where unknown."""

    prompt: float | None = None
    completion: float | None = None

    def of(self, prompt_tokens: float, completion_tokens: float) -> float | None:
        """US dollars for so many tokens; None where a price is not known."""
        if self.prompt is None or self.completion is None:
            return None
        return (prompt_tokens * self.prompt + completion_tokens * self.completion) / 1e6


DEFAULT_CONCURRENCY = 32
"""Requests in flight at once, where neither model nor build says how many."""
DEFAULT_TIMEOUT_S = 600.0
"""Of a request, where neither model nor build says one."""
SettingOf = Callable[[str], str]
"""A field of a model → the setting that a sentence names for it: `judge.base_url`, say, of a role that has its own."""


def setting_of_model(field: str) -> str:
    """The setting of the node that roles follow."""
    return f"model.{field}"


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


MarkText = Annotated[str, msgspec.Meta(pattern=r"\S")]
"""One that is not blank: a blank mark would stand anywhere in a text."""


class ModelSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One model behind one endpoint, as conf/model/*.yaml declares it.

    `engine` is `openai_compatible` or `embedded`, or `openai_embeddings` for one that is asked for these; `path`
    (weights file) counts for `embedded` alone.
    A sampling parameter that is None is not sent. `assumed_tokens` are the completion tokens, reasoning among them, of
    one answer, for estimates as long as nothing is known. `reasoning_marks` are pairs of texts that enclose reasoning
    in a reply's text; None are the usual ones. `reasoning` says what becomes of it in rows that have a column for it.
    `logprobs` says of how many likeliest tokens
    at each place of a reply the log probabilities are asked for and kept.
    """

    engine: Literal["openai_compatible", "embedded", "openai_embeddings"]
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
    logprobs: Annotated[int, msgspec.Meta(ge=1)] | None = None
    assumed_tokens: Annotated[int, msgspec.Meta(ge=1)] | None = None
    reasoning_marks: tuple[tuple[MarkText, MarkText], ...] | None = None
    reasoning: ReasoningMode = "native"
    structured: Literal["json_schema", "json_object", "none"] = "json_schema"
    send_seed: bool = True
    stream: bool = False
    examples: bool = False
    extra_body: dict[str, Any] = msgspec.field(default_factory=dict)
    prices: Prices = Prices()
    limits: Limits = Limits()


class ChatResponse(msgspec.Struct, frozen=True):
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


class Slot(Protocol):
    """A place among the requests that may be under way: for one HTTP request, and what is done with its response.

    It is given to another request when its `async with` ends, so a response that is stored inside is stored before.
    """

    async def send(self) -> ChatResponse:
        """Sends the request, once.

        Raises RetryableError where another attempt may bring a completion, ModelFailure where none will, and
        EndpointError for an endpoint that refuses every request (wrong key, unknown model, refused parameter).
        """

    def used(self, tokens: int) -> None:
        """Says how many tokens the response has used: until then the pace goes by an estimate."""


class Model(Protocol):
    """One (endpoint, model) pair behind its gate.

        async with model.slot(body) as slot:
            response = await slot.send()
            ...                                  # store it
            slot.used(tokens)

    A slot that is left without `send` takes no place in the pace.
    """

    def slot(self, body: Mapping[str, Any]) -> AbstractAsyncContextManager[Slot]:
        """Waits at the gate for the turn of `body`, the JSON of a chat completion request."""

    async def back_off(
        self, failure: RetryableError, failed: int, on_delay: Callable[[float | None], None] = lambda _: None
    ) -> None:
        """Waits, outside of any slot, until a request may be sent again after `failed` attempts, the last with
        `failure`. Raises what it has come to where that was the last retry: ModelFailure, or EndpointError where no
        server is at the address. `on_delay` is told before for how many seconds, or None where it is not sent again."""

    def require_fit(self, raw: JsonObject) -> None:
        """Raises EndpointError where a reply that is stored, of this build or an earlier one, shows that no reply of
        this endpoint will be of use."""

    @property
    def in_flight(self) -> int:
        """HTTP requests that are under way now."""

    def stop(self) -> None:
        """Ends the waiting of all requests that are not under way (at the gate, or before a retry) with
        ModelFailure("stopped"), now and from now on. What is under way goes on."""

    async def close(self) -> None: ...
