"""Where the files lie that people own. A dataset's own folder comes before the project's root."""

from pathlib import Path

FOLDER = "curate"
TREE = "tree.yaml"
REVIEWS = "reviews.jsonl"
ITEM_SUFFIXES = (".jsonl", ".csv", ".parquet")
"""Of a file with items of one's own, which is called as their stage."""


def file_of(dataset: str, name: str) -> Path | None:
    """The file of that name that a dataset goes by; None where there is none. Relative to the project's root."""
    places = (Path(FOLDER, dataset, name), Path(name))
    return next((place for place in places if place.is_file()), None)
