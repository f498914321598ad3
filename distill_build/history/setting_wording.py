"""How a setting or prompt that differs is put into words: alike in `history`, `diff` and what --locked refuses."""

import json
from collections.abc import Iterable
from typing import Any

from distill_build.engine.manifest import ABSENT
from distill_build.history.causes import Cause

LONGEST_VALUE = 60
"""Characters of a value that are shown."""
LONGEST_LIST = 1000
"""Characters of a list that are shown: where one differs is its end most often, as stages are added there."""


def cause_words(cause: Cause) -> str:
    """One that differs, in a few words: `teacher.temperature: 0.7 → 0.9`, `prompt en/answers.jinja edited`."""
    old, new = cause.old, cause.new
    if cause.prompt:
        return f"prompt {cause.name} {'added' if old is ABSENT else 'removed' if new is ABSENT else 'edited'}"
    lists = any(isinstance(value, list | tuple) for value in (old, new))
    if _is_long(old) or _is_long(new):  # a lock has a digest of a long list too
        return f"{cause.name} is another {'list' if lists else 'text'}"
    before, after = (shown(value, LONGEST_LIST if lists else LONGEST_VALUE) for value in (old, new))
    if before == after:
        return f"{cause.name} is another text"
    return f"{cause.name}: {before} → {after}"


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
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text if len(text) <= most else text[: most - 1] + "…"
