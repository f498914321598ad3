"""What a sweeper is told of jobs, and what it cannot be told."""

import msgspec
import pytest

from distill_build.errors import ConfigurationError
from distill_build.models.base import Prices
from distill_build.settings import Objective
from distill_build.sweeps.objectives import check_objectives, values_of
from distill_build.sweeps.results import Row
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
    ("repeats", "has no questions"),
    ("usd", "rests on responses without a known price"),
]


def test_a_number_that_a_job_lacks_is_told_with_the_reason() -> None:
    row = Row(job="seed=1", choices={})
    for name, why in REASONS:
        with pytest.raises(ConfigurationError, match=f"^objective={name}: seed=1 {why}"):
            values_of(row, [name])
