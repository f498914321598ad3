"""Where the files lie that people own. A dataset's own folder comes before the project's root."""

import stat
from pathlib import Path

from distill_build.curate.texts import cannot_be_read
from distill_build.errors import ConfigurationError
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
    """The file of that name that a dataset goes by; None where there is none. Relative to the project's root.

    Raises ConfigurationError for what lies in its place and cannot be read: nothing that people say is passed over.
    """
    places = (Path(FOLDER, dataset, name), Path(name))
    return next((place for place in places if _is_there(place)), None)


def _is_there(place: Path) -> bool:
    try:
        try:
            place.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        mode = place.stat().st_mode
    except OSError as error:  # a link to nowhere, or a folder that one may not look into
        raise cannot_be_read(place, error) from error
    if not stat.S_ISREG(mode):
        raise ConfigurationError(f"{place} is no file, and one belongs there: move it away")
    return True
