"""How rows are read back, and what of one is its content, by which two with one id are told apart."""

from pathlib import Path

import pytest

from distill_build.dataset.rows import Identified, content_of, read_objects, read_rows

PLACE = {"id": "scores_1", "parent": "a_1", "path": ["sports"], "sample": 0, "call": "c", "model": "m", "usage": {}}


OTHER_COLUMNS = [{"score": 4, "why": "clear"}, {"kept": True}, {"level": 0, "number": 3, "label": "x"}]


@pytest.mark.parametrize("columns", OTHER_COLUMNS)
def test_columns_of_a_map_are_content_whatever_their_names(columns: dict[str, object]) -> None:
    assert content_of(PLACE | columns) == columns


def test_of_a_verdict_only_its_own_columns_are() -> None:
    assert content_of({"id": "q_1", "kept": False, "why": ["again"], "same_as": "q_0"}) == {"same_as": "q_0"}
    assert content_of({"id": "q_1", "kept": True, "why": [], "level": 2, "model": "m"}) == {"level": 2, "model": "m"}


def test_of_a_tag_its_place_and_its_label_are_none() -> None:
    tag = {"id": "t_1", "path": ["sports", "Ball"], "number": "1", "label": "Ball", "parent": None, "level": 1}
    assert content_of({**tag, "leaf": True, "flags": [], "renamed_from": None}) == {"renamed_from": None}


def test_a_row_that_is_not_wanted_is_not_taken_apart(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text('{"id": "a"}\n\nnonsense\n{"id": "b"}\n')
    assert [row.id for row in read_rows(file, Identified, [True, False, True])] == ["a", "b"]
    assert list(read_objects(file, "id", chosen=[False, False, True])) == [{"id": "b"}]
