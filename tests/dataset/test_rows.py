"""What of a row is its content, by which two rows with one id are told apart."""

import pytest

from distill_build.dataset.rows import content_of

PLACE = {"id": "scores_1", "parent": "a_1", "path": ["sports"], "sample": 0, "call": "c", "model": "m", "usage": {}}


@pytest.mark.parametrize("columns", [{"score": 4, "why": "clear"}, {"kept": True}])
def test_columns_of_a_map_are_content_whatever_their_names(columns: dict[str, object]) -> None:
    assert content_of(PLACE | columns) == columns


def test_of_a_verdict_only_its_own_columns_are() -> None:
    assert content_of({"id": "q_1", "kept": False, "why": ["again"], "same_as": "q_0"}) == {"same_as": "q_0"}
