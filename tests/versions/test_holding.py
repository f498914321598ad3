"""Which versions hold an item: against reading everything, and without reading everything."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from msgspec.structs import replace

from distill_build.engine.objects import Objects
from distill_build.stages.default import DEFAULT
from distill_build.versions.archive import Spent, Version
from distill_build.versions.holding import Sought, holdings, newest_with
from distill_build.versions.snapshot import take_snapshot

LEAVES, ANSWERS = 300, 12
VERSIONS = 6


def tag_key(leaf: int) -> str:
    return f"t_{leaf:016x}"


def path_of(leaf: int) -> list[str]:
    return ["sports", f"tag {leaf}"]


def answer_key(leaf: int, place: int) -> str:
    return f"a_{leaf * 7919 + place:016x}"


@dataclass
class Counting(Objects):
    """Objects that know how many were read."""

    directory: Path
    reads: list[str] = field(default_factory=list)

    def get(self, digest: str) -> bytes:
        self.reads.append(digest)
        return super().get(digest)


def lines(rows: list[dict[str, object]]) -> str:
    return "".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows)


def version(objects: Objects, folder: Path, number: int) -> Version:
    """Version `number` lacks every leaf whose number it divides, and words each answer in its own way."""
    leaves = [leaf for leaf in range(LEAVES) if number == 0 or leaf % (number + 1)]
    tags: list[dict[str, object]] = [{"id": tag_key(leaf), "path": path_of(leaf)} for leaf in leaves]
    answers: list[dict[str, object]] = [
        {"id": answer_key(leaf, place), "path": path_of(leaf), "answer": f"{number} {leaf} {place}"}
        for leaf in leaves
        for place in range(ANSWERS - number % 2)
    ]
    files = {"tags.jsonl": tags, "answers.jsonl": answers}
    for name, rows in files.items():
        (folder / name).write_text(lines(rows))
    return Version(
        version=f"{number:064x}", name="sports", topic="sports", at=f"2026-01-0{number + 1}T00:00:00+00:00",
        until="dataset", counts={}, missing={}, spent=Spent(0, 0, 0, None, 0.0), recipe="", stages=DEFAULT.described(),
        files={name: take_snapshot(objects, folder / name) for name in files},
    )  # fmt: skip


@pytest.fixture
def kept(tmp_path: Path) -> tuple[Counting, list[Version]]:
    objects = Counting(tmp_path / "objects")
    versions = [version(objects, tmp_path, number) for number in range(VERSIONS)]
    objects.reads.clear()
    return objects, versions


def test_every_item_is_found_where_it_is_and_nowhere_else(kept: tuple[Counting, list[Version]]) -> None:
    objects, versions = kept
    for leaf in range(0, LEAVES, 23):
        for place in (0, 5, ANSWERS - 1):
            found = list(
                holdings(objects, versions, Sought(DEFAULT["answers"], answer_key(leaf, place), tag_key(leaf)))
            )
            for number, holding in enumerate(found):
                there = (number == 0 or leaf % (number + 1) != 0) and place < ANSWERS - number % 2
                assert holding.content is not None if there else holding.content is None, (leaf, place, number)
                assert holding.content is None or holding.content["answer"] == f"{number} {leaf} {place}"
        tags = list(holdings(objects, versions, Sought(DEFAULT["tags"], tag_key(leaf), tag_key(leaf))))
        assert [holding.content is not None for holding in tags] == [
            number == 0 or leaf % (number + 1) != 0 for number in range(VERSIONS)
        ]


def test_few_chunks_of_a_large_file_are_read_and_none_of_them_twice(kept: tuple[Counting, list[Version]]) -> None:
    objects, versions = kept
    snapshots = [version.files["answers.jsonl"] for version in versions]
    chunks = {digest for snapshot in snapshots for digest in json.loads(objects.get(snapshot.chunks))}
    objects.reads.clear()
    nowhere = Sought(DEFAULT["answers"], answer_key(151, ANSWERS), tag_key(151))
    assert all(holding.content is None for holding in holdings(objects, versions * 3, nowhere))
    assert len(chunks) > 100
    assert len(chunks & set(objects.reads)) < len(chunks) / 3
    assert len(objects.reads) == len(set(objects.reads))


def test_a_damaged_version_is_told_and_the_others_are_looked_at(kept: tuple[Counting, list[Version]]) -> None:
    objects, versions = kept
    objects.place(versions[1].files["answers.jsonl"].chunks).write_bytes(b"damaged")
    found = list(holdings(objects, versions[:3], Sought(DEFAULT["answers"], answer_key(1, 0), tag_key(1))))
    assert [bool(holding.damage) for holding in found] == [False, True, False]
    assert found[0].content is not None


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ('{"id":7}', "none of a dataset"),
        ('{"id":"a_x","path":["sports","nowhere"]}', "sports / nowhere"),
        ('{"id":"a_x"}', "none of a dataset"),
    ],
)
def test_a_line_of_somebody_elses_is_damage_of_its_version(
    kept: tuple[Counting, list[Version]], tmp_path: Path, row: str, told: str
) -> None:
    """Its chunk is whole, so no digest tells."""
    objects, versions = kept
    (tmp_path / "foreign").write_text(row + "\n")
    foreign = take_snapshot(objects, tmp_path / "foreign")
    for file in ("answers.jsonl", "tags.jsonl") if row == '{"id":7}' else ("answers.jsonl",):
        bad = replace(versions[0], files=versions[0].files | {file: foreign})
        found = list(holdings(objects, [bad, versions[0]], Sought(DEFAULT["answers"], answer_key(1, 0), tag_key(1))))
        assert told in found[0].damage
        assert found[1].content is not None


def test_the_newest_version_with_an_id_is_found_by_its_beginning_past_damaged_ones(
    kept: tuple[Counting, list[Version]],
) -> None:
    objects, versions = kept
    newest_first, key = versions[::-1] * 2, answer_key(5, ANSWERS - 1)
    lists = {version.files["answers.jsonl"].chunks for version in versions}

    def found(begin: str) -> Version | None:
        return newest_with(objects, newest_first, begin)

    assert found(key) is versions[2], "odd ones lack the last answer, and number 4 lacks leaf 5"
    assert found(key[:-1]) is versions[5], "it has others of the leaf"
    objects.reads.clear()
    assert found(answer_key(LEAVES, 0)) is None
    chunks = [digest for digest in objects.reads if digest not in lists]
    assert len(chunks) == len(set(chunks)) > 100, "read twice"
    assert found("q_0") is found("x_0") is None
    objects.place(versions[2].files["answers.jsonl"].chunks).write_bytes(b"damaged")
    assert found(key) is versions[0]
