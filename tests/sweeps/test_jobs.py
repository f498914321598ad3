"""Which jobs a sweep has, what their folders are called, and what its id depends on."""

from typing import Any

import msgspec
import pytest

from distill_build.errors import ConfigurationError
from distill_build.models.base import Limits
from distill_build.settings import Budget
from distill_build.sweeps.jobs import LONGEST_BYTES, Choice, Sweep, Variant, folder_name, same_sentence, sweep_of
from tests.small_dataset import settings


def variant(key: str, value: Any, **more: Any) -> Variant:
    return Variant((Choice(key, str(value)),), settings(**{key: value, **more}))


def sweep(*values: int, **more: Any) -> Sweep:
    return sweep_of([variant("breadth", value, **more) for value in values])


def test_the_id_says_which_datasets_come_out_and_nothing_of_how_hard_they_are_made() -> None:
    same = sweep(2, 3).id
    assert sweep(2, 3, limits=Limits(concurrency=1), budget=Budget(calls=3), formats=["csv"]).id == same
    assert sweep(3, 2).id == same
    assert len({same, sweep(2, 4).id, sweep(2, 3, 4).id, sweep(2, 3, seed=1).id, sweep(2, 3, topic="chess").id}) == 5


def test_jobs_with_the_same_settings_are_one() -> None:
    (job,) = sweep_of([Variant((Choice("breadth", each),), settings(breadth=2)) for each in ("2", "+2")]).jobs
    assert (job.words, job.same) == ("breadth=2", ((Choice("breadth", "+2"),),))
    assert same_sentence(job) == "breadth=2 and breadth=+2 come to the same configuration: built once"


def test_jobs_that_are_typed_the_same_are_not_told_as_two_things() -> None:
    (job,) = sweep_of([variant("breadth", 2)] * 3).jobs
    assert same_sentence(job) == "breadth=2 is asked for 3 times: built once"
    (job,) = sweep_of([Variant((), settings())] * 2).jobs
    assert same_sentence(job) == "the same job is asked for 2 times: built once"


def test_a_sweep_over_datasets_lies_beside_them() -> None:
    assert str(sweep(2).folder.parent) == "outputs/sports/sweeps"
    both = sweep_of([variant("name", "a"), variant("name", "b")])
    assert [str(job.folder) for job in both.jobs] == [f"outputs/sweeps/{both.id}/name={each}" for each in "ab"]


def test_versions_of_jobs_are_kept_under_a_name_of_their_own() -> None:
    assert sweep(2, 3).jobs[1].kept_as == f"sports/sweeps/{sweep(2, 3).id}/breadth=3"


@pytest.mark.parametrize("key", ["output_dir", "budget", "limits"])
def test_what_a_sweep_has_once_cannot_be_swept(key: str) -> None:
    values: dict[str, tuple[Any, Any]] = {
        "output_dir": ("a", "b"),
        "budget": (Budget(), Budget(calls=1)),
        "limits": (Limits(reasks=0), Limits(reasks=2)),
    }
    with pytest.raises(ConfigurationError, match=f"the jobs of a sweep share {key}"):
        sweep_of([variant(key, value) for value in values[key]])


def test_a_models_own_limits_are_one_too_and_each_model_has_its_own() -> None:
    teacher = settings().models["teacher"]
    patient = msgspec.structs.replace(teacher, limits=Limits(reasks=5))
    with pytest.raises(ConfigurationError, match=r"the jobs of a sweep share teacher\.limits"):
        sweep_of([variant("teacher", teacher), variant("teacher", patient)])
    other = msgspec.structs.replace(patient, name="other")
    assert len(sweep_of([variant("teacher", teacher), variant("teacher", other)]).jobs) == 2


def test_values_that_read_the_same_get_no_folder_together() -> None:
    with pytest.raises(ConfigurationError, match="a=1 stands for two values that read the same"):
        sweep_of([Variant((Choice("a", "1"),), settings(seed=seed)) for seed in (1, 2)])


def names(*texts: str) -> list[str]:
    return [folder_name([Choice("k", text)]) for text in texts]


def test_folders_are_named_by_the_choices_safely_and_apart() -> None:
    assert names("5", "[10,5]", "网球", "0.5") == ["k=5", "k=[10,5]", "k=网球", "k=0.5"]
    assert folder_name([]) == "job"
    unsafe = names("a/../b", "a b", "a?b", "a\nb", "Ab", "aB", "x" * 500, "x" * 501)
    assert len({name.casefold() for name in unsafe}) == len(unsafe)
    for name in unsafe:
        assert len(name.encode()) <= LONGEST_BYTES
        assert not set(name) & set("/\\\n ?")
