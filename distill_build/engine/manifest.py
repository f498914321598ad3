"""The identity of a call: canonical JSON, its digest, and what differs between two of them.

Knows JSON values only: neither models nor stages. `digest` and `changes_between` look at the same value, and two values
have the same digest just where `changes_between` finds nothing (a test holds them together).
"""

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import msgspec

SCHEME = 1
"""Version of the rules that make a key. A change here re-asks everything, so it is stored with every entry."""


def canonical(value: Any) -> bytes:
    """One spelling for one JSON value: sorted keys, no spaces, UTF-8.

    There is no `default=`: what JSON cannot write raises TypeError, keys that are not text too (json would spell
    them as text, and two values would be one); NaN and infinities raise ValueError.
    """
    _refuse_other_keys(value)
    return _ENCODER.encode(value).encode()


_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _refuse_other_keys(value: Any) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            if type(key) is not str:
                raise TypeError(f"a key is text, not {key!r}")
            if type(item) in _CONTAINERS:
                _refuse_other_keys(item)
    elif isinstance(value, list | tuple):
        for item in value:
            if type(item) in _CONTAINERS:
                _refuse_other_keys(item)


_CONTAINERS = (dict, list, tuple)


def digest(value: Any) -> str:
    """SHA-256 of the canonical JSON, in hex."""
    return hashlib.sha256(canonical(value)).hexdigest()


class ValueChange(msgspec.Struct, frozen=True):
    """One place where two values differ; `path` is dotted, and a side that lacks the place is ABSENT."""

    path: str
    old: Any
    new: Any


class _Absent:
    def __repr__(self) -> str:
        return "(absent)"


ABSENT = _Absent()


def changes_between(old: Any, new: Any, path: str = "") -> Iterator[ValueChange]:
    """Every place where two JSON values differ, in the order of the keys."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            yield from changes_between(old.get(key, ABSENT), new.get(key, ABSENT), f"{path}.{key}" if path else key)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (left, right) in enumerate(zip(old, new, strict=True)):
            yield from changes_between(left, right, f"{path}[{index}]")
    elif old is ABSENT or new is ABSENT or canonical(old) != canonical(new):
        yield ValueChange(path, old, new)
