"""So many answers are kept, and the same ones everywhere; moving the count or the order asks nothing."""

import json
from typing import Any

import pytest

from tests.e2e.judged import JUDGED, LINE, TRANSLATE, asked, judgement, kept, own_stage, reply
from tests.e2e.test_only_what_is_affected import InProcess
from tests.server import Body, Fault, ScriptedServer, classify, content, digest

PLAIN = "stages=[tags,questions,dedup,answers,select]"
SCORED = "stages=[tags,questions,dedup,answers,scores,filter,select]"
GRADED = "stages=[tags,questions,dedup,answers,attempts,grades,filter,select]"


def chosen(project: InProcess) -> list[str]:
    """The ids of what is kept, the first first."""
    rows = [row for row in project.rows("select") if row["kept"]]
    return [row["id"] for row in sorted(rows, key=lambda row: int(row["rank"]))]


def exported(project: InProcess) -> int:
    return len(project.bytes()["dataset/train.messages.jsonl"].splitlines())


def test_the_best_by_score_are_kept(project: InProcess) -> None:
    line = (SCORED, "select.by=score")
    assert asked(project, *line)["scores"] == 6
    assert kept(project, "select") == [True] * 6, "no count keeps all"
    scores = {row["parent"]: row["score"] for row in project.rows("scores")}
    assert [scores[key] for key in chosen(project)] == [4, 4, 3, 3, 2, 2]
    assert asked(project, *line, "select.count=3") == {}
    best = chosen(project)
    assert sorted(scores[key] for key in best) == [3, 4, 4]
    assert best[:2] == sorted(best[:2]), "of equal scores the smaller id comes first"
    row = next(row for row in project.rows("select") if not row["kept"])
    assert (row["why"], list(row)) == (["not among the best by score"], ["id", "kept", "why", "rank", "score"])
    assert exported(project) == 3
    assert asked(project, *line, "select.count=4") == {}
    assert chosen(project)[:3] == best, "a larger count keeps what a smaller one kept"
    assert asked(project, *line, "select.count=100") == {}
    assert exported(project) == 6


def test_the_best_of_each_question_are_kept(project: InProcess, endpoint: ScriptedServer) -> None:
    def by_chance(number: int, body: Body) -> Fault | None:
        return judgement(digest(body)[0] % 5 + 1) if classify(body) == "scores" else reply(number, body)

    endpoint.plan = by_chance
    line = (SCORED, "answers_per_question=3", "select.by=score")
    assert asked(project, *line)["scores"] == 18
    assert asked(project, *line, "select.per_question=1") == {}
    scores = {row["parent"]: row["score"] for row in project.rows("scores")}
    of_question: dict[str, list[str]] = {}
    for row in project.rows("answers"):
        of_question.setdefault(row["question_id"], []).append(row["id"])
    best = {min(ids, key=lambda key: (-scores[key], key)) for ids in of_question.values()}
    assert set(chosen(project)) == best
    assert exported(project) == 6
    left_out = [row for row in project.rows("select") if not row["kept"]]
    assert {(*row["why"], row["rank"]) for row in left_out} == {("not among the best by score of its question", None)}
    assert asked(project, *line, "select.per_question=1", "select.count=2") == {}
    assert chosen(project) == sorted(best, key=lambda key: (-scores[key], key))[:2]
    told = project.run("plan", *LINE, *line, "select.per_question=2", "--json").document
    assert told["yields"]["select.count"] == {"10": 10, "30": 12}
    assert asked(project, *line, "select.per_question=1", "answers_per_question=4") == {"answers": 6, "scores": 6}


def test_what_a_filter_dropped_is_not_chosen_from(project: InProcess) -> None:
    asked(project, SCORED, "select.by=score", "select.count=1", "filter.min_score=4")
    assert len(project.rows("select")) == 2
    assert asked(project, SCORED, "select.by=score", "select.count=1") == {}
    assert len(project.rows("select")) == 6


def test_chance_is_the_seed_s_and_the_longest_are_the_longest(
    project: InProcess, endpoint: ScriptedServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    line = (PLAIN, "select.count=3")
    asked(project, *line)
    assert exported(project) == 3
    whole, first = project.data(), chosen(project)
    other = InProcess(tmp_path_factory.mktemp("other"), endpoint)
    assert other.run(*LINE, *line, "limits.concurrency=1").status == 0
    assert other.data() == whole
    assert asked(project, *line, "select.count=2") == {}
    assert chosen(project) == first[:2]
    assert asked(project, *line, "select.by=longest") == {}
    lengths = {row["id"]: len(row["reasoning"]) + len(row["answer"]) for row in project.rows("answers")}
    longest = sorted(lengths, key=lambda key: (-lengths[key], key))
    assert chosen(project) == longest[:3]
    assert {row["id"]: row["length"] for row in project.rows("select")} == lengths
    assert [row["why"] for row in project.rows("select") if not row["kept"]] == [["not among the longest"]] * 3


def remembered(project: InProcess) -> set[str]:
    """The digests of what went into the segments of leaves, as the last build noted them."""
    notes = json.loads((project.folder() / "runs/units.json").read_text())
    return {memo for memo, *_ in notes}


def test_a_leaf_of_which_the_same_rows_are_left_is_not_gone_through_again(project: InProcess) -> None:
    own_stage(project, "translate", TRANSLATE)
    line = (PLAIN.replace("]", ",translate]"), "select.by=longest")
    assert asked(project, *line, "select.count=3")["translate"] == 3
    before = remembered(project)
    assert asked(project, *line, "select.count=4") == {"translate": 1}
    assert len(remembered(project) - before) == 1, "one leaf has a row more"
    assert asked(project, *line)["translate"] == 2
    before = remembered(project)
    assert asked(project, *line, "breadth=3")["translate"] == 3
    assert before < remembered(project), "ranks have shifted, which nobody reads"


def test_a_stage_that_reads_the_rank_is_asked_by_it(project: InProcess) -> None:
    own_stage(project, "translate", TRANSLATE, "{{ rows.select.rank }}: {{ row.answer }}")
    line = (PLAIN.replace("]", ",translate]"), "select.by=longest")
    asked(project, *line)
    before = {row["parent"]: row["call"] for row in project.rows("translate")}
    ranks = {row["id"]: row["rank"] for row in project.rows("select")}
    assert asked(project, *line, "breadth=3")["translate"] > 3
    moved = {row["id"] for row in project.rows("select") if row["rank"] != ranks.get(row["id"], row["rank"])}
    assert moved
    after = {row["parent"]: row["call"] for row in project.rows("translate")}
    assert {key for key in before if after[key] != before[key]} == moved


def test_s1_draws_from_what_the_student_gets_wrong(project: InProcess) -> None:
    line = (GRADED, "select.by=s1", "select.count=1")
    assert asked(project, *line) == {"tags": 1, "questions": 2, "answers": 12, "grades": 6}
    why = [row["why"] for row in project.rows("select")]
    right, drawn = ["the student gets it right"], [["not drawn"], []]
    assert [each for place, each in enumerate(why) if place % 3] == [right] * 4
    assert sorted(why[::3]) == sorted(drawn)
    assert asked(project, *line, "select.count=2") == {}
    assert [row["rank"] is not None for row in project.rows("select")] == [True, False, False] * 2
    assert exported(project) == 2
    assert asked(project, *line, "filter.max_pass_rate=0.5") == {}
    assert {row["pass_rate"] for row in project.rows("filter")} == {0.0, 1.0}
    assert [row["why"] for row in project.rows("filter")][:3] == [[], *[["pass rate above 0.5"]] * 2]


def test_without_grades_s1_says_what_it_leaves_in(project: InProcess) -> None:
    line = (PLAIN, "select.by=s1", "select.count=2")
    said = "select.by=s1 leaves in what the student gets right, since grades does not stand before select in stages"
    assert said in project.run("plan", *LINE, *line).stderr
    done = project.run(*LINE, *line)
    assert (done.status, said in done.stderr) == (0, True)
    assert exported(project) == 2
    assert "reasoning_length" in project.rows("select")[0]


def test_attempts_are_the_student_s_own_and_a_pass_rate_is_their_share(
    project: InProcess, endpoint: ScriptedServer
) -> None:
    seen: dict[str, int] = {}

    def every_second(number: int, body: Body) -> Fault | None:
        if classify(body) == "grades":
            text = body["messages"][-1]["content"].partition("Student's answer:")[0]
            seen[text] = seen.get(text, 0) + 1
            return content('{"reason": "x", "agrees": %s}' % ("true" if seen[text] % 2 else "false"))
        if classify(body) == "answers" and body["model"] == "little":
            return content(f"My attempt with {body['seed']}.")
        return reply(number, body)

    endpoint.plan = every_second
    stages = GRADED.replace(",select", "")
    line = (stages, "attempts.samples=2", "student.name=little", "filter.max_pass_rate=0.4")
    sent = asked(project, *line)
    assert sent == {"tags": 1, "questions": 2, "answers": 6 + 12, "grades": 12}
    attempts, answers = project.rows("attempts"), project.rows("answers")
    assert {row["model"] for row in attempts} == {"little"}
    assert [row["parent"] for row in attempts[::2]] == [row["question_id"] for row in answers]
    shown = [str(each.body["messages"]) for each in endpoint.requests if each.kind == "grades"]
    assert all(sum(row["answer"] in text for text in shown) == 2 for row in answers), "beside the teacher's answer"
    assert {row["pass_rate"] for row in project.rows("filter")} == {0.5}
    assert kept(project, "filter") == [False] * 6
    assert asked(project, *line, "filter.max_pass_rate=0.5") == {}
    assert kept(project, "filter") == [True] * 6
    assert asked(project, *line, "attempts.samples=3") == {"answers": 6, "grades": 6}
    assert asked(project, *line, "answers_per_question=2") == {"answers": 6}, "the first answer is the reference"


def test_a_grade_that_cannot_be_read_is_missing_and_no_answer_is_exported_for_it(
    project: InProcess, endpoint: ScriptedServer
) -> None:
    def broken(number: int, body: Body) -> Fault | None:
        if classify(body) == "grades" and "at level 2" in str(body["messages"]):
            return content('{"reason": "I cannot tell.", "agrees": "maybe"}')
        return reply(number, body)

    endpoint.plan = broken
    line = (GRADED, "select.by=s1", "select.count=5", "limits.reasks=0")
    asked(project, *line, status=1)
    assert {row["stage"] for row in project.rows("failures")} == {"grades"}
    assert exported(project) == 0
    assert len(project.rows("select")) == 4
    endpoint.plan = reply
    assert asked(project, *line) == {"grades": 2}
    assert exported(project) == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            (PLAIN, "select.by=score"),
            "select.by=score needs the stage scores before select: say "
            "stages=[tags,questions,dedup,answers,scores,select], or leave select.by=score out",
        ),
        ((PLAIN, "select.by=best"), "select.by=best: expected one of longest, random, s1, score"),
        ((PLAIN, "select.count=0"), "select.count=0: expected a whole number from 1 to 1000000"),
        ((PLAIN, "select.per_question=0"), "select.per_question=0: expected a whole number from 1 to 1000000"),
        ((JUDGED, "select.count=3"), "select.count=3 does nothing: select is not among"),
        ((JUDGED, "attempts.samples=3"), "attempts.samples=3 does nothing: attempts is not among"),
        (("stages=[tags,questions,attempts,grades]",), "put answers before grades in stages=[…], or leave"),
        ((GRADED, "stage.grades.schema.required=[reason]"), "stage.grades.schema: a judge says agrees, true or false"),
    ],
)
def test_what_cannot_be_is_told_before_anything_is_asked(project: InProcess, words: tuple[Any, ...], said: str) -> None:
    done = project.run(*LINE, *words)
    assert (done.status, said in done.stderr) == (2, True), done.stderr
    assert project.server is not None
    assert project.server.count == 0
