"""Settings → models. Roles on the same endpoint and model share one gate, and the lower limits win.

Nothing is opened, imported or started before the first request: a build that has nothing to ask needs no key,
no weights and no HTTP library.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec

from distill_build.errors import EndpointError
from distill_build.models.address import address_in_words, api_key, checked_address
from distill_build.models.base import Limits, Model, ModelSettings, SettingOf, Slot, setting_of_model
from distill_build.models.embedded import Embedded, Engine, require_engine
from distill_build.models.embedded_server import SLOTS
from distill_build.models.limits import Gate, stopped
from distill_build.models.retry import RetryableError
from distill_build.models.traffic import GateTraffic, Traffic
from distill_build.records import JsonObject
from distill_build.soft_labels import lack_in

GateKey = tuple[str, str, str]


class Models:
    """The models of a build, by role; roles with equal settings share one, with its connections.

    `roles` gives each role its model and limits; `log_dir` gets the embedded engine's log, None throws it
    away. `settings` name those of roles in sentences.
    """

    def __init__(
        self,
        roles: Mapping[str, tuple[ModelSettings, Limits]],
        log_dir: Path | None,
        settings: Mapping[str, SettingOf] = MappingProxyType({}),
    ) -> None:
        self._settings = dict(roles)
        self._models: dict[str, LazyModel] = {}
        shared: dict[GateKey, list[Limits]] = {}
        for model, limits in roles.values():
            shared.setdefault(gate_key(model), []).append(limits)
        gates = self._gates = {place: gate_for(place, limits) for place, limits in shared.items()}
        engines = {gate_key(model): Engine(model, log_dir) for model, _ in roles.values()}
        distinct: dict[bytes, LazyModel] = {}
        for role, (model, limits) in roles.items():
            key, setting = gate_key(model), settings.get(role, setting_of_model)
            opened = LazyModel(opener(model, limits, gates[key], engines[key], setting))
            self._models[role] = distinct.setdefault(msgspec.json.encode((model, limits)), opened)
        self._distinct = list(distinct.values())
        self._stopped = False

    def __getitem__(self, role: str) -> Model:
        """The model of a role."""
        return self._models[role]

    @property
    def in_flight(self) -> int:
        """HTTP requests that are under way now, of all roles."""
        return sum(model.in_flight for model in self._distinct)

    def traffic(self) -> Traffic:
        """What goes on now. Any thread may ask."""
        gates = (
            GateTraffic(name, int(gate.width), gate.concurrency, gate.paced, gate.hold())
            for (_, _, name), gate in self._gates.items()
        )
        return Traffic(self.in_flight, tuple(gates), self._stopped)

    def check(self, role: str) -> None:
        """Raises ConfigurationError where a role lacks its address, key, engine or weights. Sends nothing."""
        check_model(self._settings[role][0])

    def stop(self) -> None:
        """Ends the waiting of all requests that are not under way, now and from now on."""
        self._stopped = True
        for model in self._distinct:
            model.stop()

    async def close(self) -> None:
        """Closes all connections and ends the engine."""
        await asyncio.gather(*(model.close() for model in self._distinct))


class LazyModel:
    """A model that is opened at its first request."""

    def __init__(self, open_: Callable[[], Model]) -> None:
        self._open = open_
        self._model: Model | None = None
        self._stopped = False

    @property
    def in_flight(self) -> int:
        """HTTP requests that are under way now."""
        return self._model.in_flight if self._model else 0

    def slot(self, body: Mapping[str, Any]) -> AbstractAsyncContextManager[Slot]:
        """See `distill_build.models.base.Model`. Raises ModelFailure("stopped") after `stop`."""
        if self._stopped:
            raise stopped()
        return self._opened().slot(body)

    def require_fit(self, raw: JsonObject) -> None:
        """See `distill_build.models.base.Model`."""
        self._opened().require_fit(raw)

    def _opened(self) -> Model:
        if self._model is None:
            self._model = self._open()
        return self._model

    async def back_off(
        self, failure: RetryableError, failed: int, on_delay: Callable[[float | None], None] = lambda _: None
    ) -> None:
        """See `distill_build.models.base.Model`."""
        if self._model is not None:  # else nothing was sent that could have failed
            await self._model.back_off(failure, failed, on_delay)

    def stop(self) -> None:
        """See `distill_build.models.base.Model`."""
        self._stopped = True
        if self._model is not None:
            self._model.stop()

    async def close(self) -> None:
        """Closes what was opened."""
        if self._model is not None:
            await self._model.close()


def check_model(model: ModelSettings, setting: SettingOf = setting_of_model) -> None:
    """Raises ConfigurationError where a model lacks its address, key, engine or weights. Sends nothing."""
    if model.engine == "embedded":
        require_engine(model)
    else:
        checked_address(model, setting)
        api_key(model, setting=setting)


def fault_of_stored(raw: JsonObject, model: ModelSettings, setting: SettingOf) -> EndpointError | None:
    """What `Model.require_fit` would raise of a stored reply. Opens nothing; of the embedded engine nothing is known
    before it has begun."""
    if lack_in(raw) is None or model.engine == "embedded":
        return None
    from distill_build.models.refusals import Endpoint

    return Endpoint(model, address_in_words(checked_address(model, setting)), None, setting).fault_of(raw)


def opener(model: ModelSettings, limits: Limits, gate: Gate, engine: Engine, setting: SettingOf) -> Callable[[], Model]:
    """What opens a model."""
    if model.engine == "embedded":
        return lambda: Embedded(model, limits, gate, engine)

    def open_endpoint() -> Model:
        from distill_build.models.openai_compatible import OpenAICompatible

        return OpenAICompatible(model, limits, gate, setting=setting)

    return open_endpoint


def gate_key(model: ModelSettings) -> GateKey:
    """What makes two roles share a gate: engine, address or weights file, and model name."""
    where = model.path if model.engine == "embedded" else model.base_url
    return model.engine, (where or "").strip().rstrip("/"), model.name


def gate_for(place: GateKey, limits: Sequence[Limits]) -> Gate:
    """The gate of a place: the lowest of its roles' `limits`, and no more than the embedded engine's slots."""
    slots = [SLOTS] if place[0] == "embedded" else []
    return Gate(
        concurrency=lowest([*slots, *(each.concurrency for each in limits)]),
        rpm=lowest([each.rpm for each in limits]),
        tpm=lowest([each.tpm for each in limits]),
    )


def lowest(caps: list[int | None]) -> int | None:
    """The lowest cap, where None is no cap."""
    return min((cap for cap in caps if cap is not None), default=None)
