"""Which jobs are the best, by what a sweeper looks at."""

from enum import Enum

from distill_build.sweeps.goals import Goal, best_of, goals_of
from distill_build.sweeps.results import Row


def row(calls: int, unique: float | None = None, error: str | None = None) -> Row:
    return Row(job="job", choices={}, calls=calls, unique=unique, error=error)


def test_the_best_are_those_that_nothing_beats_in_every_way() -> None:
    rows = [row(3, 0.9), row(2, 0.5), row(3, 0.5), row(2, 0.5), row(1), row(0, error="gone")]
    few, varied = Goal("calls", "minimize"), Goal("unique", "maximize")
    assert best_of(rows, [few]) == {4}
    assert best_of(rows, [varied]) == {0}
    assert best_of(rows, [few, varied]) == {0, 1, 3}, "who has no questions has no such number"
    assert best_of([*rows, Row(job="cut", choices={}, calls=0)], [few], {"cut"}) == {4}, "a cap has cut it short"
    assert best_of(rows, [Goal("calls")]) == best_of(rows, []) == set()


def test_directions_are_read_as_sweepers_write_them() -> None:
    kind = Enum("kind", ["minimize", "maximize"])
    assert goals_of(["usd"], kind.maximize) == goals_of(["usd"], "maximize") == (Goal("usd", "maximize"),)
    assert goals_of(["usd", "calls"], ["minimize", "maximize"]) == (Goal("usd", "minimize"), Goal("calls", "maximize"))
    assert goals_of(["usd"], None) == (Goal("usd"),)
