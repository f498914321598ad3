"""What is known of a sweep before its first job: where it lies, what all jobs share, and what they are judged by.

Where the sweeper tries every combination, all jobs are known. Where it searches, it makes one by what came of others.
"""

from dataclasses import dataclass
from pathlib import Path

from distill_build.config.checks import objective_names
from distill_build.config.naming import dataset_name
from distill_build.config.resolution import plain_data
from distill_build.engine.manifest import digest
from distill_build.errors import UsageError
from distill_build.settings import Objective
from distill_build.sweeps.composing import OURS, ComposedSweep, in_common, parsed, variants_of
from distill_build.sweeps.jobs import ID_DIGITS, NOT_CONTENT, SWEEPS, sweep_of

ENUMERATING = (OURS["sweeper"], "hydra._internal.core_plugins.basic_sweeper.BasicSweeper")
"""Sweepers that try every combination: what they will ask for is known beforehand."""


@dataclass(frozen=True, slots=True)
class Scope:
    """`fixed` are the words that all jobs have in common, `objectives` the numbers that the sweeper wants of each."""

    folder: Path
    fixed: frozenset[str]
    objectives: tuple[Objective, ...] = ()


def scope_of(sweep: ComposedSweep) -> Scope:
    """The scope of a sweep. Raises ConfigurationError for a mistake in any job that is known by now."""
    if enumerates(sweep):
        jobs = sweep.combinations()
        return Scope(sweep_of(variants_of(sweep.loader, sweep.master, jobs)).folder, in_common(jobs))
    data = plain_data(sweep.master, sweep.master.hydra.runtime.choices)
    return Scope(folder_for(sweep), fixed_words(sweep), objective_names(data["objective"]))


def enumerates(sweep: ComposedSweep) -> bool:
    """Whether the sweeper tries every combination of values that are given."""
    return sweep.master.hydra.sweeper.get("_target_") in ENUMERATING


def refuse_search(sweep: ComposedSweep) -> None:
    """Raises UsageError where a sweeper would choose values by what came of other jobs, and there is no build."""
    if not enumerates(sweep):
        sweeper = str(sweep.master.hydra.sweeper.get("_target_")).rpartition(".")[2]
        raise UsageError(
            f"{sweeper} chooses values by what came of others, so there is nothing to say before a build: list the "
            "values, and leave out hydra/sweeper"
        )


def fixed_words(sweep: ComposedSweep) -> frozenset[str]:
    """The words without several values, spelled as sweepers pass them on."""
    return frozenset(
        f"{override.get_key_element()}={override.get_value_element_as_str()}"
        for override in parsed(sweep.loader, sweep.words)
        if not override.is_sweep_override()
    )


def folder_for(sweep: ComposedSweep) -> Path:
    """The folder of a sweep whose jobs nobody knows yet: named by the words that say what is searched."""
    data, overrides = plain_data(sweep.master, sweep.master.hydra.runtime.choices), parsed(sweep.loader, sweep.words)
    params = {str(key): str(value) for key, value in (sweep.master.hydra.sweeper.get("params") or {}).items()}
    varied = {override.key_or_group for override in overrides if override.is_sweep_override()} | set(params)
    content = sorted(
        str(word.input_line) for word in overrides if word.key_or_group.partition(".")[0] not in NOT_CONTENT
    )
    place = Path(data["output_dir"])
    if data["topic"] is not None and not varied & {"topic", "name"}:
        place /= data["name"] or dataset_name(str(data["topic"]))
    return place / SWEEPS / digest([content, sorted(params.items()), data["objective"]])[:ID_DIGITS]
