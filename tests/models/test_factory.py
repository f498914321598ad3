import asyncio
import subprocess
import sys
from collections.abc import Iterable

import pytest

from distill_build.errors import ConfigurationError
from distill_build.models.base import Limits, ModelFailure, ModelSettings
from distill_build.models.factory import Models
from tests import server as scripted
from tests.models.asking import BODY, ask, settings
from tests.server import ScriptedServer

Roles = dict[str, tuple[ModelSettings, Limits]]


async def ask_all(models: Models, roles: Iterable[str], times: int) -> None:
    try:
        await asyncio.gather(*(ask(models[role], times) for role in roles))
    finally:
        await models.close()


def test_roles_on_one_endpoint_and_model_share_the_lower_limits() -> None:
    with ScriptedServer(latency=0.01) as server:
        roles: Roles = {
            "tagger": (settings(server.base_url), Limits(concurrency=8)),
            "teacher": (settings(server.base_url + "/", stream=True), Limits(concurrency=3)),
        }
        asyncio.run(ask_all(Models(roles, None), roles, times=12))
        assert server.max_in_flight == 3
        assert sum("stream" in request.body for request in server.requests) == 12


def test_another_model_on_the_same_endpoint_has_its_own_gate() -> None:
    with ScriptedServer() as server:
        server.hold()
        roles: Roles = {
            "tagger": (settings(server.base_url, name="a"), Limits(concurrency=1)),
            "teacher": (settings(server.base_url, name="b"), Limits(concurrency=1)),
        }

        async def run() -> None:
            asking = asyncio.create_task(ask_all(models, roles, times=2))
            await asyncio.to_thread(server.wait_for, 2)
            assert models.in_flight == 2
            server.release()
            await asking

        models = Models(roles, None)
        asyncio.run(run())
        assert server.count == 4


def test_timeouts_are_each_roles_own() -> None:
    with ScriptedServer(plan=lambda _index, _body: scripted.hang()) as server:
        roles: Roles = {
            "tagger": (settings(server.base_url), Limits(timeout_s=0.1, retries=0)),
            "teacher": (settings(server.base_url), Limits(timeout_s=60, retries=0)),
        }
        with pytest.raises(ModelFailure, match=r"timeout_s=0\.1"):
            asyncio.run(ask_all(Models(roles, None), ["tagger"], times=1))


def test_a_missing_key_matters_only_when_something_is_asked() -> None:
    model = settings("http://127.0.0.1/v1", api_key_env="NO_SUCH_KEY", api_key_required=True)
    models = Models({"teacher": (model, Limits())}, None)
    assert models["teacher"].in_flight == 0
    with pytest.raises(ConfigurationError, match="NO_SUCH_KEY"):
        models.check("teacher")
    with pytest.raises(ConfigurationError, match="NO_SUCH_KEY"):
        asyncio.run(ask(models["teacher"]))


def test_stop_ends_the_waiting_of_all_roles_and_lets_what_is_under_way_end() -> None:
    with ScriptedServer() as server:
        server.hold()
        roles: Roles = {role: (settings(server.base_url), Limits(concurrency=1)) for role in ("a", "b")}
        models = Models(roles, None)

        async def run() -> list[object]:
            asking = [asyncio.create_task(ask(models[role])) for role in ("a", "b")]
            await asyncio.to_thread(server.wait_for, 1)
            models.stop()
            server.release()
            results: list[object] = await asyncio.gather(*asking, return_exceptions=True)
            results += await asyncio.gather(ask(models["a"]), return_exceptions=True)
            await models.close()
            return results

        done, *stopped = asyncio.run(run())
        assert isinstance(done, list)
        assert [getattr(failure, "cause", None) for failure in stopped] == ["stopped", "stopped"]
        assert server.count == 1


def test_a_role_that_was_never_asked_stays_shut_after_stop() -> None:
    with ScriptedServer() as server:
        models = Models({"a": (settings(server.base_url), Limits())}, None)
        models.stop()
        with pytest.raises(ModelFailure, match="stopped"):
            asyncio.run(ask(models["a"]))
        assert server.count == 0


def test_one_model_by_itself() -> None:
    async def run(base_url: str) -> None:
        model = Models({"only": (settings(base_url), Limits())}, None)["only"]
        assert len(await ask(model, body=BODY)) == 1
        await model.close()

    with ScriptedServer() as server:
        asyncio.run(run(server.base_url))


def test_http_and_engine_libraries_are_not_loaded_before_the_first_request() -> None:
    code = (
        "import sys, distill_build.models.factory\n"
        "print(*{'aiohttp', 'xllamacpp', 'email.message'} & sys.modules.keys())"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.split() == []
