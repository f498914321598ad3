"""Where the files lie that people own. A dataset's own folder comes before the project's root."""

from pathlib import Path

from distill_build.review import REVIEWS_FILE
from distill_build.subtree import TREE_FILE

FOLDER = "curate"
TREE, REVIEWS = TREE_FILE, REVIEWS_FILE
ITEM_SUFFIXES = (".jsonl", ".csv", ".parquet")
"""Of a file with items of one's own, which is called as their stage."""


FileStamp = tuple[int, int, int]


def stamp_of(file: Path) -> FileStamp:
    """What tells whether a file is another one than before: its time, size and number."""
    facts = file.stat()
    return facts.st_mtime_ns, facts.st_size, facts.st_ino


def file_of(dataset: str, name: str) -> Path | None:
    """The file of that name that a dataset goes by; None where there is none. Relative to the project's root."""
    places = (Path(FOLDER, dataset, name), Path(name))
    return next((place for place in places if place.is_file()), None)
