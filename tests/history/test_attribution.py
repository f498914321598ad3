"""Why rows differ between two versions, for stages of any kind: by settings, by what is above, or by neither."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from distill_build.graph import END
from distill_build.history.attribution import Attribution, Side
from distill_build.history.causes import Cause
from distill_build.history.grouping import groups_of
from distill_build.records import JsonObject
from distill_build.versions.content import FolderContent
from distill_build.versions.difference import compare
from distill_build.versions.difference_rows import VersionRows
from distill_build.versions.evidence import evidence_of
from tests.versions.small_versions import MORE, Shape, more, read, write_version

TREE: Shape = {"Team": {"Football": ["What is it?", "Who plays?"], "Handball": ["How fast?"]}}
ONE = "How fast?"
Groups = list[tuple[str, str, int, str, str]]


def cause(name: str, *parts: str, old: Any = 1, new: Any = 2, counts: tuple[str, ...] = ()) -> Cause:
    return Cause(name, old, new, parts, (), counts)


def reasons(
    old: VersionRows, new: VersionRows, *causes: Cause, until: tuple[str, str] = (END, END), known: bool = True
) -> Groups:
    """Stage, change, number of rows, why, and the settings or the stage that it is by."""
    difference, evidence = compare(old, new), evidence_of(old, new)
    before = Side(difference.old, old.graph, until[0], evidence[0])
    after = Side(difference.new, new.graph, until[1], evidence[1])
    why = Attribution(difference, list(causes), before, after, known=known)
    return [
        (
            group.stage,
            group.change,
            len(group.items),
            group.reason.because,
            ", ".join(cause.name for cause in group.reason.causes) or group.reason.above,
        )
        for group in groups_of(difference, why, lambda _: None)
    ]


def by(usual: JsonObject, other: JsonObject) -> Callable[[str], JsonObject]:
    """Content of a stage that is `other` for one question."""
    return lambda question: other if question == ONE else usual


GOOD, BAD = {"kept": True, "why": []}, {"kept": False, "why": ["score"]}
LOW, HIGH = {"score": 2, "by": {"style": 4}}, {"score": 4, "by": {"style": 4}}


@pytest.fixture
def old(tmp_path: Path) -> VersionRows:
    return more(tmp_path / "old", TREE)


def calls(rows: VersionRows, folder: Path, stage: str, call: str) -> VersionRows:
    """The version, with the rows of a stage read from other calls."""
    made = [{**row, "call": call * 64} for row in read(folder, stage)]
    (folder / f"{stage}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in made))
    return VersionRows(FolderContent(folder), rows.graph)


def test_another_result_of_the_same_request_was_asked_again(tmp_path: Path, old: VersionRows) -> None:
    new = more(tmp_path / "new", TREE, scores=by(HIGH, LOW))
    assert reasons(old, new, cause("judge.temperature", "scores")) == [("scores", "changed", 1, "asked again", "")]


def test_a_setting_of_the_stage_comes_before_what_is_above(tmp_path: Path, old: VersionRows) -> None:
    folder, translator = tmp_path / "new", cause("translator.name", "translate")
    new = more(
        folder,
        TREE,
        translate=lambda question: {"translation": "other" if question == ONE else f"T {question}"},
        scores=by(HIGH, LOW),
    )
    new = calls(calls(new, folder, "translate", "d"), folder, "scores", "d")
    assert reasons(old, new, translator) == [
        ("translate", "changed", 1, "settings", "translator.name"),
        ("scores", "changed", 1, "above", "translate"),
    ]
    assert reasons(old, new, translator, cause("judge.name", "scores"))[1:] == [
        ("scores", "changed", 1, "settings", "judge.name")
    ]


def test_what_an_answer_above_says_is_the_cause_further_down(tmp_path: Path) -> None:
    def other(question: str, _: int) -> tuple[str | None, str]:
        return ("Hm", "Other") if question == ONE else ("Think", "Answer")

    write_version(tmp_path / "plain", TREE, lambda *_: ("Think", "Answer"))
    write_version(tmp_path / "other", TREE, other)
    sides = []
    for name, score in (("plain", HIGH), ("other", LOW)):
        folder = tmp_path / f"full-{name}"
        more(folder, TREE, scores=by(HIGH, score))
        (folder / "answers.jsonl").write_bytes((tmp_path / name / "answers.jsonl").read_bytes())
        sides.append(VersionRows(FolderContent(folder), MORE))
    new = calls(sides[1], tmp_path / "full-other", "answers", "d")
    new = calls(new, tmp_path / "full-other", "scores", "d")
    assert reasons(sides[0], new, cause("teacher.name", "answers")) == [
        ("answers", "changed", 1, "settings", "teacher.name"),
        ("scores", "changed", 1, "above", "answers"),
    ], "the translation between them is the same, and the prompt may show the answer too"


def test_of_several_stages_that_changed_the_row_above_is_the_cause(tmp_path: Path) -> None:
    order = ["tags", "questions", "answers", "translate", "votes", "scores"]
    graph = MORE.parse({name: MORE.described()[name] for name in order})
    before, folder = more(tmp_path / "old", TREE, graph), tmp_path / "new"
    new = more(
        folder,
        TREE,
        graph,
        translate=lambda question: {"translation": "other" if question == ONE else f"T {question}"},
        votes=by({"label": "same", "shares": {"same": 1.0}}, {"label": "x", "shares": {}}),
        scores=lambda _: LOW,
    )
    assert reasons(before, calls(new, folder, "scores", "d"))[-2:] == [
        ("scores", "changed", 2, "above", "votes"),
        ("scores", "changed", 1, "above", "translate"),
    ]


def test_a_verdict_is_by_its_own_settings_else_by_what_it_judges(tmp_path: Path, old: VersionRows) -> None:
    new = more(tmp_path / "new", TREE, good=by(GOOD, BAD))
    where = cause("stage.good.where", "good", old="a", new="b")
    assert reasons(old, new, where) == [("good", "changed", 1, "settings", "stage.good.where")]
    assert reasons(old, new) == [("good", "changed", 1, "unknown", "")]
    new = more(tmp_path / "both", TREE, good=by(GOOD, BAD), scores=by(HIGH, LOW))
    assert reasons(old, new)[1:] == [("good", "changed", 1, "above", "scores")]


def test_a_group_follows_from_the_rows_that_it_is_made_of(tmp_path: Path, old: VersionRows) -> None:
    values = {"votes": by({"label": "same", "shares": {"same": 1.0}}, {"label": "x", "shares": {}})}
    new = more(tmp_path / "new", TREE, scores=by(HIGH, LOW), **values)
    assert reasons(old, new)[-1] == ("votes", "changed", 1, "above", "scores")


def test_what_comes_or_goes_takes_along_all_that_is_below(tmp_path: Path, old: VersionRows) -> None:
    new = more(tmp_path / "new", {"Team": {"Football": ["What is it?", "Who plays?"], "Handball": []}})
    fewer = cause("questions_per_tag", "counts", old=2, new=1, counts=("questions",))
    assert reasons(old, new, fewer) == [
        ("questions", "removed", 1, "settings", "questions_per_tag"),
        ("dedup", "removed", 1, "above", "questions"),
        ("answers", "removed", 1, "above", "questions"),
        ("translate", "removed", 1, "above", "answers"),
        ("scores", "removed", 1, "above", "translate"),
        ("good", "removed", 1, "above", "scores"),
        ("votes", "removed", 1, "above", "questions"),
    ]
    assert reasons(old, new, cause("questions_per_tag", "counts", old=1, new=2, counts=("questions",)))[0][3:] == (
        "unknown",
        "",
    ), "more of them take none away"


def without(rows: VersionRows, folder: Path, stage: str, *failures: JsonObject) -> VersionRows:
    """A version that lacks the last row of a stage, and all that is below it."""
    for name in rows.graph.names[rows.graph.names.index(stage) :]:
        if name != "votes":
            file = folder / f"{name}.jsonl"
            file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:-1]))
    usual = {"path": ["sports"], "missing": 1, "cause": "empty", "attempts": 3, "detail": ""}
    (folder / "failures.jsonl").write_text("".join(json.dumps({**usual, **failure}) + "\n" for failure in failures))
    return VersionRows(FolderContent(folder), rows.graph)


def test_a_result_that_could_not_be_made_is_missing_and_one_too_few_is_by_its_number(
    tmp_path: Path, old: VersionRows
) -> None:
    folder = tmp_path / "new"
    more(folder, TREE)
    answer = read(folder, "answers")[-1]["id"]
    samples = cause("stage.translate.samples", "counts", old=2, new=1, counts=("translate",))
    new = without(old, folder, "translate", {"stage": "translate", "parent": answer})
    assert reasons(old, new, samples)[0] == ("translate", "removed", 1, "missing", "")
    (folder / "failures.jsonl").unlink()
    new = VersionRows(FolderContent(folder), MORE)
    assert reasons(old, new, samples)[0] == ("translate", "removed", 1, "settings", "stage.translate.samples")
    assert reasons(old, new)[0] == ("translate", "removed", 1, "unknown", "")


def test_a_result_that_a_verdict_above_let_go_is_by_that_verdict(tmp_path: Path) -> None:
    described = MORE.described()
    order = ["tags", "questions", "answers", "first", "translate"]
    graph = MORE.parse({name: {**described, "first": "first: transform of answers"}[name] for name in order})
    before = more(tmp_path / "old", TREE, graph, first=lambda _: GOOD)
    more(tmp_path / "new", TREE, graph, first=by(GOOD, BAD))
    folder = tmp_path / "new"
    rows = [row for row in read(folder, "translate") if ONE not in row["translation"]]
    (folder / "translate.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    new = VersionRows(FolderContent(folder), graph)
    where = cause("stage.first.where", "first", old="a", new="b")
    assert reasons(before, new, where) == [
        ("first", "changed", 1, "settings", "stage.first.where"),
        ("translate", "removed", 1, "above", "first"),
    ]
    fewer = cause("stage.translate.samples", "counts", old=2, new=1, counts=("translate",))
    assert reasons(before, new, where, fewer)[1] == ("translate", "removed", 1, "above", "first")


def test_a_stage_that_is_not_reached_and_one_that_is_not_there(tmp_path: Path, old: VersionRows) -> None:
    folder = tmp_path / "new"
    more(folder, TREE, graph=MORE.up_to("translate"))
    new = VersionRows(FolderContent(folder), MORE)
    assert reasons(old, new, until=(END, "translate"))[:2] == [
        ("scores", "removed", 3, "until", ""),
        ("good", "removed", 3, "above", "scores"),
    ]
    listed = cause("stages", "graph", "scores", "good", "votes", old=("a",), new=("b",))
    shorter = VersionRows(FolderContent(folder), MORE.up_to("translate"))
    assert reasons(old, shorter, listed)[0] == ("scores", "removed", 3, "settings", "stages")
    assert reasons(shorter, old, listed)[-1] == ("votes", "added", 3, "settings", "stages")


def test_without_known_settings_nothing_is_claimed(tmp_path: Path, old: VersionRows) -> None:
    folder = tmp_path / "new"
    more(folder, TREE, good=by(GOOD, BAD))
    new = without(old, folder, "scores")
    assert reasons(old, new, known=False)[0] == ("scores", "removed", 1, "unknown", "")
