"""A scripted chat-completions server over real HTTP on loopback: what every end-to-end test talks to.

Knows nothing of distill_build. Replies are a pure function of the request's body, so that two builds that
send the same requests get the same responses; what goes wrong is scripted by a plan of faults.

    with ScriptedServer(latency=0.01, plan=[status(429, retry_after=0), None]) as server:
        build(f"model.base_url={server.base_url}")
        assert server.count == 3

Its own process, for demonstrations: `python tests/server.py --port 0 --latency 0.2` prints the address.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from aiohttp import web

Body = dict[str, Any]
Kind = str
"""What is asked for: the name of a list or of another schema, `answers` for a text without one."""
FaultKind = Literal["http", "reset", "reset_midway", "drip", "hang", "completion", "not_http"]


# Faults: what one request meets instead of the default reply.


@dataclass(frozen=True)
class Fault:
    """One scripted reply. Make it with the functions below."""

    kind: FaultKind
    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    completion: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0


def status(
    code: int,
    body: Any = None,
    *,
    retry_after: float | str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Fault:
    """A status with a JSON body (or text, or bytes); `retry_after` in seconds or as an HTTP date."""
    sent = {"Content-Type": "application/json", **(headers or {})}
    if retry_after is not None:
        sent["Retry-After"] = str(retry_after)
    if body is None:
        body = {"error": {"message": f"scripted status {code}", "type": "scripted", "code": code}}
    return Fault("http", code, as_bytes(body), sent)


def error(code: int, message: str, /, **fields: Any) -> Fault:
    """A status with an error object as OpenAI writes it; `fields` such as code=, type=, param= go into it."""
    return status(code, {"error": {"message": message, **fields}})


def reset() -> Fault:
    """The connection is reset before a byte of the reply."""
    return Fault("reset")


def reset_midway() -> Fault:
    """The connection is reset in the middle of the reply's body (of the stream, where one was asked for)."""
    return Fault("reset_midway")


def garbage(body: bytes = b"upstream connect error") -> Fault:
    """A 200 that is not JSON."""
    return Fault("http", 200, body, {"Content-Type": "text/plain"})


def page(code: int = 200) -> Fault:
    """A web page."""
    body = b"<!doctype html>\n<html><head><title>Welcome to the hotel network</title></head><body>Hi</body></html>"
    return Fault("http", code, body, {"Content-Type": "text/html"})


def not_http() -> Fault:
    """Bytes on the wire that are not HTTP."""
    return Fault("not_http")


def truncated() -> Fault:
    """A well-framed 200 whose JSON ends in the middle."""
    return Fault("http", 200, b'{"id": "chatcmpl-1", "choices": [{"message": {"content": "cut he')


def wrong_content_type() -> Fault:
    """The default reply under `text/plain`."""
    return Fault("completion", headers={"Content-Type": "text/plain"})


def drip(seconds: float = 0.05) -> Fault:
    """A reply that comes one byte every `seconds`, for ever."""
    return Fault("drip", seconds=seconds)


def hang() -> Fault:
    """No reply, until the server is closed."""
    return Fault("hang")


def content(text: str | None, finish_reason: str = "stop", **message: Any) -> Fault:
    """A completion with this text; `message` fields such as reasoning_content= or refusal= are added."""
    return Fault("completion", completion={"content": text, "finish_reason": finish_reason, "message": message})


def refusal(text: str = "I can't help with that.") -> Fault:
    """A completion whose message carries a refusal and no content."""
    return content(None, refusal=text)


def raw(body: Any) -> Fault:
    """A 200 with exactly this JSON."""
    return Fault("http", 200, as_bytes(body), {"Content-Type": "application/json"})


def as_bytes(body: Any) -> bytes:
    if isinstance(body, bytes):
        return body
    return (body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)).encode()


Plan = Callable[[int, Body], Fault | None] | Sequence[Fault | None]


# The default reply: a pure function of the body.


def classify(body: Body) -> Kind:
    """What a request asks for: by its schema's list property, else by what its last message speaks of."""
    if "input" in body:
        return "embeddings"
    name = list_property(body)
    text = str(body["messages"][-1]["content"]) if body.get("messages") else ""
    lists: tuple[Kind, ...] = ("questions", "tags")
    for kind in lists:
        if name == kind or (name is None and f'"{kind}"' in text):
            return kind
    named = (body.get("response_format") or {}).get("json_schema") or {}
    return str(named["name"]) if schema_of(body) and name is None else "answers"


def list_property(body: Body) -> str | None:
    """The name of the schema's one property that is a list of strings."""
    for name, schema in schema_of(body).get("properties", {}).items():
        if schema.get("type") == "array" and schema.get("items", {}).get("type") in ("string", "object"):
            return str(name)
    return None


def schema_of(body: Body) -> Body:
    response_format = body.get("response_format") or {}
    schema: Body = (response_format.get("json_schema") or {}).get("schema") or {}
    return schema


def items_asked(body: Body, default: int) -> int:
    """The schema's minItems, else `default`."""
    name = list_property(body)
    return int(schema_of(body)["properties"][name].get("minItems", default)) if name else default


def digest(body: Body) -> bytes:
    """Of all that is asked; streaming is a way of sending, not a part of the question."""
    asked = {key: value for key, value in body.items() if key not in ("stream", "stream_options")}
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).digest()


def words(seed: bytes, index: int, count: int) -> list[str]:
    """Pronounceable words of letters alone, so that they stay apart however they are normalised."""
    numbers = hashlib.sha256(seed + index.to_bytes(4, "big")).digest()
    syllables = ["bdfghklmnprstv"[n % 14] + "aeiou"[n // 14 % 5] for n in numbers]
    return ["".join(syllables[3 * i : 3 * i + 3]) for i in range(count)]


def labels(body: Body, kind: Kind, count: int) -> list[str]:
    """`count` tags or questions that are new with respect to this request."""
    seed = digest(body)
    if kind == "tags":
        return [" ".join(words(seed, i, 2)).title() for i in range(count)]
    return [f"How does {' '.join(words(seed, i, 3))} work?" for i in range(count)]


def completion(body: Body, kind: Kind, items: int) -> Body:
    """The default reply for a body: a chat completion, or an embedding."""
    if kind == "embeddings":
        return embedding_of(body, embedded(body["input"]))
    if kind == "answers":
        text = " ".join(words(digest(body), 0, 8)).capitalize() + "."
        thought = "Think of " + " ".join(words(digest(body), 1, 5)) + "."
        return completion_of(body, {"content": text, "reasoning_content": thought}, "stop")
    asked = {kind: labels(body, kind, items)} if list_property(body) or not schema_of(body) else filled(body)
    return completion_of(body, {"content": json.dumps(asked, ensure_ascii=False)}, "stop")


def embedded(text: str, numbers: int = 48) -> list[float]:
    """A vector that is near to that of a text with the same words, in any order."""
    found = [0.0] * numbers
    for word in re.findall(r"\w+", text.lower()):
        for place, byte in enumerate(hashlib.sha512(word.encode()).digest()[:numbers]):
            found[place] += byte / 255 - 0.5
    return found


def embedding_of(body: Body, vector: Any) -> Body:
    """An embedding object around a vector; usage is derived from the text's length."""
    prompt = len(body["input"]) // 4 + 1
    return {
        "object": "list",
        "data": [{"object": "embedding", "index": 0, "embedding": vector}],
        "model": body.get("model"),
        "usage": {"prompt_tokens": prompt, "total_tokens": prompt},
    }


def filled(body: Body) -> Body:
    """An object that fits the schema of a body, with values that follow from all that is asked."""
    seed = digest(body)
    return {
        name: fitting(part, seed, place) for place, (name, part) in enumerate(schema_of(body)["properties"].items())
    }


def fitting(part: Body, seed: bytes, place: int) -> object:
    """A value of the type that a schema wants."""
    chance = int.from_bytes(hashlib.sha256(seed + place.to_bytes(4, "big")).digest()[:4], "big")
    if "enum" in part:
        return part["enum"][chance % len(part["enum"])]
    match part.get("type"):
        case "integer" | "number":
            low, high = part.get("minimum", 0), part.get("maximum", 100)
            return low + chance % (high - low + 1)
        case "boolean":
            return chance % 2 == 0
        case "object":
            return {name: fitting(each, seed, place) for name, each in part.get("properties", {}).items()}
    return " ".join(words(seed, place, 4))


def completion_of(body: Body, message: Mapping[str, Any], finish_reason: str) -> Body:
    """A chat completion object around a message; usage is derived from lengths."""
    prompt = sum(len(str(part.get("content"))) for part in body.get("messages", [])) // 4 + 1
    reasoning = len(message.get("reasoning_content") or "") // 4
    answer = len(message.get("content") or "") // 4 + 1 + reasoning
    usage = {
        "prompt_tokens": prompt,
        "completion_tokens": answer,
        "total_tokens": prompt + answer,
        "completion_tokens_details": {"reasoning_tokens": reasoning},
    }
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish_reason}
    return {
        "id": "chatcmpl-" + digest(body).hex()[:12],
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": body.get("model"),
        "choices": [choice],
        "usage": usage,
    }


def chunks(whole: Body, include_usage: bool) -> Iterator[Body]:
    """A completion as the chunks of a stream."""
    head = {key: whole[key] for key in ("id", "created", "model")} | {"object": "chat.completion.chunk"}
    choice = whole["choices"][0]
    deltas: list[Body] = [{"role": "assistant", "content": ""}]
    for key in ("reasoning_content", "content", "refusal"):
        deltas += [{key: piece} for piece in re.findall(r"\s*\S+\s*", choice["message"].get(key) or "")]
    tokens = (choice.get("logprobs") or {}).get("content", [])
    for place, delta in enumerate(deltas):
        listed = {"logprobs": {"content": tokens[place : place + 1]}} if tokens else {}
        yield {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None, **listed}]}
    rest = {"logprobs": {"content": tokens[len(deltas) :]}} if tokens else {}
    yield {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": choice["finish_reason"], **rest}]}
    if include_usage:
        yield {**head, "choices": [], "usage": whole["usage"]}


# The server.


@dataclass
class Request:
    """One request as it came. Times are in seconds of time.monotonic()."""

    index: int
    body: Body
    headers: Mapping[str, str]
    kind: Kind
    arrived: float
    finished: float | None = None


Tokens = Callable[[Body, Body], Body]
"""The completion of a body → the same with `logprobs` in its choice, and `usage` that counts its tokens."""


class ScriptedServer:
    """Serves POST …/chat/completions on a free loopback port, in a thread, between `with` and its end.

    `latency` in seconds, or a function from a request's body to them; `plan` says which request (counted from 0 since
    the start or the last `reset`) meets which fault; `items` is how many a list reply holds where no schema says it.
    `tokens` lists the tokens of a reply where a request wants log probabilities; without it there come none.
    """

    def __init__(
        self,
        *,
        latency: float | Callable[[Body], float] = 0.0,
        plan: Plan = (),
        classify: Callable[[Body], Kind] = classify,
        items: int = 5,
        tokens: Tokens | None = None,
        port: int = 0,
    ) -> None:
        self.latency = latency
        self.tokens = tokens
        self.plan = plan
        self._held_from: int | None = None
        self.classify = classify
        self.items = items
        self.port = port
        self._loop = asyncio.new_event_loop()
        self._changed = threading.Condition()
        self._open = asyncio.Event()
        self._open.set()
        self._closing = asyncio.Event()
        self._runner: web.AppRunner | None = None
        self.reset()

    # What a test reads.

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def requests(self) -> list[Request]:
        """The requests in order of arrival."""
        with self._changed:
            return list(self._requests)

    @property
    def count(self) -> int:
        """How many requests have arrived."""
        with self._changed:
            return len(self._requests)

    @property
    def kinds(self) -> Counter[str]:
        """How many requests of each kind have arrived."""
        return Counter(request.kind for request in self.requests)

    @property
    def in_flight(self) -> int:
        with self._changed:
            return self._in_flight

    # What a test does.

    def reset(self) -> None:
        """Forgets what has arrived; the next request is number 0 again."""
        with self._changed:
            self._requests: list[Request] = []
            self._in_flight = 0
            self.max_in_flight = 0
            self._changed.notify_all()

    def hold_from(self, index: int) -> None:
        """As `hold`, from the request of that number on."""
        self._held_from = index

    def hold(self) -> None:
        """From now on requests arrive but are not answered."""
        self._in_loop(self._open.clear)

    def release(self) -> None:
        """Answers those that are held, and all to come."""
        self._in_loop(self._open.set)

    def wait_for(self, n: int, timeout: float = 60.0) -> None:
        """Blocks until `n` requests have arrived; AssertionError after `timeout` seconds."""
        with self._changed:
            arrived = self._changed.wait_for(lambda: len(self._requests) >= n, timeout)
            assert arrived, f"{len(self._requests)} of {n} requests arrived in {timeout} s"

    def wait_until_idle(self, timeout: float = 60.0) -> None:
        """Blocks until no request is in flight; AssertionError after `timeout` seconds."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._in_flight == 0, timeout), f"{self._in_flight} in flight"

    # Life.

    def __enter__(self) -> ScriptedServer:
        self._thread = threading.Thread(target=self._loop.run_forever, name="scripted-server", daemon=True)
        self._thread.start()
        self._run(self._start())
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, coroutine: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout=10)

    def _in_loop(self, callback: Callable[[], object]) -> None:
        async def run() -> None:
            callback()

        self._run(run())

    async def _start(self) -> None:
        app = web.Application(client_max_size=2**30)
        app.router.add_post("/{prefix:.*}chat/completions", self._handle)
        app.router.add_post("/{prefix:.*}embeddings", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, backlog=2048)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def _stop(self) -> None:
        self._closing.set()
        self._open.set()
        if self._runner:
            await self._runner.cleanup()

    # One request.

    async def _handle(self, http: web.Request) -> web.StreamResponse:
        body: Body = json.loads(await http.read())
        request = self._arrive(http, body)
        try:
            fault = self._fault(request)
            if request.index == self._held_from:
                self._open.clear()
            if not self._open.is_set():
                await self._open.wait()
            if seconds := self.latency(body) if callable(self.latency) else self.latency:
                await asyncio.sleep(seconds)
            return await self._reply(http, request, fault)
        finally:
            self._finish(request)

    def _arrive(self, http: web.Request, body: Body) -> Request:
        with self._changed:
            request = Request(len(self._requests), body, dict(http.headers), self.classify(body), time.monotonic())
            self._requests.append(request)
            self._in_flight += 1
            self.max_in_flight = max(self.max_in_flight, self._in_flight)
            self._changed.notify_all()
        return request

    def _finish(self, request: Request) -> None:
        with self._changed:
            request.finished = time.monotonic()
            self._in_flight = max(0, self._in_flight - 1)
            self._changed.notify_all()

    def _fault(self, request: Request) -> Fault | None:
        if callable(self.plan):
            return self.plan(request.index, request.body)
        return self.plan[request.index] if request.index < len(self.plan) else None

    async def _reply(self, http: web.Request, request: Request, fault: Fault | None) -> web.StreamResponse:
        if fault is None or fault.kind == "completion":
            headers = fault.headers if fault else {}
            return await self._complete(http, request.body, self._completion(request, fault), headers)
        if fault.kind == "http":
            return web.Response(status=fault.status, body=fault.body, headers=fault.headers)
        return await self._break(http, request, fault)

    def _completion(self, request: Request, fault: Fault | None) -> Body:
        whole = self._without_tokens(request, fault)
        return self.tokens(request.body, whole) if self.tokens and request.body.get("logprobs") else whole

    def _without_tokens(self, request: Request, fault: Fault | None) -> Body:
        if fault is None or not fault.completion:
            return completion(request.body, request.kind, items_asked(request.body, self.items))
        message = {"content": fault.completion["content"], **fault.completion["message"]}
        return completion_of(request.body, message, fault.completion["finish_reason"])

    async def _complete(
        self, http: web.Request, body: Body, whole: Body, headers: Mapping[str, str], cut: bool = False
    ) -> web.StreamResponse:
        if not body.get("stream"):
            sent = {"Content-Type": "application/json", **headers}
            return web.Response(body=as_bytes(whole), headers=sent)
        stream = web.StreamResponse(headers={"Content-Type": "text/event-stream", **headers})
        await stream.prepare(http)
        pieces = list(chunks(whole, bool((body.get("stream_options") or {}).get("include_usage"))))
        await stream.write(b": scripted\n\n")
        for piece in pieces[: len(pieces) // 2] if cut else pieces:
            await stream.write(b"data: " + as_bytes(piece) + b"\n\n")
        if not cut:
            await stream.write(b"data: [DONE]\n\n")
        return stream

    async def _break(self, http: web.Request, request: Request, fault: Fault) -> web.StreamResponse:
        if fault.kind == "hang":
            await self._closing.wait()
        elif fault.kind == "not_http" and http.transport:
            http.transport.write(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")
            http.transport.close()
        elif fault.kind == "drip":
            return await self._drip(http, fault.seconds)
        elif fault.kind == "reset_midway":
            await self._send_half(http, request)
        return self._abort(http)

    def _abort(self, http: web.Request) -> web.StreamResponse:
        if http.transport:
            http.transport.abort()
        return web.Response()

    async def _drip(self, http: web.Request, seconds: float) -> web.StreamResponse:
        stream = web.StreamResponse(headers={"Content-Type": "application/json"})
        await stream.prepare(http)
        while not self._closing.is_set() and http.transport:
            await stream.write(b" ")
            await asyncio.sleep(seconds)
        return stream

    async def _send_half(self, http: web.Request, request: Request) -> None:
        whole = self._completion(request, None)
        if request.body.get("stream"):
            await self._complete(http, request.body, whole, {}, cut=True)
            return
        text = as_bytes(whole)
        stream = web.StreamResponse(headers={"Content-Length": str(len(text))})
        await stream.prepare(http)
        await stream.write(text[: len(text) // 2])


def main() -> None:
    """Serves until its input ends or it is interrupted."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before each reply")
    arguments = parser.parse_args()
    with ScriptedServer(port=arguments.port, latency=arguments.latency) as server:
        print(server.base_url, flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
