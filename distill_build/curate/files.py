"""Where the files lie that people own. A dataset's own folder comes before the project's root."""

from pathlib import Path

FOLDER = "curate"
TREE = "tree.yaml"
REVIEWS = "reviews.jsonl"


def file_of(dataset: str, name: str) -> Path | None:
    """The file of that name that a dataset goes by; None where there is none. Relative to the project's root."""
    places = (Path(FOLDER, dataset, name), Path(name))
    return next((place for place in places if place.is_file()), None)
