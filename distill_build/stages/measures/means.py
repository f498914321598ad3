"""Means of numbers in rows, as exact fractions, so that a threshold falls the same way on every machine. Pure."""

from fractions import Fraction

from distill_build.records import JsonObject

PLACES = 4
"""Decimals of a mean in a column."""


def mean_of(rows: JsonObject | list[JsonObject], column: str) -> Fraction | None:
    """The mean of a column of rows, or of the one row that there is: of truths the share that is true. None without any
    row."""
    found = [exact(row[column]) for row in (rows if isinstance(rows, list) else [rows])]
    return sum(found, Fraction(0)) / len(found) if found else None


def spread_of(rows: JsonObject | list[JsonObject], column: str) -> Fraction | None:
    """How far the least and the most in a column of rows lie apart. None without any row."""
    found = [exact(row[column]) for row in (rows if isinstance(rows, list) else [rows])]
    return max(found) - min(found) if found else None


def rounded(value: Fraction | None) -> float | None:
    """A mean as a column has it."""
    return None if value is None else round(float(value), PLACES)


def exact(number: float) -> Fraction:
    """A number as it was written: 0.1 is a tenth. True is 1."""
    return Fraction(number) if isinstance(number, int) else Fraction(str(number))
