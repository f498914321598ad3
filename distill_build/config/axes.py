"""Declared variety, as it stands in a configuration: axes, the values of each, and their shares. Pure.

Typed ones come as text where Hydra's grammar has no such names (see `free_text`): they are read as YAML.
"""

import math
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from distill_build.config.checks import not_text
from distill_build.errors import ConfigurationError
from distill_build.records import BOOKKEEPING, LABEL, as_typed
from distill_build.replies.labels import normalise

TAKEN = BOOKKEEPING | {LABEL, "answer", "reasoning", "system"}
"""Columns of questions, of exported rows and of their metadata."""
TOLERANCE = 1e-3
"""What shares may miss of 1: thirds are written with three digits."""
LONGEST = 100
EXAMPLE = "as in axes.difficulty: {easy: 0.3, medium: 0.5, hard: 0.2}"


def read_axes(key: str, said: Any) -> Mapping[str, Mapping[str, float]]:
    """The axes that stand under `key`. Raises ConfigurationError where they are none that questions can have."""
    axes = _from_text(said)
    if isinstance(axes, Mapping):
        axes = {axis: _from_text(shares) for axis, shares in axes.items()}
    _check_axes(key, axes)
    found: Mapping[str, Mapping[str, float]] = axes
    return found


def _from_text(said: Any) -> Any:
    """What stands in braces as text; anything else, and what is no YAML, as it is."""
    if not (isinstance(said, str) and said.lstrip().startswith("{")):
        return said
    import yaml

    from distill_build.config.files import loader

    with suppress(yaml.YAMLError):
        return yaml.load(said, Loader=loader())  # noqa: S506 - a SafeLoader
    return said


def _check_axes(key: str, axes: Any) -> None:
    if not isinstance(axes, Mapping):
        raise ConfigurationError(f"{key}={as_typed(axes)}: expected axes with their values and shares, {EXAMPLE}")
    seen: dict[str, str] = {}
    for axis, shares in axes.items():
        own = f"{key}.{axis}"
        if (other := seen.setdefault(str(axis).lower(), axis)) != axis:
            raise ConfigurationError(f"{key}: {other} and {axis} are read as one axis: name it once")
        if not isinstance(axis, str) or not axis.isidentifier() or axis.startswith("_"):
            raise ConfigurationError(
                f"{own}: an axis is a column of questions: its name has letters, digits and _, and begins with a letter"
            )
        if axis.lower() in TAKEN:
            raise ConfigurationError(f"{own}: rows have a column {axis.lower()} of ours: give the axis another name")
        if not isinstance(shares, Mapping) or not shares:
            raise ConfigurationError(f"{own}={as_typed(shares)}: expected its values with their shares, {EXAMPLE}")
        _check_values(own, shares)
        _check_shares(own, shares)


def _check_values(key: str, shares: Mapping[Any, Any]) -> None:
    seen: dict[str, str] = {}
    for value in shares:
        if not isinstance(value, str):
            raise not_text(f"{key} has a value", value)
        if not value.strip() or len(value) > LONGEST or "\n" in value:
            raise ConfigurationError(f"{key}: {value[:LONGEST]!r} is no value: expected a word or two of one line")
        if (other := seen.setdefault(normalise(value), value)) != value:
            raise ConfigurationError(f"{key}: {other} and {value} are read as one value: name it once")


def _check_shares(key: str, shares: Mapping[str, Any]) -> None:
    for value, share in shares.items():
        number = isinstance(share, int | float) and not isinstance(share, bool) and math.isfinite(share)
        if not number or not 0 <= share <= 1:
            raise ConfigurationError(f"{key}.{value}={as_typed(share)}: expected a share, a number from 0 to 1")
    if abs((whole := math.fsum(shares.values())) - 1) > TOLERANCE:
        told = ", ".join(f"{value}: {share:g}" for value, share in shares.items())
        raise ConfigurationError(f"{key}={{{told}}}: the shares add up to {whole:g}, and have to add up to 1")
