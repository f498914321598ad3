"""`recipe=dialogue`: the student asks on, the teacher answers, and a row is a dialogue."""

import json
from pathlib import Path
from typing import Any

import pytest

from distill_build.review import text_digest
from tests.e2e.own_project import write_stage
from tests.e2e.test_only_what_is_affected import InProcess, steady
from tests.server import Body, Fault, ScriptedServer, classify, content, schema_of

SMALL = ("topic=sports", "depth=1", "breadth=2", "questions_per_tag=2", "limits.reasks=0", "recipe=dialogue")
ZH = ("topic=体育", "name=sports", "language=zh", *SMALL[1:])


def kind_of(body: Body) -> str:
    """What a request asks for; an answer by its turn."""
    found = classify(body)
    if found.startswith("follow_ups"):
        return "follow_ups"
    return f"turn {1 + len(said(body)) // 2}" if found == "answers" else found


def said(body: Body) -> list[Body]:
    return [message for message in body["messages"] if message["role"] != "system"]


def talking(number: int, body: Body) -> Fault | None:
    """A student whose question says how many came before, and a teacher who thinks and repeats what was asked."""
    if kind_of(body) == "follow_ups":
        asked = body["messages"][-1]["content"]
        return content(json.dumps({"follow_up": f"And {asked.count('You asked') + asked.count('你问：')}?"}))
    if classify(body) == "answers":
        question = body["messages"][-1]["content"]
        return content(f"So: {question}", reasoning_content=f"Thinking of {question}")
    return steady(number, body)


@pytest.fixture
def project(tmp_path: Path, server: ScriptedServer) -> InProcess:
    server.classify = kind_of
    server.plan = talking
    return InProcess(tmp_path, server)


def exported(project: InProcess, form: str = "messages") -> list[Any]:
    return [json.loads(line) for line in (project.folder() / f"dataset/train.{form}.jsonl").read_text().splitlines()]


def messages_of(row: Any) -> list[tuple[str, str]]:
    return [(each["role"], each["content"]) for each in row["messages"]]


def test_a_dialogue_is_a_row_whose_last_answer_alone_has_its_thought(
    project: InProcess, server: ScriptedServer
) -> None:
    done = project.run(*SMALL, "system_prompt=Be kind.", "dialogue.turns=3", "dialogue.scenario=A rower of fifty.")
    assert done.status == 0, done.stderr
    assert server.kinds == {"tags": 1, "questions": 2, "turn 1": 4, "follow_ups": 8, "turn 2": 4, "turn 3": 4}
    first = project.rows("answers")[0]["question"]
    row = exported(project)[0]
    assert messages_of(row) == [
        ("system", "Be kind."),
        ("user", first),
        ("assistant", f"So: {first}"),
        ("user", "And 1?"),
        ("assistant", "So: And 1?"),
        ("user", "And 2?"),
        ("assistant", "<think>\nThinking of And 2?\n</think>\n\nSo: And 2?"),
    ]
    assert len(exported(project)) == 4
    assert row["metadata"]["question_id"] == project.rows("questions")[0]["id"]
    asked = [request.body for request in server.requests if request.kind == "follow_ups"]
    assert all("A rower of fifty." in body["messages"][0]["content"] for body in asked)
    assert all("Thinking of" not in json.dumps(body) for body in asked), "a reader sees no thought"
    turn = next(request.body for request in server.requests if request.kind == "turn 3")
    assert [each["role"] for each in turn["messages"]] == ["system", *["user", "assistant"] * 2, "user"]
    assert "rower" not in json.dumps(turn)
    assert "Thinking of" not in json.dumps(turn)
    server.reset()
    frozen = project.run(
        *SMALL, "system_prompt=Be kind.", "dialogue.turns=3", "dialogue.scenario=A rower of fifty.", "--frozen"
    )
    assert (frozen.status, server.count) == (0, 0), frozen.stderr


def test_more_turns_ask_for_the_new_ones_alone_and_fewer_for_nothing(
    project: InProcess, server: ScriptedServer
) -> None:
    assert project.run(*SMALL).status == 0
    two = project.bytes()
    assert set(server.kinds) == {"tags", "questions", "turn 1", "follow_ups", "turn 2"}
    server.reset()
    planned = project.run("plan", *SMALL, "dialogue.turns=3", "--json").document
    assert (planned["calls"], planned["exact"]) == (8, False)
    assert project.run(*SMALL, "dialogue.turns=3").status == 0
    assert server.kinds == {"follow_ups": 4, "turn 3": 4}
    three = project.rows("turns_3")
    assert [row["parent"] for row in three] == [row["id"] for row in project.rows("follow_ups_3")]
    assert "follow_ups_3" in project.raw("diff").stdout
    assert project.run(*SMALL).status == 0
    assert project.bytes() == two
    assert project.run(*SMALL, "dialogue.turns=3", "--offline").status == 0
    assert project.rows("turns_3") == three
    server.reset()
    assert project.run(*SMALL, "dialogue.turns=1").status == 0
    assert server.count == 0
    assert [messages_of(row)[0][0] for row in exported(project)] == ["user"] * 4
    assert len(messages_of(exported(project)[0])) == 2
    assert not (project.folder() / "turns.jsonl").exists()


def test_a_setting_of_all_turns_is_told_by_its_one_name(project: InProcess) -> None:
    line = (*SMALL, "dialogue.turns=3")
    assert project.run(*line).status == 0
    words = ("dialogue.scenario=A rower.", "system_prompt=Be kind.", "stage.follow_ups.schema.description=So.")
    told = project.run("explain", *line, *words[:2], "+" + words[2]).stdout
    assert told.count("dialogue.scenario: null → A rower.") == 2
    assert "system_prompt: null → Be kind." in told
    assert told.count("stage.follow_ups.schema") == 2
    assert "_3." not in told
    told = project.run("explain", *SMALL, "dialogue.turns=2").stdout
    assert "dialogue.turns: 3 → 2" in told
    assert "rows." not in told


def test_each_turn_may_have_a_row_with_those_before_it(project: InProcess, server: ScriptedServer) -> None:
    assert project.run(*SMALL).status == 0
    whole = exported(project)
    server.reset()
    each = (*SMALL, "format.turns=each")
    assert project.run(*each, "formats=[messages,prompt_completion]").status == 0
    assert server.count == 0
    rows = exported(project)
    assert rows[1::2] == whole
    answers = project.rows("answers")
    assert [row["metadata"]["id"] for row in rows[::2]] == [row["id"] for row in answers]
    assert [messages_of(row)[-1][1] for row in rows[::2]] == [
        f"<think>\n{row['reasoning']}\n</think>\n\n{row['answer']}" for row in answers
    ]
    assert [len(row["prompt"]) for row in exported(project, "prompt_completion")] == [1, 3] * 4


def test_a_turn_that_several_dialogues_begin_with_has_one_row(project: InProcess) -> None:
    words = ("stage.follow_ups.samples=2", "format.turns=each")
    assert project.run(*SMALL, *words).status == 0
    ids = [row["metadata"]["id"] for row in exported(project)]
    assert len(ids) == 12
    assert sorted(ids) == sorted(row["id"] for stage in ("answers", "turns") for row in project.rows(stage))


def test_formats_hold_the_turns_where_they_have_a_place_and_others_are_refused(project: InProcess) -> None:
    pytest.importorskip("pyarrow")
    from pyarrow.parquet import read_table

    line = (*SMALL, "format.reasoning=field", "trainers=[llamafactory]")
    assert project.run(*line, "formats=[messages,sharegpt,alpaca,parquet]").status == 0
    first = project.rows("answers")[0]["question"]
    assert exported(project)[0]["messages"][1]["reasoning_content"] == f"Thinking of {first}"
    talk = exported(project, "sharegpt")[0]["conversations"]
    assert [(each["from"], each["value"]) for each in talk] == [
        ("human", first), ("gpt", f"So: {first}"), ("human", "And 1?"), ("gpt", "So: And 1?"),
    ]  # fmt: skip
    alpaca = exported(project, "alpaca")[0]
    assert (alpaca["history"], alpaca["instruction"], alpaca["output"]) == (
        [[first, f"So: {first}"]], "And 1?", "So: And 1?",
    )  # fmt: skip
    info = json.loads((project.folder() / "dataset/dataset_info.json").read_text())
    assert info["alpaca"]["columns"]["history"] == "history"
    table = read_table(project.folder() / "dataset/train.parquet").to_pylist()
    assert [each["role"] for each in table[0]["messages"]] == ["user", "assistant"] * 2
    refused = project.run(*SMALL, "formats=[messages,csv]")
    assert (refused.status, "formats=csv has one question and one answer a row" in refused.stderr) == (2, True)


def test_pairs_of_dialogues_are_refused_before_anything_is_sent(project: InProcess, server: ScriptedServer) -> None:
    line = [*SMALL[:-1], "stages=[tags,questions,answers,scores,turns]", "dialogue.turns=2", "answers_per_question=2"]
    refused = project.run(*line, "formats=[preference]")
    assert (refused.status, server.count) == (2, 0), refused.stderr
    assert "formats=preference sets answers to the same question against each other" in refused.stderr
    assert "leave preference out of formats" in refused.stderr


def test_a_turn_that_fails_leaves_its_dialogue_out_and_is_asked_for_again(
    project: InProcess, server: ScriptedServer
) -> None:
    def failing(number: int, body: Body) -> Fault | None:
        if kind_of(body) == "turn 2" and body["messages"][0]["content"] == first:
            return content("")
        return talking(number, body)

    assert project.run(*SMALL, "--until", "questions").status == 0
    first = project.rows("questions")[0]["question"]
    server.plan = failing
    assert project.run(*SMALL, "dialogue.turns=3").status == 1
    assert len(exported(project)) == 3
    assert {each["stage"] for each in project.rows("failures")} >= {"turns"}
    server.plan = talking
    server.reset()
    assert project.run(*SMALL, "dialogue.turns=3").status == 0
    assert server.kinds == {"turn 2": 1, "follow_ups": 1, "turn 3": 1}
    assert len(exported(project)) == 4


def test_in_chinese_and_for_several_answers(project: InProcess, server: ScriptedServer) -> None:
    assert project.run(*ZH, "answers_per_question=2", "dialogue.turns=3").status == 0
    assert len(exported(project)) == 8
    assert {messages_of(row)[-2] for row in exported(project)} == {("user", "And 2?")}
    asked = [request.body for request in server.requests if request.kind == "follow_ups"]
    assert all(schema_of(body)["required"] == ["follow_up"] for body in asked)
    assert "用中文提问" in asked[0]["messages"][0]["content"]


def test_a_follow_up_has_words_is_no_question_asked_before_and_has_no_outer_space(
    project: InProcess, server: ScriptedServer
) -> None:
    def asking(number: int, body: Body) -> Fault | None:
        if kind_of(body) != "follow_ups":
            return talking(number, body)
        first = next(line for line in body["messages"][1]["content"].split("\n\n")[1].splitlines()[1:])
        before = [each["content"] for each in body["messages"] if each["role"] == "assistant"]
        replies = [json.dumps({"follow_up": text}) for text in ("  ", "…", f"{first} ", " Why?\n")]
        return content(replies[replies.index(before[0]) + 1 if before else 0])

    server.plan = asking
    line = (*SMALL[:4], "limits.reasks=2", SMALL[5])
    assert project.run(*line).status == 1
    assert server.kinds["follow_ups"] == 12
    assert {each["cause"] for each in project.rows("failures") if each["stage"] == "follow_ups"} == {"invalid"}
    assert any("was said before" in each["detail"] for each in project.rows("failures"))
    server.reset()
    assert project.run(*line).status == 0
    assert server.kinds == {"follow_ups": 4, "turn 2": 4}
    assert {row["follow_up"] for row in project.rows("follow_ups")} == {"Why?"}
    blank = {"id": project.rows("follow_ups")[0]["id"], "verdict": "edit", "follow_up": " "}
    (project.root / "reviews.jsonl").write_text(json.dumps(blank) + "\n")
    done = project.run(*line)
    assert "follow_up is a text with words" in done.stderr, done.stderr


def test_a_row_of_a_turn_is_told_edited_and_asked_anew_as_any_other(project: InProcess, server: ScriptedServer) -> None:
    line = (*SMALL, "dialogue.turns=3")
    assert project.run(*line).status == 0
    asked = project.rows("follow_ups")[0]
    assert asked["follow_up"] in project.raw("show", asked["id"]).stdout
    assert asked["follow_up"] in project.raw("log", project.rows("turns_3")[0]["id"]).stdout
    assert "Follow Up" in project.raw("log", project.rows("turns_3")[0]["id"]).stdout
    drawn = project.raw("sample", "1", "--json").document["rows"][0]
    assert [turn["question"] for turn in drawn["history"]][1:] == ["And 1?"]
    digest = text_digest(asked, ("follow_up",))
    review = {
        "id": asked["id"],
        "digest": digest,
        "verdict": "edit",
        "at": "2026-01-01T00:00:00Z",
        "follow_up": " Why?",
    }
    (project.root / "reviews.jsonl").write_text(json.dumps(review) + "\n")
    server.reset()
    assert project.run(*line).status == 0
    assert server.kinds == {"turn 2": 1, "follow_ups": 1, "turn 3": 1}
    assert ("user", "Why?") in messages_of(exported(project)[0])


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("dialogue.turns=0",), "dialogue.turns=0"),
        (("stages=[tags,questions,answers]", "dialogue.turns=2"), "dialogue.turns=2 does nothing"),
        (("stages=[tags,questions,answers]", "dialogue.scenario=A rower"), "dialogue.scenario=A rower does nothing"),
        (("answer.kind=label", "answer.labels=[good,bad]"), "answer.kind=label"),
    ],
)
def test_what_makes_no_dialogue_is_told(project: InProcess, words: tuple[str, ...], sentence: str) -> None:
    line = [word for word in SMALL if not (word.startswith("recipe") and words[0].startswith("stages"))]
    done = project.run(*line, *words)
    assert (done.status, sentence in done.stderr) == (2, True), done.stderr


def test_a_stage_of_ones_own_with_the_name_of_a_turn_is_told(project: InProcess) -> None:
    write_stage(project.root, "turns_3", kind="map", after="answers", role="teacher", prompt="answers")
    done = project.run(*SMALL, "dialogue.turns=3")
    assert done.status == 2
    assert "conf/stage/turns_3.yaml" in done.stderr


def test_a_score_of_the_last_turn_is_told_of_no_other(project: InProcess, server: ScriptedServer) -> None:
    def judged(number: int, body: Body) -> Fault | None:
        by = dict.fromkeys(("correct", "complete", "clear", "sound"), 4)
        judgement = content(json.dumps({"reason": "Good.", "by": by, "score": 4}))
        return judgement if classify(body) == "scores" else talking(number, body)

    server.plan = judged
    stages = "stages=[tags,questions,dedup,answers,follow_ups,turns,scores]"
    done = project.run(*SMALL, stages, "stage.scores.after=turns", "format.turns=each", "formats=[messages]")
    assert done.status == 0, done.stderr
    scores = [(len(messages_of(row)), row["metadata"]["score"]) for row in exported(project)]
    assert scores == [(2, -1.0), (4, 4.0)] * 4


def test_an_answer_of_an_earlier_turn_that_ends_a_thought_is_told(project: InProcess, server: ScriptedServer) -> None:
    def replied(number: int, body: Body) -> Fault | None:
        return content("It ends with `</think>`.") if kind_of(body) == "turn 1" else talking(number, body)

    server.plan = replied
    done = project.run(*SMALL, "trainers=[axolotl]", "formats=[messages]")
    assert done.status == 0, done.stderr
    assert "4 of 4 rows have an answer that says </think>" in done.stderr
