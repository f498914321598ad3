"""How a setting or prompt that differs is put into words: alike in `history`, `diff` and what --locked refuses."""

import json
from collections.abc import Iterable
from typing import Any

from distill_build.engine.manifest import ABSENT
from distill_build.history.causes import OF_YOUR_OWN, Cause
from distill_build.stages.identity import BY_HAND, ORDER

LONGEST_VALUE = 60
"""Characters of a value that are shown."""
LONGEST_TREE = 200
"""Characters of what a tree by hand says that are shown."""
SAYS_NOTHING = "says nothing any more"
"""Of a file of theirs: it is removed, or there is nothing in it, or all that it said is taken back."""
LONGEST_LIST = 1000
"""Characters of a list that are shown: where one differs is its end most often, as stages are added there."""


def cause_words(cause: Cause) -> str:
    """One that differs, in a few words: `teacher.temperature: 0.7 → 0.9`, `prompt en/answers.jinja edited`."""
    old, new = cause.old, cause.new
    if cause.by_people:
        return _words_of_people(cause)
    if cause.prompt:
        return f"prompt {cause.name} {'added' if old is ABSENT else 'removed' if new is ABSENT else 'edited'}"
    lists = any(isinstance(value, list | tuple) for value in (old, new))
    if _is_long(old) or _is_long(new):  # a lock has a digest of a long list too
        return f"{cause.name} is another {'list' if lists else 'text'}"
    before, after = (shown(value, LONGEST_LIST if lists else LONGEST_VALUE) for value in (old, new))
    if before == after:
        return f"{cause.name} is another text"
    return f"{cause.name}: {before} → {after}"


def _words_of_people(cause: Cause) -> str:
    """What differs in a file of theirs: `reviews.jsonl edited`, `tree.yaml: exclude: nothing → Miscellaneous`."""
    old, new = cause.old, cause.new
    place = cause.name.removeprefix(BY_HAND).removeprefix(".")
    if not cause.name.startswith(BY_HAND) or (ABSENT in (old, new) and not place):
        gone = "removed" if cause.name.endswith(OF_YOUR_OWN) else SAYS_NOTHING
        what = "added" if old is ABSENT else gone if new is ABSENT else "edited"
        told = f": {_cut(_told(new), LONGEST_TREE)}" if isinstance(new, dict) else ""
        return f"{cause.name} {what}{told}"
    before, after = (_cut(_told(value), LONGEST_TREE) for value in (old, new))
    return f"{BY_HAND}: {place.replace('.', ' ')}: {before} → {after}" if place else f"{BY_HAND}: {before} → {after}"


def _told(value: Any) -> str:
    """A part of a tree by hand as it would be said: `exclude Golf, Chess; rename Teams: Team games`."""
    if value is ABSENT or value is None:
        return "nothing"
    if isinstance(value, dict):
        told = {key: below for key, below in value.items() if key != ORDER}
        return "; ".join(f"{key} {_told_below(below)}".rstrip() for key, below in told.items())
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _told_below(value: Any) -> str:
    if not isinstance(value, dict):
        return _told(value)
    words = ((str(label), _told(below), isinstance(below, dict)) for label, below in value.items())
    return ", ".join(
        (f"{label} ({told})" if nested else f"{label} → {told}") if told else label for label, told, nested in words
    )


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def listed(items: Iterable[str], most: int) -> str:
    """The first `most` of several, and the number of all others."""
    words = list(items)
    return "; ".join(words[:most] + [f"and {len(words) - most:,} more"] * (len(words) > most))


def _is_long(value: Any) -> bool:
    """Whether a value is a text of several lines, or the digest that a lock has of a long one."""
    return isinstance(value, str) and ("\n" in value or value.startswith("sha256:"))


def shown(value: Any, most: int = LONGEST_VALUE) -> str:
    """A value as it is typed, cut to `most` characters."""
    if value is ABSENT or value is None:
        return "null"
    return _cut(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":")), most)
