"""What `show` prints of a tag, a question and an answer, and how it finds them."""

import json
from pathlib import Path
from typing import Any

import pytest

from distill_build.commands.look.show import run
from distill_build.errors import UsageError
from distill_build.options import Options
from tests.made_rows import dedup_row
from tests.small_dataset import CALL, answers, questions, tags, write_dataset

FOLDER = Path("outputs/sports")


@pytest.fixture(autouse=True)
def dataset() -> None:
    write_dataset(FOLDER)


def text(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert run(Options(arguments=words)) == 0
    return capsys.readouterr().out


def document(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    assert run(Options(arguments=words, json=True)) == 0
    return json.loads(capsys.readouterr().out)


def test_a_tag_is_shown_with_its_children(capsys: pytest.CaptureFixture[str]) -> None:
    team, football, handball, *_ = tags()
    shown = document(capsys, team.id)
    assert shown["tag"] == team.row()
    assert shown["counts"] == {"tags": 2, "questions": 4, "dedup": 4, "answers": 3}
    assert [child["row"] for child in shown["below"].pop("tags")] == [football.row(), handball.row()]
    assert (shown["below"], shown["failures"], shown["missing"]) == ({}, [], 1)


def test_a_leaf_is_shown_with_its_questions_and_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    handball = tags()[2]
    shown = document(capsys, handball.id)
    assert [(each["row"]["id"], each["below"]["answers"]) for each in shown["below"]["questions"]] == [
        (question.id, 1 - question.index) for question in questions() if question.tag == handball.id
    ]
    assert [row["cause"] for row in shown["failures"]] == ["timeout"]


def test_a_question_is_shown_with_its_answers(capsys: pytest.CaptureFixture[str]) -> None:
    question, answer = questions()[0], answers()[0]
    assert document(capsys, question.id) == {
        "stage": "questions",
        "kind": "question",
        "question": question.row(),
        "above": [tags()[0].row(), tags()[1].row()],
        "below": {"answers": [{"row": answer.row(), "below": {}, "dropped": {}}]},
        "verdicts": {"dedup": dedup_row(question)},
        "left_out": [],
        "failures": [],
        "review": None,
        "edited_from": None,
        "from_version": None,
    }


def test_a_question_without_an_answer_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    unanswered = questions()[3]
    assert "missing   1 answer after 7 attempts: timeout, no reply in 600 s\n" in text(capsys, unanswered.id)


def test_an_answer_is_shown_whole(capsys: pytest.CaptureFixture[str]) -> None:
    answer = answers()[0]
    shown = document(capsys, answer.id)
    assert shown["answer"] == answer.row()
    assert [row["id"] for row in shown["above"]] == [tags()[0].id, tags()[1].id, answer.question.id]
    assert text(capsys, answer.id) == (
        f"answer    {answer.id}\n"
        "path      sports / Team 团队 / Football\n"
        f"question  {answer.question.id}\n"
        f"tag       {answer.question.tag}\n"
        "sample    0\n"
        "model     teacher-1\n"
        "finish    stop\n"
        "usage     10 prompt tokens, 20 completion tokens, 5 reasoning tokens\n"
        f"call      {CALL}\n"
        "\n"
        "Question\n"
        "\n"
        "What is Football?\n"
        "\n"
        "<think>\n"
        "Let me think.\n"
        "</think>\n"
        "\n"
        "It is “Football”.\n"
    )


def test_the_beginning_of_an_id_is_enough_where_only_one_begins_so(capsys: pytest.CaptureFixture[str]) -> None:
    tag = tags()[1]
    assert document(capsys, tag.id[:12])["tag"]["id"] == tag.id


def test_a_beginning_that_several_have_lists_them() -> None:
    with pytest.raises(UsageError, match=r"several ids begin with t_: t_.*, t_.*; type more of it"):
        run(Options(arguments=("t_",)))


def test_a_tag_is_found_by_its_number_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert document(capsys, "2.1")["tag"]["label"] == "Openings"


def test_the_dataset_may_be_named_behind_the_id(capsys: pytest.CaptureFixture[str]) -> None:
    write_dataset(Path("outputs/other"))
    assert document(capsys, "1", "other")["tag"]["label"] == "Team 团队"


def test_an_unknown_id_is_told_with_the_nearest() -> None:
    known = tags()[0].id
    wanted = known[:10] + "".join("0" if digit != "0" else "1" for digit in known[10:])
    with pytest.raises(UsageError, match=f"there is no tag {wanted} in outputs/sports: did you mean {known}\\?"):
        run(Options(arguments=(wanted,)))


@pytest.mark.parametrize(
    ("wanted", "sentence"),
    [
        ("football", "'football' is neither an id .* nor a tag's number"),
        ("9.9", "no tag with the number 9.9 .* tree -v"),
        ("x_12", "'x_12' is neither an id"),
        ("t_12345678901234567", "is neither an id"),
    ],
)
def test_what_is_no_id_says_how_to_find_one(wanted: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        run(Options(arguments=(wanted,)))


def test_an_id_of_a_stage_that_was_not_built_says_so() -> None:
    (FOLDER / "answers.jsonl").unlink()
    with pytest.raises(UsageError, match=r"has no answers\.jsonl: no build of it has come so far yet"):
        run(Options(arguments=("a_12",)))
