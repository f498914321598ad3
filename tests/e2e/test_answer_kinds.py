"""What an answer is, a text, a label or JSON: how it is asked for, what its row holds, and what cannot be one."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.test_only_what_is_affected import InProcess, steady
from tests.server import Body, Fault, ScriptedServer, classify, content, digest, schema_of

LINE = ("topic=reviews", "name=sports", "depth=1", "breadth=2", "questions_per_tag=2")
LABELS = ("answer.kind=label", "answer.labels=[positive,negative,neutral]")
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "people": {"type": "integer"}},
    "required": ["city", "people"],
}
JSON = ("answer.kind=json", f"answer.schema={json.dumps(SCHEMA).replace(chr(34), '')}")


def labelling(number: int, body: Body) -> Fault | None:
    """A label by chance for whoever asks for one, after a thought; all else by place alone."""
    if classify(body) != "answers":
        return steady(number, body)
    label = ("positive", "negative", "neutral")[digest(body)[0] % 3]
    return content(json.dumps({"label": label}), reasoning_content="The tone says it.")


def answered(text: str) -> Any:
    """A plan in which each answer is `text`."""
    return lambda number, body: content(text) if classify(body) == "answers" else steady(number, body)


@pytest.fixture
def project(tmp_path: Path, server: ScriptedServer) -> InProcess:
    server.plan = labelling
    return InProcess(tmp_path, server)


def shown(body: Body) -> str:
    """What a request says to the model before the question."""
    return str(body["messages"][0]["content"])


def answers_asked(server: ScriptedServer) -> list[Body]:
    return [request.body for request in server.requests if request.kind == "answers"]


def test_a_label_is_asked_for_by_a_schema_and_stands_in_the_row_as_a_text(
    project: InProcess, server: ScriptedServer
) -> None:
    done = project.run(*LINE, *LABELS, "answers_per_question=3", "system_prompt=You sort reviews.")
    assert done.status == 0, done.stderr
    body = answers_asked(server)[0]
    assert schema_of(body)["properties"] == {"label": {"type": "string", "enum": ["positive", "negative", "neutral"]}}
    assert body["response_format"]["json_schema"]["strict"] is True
    assert shown(body).startswith("You sort reviews.\nChoose the label")
    rows = project.rows("answers")
    assert {row["answer"] for row in rows} == {"positive", "negative", "neutral"}
    assert {row["reasoning"] for row in rows} == {"The tone says it."}
    line = json.loads((project.folder() / "dataset/train.messages.jsonl").read_text().splitlines()[0])
    assert [each["role"] for each in line["messages"]] == ["system", "user", "assistant"]
    assert line["messages"][0]["content"] == "You sort reviews.", "nothing of how a label was asked for"
    assert not project.rows("checks"), "that labels repeat is no fault"


def test_more_answers_ask_for_the_new_ones_alone_and_other_labels_for_all(
    project: InProcess, server: ScriptedServer
) -> None:
    project.run(*LINE, *LABELS, "answers_per_question=2")
    before = project.rows("answers")
    server.reset()
    planned = project.run("plan", *LINE, *LABELS, "answers_per_question=3", "--json").document
    assert (planned["calls"], planned["exact"]) == (4, True)
    project.run(*LINE, *LABELS, "answers_per_question=3")
    assert server.kinds == {"answers": 4}
    assert [row for row in project.rows("answers") if row["sample"] < 2] == before
    assert project.run(*LINE, *LABELS, "answers_per_question=3", "--frozen").status == 0
    server.reset()
    other = (*LINE, "answer.kind=label", "answer.labels=[positive,negative,neutral,mixed]", "answers_per_question=3")
    assert "answer.labels" in project.run("explain", *other).stdout
    assert project.run(*other).status == 0
    assert server.kinds == {"answers": 12}
    told = project.raw("diff", "--json", "latest~1").document["answers"]
    assert (told["added"], told["removed"], told["changed"] + told["same"]) == (0, 0, 12)


def test_a_reply_that_gives_no_label_is_asked_again_with_the_labels_and_fails_in_the_end(
    project: InProcess, server: ScriptedServer
) -> None:
    server.plan = answered("I like it.")
    done = project.run(*LINE, *LABELS, "limits.reasks=1", "teacher.structured=none")
    assert done.status == 1
    assert "- positive\n- negative\n- neutral\nReply with one of these labels" in shown(answers_asked(server)[0])
    assert server.kinds["answers"] == 8
    again = next(body for body in answers_asked(server) if len(body["messages"]) == 4)
    assert 'it has to give one of "positive", "negative", "neutral"' in again["messages"][-1]["content"]
    assert {row["cause"] for row in project.rows("failures")} == {"invalid"}
    server.plan = answered("Positive.")
    assert project.run(*LINE, *LABELS, "limits.reasks=1", "teacher.structured=none").status == 0
    assert {row["answer"] for row in project.rows("answers")} == {"positive"}


def test_a_prompt_that_shows_no_labels_is_told_and_other_labels_read_its_replies_again(
    project: InProcess, server: ScriptedServer
) -> None:
    folder = project.root / "prompts/en"
    folder.mkdir(parents=True)
    (folder / "answers.jinja").write_text('{% call message("user") %}Which mood? {{ question }}{% endcall %}')
    server.plan = answered("neutral")
    line = (*LINE, "teacher.structured=none", "answer.kind=label")
    done = project.run(*line, "answer.labels=[positive,neutral]")
    assert done.status == 0
    assert "show its variable labels" in done.stderr
    server.reset()
    assert project.run(*line, "answer.labels=[Neutral,negative]").status == 0
    assert (server.count, {row["answer"] for row in project.rows("answers")}) == (0, {"Neutral"})
    assert project.run(*line, "answer.labels=[positive,negative]", "--offline").status == 4


def test_json_is_held_to_its_schema_and_asked_again_with_what_is_wrong(
    project: InProcess, server: ScriptedServer
) -> None:
    def hasty(number: int, body: Body) -> Fault | None:
        if classify(body) != "answers":
            return steady(number, body)
        if len(body["messages"]) == 2:
            return content('{"city": "Graz"}')
        return content('Here it is:\n{"people": 300000, "city": "Graz \\u00e4", "also": [1.0, {"b": null, "a": 2}]}')

    server.plan = hasty
    done = project.run(*LINE, *JSON)
    assert done.status == 0, done.stderr
    first, *_ = answers_asked(server)
    again = next(body for body in answers_asked(server) if len(body["messages"]) == 4)
    assert schema_of(first) == SCHEMA
    assert json.dumps(SCHEMA, separators=(",", ":")) in shown(first), "in the order in which it is written"
    assert "'people' is a required property" in again["messages"][-1]["content"]
    assert {row["answer"] for row in project.rows("answers")} == {
        '{"people":300000,"city":"Graz ä","also":[1.0,{"b":null,"a":2}]}'
    }
    assert not project.rows("checks")


def test_a_schema_may_lie_in_a_file(project: InProcess, server: ScriptedServer) -> None:
    server.plan = answered('{"city": "Graz", "people": 3}')
    (project.root / "city.json").write_text(json.dumps(SCHEMA))
    assert project.run(*LINE, "answer.kind=json", "answer.schema=city.json").status == 0
    server.reset()
    assert project.run(*LINE, *JSON).status == 0
    assert server.count == 0, "what counts is what stands in it"
    with_mark = json.dumps(SCHEMA, indent=1).replace("\n", "\r\n").encode("utf-8-sig")  # as some editors save it
    (project.root / "city.json").write_bytes(with_mark)
    (project.root / "tree.yaml").write_text("answer: {schema: city.json}\n")
    assert project.run(*LINE, "answer.kind=json", "answer.schema=city.json").status == 0
    assert server.count == 0


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ('{"type": "object", "type": "array"}', "city.json: type stands there twice: leave one of them out"),
        ('{"type": "object",\n "properties": {},\n}', "line 3, character 1"),
        ('{"type": "object", "properties": {"a": {"minimum": NaN}}}', "city.json: it has a number that no JSON has"),
        ("[" * 100_000, "city.json: it is no JSON (it is nested too deeply)"),
        ("\n\udcff", "city.json, line 2: it is no text in UTF-8"),
    ],
)
def test_a_file_that_holds_no_schema_in_json_is_told(
    project: InProcess, server: ScriptedServer, schema: str, said: str
) -> None:
    (project.root / "city.json").write_bytes(schema.encode(errors="surrogateescape"))
    done = project.run(*LINE, "answer.kind=json", "answer.schema=city.json")
    assert (done.status, said in done.stderr) == (2, True), done.stderr
    (project.root / "tree.yaml").write_text("answer: {schema: city.json}\n")
    done = project.run(*LINE, *JSON)
    assert (done.status, "tree.yaml, line 1: schema: city.json" in done.stderr) == (2, True), done.stderr
    assert server.count == 0


def test_the_student_s_attempts_are_of_the_same_kind(project: InProcess, server: ScriptedServer) -> None:
    stages = "stages=[tags,questions,dedup,answers,attempts]"
    assert project.run(*LINE, *LABELS, stages, "student.name=little").status == 0
    assert {row["answer"] for row in project.rows("attempts")} <= {"positive", "negative", "neutral"}
    asked = [body for body in answers_asked(server) if body["model"] == "little"] or [
        request.body for request in server.requests if request.kind == "attempts"
    ]
    assert all("label" in schema_of(body)["properties"] and "- neutral" in shown(body) for body in asked)


def test_in_chinese(project: InProcess, server: ScriptedServer) -> None:
    server.plan = answered("标签：不好")
    done = project.run(*LINE, "language=zh", "answer.kind=label", "answer.labels=[好,不好]", "teacher.structured=none")
    assert done.status == 0, done.stderr
    assert "- 好\n- 不好\n只输出其中一个标签" in shown(answers_asked(server)[0])
    assert {row["answer"] for row in project.rows("answers")} == {"不好"}
    server.plan = answered('{"city": "格拉茨", "people": 3}')
    assert project.run(*LINE, "language=zh", *JSON).status == 0
    assert "JSON Schema" in shown(answers_asked(server)[-1])


@pytest.mark.parametrize(
    ("words", "good", "bad", "said"),
    [
        (LABELS, "negative", "Positive", "answer is one of positive, negative, neutral, not 'Positive'"),
        (
            JSON,
            '{"people": 1, "city": "Wien"}',
            '{"people": 1}',
            "answer does not fit its schema: 'city' is",
        ),
        (JSON, '{"people": 1, "city": "Wien"}', "Wien", "answer is no JSON"),
        (JSON, '{"people": 1, "city": "Wien"}', '{"city": "Wien", "city": "Linz"}', "one key with two values"),
    ],
)
def test_an_edit_is_held_to_the_same(
    project: InProcess, server: ScriptedServer, words: tuple[str, ...], good: str, bad: str, said: str
) -> None:
    if words is JSON:
        server.plan = answered('{"city": "Graz", "people": 3}')
    project.run(*LINE, *words)
    key = project.rows("answers")[0]["id"]
    reviews = project.root / "curate/sports/reviews.jsonl"
    reviews.parent.mkdir(parents=True)
    reviews.write_text(json.dumps({"id": key, "verdict": "edit", "answer": bad}) + "\n")
    server.reset()
    done = project.run(*LINE, *words)
    assert (done.status, said in done.stderr) == (2, True), done.stderr
    reviews.write_text(json.dumps({"id": key, "verdict": "edit", "answer": good}) + "\n")
    assert project.run(*LINE, *words).status == 0
    assert (project.rows("answers")[0]["answer"], server.count) == (good, 0)


def test_an_answer_that_a_person_gives_is_held_to_the_same(project: InProcess, server: ScriptedServer) -> None:
    own = project.root / "curate/sports/questions.jsonl"
    own.parent.mkdir(parents=True)
    own.write_text(json.dumps({"question": "It broke on the first day.", "answer": "bad"}) + "\n")
    done = project.run(*LINE, *LABELS)
    assert (done.status, server.count) == (2, 0), done.stderr
    assert (
        "curate/sports/questions.jsonl, line 1: answer is one of positive, negative, neutral, not 'bad'" in done.stderr
    )
    own.write_text(json.dumps({"question": "It broke on the first day.", "answer": "negative"}) + "\n")
    assert project.run(*LINE, *LABELS).status == 0
    assert next(row["answer"] for row in project.rows("answers") if row["model"] == "hand") == "negative"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("answer.kind=label",), "answer.labels is empty: name two at the least, as in answer.labels=[positive,neg"),
        (("answer.kind=label", "answer.labels=[good]"), "answer.labels has good alone"),
        (("answer.kind=label", "answer.labels=[Good,good]"), "answer.labels: Good and good are read as one label"),
        (("answer.kind=label", "answer.labels=[a,a]"), "answer.labels: a and a are read as one label"),
        (("answer.kind=label", "answer.labels=good"), "answer.labels=good: expected a list"),
        (("answer.labels=[good,bad]",), "answer.labels=[good,bad] does nothing with answer.kind=text"),
        (("answer.kind=json",), "answer.kind=json needs answer.schema"),
        (("answer.kind=json", "answer.schema={type: array}"), "answer.schema: a reply has fields"),
        (("answer.kind=json", "answer.schema=no.json"), "answer.schema=no.json: no.json cannot be read"),
        (
            ("answer.kind=json", JSON[1], "answer.labels=[a,b]"),
            "answer.labels=[a,b] does nothing with answer.kind=json",
        ),
        ((*LABELS, "stage.answers.schema={type: object, properties: {a: {}}}"), "both say what an answer is"),
        (("answer.kind=jsno",), "answer.kind=jsno: expected one of json, label, text"),
        (("answer.kinds=label",), "did you mean 'answer.kind'?"),
        ((*LABELS, "stages=[tags,questions]"), "does nothing: answers is not among stages"),
    ],
)
def test_what_cannot_be_is_told_before_anything_is_asked(
    project: InProcess, server: ScriptedServer, words: tuple[str, ...], said: str
) -> None:
    done = project.run(*LINE, *words)
    assert (done.status, server.count, said in done.stderr) == (2, 0, True), done.stderr


def test_what_yaml_makes_no_text_of_is_told(project: InProcess) -> None:
    (project.root / "conf").mkdir()
    (project.root / "conf/distill.yaml").write_text(
        "defaults: [base, _self_]\nanswer: {kind: label, labels: [yes, no]}\n"
    )
    done = project.run(*LINE)
    assert (done.status, "answer.labels has an item=true: expected text" in done.stderr) == (2, True), done.stderr


def test_attempts_of_a_file_that_follows_nothing_are_told(project: InProcess) -> None:
    file = project.root / "conf/stage/attempts.yaml"
    file.parent.mkdir(parents=True)
    (file.parent.parent / "distill.yaml").write_text("defaults: [base, _self_]\n")
    file.write_text("kind: map\nbuiltin: attempts\nafter: questions\nrole: student\nprompt: attempts\n")
    words = (*LINE, *LABELS, "stages=[tags,questions,answers,attempts]", "student.name=little")
    assert (
        "attempts are not asked for as the answers are: with answer_kind: ${answer.kind}" in project.run(*words).stderr
    )
    file.write_text("defaults: [attempts, _self_]\n")
    assert "not asked for as" not in project.run(*words).stderr


def test_a_project_that_init_wrote_asks_again_with_what_is_wrong(project: InProcess, server: ScriptedServer) -> None:
    def hasty(number: int, body: Body) -> Fault | None:
        if classify(body) in ("tags", "questions"):
            return steady(number, body)
        return content("A town." if len(body["messages"]) == 2 else '{"city": "Graz", "people": 3}')

    server.plan = hasty
    assert project.raw("init", ".").status == 0
    done = project.run(*LINE, *JSON, "stages=[tags,questions,answers,attempts]", "student.name=little")
    assert done.status == 0, done.stderr
    again = [request.body for request in server.requests if len(request.body["messages"]) == 4]
    assert len(again) == 8
    assert all("The reply holds no JSON object" in body["messages"][-1]["content"] for body in again)
    assert {row["answer"] for row in project.rows("attempts")} == {'{"city":"Graz","people":3}'}
