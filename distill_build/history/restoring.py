"""A version's files, made again from the cache: nothing is asked, and nothing else than the version goes into them.

The lock comes out as the build of that version wrote it. Where a lock named the version, that lock is to come out: it
may tell of other exports, or of other settings that made the same items.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from shutil import copyfile

import msgspec
from msgspec.structs import replace

from distill_build.dataset.failures import failures_after_export, missing_after_export, unmade_in
from distill_build.dataset.layout import (
    CHECKS,
    EXPORTS,
    FAILURES,
    STATE,
    UNITS,
    CheckCount,
    Dataset,
    State,
    kept_files,
)
from distill_build.dataset.lockfile import LOCK, Facts, Lock, facts_of, recipe_in, sound_lock
from distill_build.dataset.rows import read_objects
from distill_build.dataset.transaction import Transaction, begin_transaction, keep_edited
from distill_build.engine.artefacts import FileState, file_sha256, file_state, sync
from distill_build.engine.lock import in_use
from distill_build.engine.reading import ReadOnlyStore, Responses, writable
from distill_build.errors import CorruptEntryError, StudentError
from distill_build.export import KD, file_name
from distill_build.graph import END
from distill_build.history.exported_rows import NO_EXPORTS, ExportedRows, write_rows
from distill_build.records import Failure, JsonObject, short
from distill_build.stages.checks import check_rows
from distill_build.stages.default import graph_in
from distill_build.stages.training.export_settings import export_sides
from distill_build.versions.archive import Archive, Version
from distill_build.versions.snapshot import restore


class RestoreTarget(msgspec.Struct, frozen=True):
    """The version to bring back, and the lock that named it, None where another name did."""

    version: Version
    lock: Lock | None


class LeftOut(msgspec.Struct, frozen=True):
    """Files of the version's rows of tokens that are not among those brought back, by name, and why."""

    files: tuple[str, ...]
    why: str


class Restored(msgspec.Struct, frozen=True):
    """What was brought back. `edited` are copies of files that were not as last written, `removed` those that the
    version does not have; `lock` is the new one.

    `as_named` says whether it is the lock that named the version, where one did. `left_out` is None where all files of
    the version are back.
    """

    lock: Lock
    files: tuple[Path, ...]
    edited: tuple[Path, ...]
    removed: tuple[Path, ...]
    as_named: bool
    left_out: LeftOut | None


def bring_back(dataset: Dataset, archive: Archive, target: RestoreTarget, note: Callable[[str], None]) -> Restored:
    """Replaces the files of `dataset` by those of a version, all together; waits for a build of it.

    Raises StorageError, with the old files as they were, where the cache is damaged or the disk cannot be written.
    """
    with (
        begin_transaction(dataset, "check out again", note) as transaction,
        in_use(archive.directory, note),
    ):
        try:
            return _Restoring(archive, target, transaction).carry_out()
        except CorruptEntryError as error:
            raise CorruptEntryError(
                f"version {short(target.version.version)} cannot be brought back: {error}. Nothing was replaced"
            ) from error


class _Restoring(msgspec.Struct, frozen=True):
    archive: Archive
    target: RestoreTarget
    transaction: Transaction

    def carry_out(self) -> Restored:
        version, named, dataset = self.target.version, self.target.lock, self.transaction.dataset
        until = named.until if named is not None else version.until
        recipe = with_exports_of(named, self.archive.recipe(version))
        new = self._artefacts()
        exported, left_out = self._exports(recipe) if until == END else (NO_EXPORTS, None)
        exports, refused = exported.files, exported.refused
        failures = self._failures(new, refused)
        checks = self._checks(recipe, new)
        lock = lock_of_version(version, until, recipe, new, exports, missing_after_export(version.missing, refused))
        if as_named := named is not None and named.exports == lock.exports and named.complete == (not failures):
            lock = named
        new |= exports | {LOCK: self.transaction.write(LOCK, lock.encode().encode())}
        before = dataset.state()
        packs = before.packs if before is not None else {}  # what they hold is as good as before
        written = before.outputs if before is not None else {}
        old = (*kept_files(graph_in(dataset)), CHECKS, UNITS, *(written.keys() - packs.keys()))
        edited = keep_edited(dataset, new, old, self.transaction.aside, written)
        outputs = {name: file_state(path) for name, path in new.items()}
        state = replace(
            self._state(until, recipe, outputs | packs, failures),
            kept=before.kept if before else None,
            checks=(*checks, *exported.checks),
        )
        self._register(version)
        removed = self.transaction.commit(new | {STATE: self.transaction.write(STATE, state.encode())}, old)
        files = tuple(dataset.artefact(name) for name in new if not name.startswith("runs/"))
        return Restored(lock, files, edited, removed, as_named or named is None, left_out)

    def _artefacts(self) -> dict[str, Path]:
        """The files that were kept. Only names that are ours: a version may have come from elsewhere."""
        kept = self.target.version.files
        new = {name: self.transaction.folder / name for name in kept_files(self.target.version.graph) if name in kept}
        for name, path in new.items():
            restore(self.archive.objects, kept[name], path)
        return new

    def _exports(self, recipe: JsonObject) -> tuple[ExportedRows, LeftOut | None]:
        """The exports, and which rows of tokens are not among them, None where all are."""
        export = recipe["export"]
        try:
            return self._written(recipe, export), None
        except StudentError as error:
            taken = self._taken_over(export)
            left = tuple(f"{EXPORTS}/{name}" for name in _kd_files(export) if f"{EXPORTS}/{name}" not in taken)
            if not left:
                return self._written(recipe, export, [KD]), None
            others = [name for name in export["formats"] if name != KD]
            written = self._written(recipe, export | {"formats": others})
            return replace(written, files=written.files | taken), LeftOut(left, str(error))

    def _written(self, recipe: JsonObject, export: JsonObject, there: Sequence[str] = ()) -> ExportedRows:
        place, graph = Dataset(self.transaction.folder).artefact, self.target.version.graph
        return write_rows(self.transaction, place, graph, recipe, export, self._stores, there)

    def _taken_over(self, export: JsonObject) -> dict[str, Path]:
        """Those files of rows of tokens in the dataset that are what `export` says, by a lock of this version: copied
        among the new files, by name."""
        dataset, wanted = self.transaction.dataset, _facts_of_rows(facts_of({"export": export}))
        locks = [
            lock
            for lock in (self.target.lock, sound_lock(dataset.artefact(LOCK)))
            if lock is not None
            and lock.version == self.target.version.version
            and _facts_of_rows(lock.recipe) == wanted
        ]
        taken = {}
        for name in _kd_files(export):
            place, new = dataset.artefact(f"{EXPORTS}/{name}"), self.transaction.folder / EXPORTS / name
            if place.is_file() and file_sha256(place) in [lock.exports.get(name) for lock in locks]:
                copyfile(place, new)
                sync(new)
                taken[f"{EXPORTS}/{name}"] = new
        return taken

    def _stores(self, opened: ExitStack) -> list[Responses]:
        return [opened.enter_context(closing(ReadOnlyStore(self.archive.directory)))]

    def _checks(self, recipe: JsonObject, new: dict[str, Path]) -> tuple[CheckCount, ...]:
        """Looks at the rows as a build does, with which checks.jsonl comes among the `new` files: a version is kept
        without it."""
        checked = check_rows(Dataset(self.transaction.folder).artefact, self.target.version.graph, recipe)
        if checked.lines:
            new[CHECKS] = self.transaction.write(CHECKS, checked.encoded)
        return checked.counts

    def _failures(self, new: dict[str, Path], refused: Sequence[Failure]) -> list[JsonObject]:
        """The lines of failures.jsonl, with which the file among `new` is brought in line: a lock that named the
        version may tell of other exports than were kept, and of fewer rows that are wanted."""
        named, kept = self.target.lock, list(read_objects(new[FAILURES], "stage", "missing")) if FAILURES in new else []
        failures = failures_after_export(
            [row for row in kept if named is None or row["stage"] in named.missing], refused
        )
        if failures != kept:
            new.pop(FAILURES, None)
            if failures:
                lines = b"".join(msgspec.json.encode(row) + b"\n" for row in failures)
                new[FAILURES] = self.transaction.write(FAILURES, lines)
        return failures

    def _state(
        self, until: str, recipe: JsonObject, outputs: dict[str, FileState], failures: Sequence[JsonObject]
    ) -> State:
        """What later commands go by. No build finds itself in it, so the next one looks at everything."""
        version = self.target.version
        return State(
            build="",
            complete=not failures,
            version=version.version,
            until=until,
            generation="",
            losses="",
            cache_dir=self.transaction.dataset.note_cache(self.archive.directory),
            counts=version.counts,
            requests=dict.fromkeys(version.graph.names, 0),
            spared={},
            dropped={},
            unmade=unmade_in(version.graph, failures),
            stopped=None,
            grown=False,
            kept=None,
            checks=(),
            unmatched=(),
            reviews={},
            outputs=outputs,
            recipe=recipe,
            holds_others=False,
            failed=(),
            rebuilding=(),
            rebuilding_since="",
            stages=version.stages,
        )

    def _register(self, version: Version) -> None:
        """Makes the version one of this folder's own: the next build finds that it is there, and gc keeps it."""
        folder = self.transaction.dataset.folder
        root = self.archive.registry.root(folder)
        if writable(self.archive.directory) and (root is None or root.name == version.name):
            self.archive.include(folder, version)


def _kd_files(export: JsonObject) -> list[str]:
    return [file_name(KD, side) for side in export_sides(export)]


def _facts_of_rows(facts: Facts) -> Facts:
    """The export settings among facts, without the list of formats: how a file of one of them is made."""
    return {place: fact for place, fact in facts.items() if place[0] == "export" and place != ("export", "formats")}


def lock_of_version(
    version: Version,
    until: str,
    recipe: JsonObject,
    new: dict[str, Path],
    exports: dict[str, Path],
    missing: dict[str, int],
) -> Lock:
    """The lock of a version, as the build that made it wrote it."""
    return Lock(
        version=version.version,
        name=version.name,
        until=until,
        counts={stage: version.counts[stage] for stage in version.graph.names},
        missing=missing,
        artefacts={name: version.files[name].sha256 for name in version.graph.files if name in new},
        exports={path.name: file_sha256(path) for _, path in sorted(exports.items())},
        recipe=facts_of(recipe),
        stages=version.stages,
    )


def with_exports_of(lock: Lock | None, recipe: JsonObject) -> JsonObject:
    """`recipe` with the export settings that `lock` tells, where it tells them all: it has long texts by digest."""
    if lock is None:
        return recipe
    export = told_exports(lock, recipe["export"])
    return recipe if by_digest(export) else recipe | {"export": export}


def told_exports(lock: Lock, own: JsonObject) -> JsonObject:
    """The export settings that a lock tells; a long text is that of our `own` where the lock means that one."""
    told = recipe_in(lock.recipe).get("export", {})
    return _as_told(own, told) | {"rows": _as_told(own.get("rows", {}), told.get("rows", {}))}


def by_digest(export: JsonObject) -> list[str]:
    """The export settings of which a lock alone tells no more than a digest."""
    named = export | {f"export.{name}": value for name, value in export.get("rows", {}).items()}
    return [name for name, value in named.items() if isinstance(value, str) and value.startswith("sha256:")]


def _as_told(own: JsonObject, told: JsonObject) -> JsonObject:
    """The settings that a lock has `told`, with those of our `own` that it means."""
    same = {name for name in own | told if facts_of({name: own.get(name)}) == facts_of({name: told.get(name)})}
    return {name: own.get(name) if name in same else told.get(name) for name in own | told}
