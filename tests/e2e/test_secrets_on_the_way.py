"""What is said of an endpoint that fails holds no secret of the way to it: a key in its address, a proxy's password."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.workspace import Workspace

KEY, PASSWORD = "Key-In-The-Address", "Password-Of-The-Proxy"
SMALL = ("topic=sports", "depth=1", "breadth=1", "questions_per_tag=1", "limits.retries=0", "limits.timeout_s=2")
Answer = Callable[[bytes], bytes]
"""The head of a request → all that is sent before the connection is closed."""


def http(status: str, body: bytes = b"", *headers: str) -> bytes:
    head = "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers])
    return head.encode() + b"\r\n\r\n" + body


def address_in(head: bytes) -> bytes:
    """The address that a request is for, as a server sees it."""
    return head.split(b" ")[1]


ANSWERS: dict[str, Answer] = {
    "nothing": lambda _: b"",
    "no HTTP": lambda _: b"HELLO this is no HTTP\r\n\r\n",
    "no HTTP with the address": lambda head: address_in(head) + b"\r\n\r\n",
    "a header that is none": lambda _: b"HTTP/1.1 200 OK\r\nbad header\x00: x\r\n\r\n",
    "half of a body": lambda _: b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{",
    "chunks that are none": lambda _: b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "bytes that do not unpack": lambda _: http("200 OK", b"not packed", "Content-Encoding: gzip"),
    "no JSON": lambda head: http("200 OK", b"{" + address_in(head)),
    "no completion": lambda head: http("200 OK", b'{"detail": "%s"}' % address_in(head)),
    "the proxy's login": lambda _: http("407 Proxy Authentication Required", b"", "Proxy-Authenticate: Basic"),
    "rejected": lambda head: http("400 Bad Request", b"no way to " + address_in(head)),
    "denied": lambda head: http("401 Unauthorized", b"no way to " + address_in(head)),
    "moved": lambda head: http("302 Found", b"", f"Location: http://elsewhere.example{address_in(head).decode()}"),
    "in trouble": lambda head: http("502 Bad Gateway", b"no way to " + address_in(head)),
}
TUNNELS: dict[str, Answer] = {
    name: ANSWERS[name] for name in ("nothing", "no HTTP", "a header that is none", "the proxy's login", "in trouble")
} | {"no TLS": lambda head: b"HTTP/1.1 200 OK\r\n\r\n" if head.startswith(b"CONNECT") else b"HELLO this is no TLS"}


@contextmanager
def listening(answer: Answer) -> Iterator[int]:
    """A port where every request gets `answer`."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, args=(server, answer))
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def serve(server: socket.socket, answer: Answer) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:  # no longer listening
            return
        with connection:
            while head := connection.recv(1 << 16):
                sent = answer(head)
                connection.sendall(sent)
                if not sent.startswith(b"HTTP/1.1 200 OK\r\n\r\n"):  # a tunnel goes on
                    break


def assert_untold(workspace: Workspace, address: str, environment: dict[str, str]) -> None:
    model = ("model=openai_compatible", "model.name=scripted", f"model.base_url={address}?key={KEY}")
    built = workspace.raw(*SMALL, "-v", "--json", *model, environment=environment)
    assert built.status in (1, 2), built.stderr
    assert len(workspace.rows("failures")) == (built.status == 1)
    checked = workspace.raw("check", "topic=sports", *model, environment=environment)
    assert checked.status != 0
    assert address in checked.stdout
    for process in (built, checked):
        assert "Traceback" not in process.stderr
        assert tells(f"{process.stdout}{process.stderr}".encode()) == []
    assert {path: told for path in files_below(workspace.root) if (told := tells(path.read_bytes()))} == {}


def tells(text: bytes) -> list[str]:
    """The secrets that stand in a text, be it in small letters."""
    return [secret for secret in (KEY, PASSWORD) if secret.lower().encode() in text.lower()]


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def through(port: int) -> dict[str, str]:
    """The environment of who reaches others through a proxy."""
    proxy = f"http://user:{PASSWORD}@127.0.0.1:{port}"
    return dict.fromkeys(("http_proxy", "https_proxy"), proxy) | {"no_proxy": "", "NO_PROXY": ""}


@pytest.mark.parametrize("name", ANSWERS)
def test_of_an_endpoint_that_answers_so(workspace: Workspace, name: str) -> None:
    with listening(ANSWERS[name]) as port:
        assert_untold(workspace, f"http://127.0.0.1:{port}/v1", {})


@pytest.mark.parametrize("name", ANSWERS)
def test_of_a_proxy_that_answers_so(workspace: Workspace, name: str) -> None:
    with listening(ANSWERS[name]) as port:
        assert_untold(workspace, "http://llm.example.invalid/v1", through(port))


@pytest.mark.parametrize("name", TUNNELS)
def test_of_a_proxy_that_is_asked_for_a_tunnel_and_answers_so(workspace: Workspace, name: str) -> None:
    with listening(TUNNELS[name]) as port:
        assert_untold(workspace, "https://llm.example.invalid/v1", through(port))


@pytest.mark.parametrize("address", ["http://llm.example.invalid/v1", "https://llm.example.invalid/v1"])
def test_of_a_proxy_that_is_not_there(workspace: Workspace, address: str) -> None:
    with listening(ANSWERS["nothing"]) as port:
        pass
    assert_untold(workspace, address, through(port))


@pytest.mark.parametrize("address", ["http://127.0.0.1:9/v1", "http://llm.example.invalid/v1"])
def test_of_an_endpoint_that_is_not_there(workspace: Workspace, address: str) -> None:
    assert_untold(workspace, address, {})


@pytest.mark.parametrize("address", [f"ftp://me:{PASSWORD}@x/v1?key={KEY}", f"http://x:99999/v1?key={KEY}"])
def test_of_an_address_that_is_none(workspace: Workspace, address: str) -> None:
    model = ("model=openai_compatible", "model.name=scripted", f"model.base_url={address}")
    for command in ((), ("plan",), ("check",)):
        refused = workspace.raw(*command, "topic=sports", *model)
        assert refused.status == 2
        assert tells(f"{refused.stdout}{refused.stderr}".encode()) == []
