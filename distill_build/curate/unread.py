"""Files that people take to be read, and that are not: what lies behind one that comes before it, or is misnamed."""

import os
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path

from distill_build.curate.files import FOLDER
from distill_build.errors import ConfigurationError

SUFFIXES = frozenset({".yaml", ".yml", ".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".parquet"})
"""How a file may end that is one of ours in its author's eyes; all of these are looked at, and few are there."""
ALIKE = 0.85
"""From which likeness on, of 0 to 1, a name is taken for a slip: `review.jsonl` has 0.96, `train.yaml` 0.74."""
SaysSomething = Callable[[Path], object]


def unread_files(dataset: str, files: Mapping[str, SaysSomething], built: Collection[str]) -> Iterator[str]:
    """Sentences on what a dataset does not read. `files` are the names of those that it may have, each with whether
    what stands in one is for it; `built` are the names of all datasets that were built here."""
    yield from _shadowed(Path(FOLDER, dataset), files)
    for folder in (Path(), Path(FOLDER, dataset)):
        for file, name in _misnamed(folder, files):
            yield f"{file} is not read: call it {name}"
    yield from _misplaced(dataset, files, built)


def _shadowed(own: Path, files: Mapping[str, SaysSomething]) -> Iterator[str]:
    for name, says in files.items():
        first, behind = own / name, Path(name)
        if first.is_file() and behind.is_file() and not _is_same(first, behind) and _says_something(behind, says):
            yield f"{behind} is not read: {first} comes before it; move there what it says"


def _misplaced(dataset: str, names: Collection[str], built: Collection[str]) -> Iterator[str]:
    own = Path(FOLDER, dataset)
    for entry in _entries(Path(FOLDER)):
        if entry.name in names:
            yield f"{entry.path} is not read: move it to {own / entry.name}"
        elif entry.is_dir() and entry.name not in (dataset, *built) and not _is_same(Path(entry), own):
            yield f"{entry.path} is of no dataset that was built here: what people say of {dataset} stands in {own}"


def _says_something(file: Path, says: SaysSomething) -> bool:
    try:
        return bool(says(file))
    except ConfigurationError:  # who it is for cannot be told
        return True


def _misnamed(folder: Path, names: Collection[str]) -> Iterator[tuple[Path, str]]:
    """The files in a folder that are called nearly as one of ours, each with that name."""
    for entry in _entries(folder):
        stem, suffix = os.path.splitext(entry.name)  # noqa: PTH122 - of a name alone
        if entry.name in names or suffix.lower() not in SUFFIXES or not entry.is_file():
            continue
        import difflib  # most folders have no file that ends so

        near = difflib.get_close_matches(f"{stem}{suffix}".lower(), names, 1, ALIKE)
        if near and not _is_same(folder / near[0], Path(entry)):  # as where letter case does not count
            yield Path(folder, entry.name), near[0]


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        return sorted((entry for entry in os.scandir(folder) if entry.name[:1] != "."), key=lambda entry: entry.name)
    except OSError:  # most often there is none
        return []


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False
