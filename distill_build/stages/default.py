"""The graph of a dataset of which nothing tells its own: files without a state and a lock."""

from distill_build.graph import Graph

DEFAULT = Graph.parse(
    {
        "tags": "t: list",
        "questions": "q: list of tags",
        "dedup": "dedup: transform of questions",
        "answers": "a: map of questions",
    }
)
