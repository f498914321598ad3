"""What versions recorded of their requests and failures, and where the requests for a list part."""

import json
from pathlib import Path
from typing import Any

import pytest

from distill_build.dataset.rows import FailureRow
from distill_build.stages.default import DEFAULT
from distill_build.versions.content import FolderContent
from distill_build.versions.difference_rows import VersionRows
from distill_build.versions.evidence import Evidence, Fork, evidence_of, fork

Calls = list[tuple[str, str]]


def recorded(folder: Path, sources: dict[str, dict[str, Calls]] | None, *failures: dict[str, Any]) -> VersionRows:
    """A version that recorded these calls by what they are below and by stage, and these failures."""
    (folder / "runs").mkdir(parents=True)
    if sources is not None:
        lines = (json.dumps({"id": key, "calls": calls}) for key, calls in sources.items())
        (folder / "runs/sources.jsonl").write_text("".join(f"{line}\n" for line in lines))
    usual = {"path": ["sports"], "missing": 1, "cause": "empty", "attempts": 3, "detail": ""}
    (folder / "failures.jsonl").write_text("".join(json.dumps({**usual, **failure}) + "\n" for failure in failures))
    return VersionRows(FolderContent(folder), DEFAULT)


def sides(tmp_path: Path, old: Calls | None, new: Calls | None) -> tuple[Evidence, Evidence]:
    """Two versions that differ in the calls for the questions of one tag."""
    made = (None if calls is None else {"t_1": {"questions": calls}} for calls in (old, new))
    return evidence_of(*(recorded(tmp_path / str(at), each) for at, each in enumerate(made)))


@pytest.mark.parametrize(
    ("old", "new", "where", "calls"),
    [
        ([("k1", "r1")], [("k1", "r1")], Fork.LENGTH, ("", "")),
        ([("k1", "r1")], [("k1", "r1"), ("k2", "r2")], Fork.LENGTH, ("", "")),
        ([("k1", "r1"), ("k2", "r2")], [("k1", "r1"), ("k2", "other")], Fork.RESPONSE, ("k2", "k2")),
        ([("k1", "r1"), ("k2", "r2")], [("k1", "r1"), ("k3", "r2")], Fork.REQUEST, ("k2", "k3")),
        ([("k1", "r1"), ("k2", "r2")], [("k9", "r1"), ("k2", "other")], Fork.REQUEST, ("k1", "k9")),
        (None, [("k1", "r1")], Fork.UNKNOWN, ("", "")),
    ],
)
def test_the_first_request_that_differs_tells(
    tmp_path: Path, old: Calls | None, new: Calls | None, where: Fork, calls: tuple[str, str]
) -> None:
    assert fork(*sides(tmp_path, old, new), "questions", "t_1", "t_1") == (where, calls)


def test_each_stage_has_its_own_chain_below_a_tag(tmp_path: Path) -> None:
    old, new = sides(tmp_path, [("k1", "r1")], [("k2", "r2")])
    assert fork(old, new, "tags", "t_1", "t_1")[0] is Fork.LENGTH
    assert fork(old, new, "questions", "t_1", "t_2")[0] is Fork.LENGTH, "of another tag nothing is recorded"


def test_a_short_list_is_told_from_a_row_that_lacks_a_result(tmp_path: Path) -> None:
    failures = (
        {"stage": "questions", "path": ["sports", "Golf"]},
        {"stage": "answers", "question_id": "q_1"},
        {"stage": "translate", "parent": "a_1"},
    )
    old, new = evidence_of(recorded(tmp_path / "old", {}), recorded(tmp_path / "new", {}, *failures))
    assert new.lacks("questions", ("sports", "Golf"))
    assert not new.lacks("answers", ("sports",))
    assert new.lacking == {("answers", "q_1"), ("translate", "a_1")}
    assert (old.lacking, old.known) == (frozenset(), True)
    assert FailureRow("answers", (), 1, "", 1, "").row is None
