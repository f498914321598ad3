"""What is read of a dataset works for any stages: its own maps, transforms and groups beside those that we have."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from distill_build.builds.assembly import encode_rows
from distill_build.commands.look import log, show, tree
from distill_build.commands.versions import verify
from distill_build.dataset.layout import Dataset
from distill_build.engine.store import Store
from distill_build.errors import UsageError
from distill_build.history.row_checks import RowChecks
from distill_build.options import Options
from distill_build.records import JsonObject, row_id
from tests.small_dataset import questions, tags
from tests.staged_dataset import GRAPH, dropped, rows, write_staged

FOLDER = Path("outputs/sports")
Changed = Callable[[list[JsonObject]], object]


@pytest.fixture
def dataset() -> Dataset:
    return write_staged(FOLDER)


def told(capsys: pytest.CaptureFixture[str], command: Any, *words: str, **flags: Any) -> str:
    assert command.run(Options(arguments=words, **flags)) == 0
    return capsys.readouterr().out


def document(capsys: pytest.CaptureFixture[str], command: Any, *words: str, **flags: Any) -> Any:
    return json.loads(told(capsys, command, *words, json=True, **flags))


@pytest.mark.usefixtures("dataset")
def test_the_tree_counts_every_stage_at_its_place(capsys: pytest.CaptureFixture[str]) -> None:
    root = document(capsys, tree)
    assert root["counts"] == {name: len(lines) for name, lines in rows().items()}
    assert root["dropped"] == {"dedup": 1}
    handball = root["children"][0]["children"][1]
    assert handball["dropped"] == {"dedup": 1}
    assert handball["counts"] == {
        "tags": 0, "questions": 2, "dedup": 2, "answers": 2, "translate": 2, "votes": 1, "summary": 1,
    }  # fmt: skip
    lines = told(capsys, tree).splitlines()
    assert (
        lines[0]
        == "sports  5 tags, 5 questions, 1 dropped by dedup, 8 answers, 8 rows of translate, 4 votes, 5 rows of summary"
    )
    assert "1.1 Football  2 questions, 4 answers" in lines[2], "of nothing that is dropped nothing is said"


@pytest.mark.usefixtures("dataset")
def test_a_row_of_any_stage_is_shown_with_all_rows_above(capsys: pytest.CaptureFixture[str]) -> None:
    row = rows()["translate"][0]
    shown = document(capsys, show, row["id"])
    assert (shown["stage"], shown["kind"], shown["translate"]) == ("translate", "translate", row)
    answer, question = rows()["answers"][0], questions()[0]
    assert [each["id"] for each in shown["above"]] == [tags()[0].id, tags()[1].id, question.id, answer["id"]]
    text = told(capsys, show, row["id"][:16])
    assert f"translate {row['id']}\n" in text
    assert f"answer    {answer['id']}\n" in text
    assert "\nQuestion\n\nWhat is Football?\n\nAnswer\n\nAnswer 0 to What is Football?\n" in text
    assert "\ntranslation:\n译 Answer 0 to What is Football?\n\nnotes:\nnone\n" in text


@pytest.mark.usefixtures("dataset")
def test_what_is_directly_below_is_shown_by_stage(capsys: pytest.CaptureFixture[str]) -> None:
    question = questions()[0]
    shown = document(capsys, show, question.id)
    assert {name: len(each) for name, each in shown["below"].items()} == {"answers": 2, "votes": 1}
    assert [each["below"] for each in shown["below"]["answers"]] == [{"translate": 1}] * 2
    leaf = document(capsys, show, tags()[1].id)["below"]
    assert {name: len(each) for name, each in leaf.items()} == {"questions": 2, "summary": 1}
    assert leaf["questions"][0]["below"] == {"answers": 2, "votes": 1}


@pytest.mark.usefixtures("dataset")
def test_a_verdict_stands_on_the_row_that_it_judges(capsys: pytest.CaptureFixture[str]) -> None:
    (verdict,) = [row for row in rows()["dedup"] if not row["kept"]]
    shown = document(capsys, show, dropped())
    assert (shown["verdicts"], shown["below"]) == ({"dedup": verdict}, {})
    assert shown["left_out"] == ["dropped by dedup"]
    assert document(capsys, show, questions()[0].id)["left_out"] == []
    why = verdict["why"][0]
    assert f"verdict   dropped by dedup: {why}; same_as {verdict['same_as']}\n" in told(capsys, show, dropped())
    assert "verdict   kept by dedup\n" in told(capsys, show, questions()[0].id)
    leaf = next(question.tag for question in questions() if question.id == dropped())
    below = document(capsys, show, leaf)["below"]["questions"]
    assert [each["dropped"] for each in below] == [
        {"dedup": [why]} if each["row"]["id"] == dropped() else {} for each in below
    ]
    assert f"(dropped by dedup: {why})" in told(capsys, show, leaf)


@pytest.mark.usefixtures("dataset")
def test_ids_are_known_by_the_prefixes_of_the_stages_that_there_are() -> None:
    with pytest.raises(UsageError, match=r"'x_12' is neither an id \(t_…, q_…, a_…, translate_…, votes_… or summary_…"):
        show.run(Options(arguments=("x_12",)))
    with pytest.raises(UsageError, match=r"there is no translate translate_0{16} in outputs/sports"):
        show.run(Options(arguments=("translate_" + "0" * 16,)))


@pytest.mark.usefixtures("dataset")
def test_log_goes_through_all_rows_above_and_the_verdicts_on_them(capsys: pytest.CaptureFixture[str]) -> None:
    Store(Path("cache")).close()
    row = rows()["translate"][0]
    shown = document(capsys, log, row["id"], cache_dir="cache")
    assert [link["stage"] for link in shown["chain"]] == [
        "tags", "tags", "questions", "dedup", "answers", "translate",
    ]  # fmt: skip
    verdict = shown["chain"][3]
    assert (verdict["kind"], verdict["row"]["kept"], verdict["settings"]) == ("transform", True, {"near": None})
    assert [link["call"] for link in shown["chain"][4:]] == ["c" * 64, "d" * 64]
    group = rows()["votes"][0]
    link = document(capsys, log, group["id"], cache_dir="cache")["chain"][-1]
    assert (link["kind"], link["row"]) == ("group", group)
    assert link["of"] == [each["id"] for each in rows()["answers"][:2]]
    text = told(capsys, log, group["id"], cache_dir="cache")
    assert f"Vote {group['id']}\n" in text
    assert "settings  columns " in text


def problems(dataset: Dataset) -> list[tuple[str, str]]:
    return [(file, problem.partition(", in ")[0]) for file, problem in RowChecks(dataset).problems()]


def test_whole_rows_of_every_stage_fit_each_other(dataset: Dataset) -> None:
    checks = RowChecks(dataset)
    assert list(checks.problems()) == []
    assert checks.counts == {f"{name}.jsonl": len(lines) for name, lines in rows().items()}


FOREIGN, TWICE = "the id is not that of the content", "the id of an earlier row stands again"


@pytest.mark.parametrize(
    ("stage", "change", "told"),
    [
        ("translate", lambda lines: lines[0].update(sample=1), FOREIGN),
        ("translate", lambda lines: lines.append(lines[0]), TWICE),
        ("translate", lambda lines: lines[0].update(path=["sports", "Chess"]), "the answer is not there, or stands"),
        (
            "summary",
            lambda lines: lines[0].update(id=row_id("summary", "t_0", 0), parent="t_0"),
            "the tag is not there",
        ),
        ("votes", lambda lines: lines[0].update(parent=lines[1]["parent"]), FOREIGN),
        ("votes", lambda lines: lines.append(lines[0]), TWICE),
        ("dedup", lambda lines: lines.append(lines[0]), TWICE),
        ("dedup", lambda lines: lines[0].update(id="q_0"), "the row that it judges is not there"),
        ("dedup", lambda lines: lines[0].pop("kept"), "line 1 cannot be read"),
        ("answers", lambda lines: lines.pop(0), "the answer is not there"),
        ("questions", lambda lines: lines.clear(), "the row that it judges is not there"),
    ],
)
def test_each_misfit_is_found(dataset: Dataset, stage: str, change: Changed, told: str) -> None:
    lines = rows()[stage]
    change(lines)
    dataset.artefact(f"{stage}.jsonl").write_bytes(encode_rows(lines))
    assert any(problem.startswith(told) for _, problem in problems(dataset)), problems(dataset)


def test_verify_looks_at_the_files_of_every_stage(dataset: Dataset, capsys: pytest.CaptureFixture[str]) -> None:
    dataset.artefact("translate.jsonl").unlink()
    verify.run(Options(json=True))
    out = json.loads(capsys.readouterr().out)
    assert out["files"].keys() >= {f"{name}.jsonl" for name in GRAPH.names if name != "translate"}
    assert out["rows"]["votes.jsonl"] == 4
