"""Rules say which answers stay; moving a threshold asks nothing, and each drop has its reason."""

import json

import pytest

from tests.e2e.judged import JUDGED, LINE, TRANSLATE, asked, kept, own_stage, reply
from tests.e2e.test_only_what_is_affected import InProcess
from tests.server import Body, Fault, ScriptedServer, classify, content

PLAIN = "stages=[tags,questions,dedup,answers,filter]"


def reasons(project: InProcess) -> list[list[str]]:
    return [row["why"] for row in project.rows("filter")]


def test_a_threshold_that_moves_asks_nothing(project: InProcess) -> None:
    assert asked(project, JUDGED, "filter.min_score=4")["scores"] == 6
    assert kept(project, "filter") == [False, False, True] * 2
    assert project.rows("filter")[0] == {
        "id": project.rows("answers")[0]["id"],
        "kept": False,
        "why": ["score below 4"],
        "score": 2.0,
    }
    lines = project.bytes()["dataset/train.messages.jsonl"].splitlines()
    assert [json.loads(line)["metadata"]["score"] for line in lines] == [4.0, 4.0]
    explained = project.run("explain", *LINE, JUDGED, "filter.min_score=3").stdout
    assert "filter.min_score: 4 → 3\n" in explained
    assert "filter: asks nothing, drops 2 rows, 2 fewer than before\n" in explained
    planned = project.run("plan", *LINE, JUDGED, "filter.min_score=3", "--json").document
    assert planned["dropped"]["filter"] == 2
    assert planned["yields"] == {"filter.min_score": {"2": 6, "2.5": 4, "3": 4, "3.5": 2, "4": 2, "4.5": 0, "5": 0}}
    told = project.run("plan", *LINE, JUDGED, "filter.min_score=3").stdout
    assert "would drop, of what is known: filter 2 rows\n" in told
    assert "filter.min_score would keep, of the rows that are known: 2 → 6, 2.5 → 4, 3 → 4, 3.5 → 2, 4 → 2" in told
    assert asked(project, JUDGED, "filter.min_score=2.5") == {}
    assert kept(project, "filter") == [False, True, True] * 2
    whole = project.bytes()
    assert asked(project, JUDGED, "filter.min_score=5") == {}
    assert (project.bytes()["dataset/train.messages.jsonl"], project.rows("failures")) == (b"", [])
    assert asked(project, JUDGED, "filter.min_score=2.5") == {}
    assert project.bytes() == whole


def test_what_is_let_through_anew_is_asked_for_behind_it(project: InProcess) -> None:
    own_stage(project, "translate", TRANSLATE)
    line = (JUDGED.replace("]", ",translate]"), "filter.min_score=4")
    assert asked(project, *line)["translate"] == 2
    assert asked(project, *line, "filter.min_score=3") == {"translate": 2}
    assert asked(project, *line) == {}


def test_the_end_says_what_was_dropped_and_why(project: InProcess) -> None:
    done = project.run(*LINE, JUDGED, "filter.min_score=4", "filter.min_words=100")
    assert done.status == 0
    assert "filter dropped 6 rows: fewer than 100 words (6), score below 4 (4)" in done.stderr, done.stderr


def test_rules_go_by_the_text_of_an_answer(project: InProcess, endpoint: ScriptedServer) -> None:
    texts = {
        2: ("因为面团里的酵母放出气体，面团因此膨胀。", "想一想。"),
        3: ("Yeast gives off gas and the dough rises.", None),
        4: ("Yeast gives off gas, and the dough RISES!", "Think."),
    }

    def told(number: int, body: Body) -> Fault | None:
        if classify(body) != "answers":
            return reply(number, body)
        level = next(each for each in texts if f"level {each}" in body["messages"][-1]["content"])
        text, thought = texts[level]
        return content(text, reasoning_content=thought)

    endpoint.plan = told
    line = (PLAIN, "questions_per_tag=3")
    assert asked(project, *line, "filter.reasoning=required")["answers"] == 6
    assert reasons(project) == [[], ["no reasoning"], []] * 2
    assert asked(project, *line, "filter.min_words=9", "filter.max_words=18") == {}
    assert reasons(project) == [[], ["fewer than 9 words"], ["fewer than 9 words"]] * 2
    assert [row["words"] for row in project.rows("filter")] == [18, 8, 8] * 2
    assert asked(project, *line, "filter.max_words=17") == {}
    assert reasons(project) == [["more than 17 words"], [], []] * 2
    assert asked(project, *line, "filter.language=en") == {}
    assert reasons(project) == [["not mostly in Latin letters"], [], []] * 2
    assert asked(project, *line, "filter.language=zh") == {}
    assert reasons(project) == [[], *[["not mostly in Chinese characters"]] * 2] * 2
    assert asked(project, *line, "filter.repeated=drop") == {}
    same = "the same reasoning and answer as an earlier one"
    assert reasons(project) == [[], [], [], [same], [same], [same]], "its reasoning is part of what repeats"
    ids = [row["id"] for row in project.rows("answers")]
    assert [row["same_as"] for row in project.rows("filter")] == [None, None, None, *ids[:3]]
    assert asked(project, *line, "filter.repeated=drop", "filter.reasoning=required") == {}
    assert reasons(project) == [[], ["no reasoning"], [], [same], ["no reasoning"], [same]], "the first that may stay"


def test_reasoning_that_no_row_is_written_with_is_not_required(project: InProcess, endpoint: ScriptedServer) -> None:
    words = (*LINE, PLAIN, "filter.reasoning=required")
    refused = project.run(*words, "teacher.reasoning=drop")
    assert (refused.status, endpoint.count) == (2, 0)
    assert "teacher.reasoning=drop writes all without" in " ".join(refused.stderr.split())
    assert "model.reasoning=drop writes" in " ".join(project.run(*words, "model.reasoning=drop").stderr.split())
    assert project.run(*words).status == 0
    schema = (
        "{type: object, properties: {reasoning: {type: string}, answer: {type: string}}, required: [reasoning, answer]}"
    )
    own = (f"stage.answers.schema={schema}", "teacher.reasoning=drop")
    assert "writes all without" not in project.run("plan", *words, *own).stderr, "it is a column of theirs"


def test_a_short_answer_repeats_one_to_its_own_question_alone(project: InProcess, endpoint: ScriptedServer) -> None:
    endpoint.plan = lambda number, body: content("42.") if classify(body) == "answers" else reply(number, body)
    asked(project, PLAIN, "filter.repeated=drop", "answers_per_question=2")
    assert kept(project, "filter") == [True, False] * 6


def test_growth_and_order_of_arrival_change_no_byte(
    project: InProcess, endpoint: ScriptedServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    line = (JUDGED, "filter.min_score=3", "filter.repeated=drop")
    asked(project, *line)
    before = {row["id"]: row for row in project.rows("filter")}
    assert asked(project, *line, "questions_per_tag=4") == {"answers": 2, "scores": 2}
    after = {row["id"]: row for row in project.rows("filter")}
    assert before == {key: after[key] for key in before}
    whole = project.data()
    other = InProcess(tmp_path_factory.mktemp("other"), endpoint)
    done = other.run(*LINE, *line, "questions_per_tag=4", "limits.concurrency=1")
    assert done.status == 0
    assert other.data() == whole


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("filter.min_score=6",), "filter.min_score=6: expected a number from 1 to 5"),
        (("filter.min_score=high",), "filter.min_score=high: expected a number from 1 to 5 or null"),
        (("filter.max_pass_rate=1.5",), "filter.max_pass_rate=1.5: expected a number from 0 to 1"),
        (("filter.reasoning=yes",), "filter.reasoning=yes: expected one of required or null"),
        (
            ("filter.min_words=9", "filter.max_words=8"),
            "filter.min_words=9 is above filter.max_words=8: no answer has so many words and so few",
        ),
        (
            ("filter.min_score=3", PLAIN),
            "filter.min_score needs the stage scores before filter: say "
            "stages=[tags,questions,dedup,answers,scores,filter], or leave filter.min_score out",
        ),
        (
            ("filter.max_pass_rate=0.5",),
            "filter.max_pass_rate needs the stage grades before filter: say "
            "stages=[tags,questions,dedup,answers,scores,attempts,grades,filter], or leave",
        ),
        (
            ("filter.min_score=3", "stages=[tags,questions,answers,filter,scores]"),
            "filter.min_score needs the stage scores before filter: say stages=[tags,questions,answers,scores,filter]",
        ),
        (
            ("filter.min_score=3", "stages=[tags,questions,answers,scores]"),
            "filter.min_score=3 does nothing: filter is not among",
        ),
        (("filter.min_scroe=3",), "unknown setting 'filter.min_scroe': did you mean 'filter.min_score'?"),
        (("stage.filter.after=questions",), "stage.filter.after=questions: filter goes by the column answer"),
        (("+stage.filter.where=row.answer",), "stage.filter.where"),
    ],
)
def test_what_cannot_be_is_told_before_anything_is_asked(project: InProcess, words: tuple[str, ...], said: str) -> None:
    done = project.run(*LINE, *([] if any(word.startswith("stages") for word in words) else [JUDGED]), *words)
    assert (done.status, said in done.stderr) == (2, True), done.stderr
    assert project.server is not None
    assert project.server.count == 0
