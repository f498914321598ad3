"""distill.lock: what a version of a dataset is, as a text file made for git.

TOML with one fact a line, in an order that never changes: the version, counts, a digest for each artefact and export,
and all settings that are identity, by stage; of prompts and long texts their digests. No times, paths or machines. The
last line is a digest of all others, so that a hand edit is noticed.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from io import TextIOWrapper
from pathlib import Path
from typing import Any

import msgspec

from distill_build.engine.artefacts import open_file
from distill_build.errors import DifferenceError
from distill_build.graph import Graph
from distill_build.records import JsonObject

LOCK = "distill.lock"
LOCK_SCHEME = 3
HEADING = "# What this version of the dataset is. Written by distill-build to be committed; not to be edited by hand.\n"
BEGINNING = 4096
"""Bytes of a file in which the heading is looked for."""
LONGEST_TEXT = 100
"""Characters; a longer text or list, or a text of several lines, is in the lock by its digest."""
CONFLICT = re.compile(r"^(<{7}|={7}|>{7}|\|{7})( |$)", re.MULTILINE)
BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
KeyPath = tuple[str, ...]
Facts = dict[KeyPath, Any]
"""Place in a tree of settings → a number, text, truth value, or a list; nothing where it is null."""


class Lock(msgspec.Struct, frozen=True):
    """What a lock says. `missing` counts items by stage; `artefacts` and `exports` map file names to SHA-256 in hex.

    `recipe` are the facts of all settings and prompts, by stage: see `facts_of`. `stages` describes the graph.
    """

    version: str
    name: str
    until: str
    counts: dict[str, int]
    missing: dict[str, int]
    artefacts: dict[str, str]
    exports: dict[str, str]
    recipe: Facts
    stages: dict[str, str]

    @property
    def graph(self) -> Graph:
        """The stages of the dataset."""
        return Graph.parse(self.stages)

    def encode(self) -> str:
        """The text of the file."""
        head: JsonObject = {
            "scheme": LOCK_SCHEME,
            "version": self.version,
            "name": self.name,
            "until": self.until,
            "stages": self.stages,
            "counts": self.counts,
            "missing": self.missing,
            "artefacts": self.artefacts,
            "exports": self.exports,
        }
        recipe = {("recipe", *place): self.recipe[place] for place in sorted(self.recipe)}
        lines = [*_lines(_flat(head)), *_lines(recipe)]
        body = HEADING + "".join(lines)
        return body + f'digest = "{_digest(body)}"\n'

    @property
    def complete(self) -> bool:
        return not self.missing


def read_lock(path: Path) -> Lock | None:
    """The lock at `path`, None where there is none. Raises DifferenceError as `parse_lock` does."""
    try:
        with open_file(path) as file:
            text = TextIOWrapper(file, encoding="utf-8").read()  # whatever git has made of line ends
        return parse_lock(text, str(path))
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise DifferenceError(f"{path} cannot be read ({reason}): {_RESTORE}") from error


def sound_lock(path: Path) -> Lock | None:
    """The lock at `path`, None where there is none that can be gone by."""
    with suppress(DifferenceError):
        return read_lock(path)
    return None


def is_lock(path: Path) -> bool:
    """Whether a file is one of ours, be it a damaged one: by its heading, which a merge conflict leaves in it."""
    if not path.is_file():  # a pipe or device would never end
        return False
    with path.open("rb") as file:
        return HEADING.rstrip().encode() in file.read(BEGINNING)


def parse_lock(text: str, whence: str) -> Lock:
    """The lock in `text`; `whence` names it in messages.

    Raises DifferenceError for a merge conflict, a scheme that is not known, and an edit by hand.
    """
    if CONFLICT.search(text):
        raise DifferenceError(
            f"{whence} holds a merge conflict: take either side (git checkout --ours or --theirs {whence}), then "
            "build: it writes the lock of what the settings now give"
        )
    import tomllib  # a build with nothing to do reads no lock

    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DifferenceError(f"{whence} is no lock ({error}): {_RESTORE}") from error
    scheme = table.get("scheme")
    if not isinstance(scheme, int):
        raise DifferenceError(f"{whence} is no lock of ours: {_RESTORE}")
    if scheme != LOCK_SCHEME:
        raise DifferenceError(
            f"{whence} has scheme {scheme}, and this program knows scheme {LOCK_SCHEME}: use the "
            "version of distill-build that wrote it, or build and commit a new lock"
        )
    body, _, last = text.rstrip("\n").rpartition("\n")
    if last != f'digest = "{_digest(body + chr(10))}"':
        raise DifferenceError(f"{whence} was edited by hand, merged or cut off: {_RESTORE}")
    if any(Path(name).name != name for name in (*table.get("artefacts", {}), *table.get("exports", {}))):
        raise DifferenceError(f"{whence} names files elsewhere, as no lock of ours does: {_RESTORE}")
    return Lock(
        version=table["version"],
        name=table["name"],
        until=table["until"],
        counts=table.get("counts", {}),
        missing=table.get("missing", {}),
        artefacts=table.get("artefacts", {}),
        exports=table.get("exports", {}),
        recipe=_flat(table.get("recipe", {})),
        stages=table.get("stages", {}),
    )


_RESTORE = "restore it from git, or remove it and build"


def facts_of(recipe: Mapping[str, Any]) -> Facts:
    """The facts of a recipe: flat, without nulls and empty groups, every prompt and long text as `sha256:…`."""
    return {place: _short(place, fact) for place, fact in _flat(recipe).items()}


def recipe_in(facts: Facts) -> JsonObject:
    """What `facts_of` was given, without nulls and empty groups; a long text or list is its digest alone."""
    recipe: JsonObject = {}
    for (*above, key), fact in facts.items():
        group = recipe
        for name in above:
            group = group.setdefault(name, {})
        group[key] = fact
    return recipe


def _flat(tree: Mapping[str, Any], above: KeyPath = ()) -> Facts:
    facts: Facts = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            facts |= _flat(value, (*above, key))
        elif value is not None:
            facts[*above, key] = value
    return facts


def _short(place: KeyPath, fact: Any) -> Any:
    if isinstance(fact, str) and ("prompt" in place or "\n" in fact or len(fact) > LONGEST_TEXT):
        return f"sha256:{_digest(fact)}"
    if isinstance(fact, list) and not _fits_a_line(fact):
        return f"sha256:{_digest(json.dumps(fact, sort_keys=True))}"
    return fact


def _fits_a_line(items: list[Any]) -> bool:
    """Whether a list is short and of what TOML can write in one: it knows no null."""
    return _is_plain(items) and len(json.dumps(items, ensure_ascii=False)) <= LONGEST_TEXT


def _is_plain(item: Any) -> bool:
    if isinstance(item, list):
        return all(map(_is_plain, item))
    return item is not None and not isinstance(item, dict)


def _lines(facts: Facts) -> Iterator[str]:
    for place, fact in facts.items():
        key = ".".join(part if BARE_KEY.fullmatch(part) else _text(part) for part in place)
        yield f"{key} = {_value(fact)}\n"


def _value(fact: Any) -> str:
    if isinstance(fact, str):
        return _text(fact)
    if isinstance(fact, list):
        return f"[{', '.join(_value(item) for item in fact)}]"
    return json.dumps(fact)  # numbers and truth values are spelled as in JSON


def _text(text: str) -> str:
    """A TOML string: JSON's escapes are TOML's too, but for DEL, which TOML wants escaped."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
