"""HTTP on loopback: who may ask, and what.

Each request carries the token of the address, and names this host; one that writes comes from the page itself. So
neither another user of the machine, nor a page of the web in the same browser, nor a name that somebody has pointed to
127.0.0.1 gets in. Answers are for nobody else: no header lets another origin read them.

    GET  /                       the page
    GET  /facts/N                what lists go by, of block N of the snapshot `of` and of those behind it
    GET  /whole/N                the rows of a block
    GET  /found/N                which families have the words `text`, of block N and of those behind it
    GET  /said                   what people have said after number `after`, and how the dataset stands
    POST /review /tag /include /item /undo      what a person does; the answer has the number of the step
"""

import asyncio
import gzip
import secrets
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import TypeVar

import msgspec
from aiohttp import web
from aiohttp.typedefs import Middleware

from distill_build.engine.signals import interruptible
from distill_build.errors import DistillError, StorageError, UsageError
from distill_build.report.data import Server
from distill_build.report.drawing import Block
from distill_build.report.page import render
from distill_build.view.hands import GoneStepError, Hands, Inclusion, NewItem, TagChange, Undo
from distill_build.view.reviewing import ReviewChange
from distill_build.view.said import OwnItemWaiting, Said, SaidOfRow, SaidOfTag
from distill_build.view.snapshot import Snapshot

LOOPBACK = "127.0.0.1"
NAMES = (LOOPBACK, "localhost")
HTTP = 80
"""The port that stands in no address."""
LARGEST = 1 << 20
"""Bytes of a request."""
HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
}
JSON = "application/json"
READING = ("GET", "HEAD")
FACTS_AT_ONCE = 64
"""Blocks whose facts go in one answer: a request for each would take longer than reading them."""
READINGS = 5
"""Times that rows are read which a build replaces meanwhile; those of a first build become more all the time."""
T = TypeVar("T")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class FolderStanding(msgspec.Struct, frozen=True):
    """How the dataset in the folder stands: which rows lie there, as any text that tells them from others, and whether
    a build is at work."""

    rows: str
    building: bool


class Stands(msgspec.Struct, frozen=True, kw_only=True):
    """What a page is told: what people have said since, what waits, whether its rows are `old`, and if a file of
    people's cannot be used, why."""

    number: int
    rows: dict[str, SaidOfRow]
    tree: list[SaidOfTag]
    items: list[OwnItemWaiting]
    waiting: int
    old: bool
    building: bool
    fault: str | None


class Viewed:
    """The dataset that is looked at. `read` reads its rows, `standing` how its folder stands; both may take time.
    `build` is the command that builds a topic."""

    def __init__(
        self,
        read: Callable[[], Snapshot],
        standing: Callable[[], FolderStanding],
        said: Said,
        hands: Hands,
        build: Callable[[str], str],
    ) -> None:
        self._read, self._standing, self._said, self._hands, self._build = read, standing, said, hands, build
        self._snapshot: Snapshot | None = None
        self._read_at = ""

    @property
    def snapshot(self) -> Snapshot:
        """The rows that were read last."""
        if self._snapshot is None:
            self.refresh()
        assert self._snapshot is not None  # noqa: S101 - refresh has set it
        return self._snapshot

    def refresh(self) -> None:
        """Reads the rows, if others lie there by now, and again if they were replaced meanwhile.

        Raises StorageError where they cannot be read.
        """
        for _ in range(READINGS):
            rows = self._standing().rows
            if self._snapshot is not None and rows == self._read_at:
                return
            try:
                self._snapshot, self._read_at = self._read(), rows
            except StorageError:
                if self._standing().rows == rows:
                    raise

    def page(self) -> bytes:
        """The page of the rows as they are."""
        self.refresh()
        return "".join(render(self.snapshot.page, (), self._told())).encode("utf-8", "replace")

    def facts(self, first: int, of: str) -> bytes:
        """A JSON list of the facts of some blocks. Raises UsageError for rows that are here no more, or never were."""
        return b"[" + b",".join(gzip.decompress(block.facts) for block in self._blocks(first, of)) + b"]"

    def whole(self, place: int, of: str) -> bytes:
        """The rows of a block, compressed. Raises as above."""
        return self._blocks(place, of)[0].whole

    def found(self, first: int, of: str, text: str) -> bytes:
        """A JSON list of the places of those families in a block any of whose texts has the words, for some blocks."""
        snapshot, blocks = self._of(of), self._blocks(first, of)
        return msgspec.json.encode([snapshot.having(text, first + place) for place in range(len(blocks))])

    def _blocks(self, first: int, of: str) -> list[Block]:
        if not (blocks := self._of(of).blocks[first : first + FACTS_AT_ONCE]):
            raise UsageError("there is no such block")
        return blocks

    def stands(self, after: int, of: str) -> Stands:
        """How all of it stands for a page of the snapshot `of` that knows what was said up to number `after`."""
        standing, fault = self._standing(), self._fault()
        said = self._said
        return Stands(
            number=said.number,
            rows={key: row for key, row in said.rows.items() if row.number > after},
            tree=said.tree,
            items=said.items,
            waiting=said.waiting,
            old=of != self.snapshot.name or (standing.rows != self._read_at and not standing.building),
            building=standing.building,
            fault=fault,
        )

    def _fault(self) -> str | None:
        """Why a file of people's cannot be used, where one cannot."""
        try:
            self._said.read(self.snapshot)
        except DistillError as error:
            return str(error)
        return None

    def review(self, body: bytes) -> int:
        change = _decoded(body, ReviewChange)
        return self._hands.review(self._ready(change.of), change)

    def tag(self, body: bytes) -> int:
        change = _decoded(body, TagChange)
        return self._hands.tag(self._ready(change.of), change)

    def include(self, body: bytes) -> int:
        change = _decoded(body, Inclusion)
        return self._hands.include(self._ready(change.of), change)

    def item(self, body: bytes) -> int:
        new = _decoded(body, NewItem)
        return self._hands.item(self._ready(new.of), new)

    def undo(self, body: bytes) -> int:
        undo = _decoded(body, Undo)
        self._said.read(self.snapshot)
        self._hands.undo(undo)
        return 0

    def _ready(self, of: str) -> Snapshot:
        """The rows that a person speaks of, with what was said of them so far."""
        snapshot = self._of(of)
        self._said.read(snapshot)
        return snapshot

    def _of(self, name: str) -> Snapshot:
        if name != self.snapshot.name:
            raise UsageError("other rows are shown by now: load this page again")
        return self.snapshot

    def _told(self) -> Server:
        snapshot = self.snapshot
        return Server(
            snapshot.name,
            {name: editable.columns for name, editable in snapshot.editable.items() if editable.columns},
            tuple(shape.name for shape in snapshot.graph if shape.kind == "list" and shape.after is not None),
            self._build(snapshot.topic),
        )


def _decoded(body: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"that is not what is asked for here: {error}") from error


async def serve(viewed: Viewed, port: int, tell: Callable[[str], None]) -> None:
    """Serves until Ctrl-C or SIGTERM. `tell` is told the whole address, once it can be opened; port 0 is a free one.

    Raises UsageError where the port is taken.
    """
    gate, bugs = _Gate(secrets.token_urlsafe(24)), list[Exception]()
    runner = web.AppRunner(_application(viewed, gate, bugs), access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await _listen(runner, port)
        gate.port = runner.addresses[0][1]
        ended = asyncio.Event()
        with interruptible(ended.set):
            tell(f"http://{LOOPBACK}:{gate.port}/?token={gate.token}")
            await ended.wait()
    finally:
        await runner.cleanup()
    for bug in bugs:
        raise bug  # for who has called: what people said meanwhile was more urgent


async def _listen(runner: web.AppRunner, port: int) -> None:
    try:
        await web.TCPSite(runner, LOOPBACK, port).start()
    except (OSError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(f"port {port} cannot be had ({reason}): name another with --port, or leave it out") from error


class _Gate:
    """Who gets in."""

    def __init__(self, token: str) -> None:
        self.token, self.port = token, 0

    def refusal(self, request: web.Request) -> str | None:
        """Why a request is refused; None where it is not."""
        own = [f"{name}:{self.port}" for name in NAMES]
        hosts = [*own, *NAMES] if self.port == HTTP else own  # a browser leaves the usual port out
        if request.headers.get("Host") not in hosts:
            return "this server answers to 127.0.0.1 alone"
        given = request.query.get("token", "").encode("utf-8", "replace")
        if not secrets.compare_digest(given, self.token.encode()):
            return "the token of the address is missing, or another one: open the address that was printed"
        origins = [f"http://{host}" for host in hosts]
        if request.method not in READING and request.headers.get("Origin") not in origins:
            return "only its own page may write here"
        return None


def _application(viewed: Viewed, gate: _Gate, bugs: list[Exception]) -> web.Application:
    one_by_one = asyncio.Lock()

    async def work(act: Callable[..., T], *given: object) -> T:
        """Files are read and written beside the loop, one after the other."""
        async with one_by_one:
            return await asyncio.to_thread(act, *given)

    async def page(_: web.Request) -> web.Response:
        return web.Response(body=await work(viewed.page), content_type="text/html", charset="utf-8")

    def reading(read: Callable[..., bytes], kind: str, *more: str) -> Handler:
        async def reads(request: web.Request) -> web.Response:
            given = (request.query.get(name, "") for name in ("of", *more))
            data = await work(read, int(request.match_info["place"]), *given)
            return web.Response(body=data, content_type=kind)

        return reads

    async def said(request: web.Request) -> web.Response:
        after = request.query.get("after", "0")
        stands = await work(viewed.stands, int(after) if after.isdecimal() else 0, request.query.get("of", ""))
        return web.Response(body=msgspec.json.encode(stands), content_type=JSON)

    def doing(act: Callable[[bytes], int]) -> Handler:
        async def does(request: web.Request) -> web.Response:
            if request.content_type != JSON:
                raise web.HTTPUnsupportedMediaType
            step = await work(act, await request.read())
            return web.json_response({"step": step})

        return does

    application = web.Application(middlewares=[_guarded(gate, bugs)], client_max_size=LARGEST)
    application.router.add_get("/", page)
    application.router.add_get(r"/facts/{place:\d{1,6}}", reading(viewed.facts, JSON))
    application.router.add_get(r"/whole/{place:\d{1,6}}", reading(viewed.whole, "application/octet-stream"))
    application.router.add_get(r"/found/{place:\d{1,6}}", reading(viewed.found, JSON, "text"))
    application.router.add_get("/said", said)
    for name in ("review", "tag", "include", "item", "undo"):
        application.router.add_post(f"/{name}", doing(getattr(viewed, name)))
    return application


def _guarded(gate: _Gate, bugs: list[Exception]) -> Middleware:
    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        if (refusal := gate.refusal(request)) is not None:
            response: web.StreamResponse = web.Response(status=HTTPStatus.FORBIDDEN, text=refusal)
        else:
            response = await _answered(request, handler, bugs)
        response.headers.update(HEADERS)
        return response

    return guarded


async def _answered(request: web.Request, handler: Handler, bugs: list[Exception]) -> web.StreamResponse:
    """What goes wrong is told in a sentence, as it would be on a terminal."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        return web.Response(status=error.status, text=error.reason)
    except GoneStepError as error:
        return web.Response(status=HTTPStatus.GONE, text=str(error))
    except DistillError as error:
        status = HTTPStatus.SERVICE_UNAVAILABLE if isinstance(error, StorageError) else HTTPStatus.CONFLICT
        return web.Response(status=status, text=str(error))
    except Exception as bug:  # noqa: BLE001 - the next request is another one
        if not bugs:  # a page asks each second
            bugs.append(bug)
        text = f"this is a bug in distill-build ({type(bug).__name__}): end the server with Ctrl-C for its log"
        return web.Response(status=HTTPStatus.INTERNAL_SERVER_ERROR, text=text)
