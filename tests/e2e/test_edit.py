"""`edit`: what a person changes in the files of a dataset becomes theirs, and the next build has it."""

import json
import math
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from distill_build.review import text_digest
from tests.e2e.judged import LINE, reply
from tests.e2e.own_project import write_prompt, write_stage
from tests.e2e.test_only_what_is_affected import InProcess
from tests.e2e.test_tree_by_hand import SMALL, built, level_1, paths, project, says  # noqa: F401 - a fixture
from tests.e2e.workspace import Finished

Row = dict[str, Any]


def edited(project: InProcess, artefact: str, change: Callable[[list[Row]], object]) -> None:  # noqa: F811
    """Has a person edit the rows of a file in place."""
    rows = project.rows(artefact)
    change(rows)
    (project.folder() / f"{artefact}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def edit(project: InProcess) -> Finished:  # noqa: F811
    finished = project.raw("edit", "--json")
    assert finished.status == 0, finished.stderr
    return finished


def says_of(project: InProcess, name: str) -> list[Row]:  # noqa: F811
    text = (project.root / "curate" / "sports" / name).read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def test_what_was_edited_stays_and_asks_for_what_hangs_on_it_alone(project: InProcess) -> None:  # noqa: F811
    built(project)
    before = project.data()
    edited(project, "answers", lambda rows: rows[0].update(answer="By hand. 答"))
    edited(project, "answers", lambda rows: rows.pop(3))
    edited(project, "questions", lambda rows: rows[4].update(question="What is an ace?"))
    edited(project, "tags", lambda rows: rows[5].update(label="Second of Bravo"))
    edited(project, "tags", lambda rows: rows.pop(11))
    done = edit(project).document
    assert (done["reviews"], done["tree"], done["left"]) == (
        {"edits": 2, "rejections": 1},
        {"renamed": 1, "excluded": 1, "added": 0},
        [],
    )
    assert project.data() == before
    assert sorted(Path(copy).name for copy in done["kept"]) == ["answers.jsonl", "questions.jsonl", "tags.jsonl"]
    assert all("By hand" in Path(project.root, copy).read_text() for copy in done["kept"] if "answers" in copy)
    assert [kind for kind, _ in built(project)] == ["answers"]
    assert project.rows("answers")[0]["answer"] == "By hand. 答"
    assert [row["question"] for row in project.rows("answers")].count("What is an ace?") == 1
    assert project.rows("answers")[3]["review"] == "reject"
    assert paths(project)[5] == "Bravo sports/Second of Bravo"
    assert len(paths(project)) == 11
    assert project.raw("verify", "sports").status == 0
    assert project.run("--locked", *SMALL).status == 0
    assert "nothing was edited by hand" in project.raw("edit").stdout
    assert built(project) == []


def test_a_kill_before_the_files_are_back_loses_nothing(project: InProcess) -> None:  # noqa: F811
    """The second time says the same once more."""
    built(project)
    artefacts = {name: project.folder() / f"{name}.jsonl" for name in ("tags", "questions", "answers")}
    edited(project, "answers", lambda rows: rows[0].update(answer="By hand."))
    edited(project, "questions", lambda rows: rows.append({"question": "Why?", "path": rows[0]["path"]}))
    edited(project, "tags", lambda rows: rows[0].update(label="First"))
    texts = {name: file.read_bytes() for name, file in artefacts.items()}
    for _ in range(2):
        for name, file in artefacts.items():
            file.write_bytes(texts[name])
        edit(project)
    assert [kind for kind, _ in built(project)] == ["answers"]
    assert len(project.rows("questions")) == 18 + 1
    assert project.rows("answers")[1]["answer"] == "By hand."
    assert level_1(project)[0] == "First"
    assert project.run("--json", *SMALL).document["unmatched"] == []


def test_a_second_edit_of_a_row_is_of_the_models_text_and_keeps_the_first(project: InProcess) -> None:  # noqa: F811
    built(project)
    edited(project, "answers", lambda rows: rows[0].update(answer="First."))
    edit(project)
    says(
        project,
        json.dumps(says_of(project, "reviews.jsonl")[0] | {"rating": 4, "note": "better"}) + "\n",
        "curate/sports/reviews.jsonl",
    )
    built(project)
    edited(project, "answers", lambda rows: rows[0].update(reasoning="Since."))
    edit(project)
    first, second = says_of(project, "reviews.jsonl")
    assert second == first | {"reasoning": "Since.", "at": second["at"]}
    assert built(project) == []
    row = project.rows("answers")[0]
    assert (row["reasoning"], row["answer"], row["review"]) == ("Since.", "First.", "edit")
    assert project.run("--json", *SMALL).document["unmatched"] == []


def test_an_edit_stands_though_another_machines_clock_was_ahead(project: InProcess) -> None:  # noqa: F811
    built(project)
    first, second = (row["id"] for row in project.rows("answers")[:2])
    ahead = [
        {"id": first, "rating": 3, "at": "2099-01-01T00:00:00+14:00"},
        {"id": second, "note": "later than all", "at": "9999-12-31T23:59:59.999999-01:00"},
    ]
    says(project, "".join(json.dumps(line) + "\n" for line in ahead), "curate/sports/reviews.jsonl")
    edited(project, "answers", lambda rows: [row.update(answer="By hand.") for row in rows[:2]])
    edit(project)
    built(project)
    assert [row["answer"] for row in project.rows("answers")[:2]] == ["By hand.", "By hand."]
    *_, one, other = says_of(project, "reviews.jsonl")
    assert (one["rating"], other["note"]) == (3, "later than all")


@pytest.mark.parametrize("digest", [True, False])
def test_an_edit_keeps_one_that_waits(project: InProcess, digest: bool) -> None:  # noqa: F811
    built(project)
    row = project.rows("answers")[0]
    of = text_digest(row, ("reasoning", "answer"))
    waits = {"id": row["id"], "verdict": "edit", "reasoning": "Mine."} | ({"digest": of} if digest else {})
    stale = {"id": project.rows("answers")[1]["id"], "verdict": "edit", "reasoning": "Of old.", "digest": "0" * 64}
    says(project, "".join(json.dumps(line) + "\n" for line in (waits, stale)), "curate/sports/reviews.jsonl")
    edited(project, "answers", lambda rows: [row.update(answer="By hand.") for row in rows[:2]])
    edit(project)
    built(project)
    one, other = project.rows("answers")[:2]
    assert (one["reasoning"], one["answer"]) == ("Mine.", "By hand.")
    assert other["answer"] == "By hand."
    assert other["reasoning"] != "Of old.", "what spoke of another text"


@pytest.mark.parametrize("last", [None, "reject"])
def test_an_edited_row_that_is_edited_again_keeps_the_first_edit(
    project: InProcess,  # noqa: F811
    last: str | None,
) -> None:
    """Also where the line that said it is gone, or says something else by now."""
    built(project)
    edited(project, "answers", lambda rows: rows[0].update(answer="First."))
    edit(project)
    built(project)
    file = project.root / "curate/sports/reviews.jsonl"
    line = json.loads(file.read_text())
    told = {key: line[key] for key in ("id", "digest")} | {"verdict": last}
    file.write_text(json.dumps(told) + "\n" if last else "")
    edited(project, "answers", lambda rows: rows[0].update(reasoning="Since."))
    edit(project)
    assert project.run("--json", *SMALL).document["unmatched"] == []
    row = project.rows("answers")[0]
    assert (row["reasoning"], row["answer"], row["review"]) == ("Since.", "First.", "edit")


def test_new_rows_are_questions_of_ones_own_with_their_answers(project: InProcess) -> None:  # noqa: F811
    built(project)
    path = project.rows("questions")[0]["path"]
    tag = project.rows("questions")[5]["tag"]
    new = [
        {"id": "mine", "question": "How long is a marathon?", "path": path},
        {"question": "Who plays?", "tag": tag},
        {"question": "What is sport?"},
    ]
    edited(project, "questions", lambda rows: rows.extend(new))
    given = {"question_id": "mine", "answer": "42.195 km", "reasoning": "It was fixed in 1921."}
    edited(project, "answers", lambda rows: rows.extend([given, {"question": "who plays", "answer": "All."}]))
    done = edit(project).document
    assert (done["added"], done["left"]) == ({"questions": 3}, [])
    asked = built(project)
    assert [place for _, place in asked] == [asked[0][1]]
    assert "What is sport?" in asked[0][1]
    rows = {row["question"]: row for row in project.rows("answers")}
    assert rows["How long is a marathon?"]["path"] == path
    assert rows["How long is a marathon?"]["reasoning"] == "It was fixed in 1921."
    assert rows["Who plays?"]["answer"] == "All."
    assert project.raw("verify", "sports").status == 0


def test_an_answer_a_note_and_a_path_of_one_text_stand_in_the_questions_own_row(project: InProcess) -> None:  # noqa: F811
    built(project)
    first = project.rows("questions")[0]
    copied = {name: value for name, value in first.items() if name != "id"} | {"question": "Why?", "level": "hard"}
    new = {"question": "Who?", "path": "/".join(first["path"]), "answer": "All.", "reasoning": "So.", "note": "mine"}
    edited(project, "questions", lambda rows: rows.extend([copied, new]))
    done = edit(project).document
    assert done["left"] == []
    assert built(project)[0][0] == "answers"
    rows = {row["question"]: row for row in project.rows("answers")}
    assert (rows["Who?"]["path"], rows["Why?"]["path"]) == (first["path"], first["path"])
    assert (rows["Who?"]["answer"], rows["Who?"]["reasoning"]) == ("All.", "So.")
    assert says_of(project, "questions.jsonl")[1]["note"] == "mine"


def test_what_a_new_row_cannot_say_is_told_and_the_rest_taken(project: InProcess) -> None:  # noqa: F811
    built(project)
    edited(project, "questions", lambda rows: rows.append({"question": "Why?", "difficulty": "hard"}))
    done = edit(project).document
    assert done["left"] == ["questions.jsonl, line 19: difficulty is nothing that a new row of questions can say"]
    assert (done["added"], done["put_back"]) == ({"questions": 1}, ["questions.jsonl"])


def test_an_answer_that_no_build_would_take_is_left_with_its_line(project: InProcess) -> None:  # noqa: F811
    kind = ("answer.kind=label", "answer.labels=[yes,no]")
    assert project.run(*SMALL, *kind).status in (0, 1)
    new = [{"question": "Is it?", "answer": "perhaps"}, {"id": "mine", "question": "Is it not?"}]
    edited(project, "questions", lambda rows: rows.extend(new))
    edited(project, "answers", lambda rows: rows.append({"question_id": "mine", "answer": "perhaps"}))
    done = edit(project).document
    assert [re.sub(r", line \d+", "", sentence) for sentence in done["left"]] == [
        "questions.jsonl: answer is one of yes, no, not 'perhaps'",
        "answers.jsonl: answer is one of yes, no, not 'perhaps'",
    ]
    assert says_of(project, "questions.jsonl") == [{"question": "Is it not?"}]
    assert project.run("plan", *SMALL, *kind).status == 0


def test_a_tag_that_was_added_is_by_hand(project: InProcess) -> None:  # noqa: F811
    built(project)
    edited(project, "tags", lambda rows: rows.append({"label": "Chess", "path": ["sports", "Bravo sports", "Chess"]}))
    edited(
        project, "questions", lambda rows: rows.append({"question": "e4?", "path": ["sports", "Bravo sports", "Chess"]})
    )
    assert edit(project).document["tree"]["added"] == 1
    built(project)
    assert [path for path in paths(project) if path.endswith("Chess")] == ["Bravo sports/Chess"]
    assert level_1(project)[1] == "Bravo sports"


def test_a_name_that_is_replaced_in_all_files_renames_the_tag_and_nothing_else(project: InProcess) -> None:  # noqa: F811
    built(project)
    for name in ("tags", "questions", "answers"):
        file = project.folder() / f"{name}.jsonl"
        file.write_text(file.read_text().replace('"Bravo sports"', '"Team games"'))
    done = edit(project).document
    assert (done["tree"]["renamed"], done["reviews"], done["left"]) == (1, {"edits": 0, "rejections": 0}, [])
    assert built(project) == []
    assert level_1(project)[1] == "Team games"


def test_what_lies_below_what_is_gone_is_not_rejected_too(project: InProcess) -> None:  # noqa: F811
    built(project)
    gone = project.rows("questions")[0]["id"]
    edited(project, "questions", lambda rows: rows.pop(0))
    edited(project, "answers", lambda rows: rows.remove(next(row for row in rows if row["question_id"] == gone)))
    assert edit(project).document["reviews"] == {"edits": 0, "rejections": 1}
    assert [review["id"] for review in says_of(project, "reviews.jsonl")] == [gone]
    assert built(project) == []
    assert project.run("--json", *SMALL).document["unmatched"] == []


def test_other_order_and_layout_are_no_edits(project: InProcess) -> None:  # noqa: F811
    built(project)
    before = project.data()
    edited(project, "answers", lambda rows: rows.reverse())
    done = edit(project).document
    assert (done["reviews"], done["left"], done["put_back"]) == ({"edits": 0, "rejections": 0}, [], ["answers.jsonl"])
    assert project.data() == before


def test_a_column_of_ones_own_stage_may_be_called_as_a_key_of_a_review(project: InProcess) -> None:  # noqa: F811
    columns = {"note": {"type": "string"}, "by": {"type": "string"}, "rating": {"type": "number"}}
    schema = {"type": "object", "properties": columns, "required": list(columns)}
    write_stage(project.root, "glosses", kind="map", after="answers", role="glosser", prompt="glosses", schema=schema)
    write_prompt(project.root, "glosses", "Say something of: {{ row.answer }}")
    (project.root / "conf/distill.yaml").write_text("defaults: [base, _self_]\n")
    words = (*SMALL[:-1], "stages=[tags,questions,answers,glosses]")
    assert project.run(*words).status == 0
    edited(project, "glosses", lambda rows: rows[0].update(note="Mine.", by="Me", rating=7))
    edited(project, "glosses", lambda rows: rows[1].update(rating=math.nan))
    done = edit(project).document
    assert done["reviews"]["edits"] == 1
    assert ["line 2: it has a number that no JSON has" in sentence for sentence in done["left"]] == [True]
    assert project.run(*words).status == 0
    row = project.rows("glosses")[0]
    assert (row["note"], row["by"], row["rating"], row["review"]) == ("Mine.", "Me", 7, "edit")
    assert project.raw("show", row["id"], "--json").document["edited_from"].keys() == columns.keys()


@pytest.mark.parametrize(
    ("artefact", "change", "told"),
    [
        ("answers", lambda rows: rows[1].update(usage={}), "line 2: usage is no text of a row of answers"),
        ("answers", lambda rows: rows[1].update(answer=""), "line 2: answer is a text, not ''"),
        ("answers", lambda rows: rows[1].update(answer="half \ud83d"), "line 2: it has half of a letter"),
        ("tags", lambda rows: rows[1].update(label="half \ud83d"), "line 2: label is no label"),
        ("answers", lambda rows: rows.append({"answer": "So."}), "line 19: a model answers what is there"),
        ("questions", lambda rows: rows.append(rows[0] | {"question": "Why?"}), "line 19: another row has this"),
        ("questions", lambda rows: rows.append({"text": "Why?"}), "line 19: each line has a text question"),
        ("questions", lambda rows: rows.append({"question": 7}), "line 19: question is a text, not 7"),
        ("questions", lambda rows: rows.append({"question": "a \ud83d"}), "line 19: it has half of a letter"),
        ("questions", lambda rows: rows.append({"question": "?", "path": ["sports", " ", "x"]}), "path is a list of"),
        ("questions", lambda rows: rows.append({"question": "?", "path": ["x"] * 11}), "10 levels of tags at the most"),
        ("questions", lambda rows: rows.append({"question": "?", "tag": "t_gone"}), "there is no tag 't_gone'"),
        ("questions", lambda rows: rows.append({"question": "?", "tag": rows[0]["tag"], "path": ["x"]}), "two places"),
        ("questions", lambda rows: rows.append({"question": "?", "reasoning": "So."}), "reasoning goes with an answer"),
        ("tags", lambda rows: rows.append({"label": "A", "parent": rows[0]["id"], "path": ["sports", "A"]}), "places"),
        ("tags", lambda rows: rows[0].update(label="bravo SPORTS"), "line 1: another tag beside it is called"),
        ("tags", lambda rows: rows[0].update(label=" "), "tags.jsonl, line 1: label is no label"),
        ("answers", lambda rows: rows[1].update(review="reject"), "line 2: review says what stands in reviews.jsonl"),
        ("tags", lambda rows: rows[0].update(review="reject"), "line 1: review is no text of a row of tags"),
        ("tags", lambda rows: rows[0].update(number="7"), "line 1: number is no text of a row of tags"),
        ("tags", lambda rows: rows.append({"label": "Chess"}), "line 13: a new tag has a label, and the path"),
    ],
)  # fmt: skip
def test_what_cannot_be_taken_is_told_with_its_line_and_left(
    project: InProcess,  # noqa: F811
    artefact: str,
    change: Callable[[list[Row]], object],
    told: str,
) -> None:
    built(project)
    edited(project, artefact, change)
    as_edited = (project.folder() / f"{artefact}.jsonl").read_bytes()
    done = edit(project).document
    assert [sentence for sentence in done["left"] if told in sentence], done["left"]
    assert done["put_back"] == []
    assert (project.folder() / f"{artefact}.jsonl").read_bytes() == as_edited
    assert not (project.root / "curate").exists()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "has no row left"),
        ('{"id": "a_', "answers.jsonl, line 1: it is no JSON"),
        ('{"a":' * 100_000, "answers.jsonl, line 1: it is no JSON (it is nested too deeply)"),
        ('{"id": "a_1", "answer": "A", "answer": "B"}', "answers.jsonl, line 1: answer stands there twice"),
    ],
)
def test_a_file_that_nobody_can_compare_changes_nothing(project: InProcess, text: str, told: str) -> None:  # noqa: F811
    built(project)
    edited(project, "questions", lambda rows: rows[0].update(question="Why?"))
    (project.folder() / "answers.jsonl").write_text(text)
    finished = project.raw("edit")
    assert finished.status == 2
    assert told in " ".join(finished.stderr.split())
    assert not (project.root / "curate").exists()


def test_without_the_version_in_the_cache_nothing_is_taken(project: InProcess) -> None:  # noqa: F811
    built(project)
    edited(project, "answers", lambda rows: rows[0].update(answer="By hand."))
    finished = project.raw("edit", "--cache-dir", str(project.root / "nowhere"))
    assert finished.status == 2
    assert "there is no cache" in finished.stderr


def test_an_edit_without_a_cache_is_had_by_copying_it_back_behind_a_build(project: InProcess) -> None:  # noqa: F811
    built(project)
    shutil.rmtree(project.root / ".distill-cache")
    edited(project, "answers", lambda rows: rows[0].update(answer="By hand."))
    finished = project.raw("edit")
    assert finished.status == 2
    assert "a build makes it anew from what outputs/sports keeps" in finished.stderr
    assert "what was edited goes to runs/<run id>/: copy it back behind that, and `edit` takes it" in finished.stderr
    assert built(project) == []
    (aside,) = project.folder().glob("runs/*/answers.jsonl")
    shutil.copy(aside, project.folder())
    assert edit(project).document["reviews"] == {"edits": 1, "rejections": 0}
    assert built(project) == []
    assert project.rows("answers")[0]["answer"] == "By hand."


def test_a_build_names_edit_as_the_way_to_keep_what_was_edited(project: InProcess) -> None:  # noqa: F811
    built(project)
    edited(project, "answers", lambda rows: rows[0].update(answer="By hand."))
    finished = project.run("plan", *SMALL)
    assert "`distill-build edit` keeps" in " ".join(finished.stderr.split() + finished.stdout.split())
    finished = project.run(*SMALL)
    assert "`distill-build edit`" in " ".join(finished.stderr.split() + finished.stdout.split())


def test_a_verdict_that_is_typed_beside_a_text_is_told_and_the_review_is_of_the_text(
    project: InProcess,  # noqa: F811
) -> None:
    built(project)
    row = project.rows("answers")[0]
    edited(project, "answers", lambda rows: rows[0].update(answer="By hand.", review="reject"))
    (left,) = edit(project).document["left"]
    assert 'as in {"id": "…", "verdict": "reject"}, or say it in `distill-build view`' in left
    (line,) = says_of(project, "reviews.jsonl")
    assert (line["verdict"], line["digest"]) == ("edit", text_digest(row, ("answer", "reasoning")))
    assert built(project) == []
    assert (project.rows("answers")[0]["answer"], project.rows("answers")[0]["review"]) == ("By hand.", "edit")
    edited(project, "answers", lambda rows: rows[0].update(review="accept"))
    edit(project)
    assert len(says_of(project, "reviews.jsonl")) == 1
    assert built(project) == []
    assert project.rows("answers")[0]["review"] == "edit"


def test_the_line_says_who_it_was_and_when(project: InProcess) -> None:  # noqa: F811
    subprocess.run(["git", "init", "-q"], cwd=project.root, check=True)
    subprocess.run(["git", "config", "user.name", "Ada"], cwd=project.root, check=True)
    built(project)
    edited(project, "answers", lambda rows: rows[0].update(answer="By hand."))
    edit(project)
    (review,) = says_of(project, "reviews.jsonl")
    assert (review["by"], review["at"][-1]) == ("Ada", "Z")


def test_what_was_edited_in_a_sweeps_job_is_what_its_builds_read(project: InProcess) -> None:  # noqa: F811
    jobs = (*SMALL, "-m", "teacher.temperature=0.1,0.2")
    assert project.run(*jobs).status == 0
    (job,) = project.folder().glob("sweeps/*/*temperature=0.1")
    answers = job / "answers.jsonl"
    first, *rows = answers.read_text().splitlines(keepends=True)
    answers.write_text("".join([json.dumps(json.loads(first) | {"answer": "By hand."}) + "\n", *rows]))
    finished = project.raw("edit", "-o", str(job.relative_to(project.root)))
    assert finished.status == 0
    assert "every build of sports reads that" in finished.stdout
    (review,) = says_of(project, "reviews.jsonl")
    finished = project.run(*jobs)
    assert finished.status == 0
    folders = project.folder().glob("sweeps/*/*temperature=0.1/answers.jsonl")
    edited = [json.loads(line) for folder in folders for line in folder.read_text().splitlines() if "By hand." in line]
    assert [row["id"] for row in edited] == [review["id"]], "a sweep of these is another one"
    tree = project.raw("tree", "--yaml", "-o", str(job.relative_to(project.root))).stdout
    assert "curate/sports/tree.yaml" in tree


def test_a_file_that_is_gone_rejects_nothing_and_is_told(project: InProcess) -> None:  # noqa: F811
    built(project)
    (project.folder() / "answers.jsonl").unlink()
    assert edit(project).document["left"] == [
        "answers.jsonl is not there, which rejects none of its rows: a build writes it again"
    ]
    assert not (project.root / "curate").exists()


def test_verify_says_what_keeps_an_edit_and_nothing_of_what_hangs_on_a_line_that_is_no_json(
    project: InProcess,  # noqa: F811
) -> None:
    built(project)
    questions = project.folder() / "questions.jsonl"
    first, second, *rest = questions.read_text().splitlines(keepends=True)
    questions.write_text("".join([first, second[:-4] + "\n", *rest]))
    finished = project.raw("verify", "--json")
    assert [finding["file"] for finding in finished.document["findings"]] == ["questions.jsonl"] * 2
    assert "`distill-build edit outputs/sports` has all builds to come keep what was edited" in finished.stderr
    finished = project.raw("edit", "outputs/sports")
    assert finished.status == 2
    assert re.search(r"questions.jsonl, line 2: it is no JSON \([^():]+: character \d+\): mend it", finished.stderr)
    assert project.raw("checkout", "outputs/sports").status == 0
    assert "distill-build edit" not in project.raw("verify").stdout


JUDGED_TWICE = (*LINE, "stages=[tags,questions,answers,attempts,grades,scores]")


def test_rows_of_any_stage_are_edited_whatever_the_order_of_their_columns(project: InProcess) -> None:  # noqa: F811
    """A schema's keys have an order, which is not that of what is recorded of a version."""
    assert project.server is not None
    project.server.plan = reply
    assert project.run(*JUDGED_TWICE).status == 0
    edited(project, "scores", lambda rows: rows[0].update(score=1))
    edited(project, "grades", lambda rows: rows[0].update(agrees=not rows[0]["agrees"]))
    edited(project, "scores", lambda rows: rows.pop(2))
    assert edit(project).document["reviews"] == {"edits": 2, "rejections": 1}
    done = project.run("--json", *JUDGED_TWICE).document
    assert (done["calls"], done["unmatched"]) == (0, [])
    assert [row.get("review") for row in project.rows("scores")[:4]] == ["edit", None, "reject", None]
    assert (project.rows("scores")[0]["score"], project.rows("grades")[0]["review"]) == (1, "edit")
