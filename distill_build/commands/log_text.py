"""What `log` prints for people: the item, the versions that hold it, then a paragraph for each request behind it."""

import json
from collections.abc import Iterator

from distill_build.commands.lookup import Found
from distill_build.console.page import HANG, Line, Span
from distill_build.console.words import duration, money
from distill_build.console.wrapping import visible
from distill_build.engine.entry import Attempt
from distill_build.records import JsonObject, number_of, short
from distill_build.replies.reply import Rejection, read_reply
from distill_build.stages.provenance import Link, Tried
from distill_build.versions.holding import Holding, Texts

HEAD, TAIL = 100, 60
"""Characters of a text on the first screen, where it is cut: a prompt says at its end what it wants."""
SHOWN_VERSIONS = 5
INDENT: Span = ("  ", "plain")


def item_text(
    found: Found, chain: list[Link], held: list[Holding], *, whole: bool, quiet: bool
) -> Iterator[str | Line]:
    """All lines; texts in full where they are wanted `whole`, and none of a `quiet` log."""
    row = found.row
    yield _fact(found.kind, row["id"])
    yield _fact("path", " / ".join(row["path"]))
    yield from (_fact(name, row[name]) for name in ("number", "index", "sample") if name in row)
    yield from _versions(row, held, whole=whole)
    for link in chain:
        yield from ("", _heading(link))
        yield from ((INDENT, *line) for line in _link(link))
        if not quiet:
            yield from ((INDENT, *line) if line else line for line in _texts(link, whole=whole))
    if not whole and not quiet and any(link.entry is not None for link in chain):
        yield from ("", "Long texts are cut: -v prints them whole, and the raw responses; --json prints all there is.")


def same_texts(texts: Texts | None, row: JsonObject) -> bool:
    """Whether a version holds the item with the texts on `row`."""
    return texts is not None and texts == Texts(row.get("reasoning"), row.get("answer"))


def _versions(row: JsonObject, held: list[Holding], *, whole: bool) -> Iterator[Line]:
    """How many versions hold the item, and which."""
    those = [holding for holding in held if holding.texts is not None]
    damaged = [holding for holding in held if holding.damage]
    yield _fact("versions", f"in {len(those)} of {len(held)}" if held else "none is kept of this dataset")
    shown = len(those) if whole else SHOWN_VERSIONS
    yield from (_fact("", _version(row, holding)) for holding in those[:shown])
    if len(those) > shown:
        yield _fact("", f"and {len(those) - shown} more")
    yield from (_fact("", f"{holding.name} cannot be read: {holding.damage}") for holding in damaged[:shown])


def _version(row: JsonObject, holding: Holding) -> str:
    other = "" if same_texts(holding.texts, row) else "  with another text"
    return f"{short(holding.version.version)}  {_time(holding.version.at)}  {holding.name}{other}"


def _heading(link: Link) -> str:
    if link.stage == "answers":
        return "Answer"
    among = f": request {link.number} of {link.requests} for {link.stage} of {' / '.join(link.above)}"
    return f"{link.stage.removesuffix('s').title()} “{_line(link.item)}”" + among * (link.number is not None)


def _link(link: Link) -> Iterator[Line]:
    """The request and its attempts, without what was said in them."""
    if link.lack:
        yield _fact("missing", link.lack)
    if link.source is not None:
        yield _fact("call", link.source[0])
    if link.entry is None or link.sent is None:
        return
    manifest = link.entry.manifest
    yield _fact("model", _model(link.sent["model"], manifest))
    yield _fact("settings", ", ".join(_settings(link.sent)) or "the endpoint's own")
    for number, tried in enumerate(link.tried, start=1):
        yield _fact(f"attempt {number}" if len(link.tried) > 1 else "attempt", _attempt(tried))


def _texts(link: Link, *, whole: bool) -> Iterator[Line]:
    """What was sent and what came back."""
    if link.entry is None or link.sent is None:
        return
    for message in link.sent["messages"]:
        yield from _text(message["role"], message["content"], whole=whole)
    if link.used is not None:
        yield from _reply(link.used.attempt, whole=whole)
    for number, tried in enumerate(link.tried if whole else (), start=1):
        yield from _text(f"raw {number}" if len(link.tried) > 1 else "raw", _raw(tried.attempt), whole=whole)


def _model(name: str, manifest: JsonObject) -> str:
    revision = f", revision {manifest['revision']}" if manifest["revision"] else ""
    weights = f", weights {short(manifest['weights'])}" if manifest["weights"] else ""
    return f"{name}{revision}{weights}"


def _settings(body: JsonObject) -> Iterator[str]:
    """What was sent beside model and messages; of an output schema its kind."""
    for name, value in body.items():
        if name == "response_format":
            yield f"{name} {value['type']}"
        elif name not in ("model", "messages"):
            yield f"{name} {json.dumps(value, ensure_ascii=False)}"


def _attempt(tried: Tried) -> str:
    attempt, usage = tried.attempt, tried.usage
    verdict = f"{tried.verdict}: {_line(tried.detail)}" if tried.detail else tried.verdict
    tokens = f"{usage.prompt_tokens:,} + {number_of(usage.completion_tokens, 'tokens')}"
    cost = "no price" if attempt.usd is None else money(attempt.usd)
    return f"{verdict} · {_time(attempt.at)} · {duration(attempt.seconds)} · {tokens} · {cost}"


def _reply(attempt: Attempt, *, whole: bool) -> Iterator[Line]:
    """The text of a response, with the reasoning that came beside it."""
    reply = read_reply(attempt.response)
    if isinstance(reply, Rejection):  # what could be read once, and now cannot
        yield from _text("reply", _raw(attempt), whole=whole)
        return
    if reply.reasoning is not None:
        yield from _text("thought", reply.reasoning, whole=whole)
    yield from _text("reply", reply.content, whole=whole)


def _raw(attempt: Attempt) -> str:
    """A response as it came."""
    return json.dumps(attempt.response, ensure_ascii=False)


def _text(name: str, text: str, *, whole: bool) -> Iterator[Line]:
    """A text under its name: all of it below, or its beginning beside."""
    if not whole:
        yield _fact(name, _line(text))
        return
    yield ((f"{name}:", "plain"),)
    yield from ((INDENT, HANG, (visible(line), "plain")) if line else () for line in text.splitlines())


def _line(text: str) -> str:
    """A text on one line: of a long one its two ends, with the number of characters between them."""
    line = " ".join(text.split())
    if len(line) > HEAD + TAIL:
        line = f"{line[:HEAD].rstrip()} … {len(line) - HEAD - TAIL:,} characters … {line[-TAIL:].lstrip()}"
    return visible(line)


def _time(at: str) -> str:
    """A time in UTC, to the second."""
    return f"{at[:19].replace('T', ' ')} UTC"


def _fact(name: str, value: object) -> Line:
    return ((f"{name:<9} ", "plain"), HANG, (str(value), "plain")) if value != "" else ((name, "plain"),)
