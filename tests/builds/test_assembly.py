"""From units that end in any order to artefacts in tree order."""

import itertools
import json
from pathlib import Path

import pytest

from distill_build.builds.assembly import PreviousBuild, UnitRows, write_artefacts
from distill_build.builds.walk.nodes import Node, Unit, topic_node
from distill_build.dataset.layout import SOURCES, Dataset
from distill_build.dataset.unit import Row
from distill_build.graph import Graph, Shape
from distill_build.stages.course import Phase, Segment
from distill_build.subtree import Subtree

GRAPH = Graph((Shape("tags", "list", None, "t"), Shape("notes", "map", "tags", "n")))
SEGMENT = Segment((Phase(("notes",)),), None, (), ())


def tree() -> tuple[Node, list[Unit]]:
    """A topic with three tags, each with a unit that has made two notes, the second of them first."""
    root, units = topic_node("sports", Subtree(1, (3,))), []
    for index, label in enumerate(("Ball games", "Swimming", "体操")):
        node = root.child(label, "t", index, index, root.subtree.below())
        unit = node.unit = Unit(node, Row("tags", node.line(), ()), leaf=True)
        for number in (1, 0):
            unit.add(Row("notes", {"id": f"n_{index}{number}", "text": label}, (number,), unit.tag))
            unit.work.sources.setdefault("notes", {})[number,] = (f"call {index}{number}", "response")
        units.append(unit)
    return root, units


def memo(unit: Unit, segment: int, verdicts: str) -> str:
    return f"{unit.node.id} {segment} {verdicts}"


def assembled(folder: Path, order: tuple[int, ...]) -> dict[str, bytes]:
    """The artefacts of `tree` whose units ended in `order`."""
    root, units = tree()
    rows = UnitRows(
        GRAPH, PreviousBuild(Dataset(folder), {}, memo, lambda _: False, frozenset()), lambda: folder / "new"
    )
    for number in order:
        units[number].outcomes = (rows.take(units[number], 0, SEGMENT, ""),)
        units[number].leave()
    writers, outcomes = write_artefacts(root, GRAPH, rows, folder / "files")
    assert [each.rows["notes"].count for each in outcomes] == [2, 2, 2]
    return {name: writer.path.read_bytes() for name, writer in writers.items()}


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_the_bytes_do_not_depend_on_the_order_in_which_units_end(tmp_path: Path, order: tuple[int, ...]) -> None:
    found = assembled(tmp_path, order)
    notes = [json.loads(line)["id"] for line in found["notes.jsonl"].splitlines()]
    assert notes == ["n_00", "n_01", "n_10", "n_11", "n_20", "n_21"]
    assert [json.loads(line)["label"] for line in found["tags.jsonl"].splitlines()] == [
        "Ball games",
        "Swimming",
        "体操",
    ]
    calls = [key for line in found[SOURCES].splitlines() for key, _ in json.loads(line)["calls"]["notes"]]
    assert calls == ["call 00", "call 01", "call 10", "call 11", "call 20", "call 21"]


def test_what_the_last_build_made_of_a_unit_is_copied_from_where_it_lies(tmp_path: Path) -> None:
    before = assembled(tmp_path, (0, 1, 2))
    for name in ("tags.jsonl", "notes.jsonl", SOURCES):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(before[name])
    root, units = tree()
    spooled = UnitRows(
        GRAPH, PreviousBuild(Dataset(tmp_path), {}, memo, lambda _: False, frozenset()), lambda: tmp_path / "new"
    )
    for unit in units:
        unit.outcomes = (spooled.take(unit, 0, SEGMENT, ""),)
    _, outcomes = write_artefacts(root, GRAPH, spooled, tmp_path / "files")

    root, units = tree()
    known = {each.memo: each for each in outcomes if each.memo is not None}
    rows = UnitRows(
        GRAPH,
        PreviousBuild(Dataset(tmp_path), known, memo, lambda path: path[-1] == "Swimming", frozenset()),
        lambda: tmp_path / "new",
    )
    recalled = [rows.recall(unit, 0, "") for unit in units]
    assert [each is None for each in recalled] == [False, True, False], "what --rebuild names is made anew"
    assert rows.recall(units[0], 0, "other verdicts") is None
    for unit, outcome in zip(units, recalled, strict=True):
        unit.outcomes = (outcome or rows.take(unit, 0, SEGMENT, ""),)
    writers, _ = write_artefacts(root, GRAPH, rows, tmp_path / "again")
    assert {name: writer.path.read_bytes() for name, writer in writers.items()} == before


def test_a_unit_that_lacks_something_is_not_remembered(tmp_path: Path) -> None:
    _, units = tree()
    rows = UnitRows(
        GRAPH, PreviousBuild(Dataset(tmp_path), {}, memo, lambda _: False, frozenset()), lambda: tmp_path / "new"
    )
    units[0].work.incomplete = True
    assert rows.take(units[0], 0, SEGMENT, "").memo is None
    assert rows.take(units[1], 0, SEGMENT, "").memo == memo(units[1], 0, "")
