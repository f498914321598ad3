"""The graph of stages: what is reached, what lies above what, and what is no graph at all."""

import pytest

from distill_build.errors import StorageError
from distill_build.graph import END, Graph, Shape, in_order

GRAPH = Graph(
    (
        Shape("tags", "list", None, "t"),
        Shape("questions", "list", "tags", "q"),
        Shape("dedup", "transform", "questions", "dedup"),
        Shape("answers", "map", "questions", "a"),
        Shape("scores", "map", "answers", "scores"),
        Shape("good", "transform", "scores", "good"),
        Shape("votes", "group", "answers", "votes", by="questions"),
    )
)


def test_a_graph_comes_back_from_what_describes_it() -> None:
    assert Graph.parse(GRAPH.described()).shapes == GRAPH.shapes


def test_until_reaches_all_up_to_a_stage_and_the_exports_all() -> None:
    assert GRAPH.reached("dedup") == ("tags", "questions", "dedup")
    assert GRAPH.reached(END) == GRAPH.names
    assert GRAPH.reaches("scores", "answers")
    assert not GRAPH.reaches("answers", "scores")
    assert GRAPH.up_to("answers").names == ("tags", "questions", "dedup", "answers")


@pytest.mark.parametrize(
    ("stage", "lineage"),
    [
        ("tags", ("tags",)),
        ("scores", ("tags", "questions", "answers", "scores")),
        ("good", ("tags", "questions", "answers", "scores")),
        ("votes", ("tags", "questions", "votes")),
    ],
)
def test_the_lineage_leads_from_the_tree_to_the_rows_that_are_meant(stage: str, lineage: tuple[str, ...]) -> None:
    assert GRAPH.lineage(stage) == lineage


def test_a_verdict_is_on_the_rows_of_the_first_stage_above_that_is_no_transform() -> None:
    twice = Graph((*GRAPH.shapes[:3], Shape("short", "transform", "dedup", "short")))
    assert twice.rows_of("short").name == "questions"
    assert [shape.name for shape in twice.judges("questions")] == ["dedup", "short"]


@pytest.mark.parametrize(("stage", "above"), [("tags", None), ("dedup", "questions"), ("scores", "answers"),
                                              ("votes", "questions")])  # fmt: skip
def test_what_rows_lie_below(stage: str, above: str | None) -> None:
    shape = GRAPH.above(stage)
    assert (shape.name if shape else None) == above


@pytest.mark.parametrize(("key", "stage"), [("q_0123", "questions"), ("votes_0123", "votes"), ("q", None),
                                            ("dedup_0123", None), ("x_0123", None)])  # fmt: skip
def test_an_id_tells_its_stage_and_a_verdict_has_none_of_its_own(key: str, stage: str | None) -> None:
    shape = GRAPH.of_id(key)
    assert (shape.name if shape else None) == stage


@pytest.mark.parametrize(
    "described",
    [
        {},
        {"questions": "q: list of tags"},
        {"tags": "t: list", "topics": "p: list"},
        {"tags": "t: list", "questions": "t: list of tags"},
        {"tags": "t: list", "votes": "v: group of tags"},
        {"tags": "t: list", "dedup": "d: transform"},
        {"tags": "t: list", "questions": "q: lists of tags"},
        {"tags": "t: list", "../questions": "q: list of tags"},
        {"tags": "t: list", "a": "a: map of b", "b": "b: map of a"},
    ],
)
def test_what_is_no_graph_is_refused_whoever_wrote_it(described: dict[str, str]) -> None:
    with pytest.raises(StorageError):
        Graph.parse(described)


def test_stages_of_several_graphs_stand_behind_what_they_follow() -> None:
    assert in_order([["a", "b", "d"], ["a", "c", "d", "e"]]) == ["a", "c", "b", "d", "e"]
