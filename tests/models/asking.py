"""Asks a model and collects what came of it. Shared by the tests of this folder."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from distill_build.models.base import ChatResponse, Limits, Model, ModelSettings
from distill_build.models.limits import Gate
from distill_build.models.openai_compatible import OpenAICompatible
from distill_build.models.retry import RetryableError, RetryPolicy

BODY = {"model": "m", "temperature": 1, "messages": [{"role": "user", "content": "Why is the sky blue?"}]}


def settings(base_url: str, **fields: Any) -> ModelSettings:
    """A model at an address, without a key."""
    defaults = {"name": "m", "api_key_required": False}
    return ModelSettings(engine="openai_compatible", base_url=base_url, **{**defaults, **fields})


def endpoint(base_url: str, gate: Gate, *, retries: int = 2, timeout_s: float = 5.0, **fields: Any) -> Model:
    """A model whose back-off is next to nothing."""
    limits = Limits(timeout_s=timeout_s, retries=retries)
    policy = RetryPolicy(retries, base_s=0.001)
    return OpenAICompatible(settings(base_url, **fields), limits, gate, policy=policy, environment={})


async def completed(
    model: Model, body: Any = BODY, within: Callable[[], AbstractContextManager[None]] = nullcontext
) -> ChatResponse:
    """What a request brings in the end; each attempt is made `within` a context."""
    failed = 0
    while True:
        try:
            async with model.slot(body) as slot:
                with within():
                    return await slot.send()
        except RetryableError as failure:
            failed += 1
            await model.back_off(failure, failed)


async def ask(model: Model, times: int = 1, body: Any = BODY) -> list[ChatResponse]:
    """What `times` equal requests at once bring."""
    return await asyncio.gather(*(completed(model, body) for _ in range(times)))


def with_model(model_of: Callable[[], Model], use: Callable[[Model], Awaitable[Any]]) -> Any:
    """Opens a model in a loop of its own, uses it and closes it."""

    async def run() -> Any:
        model = model_of()
        try:
            return await use(model)
        finally:
            await model.close()

    return asyncio.run(run())


def ask_once(base_url: str, **fields: Any) -> ChatResponse:
    """One request to a model by itself."""
    kept: list[ChatResponse] = with_model(lambda: endpoint(base_url, Gate(4), **fields), ask)
    return kept[0]
