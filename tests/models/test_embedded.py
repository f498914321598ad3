"""With the real engine and the real weights: slow for what they say, so few and small."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from distill_build.errors import ConfigurationError, EndpointError
from distill_build.models.base import Limits, ModelSettings
from distill_build.models.embedded import LOG_NAME, Embedded, Engine
from distill_build.models.factory import Models
from distill_build.models.limits import Gate
from tests.models.asking import ask

pytest.importorskip("xllamacpp", reason="the extra `local` is not installed")

SCHEMA = {
    "type": "object",
    "properties": {"tags": {"type": "array", "items": {"enum": ["tea", "milk"]}, "minItems": 2, "maxItems": 2}},
    "required": ["tags"],
    "additionalProperties": False,
}
TAGS = {
    "model": "smollm2-135m",
    "messages": [{"role": "user", "content": "Drinks?"}],
    "temperature": 0.8,
    "seed": 7,
    "max_tokens": 40,
    "response_format": {"type": "json_schema", "json_schema": {"name": "tags", "schema": SCHEMA, "strict": True}},
}
TEXT = {key: TAGS[key] for key in ("model", "messages", "seed", "temperature")} | {"max_tokens": 3}


def local(path: str | None = None) -> ModelSettings:
    return ModelSettings(engine="embedded", name="smollm2-135m", path=path)


def ended(pid: int, within_s: float = 20.0) -> bool:
    """Whether a process has ended, looking for at most `within_s`; one that nobody has reaped has ended, too."""
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        state = Path(f"/proc/{pid}/stat")
        try:
            os.kill(pid, 0)
            if state.exists() and state.read_text().rsplit(")", 1)[1].split()[0] == "Z":
                return True
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.02)
    return False


def test_two_roles_share_one_engine_that_obeys_schema_seed_and_length(tmp_path: Path) -> None:
    async def run() -> tuple[Any, ...]:
        models = Models({role: (local(), Limits()) for role in ("tagger", "teacher")}, tmp_path)
        try:
            first = await asyncio.gather(ask(models["tagger"], body=TAGS), ask(models["teacher"], body=TEXT))
            return (*first, await ask(models["teacher"], body=TEXT))
        finally:
            await models.close()

    [tags], [text], [again] = asyncio.run(run())
    assert set(json.loads(tags.raw["choices"][0]["message"]["content"])["tags"]) <= {"tea", "milk"}
    assert tags.raw["choices"][0]["finish_reason"] == "stop"
    assert tags.raw["model"] == "smollm2-135m"  # and not the path of the file
    assert text.raw["choices"][0]["finish_reason"] == "length"
    assert text.raw["choices"] == again.raw["choices"]
    assert (tmp_path / LOG_NAME).read_text().count("listening on http://127.0.0.1") == 1


def test_an_engine_that_dies_is_said_with_its_log(tmp_path: Path) -> None:
    async def run() -> None:
        engine = Engine(local(), tmp_path)
        model = Embedded(local(), Limits(retries=0), Gate(4), engine)
        await engine.address()
        assert engine.pid
        os.kill(engine.pid, signal.SIGKILL)
        await engine.ended()
        try:
            await ask(model, body=TEXT)
        finally:
            await model.close()

    with pytest.raises(EndpointError, match=LOG_NAME):
        asyncio.run(run())


def test_a_file_that_is_no_model_is_said_with_its_log(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.gguf"
    wrong.write_bytes(b"not a model")

    async def run() -> None:
        models = Models({"teacher": (local(str(wrong)), Limits())}, tmp_path)
        try:
            await ask(models["teacher"], body=TEXT)
        finally:
            await models.close()

    with pytest.raises(ConfigurationError, match=rf"wrong\.gguf.*{LOG_NAME}"):
        asyncio.run(run())


PARENT = """
import asyncio, sys
from distill_build.models.base import ModelSettings
from distill_build.models.embedded import Engine

async def run():
    engine = Engine(ModelSettings(engine="embedded", name="m"), None)
    await engine.address()
    print(engine.pid, flush=True)
    await asyncio.Event().wait()

asyncio.run(run())
"""


def test_the_engine_ends_with_a_parent_that_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        pid = int(parent.stdout.readline())
        assert not ended(pid, within_s=0.1)
        parent.kill()
    assert ended(pid)


def test_close_ends_the_engine() -> None:
    async def run() -> int:
        engine = Engine(local(), None)
        await engine.address()
        assert engine.pid
        await engine.close()
        return engine.pid

    assert ended(asyncio.run(run()), within_s=1)
