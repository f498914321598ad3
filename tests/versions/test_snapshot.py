"""Snapshots: the bytes come back, and what two versions of a file share is stored once."""

import json
import random
import zlib
from collections.abc import Callable
from itertools import accumulate
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from distill_build.engine.objects import Objects
from distill_build.errors import CorruptEntryError
from distill_build.versions.snapshot import (
    CHUNK_LINES,
    FileSnapshot,
    chunked,
    chunks_of,
    lines_of,
    restore,
    take_snapshot,
)

FEW = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
ROWS = 6000


@pytest.fixture
def objects(tmp_path: Path) -> Objects:
    return Objects(tmp_path / "objects")


def lines(count: int = ROWS) -> list[bytes]:
    """Rows as artefacts have them: an id that looks random, then text."""
    numbers = random.Random(7)
    return [json.dumps({"id": f"a_{numbers.getrandbits(64):016x}", "text": "word " * 20}).encode() + b"\n"
            for _ in range(count)]  # fmt: skip


def kept(objects: Objects, tmp_path: Path, rows: list[bytes]) -> FileSnapshot:
    (tmp_path / "rows.jsonl").write_bytes(b"".join(rows))
    return take_snapshot(objects, tmp_path / "rows.jsonl")


def new_objects(objects: Objects, tmp_path: Path, rows: list[bytes]) -> int:
    """How many objects these rows take that are not there yet."""
    before = set(objects)
    kept(objects, tmp_path, rows)
    return len(set(objects) - before)


@FEW
@given(st.lists(st.binary(max_size=60), max_size=300), st.booleans())
def test_any_file_comes_back_as_it_was(objects: Objects, tmp_path: Path, parts: list[bytes], ends: bool) -> None:
    data = b"\n".join(parts) + b"\n" * ends
    (tmp_path / "file").write_bytes(data)
    snapshot = take_snapshot(objects, tmp_path / "file")
    restore(objects, snapshot, tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == data
    unfinished = bool(data) and not data.endswith(b"\n")
    assert (snapshot.bytes, snapshot.lines) == (len(data), data.count(b"\n") + unfinished)


def test_rows_come_back_line_by_line(objects: Objects, tmp_path: Path) -> None:
    rows = [row.replace(b"word", "行\u2028\x85".encode()) for row in lines(500)]
    assert list(lines_of(objects, kept(objects, tmp_path, rows))) == [row.rstrip(b"\n") for row in rows]


def test_a_chunk_holds_about_as_many_lines_as_it_is_said_to(objects: Objects, tmp_path: Path) -> None:
    snapshot = kept(objects, tmp_path, lines())
    assert snapshot.lines == ROWS
    assert ROWS / CHUNK_LINES / 2 < len(chunks_of(objects, snapshot)) < ROWS / CHUNK_LINES * 2


def cuts(tmp_path: Path, rows: list[bytes]) -> list[int]:
    """After how many rows each chunk ends."""
    (tmp_path / "rows.jsonl").write_bytes(b"".join(rows))
    return list(accumulate(count for _, count in chunked(tmp_path / "rows.jsonl")))


def test_rows_with_an_id_are_cut_where_they_always_were(tmp_path: Path) -> None:
    """Versions that older programs kept share their chunks."""
    rows = lines()
    borders = [place for place, row in enumerate(rows, start=1) if zlib.crc32(row[:32]) % 128 == 0]
    assert cuts(tmp_path, rows) == [*borders, *([] if borders[-1] == ROWS else [ROWS])]


@pytest.mark.parametrize("topic", [f"sport {number}" for number in range(4)])
def test_rows_that_all_begin_the_same_are_cut_all_the_same(tmp_path: Path, topic: str) -> None:
    failures = [json.dumps({"stage": "answers", "path": [topic, "ball"], "index": index}).encode() + b"\n"
                for index in range(ROWS)]  # fmt: skip
    assert ROWS / CHUNK_LINES / 2 < len(cuts(tmp_path, failures)) < ROWS / CHUNK_LINES * 2


def test_no_file_is_one_chunk_in_memory(tmp_path: Path) -> None:
    row = b'{"id":"a_0123456789abcdef","text":"' + b"x" * (1 << 20) + b'"}\n'
    assert cuts(tmp_path, [row] * 40) == [16, 32, 40]


def changed(row: bytes) -> bytes:
    """The row with another text under the same id."""
    return row.replace(b"word", b"other")


CHANGES: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "one changed": lambda rows: [*rows[:3000], changed(rows[3000]), *rows[3001:]],
    "one added": lambda rows: [*rows[:3000], lines(ROWS + 1)[-1], *rows[3000:]],
    "one removed": lambda rows: [*rows[:3000], *rows[3001:]],
    "a hundred added in a row": lambda rows: [*rows[:3000], *lines(ROWS + 100)[-100:], *rows[3000:]],
    "the first removed": lambda rows: rows[1:],
    "one added at the end": lambda rows: [*rows, lines(ROWS + 1)[-1]],
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_did_not_change_is_stored_once(objects: Objects, tmp_path: Path, change: str) -> None:
    rows = lines()
    kept(objects, tmp_path, rows)
    new = new_objects(objects, tmp_path, CHANGES[change](rows))
    assert 2 <= new <= 2 + (100 // CHUNK_LINES + 2) * (change == "a hundred added in a row") + 1, (
        "chunks, and their list"
    )


def test_a_row_that_changed_moves_no_border(objects: Objects, tmp_path: Path) -> None:
    """Otherwise answers that were asked again would be cut in other places, and share nothing with a third version."""
    rows = lines()
    first, second = kept(objects, tmp_path, rows), kept(objects, tmp_path, list(map(changed, rows)))
    counts = [[objects.get(digest).count(b"\n") for digest in chunks_of(objects, each)] for each in (first, second)]
    assert counts[0] == counts[1]


def test_the_same_file_is_no_new_object(objects: Objects, tmp_path: Path) -> None:
    kept(objects, tmp_path, lines())
    assert new_objects(objects, tmp_path, lines()) == 0


@pytest.mark.parametrize("harm", ["gone", "damaged", "another"])
def test_a_file_whose_chunk_is_not_as_it_was_is_not_restored(objects: Objects, tmp_path: Path, harm: str) -> None:
    rows = lines(1000)
    snapshot = kept(objects, tmp_path, rows)
    place = objects.place(chunks_of(objects, snapshot)[1])
    if harm == "gone":
        place.unlink()
    else:
        place.write_bytes(objects.place(snapshot.chunks).read_bytes() if harm == "another" else b"x")
    with pytest.raises(CorruptEntryError):
        restore(objects, snapshot, tmp_path / "again")


def test_a_list_of_chunks_that_gives_another_file_is_noticed(objects: Objects, tmp_path: Path) -> None:
    """Every object may be whole and the list still not that of this file."""
    snapshot = kept(objects, tmp_path, lines(1000))
    shorter = objects.put(json.dumps(chunks_of(objects, snapshot)[1:]).encode())
    wrong = FileSnapshot(snapshot.sha256, snapshot.bytes, snapshot.lines, shorter)
    with pytest.raises(CorruptEntryError, match="put together"):
        restore(objects, wrong, tmp_path / "again")
