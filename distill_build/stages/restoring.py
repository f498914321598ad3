"""A version's files, made again from the cache: nothing is asked, and nothing else than the version goes into them.

The lock comes out as the build of that version wrote it. Where a lock named the version, that lock is to come out: it
may tell of other exports, or of other settings that made the same items.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

from distill_build.engine.artefacts import (
    ArtefactWriter,
    file_sha256,
    file_state,
    finish_replacing,
    replace_together,
    replacing,
    sync,
)
from distill_build.engine.ledger import new_run_id
from distill_build.engine.lock import exclusive, in_use
from distill_build.engine.reading import writable
from distill_build.engine.signals import undisturbed
from distill_build.errors import CorruptEntryError, StorageError
from distill_build.export import write_exports
from distill_build.records import JsonObject
from distill_build.settings import FormatSettings, Stage
from distill_build.stages.aside import keep_edited
from distill_build.stages.dataset import ARTEFACTS, EXPORTS, KEPT, Dataset, State
from distill_build.versions.archive import Archive, Version
from distill_build.versions.lockfile import LOCK, Lock, facts_of
from distill_build.versions.snapshot import restore

TEMPORARY = "checkout-"
"""How folders of files that are not yet in their place begin, under runs/."""
LEAVES = "runs/leaves.json"
STATE = "runs/state.json"


@dataclass(frozen=True, slots=True)
class Target:
    """The version to bring back, and the lock that named it, None where another name did."""

    version: Version
    lock: Lock | None


@dataclass(frozen=True, slots=True)
class Restored:
    """What was brought back. `edited` are copies of files that were not as last written; `lock` is the new one.

    `as_named` says whether it is the lock that named the version, where one did.
    """

    lock: Lock
    files: tuple[Path, ...]
    edited: tuple[Path, ...]
    as_named: bool


def bring_back(dataset: Dataset, archive: Archive, target: Target, note: Callable[[str], None]) -> Restored:
    """Replaces the files of `dataset` by those of a version, all together; waits for a build of it.

    Raises StorageError, with the old files as they were, where the cache is damaged or the disk cannot be written.
    """
    run_id = new_run_id()
    temporary = dataset.runs / f"{TEMPORARY}{run_id}"
    with exclusive(dataset.lock, run_id, lambda holder: note(f"waiting for {holder} of {dataset.folder}")):
        finish_replacing(dataset.runs)
        for left_behind in dataset.runs.glob(f"{TEMPORARY}*"):  # by a checkout that was killed
            shutil.rmtree(left_behind, ignore_errors=True)
        try:
            with in_use(archive.directory, lambda: note(f"waiting for the cleaning of {archive.directory}")):
                return _Restoring(dataset, archive, target, temporary, run_id).carry_out()
        except CorruptEntryError as error:
            raise CorruptEntryError(
                f"version {target.version.version[:12]} cannot be brought back: {error}. Nothing was replaced"
            ) from error
        except OSError as error:
            raise StorageError(
                f"{error.filename or dataset.folder} cannot be written: {error.strerror}. The old files are as they "
                "were; check out again when that is mended"
            ) from error
        finally:
            if not replacing(dataset.runs):  # else the next command moves what is in there
                shutil.rmtree(temporary, ignore_errors=True)


@dataclass(slots=True)
class _Restoring:
    dataset: Dataset
    archive: Archive
    target: Target
    temporary: Path
    run_id: str

    def carry_out(self) -> Restored:
        version, named = self.target.version, self.target.lock
        until = named.until if named is not None else version.until
        recipe = with_exports_of(named, self.archive.recipe(version))
        new = self._artefacts()
        exports = self._exports(recipe["export"], new) if until == "dataset" else {}
        lock = lock_of_version(version, until, recipe, new, exports)
        if as_named := named is not None and named.exports == lock.exports:
            lock = named
        new |= exports | {LOCK: self._written(LOCK, lock.encode().encode())}
        edited = keep_edited(self.dataset, new, self.dataset.runs / self.run_id)
        outputs = {name: file_state(path) for name, path in new.items()}
        self._register(version)
        self._commit(new, replace(_state(version, until, recipe, self.archive, self.dataset), outputs=outputs))
        files = tuple(self.dataset.artefact(name) for name in new if not name.startswith("runs/"))
        return Restored(lock, files, edited, as_named or named is None)

    def _artefacts(self) -> dict[str, Path]:
        """The files that were kept. Only names that are ours: a version may have come from elsewhere."""
        kept = self.target.version.files
        new = {name: self.temporary / name for name in KEPT if name in kept}
        for name, path in new.items():
            restore(self.archive.objects, kept[name], path)
        return new

    def _exports(self, options: JsonObject, new: dict[str, Path]) -> dict[str, Path]:
        layout = FormatSettings(reasoning=options["reasoning"], metadata=options["metadata"])
        folder, prompt = self.temporary / EXPORTS, options["system_prompt"]
        paths = write_exports(new["answers.jsonl"], folder, options["formats"], layout, prompt)
        for path in paths:
            sync(path)
        return {f"{EXPORTS}/{path.name}": path for path in paths}

    def _commit(self, new: dict[str, Path], state: State) -> None:
        moves = {path: self.dataset.artefact(name) for name, path in new.items()}
        moves[self._written(STATE, state.encode())] = self.dataset.artefact(STATE)
        before = self.dataset.state()
        ours = {*KEPT, LEAVES, *(before.outputs if before is not None else ())} - new.keys()
        removals = [path for name in sorted(ours) if (path := self.dataset.artefact(name)).exists()]
        with undisturbed():
            replace_together(self.dataset.runs, moves, removals)

    def _written(self, name: str, content: bytes) -> Path:
        with ArtefactWriter(self.temporary / name) as writer:
            writer.write(content)
        return writer.path

    def _register(self, version: Version) -> None:
        """Makes the version one of this folder's own: the next build finds that it is there, and gc keeps it."""
        root = self.archive.root(self.dataset.folder)
        if writable(self.archive.directory) and (root is None or root.name == version.name):
            self.archive.include(self.dataset.folder, version)


def lock_of_version(
    version: Version, until: str, recipe: JsonObject, new: dict[str, Path], exports: dict[str, Path]
) -> Lock:
    """The lock of a version, as the build that made it wrote it."""
    return Lock(
        version=version.version,
        name=version.name,
        until=until,
        counts={stage: version.counts[stage] for stage in get_args(Stage)},
        missing=version.missing,
        artefacts={name: version.files[name].sha256 for name in ARTEFACTS if name in new},
        exports={path.name: file_sha256(path) for _, path in sorted(exports.items())},
        recipe=facts_of(recipe),
    )


def with_exports_of(lock: Lock | None, recipe: JsonObject) -> JsonObject:
    """`recipe` with the export settings that `lock` tells, as far as it does: it has long texts by their digests."""
    if lock is None:
        return recipe
    own: JsonObject = recipe["export"]
    facts = facts_of({"export": own})
    told = {name: lock.recipe.get(("export", name)) for name in own}
    export = {name: own[name] if value == facts.get(("export", name)) else value for name, value in told.items()}
    if isinstance(prompt := export["system_prompt"], str) and prompt.startswith("sha256:"):
        return recipe
    return recipe | {"export": export}


def _state(version: Version, until: str, recipe: JsonObject, archive: Archive, dataset: Dataset) -> State:
    """What later commands go by. No build finds itself in it, so the next one looks at everything."""
    return State(
        build="",
        complete=version.complete,
        version=version.version,
        until=until,
        generation="",
        cache_dir=dataset.note_cache(archive.directory),
        counts=version.counts,
        requests=dict.fromkeys(get_args(Stage), 0),
        duplicates=0,
        outputs={},
        recipe=recipe,
    )
