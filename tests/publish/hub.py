"""A scripted Hub on loopback: the endpoints that publishing uses, over a repository that lies in memory.

As the Hub does it takes Parquet as large files: a commit names them by SHA-256, and their bytes go before it to a
storage of its own, by the protocol of Git LFS. Of Xet, the Hub's newer one, it has nothing, so that it is refused.

References: https://huggingface.co/docs/hub/api, https://github.com/git-lfs/git-lfs/blob/main/docs/api/batch.md, and
what huggingface_hub sends.
"""

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote, urlsplit

TOKEN = "hf_" + "x" * 20


class ScriptedHub:
    """`files` are those of the one repository, None before it is made; `writes` the requests that change something;
    `stored` are the bytes of large files, by SHA-256, and `broken` says that the storage takes none."""

    def __init__(self) -> None:
        self.address = ""
        self.files: dict[str, bytes] | None = None
        self.private = False
        self.writes: list[str] = []
        self.commits: list[str] = []
        self.says: bytes | None = None
        """What it answers to whatever is read, where it is none."""
        self.stored: dict[str, bytes] = {}
        self.broken = False

    @property
    def head(self) -> str:
        """The commit that main stands at."""
        return hashlib.sha1(repr(self.commits).encode(), usedforsecurity=False).hexdigest()

    def tree(self) -> list[dict[str, Any]]:
        return [self._file(name, content) for name, content in sorted((self.files or {}).items())]

    def _file(self, name: str, content: bytes) -> dict[str, Any]:
        blob = b"blob %d\0%b" % (len(content), content)
        told: dict[str, Any] = {"type": "file", "path": name, "size": len(content)}
        told["oid"] = hashlib.sha1(blob, usedforsecurity=False).hexdigest()
        if is_large(name):
            told["oid"] = "0" * 40
            told["lfs"] = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 130}
        return told

    def commit(self, lines: list[dict[str, Any]]) -> None:
        """Takes the lines of a commit's body."""
        assert self.files is not None
        for line in lines:
            value = line["value"]
            match line["key"]:
                case "header":
                    assert value.get("parentCommit") == self.head, "somebody else was first"
                    self.commits.append(value["summary"])
                case "file":
                    self.files[value["path"]] = base64.b64decode(value["content"])
                case "lfsFile":
                    self.files[value["path"]] = self.stored[value["oid"]]
                case "deletedFile":
                    del self.files[value["path"]]

    def upload_of(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Where the bytes of a large file go; nowhere where they are there."""
        if asked["oid"] in self.stored:
            return asked
        places = {"upload": f"{self.address}/storage/{asked['oid']}", "verify": f"{self.address}/verify"}
        return {**asked, "actions": {name: {"href": place} for name, place in places.items()}}


def is_large(name: str) -> bool:
    """Whether a file is one, by its name, as the .gitattributes of a new repository say."""
    return name.endswith(".parquet")


class _Handler(BaseHTTPRequestHandler):
    hub: ScriptedHub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        if self.hub.says is not None:
            return self._reply(200, self.hub.says)
        if self.hub.private and self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self._reply(401, b'{"error": "Repository not found"}')
        if self.hub.files is None:
            return self._reply(404, b'{"error": "Repository not found"}', {"X-Error-Code": "RepoNotFound"})
        if "/tree/" in path:
            return self._say(self.hub.tree())
        if "/revision/" in path:
            return self._say({"id": "ada/sports", "sha": self.hub.head, "private": self.hub.private, "siblings": []})
        if "/resolve/main/" in path:
            return self._reply(200, (self.hub.files or {})[path.partition("/resolve/main/")[2]])
        return self._reply(404, b"{}")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        path = urlsplit(self.path).path
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self._reply(401, b'{"error": "Invalid username or password."}')
        if path == "/api/repos/create":
            if self.hub.files is not None:
                return self._reply(
                    409, json.dumps({"error": "exists", "url": f"{self.hub.address}/datasets/ada/sports"}).encode()
                )
            self.hub.files, self.hub.private = {".gitattributes": b""}, json.loads(body).get("visibility") == "private"
            self.hub.writes.append("create")
            return self._say({"url": f"{self.hub.address}/datasets/ada/sports"})
        if "/preupload/" in path:
            asked = json.loads(body)["files"]
            return self._say(
                {
                    "files": [
                        {"path": name, "uploadMode": "lfs" if is_large(name) else "regular", "shouldIgnore": False}
                        for name in (each["path"] for each in asked)
                    ]
                }
            )
        if path == "/datasets/ada/sports.git/info/lfs/objects/batch":
            objects = [self.hub.upload_of(each) for each in json.loads(body)["objects"]]
            return self._say({"transfer": "basic", "objects": objects})
        if path == "/verify":
            told = json.loads(body)
            there = len(self.hub.stored.get(told["oid"], b"")) == told["size"]
            return self._reply(200 if there else 422, b"{}")
        if path == "/api/validate-yaml":
            return self._say({"errors": [], "warnings": []})
        self.hub.writes.append("commit")
        self.hub.commit([json.loads(line) for line in body.splitlines()])
        url = f"{self.hub.address}/datasets/ada/sports/commit/{self.hub.head}"
        return self._say({"commitUrl": url, "commitOid": self.hub.head, "success": True})

    def do_PUT(self) -> None:
        """Bytes for the storage, which knows no token: the address is the right to write."""
        content, oid = self.rfile.read(int(self.headers["Content-Length"])), self.path.rpartition("/")[2]
        if self.hub.broken or hashlib.sha256(content).hexdigest() != oid:
            return self._reply(403, b"<Error><Code>AccessDenied</Code></Error>")
        self.hub.stored[oid] = content
        self.hub.writes.append("upload")
        return self._reply(200, b"")

    def _say(self, document: Any) -> None:
        self._reply(200, json.dumps(document).encode())

    def _reply(self, status: int, content: bytes, headers: Mapping[str, str] = MappingProxyType({})) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def scripted_hub() -> Iterator[ScriptedHub]:
    """A running one."""
    hub = ScriptedHub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    hub.address = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
