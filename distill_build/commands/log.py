"""`log ID`: says where an item came from, from the topic down: prompts, settings, models, responses and costs.

`show` prints what an item is; this prints how it came to be.
"""

import json
from collections.abc import Iterator
from contextlib import closing

from distill_build.commands.item import find_item
from distill_build.commands.locate import find_versions
from distill_build.commands.log_text import item_text, same_texts
from distill_build.commands.lookup import Found
from distill_build.console.page import print_lines
from distill_build.engine.reading import ReadOnlyStore
from distill_build.options import Options
from distill_build.records import JsonObject
from distill_build.stages.provenance import Link, Tried, chain_of
from distill_build.versions.archive import Archive, Version
from distill_build.versions.holding import Holding, Item, holdings


def run(options: Options) -> int:
    """Prints the history of the item whose id, or the beginning of it, is the first of the arguments.

    -v prints texts whole, -q none of them.
    """
    wanted, *name = options.arguments
    dataset, names = find_versions(options, *name)
    with find_item(options, dataset, wanted) as item, closing(ReadOnlyStore(names.archive.directory)) as store:
        chain = list(chain_of(item.files, item.found.row, store))
    versions = names.archive.history(names.folder, names.name)
    held = list(_holdings(names.archive, versions, item.found))
    if options.json:
        shown = document(item.found, chain, held) | {"from_version": item.from_version}
        print(json.dumps(shown, ensure_ascii=False, indent=2))
    else:
        lines = item_text(item.found, chain, held, whole=options.verbose, quiet=options.quiet)
        print_lines([*item.note(options, dataset), *lines])
    return 0


def _holdings(archive: Archive, versions: list[Version], found: Found) -> Iterator[Holding]:
    """The versions, newest first, with what they hold of an item."""
    tag = found.row["id"] if found.kind == "tag" else found.row["tag"]
    item = Item(f"{found.kind}s.jsonl", found.row["id"], tag)
    return holdings(archive.objects, versions[::-1], item)


def document(found: Found, chain: list[Link], held: list[Holding]) -> JsonObject:
    """The document of `log --json`: the item's line, the links of its chain, and all versions of the dataset."""
    return {
        "kind": found.kind,
        found.kind: found.row,
        "chain": [link_row(link) for link in chain],
        "versions": [version_row(holding, found.row) for holding in held],
    }


def link_row(link: Link) -> JsonObject:
    """One request with all that came of it. What is not known is null."""
    sent, manifest = link.sent or {}, link.entry.manifest if link.entry is not None else {}
    key, response = link.source or (None, None)
    return {
        "stage": link.stage,
        "item": link.item or None,
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
    texts, known = holding.texts, not holding.damage
    return {
        "name": holding.name,
        "version": holding.version.version,
        "at": holding.version.at,
        "held": texts is not None if known else None,
        "same": same_texts(texts, row) if known else None,
        "damage": holding.damage or None,
    }
