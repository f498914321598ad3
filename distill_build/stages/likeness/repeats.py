"""What is said of a text that is much like one before it, and from which likeness on, exactly."""

from collections.abc import Mapping
from fractions import Fraction
from typing import Annotated, Literal

import msgspec

Near = Literal["auto"] | Annotated[float, msgspec.Meta(gt=0, le=1)] | None
"""The likeness from which two texts count as the same; None: only equal ones do."""
Likeness = Literal["words", "meaning"]
AUTO: Mapping[Likeness, float] = {"words": 0.7, "meaning": 0.8}
"""What `auto` stands for."""
SAME_AS = "same_as"
"""The column of a verdict with the id of the row that a dropped one repeats; null where a row is kept."""
ROUNDED = 3
"""Decimals of a likeness as rows show it."""


class Repeat(msgspec.Struct, frozen=True):
    """`of` is the place of the text that stays; `likeness` is from 0 to 1."""

    of: int
    likeness: float


def least_likeness(near: Literal["auto"] | float, by: Likeness) -> float:
    """The threshold that a setting means."""
    return AUTO[by] if near == "auto" else near


def exactly(near: float) -> Fraction:
    """A threshold as it is typed: 0.7 is seven tenths, which no float is."""
    return Fraction(str(near))
