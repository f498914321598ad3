"""What a sweeper is told of jobs, what it cannot be told, and which jobs are the best by that."""

from enum import Enum

import msgspec
import pytest

from distill_build.errors import ConfigurationError
from distill_build.models.base import Prices
from distill_build.settings import Objective
from distill_build.sweeps.objectives import Target, check_objectives, pareto_optimal, targets_of, values_of
from distill_build.sweeps.results import JobRow
from tests.console import examples

PRICED = examples.settings()
FREE = msgspec.structs.replace(
    PRICED, models=PRICED.models | {"teacher": msgspec.structs.replace(PRICED.models["teacher"], prices=Prices())}
)


def test_an_objective_that_a_job_could_not_have_is_refused_before_it_is_built() -> None:
    check_objectives(["usd", "tokens", "failures"], [PRICED], "tags")
    check_objectives(["calls", "unique"], [PRICED, FREE], "questions")
    with pytest.raises(ConfigurationError, match=r"^objective=usd needs prices: set teacher\."):
        check_objectives(["usd"], [PRICED, FREE], "dataset")
    with pytest.raises(ConfigurationError, match=r"^objective=unique needs questions"):
        check_objectives(["calls", "unique"], [PRICED], "tags")


REASONS: list[tuple[Objective, str]] = [
    ("repeats", "has no texts to compare"),
    ("usd", "rests on responses without a known price"),
]


def test_a_number_that_a_job_lacks_is_told_with_the_reason() -> None:
    row = JobRow(job="seed=1", choices={})
    for name, why in REASONS:
        with pytest.raises(ConfigurationError, match=f"^objective={name}: seed=1 {why}"):
            values_of(row, [name])


def row(calls: int, unique: float | None = None, error: str | None = None) -> JobRow:
    return JobRow(job="job", choices={}, calls=calls, unique=unique, error=error)


def test_the_best_are_those_that_nothing_beats_in_every_way() -> None:
    rows = [row(3, 0.9), row(2, 0.5), row(3, 0.5), row(2, 0.5), row(1), row(0, error="gone")]
    few, varied = Target("calls", "minimize"), Target("unique", "maximize")
    assert pareto_optimal(rows, [few]) == {4}
    assert pareto_optimal(rows, [varied]) == {0}
    assert pareto_optimal(rows, [few, varied]) == {0, 1, 3}, "who has no questions has no such number"
    assert pareto_optimal([*rows, JobRow(job="cut", choices={}, calls=0)], [few], {"cut"}) == {4}, (
        "a cap has cut it short"
    )
    assert pareto_optimal(rows, [Target("calls")]) == pareto_optimal(rows, []) == set()


def test_directions_are_read_as_sweepers_write_them() -> None:
    kind = Enum("kind", ["minimize", "maximize"])
    assert targets_of(["usd"], kind.maximize) == targets_of(["usd"], "maximize") == (Target("usd", "maximize"),)
    assert targets_of(["usd", "calls"], ["minimize", "maximize"]) == (
        Target("usd", "minimize"),
        Target("calls", "maximize"),
    )
    assert targets_of(["usd"], None) == (Target("usd"),)
