"""The two versions that `diff` compares, each with as much as there is of it to be had.

A version in the cache has everything. An output folder whose version is not there has its files, and its settings in
runs/state.json or, with digests for prompts, in its lock. A lock alone has counts, digests and such settings.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from distill_build.commands.kept import find_kept
from distill_build.commands.locate import OUTPUTS
from distill_build.errors import UsageError
from distill_build.options import Options
from distill_build.records import JsonObject
from distill_build.stages.dataset import ARTEFACTS, Dataset, version_of
from distill_build.stages.tally import STAGES
from distill_build.versions.archive import Archive, Version
from distill_build.versions.content import Content, FolderContent, KeptContent
from distill_build.versions.lockfile import LOCK, Facts, Lock, facts_of
from distill_build.versions.names import DIGEST, LATEST, Names, lock_named

SHORT = 12


@dataclass(frozen=True, slots=True)
class Compared:
    """One version. `wanted` is what the user called it; `dataset` the name of its dataset.

    `recipe` are its settings with whole prompts, None where only `facts` are known, which are None too where nothing
    is. `sha256` are the digests of its artefacts; `content` is None where its items are not to be had. `note` is said
    of it.
    """

    wanted: str
    version: str
    dataset: str
    at: str | None
    until: str
    counts: dict[str, int]
    missing: dict[str, int]
    sha256: dict[str, str]
    recipe: JsonObject | None
    facts: Facts | None
    content: Content | None
    note: str = ""


def find_sides(options: Options, wanted: tuple[str, str]) -> tuple[Compared, Compared, Path | None]:
    """The two versions called `wanted`, and the cache, None where there is none and none was needed.

    Raises UsageError for a name that means nothing, DifferenceError for a lock that cannot be gone by.
    """
    found = _names(options, wanted)
    old, new = (_side(found, each) for each in wanted)
    return old, new, found.archive.directory if isinstance(found, Names) else None


def _names(options: Options, wanted: tuple[str, str]) -> Names | UsageError:
    """The versions of the dataset; or why there are none, which matters only to names that are no paths."""
    try:
        return find_kept(options)[1]
    except UsageError as error:
        own = next((path for path in map(Path, wanted) if path.absolute().parent == OUTPUTS.absolute()), None)
        if options.dataset is not None or own is None:
            return error
        return _names(replace(options, dataset=str(own)), wanted)


def _side(found: Names | UsageError, wanted: str) -> Compared:
    path = Path(wanted)
    if LATEST.fullmatch(wanted) or (DIGEST.fullmatch(wanted) and not path.exists()):
        if isinstance(found, UsageError):
            raise found
        return _kept(found.archive, found.version(wanted), wanted)
    if isinstance(found, UsageError) and not path.exists():
        raise found
    return _named_by_path(found if isinstance(found, Names) else None, wanted)


def _named_by_path(names: Names | None, wanted: str) -> Compared:
    """What a path or a commit names: from the cache where it is there, else from where it lies."""
    folder = Path(wanted)
    bare = folder.is_dir() and (folder / ARTEFACTS[0]).is_file() and not (folder / LOCK).exists()
    lock = None if bare else lock_named(wanted, names.folder if names is not None else Path())
    if lock is None and not bare:
        return _kept_or_refused(names, wanted)
    if lock is not None and names is not None:
        version = names.archive.find(lock.version, names.name) or names.archive.find(lock.version)
        if version is not None:
            return _with_settings_of(lock, _kept(names.archive, version, wanted))
    if folder.is_dir() and (folder / ARTEFACTS[0]).is_file():
        return _in_folder(folder, wanted, lock)
    assert lock is not None, "a folder without rows and without a lock was refused"  # noqa: S101
    return _locked(lock, wanted, names.archive.directory if names is not None else None)


def _kept_or_refused(names: Names | None, wanted: str) -> Compared:
    if names is None:
        raise UsageError(f"'{wanted}' names no version: say the path of an output folder or lock file")
    return _kept(names.archive, names.version(wanted), wanted)


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
        sha256={name: version.files[name].sha256 for name in ARTEFACTS if name in version.files},
        recipe=recipe,
        facts=facts_of(recipe),
        content=KeptContent(archive.objects, version.files),
    )


def _with_settings_of(lock: Lock, side: Compared) -> Compared:
    """The same version may have been built with other settings: those that the lock tells count."""
    return side if side.facts == lock.recipe else replace(side, recipe=None, facts=lock.recipe)


def _in_folder(folder: Path, wanted: str, lock: Lock | None) -> Compared:
    """The files that lie in a folder, as they are."""
    content = FolderContent(folder)
    counts: dict[str, int] = {stage: content.lines(f"{stage}.jsonl") for stage in STAGES}
    sha256 = {name: content.sha256[name] for name in ARTEFACTS if name in content.sha256}
    version = version_of(sha256)
    state = Dataset(folder).state()
    built = state if state is not None and state.version == version else None
    told = lock if lock is not None and lock.version == version else None
    recipe = built.recipe if built is not None else None
    facts = facts_of(recipe) if recipe is not None else told.recipe if told is not None else None
    return Compared(
        wanted=wanted,
        version=version,
        dataset=folder.absolute().name,
        at=None,
        until=built.until if built is not None else told.until if told is not None else _reached(sha256),
        counts=counts,
        missing=told.missing if told is not None else {},
        sha256=sha256,
        recipe=recipe,
        facts=facts,
        content=content,
        note="" if facts is not None else _stray(folder, lock),
    )


def _reached(sha256: dict[str, str]) -> str:
    """The stage that a build went up to, by its files; exports are no matter here."""
    last = [stage for stage in STAGES if f"{stage}.jsonl" in sha256][-1]
    return "dataset" if last == STAGES[-1] else last


def _stray(folder: Path, lock: Lock | None) -> str:
    what = "has no lock" if lock is None else f"was edited, or {LOCK} was: it names {lock.version[:SHORT]}"
    return f"{folder} {what}. Its files are compared as they are, and its settings are not known"


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
        recipe=None,
        facts=lock.recipe,
        content=None,
        note=f"version {lock.version[:SHORT]} ({wanted}) is not in {where}, so items cannot be compared: bring it by "
        "cache pull or cache import, or name the folder with its files",
    )
