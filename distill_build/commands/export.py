"""`export`: writes the dataset formats again from answers.jsonl, without a model and without the cache."""

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from distill_build.engine.artefacts import (
    ArtefactWriter,
    file_state,
    finish_replacing,
    replace_together,
    replacing,
    sync,
)
from distill_build.engine.ledger import new_run_id
from distill_build.engine.lock import exclusive
from distill_build.engine.signals import undisturbed
from distill_build.errors import StorageError, UsageError
from distill_build.export import check_formats, write_exports
from distill_build.options import Options
from distill_build.records import JsonObject
from distill_build.settings import Settings
from distill_build.stages.dataset import EXPORTS, Dataset, State
from distill_build.stages.identity import build_digest, export_identity
from distill_build.versions.lockfile import LOCK, Lock, facts_of, read_lock

TEMPORARY = "export-"
"""How folders of files that are not yet in their place begin, under runs/."""
ANSWERS = "answers.jsonl"
EXPORT_FACTS = "export"
"""The part of a recipe, and of a lock, that tells of exports."""


def run(settings: Settings, options: Options) -> int:
    """Writes the formats that `settings` ask for and removes the others; 0 where that was done."""
    dataset = Dataset(Path(settings.output_dir) / settings.name)
    check_formats(settings.formats)
    if not dataset.artefact(ANSWERS).exists():
        raise UsageError(
            f"there are no answers to export in {dataset.folder}: build the dataset first, with the same settings "
            "and `build` for `export`"
        )
    note = _silent if options.quiet else _note
    files = export(dataset, settings, note)
    if options.json:
        print(json.dumps(document(dataset, files), ensure_ascii=False, indent=2))
    elif not options.quiet:
        for path in files:
            print(f"{path}  {path.stat().st_size:,} bytes")
    return 0


def export(dataset: Dataset, settings: Settings, note: Callable[[str], None]) -> list[Path]:
    """Brings the folder of exports in line with `settings`; returns its files.

    Waits for a build of the same dataset. Raises StorageError where the disk cannot be written, with the old
    files as they were.
    """
    run_id = new_run_id()
    temporary = dataset.runs / f"{TEMPORARY}{run_id}"
    with exclusive(dataset.lock, run_id, lambda holder: note(f"waiting for {holder} of {dataset.folder}")):
        finish_replacing(dataset.runs)
        _clear(dataset)
        try:
            return _export(dataset, settings, temporary, note)
        except OSError as error:
            raise StorageError(
                f"{error.filename or dataset.folder} cannot be written: {error.strerror}. The old files are as they "
                "were; export again when that is mended"
            ) from error
        finally:
            if not replacing(dataset.runs):  # else the next command moves what is in there
                shutil.rmtree(temporary, ignore_errors=True)


def _export(dataset: Dataset, settings: Settings, temporary: Path, note: Callable[[str], None]) -> list[Path]:
    answers = dataset.artefact(ANSWERS)
    state = dataset.state()
    if state is not None and not _as_built(state, dataset, ANSWERS):
        note(f"{answers} is not what the last build wrote: it is exported as it stands, and the next build replaces it")
    new = write_exports(answers, temporary, settings.formats, settings.format, settings.system_prompt)
    for path in new:
        sync(path)
    places = [dataset.folder / EXPORTS / path.name for path in new]
    moves = dict(zip(new, places, strict=True))
    if state is not None:
        after = after_export(state, settings, new)
        if lock := _lock_after(dataset, state, after, note):
            path = _write(temporary / LOCK, lock.encode().encode())
            moves[path] = dataset.artefact(LOCK)
            after = replace(after, outputs=after.outputs | {LOCK: file_state(path)})
        moves[_write(temporary / "state.json", after.encode())] = dataset.runs / "state.json"
    ours = [dataset.artefact(name) for name in (state.outputs if state is not None else ()) if name.startswith(EXPORTS)]
    with undisturbed():
        replace_together(dataset.runs, moves, [path for path in ours if path.exists() and path not in places])
    return places


def after_export(state: State, settings: Settings, exports: list[Path]) -> State:
    """The state of a dataset as the last build left it, but for its exports.

    It is what a build with that build's settings and the export settings of now would leave. Where the state does
    not say what that build was (another version of this program wrote it), no build will find itself in it.
    """
    outputs = {name: facts for name, facts in state.outputs.items() if not name.startswith(f"{EXPORTS}/")}
    outputs |= {f"{EXPORTS}/{path.name}": file_state(path) for path in exports}
    known = state.build == build_digest(state.recipe, state.until, state.generation)
    recipe = state.recipe | {"export": export_identity(settings)}
    build = build_digest(recipe, "dataset", state.generation) if known else ""
    return replace(state, build=build, until="dataset", outputs=outputs, recipe=recipe)


def document(dataset: Dataset, files: list[Path]) -> JsonObject:
    """The document of `export --json`."""
    return {
        "folder": str(dataset.folder),
        "files": [
            {"path": str(path), "bytes": facts.size, "sha256": facts.sha256}
            for path, facts in ((path, file_state(path)) for path in files)
        ],
    }


def _lock_after(dataset: Dataset, before: State, after: State, note: Callable[[str], None]) -> Lock | None:
    """The lock with the exports of now; None where what is there is not what the last build wrote: it is left alone."""
    if LOCK not in before.outputs:  # an older version of this program built it
        return None
    lock = read_lock(dataset.artefact(LOCK)) if _as_built(before, dataset, LOCK) else None
    if lock is None:
        note(f"{dataset.artefact(LOCK)} is not what the last build wrote, and is left alone: a build writes it anew")
        return None
    if not _as_built(before, dataset, ANSWERS):
        note(f"{dataset.artefact(LOCK)} still names the exports of the answers that were built")
        return None
    exports = {
        name.removeprefix(f"{EXPORTS}/"): facts.sha256
        for name, facts in sorted(after.outputs.items())
        if name.startswith(f"{EXPORTS}/")
    }
    others = {place: fact for place, fact in lock.recipe.items() if place[0] != EXPORT_FACTS}
    own = facts_of({EXPORT_FACTS: after.recipe[EXPORT_FACTS]})
    return replace(lock, until=after.until, exports=exports, recipe=others | own)


def _as_built(state: State, dataset: Dataset, name: str) -> bool:
    return name in state.outputs and state.outputs[name].same_content(dataset.artefact(name))


def _write(path: Path, content: bytes) -> Path:
    with ArtefactWriter(path) as writer:
        writer.write(content)
    return path


def _clear(dataset: Dataset) -> None:
    """Removes what an export that was killed left behind. The caller holds the lock."""
    for folder in dataset.runs.glob(f"{TEMPORARY}*"):
        shutil.rmtree(folder, ignore_errors=True)


def _note(text: str) -> None:
    print(f"distill-build: {text}", file=sys.stderr)


def _silent(text: str) -> None:
    pass
