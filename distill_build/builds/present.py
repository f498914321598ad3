"""The version that a build finds in its folder: as the last build noted it, else as the lock of a clone names it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Self

import msgspec

from distill_build.dataset.layout import CheckCount, Dataset, State
from distill_build.dataset.lockfile import LOCK, Facts, Lock, facts_of, sound_lock
from distill_build.engine.artefacts import file_sha256
from distill_build.graph import Graph


class PresentVersion(msgspec.Struct, frozen=True):
    """`counts` are its rows by stage, `facts` its recipe, `other` the stages whose files are not as it has them.

    `stands` says that nothing is missing, so that a build that is stopped drops and replaces none of its rows; `checks`
    is what its rows show, as far as that is noted.
    """

    version: str
    until: str
    counts: Mapping[str, int]
    facts: Facts
    graph: Graph
    other: frozenset[str]
    stands: bool
    files: tuple[Path, ...]
    checks: tuple[CheckCount, ...] = ()

    @classmethod
    def of(cls, dataset: Dataset, state: State | None) -> Self | None:
        """That of `dataset`, whose last build left `state`; None where there are no rows."""
        if state is not None:
            return cls._of_state(dataset, state)
        lock = sound_lock(dataset.artefact(LOCK))
        return None if lock is None else cls._of_lock(dataset, lock)

    @classmethod
    def _of_state(cls, dataset: Dataset, state: State) -> Self:
        files = {shape.name: shape.file for shape in state.graph if shape.file in state.outputs}
        other = {name for name, file in files.items() if not state.outputs[file].holds(dataset.artefact(file))}
        return cls(
            state.version,
            state.until,
            state.counts,
            facts_of(state.recipe),
            state.graph,
            frozenset(other),
            state.stands,
            state.files(dataset),
            state.checks,
        )

    @classmethod
    def _of_lock(cls, dataset: Dataset, lock: Lock) -> Self | None:
        places = {shape.name: dataset.artefact(shape.file) for shape in lock.graph}
        there = {name: place for name, place in places.items() if place.is_file()}
        if not there:
            return None
        same = {name for name, place in there.items() if file_sha256(place) == lock.artefacts.get(place.name)}
        other, files = frozenset(places.keys() - same), tuple(there.values())
        return cls(lock.version, lock.until, lock.counts, lock.recipe, lock.graph, other, not lock.missing, files)
