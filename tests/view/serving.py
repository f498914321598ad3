"""The server of a page at work, as a process of its own."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.e2e.workspace import Running, Workspace


@dataclass(frozen=True)
class Answer:
    """What came of a request."""

    status: int
    body: bytes
    headers: dict[str, str]

    @property
    def document(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Served:
    """A process that serves, and the address that it printed."""

    process: Running
    address: str

    @property
    def host(self) -> str:
        return urlsplit(self.address).netloc

    @property
    def token(self) -> str:
        return parse_qs(urlsplit(self.address).query)["token"][0]

    def snapshot(self) -> str:
        """Which rows the page has."""
        page = self.ask("/").body.decode()
        told = page.partition('<script type="application/json" id="server">')[2].partition("</script>")[0]
        return str(json.loads(told)["snapshot"])

    def ask(self, place: str, headers: dict[str, str] | None = None, body: bytes | None = None, **query: str) -> Answer:
        """Sends a request; one with a body as the page itself would, unless `headers` say otherwise."""
        words = "&".join(f"{name}={value}" for name, value in ({"token": self.token} | query).items())
        own = {} if body is None else {"Origin": f"http://{self.host}", "Content-Type": "application/json"}
        told = {name: value for name, value in (own | (headers or {})).items() if value}
        request = urllib.request.Request(f"http://{self.host}{place}?{words}", body, told)
        try:
            with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310 - as above
                return Answer(response.status, response.read(), dict(response.headers))
        except urllib.error.HTTPError as error:
            return Answer(error.code, error.read(), dict(error.headers))

    def say(self, place: str, headers: dict[str, str] | None = None, **what: Any) -> Answer:
        """Does what a person would on the page."""
        return self.ask(place, headers, json.dumps({"of": self.snapshot(), **what}).encode())


@contextmanager
def served(project: Workspace, *words: str) -> Iterator[Served]:
    """Serves a dataset until the end of the context."""
    with project.start("view", "--no-browser", *words) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            assert address.startswith("http://127.0.0.1:"), process.communicate(timeout=60)
            yield Served(process, address)
        finally:
            process.kill()
