"""One request to a model and all that came of it, for `check`: refusals as values, status, headers, no retries.

Knows nothing of what is asked, or of how a reply is judged.
"""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec
from msgspec.structs import replace

from distill_build.errors import ConfigurationError, EndpointError, EndpointLimitError
from distill_build.models.address import api_key, checked_address
from distill_build.models.base import Limits, ModelFailure, ModelSettings, SettingOf
from distill_build.models.embedded import Engine
from distill_build.models.factory import gate_for, gate_key
from distill_build.models.openai_compatible import OpenAICompatible
from distill_build.models.retry import RetryableError
from distill_build.records import JsonObject

LONGEST_S = 120.0
"""Seconds that a tiny request may take: a server that loads its weights first needs some."""

Part = Literal["reachable", "key", "model", "request"]
SIGNS: dict[str, Part] = {
    "access is denied": "key",
    "is unknown there": "model",
    "no chat completions at that address": "reachable",
    "no embeddings at that address": "reachable",
    "the address has moved": "reachable",
}
"""Words of `distill_build.models.refusals` that say what is at fault; any other sentence is about the request."""


class Heard(msgspec.Struct, frozen=True):
    """What stood above a reply: its HTTP status, and its headers with names in lower case."""

    status: int
    headers: Mapping[str, str]


class ProbeResult(msgspec.Struct, frozen=True):
    """What one request brought: `raw`, or the sentence `refusal` and the `part` at fault.

    `passing` says that another moment may bring another outcome. `heard` is None where nothing came back.
    """

    heard: Heard | None = None
    raw: JsonObject | None = None
    seconds: float = 0.0
    refusal: str = ""
    part: Part = "request"
    passing: bool = False


class Probe:
    """Asks one model, whose settings `setting` names. `requests` counts what was sent."""

    def __init__(self, model: ModelSettings, limits: Limits, setting: SettingOf) -> None:
        longest_s = min(limits.timeout_s or LONGEST_S, LONGEST_S)
        self._model = model
        self._setting = setting
        self._limits = replace(limits, retries=0, timeout_s=longest_s)
        self._gate = gate_for(gate_key(model), [limits])
        self._engine = Engine(model, None)
        self.requests = 0

    @property
    def sends_key(self) -> bool:
        """Whether requests carry an API key."""
        return (
            self._model.engine != "embedded"
            and settings_fault(self._model, self._setting) is None
            and bool(api_key(self._model))
        )

    async def ask(self, body: Mapping[str, Any]) -> ProbeResult:
        """Sends `body` once. What goes wrong is in the outcome."""
        fault = settings_fault(self._model, self._setting)
        if fault is not None:
            return fault
        try:
            endpoint = Listener(await self._reachable_model(), self._limits, self._gate, setting=self._setting)
        except ConfigurationError as error:  # the embedded engine, or its weights
            return ProbeResult(refusal=str(error), part="reachable")
        try:
            return replace(await self._outcome(endpoint, body), heard=endpoint.heard)
        finally:
            await endpoint.close()

    async def close(self) -> None:
        """Ends the embedded engine, where it was started."""
        await self._engine.close()

    async def _reachable_model(self) -> ModelSettings:
        """The model behind an address: for the embedded one, that of the engine, which the first call starts."""
        if self._model.engine != "embedded":
            return self._model
        address = await self._engine.address()
        return replace(self._model, base_url=address, api_key_env=None, api_key_required=False)

    async def _outcome(self, endpoint: "Listener", body: Mapping[str, Any]) -> ProbeResult:
        try:
            try:
                async with endpoint.slot(body) as slot:
                    self.requests += 1
                    response = await slot.send()
                endpoint.require_fit(response.raw)
            except RetryableError as failure:
                await endpoint.back_off(failure, 1)  # says what it has come to: there are no retries
                raise
        except (EndpointError, EndpointLimitError) as error:
            return ProbeResult(refusal=str(error), part=part_at_fault(str(error), endpoint.heard))
        except ModelFailure as failure:
            passing = failure.cause not in ("rejected", "content_filter")
            return ProbeResult(refusal=f"{failure.cause}: {failure.detail}", passing=passing)
        return ProbeResult(raw=response.raw, seconds=response.seconds)


class Listener(OpenAICompatible):
    """An endpoint that keeps status and headers of its last reply, without the API key in them."""

    heard: Heard | None = None

    async def _post(self, body: Mapping[str, Any]) -> Any:
        response = await super()._post(body)
        told = {name.lower(): self._endpoint.quote(value) for name, value in response.headers.items()}
        self.heard = Heard(response.status, told)
        return response


def settings_fault(model: ModelSettings, setting: SettingOf) -> ProbeResult | None:
    """What is wrong before anything is sent: an address that is none, or a missing key."""
    if model.engine == "embedded":
        return None
    try:
        checked_address(model, setting)
    except ConfigurationError as error:
        return ProbeResult(refusal=str(error), part="reachable")
    try:
        api_key(model, setting=setting)
    except ConfigurationError as error:
        return ProbeResult(refusal=str(error), part="key")
    return None


def part_at_fault(sentence: str, heard: Heard | None) -> Part:
    """What a fatal refusal is about."""
    if heard is None:
        return "reachable"
    return next((part for sign, part in SIGNS.items() if sign in sentence), "request")
