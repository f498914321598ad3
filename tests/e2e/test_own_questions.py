"""questions.jsonl: a person's own questions stand beside a model's, and ask for what hangs on them alone."""

import json
import shutil
from typing import Any

import pytest

from tests.e2e.test_only_what_is_affected import InProcess
from tests.e2e.test_tree_by_hand import SMALL, built, level_1, paths, project, says  # noqa: F401 - a fixture
from tests.e2e.workspace import Finished

Row = dict[str, Any]


def own(project: InProcess, *lines: Row, file: str = "questions.jsonl") -> None:  # noqa: F811
    says(project, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), file)


def checked(project: InProcess) -> Finished:  # noqa: F811
    """All that reads the dataset finds it sound."""
    verified = project.raw("verify", "sports")
    assert verified.status == 0, verified.stderr + verified.stdout
    return project.run("--locked", *SMALL)


def test_a_question_of_ones_own_comes_first_and_asks_for_its_answer_alone(project: InProcess) -> None:  # noqa: F811
    built(project)
    before, rows, bytes_before = project.rows("questions"), project.rows("answers"), project.data()
    path = before[0]["path"]
    own(project, {"question": "How long is a marathon?", "path": path})
    assert [kind for kind, _ in built(project)] == ["answers"]
    now = project.rows("questions")
    assert now[1:] == before
    assert now[0] == {**before[0], "id": now[0]["id"], "index": -1, "question": "How long is a marathon?"}
    assert project.rows("answers")[1:] == rows
    assert project.rows("answers")[0]["question"] == "How long is a marathon?"
    assert checked(project).status == 0
    (project.root / "questions.jsonl").unlink()
    assert built(project) == []
    assert project.data() == bytes_before


def test_one_without_a_path_lies_below_the_topic(project: InProcess) -> None:  # noqa: F811
    built(project)
    rows, tags = project.rows("questions"), project.rows("tags")
    own(project, {"question": "What is sport?"}, {"question": "Who plays?", "path": ["sports"]})
    assert [kind for kind, _ in built(project)] == ["answers", "answers"]
    assert project.rows("tags") == tags
    now = project.rows("questions")
    assert now[2:] == rows
    assert [(row["question"], row["tag"], row["path"]) for row in now[:2]] == [
        ("What is sport?", None, ["sports"]),
        ("Who plays?", None, ["sports"]),
    ]
    exported = (project.folder() / "dataset" / "train.messages.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(exported) == len(project.rows("answers")) == len(rows) + 2
    assert checked(project).status == 0
    assert built(project) == []


def test_a_path_that_is_not_there_makes_its_tags_which_no_model_fills(project: InProcess) -> None:  # noqa: F811
    built(project)
    own(
        project,
        {"question": "Is chess a sport?", "path": "Board games/Chess"},
        {"question": "Go?", "path": "Board games"},
    )
    asked = built(project)
    assert [kind for kind, _ in asked] == ["answers", "answers"]
    assert level_1(project)[-1] == "Board games"
    assert paths(project)[-2:] == ["Board games", "Board games/Chess"]
    assert checked(project).status == 0


def test_questions_below_a_leaf_an_inner_tag_and_a_renamed_one(project: InProcess) -> None:  # noqa: F811
    built(project)
    leaf = project.rows("questions")[0]["path"]
    says(project, "rename: {Bravo sports: Team games}\n")
    own(
        project,
        {"question": "What is below the leaf?", "path": [*leaf, "Rules"]},
        {"question": "What is a team?", "path": ["Team games"]},
    )
    assert [kind for kind, _ in built(project)] == ["answers", "answers"]
    found = {row["question"]: row["path"] for row in project.rows("questions")}
    assert found["What is below the leaf?"] == [*leaf, "Rules"]
    assert found["What is a team?"] == ["sports", "Team games"]
    assert level_1(project).count("Team games") == 1
    assert checked(project).status == 0


def test_one_below_a_tag_that_is_excluded_is_told_and_not_made(project: InProcess) -> None:  # noqa: F811
    says(project, "exclude: [Bravo sports]\nrename: {Bravo sports: Team games}\n")
    built(project)
    before = project.data()
    own(
        project,
        {"question": "What is a team?", "path": "bravo SPORTS/Teams"},
        {"question": "Who is in it?", "path": "Bravo sports"},
        {"question": "What is a game?", "path": "Team games"},
    )
    assert built(project) == []
    told = "of your own below sports / Team games: take it out of exclude, or give them another path"
    said = [f"tree.yaml: exclude bravo SPORTS leaves out 3 questions {told}"]
    assert project.run("plan", "--json", *SMALL).document["unmatched"] == said
    assert project.run("--json", *SMALL).document["unmatched"] == said
    artefacts = {name: text for name, text in project.data().items() if name.endswith(".jsonl")}
    assert artefacts == {name: text for name, text in before.items() if name.endswith(".jsonl")}
    says(project, "")
    built(project)
    assert [row["path"] for row in project.rows("questions") if row["index"] < 0][:1] == [["sports", "Bravo sports"]]


@pytest.mark.parametrize(
    ("tree", "own_label", "seen"),
    [
        ("rename: {bravo SPORTS: Team games}", "Bravo sports", "Team games"),
        ("tags: {Golf: {}}\nrename: {Golf: Clubs}", "Golf", "Clubs"),
        ("rename: {Nobody: Somebody}", "Nobody", "Somebody"),
    ],
    ids=["a model's", "by hand", "of one's own questions alone"],
)
def test_a_tags_own_label_and_the_one_that_people_see_are_one_place(
    project: InProcess,  # noqa: F811
    tree: str,
    own_label: str,
    seen: str,
) -> None:
    says(project, tree + "\n")
    own(
        project,
        {"question": "Who?", "path": own_label, "answer": "1"},
        {"question": "Why?", "path": [seen.upper()], "answer": "2"},
        {"question": "who", "path": seen, "answer": "3"},
        {"question": "Where?", "path": [seen, "Below"], "answer": "4"},
        {"question": "When?", "path": [own_label, "Below"], "answer": "5"},
    )
    assert [kind for kind, _ in built(project) if kind == "answers"] == ["answers"] * (3 * 3 * 2)
    mine = [(row["path"][1:], row["question"]) for row in project.rows("questions") if row["index"] < 0]
    assert mine == [
        ([seen], "Who?"),
        ([seen], "Why?"),
        ([seen, "Below"], "Where?"),
        ([seen, "Below"], "When?"),
    ]
    assert [row["answer"] for row in project.rows("answers") if row["model"] == "hand"] == ["1", "2", "4", "5"]
    assert project.run("--json", *SMALL).document["unmatched"] == []
    assert checked(project).status == 0


def test_a_label_that_people_see_below_a_tag_that_is_spoken_of_is_found(project: InProcess) -> None:  # noqa: F811
    says(project, "about: {alpha SPORTS: {rename: {Alpha Alpha sports: First}, tags: {Golf: {}}, exclude: [Misc]}}\n")
    own(
        project,
        {"question": "Who?", "path": "Alpha sports/First", "answer": "1"},
        {"question": "Why?", "path": "Alpha sports/golf", "answer": "2"},
        {"question": "Where?", "path": "Alpha sports/Misc", "answer": "3"},
    )
    built(project)
    mine = ["/".join(row["path"][1:]) for row in project.rows("questions") if row["index"] < 0]
    assert mine == ["Alpha sports/Golf", "Alpha sports/First"]
    told = "exclude Misc leaves out 1 question of your own below sports / Alpha sports / Misc"
    assert told in project.run("--json", *SMALL).document["unmatched"][0]


def test_a_tree_of_ones_own_questions_alone(project: InProcess) -> None:  # noqa: F811
    says(project, "only: true\n")
    own(project, {"question": "What is sport?"}, {"question": "Is chess a sport?", "path": "Board games"})
    assert [kind for kind, _ in built(project)] == ["answers", "answers"]
    assert [row["question"] for row in project.rows("questions")] == ["What is sport?", "Is chess a sport?"]
    own(project, {"question": "What is sport?"})
    assert built(project) == []
    assert project.rows("tags") == []
    assert checked(project).status == 0


def test_an_answer_that_a_person_gives_is_not_asked_for(project: InProcess) -> None:  # noqa: F811
    own(
        project,
        {"question": "How long is a marathon?", "answer": "42.195 km", "reasoning": "It was fixed in 1921."},
        {"question": "What is sport?"},
    )
    words = ("answers_per_question=2",)
    asked = built(project, *words)
    assert len([place for kind, place in asked if "marathon" in place]) == 0
    given, *others = project.rows("answers")
    assert (given["answer"], given["reasoning"], given["model"], given["call"]) == (
        "42.195 km",
        "It was fixed in 1921.",
        "hand",
        "",
    )
    assert len([row for row in others if row["question"] == "What is sport?"]) == 2
    exported = (project.folder() / "dataset" / "train.messages.jsonl").read_text(encoding="utf-8")
    assert "42.195 km" in exported
    assert project.raw("verify", "sports").status == 0
    assert built(project, *words) == []


def test_what_a_model_asks_too_is_one_row(project: InProcess) -> None:  # noqa: F811
    built(project)
    first = project.rows("questions")[0]
    own(project, {"question": first["question"].upper(), "path": first["path"]})
    built(project)
    questions = [row["question"].lower() for row in project.rows("questions") if row["path"] == first["path"]]
    assert questions.count(first["question"].lower()) == 1
    assert checked(project).status == 0


def test_all_files_hold_the_same(project: InProcess) -> None:  # noqa: F811
    import pyarrow as pa
    from pyarrow import parquet

    rows = [{"question": "What is sport?", "path": "Board games"}, {"question": 'Wer spielt, "wir"?', "path": "X"}]
    own(project, *rows)
    built(project)
    before = project.data()
    (project.root / "questions.jsonl").unlink()
    says(project, '\ufeffquestion,path\r\nWhat is sport?,Board games\r\n"Wer spielt, ""wir""?",X\r\n', "questions.csv")
    assert built(project) == []
    assert project.data() == before
    mine = next(each for each in project.rows("questions") if each["question"] == "What is sport?")
    assert "given by hand in questions of your own" in " ".join(project.raw("log", mine["id"]).stdout.split())
    says(project, "question,path\nWhat is a sport?,Board games\n", "questions.csv")
    told = project.run("explain", *SMALL).stdout
    assert ("questions of your own edited" in told, "questions.jsonl" in told) == (True, False)
    (project.root / "questions.csv").unlink()
    parquet.write_table(pa.Table.from_pylist(rows), project.root / "questions.parquet")
    assert built(project) == []
    assert project.data() == before


def test_repeats_and_lines_of_another_topic_are_left_out(project: InProcess) -> None:  # noqa: F811
    line = {"question": "What is sport?", "path": "Board games"}
    own(
        project, line, line, {"question": "what is SPORT", "path": "board games"}, {"question": "e4?", "topic": "chess"}
    )
    built(project)
    assert len([row for row in project.rows("questions") if row["index"] < 0]) == 1


def test_thousands_are_read_and_one_changed_line_asks_for_one_answer(project: InProcess) -> None:  # noqa: F811
    lines = [{"question": f"What is number {number}?", "answer": f"{number}"} for number in range(3000)]
    own(project, *lines)
    built(project, "depth=1", "breadth=1")
    lines[1500] = {"question": "What else?"}
    own(project, *lines)
    assert [kind for kind, _ in built(project, "depth=1", "breadth=1")] == ["answers"]


def test_own_questions_with_every_stage_between(project: InProcess) -> None:  # noqa: F811
    """A transform over all rows, and one by row, see them as any other."""
    words = ("stages=[tags,questions,dedup,answers]", "dedup.near=null")
    own(project, {"question": "What is sport?"}, {"question": "What is sport?", "path": "Board games"})
    built(project, *words)
    kept = {row["id"]: row["kept"] for row in project.rows("dedup")}
    mine = [row for row in project.rows("questions") if row["index"] < 0]
    assert [kept[row["id"]] for row in mine] == [True, False]
    before = project.data()
    shutil.rmtree(project.folder())
    assert built(project, *words, "limits.concurrency=1") == []
    assert project.data() == before
    assert project.raw("verify", "sports").status == 0


def test_growth_keeps_ones_own_questions(project: InProcess) -> None:  # noqa: F811
    own(project, {"question": "What is sport?"}, {"question": "Who plays?", "path": "Alpha sports"})
    built(project)
    before = project.data()
    ids = {row["id"] for name in ("tags", "questions", "answers") for row in project.rows(name)}
    built(project, "breadth=4", "questions_per_tag=3")
    assert ids <= {row["id"] for name in ("tags", "questions", "answers") for row in project.rows(name)}
    assert built(project) == []
    assert project.data() == before


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"path": "X"}', "questions.jsonl, line 1: each line has a text question"),
        ('{"question": 5}', "line 1: question is a text, not 5"),
        ('\n{"question": "Why?", "path": 3}', "line 2: path is a list of labels"),
        ('{"question": "Why?", "reasoning": "So."}', "line 1: reasoning goes with an answer"),
        ("Why?", "line 1: it is no JSON"),
    ],
)
def test_a_mistake_is_told_with_its_line(project: InProcess, text: str, told: str) -> None:  # noqa: F811
    says(project, text + "\n", "questions.jsonl")
    finished = project.run("plan", *SMALL)
    assert finished.status == 2
    assert told in " ".join(finished.stderr.split())


def test_a_leaf_is_asked_for_others_in_the_place_of_a_models_questions_alone(project: InProcess) -> None:  # noqa: F811
    """What dedup drops of one's own is one's own affair."""
    words = ("stages=[tags,questions,dedup,answers]", "dedup.near=null")
    built(project, *words)
    first = project.rows("questions")[0]
    own(project, {"question": "What is sport?"}, {"question": "What is sport?", "path": "Alpha sports"})
    assert {kind for kind, _ in built(project, *words)} == {"answers"}
    own(project, {"question": first["question"]})  # below the topic: it outranks the model's own
    asked = built(project, *words)
    assert [kind for kind, _ in asked].count("questions") == 1
    kept = {row["id"]: row["kept"] for row in project.rows("dedup")}
    assert not kept[first["id"]]
    assert sum(kept[row["id"]] for row in project.rows("questions") if row["tag"] == first["tag"]) == 2
    assert project.raw("verify", "sports").status == 0
    assert built(project, *words) == []


def test_a_tag_that_was_there_for_ones_own_questions_alone_gets_a_models_when_it_is_by_hand(
    project: InProcess,  # noqa: F811
) -> None:
    """What is taken over of the last build is not what is wanted now, though the tag's row is the same."""
    words = ("depth=1",)
    says(project, "only: true\ntags: [Alpha]\n")
    own(project, {"question": "How fast is a serve?", "path": "Tennis"})
    built(project, *words)
    assert [row["index"] for row in project.rows("questions") if "Tennis" in row["path"]] == [-1]
    says(project, "only: true\ntags: [Alpha, Tennis]\n")
    asked = built(project, *words)
    assert [kind for kind, place in asked if kind == "questions" and "Tennis" in place] == ["questions"]
    assert [row["index"] for row in project.rows("questions") if "Tennis" in row["path"]] == [-1, 0, 1]
    says(project, "only: true\ntags: [Alpha]\n")
    assert built(project, *words) == []
    assert [row["index"] for row in project.rows("questions") if "Tennis" in row["path"]] == [-1]


def test_the_same_question_in_two_files_is_one(project: InProcess) -> None:  # noqa: F811
    own(project, {"question": "What is sport?"})
    says(project, "question\nwhat is sport\nWho plays?\n", "questions.csv")
    built(project)
    assert [row["question"] for row in project.rows("questions") if row["tag"] is None] == [
        "What is sport?",
        "Who plays?",
    ]


def test_what_is_to_be_there_is_counted_with_ones_own_questions_after_growth(project: InProcess) -> None:  # noqa: F811
    own(project, {"question": "What is sport?"}, {"question": "Who plays?", "answer": "People."})
    built(project)
    for words in (("answers_per_question=2",), ("answers_per_question=3",), ()):
        finished = project.run("--json", *SMALL, *words)
        assert (finished.status, finished.document["missing"]["answers"]) == (0, 0)
        answers = len(project.rows("answers"))
        finished = project.run(*SMALL, *words, "formats=[csv]")
        assert f"{answers} of {answers}" in finished.stderr or f"{answers} answers" in finished.stderr


def test_a_path_that_is_nearly_a_tags_is_told(project: InProcess) -> None:  # noqa: F811
    lines = [{"question": f"What is {path}?", "path": path} for path in ("Alfa sports", "Chess", "Bravo sports")]
    says(project, "".join(json.dumps(line) + "\n" for line in lines), "questions.jsonl")
    told = "sports / Alfa sports is a tag for items of your own alone: if their path means Alpha sports, write it so"
    assert project.run("--json", *SMALL).document["unmatched"] == [told]
    for words in (("plan",), ()):
        assert project.run(*words, "--json", *SMALL).document["unmatched"] == [told]
