"""Data → the text of the page: one HTML file with styles, scripts and rows in it, that needs nothing else.

What people and models wrote is in it as data alone, never as HTML: JSON in which no mark of HTML can stand, and
compressed blocks in base64. The policy in its head lets run what has the digest of our own scripts, and lets nothing
be fetched.
"""

import base64
import hashlib
from collections.abc import Iterator, Sequence
from html import escape
from importlib.resources import files

import msgspec

from distill_build.report.data import DatasetPage, Server, SweepPage
from distill_build.report.drawing import Block

SCRIPTS = (
    *("base.js", "charts.js", "tree.js", "overview.js", "rows.js", "difference.js", "sweep.js"),
    *("hands.js", "hands_rows.js", "hands_tree.js", "main.js"),
)
CHARTS = "vendor/echarts-6.1.0.min.js"
STYLES = "page.css"
MARKS = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
"""What could end a script or begin a comment, as JSON may spell it. None of these stands outside of its texts."""


def render(page: DatasetPage | SweepPage, blocks: Sequence[Block], server: Server | None = None) -> Iterator[str]:
    """The page, in pieces. With a `server` it has the blocks from there, and says there what a person does."""
    title = page.topic if isinstance(page, DatasetPage) else page.name
    styles, scripts = _asset(STYLES), [_asset(CHARTS), _wrapped(SCRIPTS)]
    head, body, end = _asset("page.html").split("<!-- cut -->\n")
    yield (
        head.replace("{{ policy }}", _policy(styles, scripts, served=server is not None))
        .replace("{{ title }}", escape(title))
        .replace("{{ styles }}", f"<style>{styles}</style>")
    )
    yield body
    yield f'<script type="application/json" id="data">{json_in_html(page)}</script>\n'
    if server is not None:
        yield f'<script type="application/json" id="server">{json_in_html(server)}</script>\n'
    for place, block in enumerate(blocks if server is None else ()):
        yield _block(f"facts-{place}", block.facts)
        yield _block(f"whole-{place}", block.whole)
    for script in scripts:
        yield f"<script>{script}</script>\n"
    yield end


def json_in_html(value: msgspec.Struct) -> str:
    """A value as JSON that may stand in an element of HTML, whatever its texts hold."""
    text = msgspec.json.encode(value).decode()
    for mark, spelled in MARKS.items():
        text = text.replace(mark, spelled)
    return text


def _block(name: str, data: bytes) -> str:
    return f'<script type="text/plain" id="{name}">{base64.b64encode(data).decode()}</script>\n'


def _policy(styles: str, scripts: Sequence[str], *, served: bool) -> str:
    """What the page may do, in the words of Content-Security-Policy. One that is served may ask its server."""
    allowed = " ".join(map(_digest, scripts))
    asks = "; connect-src 'self'" * served
    return (
        f"default-src 'none'; script-src {allowed}; style-src {_digest(styles)}; base-uri 'none'; "
        f"form-action 'none'{asks}"
    )


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _wrapped(names: Sequence[str]) -> str:
    """Scripts as one, whose names stay among themselves."""
    return '"use strict";(() => {\n' + "\n".join(map(_asset, names)) + "})();"


def _asset(name: str) -> str:
    return files(__package__).joinpath("assets", name).read_text(encoding="utf-8")
