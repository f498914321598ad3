"""What the jobs of a sweep are called in a table: their values below the keys, cut where there is no room. Pure.

A name that is cut ends with the mark of the job's folder, where that has one: so it can be found.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from distill_build.console.wrapping import cells, shortened, visible

if TYPE_CHECKING:
    from distill_build.sweeps.jobs import Job

GAP = "  "
JOB, TOGETHER = "job", "together"
SHORTEST = 8
"""Cells that are left of a value, however little room there is."""
LONGEST_IN_SENTENCE = 60

Texts = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Names:
    """The first column of a table. `keys` is what stands above the table where `head` does not say it."""

    head: str
    cells: Texts
    keys: str = ""


def full_names(jobs: Sequence["Job"]) -> Names:
    """Every value as typed, below its key."""
    keys, values = _parts(jobs)
    widths = _widths([keys, *values])
    return Names(_row(keys, widths), tuple(_row(row, widths) for row in values))


def short_names(jobs: Sequence["Job"], room: int) -> Names:
    """Names of about `room` cells, each another one; keys that are longer than all values stand above the table."""
    keys, values = _parts(jobs)
    widths = _widths(values)
    most = each = max(widths)
    while each > SHORTEST and sum(min(width, each) + len(GAP) for width in widths) - len(GAP) > room:
        each -= 1
    names = _cut(jobs, values, each)
    while each < most and len(set(names)) < len(set(values)):
        each *= 2
        names = _cut(jobs, values, each)
    if len(keys) == 1 and cells(keys[0]) <= max(map(cells, [*names, TOGETHER])):
        return Names(keys[0], names)
    return Names(JOB, names, ", ".join(keys))


def called(job: "Job") -> str:
    """A job in a sentence."""
    return _cut([job], [(visible(job.words),)], LONGEST_IN_SENTENCE)[0]


def _parts(jobs: Sequence["Job"]) -> tuple[Texts, list[Texts]]:
    """Keys, and each job's values of them; where jobs choose other things, all that they choose as one value."""
    keys = {tuple(choice.key for choice in job.choices) for job in jobs}
    if len(keys) > 1 or keys == {()}:
        return (JOB,), [(visible(job.words),) for job in jobs]
    return keys.pop(), [tuple(visible(choice.value) for choice in job.choices) for job in jobs]


def _cut(jobs: Sequence["Job"], values: Sequence[Texts], room: int) -> Texts:
    """The names, no value of which takes more than `room` cells."""
    short = [tuple(shortened(value, room) for value in row) for row in values]
    widths = _widths(short)
    marks = ["" if row == whole else _mark(job) for job, row, whole in zip(jobs, short, values, strict=True)]
    return tuple(_row(row, widths) + mark for row, mark in zip(short, marks, strict=True))


def _mark(job: "Job") -> str:
    before, tilde, mark = job.name.rpartition("~")
    return f" {tilde}{mark}" if before else ""


def _widths(rows: Sequence[Texts]) -> list[int]:
    return [max(map(cells, column)) for column in zip(*rows, strict=True)]


def _row(texts: Sequence[str], widths: Sequence[int]) -> str:
    """Texts that stand below those of other rows."""
    return GAP.join(text + " " * (width - cells(text)) for text, width in zip(texts, widths, strict=True)).rstrip()
