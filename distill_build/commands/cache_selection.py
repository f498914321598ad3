"""Which part of the cache the flags and words of `cache export` and `cache push` mean."""

from pathlib import Path

from distill_build.cache.selection import Selection, of_versions, whole_cache
from distill_build.commands.locate import find_dataset
from distill_build.errors import UsageError
from distill_build.options import Options
from distill_build.versions.archive import Archive
from distill_build.versions.names import GIT, LATEST, Names


def selected(options: Options, cache: Path, version: str | None) -> Selection:
    """The version that is named, else the versions of the dataset named by -o, else the whole cache.

    Raises UsageError for a version or dataset that is not there.
    """
    archive = Archive(cache)
    if version is not None:
        return of_versions(archive, [_names(options, archive, version).version(version)], exact=True)
    if options.dataset is None:
        return whole_cache(archive)
    folder = find_dataset(options).folder
    versions = archive.history(folder, folder.name)
    if not versions:
        raise UsageError(f"{cache} holds no version of {folder}: build it, or take the whole cache without -o")
    return of_versions(archive, versions, exact=False)


def _names(options: Options, archive: Archive, version: str) -> Names:
    """The names of versions; a digest or a path needs no dataset to mean something."""
    if options.dataset is None and not LATEST.fullmatch(version) and not version.startswith(GIT):
        return Names(archive, Path(), "")
    folder = find_dataset(options).folder
    return Names(archive, folder, folder.name)
