"""Rows that are held out, and questions that a benchmark asks: files, growth, moved shares, the lock, mistakes."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.test_only_what_is_affected import InProcess
from tests.server import ScriptedServer

SPLIT = "stages=[tags,questions,dedup,answers,split]"
LINE = ("topic=sports", "depth=1", "breadth=5", "questions_per_tag=8", SPLIT)
HALVES = ("split.test=0.25", "split.validation=0.25")


@pytest.fixture
def project(tmp_path: Path) -> Any:
    with ScriptedServer() as server:
        yield InProcess(tmp_path, server)


def sides(project: InProcess) -> dict[str, str]:
    return {row["id"]: row["split"] for row in project.rows("split")}


def exported(project: InProcess, side: str) -> list[dict[str, Any]]:
    text = (project.folder() / f"dataset/{side}.messages.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def asked(project: InProcess, *words: str) -> int:
    assert project.server is not None
    project.server.reset()
    done = project.run(*words)
    assert done.status == 0, done.stderr
    return project.server.count


def test_each_side_has_a_file_and_every_row_stands_in_one(project: InProcess) -> None:
    asked(project, *LINE, *HALVES)
    files = {
        side: [row["metadata"]["id"] for row in exported(project, side)] for side in ("train", "validation", "test")
    }
    by_row = sides(project)
    assert {key: side for side, keys in files.items() for key in keys} == by_row
    assert len(by_row) == 40
    assert all(files.values())
    lock = project.lock()
    assert all(f"{side}.messages.jsonl" in lock for side in files)
    assert project.raw("verify", "sports").status == 0


def test_growth_and_another_share_move_no_row_that_need_not_move(project: InProcess) -> None:
    asked(project, *LINE, *HALVES)
    before = sides(project)
    assert asked(project, *LINE, "split.test=0.25", "split.validation=0.5") == 0
    moved = {key for key, side in sides(project).items() if side != before[key]}
    assert {before[key] for key in moved} == {"train"}
    assert asked(project, *LINE, *HALVES, "questions_per_tag=12") > 0
    grown = sides(project)
    assert len(grown) > len(before)
    assert {key: grown[key] for key in before} == before


def test_a_side_without_rows_has_its_file_and_one_without_a_share_has_none(project: InProcess) -> None:
    asked(project, *LINE, "questions_per_tag=1", "breadth=1", "split.test=0.0001")
    assert exported(project, "test") == []
    assert len(exported(project, "train")) == 1
    assert not (project.folder() / "dataset/validation.messages.jsonl").exists()
    asked(project, *LINE, "questions_per_tag=1", "breadth=1")
    assert not (project.folder() / "dataset/test.messages.jsonl").exists()


def test_leaves_are_held_out_whole(project: InProcess) -> None:
    asked(project, *LINE, "split.test=0.5", "split.by=leaf")
    by_row = sides(project)
    found: dict[str, set[str]] = {}
    for row in project.rows("answers"):
        found.setdefault(row["tag"], set()).add(by_row[row["id"]])
    assert all(len(each) == 1 for each in found.values())
    assert {*map(min, found.values())} == {"train", "test"}


def test_a_question_of_two_leaves_is_not_held_out_where_it_is_trained_on(project: InProcess) -> None:
    assert project.server is not None
    asked(project, *LINE[:-1], "stages=[tags,questions,answers,split]", "split.test=0.5", "split.by=leaf")
    rows, by_row = {row["id"]: row for row in project.rows("answers")}, project.rows("split")
    trained = {rows[row["id"]]["question"] for row in by_row if row["split"] == "train"}
    for row in by_row:
        twice = row["split"] == "test" and rows[row["id"]]["question"] in trained
        assert row["kept"] is not twice
        assert row["why"] == (["much like a question to train on"] if twice else [])


def test_the_split_survives_a_checkout_and_an_export_of_more_formats(project: InProcess) -> None:
    asked(project, *LINE, *HALVES)
    before = project.bytes()
    asked(project, *LINE, *HALVES, "split.test=0.5")
    _, version = (each["version"] for each in project.raw("history", "--json").document["versions"])
    done = project.raw("checkout", version)
    assert done.status == 0, done.stderr
    assert {name: content for name, content in project.bytes().items() if name.startswith("dataset/")} == {
        name: content for name, content in before.items() if name.startswith("dataset/")
    }
    done = project.raw("export", "sports", "formats=[alpaca]")
    assert done.status == 0, done.stderr
    names = {path.name for path in (project.folder() / "dataset").glob("*.jsonl")}
    assert names == {
        f"{side}.{form}.jsonl" for side in ("train", "validation", "test") for form in ("messages", "alpaca")
    }


def test_a_benchmark_drops_what_it_asks_before_anybody_answers(project: InProcess) -> None:
    words = ("topic=sports", "depth=1", "breadth=2", "questions_per_tag=3")
    asked(project, *words)
    first, *others = (row["question"] for row in project.rows("questions"))
    bench = project.root / "bench.jsonl"
    bench.write_text(json.dumps({"problem": f"Please say: {first.upper()}", "answer": others[0]}) + "\n")
    clean = (*words, "stages=[tags,questions,dedup,decontaminate,answers]", "decontaminate.against=bench.jsonl")
    short = len(first.split()) < 8
    clean = (*clean, "decontaminate.ngram=3") if short else clean
    assert asked(project, *clean) == 0
    (hit, *rest) = project.rows("decontaminate")
    assert (hit["kept"], hit["why"], hit["against"]) == (False, ["asked in bench.jsonl"], "bench.jsonl")
    assert hit["run"] in " ".join(first.lower().rstrip("?").split())
    assert [row["kept"] for row in rest] == [True] * 5
    assert len(exported(project, "train")) == 5
    assert "bench.jsonl" in project.lock()
    assert asked(project, *clean, "decontaminate.report_only=true") == 0
    assert len(exported(project, "train")) == 6
    assert project.rows("decontaminate")[0]["run"] == hit["run"]
    bench.write_text(json.dumps({"problem": "Something else entirely, that nobody here would ask"}) + "\n")
    assert project.run(*clean, "--locked").status == 4
    asked(project, *clean)
    assert len(exported(project, "train")) == 6


@pytest.mark.parametrize(
    ("content", "name", "sentence"),
    [
        (None, "gone.jsonl", "decontaminate.against=gone.jsonl cannot be read: No such file"),
        ("", "empty.jsonl", "decontaminate.against=empty.jsonl: there is no question in it"),
        ("\n \n", "blank.txt", "decontaminate.against=blank.txt: there is no question in it"),
        ('{"question": "Why?"}\n{"question"\n', "torn.jsonl", "decontaminate.against=torn.jsonl, line 2 is no JSON"),
        ('{"title": "Why?"}\n', "other.jsonl", "other.jsonl, row 1 has no text under question or problem"),
    ],
)
def test_a_benchmark_that_cannot_be_used_is_told_before_anything_is_asked(
    project: InProcess, content: str | None, name: str, sentence: str
) -> None:
    assert project.server is not None
    if content is not None:
        (project.root / name).write_text(content)
    stages = "stages=[tags,questions,decontaminate,answers]"
    done = project.run("topic=sports", "depth=1", "breadth=2", stages, f"decontaminate.against=[{name}]")
    assert (done.status, project.server.count) == (2, 0)
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("split.test=1.5",), "split.test=1.5: expected a number from 0"),
        (("split.test=0.6", "split.validation=0.4"), "leave nothing to train on"),
        (
            ("stages=[tags,questions,answers]", "split.test=0.1"),
            "split.test=0.1 does nothing: split is not among stages=",
        ),
        (("split.tset=0.1",), "did you mean 'split.test'"),
        (("decontaminate.ngram=0",), "decontaminate.ngram=0"),
    ],
)
def test_a_share_that_cannot_be_is_told(project: InProcess, words: tuple[str, ...], sentence: str) -> None:
    assert project.server is not None
    done = project.run(*LINE, *words)
    assert (done.status, project.server.count) == (2, 0), done.stderr
    assert sentence in done.stderr


def test_an_export_with_other_shares_typed_splits_as_it_was_built(project: InProcess) -> None:
    asked(project, *LINE, *HALVES)
    before = {name: content for name, content in project.bytes().items() if name.startswith("dataset/")}
    for words in ((), ("split.test=0.25",), ("split.validation=0.9",)):
        done = project.run("export", *LINE, *words)
        assert done.status == 0, done.stderr
        now = {name: content for name, content in project.bytes().items() if name.startswith("dataset/")}
        assert now == before


@pytest.mark.parametrize("node", ["split", "decontaminate", "filter", "select"])
def test_a_stage_typed_as_a_setting_is_told_how_it_is_chosen(project: InProcess, node: str) -> None:
    done = project.run("topic=sports", f"{node}=0.1")
    assert done.status == 2, done.stderr
    assert f"{node}=0.1: these are settings of a stage" in done.stderr
