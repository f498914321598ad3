"""A dataset's exports, written again from its rows, and the lock and the state that tell of them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from distill_build.dataset.layout import EXPORTS, FAILURES, STATE, Dataset, State, is_artefact, unmade_in
from distill_build.dataset.lockfile import LOCK, Lock, facts_of, read_lock, recipe_in, sound_lock
from distill_build.dataset.rows import read_objects
from distill_build.dataset.transaction import Transaction, begin_transaction
from distill_build.engine.artefacts import file_state, replacing
from distill_build.errors import UsageError
from distill_build.graph import END, Graph
from distill_build.records import Failure, JsonObject
from distill_build.settings import Settings, graph_of
from distill_build.stages.identity import build_digest, export_identity
from distill_build.stages.training_rows import deciding, exported_stage, training_rows, uncounted

EXPORT_FACTS = "export"
"""The part of a recipe, and of a lock, that tells of exports."""
BUILD_FIRST = "build the dataset first, with the same settings and `build` for `export`"


@dataclass(frozen=True, slots=True)
class Exported:
    """The files of exports, and the rows that make no training row."""

    files: tuple[Path, ...]
    refused: tuple[Failure, ...]


def export(dataset: Dataset, settings: Settings, note: Callable[[str], None]) -> Exported:
    """Brings the folder of exports in line with `settings`, and failures.jsonl with what is not exported.

    Waits for a build of the same dataset. Raises UsageError where there is nothing to export, StorageError where the
    disk cannot be written, with the old files as they were.
    """
    if not replacing(dataset.runs):
        _require_rows(dataset, settings)
    with begin_transaction(dataset, "export again", note) as transaction:
        return _export(transaction, settings, note)


def _export(transaction: Transaction, settings: Settings, note: Callable[[str], None]) -> Exported:
    dataset = transaction.dataset
    state = dataset.state()
    graph, recipe = _require_rows(dataset, settings)
    if state is not None and (edited := _edited(state, dataset)):
        files = ", ".join(str(dataset.artefact(name)) for name in edited)
        note(f"{files} is not what the last build wrote: it is exported as it stands, and the next build replaces it")
    refused: list[Failure] = []
    rows = training_rows(dataset.artefact, graph, recipe, refused.append)
    exports = transaction.write_exports(rows, settings.formats, settings.format, settings.system_prompt)
    new, old = dict(exports), [name for name in (state.outputs if state is not None else ()) if _is_export(name)]
    failures = _failures_after(dataset, refused)
    if failures:
        new[FAILURES] = transaction.write(FAILURES, b"".join(msgspec.json.encode(row) + b"\n" for row in failures))
    if state is not None:
        old += [name for name in (FAILURES,) if name in state.outputs]
        made = {name: path for name, path in new.items() if name == FAILURES}
        after = after_export(state, settings, exports | made, failures)
        if lock := _lock_after(dataset, state, after, note):
            new[LOCK] = transaction.write(LOCK, lock.encode().encode())
            after = replace(after, outputs=after.outputs | {LOCK: file_state(new[LOCK])})
        new[STATE] = transaction.write(STATE, after.encode())
    transaction.commit(new, old)
    return Exported(tuple(dataset.artefact(name) for name in exports), tuple(refused))


def _failures_after(dataset: Dataset, refused: Iterable[Failure]) -> list[JsonObject]:
    """The lines of failures.jsonl: what was not exported before gives way to what is not now."""
    before = read_objects(dataset.artefact(FAILURES), "stage", "missing")
    return [*(row for row in before if row["stage"] != END), *(each.row() for each in refused)]


def _recipe_of(settings: Settings) -> JsonObject:
    """What a recipe says of exports: by the settings of now, whatever the rows were built with."""
    return {EXPORT_FACTS: export_identity(settings)}


def _require_rows(dataset: Dataset, settings: Settings) -> tuple[Graph, JsonObject]:
    """The stages of the rows that are there, and how they were made and are to be exported.

    Raises UsageError where the stage that is exported has no file, and where it cannot be told of which of its rows a
    transform has not decided: those are never exported.
    """
    graph, built = _told_of(dataset, settings)
    recipe = built | _recipe_of(settings)
    stage = exported_stage(graph, recipe)
    if stage is None or not dataset.artefact(stage.file).exists():
        rows = f"{stage.singular}s" if stage is not None else "rows"
        raise UsageError(f"there are no {rows} to export in {dataset.folder}: {BUILD_FIRST}")
    absent = [each.file for each in deciding(graph, stage) if not dataset.artefact(each.file).exists()]
    if absent:
        raise UsageError(
            f"which rows of {stage.file} are to be exported is not decided, since {' and '.join(absent)} of "
            f"{dataset.folder} is not there: {BUILD_FIRST}"
        )
    if uncounted(graph, stage, recipe):
        raise UsageError(
            f"whether all of {', '.join(uncounted(graph, stage, recipe))} are there, which decide on the rows of "
            f"{stage.file}, nothing tells in {dataset.folder}, neither {STATE} nor {LOCK}: {BUILD_FIRST}"
        )
    return graph, recipe


def _told_of(dataset: Dataset, settings: Settings) -> tuple[Graph, JsonObject]:
    """The stages of a dataset and what they were built with, by the state, else by the lock; without either the stages
    are those of the settings.

    Raises UsageError where there are rows of other stages then.
    """
    if (state := dataset.state()) is not None:
        return state.graph, state.recipe
    if (lock := sound_lock(dataset.artefact(LOCK))) is not None:
        return lock.graph, recipe_in(lock.recipe)
    graph = graph_of(settings)
    others = sorted(path.name for path in dataset.folder.glob("*.jsonl") if is_artefact(path.name))
    if strange := [name for name in others if name not in graph.files]:
        raise UsageError(
            f"{' and '.join(strange)} in {dataset.folder} is of no stage of these settings, and neither {STATE} nor "
            f"{LOCK} is there to tell what it decides: {BUILD_FIRST}"
        )
    return graph, {}


def _edited(state: State, dataset: Dataset) -> list[str]:
    """The artefacts that are not what the last build wrote: those that are gone are exported by nobody."""
    there = [name for name in state.graph.files if dataset.artefact(name).exists()]
    return [name for name in there if not _as_built(state, dataset, name)]


def after_export(
    state: State, settings: Settings, written: Mapping[str, Path], failures: Sequence[JsonObject]
) -> State:
    """The state of a dataset as the last build left it, but for its exports and failures.jsonl, which are `written`.

    It is what a build with that build's settings and the export settings of now would leave. Where the state does
    not say what that build was (another version of this program wrote it), no build will find itself in it.
    """
    outputs = {name: facts for name, facts in state.outputs.items() if not _is_export(name) and name != FAILURES}
    outputs |= {name: file_state(path) for name, path in written.items()}
    made = state.outputs.keys() >= set(state.graph.files)
    known = made and state.build == build_digest(state.recipe, state.until, state.generation)
    recipe = state.recipe | _recipe_of(settings)
    build = build_digest(recipe, END, state.generation) if known else ""
    unmade, complete = unmade_in(state.graph, failures), not failures
    return replace(state, build=build, until=END, outputs=outputs, recipe=recipe, unmade=unmade, complete=complete)


def _lock_after(dataset: Dataset, before: State, after: State, note: Callable[[str], None]) -> Lock | None:
    """The lock with the exports of now; None where what is there is not what the last build wrote: it is left alone."""
    if LOCK not in before.outputs:  # an older version of this program built it
        return None
    lock = read_lock(dataset.artefact(LOCK)) if _as_built(before, dataset, LOCK) else None
    if lock is None:
        note(f"{dataset.artefact(LOCK)} is not what the last build wrote, and is left alone: a build writes it anew")
        return None
    if _edited(before, dataset):
        note(f"{dataset.artefact(LOCK)} still names the exports of the rows that were built")
        return None
    exports = {
        name.removeprefix(f"{EXPORTS}/"): facts.sha256
        for name, facts in sorted(after.outputs.items())
        if _is_export(name)
    }
    others = {place: fact for place, fact in lock.recipe.items() if place[0] != EXPORT_FACTS}
    own = facts_of({EXPORT_FACTS: after.recipe[EXPORT_FACTS]})
    asked = {name: number for name, number in lock.missing.items() if name not in before.unmade}
    return replace(lock, until=after.until, missing=asked | after.unmade, exports=exports, recipe=others | own)


def _is_export(name: str) -> bool:
    return name.startswith(f"{EXPORTS}/")


def _as_built(state: State, dataset: Dataset, name: str) -> bool:
    return name in state.outputs and state.outputs[name].same_content(dataset.artefact(name))
