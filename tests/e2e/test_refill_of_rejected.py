"""curate.refill: for each row that a person rejected another one is asked for, once, and the same one everywhere."""

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.own_project import SCHEMAS, write_prompt, write_stage
from tests.e2e.test_only_what_is_affected import InProcess, kind_of, place_of
from tests.e2e.test_refill import FIRST_ROUND, FOOTBALL, LINE, REFEREES, OneByOne
from tests.e2e.test_reviews import reviews, row
from tests.e2e.test_tree_by_hand import SMALL, Asked, below, built, by_place, project  # noqa: F401 - a fixture
from tests.server import Body, Fault, ScriptedServer, content, status

Row = dict[str, Any]
REFILL = "curate.refill=true"


def rejects(project: InProcess, *rows: Row) -> None:  # noqa: F811
    reviews(project, *({"id": each["id"], "verdict": "reject"} for each in rows))


def kinds(asked: Asked) -> Counter[str]:
    return Counter(kind for kind, _ in asked)


def wanted(project: InProcess, stage: str) -> Counter[str]:  # noqa: F811
    """How many rows hang on each row above that nobody has rejected."""
    rows = [each for each in project.rows(stage) if each.get("review") != "reject"]
    return Counter(each.get("question_id") or each.get("parent") or each["tag"] for each in rows)


def kept(project: InProcess) -> dict[str, list[str]]:  # noqa: F811
    """The questions of each leaf that neither a person nor dedup has thrown out."""
    verdicts = {each["id"]: each["kept"] for each in project.rows("dedup")}
    found: dict[str, list[str]] = {}
    for each in project.rows("questions"):
        if verdicts.get(each["id"]):
            found.setdefault(each["path"][-1], []).append(each["question"])
    return found


def test_a_rejected_question_is_made_up_for_by_its_list_alone(project: InProcess) -> None:  # noqa: F811
    built(project)
    before, question = project.data(), row(project, "questions")
    rejects(project, question)
    assert built(project) == [], "only where that is wanted"
    asked = built(project, REFILL)
    assert kinds(asked) == {"questions": 1, "answers": 1}
    assert below(asked, "questions", question["path"][-1]), "at its own place"
    assert set(wanted(project, "questions").values()) == {2}
    at_place = [each for each in project.rows("questions") if each["tag"] == question["tag"]]
    assert [each["index"] for each in at_place] == [0, 1, 2]
    assert len(project.rows("answers")) == 9 * 2, "the one that was rejected has none"
    assert project.rows("failures") == []
    refilled = project.data()
    assert built(project, REFILL) == []
    assert project.data() == refilled
    (project.root / "reviews.jsonl").unlink()
    assert built(project, REFILL) == []
    assert project.data() == before
    rejects(project, question)
    assert built(project, REFILL) == []
    assert project.data() == refilled


def test_the_one_in_the_place_of_a_rejected_question_may_be_rejected_too(project: InProcess) -> None:  # noqa: F811
    built(project)
    first, second = row(project, "questions", 0), row(project, "questions", 1)
    rejects(project, first)
    built(project, REFILL)
    third = row(project, "questions", 2)
    rejects(project, first, second, third)
    asked = built(project, REFILL)
    assert kinds(asked) == {"questions": 1, "answers": 2}, "one of the two stands in the reply that is there"
    assert [each["index"] for each in project.rows("questions") if each["tag"] == first["tag"]] == [0, 1, 2, 3, 4]
    assert set(wanted(project, "questions").values()) == {2}


def test_what_a_list_cannot_make_up_for_is_missing(project: InProcess) -> None:  # noqa: F811
    built(project)
    question = row(project, "questions")
    rejects(project, question)
    assert project.server is not None

    def nothing_more(number: int, body: Body) -> Fault | None:
        return content('{"questions": []}') if kind_of(body) == "questions" else by_place(number, body)

    project.server.plan = nothing_more
    finished = project.run("--json", *SMALL, REFILL)
    assert finished.status == 1
    (failure,) = project.rows("failures")
    assert (failure["stage"], failure["path"], failure["missing"]) == ("questions", question["path"], 1)
    assert built(project, REFILL)
    assert project.rows("failures") == []


def test_lists_grow_past_what_was_made_up_for(project: InProcess) -> None:  # noqa: F811
    built(project)
    rejects(project, row(project, "questions"))
    built(project, REFILL)
    rows = {stage: project.rows(stage) for stage in ("questions", "answers")}
    asked = built(project, REFILL, "questions_per_tag=3")
    assert kinds(asked) == {"questions": 8, "answers": 9}, "the list that went on has one more in its last reply"
    assert set(wanted(project, "questions").values()) == {3}
    for stage, earlier in rows.items():
        there = {each["id"]: each for each in project.rows(stage)}
        assert all(there[each["id"]] == each for each in earlier)


def test_a_rejected_answer_is_made_up_for_by_one_more_sample(project: InProcess) -> None:  # noqa: F811
    built(project)
    before, answer = project.data(), row(project, "answers")
    rejects(project, answer)
    assert built(project) == []
    assert kinds(built(project, REFILL)) == {"answers": 1}
    first, second = (each for each in project.rows("answers") if each["question_id"] == answer["question_id"])
    assert first == answer | {"review": "reject"}
    assert (second["sample"], second["call"] != first["call"]) == (1, True)
    rejects(project, first, second)
    assert kinds(built(project, REFILL)) == {"answers": 1}, "and again, when that one is rejected too"
    assert set(wanted(project, "answers").values()) == {1}
    assert built(project, REFILL) == []
    third = next(each for each in project.rows("answers") if each["sample"] == 2)
    (project.root / "reviews.jsonl").unlink()
    assert built(project, REFILL) == []
    assert project.data() == before
    assert kinds(built(project, REFILL, "answers_per_question=3")) == {"answers": 2 * 18 - 2}
    ids = {each["id"] for each in project.rows("answers")}
    assert {second["id"], third["id"]} <= ids, "they are the samples that growth asks for, by the same ids"


def test_one_that_says_the_same_again_is_told(project: InProcess) -> None:  # noqa: F811
    assert project.server is not None
    project.server.plan = lambda number, body: (
        content(f"It is known: {place_of(body)[-60:]}") if kind_of(body) == "answers" else by_place(number, body)
    )
    assert project.run(*SMALL).status == 0
    answer = row(project, "answers")
    rejects(project, answer)
    finished = project.run(*SMALL, REFILL)
    assert finished.status == 0
    assert "2 of 19 answers repeat another (checks.jsonl)" in finished.stderr
    (told,) = project.rows("checks")
    assert told["ids"] == [each["id"] for each in project.rows("answers")[3:5]]


def test_samples_go_on_behind_those_that_are_declared(project: InProcess) -> None:  # noqa: F811
    words = (REFILL, "answers_per_question=2")
    built(project, *words)
    first, second = project.rows("answers")[:2]
    rejects(project, second)
    assert kinds(built(project, *words)) == {"answers": 1}
    rejects(project, first, second)
    assert kinds(built(project, *words)) == {"answers": 1}
    samples = [each["sample"] for each in project.rows("answers") if each["question_id"] == first["question_id"]]
    assert samples == [0, 1, 2, 3]
    assert set(wanted(project, "answers").values()) == {2}


def test_each_of_several_judges_makes_up_for_its_own(project: InProcess) -> None:  # noqa: F811
    write_stage(project.root, "marks", kind="map", after="answers", role=["one", "two"], samples=2, prompt="marks",
                schema={"type": "object", "properties": SCHEMAS["scores"], "required": ["score"]})  # fmt: skip
    write_prompt(project.root, "marks", "Mark this: {{ row.answer }}")
    (project.root / "conf/distill.yaml").write_text("defaults: [base, _self_]\n", encoding="utf-8")
    words = ("stages=[tags,questions,answers,marks]", "two.temperature=0.1", REFILL)
    built(project, *words)
    own = project.rows("marks")[:4]
    rejects(project, own[1], own[3])
    assert kinds(built(project, *words)) == {"answers": 2}, "as kind_of knows what is no list"
    now = [each for each in project.rows("marks") if each["parent"] == own[0]["parent"]]
    assert [(each["role"], each["sample"]) for each in now] == [
        ("one", 0), ("one", 1), ("two", 0), ("two", 1), ("one", 2), ("two", 2),
    ]  # fmt: skip
    assert project.raw("verify", "sports").status == 0
    assert built(project, *words) == []


def test_what_hangs_on_a_rejected_row_is_made_of_the_one_in_its_place(project: InProcess) -> None:  # noqa: F811
    write_stage(
        project.root, "best", kind="group", after="answers", by="questions", columns={"n": "rows.answers | length"}
    )
    write_stage(project.root, "remarks", kind="map", after="answers", role="noter", prompt="remarks")
    write_prompt(project.root, "remarks", "Note on this: {{ row.answer }}")
    (project.root / "conf/distill.yaml").write_text("defaults: [base, _self_]\n", encoding="utf-8")
    words = ("stages=[tags,questions,answers,remarks,best]", REFILL)
    built(project, *words)
    answer = row(project, "answers")
    rejects(project, answer)
    assert kinds(built(project, *words)) == {"answers": 2}, "a sample, and the note on it"
    assert wanted(project, "remarks")[answer["id"]] == 0
    assert {each["n"] for each in project.rows("best")} == {1}
    assert len(project.rows("remarks")) == 18


def test_what_is_made_of_all_results_waits_for_the_one_in_the_place_of_a_rejected_one(
    project: InProcess,  # noqa: F811
) -> None:
    """Rows are read back behind dedup: the rejected one is not all that there is to be."""
    write_stage(
        project.root, "best", kind="group", after="answers", by="questions", columns={"n": "rows.answers | length"}
    )
    (project.root / "conf/distill.yaml").write_text("defaults: [base, _self_]\n", encoding="utf-8")
    words = ("stages=[tags,questions,answers,dedup,best]", "dedup.near=null", REFILL)
    built(project, *words)
    answer = row(project, "answers")
    rejects(project, answer)
    assert project.server is not None
    project.server.plan = lambda number, body: status(400) if kind_of(body) == "answers" else by_place(number, body)
    assert project.run(*SMALL, *words).status == 1
    assert [(each["stage"], each["missing"]) for each in project.rows("failures")] == [("answers", 1)]
    assert answer["question_id"] not in {each["parent"] for each in project.rows("best")}
    assert kinds(built(project, *words)) == {"answers": 1}
    assert {each["n"] for each in project.rows("best")} == {1}


def test_dedup_goes_on_for_what_it_drops_beside_what_was_rejected(tmp_path: Path, server: ScriptedServer) -> None:
    server.plan = OneByOne()
    project = InProcess(tmp_path, server)  # noqa: F811
    assert project.run(*LINE).status == 0
    of_football = [each for each in project.rows("questions") if each["path"][-1] == "Football"]
    rejects(project, of_football[2])  # the third of Referees was dropped as much like it
    done = project.run(*LINE, REFILL)
    assert done.status == 0, done.stderr
    assert kept(project)["Football"] == [*FOOTBALL[:2], "Where was the first world cup held?"]
    assert kept(project)["Referees"] == [REFEREES[0], REFEREES[2], FIRST_ROUND[0]]
    asked = server.count
    assert project.run(*LINE, REFILL).status == 0
    of_referees = [each for each in project.rows("questions") if each["path"][-1] == "Referees"]
    rejects(project, of_referees[0], of_referees[2])
    done = project.run(*LINE, REFILL)
    assert done.status == 1, "Referees has no more than six"
    assert server.count > asked
    assert kept(project)["Football"] == FOOTBALL


def test_what_was_made_up_for_keeps_its_rank_while_dedup_goes_on(tmp_path: Path, server: ScriptedServer) -> None:
    """Two leaves have the same question last: that of the first stays, whichever of them goes on further."""
    server.plan = model = OneByOne()
    last, others = "Why do officials carry whistles?", [f"Who was the {word} captain?" for word in ("first", "tallest")]
    length = "How long is a football match?"
    repeats = [length, "How long is the football match?"]
    rejected = {
        "Football": ["What is a yellow card?", "Where is Wembley?", "Which clubs play in Turin?"],
        "Referees": ["What is a red card?", "Who trains umpires?", "When does injury time begin?"],
    }
    new = {"Football": others[:1], "Referees": [others[1], "Does VAR see everything?", "How are draws settled?"]}
    model.asked = {leaf: [*rejected[leaf], *repeats, last, *new[leaf]] for leaf in rejected}
    project = InProcess(tmp_path, server)  # noqa: F811
    assert project.run(*LINE).status == 0
    rejects(project, *project.rows("questions"))
    done = project.run(*LINE, REFILL)
    assert done.status == 0, done.stderr
    assert kept(project) == {"Football": [length, last, others[0]], "Referees": new["Referees"]}


def test_a_lock_holds_what_was_made_up_for(project: InProcess) -> None:  # noqa: F811
    built(project)
    rejects(project, row(project, "answers"), row(project, "questions", 0))
    built(project, REFILL)
    assert project.run("--locked", *SMALL, REFILL).status == 0
    assert project.run("--frozen", *SMALL, REFILL).status == 0
    assert project.run("--locked", *SMALL).status == 4
    assert project.raw("verify", "sports").status == 0
    before = project.data()
    shutil.rmtree(project.folder())
    assert built(project, REFILL) == []
    assert project.data() == before


def test_one_build_comes_to_the_bytes_that_several_came_to(
    project: InProcess,  # noqa: F811
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    built(project, REFILL)
    rejects(project, row(project, "answers"))
    built(project, REFILL)
    rejects(project, *project.rows("answers")[3:5], row(project, "questions", 0))
    built(project, REFILL)
    elsewhere = InProcess(tmp_path_factory.mktemp("elsewhere"), project.server)
    shutil.copy(project.root / "reviews.jsonl", elsewhere.root)
    assert elsewhere.run(*SMALL, REFILL).status == 0
    assert elsewhere.data() == project.data()


def test_where_nothing_is_rejected_nothing_is_asked(project: InProcess) -> None:  # noqa: F811
    built(project)
    before, answer = project.data(), row(project, "answers")
    assert built(project, REFILL) == []
    assert project.data() == before
    rejects(project, answer)
    assert built(project, REFILL, "curate.reviewed=all") == [], "where all go on none is made up for"
    reviews(project, {"id": answer["id"], "digest": "0" * 64, "verdict": "reject"})
    assert built(project, REFILL) == [], "nor for one that was another text"


def test_for_what_people_gave_themselves_nothing_is_asked(project: InProcess) -> None:  # noqa: F811
    own = [{"question": "How long is a marathon?", "answer": "42.195 km"}, {"question": "What is sport?"}]
    (project.root / "questions.jsonl").write_text("".join(json.dumps(each) + "\n" for each in own), encoding="utf-8")
    built(project, REFILL)
    given = next(each for each in project.rows("answers") if each["model"] == "hand")
    question = next(each for each in project.rows("questions") if each["question"] == "What is sport?")
    rejects(project, given, question)
    assert built(project, REFILL) == []
    assert project.rows("failures") == []


def test_explain_and_diff_name_what_made_rows_come(project: InProcess) -> None:  # noqa: F811
    built(project)
    rejects(project, row(project, "answers"), row(project, "questions", 0))
    built(project)
    told = project.run("explain", *SMALL, REFILL).stdout
    assert "curate.refill: false → true" in told
    assert "reviews.jsonl" not in told
    version = project.run("--json", *SMALL).document["version"]
    now = project.run("--json", *SMALL, REFILL).document["version"]
    difference = project.raw("diff", version, now, "--json").document
    assert [difference[stage]["added"] for stage in ("questions", "answers")] == [1, 2]
    assert [cause["setting"] for cause in difference["causes"]] == ["curate.refill"]
    text = project.raw("diff", version, now).stdout
    assert "unknown" not in text
    (project.root / "reviews.jsonl").unlink()
    last = project.run("--json", *SMALL, REFILL).document["version"]
    assert "reviews.jsonl" in project.raw("diff", now, last).stdout


def test_every_row_asks_once_though_all_are_rejected(project: InProcess, server: ScriptedServer) -> None:  # noqa: F811
    built(project)
    rejects(project, *project.rows("answers"))
    assert kinds(built(project, REFILL)) == {"answers": 18}
    asked = server.count
    assert project.run(*SMALL, REFILL).status == 0
    assert server.count == asked
