"""A chat-completions endpoint that costs next to nothing, so that what is measured is the client.

Knows just enough of HTTP/1.1 for clients on loopback: keep-alive, Content-Length, one request at a time.
A request with a JSON schema gets the list it asks for, its items named after a digest of the request; any other gets
one of a thousand answers of about 1.5 kB, more text than a compressor has in view. Lists come at once unless they have
a latency of their own. `GET /stats` says how many answers
were given since the last time it was asked, and in how many seconds, from the first of their requests to the last
reply; `GET /bodies` gives their bodies, one a line.

    python bench/server.py --latency 0.2      prints the address
"""

import argparse
import asyncio
import hashlib
import json
import time
import zlib
from typing import Any

from texts import text

ANSWER_WORDS, REASONING_WORDS = 165, 55
USAGE = {"prompt_tokens": 40, "completion_tokens": 300, "completion_tokens_details": {"reasoning_tokens": 100}}


def completion(content: str, reasoning: str | None) -> bytes:
    message = {"role": "assistant", "content": content, "reasoning_content": reasoning}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    whole = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "bench", "choices": [choice]}
    return response(json.dumps(whole | {"usage": USAGE}).encode())


def response(body: bytes) -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


ANSWERS = [completion(text(f"a{n}", ANSWER_WORDS), text(f"r{n}", REASONING_WORDS)) for n in range(1_000)]


def listed(body: bytes) -> bytes:
    """The list that a request with a JSON schema asks for."""
    schema = json.loads(body)["response_format"]["json_schema"]["schema"]
    ((kind, array),) = schema["properties"].items()
    name = hashlib.sha256(body).hexdigest()[:12]
    form = "Topic {}" if kind == "tags" else "Why does case {} matter in practice, and how would you find out?"
    return completion(json.dumps({kind: [form.format(f"{name}x{n}") for n in range(array["minItems"])]}), None)


class Tally:
    """What was asked since the last look."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.first = self.last = 0.0

    def look(self) -> dict[str, Any]:
        seen = {"requests": len(self.bodies), "seconds": self.last - self.first}
        self.bodies = []
        return seen


class Connection(asyncio.Protocol):
    def __init__(self, latency: float, list_latency: float, tally: Tally) -> None:
        self.latency, self.list_latency, self.tally, self.waiting = latency, list_latency, tally, b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.loop = asyncio.get_running_loop()

    def data_received(self, data: bytes) -> None:
        self.waiting += data
        head, end, body = self.waiting.partition(b"\r\n\r\n")
        length = head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]
        if not end or len(body) < int(length or 0):
            return
        self.waiting = b""
        if head.startswith(b"GET /stats"):
            self.transport.write(response(json.dumps(self.tally.look()).encode()))
        elif head.startswith(b"GET"):
            self.transport.write(response(b"\n".join(self.tally.bodies)))
        elif b'"json_schema"' in body:
            self.loop.call_later(self.list_latency, self.transport.write, listed(body))
        else:
            self.tally.first = self.tally.first if self.tally.bodies else time.perf_counter()
            self.tally.bodies.append(body)
            self.loop.call_later(self.latency, self.answer, ANSWERS[zlib.crc32(body) % len(ANSWERS)])

    def answer(self, response: bytes) -> None:
        self.tally.last = time.perf_counter()
        self.transport.write(response)


async def serve(latency: float, list_latency: float) -> None:
    tally = Tally()
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(latency, list_latency, tally), "127.0.0.1", 0, backlog=4096
    )
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before each answer")
    parser.add_argument("--list-latency", type=float, default=0.0, help="seconds before each list")
    options = parser.parse_args()
    asyncio.run(serve(options.latency, options.list_latency))
