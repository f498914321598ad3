"""`log ID`: says where an item came from, from the topic down: prompts, settings, models, responses and costs.

`show` prints what an item is; this prints how it came to be: the item, the versions that hold it, then a paragraph for
each request behind it, each verdict on a row above, and each row that was counted together.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import closing

from distill_build.commands.locate import find_versions, tell_unfinished
from distill_build.commands.look.lookup import Found, find_item
from distill_build.commands.look.reviewed import before_edit, review_words, said_of_row, when_and_who
from distill_build.commands.look.show import left_out, left_out_words, verdict_text
from distill_build.console.page import HANG, Line, StyledText, print_document, print_lines
from distill_build.console.words import duration, money
from distill_build.console.wrapping import visible
from distill_build.dataset.layout import Dataset
from distill_build.dataset.rows import content_of, list_text
from distill_build.engine.entry import Attempt
from distill_build.engine.reading import ReadOnlyStore
from distill_build.history.provenance import Decided, GivenByHand, Link, Origins, Tried, rows_above
from distill_build.options import Options
from distill_build.records import JsonObject, number_of, short
from distill_build.replies.reply import Rejection, read_reply
from distill_build.review import EDIT, REVIEW
from distill_build.versions.holding import Holding, Sought, holdings

ChainLink = Link | Decided | GivenByHand
HEAD, TAIL = 100, 60
"""Characters of a text on the first screen, where it is cut: a prompt says at its end what it wants."""
SHOWN_VERSIONS = 5
SHOWN_ROWS = 5
INDENT: StyledText = ("  ", "plain")


def run(options: Options) -> int:
    """Prints the history of the item whose id, or the beginning of it, is the first of the arguments.

    -v prints texts whole, -q none of them.
    """
    wanted, *name = options.arguments
    dataset, names = find_versions(options, *name)
    tell_unfinished(dataset, options)
    archive = names.archive
    with find_item(options, dataset, wanted) as found, closing(ReadOnlyStore(archive.directory)) as store:
        origins = Origins(found.files, found.graph, found.recipe(archive), store)
        rows = rows_above(found.files, found.graph, found.stage, found.row)
        chain, why = list(origins.chain(rows)), left_out(found)
    tags = [row["id"] for stage, row in rows if stage is found.graph.tree]
    item = Sought(found.stage, found.row["id"], tags[-1] if tags else found.row.get("tag"))
    held = list(holdings(archive.objects, archive.history(names.folder, names.name)[::-1], item))
    if options.json:
        shown = _document(found, dataset, chain, held, why) | {"from_version": found.from_version}
        print_document(shown)
    else:
        lines = _item_text(found, dataset, chain, held, why, whole=options.verbose, quiet=options.quiet)
        print_lines([*found.note(options, dataset), *lines])
    return 0


def _document(
    found: Found, dataset: Dataset, chain: list[ChainLink], held: list[Holding], why: Sequence[str]
) -> JsonObject:
    """The document of `log --json`: the item's line, the links of its chain, why it is left out, and all
    versions of the dataset."""
    kind, said = found.stage.singular, said_of_row(dataset, found)
    return {
        "stage": found.stage.name,
        "kind": kind,
        kind: found.row,
        "chain": [chain_row(link) for link in chain],
        "left_out": why,
        "review": said,
        "edited_from": before_edit(found.row, chain, said) or None,
        "versions": [version_row(holding, found.row) for holding in held],
    }


def chain_row(link: ChainLink) -> JsonObject:
    """One link of a chain."""
    match link:
        case Link():
            return link_row(link)
        case Decided():
            return decided_row(link)
    return {"stage": link.stage.name, "kind": link.stage.kind, "row": link.row, "given_in": link.file}


def link_row(link: Link) -> JsonObject:
    """One request with all that came of it. What is not known is null."""
    sent, manifest = link.sent or {}, link.entry.manifest if link.entry is not None else {}
    key, response = link.source or (None, None)
    return {
        "stage": link.stage.name,
        "kind": link.stage.kind,
        "item": link.item or None,
        "by_hand": link.shown or None,
        "above": list(link.above),
        "request": link.number,
        "requests": link.requests,
        "call": key,
        "response": response,
        "model": {name: manifest.get(name) for name in ("revision", "weights")} | {"name": sent.get("model")},
        "seed": manifest.get("seed"),
        "sample": manifest.get("sample"),
        "sent": sent or None,
        "attempts": [attempt_row(tried) for tried in link.tried],
        "lack": link.lack or None,
    }


def decided_row(link: Decided) -> JsonObject:
    """A row that no model was asked for."""
    return {
        "stage": link.stage.name,
        "kind": link.stage.kind,
        "row": link.row,
        "of": list(link.of),
        "settings": link.settings,
    }


def attempt_row(tried: Tried) -> JsonObject:
    """One response: when it came, what it took, what became of it."""
    attempt = tried.attempt
    return {
        "verdict": tried.verdict,
        "detail": tried.detail or None,
        "response": attempt.digest,
        "at": attempt.at,
        "seconds": attempt.seconds,
        "usage": tried.usage.row(),
        "usd": attempt.usd,
        "added": list(attempt.added),
        "raw": attempt.response,
    }


def version_row(holding: Holding, row: JsonObject) -> JsonObject:
    """One version. `held` and `same` (with the texts of now) are null where its files are damaged."""
    content, known = holding.content, not holding.damage
    return {
        "name": holding.name,
        "version": holding.version.version,
        "at": holding.version.at,
        "held": content is not None if known else None,
        "same": content == content_of(row) if known else None,
        "damage": holding.damage or None,
    }


def _item_text(
    found: Found,
    dataset: Dataset,
    chain: list[ChainLink],
    held: list[Holding],
    why: Sequence[str],
    *,
    whole: bool,
    quiet: bool,
) -> Iterator[str | Line]:
    """All lines; texts in full where they are wanted `whole`, and none of a `quiet` log."""
    row = found.row
    yield _fact(found.stage.singular, row["id"])
    yield _fact("path", " / ".join(row["path"]))
    yield from (_fact(name, row[name]) for name in ("number", "index", "sample") if name in row)
    yield from left_out_words(why)
    said = said_of_row(dataset, found)
    yield from (_fact("review", words) for words in review_words(said))
    yield from _versions(row, held, whole=whole)
    for link in chain:
        yield from ("", _heading(link))
        if not isinstance(link, Link):
            yield from ((INDENT, *line) for line in _unasked(link, whole=whole))
            continue
        yield from ((INDENT, *line) for line in _link(link))
        if not quiet:
            yield from ((INDENT, *line) if line else line for line in _texts(link, whole=whole))
    yield from _edited(row, [] if quiet else chain, said, whole=whole)
    if not whole and not quiet and any(isinstance(link, Link) and link.entry is not None for link in chain):
        yield from ("", "Long texts are cut: -v prints them whole, and the raw responses; --json prints all there is.")


def _versions(row: JsonObject, held: list[Holding], *, whole: bool) -> Iterator[Line]:
    """How many versions hold the item, and which."""
    those = [holding for holding in held if holding.content is not None]
    damaged = [holding for holding in held if holding.damage]
    yield _fact("versions", f"in {len(those)} of {len(held)}" if held else "none is kept of this dataset")
    shown = len(those) if whole else SHOWN_VERSIONS
    yield from (_fact("", _version(row, holding)) for holding in those[:shown])
    if len(those) > shown:
        yield _fact("", f"and {len(those) - shown} more")
    yield from (_fact("", f"{holding.name} cannot be read: {holding.damage}") for holding in damaged[:shown])


def _version(row: JsonObject, holding: Holding) -> str:
    other = "" if holding.content == content_of(row) else "  with another text"
    return f"{short(holding.version.version)}  {_time(holding.version.at)}  {holding.name}{other}"


def _edited(row: JsonObject, chain: list[ChainLink], said: JsonObject | None, *, whole: bool) -> Iterator[str | Line]:
    """What a person made of the text that came, and what that was."""
    if row.get(REVIEW) != EDIT:
        return
    yield from ("", f"Edited by hand{when_and_who(said or {})}")
    for name, text in before_edit(row, chain, said).items():
        yield from ((INDENT, *line) for line in _text(f"the model's {name}", _said(text), whole=whole))


def _heading(link: ChainLink) -> str:
    noun = link.stage.heading
    if isinstance(link, GivenByHand):
        return f"{noun} “{_line(list_text(link.row))}”" if link.stage.kind == "list" else noun
    if isinstance(link, Decided):
        return f"{noun} {link.row['id']}" if link.stage.kind == "group" else verdict_text(link.stage.name, link.row)
    if not link.item:
        return noun
    among = f": request {link.number} of {link.requests} for {link.stage.name} of {' / '.join(link.above)}"
    renamed = f", by hand “{_line(link.shown)}”" if link.shown else ""
    return f"{noun} “{_line(link.item)}”{renamed}" + among * (link.number is not None)


WITHOUT_A_WORD = ("builtin", "names")
"""Of a stage's settings those that say which one of ours it is, and what its others are called."""


def _unasked(link: Decided | GivenByHand, *, whole: bool) -> Iterator[Line]:
    if isinstance(link, Decided):
        yield from _decided(link, whole=whole)
    else:
        yield _fact("given", f"by hand in {link.file}")


def _decided(link: Decided, *, whole: bool) -> Iterator[Line]:
    """What a row was made of that no model was asked for, and by which settings."""
    shown = link.of if whole else link.of[:SHOWN_ROWS]
    more = f" and {len(link.of) - len(shown):,} more" if len(link.of) > len(shown) else ""
    yield _fact("of", ", ".join(shown) + more)
    if link.stage.kind == "group":
        yield from (_fact(name, _line(_said(value))) for name, value in content_of(link.row).items())
    own = {name: value for name, value in link.settings.items() if name not in WITHOUT_A_WORD}
    called = link.settings.get("names", {})
    settings = (
        f"{called.get(name, name)} {_said(value)}" for name, value in own.items() if value not in (None, [], {})
    )
    yield _fact("settings", ", ".join(settings) or "none")


def _said(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


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
