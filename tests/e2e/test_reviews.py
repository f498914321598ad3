"""reviews.jsonl: a rejected row goes, an edited one says what a person wrote, and nothing else is asked."""

import json
import shutil
from collections import Counter
from typing import Any

import pytest

from distill_build.review import text_digest
from tests.e2e.caches import opened
from tests.e2e.own_project import write_stage
from tests.e2e.test_only_what_is_affected import InProcess, kind_of
from tests.e2e.test_tree_by_hand import SMALL, built, by_place, project, says  # noqa: F401 - a fixture
from tests.server import Body, Fault, content, status

Row = dict[str, Any]


def reviews(project: InProcess, *lines: Row) -> None:  # noqa: F811
    says(project, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), "reviews.jsonl")


def row(project: InProcess, stage: str, number: int = 3) -> Row:  # noqa: F811
    found: Row = project.rows(stage)[number]
    return found


def exported(project: InProcess) -> list[str]:  # noqa: F811
    """The ids of the answers in the export."""
    text = (project.folder() / "dataset" / "train.messages.jsonl").read_text(encoding="utf-8")
    return [json.loads(line)["metadata"]["id"] for line in text.splitlines()]


def test_a_rejected_answer_is_not_exported_and_nothing_is_missing(project: InProcess) -> None:  # noqa: F811
    built(project)
    before, answer = project.data(), row(project, "answers")
    reviews(project, {"id": answer["id"], "verdict": "reject", "note": "wrong", "at": "2026-11-29T12:00:00Z"})
    assert built(project) == []
    assert answer["id"] not in exported(project)
    assert len(exported(project)) == len(project.rows("answers")) - 1
    assert row(project, "answers") == answer | {"review": "reject"}
    (project.root / "reviews.jsonl").unlink()
    assert built(project) == []
    assert project.data() == before


def test_a_rejected_question_takes_its_answers_with_it_and_asks_nothing(project: InProcess) -> None:  # noqa: F811
    built(project)
    question = row(project, "questions")
    reviews(project, {"id": question["id"], "verdict": "reject"})
    assert built(project) == []
    assert question["id"] not in {answer["question_id"] for answer in project.rows("answers")}
    assert question["id"] in {each["id"] for each in project.rows("questions")}
    asked = built(project, "questions_per_tag=3")
    assert Counter(kind for kind, _ in asked) == {"questions": 9, "answers": 9}, "its list grows as any other does"
    assert question | {"review": "reject"} in project.rows("questions")
    assert len(project.rows("answers")) == 9 * 3 - 1


def test_an_edited_answer_asks_nothing_and_keeps_its_id(project: InProcess) -> None:  # noqa: F811
    built(project)
    answer = row(project, "answers")
    digest = text_digest(answer, ("reasoning", "answer"))
    reviews(project, {"id": answer["id"], "digest": digest, "verdict": "edit", "answer": "An answer by hand. 答"})
    assert built(project) == []
    assert row(project, "answers") == answer | {"answer": "An answer by hand. 答", "review": "edit"}
    assert "An answer by hand. 答" in (project.folder() / "dataset" / "train.messages.jsonl").read_text("utf-8")
    assert project.run("--locked", *SMALL).status == 0
    assert project.raw("verify", "sports").status == 0


def test_an_edited_question_asks_for_its_own_answer_alone(project: InProcess) -> None:  # noqa: F811
    built(project)
    question, answers = row(project, "questions"), project.rows("answers")
    reviews(project, {"id": question["id"], "verdict": "edit", "question": "What is a service ace?"})
    asked = built(project)
    assert [kind for kind, _ in asked] == ["answers"]
    assert row(project, "questions")["question"] == "What is a service ace?"
    now = project.rows("answers")
    assert [each["id"] for each in now] == [each["id"] for each in answers]
    changed = [each for each, old in zip(now, answers, strict=True) if each != old]
    assert [each["question"] for each in changed] == ["What is a service ace?"]


def test_a_question_and_its_answer_that_are_both_edited_ask_for_nothing(project: InProcess) -> None:  # noqa: F811
    built(project)
    question, answer = row(project, "questions"), row(project, "answers")
    reviews(
        project,
        {"id": question["id"], "verdict": "edit", "question": "What is a service ace?"},
        {"id": answer["id"], "verdict": "edit", "answer": "A serve that nobody reaches."},
    )
    assert built(project) == []
    nobody = {"prompt_tokens": 0, "completion_tokens": 0, "reasoning_tokens": 0}
    assert row(project, "answers") == answer | {
        "question": "What is a service ace?",
        "reasoning": None,
        "answer": "A serve that nobody reaches.",
        "model": "hand",
        "finish_reason": "edit",
        "usage": nobody,
        "call": "",
        "flags": row(project, "answers")["flags"],
        "review": "edit",
    }
    assert "given by hand in reviews.jsonl" in " ".join(project.raw("log", answer["id"]).stdout.split())
    assert project.raw("verify", "sports").status == 0
    assert [kind for kind, _ in built(project, "teacher.temperature=0.9")] == ["answers"] * 17
    assert [kind for kind, _ in built(project, "answers_per_question=2")] == ["answers"] * 18, (
        "a second one is a model's"
    )


def test_an_edit_that_says_all_whatever_a_model_says_asks_for_nothing_ever(project: InProcess) -> None:  # noqa: F811
    built(project)
    whole, in_part = project.rows("answers")[:2]
    reviews(
        project,
        {"id": whole["id"], "verdict": "edit", "reasoning": "So.", "answer": "By hand."},
        {"id": in_part["id"], "verdict": "edit", "answer": "By hand, too."},
    )
    assert built(project) == []
    assert [each["call"] != "" for each in project.rows("answers")[:2]] == [False, True]
    assert [kind for kind, _ in built(project, "teacher.temperature=0.9")] == ["answers"] * 17


def test_an_edited_answer_beside_one_that_failed_is_not_all_there_is(project: InProcess) -> None:  # noqa: F811
    """Rows are read back behind dedup: what is made of answers waits until all of them are there."""
    write_stage(
        project.root, "best", kind="group", after="answers", by="questions", columns={"n": "rows.answers | length"}
    )
    (project.root / "conf/distill.yaml").write_text("defaults: [base, _self_]\n", encoding="utf-8")
    says(project, '{"question": "What is sport?", "path": "Alpha sports/Alpha Alpha sports"}\n', "questions.jsonl")
    words = ("answers_per_question=2", "dedup.near=null", "stages=[tags,questions,answers,dedup,best]")
    assert project.run(*SMALL, *words, "--until", "answers").status == 0
    question, first = row(project, "questions", 0), row(project, "answers", 0)
    assert (question["question"], first["question_id"]) == ("What is sport?", question["id"])
    reviews(
        project,
        {"id": question["id"], "verdict": "edit", "question": "What is a sport?"},
        {"id": first["id"], "verdict": "edit", "answer": "By hand."},
    )
    assert project.server is not None
    project.server.plan = lambda number, body: (
        status(400) if "What is a sport?" in json.dumps(body) and kind_of(body) == "answers" else by_place(number, body)
    )
    assert project.run(*SMALL, *words).status == 1
    assert {each["stage"] for each in project.rows("failures")} == {"answers"}
    assert question["id"] not in {each["parent"] for each in project.rows("best")}


def test_a_review_of_a_text_that_is_another_one_now_is_told_and_not_applied(project: InProcess) -> None:  # noqa: F811
    built(project)
    answer = row(project, "answers")
    digest = text_digest(answer, ("reasoning", "answer"))
    reviews(project, {"id": answer["id"], "digest": digest, "verdict": "edit", "answer": "By hand."})
    built(project)
    assert project.server is not None

    def other_answers(number: int, body: Body) -> Fault | None:
        return content("Another answer altogether.") if kind_of(body) == "answers" else by_place(number, body)

    project.server.plan = other_answers
    for _ in range(2):  # the second one has nothing to do
        finished = project.run("--json", *SMALL, "teacher.temperature=0.9")
        assert finished.status == 0
        assert [text for text in finished.document["unmatched"] if answer["id"] in text]
    assert row(project, "answers")["answer"] == "Another answer altogether."


def test_the_last_line_on_a_row_by_its_time_counts(project: InProcess) -> None:  # noqa: F811
    built(project)
    key = row(project, "answers")["id"]
    reviews(
        project,
        {"id": key, "verdict": "accept", "at": "2026-11-29T12:00:02Z"},
        {"id": key, "verdict": "reject", "at": "2026-11-29T13:00:01+01:00"},
    )
    built(project)
    assert key in exported(project)
    assert row(project, "answers")["review"] == "accept"


def test_what_is_reviewed_says_which_rows_go_on(project: InProcess) -> None:  # noqa: F811
    built(project)
    first, second, third = (row(project, "answers", number)["id"] for number in (0, 1, 2))
    reviews(
        project,
        {"id": first, "verdict": "accept"},
        {"id": second, "verdict": "edit", "answer": "By hand."},
        {"id": third, "verdict": "reject"},
    )
    words = (*SMALL, "curate.reviewed=accepted")
    told = "2 rows are exported: those that somebody accepted or edited (curate.reviewed=accepted)"
    assert [told in " ".join(project.run(*words).stderr.split()) for _ in ("built", "up to date")] == [True, True]
    assert exported(project) == [first, second]
    assert built(project, "curate.reviewed=all") == []
    assert len(exported(project)) == len(project.rows("answers"))


def test_a_review_of_a_row_that_is_not_there_is_told(project: InProcess) -> None:  # noqa: F811
    built(project)
    reviews(project, {"id": "a_0123456789abcdef", "verdict": "reject"}, {"id": "a_1", "verdict": "edit", "answer": "x"})
    finished = project.run("--json", *SMALL)
    assert finished.status == 0
    assert finished.document["unmatched"] == [
        "reviews.jsonl, line 1: a_0123456789abcdef is no row of this dataset",
        "reviews.jsonl, line 2: a_1 is no row of this dataset",
    ]


def test_a_review_of_a_row_that_is_worked_out_says_where_to_say_it(project: InProcess) -> None:  # noqa: F811
    write_stage(
        project.root, "best", kind="group", after="answers", by="questions", columns={"n": "rows.answers | length"}
    )
    words = ("stages=[tags,questions,answers,best]",)
    built(project, *words)
    says(project, json.dumps({"id": project.rows("best")[0]["id"], "verdict": "reject"}) + "\n", "reviews.jsonl")
    (told,) = project.run("--json", *SMALL, *words).document["unmatched"]
    assert told.endswith("is of best, whose rows are worked out: say it of what they are made from")


def test_only_the_unit_of_a_reviewed_row_is_walked_again(project: InProcess) -> None:  # noqa: F811
    """Rows of all others are taken over: their responses need not even be there."""
    built(project)
    answer, last = row(project, "answers", 0), project.rows("answers")[-1]
    with opened(project) as database:
        for other in project.rows("answers"):
            if other["tag"] not in (answer["tag"], last["tag"]):
                database.execute("DELETE FROM Cache WHERE key = ?", (other["call"],))
    reviews(project, {"id": answer["id"], "verdict": "reject"})
    assert built(project) == []
    reviews(project, {"id": answer["id"], "verdict": "reject"}, {"id": last["id"], "verdict": "reject"})
    assert built(project) == []
    assert {answer["id"], last["id"]}.isdisjoint(exported(project))
    reviews(project, {"id": last["id"], "verdict": "reject"})
    assert built(project) == []
    assert answer["id"] in exported(project)
    assert last["id"] not in exported(project)


def test_the_same_files_elsewhere_give_the_same_bytes(project: InProcess) -> None:  # noqa: F811
    built(project)
    answer, question = row(project, "answers"), row(project, "questions", 0)
    reviews(
        project,
        {"id": answer["id"], "verdict": "reject"},
        {"id": question["id"], "verdict": "edit", "question": "What is an ace?"},
    )
    built(project)
    before = project.data()
    shutil.rmtree(project.folder())
    assert built(project) == []
    assert project.data() == before


def test_a_changed_review_is_the_cause_that_explain_and_diff_name(project: InProcess) -> None:  # noqa: F811
    built(project)
    version = project.run("--json", *SMALL).document["version"]
    answer = row(project, "answers")
    reviews(project, {"id": answer["id"], "verdict": "edit", "answer": "By hand."})
    assert "reviews.jsonl" in project.run("explain", *SMALL).stdout
    assert project.run("--locked", *SMALL).status == 4
    built(project)
    now = project.run("--json", *SMALL).document["version"]
    difference = project.raw("diff", version, now, "--json").document
    assert difference["answers"]["changed"] == 1
    assert any("reviews.jsonl" in json.dumps(cause) for cause in difference["causes"])


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('{"id": "a_1", "verdict": "rejected"}', "line 2: verdict is accept, reject, edit or left out, not 'rejected'"),
        ('{"verdict": "reject"}', "line 2: a review names its row"),
        ('{"id": "a_1", "verdict": "edit"}', "line 2: an edit has the new text"),
        ('{"id": "a_1", "verdict": "reject", "answer": "x"}', "line 2: answer: only an edit changes columns of a row"),
        ('{"id": "a_1", "rating": 6}', "line 2: rating is a whole number from 1 to 5, not 6"),
        ('{"id": "a_1", "at": "yesterday"}', "line 2: at is a time in ISO 8601"),
        ("<<<<<<< HEAD", "line 2: it was left by a merge"),
        ("reject a_1", "line 2: it is no JSON"),
        ('{"id": "a_1", "verdict": "edit", "answer": "\\ud800"}', "line 2: it has half of a letter"),
        ('{"id": "q_1", "verdict": "edit", "answer": "x"}', "line 2: q_1: questions have no answer to be edited: they"),
        ('{"id": "a_1", "verdict": "edit", "answer": ""}', "reviews.jsonl, line 2: a_1: answer is a text, not ''"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_line_and_a_way_out(project: InProcess, line: str, told: str) -> None:  # noqa: F811
    says(project, f'{{"id": "a_0", "rating": 3}}\n{line}\n', "reviews.jsonl")
    finished = project.run("plan", *SMALL)
    assert finished.status == 2
    assert told in " ".join(finished.stderr.split())


def test_rows_below_the_topic_are_reviewed_as_any_other(project: InProcess) -> None:  # noqa: F811
    says(project, '{"question": "What is sport?"}\n{"question": "Who plays?"}\n', "questions.jsonl")
    built(project)
    first, second = (row for row in project.rows("questions") if row["tag"] is None)
    answer = next(row for row in project.rows("answers") if row["question_id"] == second["id"])
    reviews(
        project,
        {"id": first["id"], "verdict": "reject"},
        {"id": answer["id"], "verdict": "edit", "answer": "People of all ages."},
    )
    finished = project.run("--json", *SMALL)
    assert (finished.status, finished.document["unmatched"], finished.document["calls"]) == (0, [], 0)
    assert first["id"] not in {row["question_id"] for row in project.rows("answers")}
    assert "People of all ages." in [row["answer"] for row in project.rows("answers")]
    reviews(project, {"id": second["id"], "verdict": "edit", "question": "Who plays tennis?"})
    assert [kind for kind, _ in built(project)] == ["answers"]


def test_a_review_of_a_row_that_is_no_longer_made_is_told(project: InProcess) -> None:  # noqa: F811
    built(project)
    question, answer = row(project, "questions"), row(project, "answers")
    reviews(project, {"id": answer["id"], "verdict": "reject"})
    built(project)
    reviews(project, {"id": answer["id"], "verdict": "reject"}, {"id": question["id"], "verdict": "reject"})
    finished = project.run("--json", *SMALL)
    (told,) = finished.document["unmatched"]
    assert told.startswith(f"reviews.jsonl, line 1: {answer['id']} is left as it is: it is not made")


def test_a_setting_of_reviews_is_the_cause_and_not_their_file(project: InProcess) -> None:  # noqa: F811
    built(project)
    reviews(project, {"id": row(project, "answers")["id"], "verdict": "reject"})
    built(project)
    told = project.run("explain", *SMALL, "curate.reviewed=all").stdout
    assert "curate.reviewed" in told
    assert "reviews.jsonl" not in told


def unmatched(project: InProcess, *words: str) -> list[str]:  # noqa: F811
    found: list[str] = project.run(*words, "--json").document["unmatched"]
    return found


def test_what_is_still_to_be_asked_for_is_no_row_that_is_not_there(project: InProcess) -> None:  # noqa: F811
    built(project)
    first, second = row(project, "answers", 0), row(project, "answers", 1)
    reviews(
        project,
        {"id": first["id"], "verdict": "reject"},
        {"id": second["id"], "verdict": "reject", "digest": text_digest(second, ("reasoning", "answer"))},
        {"id": "a_0123456789abcdef", "verdict": "reject"},
    )
    built(project)
    other = (*SMALL, "teacher.max_tokens=77")
    nowhere = "reviews.jsonl, line 3: a_0123456789abcdef is no row of this dataset"
    waits = "is still to be asked for: where another text comes than the one that was reviewed, it is left as it is"
    assert set(unmatched(project, "plan", *other)) == {f"reviews.jsonl, line 2: {second['id']} {waits}", nowhere}
    questions = (*SMALL, "student.max_tokens=77")
    (told,) = unmatched(project, "plan", *questions)
    assert told.endswith("is no row that is known before what is missing is there (nor are 2 others)")
    assert unmatched(project, *questions) == [nowhere], "the same answers came"


def test_a_row_that_is_missing_is_no_row_that_is_not_there(project: InProcess) -> None:  # noqa: F811
    built(project)
    answer = row(project, "answers", 0)
    reviews(project, {"id": answer["id"], "verdict": "reject"})
    assert project.server is not None
    project.server.plan = lambda number, body: status(500) if kind_of(body) == "answers" else by_place(number, body)
    finished = project.run("--json", *SMALL, "teacher.max_tokens=77", "limits.retries=0", "--keep-going", "0")
    assert (finished.status, finished.document["unmatched"]) == (1, [])


def test_a_verdict_that_is_taken_back_is_no_file_that_is_removed(project: InProcess) -> None:  # noqa: F811
    built(project)
    rejected = {"id": row(project, "answers")["id"], "verdict": "reject"}
    reviews(project, rejected)
    built(project)
    reviews(project, rejected, {"id": rejected["id"], "note": "it is right after all"})
    assert "reviews.jsonl says nothing any more" in project.run("explain", *SMALL).stdout
    built(project)
    assert "reviews.jsonl says nothing any more" in project.raw("history").stdout


def test_what_was_said_below_a_rejected_row_is_told_as_that(project: InProcess) -> None:  # noqa: F811
    built(project)
    answer = row(project, "answers")
    reviews(project, {"id": answer["id"], "verdict": "accept"}, {"id": answer["question_id"], "verdict": "reject"})
    why = f"left as it is: it is not made, since what it hangs on ({answer['question_id']}) was rejected"
    told = [f"reviews.jsonl, line 1: {answer['id']} is {why}"]
    assert unmatched(project, "plan", *SMALL) == unmatched(project, *SMALL) == told
    assert unmatched(project, *SMALL, "questions_per_tag=3") == told, "its unit, or others, are walked again"
    assert unmatched(project, *SMALL, "teacher.max_tokens=77") == told


def test_a_row_that_is_left_out_says_so(project: InProcess) -> None:  # noqa: F811
    """By itself, by what it hangs on, and where only accepted ones go on."""

    def why(key: str) -> list[str]:
        for command in ("show", "log"):
            told: list[str] = project.raw(command, key, "--json").document["left_out"]
            assert f"left out  {'; '.join(told)}"[:60] in project.raw(command, key).stdout or not told
        return told

    words = ("stages=[tags,questions,answers,scores,filter]", "judge.name=judge")
    built(project, *words)
    first, second, third = (row(project, "answers", number)["id"] for number in range(3))
    score = next(each["id"] for each in project.rows("scores") if each["parent"] == second)
    reviews(project, {"id": first, "verdict": "reject"}, {"id": third, "verdict": "accept"})
    built(project, *words, "curate.reviewed=accepted")
    assert (why(first), why(third), why(score)) == (["rejected by hand"], [], [])
    assert why(second) == ["nobody has accepted it, which curate.reviewed=accepted asks for"]
    built(project, *words, "filter.min_words=1000")
    assert (why(third), why(score)) == (["dropped by filter"], [f"its answer {second} is dropped by filter"])


def test_what_was_said_below_an_excluded_tag_is_told_as_that(project: InProcess) -> None:  # noqa: F811
    built(project)
    answer = next(each for each in project.rows("answers") if each["path"][1] == "Bravo sports")
    reviews(project, {"id": answer["id"], "verdict": "reject"})
    built(project)
    says(project, "exclude: [bravo SPORTS]\n")
    why = "is no row of this dataset, or lies below what tree.yaml excludes (bravo SPORTS)"
    told = [f"reviews.jsonl, line 1: {answer['id']} {why}"]
    assert unmatched(project, "plan", *SMALL) == unmatched(project, *SMALL) == unmatched(project, *SMALL) == told
