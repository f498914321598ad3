"""What people have made is told as theirs: by show, log, explain and diff, which fail on none of it."""

import json
import re
import shutil
from typing import Any

import pytest

from distill_build.review import text_digest
from tests.e2e.test_only_what_is_affected import InProcess
from tests.e2e.test_tree_by_hand import SMALL, built, by_place, project, says  # noqa: F401 - a fixture

Row = dict[str, Any]
TREE = """\
rename: {Bravo sports: Team games}
exclude: [Charlie sports]
tags: {Golf: {}}
breadth: 4
about: {Alpha sports: {rename: {Bravo Alpha sports: Second}}}
"""
QUESTIONS = [
    {"question": "What is sport?"},
    {"question": "How long is a marathon?", "answer": "42.195 km", "reasoning": "So.", "path": "Board games/Chess"},
]


@pytest.fixture
def curated(project: InProcess) -> InProcess:  # noqa: F811
    """A dataset of a model's, and then with all that a person may make of it."""
    built(project)
    answers, questions = project.rows("answers"), project.rows("questions")
    reviews = [
        {"id": answers[0]["id"], "verdict": "edit", "answer": "By hand.", "rating": 4, "note": "better", "by": "Ada"}
        | {"at": "2026-11-29T12:00:00Z"},
        {"id": answers[1]["id"], "verdict": "reject", "note": "bad"},
        {"id": questions[2]["id"], "verdict": "edit", "question": "What is an ace?"},
    ]
    says(project, TREE)
    says(project, "".join(json.dumps(line) + "\n" for line in QUESTIONS), "questions.jsonl")
    says(project, "".join(json.dumps(line) + "\n" for line in reviews), "reviews.jsonl")
    built(project)
    return project


def row(project: InProcess, stage: str, **columns: object) -> Row:  # noqa: F811
    return next(row for row in project.rows(stage) if columns.items() <= row.items())


def told(project: InProcess, command: str, key: str) -> str:  # noqa: F811
    finished = project.raw(command, key)
    assert finished.status == 0, finished.stderr
    assert project.raw(command, key, "--json").document
    return " ".join(finished.stdout.split())


def test_a_review_is_told_with_the_row(curated: InProcess) -> None:
    edited, rejected = (row(curated, "answers", review=verdict)["id"] for verdict in ("edit", "reject"))
    assert "reviewed edit, rated 4 by Ada on 2026-11-29 12:00: better" in told(curated, "show", edited)
    assert "reviewed reject: bad" in told(curated, "show", rejected)
    assert "review reject: bad" in told(curated, "log", rejected)
    document = curated.raw("show", edited, "--json").document
    assert (document["review"]["rating"], document["review"]["applied"]) == (4, True)


@pytest.mark.parametrize("command", ["show", "log"])
def test_an_edit_is_told_as_in_the_row_where_it_is(curated: InProcess, command: str) -> None:
    """Of two edits one after the other, and of one that speaks of another text."""
    edited = row(curated, "answers", answer="By hand.")
    line = {"id": edited["id"], "verdict": "edit", "answer": "Second."}

    def applied() -> bool:
        says(curated, json.dumps(line) + "\n", "reviews.jsonl")
        told = curated.raw(command, edited["id"], "--json").document
        return bool(told["review"]["applied"])

    assert not applied()
    assert "(not in this row: a build reads reviews.jsonl)" in told(curated, command, edited["id"])
    built(curated)
    assert applied()
    line["digest"] = "0" * 64
    says(curated, json.dumps(line) + "\n", "reviews.jsonl")
    built(curated)
    assert not applied(), "it is stale"


def test_an_edited_text_is_told_with_the_models_own(curated: InProcess) -> None:
    edited = row(curated, "answers", answer="By hand.")
    replied = next(iter(curated.raw("log", edited["id"], "--json").document["chain"][-1]["attempts"]))["raw"]
    own = replied["choices"][0]["message"]["content"].split("</think>")[-1].strip()
    assert f"Edited by hand by Ada on 2026-11-29 12:00 the model's answer {own}" in told(curated, "log", edited["id"])
    assert f"By hand. The model's answer, before it was edited by hand: {own}" in told(curated, "show", edited["id"])
    for command in ("show", "log"):
        assert curated.raw(command, edited["id"], "--json").document["edited_from"] == {"answer": own}


@pytest.mark.parametrize("stages", [SMALL[-1:], ("dedup.near=null",)], ids=["alone", "judged"])
def test_an_edited_question_is_told_with_the_models_own(curated: InProcess, stages: tuple[str, ...]) -> None:
    assert curated.run(*SMALL[:-1], *stages).status == 0
    key, own = (
        row(curated, "questions", question="What is an ace?")["id"],
        "What is the Alpha thing of Bravo Alpha sports?",
    )
    question = told(curated, "log", key)
    assert f"Question “{own}”, by hand “What is an ace?”: request 1" in question
    assert f"Edited by hand the model's question {own}" in question
    assert re.search(r"latest~\d with another text", question)
    assert f"What is an ace? The model's question, before it was edited by hand: {own}" in told(curated, "show", key)


def test_without_a_cache_nothing_is_said_of_the_models_text(curated: InProcess) -> None:
    key = row(curated, "answers", answer="By hand.")["id"]
    shutil.rmtree(curated.root / ".distill-cache")
    assert "The model's answer" not in told(curated, "show", key)


def test_what_was_given_by_hand_is_told_with_its_file(curated: InProcess) -> None:
    own = row(curated, "questions", question="What is sport?")["id"]
    assert "Question “What is sport?” given by hand in questions of your own" in told(curated, "log", own)
    given = told(curated, "log", row(curated, "answers", answer="42.195 km")["id"])
    assert given.count("given by hand in questions of your own") == 4  # with its question and two tags
    assert "given by hand in tree.yaml" in told(curated, "log", row(curated, "tags", label="Golf")["id"])
    below = told(curated, "log", row(curated, "tags", label="Alpha Golf")["id"])
    assert "Tag “Alpha Golf”: request 1 of 2" in below


def test_a_renamed_tag_is_told_with_the_models_label(curated: InProcess) -> None:
    renamed = row(curated, "tags", label="Team games")["id"]
    assert "renamed by hand from Bravo sports" in told(curated, "show", renamed)
    assert "Tag “Bravo sports”, by hand “Team games”: request 1 of 2" in told(curated, "log", renamed)


def test_explain_says_what_a_person_did_in_words(curated: InProcess) -> None:
    says(curated, TREE.replace("[Charlie sports]", "[Charlie sports, Delta sports]"))
    explained = curated.run("explain", *SMALL).stdout
    assert "tree.yaml: exclude: Charlie sports → Charlie sports, Delta sports" in explained
    (curated.root / "questions.jsonl").unlink()
    assert "questions of your own removed" in curated.run("explain", *SMALL).stdout
    (curated.root / "tree.yaml").unlink()
    assert "tree.yaml says nothing any more" in curated.run("explain", *SMALL).stdout


def test_explain_says_of_what_no_model_was_asked_for_that_it_is_by_hand(curated: InProcess) -> None:
    for stage, columns in (("questions", {"question": "What is sport?"}), ("answers", {"answer": "42.195 km"})):
        finished = curated.run("explain", row(curated, stage, **columns)["id"], *SMALL)
        assert finished.status == 2
        assert "it was given by hand" in finished.stderr
    for tag in curated.rows("tags"):
        finished = curated.run("explain", tag["id"], *SMALL)
        assert "nothing that goes into the request" in finished.stdout or "no model" in finished.stderr
    top = row(curated, "answers", question="What is sport?")["id"]
    assert "nothing that goes into the request behind" in curated.run("explain", top, *SMALL).stdout


def test_a_difference_made_by_hand_is_told_as_that(curated: InProcess) -> None:
    new, old = (each["version"] for each in curated.raw("history", "--json").document["versions"])
    finished = curated.raw("diff", old, new)
    words = " ".join(finished.stdout.split())
    assert "2 tags renamed: by hand, in tree.yaml" in words
    assert "1 tag removed: by hand, in " in words
    assert "1 question changed: by hand, in reviews.jsonl" in words
    assert "2 answers changed: by hand, in reviews.jsonl" in words
    assert "no setting that differs explains it" not in words
    assert "has another response" not in words
    document = curated.raw("diff", old, new, "--json").document
    assert {tuple(each["new"]) for each in document["renamed_tags"]} == {
        ("sports", "Team games"),
        ("sports", "Alpha sports", "Second"),
    }
    for tag in curated.rows("tags"):
        assert curated.raw("diff", old, new, tag["id"]).status == 0


def groups(project: InProcess) -> set[str]:  # noqa: F811
    """How many rows did what, and why, between the last two versions."""
    finished = project.raw("diff")
    assert finished.status == 0, finished.stderr
    return {line for line in finished.stdout.splitlines() if re.match(r"\d+ .+: ", line)}


def says_lines(project: InProcess, file: str, lines: list[Row]) -> None:  # noqa: F811
    says(project, "".join(json.dumps(line) + "\n" for line in lines), file)


def test_each_row_has_the_file_that_it_comes_from(curated: InProcess) -> None:
    assert groups(curated) >= {
        "3 tags added: by hand, in tree.yaml",  # Golf, and one for each of the tags that stay
        "1 tag added: by hand, in questions of your own",  # Board games
        "1 tag removed: by hand, in tree.yaml",
        "1 question added: by hand, in questions of your own",
    }
    given = QUESTIONS[1] | {"answer": "42.2 km"}
    says_lines(curated, "questions.jsonl", [QUESTIONS[0] | {"question": "What is a sport?"}, given])
    says(curated, TREE.replace("Golf", "Chess"))
    built(curated)
    assert groups(curated) >= {
        "1 tag added: by hand, in tree.yaml",
        "1 tag removed: by hand, in tree.yaml",
        "1 question added: by hand, in questions of your own",
        "1 question removed: by hand, in questions of your own",
        "1 answer changed: by hand, in questions of your own",
    }


def test_another_edit_of_an_edited_answer_is_by_hand_too(curated: InProcess) -> None:
    edited = row(curated, "answers", answer="By hand.")
    says_lines(curated, "reviews.jsonl", [{"id": edited["id"], "verdict": "edit", "answer": "By hand again."}])
    built(curated)
    assert "2 answers changed: by hand, in reviews.jsonl" in groups(curated)  # and a rejection that was taken back


def test_what_a_rejected_question_takes_with_it_is_by_hand(curated: InProcess) -> None:
    judged = (*SMALL[:-1], "dedup.near=null")
    assert curated.run(*judged).status == 0
    questions = [row for row in curated.rows("questions") if row["index"] >= 0]
    says_lines(curated, "reviews.jsonl", [{"id": questions[-1]["id"], "verdict": "reject"}])
    assert curated.run(*judged).status == 0
    assert "1 answer removed: by hand, in reviews.jsonl" in groups(curated)


def test_a_review_that_is_stale_is_not_why_the_text_is_another_one(project: InProcess) -> None:  # noqa: F811
    built(project)
    answers = project.rows("answers")
    digest = text_digest(answers[0], ("reasoning", "answer"))
    says_lines(
        project, "reviews.jsonl", [{"id": answers[0]["id"], "verdict": "edit", "answer": "So.", "digest": digest}]
    )
    built(project)
    with (project.root / "reviews.jsonl").open("a") as file:
        file.write(json.dumps({"id": answers[1]["id"], "verdict": "edit", "answer": "So."}) + "\n")
    built(project, "teacher.temperature=0.9")
    assert groups(project) == {
        "17 answers changed: teacher.temperature: null → 0.9",
        "1 answer changed: by hand, in reviews.jsonl",
    }


def test_all_else_that_reads_a_dataset_reads_it(curated: InProcess) -> None:
    new, old = (each["version"] for each in curated.raw("history", "--json").document["versions"])
    before = curated.data()
    for words in (
        ("sample", "30"),
        ("tree",),
        ("verify",),
        ("cache", "export", "bundle"),
        ("checkout", old),
        ("verify",),
    ):
        assert curated.raw(*words).status == 0, words
    assert curated.raw("checkout", new).status == 0
    assert curated.data() == before
    assert built(curated) == []
    assert curated.run("--locked", *SMALL).status == 0
    assert curated.run(*SMALL, "--rebuild", "answers:sports").status == 0
    assert curated.server is not None
    curated.server.plan = by_place
    assert curated.run(*SMALL, "-m", "teacher.temperature=0.1,0.2").status == 0


def test_a_file_that_is_not_read_is_told_by_every_plan_and_build(project: InProcess) -> None:  # noqa: F811
    built(project)
    answers = [each["id"] for each in project.rows("answers")]
    for number, place in enumerate(("curate/sports/reviews.jsonl", "reviews.jsonl")):
        says(project, json.dumps({"id": answers[number], "verdict": "reject"}) + "\n", place)
    says(project, "exclude: [Bravo sports]\n", "tree.yml")
    told = [
        "reviews.jsonl is not read: curate/sports/reviews.jsonl comes before it; move there what it says",
        "tree.yml is not read: call it tree.yaml",
    ]
    for words in (("plan",), (), ("plan",), ()):  # the last two have nothing to do
        assert project.run(*words, "--json", *SMALL).document["unmatched"] == told
        finished = project.run(*words, *SMALL)
        text = " ".join((finished.stdout + finished.stderr).replace("! ", "").split())
        assert all(sentence in text for sentence in told)
    says(project, json.dumps({"id": answers[1], "topic": "chess", "verdict": "reject"}) + "\n", "reviews.jsonl")
    (project.root / "tree.yml").unlink()
    assert project.run("--json", *SMALL).document["unmatched"] == []


def test_what_is_not_read_makes_no_other_sweep(project: InProcess) -> None:  # noqa: F811
    first = project.run("plan", "-m", "--json", *SMALL, "teacher.temperature=0.1,0.2").document["sweep"]
    says(project, "exclude: [Bravo sports]\n", "tree.yml")
    assert project.run("plan", "-m", "--json", *SMALL, "teacher.temperature=0.1,0.2").document["sweep"] == first


def test_where_a_line_stands_and_who_wrote_it_makes_no_other_sweep(project: InProcess) -> None:  # noqa: F811
    def sweep(*lines: Row) -> str:
        says(project, "".join(f"{json.dumps(line)}\n" for line in lines), "reviews.jsonl")
        found: str = project.run("plan", "-m", "--json", *SMALL, "teacher.temperature=0.1,0.2").document["sweep"]
        return found

    review = {"id": "a_0123456789abcdef", "verdict": "reject"}
    same = sweep(review)
    assert sweep({"id": "a_1", "note": "odd"}, review | {"by": "Ada", "at": "2026-11-29"}) == same
    assert sweep(review | {"verdict": "edit", "answer": "By hand."}) != same
