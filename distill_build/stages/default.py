"""The graph of a dataset of which nothing tells its own: files without a state and a lock."""

from typing import TYPE_CHECKING

from distill_build.graph import Graph

if TYPE_CHECKING:
    from distill_build.dataset.layout import Dataset

DEFAULT = Graph.parse(
    {
        "tags": "t: list",
        "questions": "q: list of tags",
        "dedup": "dedup: transform of questions",
        "answers": "a: map of questions",
    }
)


def graph_in(dataset: "Dataset") -> Graph:
    """The stages that the files of `dataset` are of. Raises StorageError where what tells them cannot be read."""
    return dataset.graph() or DEFAULT
