"""Finds the dataset and the cache that a command without a configuration works on."""

import difflib
import os
from collections.abc import Iterable
from pathlib import Path

from distill_build.engine.cache_directory import MARKER
from distill_build.errors import UsageError
from distill_build.naming import dataset_name
from distill_build.options import Options
from distill_build.stages.dataset import Dataset
from distill_build.versions.archive import Archive
from distill_build.versions.lockfile import LOCK
from distill_build.versions.names import Names

OUTPUTS = Path("outputs")
"""The default of output_dir. A dataset elsewhere is named by its folder."""
DEFAULT_CACHE = Path(".distill-cache")
CACHE_VARIABLE = "DISTILL_CACHE_DIR"


def find_dataset(options: Options, name: str | None = None) -> Dataset:
    """The dataset called `name`, or named by -o, or the only one there is.

    Either may be a folder, a name under outputs/, or a topic as it was typed. Raises UsageError where there is
    none, or where there are several to choose from.
    """
    if name is not None and options.dataset is not None:
        raise UsageError(f"the dataset is named twice, as '{name}' and by -o {options.dataset}: leave one out")
    wanted = name or options.dataset
    return _only() if wanted is None else _called(wanted)


def find_cache(options: Options, dataset: Dataset | None = None) -> Path:
    """The cache's folder: --cache-dir, else DISTILL_CACHE_DIR, else what the last build of the dataset recorded.

    Where no dataset is given or named, all that there are. Raises UsageError where there is none at that place, or
    where the datasets have several.
    """
    place, source = _cache_place(options, dataset)
    if not (place / MARKER).exists():
        raise UsageError(f"there is no cache at {place} ({source}): name its folder with --cache-dir DIR")
    return place


def place_for_cache(options: Options) -> Path:
    """The folder that `find_cache` would name, whether or not a cache is there yet."""
    return _cache_place(options, None)[0]


def find_versions(options: Options, name: str | None = None) -> tuple[Dataset, Names]:
    """A dataset as `find_dataset` finds it, with the names of its versions in the cache that `find_cache` finds."""
    dataset = find_dataset(options, name)
    cache = find_cache(options, dataset)
    return dataset, Names(Archive(cache), dataset.folder, dataset.folder.name)


def _called(wanted: str) -> Dataset:
    for folder in (OUTPUTS / wanted, Path(wanted), OUTPUTS / dataset_name(wanted)):
        if _is_dataset(folder):
            return Dataset(folder)
    names = [folder.name for folder in _folders()]
    near = difflib.get_close_matches(dataset_name(wanted), names, n=1)
    hint = f"did you mean '{near[0]}'?" if near else _what_there_is(names)
    raise UsageError(f"there is no dataset '{wanted}': {hint}")


def _only() -> Dataset:
    folders = _folders()
    if len(folders) == 1:
        return Dataset(folders[0])
    names = [folder.name for folder in folders]
    begin = "which dataset?" if folders else f"there is no dataset under {OUTPUTS}/:"
    raise UsageError(f"{begin} {_what_there_is(names)}")


def _what_there_is(names: list[str]) -> str:
    if not names:
        return "build one, as in distill-build topic=sports, or name a dataset's folder with -o DIR"
    return f"there are {', '.join(names)} under {OUTPUTS}/; a folder elsewhere is named with -o DIR"


def _folders() -> list[Path]:
    return sorted(folder for folder in OUTPUTS.glob("*") if _is_dataset(folder))


def _is_dataset(folder: Path) -> bool:
    """A built one, or one of which a fresh clone has the lock alone."""
    return (folder / "tags.jsonl").is_file() or (folder / LOCK).is_file()


def _cache_place(options: Options, dataset: Dataset | None) -> tuple[Path, str]:
    """The folder, and who said so."""
    if options.cache_dir is not None:
        return Path(options.cache_dir), "--cache-dir"
    if from_environment := os.environ.get(CACHE_VARIABLE):
        return Path(from_environment), CACHE_VARIABLE
    if dataset is None and options.dataset is not None:
        dataset = find_dataset(options)
    recorded = _recorded(map(Dataset, _folders()) if dataset is None else [dataset])
    if len(recorded) > 1:
        raise UsageError(f"which cache? {' and '.join(recorded)} are in use here: choose with --cache-dir DIR")
    return (Path(recorded[0]), "as the last build recorded") if recorded else (DEFAULT_CACHE, "the default")


def _recorded(datasets: Iterable[Dataset]) -> list[str]:
    """The caches that the last builds of `datasets` used."""
    states = ((dataset, dataset.state()) for dataset in datasets)
    return sorted({str(dataset.cache(state)) for dataset, state in states if state is not None})
