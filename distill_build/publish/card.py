"""The card of a published dataset, README.md: what it is, how it was made, and how its files load. Pure.

Of two authors: a person's own text (card.md) stands on top, with what its front matter says, and all below a mark is
ours. A digest in the mark tells whether somebody has changed that since.

Reference: https://huggingface.co/docs/hub/datasets-cards
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from distill_build.export.card import configs_of, loaded_of
from distill_build.export.formats import file_name
from distill_build.publish.own_words import OwnWords
from distill_build.records import rows_of, short
from distill_build.report.data import SpentOnStage

MARKED = "<!-- written by distill-build, sha256 "
MARK = re.compile(rf"\n{MARKED}(?P<digest>[0-9a-f]{{64}}) -->\n\Z")
FILES, MADE = "## Files", "## How it was made"
OF_DATASET = re.compile(r"^Version `(?P<version>[^`]*)` of `(?P<name>[^`]*)`, made by distill-build", re.MULTILINE)
SIZES = (("n<1K", 1_000), ("1K<n<10K", 10_000), ("10K<n<100K", 100_000), ("100K<n<1M", 1_000_000))
LARGEST = "1M<n<10M"


class CardFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a card says. `filled`: the sides of each format that have rows; `others`: files of none of them. `rows`:
    training rows by side. `counts` and `missing`: by stage. `settings` are those of each stage,
    short; `prompts` are names of templates with their digests."""

    name: str
    topic: str
    version: str
    language: str | None
    filled: Mapping[str, Sequence[str]]
    others: Sequence[str]
    rows: Mapping[str, int]
    counts: Mapping[str, int]
    missing: Mapping[str, int]
    asked: Sequence[SpentOnStage]
    prompts: Mapping[str, str]
    settings: Mapping[str, Sequence[tuple[str, object]]]


def published_card(facts: CardFacts, own: OwnWords) -> str:
    """The text of the card; `own` is what a person says of the dataset."""
    ours = [line for key, lines in _front_matter(facts).items() if key not in own.keys for line in lines]
    body = own.text.strip() or f"# {facts.topic}"
    card = "\n".join(["---", *own.front.split("\n")[:-1], *ours, "---", "", body, "", *_made(facts)]).rstrip() + "\n"
    return f"{card}\n{MARKED}{hashlib.sha256(card.encode()).hexdigest()} -->\n"


def is_as_written(card: str) -> bool:
    """Whether a card is one of ours that nobody has changed."""
    mark = MARK.search(card)
    return mark is not None and hashlib.sha256(card[: mark.start()].encode()).hexdigest() == mark["digest"]


def published_name(card: str) -> str | None:
    """The dataset that a card of ours is about."""
    said = _of_dataset(card)
    return said["name"] if said is not None else None


def is_of_version(card: str, version: str) -> bool:
    """Whether a card of ours is about a version."""
    said = _of_dataset(card)
    return said is not None and said["version"] == short(version)


def _of_dataset(card: str) -> re.Match[str] | None:
    return OF_DATASET.search(card.rpartition(f"\n{MADE}\n")[2])


def files_of(card: str) -> set[str]:
    """The files that a card of ours tells, beside itself and the lock."""
    ours = card.rpartition(f"\n{MADE}\n")[0].rpartition(f"\n{FILES}\n")[2]
    return set(re.findall(r"`([^`]+)`", ours))


def _front_matter(facts: CardFacts) -> dict[str, list[str]]:
    total = sum(facts.rows.values())
    size = next((name for name, most in SIZES if total < most), LARGEST)
    lines = {
        "pretty_name": [f"pretty_name: {json.dumps(facts.topic, ensure_ascii=False)}"],
        "language": [] if facts.language is None else ["language:", f"- {facts.language}"],
        "size_categories": ["size_categories:", f"- {size}"] if facts.rows else [],
        "tags": ["tags:", "- synthetic", "- distillation", "- distill-build"],
    }
    loaded = loaded_of(facts.filled)
    if loaded:
        lines["configs"] = list(configs_of({name: facts.filled[name] for name in loaded}))
    return lines


def _made(facts: CardFacts) -> Iterator[str]:
    """The part below a person's own words."""
    yield from (FILES, "")
    yield from _table(("format", "files"), _files(facts))
    if facts.rows:
        yield from _table(("split", "rows"), ((side, f"{count:,}") for side, count in facts.rows.items()))
    yield from (MADE, "")
    counts = ", ".join(rows_of(count, stage) for stage, count in facts.counts.items())
    yield f"Version `{short(facts.version)}` of `{facts.name}`, made by distill-build: {counts}."
    if facts.missing:
        lacking = ", ".join(rows_of(count, stage) for stage, count in facts.missing.items())
        yield f"It lacks {lacking}, which could not be made."
    yield "`distill.lock` names every file, setting and prompt of it by digest."
    yield ""
    yield from _table(("stage", "model", "requests", "prompt tokens", "completion tokens", "cost"), _costs(facts.asked))
    yield from _table(("prompt", "digest"), ((f"`{name}`", f"`{digest}`") for name, digest in facts.prompts.items()))
    yield from ("<details><summary>Settings</summary>", "")
    rows = ((stage, f"`{key}`", _cell(value)) for stage, own in facts.settings.items() for key, value in own)
    yield from _table(("stage", "setting", "value"), rows)
    yield "</details>"


def _files(facts: CardFacts) -> Iterator[Sequence[str]]:
    for name, sides in facts.filled.items():
        yield name, ", ".join(f"`{file_name(name, side)}`" for side in sides)
    if facts.others:
        yield "", ", ".join(f"`{name}`" for name in facts.others)


def _costs(asked: Sequence[SpentOnStage]) -> Iterator[Sequence[str]]:
    for each in asked:
        cost = "" if each.usd is None else f"${each.usd:,.2f}"
        tokens = (f"{each.prompt_tokens:,}", f"{each.completion_tokens:,}")
        yield each.stage, each.model, f"{each.calls:,}", *tokens, cost


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """A table in Markdown; nothing where it has no row."""
    lines = [_line(row) for row in rows]
    if lines:
        yield from (_line(head), _line(["---"] * len(head)), *lines, "")


def _line(cells: Sequence[str]) -> str:
    escaped = (cell.replace("|", r"\|") for cell in cells)
    return f"| {' | '.join(escaped)} |"


def _cell(value: object) -> str:
    """A value as code in a cell: what people have typed is neither HTML nor Markdown there."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return "`" + text.replace("`", "'").replace("\n", " ") + "`"
