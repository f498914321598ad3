"""Requests that several jobs need: how many there are, and what part of them each job carries. Pure.

A request that n jobs need counts one nth for each of them, so that the shares add up to the union.
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from functools import cache
from typing import TypeVar

JobSet = frozenset[int]
"""Numbers of jobs."""
Need = TypeVar("Need", bound=Hashable)
Box = tuple[int, ...]
"""What one job may need of a kind: in each direction so many, counted from the same corner for all jobs."""


def unit_cells(boxes: Sequence[tuple[int, Box]]) -> "Counter[JobSet]":
    """Unit cells by the set of jobs whose boxes hold them. All boxes have as many directions and one corner.

    Growth makes boxes of what lies behind a request that is not answered yet: a job with breadth 10 needs all that one
    with breadth 5 does, and so on level by level. Slab by slab along the first direction, then along the next.
    """
    of = dict(boxes)
    depth = len(next(iter(of.values()), ()))

    @cache
    def below(direction: int, jobs: JobSet) -> "Counter[JobSet]":
        if direction == depth:
            return Counter({jobs: 1})
        total: Counter[JobSet] = Counter()
        before = 0
        for edge in sorted({of[job][direction] for job in jobs}):
            inside = frozenset(job for job in jobs if of[job][direction] >= edge)
            for those, number in below(direction + 1, inside).items():
                total[those] += number * (edge - before)
            before = edge
        return total

    return below(0, frozenset(of)) if of else Counter()


def by_jobs(needs: Iterable[tuple[int, Iterable[Need]]]) -> dict[Need, JobSet]:
    """What jobs need, a request or a response → the jobs that need it."""
    users: dict[Need, list[int]] = {}
    for job, keys in needs:
        for key in keys:
            users.setdefault(key, []).append(job)
    known: dict[tuple[int, ...], JobSet] = {}
    return {key: known.setdefault(tuple(jobs), frozenset(jobs)) for key, jobs in users.items()}


def total(amounts: Iterable[float | None]) -> float | None:
    """The sum; None where one of them is not known."""
    known: list[float] = []
    for amount in amounts:
        if amount is None:
            return None
        known.append(amount)
    return sum(known)
