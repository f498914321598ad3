"""Finds the dataset of `history` and `checkout`: also one of which there is no folder yet, in the cache alone."""

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from distill_build.commands.locate import OUTPUTS, find_cache, find_dataset, folder_at
from distill_build.errors import UsageError
from distill_build.naming import dataset_name
from distill_build.options import Options
from distill_build.stages.dataset import Dataset
from distill_build.stages.setting_wording import listed
from distill_build.versions.archive import Archive
from distill_build.versions.names import Names, digest_named

NAMED = 3
"""Datasets to choose from, named one by one."""


def find_kept(options: Options, name: str | None = None) -> tuple[Dataset, Names]:
    """As `find_versions`; where there is no such folder, a dataset that the cache has versions of.

    Raises UsageError where there is neither.
    """
    try:
        dataset = find_dataset(options, name)
    except UsageError as error:
        wanted = name or options.dataset
        if wanted is None and any(OUTPUTS.glob("*/tags.jsonl")):
            raise  # there are several
        dataset = _in_cache(options, error, lambda known, _: wanted in (None, known) or known == dataset_name(wanted))
    return dataset, _names(options, dataset)


def find_place(options: Options, version: str, name: str | None) -> tuple[Dataset, Names]:
    """The dataset that `version`, as typed, is to be brought back into.

    It is the one that is named; else the folder under outputs/ that `version` is; else the only one; else the one
    whose version it is. -o may name a folder that is not there yet.
    """
    named = name or options.dataset
    try:
        return find_kept(options, name or (_own_folder(version) if named is None else None))
    except UsageError as error:
        if named is None and (beginning := digest_named(version)) is not None:
            dataset = _in_cache(options, error, lambda _, digest: digest.startswith(beginning))
        elif name is None and options.dataset is not None and _is_free(Path(options.dataset)):
            dataset = Dataset(folder_at(options.dataset))
        else:
            raise
    return dataset, _names(options, dataset)


def _is_free(folder: Path) -> bool:
    """Whether a dataset may be brought into a folder where none is; sweeps over it lie in it too."""
    from distill_build.sweeps.jobs import SWEEPS  # which reads the prompts' language, and is seldom wanted

    return not folder.exists() or (folder.is_dir() and not {path.name for path in folder.iterdir()} - {SWEEPS})


def _names(options: Options, dataset: Dataset) -> Names:
    """The names of a dataset's versions. Where it was not built yet, the other datasets say which cache there is."""
    built = dataset.state() is not None
    cache = find_cache(options, dataset) if built else find_cache(replace(options, dataset=None))
    return Names(Archive(cache), dataset.folder, dataset.folder.name)


def _in_cache(options: Options, otherwise: UsageError, fits: Callable[[str, str], bool]) -> Dataset:
    """The only dataset that has a version which `fits`, by the dataset's name and the version; else `otherwise`."""
    known = sorted({name for name, version in _known(options) if fits(name, version)})
    names = [name for name in known if os.sep not in name] or known  # a sweep's jobs stand back
    if not names:
        raise otherwise
    if len(names) > 1:
        raise UsageError(f"which dataset? The cache has versions of {listed(names, NAMED)}: name one of them with -o")
    return Dataset(OUTPUTS / names[0])


def _known(options: Options) -> Iterator[tuple[str, str]]:
    """(dataset's name, version) of all that the cache holds; nothing where there is no cache."""
    try:
        cache = find_cache(replace(options, dataset=None))
    except UsageError:
        return
    for version in Archive(cache).all():
        yield version.name, version.version


def _own_folder(version: str) -> str | None:
    path = Path(version)
    return path.name if path.is_dir() and path.absolute().parent == OUTPUTS.absolute() else None
