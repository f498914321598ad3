"""How many rows settings, and a tree by hand, declare."""

from distill_build.graph import Graph, Shape
from distill_build.stages.kinds.declared import Declared
from distill_build.subtree import TagByHand

GRAPH = Graph(
    (
        Shape("tags", "list", None, "t"),
        Shape("notes", "map", "tags", "n"),
        Shape("good", "transform", "tags", "good"),
        Shape("questions", "list", "tags", "q"),
        Shape("answers", "map", "questions", "a"),
    )
)


def rows(by_hand: TagByHand) -> dict[str, int]:
    declared = Declared(
        graph=GRAPH,
        depth=2,
        breadth=[3, 2],
        each={"notes": 2, "questions": 5, "answers": 1},
        keys={"notes": "stage.notes.samples", "questions": "questions_per_tag", "answers": "answers_per_question"},
        models={"notes": 1, "questions": 1, "answers": 1},
        per_request={"tags": 5, "notes": 1, "questions": 5, "answers": 1},
        by_hand=by_hand,
    )
    return declared.rows()


def test_the_topic_is_no_row_of_any_stage() -> None:
    assert rows(TagByHand()) == {"tags": 9, "notes": 18, "good": 9, "questions": 30, "answers": 30}


def test_what_a_person_says_of_a_part_of_the_tree_counts() -> None:
    golf = TagByHand(counts={"questions_per_tag": 7}, breadth=4)
    assert rows(TagByHand(children={"Golf": golf})) == {
        "tags": 3 + 4 + 2 * 2,
        "notes": 22,
        "good": 11,
        "questions": 4 * 7 + 4 * 5,
        "answers": 48,
    }
    assert rows(TagByHand(only=True, children={"Golf": TagByHand(depth=0)}))["questions"] == 5
