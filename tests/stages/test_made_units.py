"""What rows of a dataset's files lack, by the recipe that they were made with."""

import json
from pathlib import Path
from typing import Any

import pytest

from distill_build.graph import Graph
from distill_build.stages.made_units import made_units

GRAPH = Graph.parse({"tags": "t: list", "questions": "q: list of tags", "of_tag": "of_tag: group of questions by tags"})
RECIPE: dict[str, Any] = {
    "tree": {"topic": "top", "breadth": [3]},
    "questions": {"role": ["student"], "counted_by": "questions_per_tag"},
    "counts": {"questions_per_tag": 2},
}


def lacking(folder: Path, tree: dict[str, Any], *tags: tuple[str, list[int]]) -> dict[str, set[str]]:
    """What tags lack of a dataset with these: the label of each, and the numbers of its questions."""
    rows: dict[str, list[dict[str, Any]]] = {"tags": [], "questions": [], "of_tag": []}
    for place, (label, numbers) in enumerate(tags, start=1):
        key, path = f"t_{label}", ["top", label]
        rows["tags"].append({"id": key, "path": path, "number": str(place), "level": 1, "leaf": True})
        rows["questions"] += [{"id": f"q_{label}_{each}", "tag": key, "path": path, "index": each} for each in numbers]
        rows["of_tag"].append({"id": f"of_tag_{label}", "parent": key, "path": path})
    for name, lines in rows.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    recipe = RECIPE | {"tree": RECIPE["tree"] | ({"tree.yaml": tree} if tree else {})}
    units = made_units(lambda name: folder / name, GRAPH, recipe, frozenset(GRAPH.names))
    return {tag.line["path"][-1]: set(tag.lacking) for tag, _ in units}


def test_a_leaf_lacks_questions_where_it_has_fewer_than_settings_say(tmp_path: Path) -> None:
    assert lacking(tmp_path, {}, ("A", [0, 1]), ("B", [0])) == {"A": set(), "B": {"questions"}}


@pytest.mark.parametrize(
    "said", [{"tags": {"B": {"questions_per_tag": 1}}}, {"about": {"b": {"questions_per_tag": 1}}}]
)
def test_or_fewer_than_a_person_says_of_the_place(tmp_path: Path, said: dict[str, Any]) -> None:
    assert lacking(tmp_path, said, ("A", [0]), ("B", [0])) == {"A": {"questions"}, "B": set()}


def test_a_place_is_known_by_the_label_that_people_see(tmp_path: Path) -> None:
    said = {"tags": {"B": {"questions_per_tag": 3}}, "rename": {"B": "Bees"}}
    assert lacking(tmp_path, said, ("Bees", [0, 1]), ("A", [0, 1])) == {"Bees": {"questions"}, "A": set()}


def test_a_tag_behind_all_others_is_there_for_questions_of_ones_own(tmp_path: Path) -> None:
    made = [(label, [0, 1]) for label in "ABC"]
    assert lacking(tmp_path, {}, *made, ("Own", [-1])) == {label: set() for label in ("A", "B", "C", "Own")}


@pytest.mark.parametrize(
    ("label", "wanted"),
    [("bees", 2), ("Bees", 2), ("BEES ", 2), ("b", 2), ("B", 1), ("C", 5), ("c", 5), ("D", 5), ("d", 5)],
)
def test_a_label_that_fits_several_places_is_the_first_seen_one_then_the_own_as_typed_then_the_first_own(
    tmp_path: Path, label: str, wanted: int
) -> None:
    said = {
        "about": {"B": {"questions_per_tag": 1}, "b": {"questions_per_tag": 2}, "c": {"questions_per_tag": 3}},
        "tags": {"C": {"questions_per_tag": 4}, "D": {"questions_per_tag": 5}},
        "rename": {"b": "Bees", "C": "bees", "D": "c"},
    }
    assert lacking(tmp_path, said, (label, [*range(wanted)])) == {label: set()}
    assert lacking(tmp_path, said, (label, [*range(wanted - 1)])) == {label: {"questions"}}
