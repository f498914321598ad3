"""The two versions that `diff` compares, each with as much as there is of it to be had.

A version in the cache has everything. An output folder stands for the files in it, whatever its lock names; where they
are no version in the cache, their settings are in runs/state.json or, with digests for prompts, in the lock. A lock
alone has counts, digests and such settings.
"""

import os
from pathlib import Path

import msgspec
from msgspec.structs import replace

from distill_build.commands.locate import as_reached, find_kept, outputs, settled
from distill_build.dataset.layout import Dataset, version_of
from distill_build.dataset.lockfile import LOCK, Facts, Lock, facts_of, read_lock
from distill_build.errors import DifferenceError, StorageError, UsageError
from distill_build.graph import END, Graph
from distill_build.history.row_checks import RowChecks
from distill_build.history.verifying import folder_version
from distill_build.options import Options
from distill_build.records import JsonObject, short
from distill_build.stages.default import DEFAULT
from distill_build.versions.archive import Archive, Version
from distill_build.versions.content import Content, FolderContent, KeptContent
from distill_build.versions.names import GIT, LATEST, Names, lock_named, names_nothing

BEFORE, NEWEST = "latest~1", "latest"
NoNames = UsageError | StorageError
"""Why there are no names of versions: no dataset or cache, or a cache that cannot be used."""


class Compared(msgspec.Struct, frozen=True):
    """One version. `wanted` is what the user called it; `dataset` the name of its dataset.

    `recipe` are its settings with whole prompts, None where only `facts` are known, which are None too where nothing
    is. `sha256` are the digests of the artefacts of its stages, `graph`; `content` is None where its rows
    are not to be had. `note` is said of it.
    """

    wanted: str
    version: str
    dataset: str
    at: str | None
    until: str
    counts: dict[str, int]
    missing: dict[str, int]
    sha256: dict[str, str]
    graph: Graph
    recipe: JsonObject | None
    facts: Facts | None
    content: Content | None
    note: str = ""


def find_sides(options: Options, wanted: tuple[str, ...]) -> tuple[Compared, Compared, Path | None]:
    """The two versions called `wanted`, and the cache, None where there is none and none was needed.

    Where one is named, the other is what the folder holds; where none is, they are the latest and the one before it.
    Raises UsageError for a name that means nothing, DifferenceError for a lock that cannot be gone by.
    """
    wanted = tuple(map(as_reached, wanted))
    found = _names(options, wanted)
    for folder in filter(os.path.isdir, wanted):  # not of Path: a name may be too long for one
        settled(Dataset(Path(folder)), options)
    old, new = (_side(found, each) for each in _both(found, wanted))
    return old, new, found.archive.directory if isinstance(found, Names) else None


def _both(found: Names | NoNames, wanted: tuple[str, ...]) -> tuple[str, ...]:
    """`wanted`, with what stands for names that were not said: a folder without rows, or itself, is no other side."""
    if len(wanted) != 1:
        return wanted or (BEFORE, NEWEST)
    folder = found.folder if isinstance(found, Names) else None
    if folder is None or not _holds_rows(folder) or Path(wanted[0]).absolute() == folder.absolute():
        return (*wanted, NEWEST)
    return (*wanted, str(folder))


def _holds_rows(folder: Path) -> bool:
    return folder.is_dir() and any((folder / name).is_file() for name in _graph_in(folder).files)


def _graph_in(folder: Path) -> Graph:
    """The stages that the files in a folder are of."""
    return Dataset(folder).graph() or DEFAULT


def _names(options: Options, wanted: tuple[str, ...]) -> Names | NoNames:
    """The versions of the dataset; or why there are none, which matters only to names that are no paths."""
    try:
        return find_kept(options)[1]
    except (UsageError, StorageError) as error:
        own = next(filter(_is_datasets, map(_folder, wanted)), None)
        if options.dataset is not None or own is None:
            return error
        return _names(options._replace(dataset=own), wanted)


def _folder(wanted: str) -> str:
    """The folder that a path is of, be it that of a lock."""
    folder, name = os.path.split(wanted)
    return (folder or os.curdir) if name == LOCK else wanted


def _is_datasets(folder: str) -> bool:
    """Whether a dataset lies there, or has its place there."""
    lock = os.path.join(folder, LOCK)  # noqa: PTH118 - not of Path: a name may be too long for one
    return os.path.isfile(lock) or Path(folder).absolute().parent == outputs().absolute()  # noqa: PTH113 - as above


def _side(found: Names | NoNames, wanted: str) -> Compared:
    there = os.path.exists(wanted)  # noqa: PTH110 - a name that is too long for a path is none
    if isinstance(found, NoNames):
        if not there:
            raise names_nothing(wanted) if os.sep in wanted else found
        return _at_path(None, wanted)
    if LATEST.fullmatch(wanted) or not (there or wanted.startswith(GIT)):
        return _kept(found.archive, found.version(wanted), wanted)
    return _at_path(found, wanted)


def _at_path(names: Names | None, wanted: str) -> Compared:
    """What a path or a commit names: the files of a folder, else what a lock says."""
    folder = Path(wanted)
    if _holds_rows(folder):
        return _in_folder(names, folder, wanted)
    lock = lock_named(wanted, names.folder if names is not None else Path())
    assert lock is not None, "a name that is neither a path nor a commit was seen to"  # noqa: S101
    version = names.find(lock.version) if names is not None else None
    if names is None or version is None:
        return _locked(lock, wanted, names.archive.directory if names is not None else None)
    return _with_settings_of(lock, _kept(names.archive, version, wanted))


def _in_folder(names: Names | None, folder: Path, wanted: str) -> Compared:
    """The files in a folder: from the cache where they are a version that is there, whatever the lock names."""
    lock, held = read_lock(folder / LOCK), folder_version(Dataset(folder))
    assert held is not None, "a folder without rows was seen to"  # noqa: S101
    version = names.find(held) if names is not None else None
    if names is None or version is None:
        side = _as_it_lies(folder, wanted, lock)
    else:
        side = _kept(names.archive, version, wanted)
    if lock is not None and lock.version == held:
        return _with_settings_of(lock, side)
    return replace(side, note=_stray(folder, lock, side))


def _kept(archive: Archive, version: Version, wanted: str) -> Compared:
    """A version in the cache."""
    recipe = archive.recipe(version)
    return Compared(
        wanted=wanted,
        version=version.version,
        dataset=version.name,
        at=version.at,
        until=version.until,
        counts=version.counts,
        missing=version.missing,
        sha256={name: version.files[name].sha256 for name in version.graph.files if name in version.files},
        graph=version.graph,
        recipe=recipe,
        facts=facts_of(recipe),
        content=KeptContent(archive.objects, version.files),
    )


def _with_settings_of(lock: Lock, side: Compared) -> Compared:
    """The same version may have been built with other settings: those that the lock tells count."""
    return side if side.facts == lock.recipe else replace(side, recipe=None, facts=lock.recipe)


def _as_it_lies(folder: Path, wanted: str, lock: Lock | None) -> Compared:
    """The files that lie in a folder, as they are; `lock` lies beside them and may be that of others.

    Raises DifferenceError for edited files that cannot be compared: see `_refuse_misfits`.
    """
    content, graph = FolderContent(folder), _graph_in(folder)
    counts = {shape.name: content.lines(shape.file) for shape in graph}
    sha256 = {name: content.sha256[name] for name in graph.files if name in content.sha256}
    version = version_of(sha256)
    state = Dataset(folder).state()
    built = state if state is not None and state.version == version else None
    told = lock if lock is not None and lock.version == version else None
    if built is None and told is None:
        _refuse_misfits(folder, lock)
    recipe = built.recipe if built is not None else None
    return Compared(
        wanted=wanted,
        version=version,
        dataset=folder.absolute().name,
        at=None,
        until=built.until if built is not None else told.until if told is not None else _reached(graph, sha256),
        counts=counts,
        missing=told.missing if told is not None else {},
        sha256=sha256,
        graph=graph,
        recipe=recipe,
        facts=None if recipe is None else facts_of(recipe),
        content=content,
    )


def _refuse_misfits(folder: Path, lock: Lock | None) -> None:
    """Raises DifferenceError where a file is gone, or rows cannot be read or do not fit each other.

    Rows are compared by their ids, which say nothing then.
    """
    gone = [(name, "it is missing") for name in (lock.artefacts if lock else ()) if not (folder / name).is_file()]
    for file, problem in (*gone, *RowChecks(Dataset(folder)).problems()):
        raise DifferenceError(
            f"the files in {folder} cannot be compared as they are: `distill-build verify {folder}` says more, and the "
            f"way out. {file}: {problem}"
        )


def _reached(graph: Graph, sha256: dict[str, str]) -> str:
    """The stage that a build went up to, by its files; exports are no matter here."""
    last = [shape.name for shape in graph if shape.file in sha256][-1]
    return END if last == graph.names[-1] else last


def _stray(folder: Path, lock: Lock | None, side: Compared) -> str:
    """What is to be said of files that are not those of a lock beside them."""
    unknown = "" if side.facts is not None else ", and their settings are not known"
    if lock is None:
        return unknown and f"{folder} has no lock. Its files are compared as they are{unknown}"
    return (
        f"{folder} does not hold version {short(lock.version)}, which its lock names: files were edited, or the lock "
        f"came from elsewhere. The files are compared as they are{unknown}; name {folder / LOCK} for the locked version"
    )


def _locked(lock: Lock, wanted: str, cache: Path | None) -> Compared:
    """What a lock alone says."""
    where = f"the cache {cache}" if cache is not None else "a cache here"
    return Compared(
        wanted=wanted,
        version=lock.version,
        dataset=lock.name,
        at=None,
        until=lock.until,
        counts=lock.counts,
        missing=lock.missing,
        sha256=lock.artefacts,
        graph=lock.graph,
        recipe=None,
        facts=lock.recipe,
        content=None,
        note=f"version {short(lock.version)} ({wanted}) is not in {where}, so items cannot be compared: bring it by "
        "cache pull or cache import, or name the folder with its files",
    )
