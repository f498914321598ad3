"""The rows of a build that has not ended: noted in any order, read back in the order of the tree."""

import random
from pathlib import Path

import pytest

from distill_build.dataset.layout import Dataset
from distill_build.dataset.so_far import RowsSoFar, dataset_so_far
from distill_build.dataset.transaction import NEW, SO_FAR
from distill_build.graph import Graph
from distill_build.records import JsonObject

GRAPH = Graph.parse(
    {
        "tags": "t: list",
        "questions": "q: list of tags",
        "dedup": "dedup: transform of questions",
        "answers": "a: map of questions",
        "scores": "s: map of answers",
        "votes": "v: group of answers by questions",
    }
)


def rows() -> dict[str, list[JsonObject]]:
    """The rows of a small dataset, in the order of the tree; eleven tags, since 10 stands behind 9 and not behind 1."""
    made: dict[str, list[JsonObject]] = {name: [] for name in GRAPH.names}
    for tag in range(1, 12):
        path = ["sports", f"tag {tag}"]
        made["tags"].append({"id": f"t_{tag}", "path": path, "number": str(tag), "label": path[-1], "parent": None})
        for index in range(2):
            question = f"q_{tag}{index}"
            made["questions"].append({"id": question, "tag": f"t_{tag}", "path": path, "index": index, "question": "?"})
            made["dedup"].append({"id": question, "kept": True, "why": []})
            made["votes"].append({"id": f"v_{question}", "parent": question, "path": path})
            for sample in range(2):
                answer = f"a_{tag}{index}{sample}"
                above = {"question_id": question, "tag": f"t_{tag}", "path": path, "sample": sample}
                made["answers"].append({"id": answer, **above, "answer": "Ja, 体育"})
                made["scores"].append({"id": f"s_{answer}", "parent": answer, "path": path, "sample": 0, "score": 4})
    return made


@pytest.mark.parametrize("seed", range(5))
def test_rows_that_come_in_any_order_stand_in_that_of_the_tree(tmp_path: Path, seed: int) -> None:
    expected = rows()
    noted = [(stage, row) for stage, lines in expected.items() for row in lines]
    random.Random(seed).shuffle(noted)
    so_far = RowsSoFar(tmp_path / "runs/one" / NEW, GRAPH, {"tree": {}})
    for stage, row in noted:
        so_far.add(stage, [row])
    so_far.close()
    whole = RowsSoFar(tmp_path / "whole/runs/one" / NEW, GRAPH, {"tree": {}})
    for stage, lines in expected.items():
        whole.add(stage, lines)
    whole.close()
    for place in (tmp_path, tmp_path / "whole"):
        with dataset_so_far(Dataset(place)) as found:
            assert found is not None
            assert (found.run_id, found.recipe(), found.graph().described()) == ("one", {"tree": {}}, GRAPH.described())
            read = {shape.name: found.artefact(shape.file).read_bytes() for shape in GRAPH}
        ids = {name: [row["id"] for row in lines] for name, lines in expected.items()}
        assert {
            name: [line.split(b'"')[3].decode() for line in text.splitlines()] for name, text in read.items()
        } == ids
        assert "体育".encode() in read["answers"]


@pytest.mark.parametrize("cut", [1, 20])
def test_a_line_that_is_just_being_written_is_left_out(tmp_path: Path, cut: int) -> None:
    so_far = RowsSoFar(tmp_path / "runs/one" / NEW, GRAPH, {})
    so_far.add("tags", rows()["tags"][:2])
    so_far.close()
    notes = tmp_path / "runs/one" / NEW / SO_FAR
    notes.write_bytes(notes.read_bytes()[:-cut])
    with dataset_so_far(Dataset(tmp_path)) as found:
        assert found is not None
        assert found.artefact("tags.jsonl").read_bytes().count(b"\n") == 1


def test_before_anything_is_noted_there_is_nothing_to_look_at(tmp_path: Path) -> None:
    with dataset_so_far(Dataset(tmp_path)) as found:
        assert found is None
    notes = tmp_path / "runs/one" / NEW / SO_FAR
    notes.parent.mkdir(parents=True)
    notes.write_bytes(b"")
    with dataset_so_far(Dataset(tmp_path)) as found:
        assert found is None
