"""A real S3 API on loopback for tests: moto's server in a process of its own, and before it a gate that tests hold.

with S3() as s3:
    run("cache", "push", s3.address("folder"), environment=s3.environment)
    assert s3.sent("PUT") == [...]
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import cached_property
from typing import Any

import aiohttp
import boto3
from aiohttp import web

BUCKET = "bucket"
ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+")
Held = Callable[[str, str], bool]
"""From a request's method and path: whether it waits."""


class S3:
    """`requests` are (method, path) as they came since the last `reset`; `hold` says which are not passed on."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str]] = []
        self.waiting = 0
        self.port = 0
        self._hold: Held = lambda *_: False
        self._changed = threading.Condition()
        self._loop = asyncio.new_event_loop()
        self._opened = asyncio.Event()
        self._dropped: set[asyncio.Event] = set()

    @property
    def environment(self) -> dict[str, str]:
        """What a command needs to find it."""
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
            "AWS_ACCESS_KEY_ID": "the-key-id",
            "AWS_SECRET_ACCESS_KEY": "the-secret-key",
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def address(self, folder: str) -> str:
        return f"s3://{BUCKET}/{folder}"

    def objects(self, prefix: str) -> dict[str, bytes]:
        """What lies there, by name; not counted among the requests."""
        names = [each["Key"] for each in self._direct.list_objects_v2(Bucket=BUCKET, Prefix=prefix)["Contents"]]
        return {name: self._direct.get_object(Bucket=BUCKET, Key=name)["Body"].read() for name in names}

    def put(self, name: str, data: bytes) -> None:
        """Puts an object there, as somebody else would."""
        self._direct.put_object(Bucket=BUCKET, Key=name, Body=data)

    def remove(self, name: str) -> None:
        """Removes an object, as somebody else would."""
        self._direct.delete_object(Bucket=BUCKET, Key=name)

    @cached_property
    def _direct(self) -> Any:
        """A client that is not kept at the gate."""
        return boto3.client(
            "s3",
            endpoint_url=self._behind,
            region_name="us-east-1",
            aws_access_key_id="x",
            aws_secret_access_key="x",  # noqa: S106 - moto takes any
        )

    def sent(self, method: str) -> list[str]:
        """The paths of the requests of a method."""
        with self._changed:
            return [path for each, path in self.requests if each == method]

    def reset(self) -> None:
        """Forgets what came, and lets everything pass."""
        with self._changed:
            self.requests = []
            self._hold = lambda *_: False
        self._loop.call_soon_threadsafe(self._opened.set)

    def hold(self, held: Held) -> None:
        """From now on requests that `held` names wait for the next `reset`."""
        with self._changed:
            self._hold, self.waiting, self._opened = held, 0, asyncio.Event()

    def drop(self) -> None:
        """As `reset`, but what waits is never passed on: whoever sent it is dead."""
        with self._changed:
            self._dropped.add(self._opened)
        self.reset()

    def wait_for_held(self, number: int) -> None:
        """Blocks until so many requests wait; AssertionError after a minute."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.waiting >= number, 60), f"{self.waiting} of {number} came"

    def __enter__(self) -> S3:
        self._moto = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._behind = self._printed_address()
        threading.Thread(target=self._drain, daemon=True).start()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(30)
        return self

    def __exit__(self, *_: object) -> None:
        self.reset()
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._moto.kill()
        self._moto.wait()

    def _printed_address(self) -> str:
        assert self._moto.stdout is not None
        for line in self._moto.stdout:
            if match := ADDRESS.search(line):
                return match[0]
        raise AssertionError("moto's server did not start")

    def _drain(self) -> None:
        assert self._moto.stdout is not None
        for _ in self._moto.stdout:
            pass

    async def _start(self) -> None:
        self._client = aiohttp.ClientSession(auto_decompress=False)
        app = web.Application(client_max_size=1 << 30)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.port = self._runner.addresses[0][1]
        async with self._client.put(f"{self._behind}/{BUCKET}") as made:
            assert made.status == 200, await made.text()

    async def _stop(self) -> None:
        await self._client.close()
        await self._runner.cleanup()

    async def _handle(self, request: web.Request) -> web.Response:
        data = await request.read()
        with self._changed:
            self.requests.append((request.method, request.path))
            held, opened = self._hold(request.method, request.path), self._opened
            self.waiting += held
            self._changed.notify_all()
        if held:
            await opened.wait()
        if held and opened in self._dropped:
            return web.Response(status=503)
        return await self._pass_on(request, data)

    async def _pass_on(self, request: web.Request, data: bytes) -> web.Response:
        headers: dict[str, Any] = {name: value for name, value in request.headers.items() if name != "Content-Length"}
        address = f"{self._behind}{request.raw_path}"
        async with self._client.request(request.method, address, data=data, headers=headers) as reply:
            dropped = HOP_BY_HOP if request.method == "HEAD" else (*HOP_BY_HOP, "Content-Length")
            kept = {name: value for name, value in reply.headers.items() if name not in dropped}
            return web.Response(status=reply.status, body=await reply.read() or None, headers=kept)


HOP_BY_HOP = ("Transfer-Encoding", "Connection", "Server", "Date")
