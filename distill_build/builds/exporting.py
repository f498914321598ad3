"""A dataset's exports, written again from its rows, and what tells of them: failures.jsonl, the lock and the state.

Formats are added to those that lie there, and all are written alike: which there are to be is for a build to say, as is
which stage they are made of. A clone has no state. All but that comes out the same there: what was written last is told
by the lock.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import get_args

import msgspec
from msgspec.structs import replace

from distill_build.builds.kept_responses import KeepingFolder, StoreAndKept
from distill_build.dataset.failures import failures_after_export, missing_after_export, unmade_in
from distill_build.dataset.layout import EXPORTS, FAILURES, STATE, CheckCount, Dataset, State, is_artefact
from distill_build.dataset.lockfile import LOCK, Lock, facts_of, read_lock, sound_lock
from distill_build.dataset.rows import read_objects
from distill_build.dataset.transaction import Transaction, begin_transaction, keep_edited
from distill_build.engine.artefacts import UNKNOWN, FileState, file_state, replacing
from distill_build.engine.reading import ReadOnlyStore, Responses, holds_database
from distill_build.errors import StudentError, UsageError
from distill_build.export import FORMATS, KD, TRAIN, check_formats, file_name
from distill_build.graph import END, Graph
from distill_build.history.exported_rows import write_rows
from distill_build.history.restoring import by_digest, told_exports
from distill_build.records import Failure, JsonObject
from distill_build.settings import Settings, StageSettings, TrainerName, graph_of
from distill_build.stages.identity import OF_FORMS, build_digest, tree_identity
from distill_build.stages.training.checks import with_checks_of_exports
from distill_build.stages.training.export_settings import OF_KD, lost_in_training, reaches_student, without_usual
from distill_build.stages.training.files import check_training_files
from distill_build.stages.training.identity import export_identity, kd_identity
from distill_build.stages.training.rows import artefacts_read, exported_stage, uncounted

EXPORT_FACTS = "export"
"""The part of a recipe, and of a lock, that tells of exports."""
ROW_FACTS = "rows"
"""The part of that which tells of what stage they are made, and of which of its columns."""
TRAINERS = "trainers"
"""The part of that which names the trainers whose files lie beside."""
OF_VERDICTS = ("side", "sides", "metadata")
"""Of these facts those that follow from what was built, whatever is typed now."""
TRAINER_NAMES = get_args(TrainerName)
BUILD_FIRST = "build the dataset first, with the same settings and `build` for `export`"


class Exported(msgspec.Struct, frozen=True):
    """The files of exports, the rows that make no training row, and what the others show."""

    files: tuple[Path, ...]
    refused: tuple[Failure, ...]
    checks: tuple[CheckCount, ...]


def export(
    dataset: Dataset, settings: Settings, note: Callable[[str], None], typed: Collection[str], *, named: bool
) -> Exported:
    """Writes the formats of `settings` and those that lie there, and brings failures.jsonl in line with them.

    `typed` are the export settings that were typed, by their names in a recipe; of a dataset that was `named` they
    alone count, and all others are those of its folder. Which stage is exported is the folder's own in either case.
    Waits for a build of the same dataset. Raises UsageError where there is nothing to export, or where another stage is
    typed than that of the folder, StorageError where the disk cannot be written, with the old files as they were.
    """
    if not replacing(dataset.runs):
        _require_rows(dataset, settings, _wanted(dataset, settings, typed, named=named))
    with begin_transaction(dataset, "export again", note) as transaction:
        return _export(transaction, settings, _wanted(dataset, settings, typed, named=named), note)


def _wanted(dataset: Dataset, settings: Settings, typed: Collection[str], *, named: bool) -> JsonObject:
    """The export settings: see `export`. Raises UsageError and ConfigurationError for what cannot be written."""
    own = export_identity(settings)
    told, written = _told(dataset, own), _last_written(dataset)
    there = [name for name in _formats_before(dataset, own) if _lies_there(dataset, written, name)]
    served = [name for name in (told or {}).get(TRAINERS) or () if name in TRAINER_NAMES]
    if reaches_student({"formats": there, TRAINERS: served}):
        own |= kd_identity(settings.kd)
    chosen = own if told is None else _of_folder(dataset, own, told, typed, _counting(own, told, typed, named=named))
    wanted = chosen | {"formats": list(dict.fromkeys([*there, *chosen["formats"]]))}
    wanted[TRAINERS] = list(dict.fromkeys([*served, *(chosen.get(TRAINERS) or ())]))
    check_formats(wanted["formats"])
    return without_usual(wanted)


def _counting(own: JsonObject, told: JsonObject, typed: Collection[str], *, named: bool) -> Collection[str]:
    """The export settings, by their names in a recipe, that are not the folder's: those that were typed, or all where
    it was not named; of a student all or, where the settings know none, the typed ones."""
    if named:
        return typed
    theirs = () if own.get("kd_tokenizer") is not None else set(OF_KD) - set(typed)
    return {name for name in own | told if name not in theirs}


def _of_folder(
    dataset: Dataset, own: JsonObject, told: JsonObject, typed: Collection[str], counting: Collection[str]
) -> JsonObject:
    """The export settings `told` by the folder, but for those `counting`, which are our `own`."""
    built, wanted = _stage_of(told), _stage_of(own)
    if built != wanted and ROW_FACTS in typed:
        raise UsageError(
            f"the exports of {dataset.folder} are made of {built}, as it was built, and these settings say {wanted}: "
            "leave out what says so, or build with them, which asks for nothing that is in the cache"
        )
    told = told | {"formats": _known_formats(told)}
    ours = {name for name in counting if name != ROW_FACTS or built == wanted}
    chosen = {name: own.get(name) if name in ours else told.get(name) for name in own | told}
    rows: JsonObject = chosen[ROW_FACTS] or {}
    as_built: JsonObject = told.get(ROW_FACTS) or {}
    chosen[ROW_FACTS] = {
        **{name: value for name, value in rows.items() if name not in OF_VERDICTS},
        **{name: as_built[name] for name in OF_VERDICTS if name in as_built},
    }
    if unknown := by_digest(chosen):
        raise UsageError(
            f"{' and '.join(unknown)} of {dataset.folder} is known by its digest alone, since there is no {STATE}: "
            "type the settings that it was built with, without its name"
        )
    return chosen


def _told(dataset: Dataset, own: JsonObject) -> JsonObject | None:
    """The export settings of the folder: its state's, else those of its lock, which may mean our `own`."""
    if (state := dataset.state()) is not None:
        return state.recipe.get(EXPORT_FACTS)
    lock = sound_lock(dataset.artefact(LOCK))
    return told_exports(lock, own) if lock is not None else None


def _stage_of(export: JsonObject) -> str:
    """The stage whose rows are exported."""
    stage: str = export[ROW_FACTS].get("stage", "no stage")
    return stage


def _formats_before(dataset: Dataset, own: JsonObject) -> Sequence[str]:
    """The formats in the order in which the folder has them, then all others."""
    return list(dict.fromkeys([*_known_formats(dataset.recipe().get(EXPORT_FACTS, own)), *FORMATS]))


def _known_formats(told: JsonObject) -> list[str]:
    """The formats of export settings that another version may have written, with formats of its own."""
    return [name for name in told.get("formats", []) if name in FORMATS]


def _lies_there(dataset: Dataset, written: Mapping[str, FileState], form: str) -> bool:
    """Whether a format was written here, and has not been taken away since."""
    name = f"{EXPORTS}/{file_name(form, TRAIN)}"
    return name in written and dataset.artefact(name).is_file()


def _export(transaction: Transaction, settings: Settings, wanted: JsonObject, note: Callable[[str], None]) -> Exported:
    dataset = transaction.dataset
    graph, recipe = _require_rows(dataset, settings, wanted)
    if (other := _stage_of(export_identity(settings))) != (stage := _stage_of(wanted)):
        note(f"exported is {stage}, as it was built; these settings say {other}, which a build with them exports")
    if (lost := lost_in_training(wanted)) is not None:
        note(lost)
    written = _last_written(dataset)
    edited = _edited(dataset, graph, written)
    if edited:
        files = ", ".join(str(dataset.artefact(name)) for name in edited)
        note(f"{files} is not what the last build wrote: it is exported as it stands, and the next build replaces it")
    stores = partial(_stores, dataset, settings, note)
    exported = write_rows(transaction, dataset.artefact, graph, recipe, wanted, stores)
    new, refused = exported.files, exported.refused
    files_of_exports = tuple(dataset.artefact(name) for name in new)
    failures = failures_after_export(read_objects(dataset.artefact(FAILURES), "stage", "missing"), refused)
    if failures:
        new[FAILURES] = transaction.write(FAILURES, b"".join(msgspec.json.encode(row) + b"\n" for row in failures))
    made = {name: file_state(path) for name, path in new.items()}
    replaced = {name: path for name, path in new.items() if _is_export(name)}
    for copy in keep_edited(dataset, replaced, (), transaction.aside, written):
        note(f"{copy.name} was not what was last written here; the file that was there is kept as {copy}")
    if lock := _lock_to_replace(dataset, written, edited, note):
        after = lock_after_export(lock, wanted, made, refused)
        new[LOCK] = transaction.write(LOCK, after.encode().encode())
        made[LOCK] = file_state(new[LOCK])
        if after != lock:
            note(f"{dataset.artefact(LOCK)} is rewritten{_other_exports(lock.exports, after.exports)}")
    if (state := dataset.state()) is not None:
        state = replace(state, checks=with_checks_of_exports(state.checks, exported.checks))
        new[STATE] = transaction.write(STATE, state_after_export(state, wanted, made, failures).encode())
    for path in transaction.commit(new, [*filter(_is_export, written), FAILURES]):
        note(f"{path} is removed: it is of no format that is known here")
    return Exported(files_of_exports, tuple(refused), exported.checks)


def _stores(
    dataset: Dataset, settings: Settings, note: Callable[[str], None], opened: ExitStack
) -> Sequence[Responses]:
    """Where the responses behind the rows may lie: the cache of the last build, that of the settings, and the folder's
    own packs."""
    state = dataset.state()
    caches = dict.fromkeys([*([dataset.cache(state)] if state is not None else []), Path(settings.cache.dir)])
    found = [opened.enter_context(closing(ReadOnlyStore(each))) for each in caches if holds_database(each)]
    both = StoreAndKept(found[0] if found else None, [KeepingFolder(dataset, next(iter(caches)))], note)
    return [opened.enter_context(closing(both)), *found[1:]]


def _other_exports(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    """What a lock says otherwise of exports, which it has by their digests."""
    told = [
        *(f"{name} is new" for name in after if name not in before),
        *(f"{name} has changed" for name in after if before.get(name, after[name]) != after[name]),
        *(f"{name} is no longer there" for name in before if name not in after),
    ]
    return f": {', '.join(told)}" if told else ""


def _require_rows(dataset: Dataset, settings: Settings, wanted: JsonObject) -> tuple[Graph, JsonObject]:
    """The stages of the rows that are there, and how they were made and are to be exported.

    Raises UsageError where the stage that is exported has no file, or one that it is read together with, and where it
    cannot be told of which of its rows a transform has not decided: those are never exported.
    """
    graph = dataset.graph() or _graph_of_rows(dataset, settings)
    recipe = dataset.recipe() | {EXPORT_FACTS: wanted}
    stage = exported_stage(graph, recipe)
    if stage is None or not dataset.artefact(stage.file).exists():
        rows = "rows" if stage is None else stage.name if stage.name.endswith("s") else f"rows of {stage.name}"
        raise UsageError(f"there are no {rows} to export in {dataset.folder}: {BUILD_FIRST}")
    if dataset.state() is None and stage.name in settings.stage:
        recipe |= {stage.name: _as_read(recipe.get(stage.name, {}), settings.stage[stage.name])}
        tree = tree_identity(settings)
        recipe |= {"tree": tree} if facts_of(tree) == facts_of(recipe.get("tree", {})) else {}
    try:
        check_training_files(graph, recipe)
    except StudentError as error:
        if not (there := dataset.artefact(f"{EXPORTS}/{file_name(KD, TRAIN)}")).is_file():
            raise
        raise StudentError(
            f"{error}. {there} would be written anew with all other formats: bring that model back, name the folder of "
            "one by kd.tokenizer, or remove the file. Nothing was changed"
        ) from error
    read = artefacts_read(dataset.artefact, graph, stage, recipe)
    if absent := [name for name in read if not dataset.artefact(name).exists()]:
        raise UsageError(
            f"{' and '.join(absent)} of {dataset.folder} is not there, and tells what of {stage.file} is to be "
            f"exported: {BUILD_FIRST}; what is in the cache costs nothing"
        )
    if uncounted(graph, stage, recipe):
        raise UsageError(
            f"whether all of {', '.join(uncounted(graph, stage, recipe))} are there, which decide on the rows of "
            f"{stage.file}, nothing tells in {dataset.folder}, neither {STATE} nor {LOCK}: {BUILD_FIRST}"
        )
    return graph, recipe


def _as_read(told: JsonObject, own: StageSettings) -> JsonObject:
    """A stage's settings as a lock has `told` them, with what it says of replies as our `own` have it where these are
    what it means: a lock has long texts by their digests, and nothing that is empty."""
    forms = {name: value for name, value in msgspec.to_builtins(own).items() if name in OF_FORMS and value}
    same = facts_of(forms) == facts_of({name: told[name] for name in OF_FORMS if name in told})
    return told | forms if same else told


def _graph_of_rows(dataset: Dataset, settings: Settings) -> Graph:
    """The stages of rows of which nothing tells but the settings. Raises UsageError where there are others."""
    graph = graph_of(settings)
    others = sorted(path.name for path in dataset.folder.glob("*.jsonl") if is_artefact(path.name))
    if strange := [name for name in others if name not in graph.files]:
        raise UsageError(
            f"{' and '.join(strange)} in {dataset.folder} is of no stage of these settings, and neither {STATE} nor "
            f"{LOCK} is there to tell what it decides: {BUILD_FIRST}"
        )
    return graph


def _last_written(dataset: Dataset) -> Mapping[str, FileState]:
    """The files as they were last written: by the state, else by the lock, which a clone has without one."""
    if (state := dataset.state()) is not None:
        return state.outputs
    if (lock := sound_lock(dataset.artefact(LOCK))) is None:
        return {}
    named = lock.artefacts | {f"{EXPORTS}/{name}": sha256 for name, sha256 in lock.exports.items()}
    files = {name: FileState(UNKNOWN, UNKNOWN, sha256) for name, sha256 in named.items()}
    return files | {LOCK: file_state(dataset.artefact(LOCK))}


def _edited(dataset: Dataset, graph: Graph, written: Mapping[str, FileState]) -> list[str]:
    """The artefacts that are not as they were last written: those that are gone are exported by nobody, and where
    nothing tells what was written, none is known to be edited."""
    there = [name for name in graph.files if dataset.artefact(name).exists()] if written else []
    return [name for name in there if not _as_written(dataset, name, written)]


def _as_written(dataset: Dataset, name: str, written: Mapping[str, FileState]) -> bool:
    return name in written and written[name].same_content(dataset.artefact(name))


def state_after_export(
    state: State, wanted: JsonObject, made: Mapping[str, FileState], failures: Sequence[JsonObject]
) -> State:
    """The state of a dataset as the last build left it, but for its exports, failures.jsonl and lock: those `made`.

    It is what a build with that build's settings and the export settings of now would leave. Where the state does
    not say what that build was (another version of this program wrote it), no build will find itself in it.
    """
    outputs = {name: facts for name, facts in state.outputs.items() if not _is_export(name) and name != FAILURES}
    all_made = state.outputs.keys() >= set(state.graph.files)
    known = all_made and state.build == build_digest(state.recipe, state.until, state.generation)
    recipe = state.recipe | {EXPORT_FACTS: wanted}
    return replace(
        state,
        build=build_digest(recipe, END, state.generation) if known else "",
        until=END,
        outputs={**outputs, **made},
        recipe=recipe,
        unmade=unmade_in(state.graph, failures),
        complete=not failures,
    )


def _lock_to_replace(
    dataset: Dataset, written: Mapping[str, FileState], edited: Sequence[str], note: Callable[[str], None]
) -> Lock | None:
    """The lock that is there; None, and `note` is told, where it is not as it was written, or its artefacts are not."""
    place = dataset.artefact(LOCK)
    if LOCK not in written and not place.exists():
        return None
    lock = read_lock(place) if _as_written(dataset, LOCK, written) else None
    if lock is None:
        note(f"{place} is not what the last build wrote, and is left alone: a build writes it anew")
    elif edited:
        note(f"{place} still names the exports of the rows that were built")
    return None if edited else lock


def lock_after_export(
    lock: Lock, wanted: JsonObject, made: Mapping[str, FileState], refused: Sequence[Failure]
) -> Lock:
    """The lock with the exports `made`, by the settings `wanted`, and what is missing in them."""
    exports = {name.removeprefix(f"{EXPORTS}/"): made[name].sha256 for name in sorted(made) if _is_export(name)}
    others = {place: fact for place, fact in lock.recipe.items() if place[0] != EXPORT_FACTS}
    missing = missing_after_export(lock.missing, refused)
    return replace(lock, until=END, missing=missing, exports=exports, recipe=others | facts_of({EXPORT_FACTS: wanted}))


def _is_export(name: str) -> bool:
    return name.startswith(f"{EXPORTS}/")
