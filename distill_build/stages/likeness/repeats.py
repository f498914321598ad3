"""What is said of a text that is much like one before it, and from which likeness on, exactly."""

from fractions import Fraction

import msgspec

ROUNDED = 3
"""Decimals of a likeness as rows show it."""


class Repeat(msgspec.Struct, frozen=True):
    """`of` is the place of the text that stays; `likeness` is from 0 to 1."""

    of: int
    likeness: float


def exactly(near: float) -> Fraction:
    """A threshold as it is typed: 0.7 is seven tenths, which no float is."""
    return Fraction(str(near))
