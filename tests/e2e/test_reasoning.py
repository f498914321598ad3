"""`model.reasoning`: whether an answer's thought is taken as it comes, asked for, needed, or left out."""

import json
from pathlib import Path

import pytest

from tests.e2e.own_project import write_prompt, write_stage
from tests.e2e.test_only_what_is_affected import InProcess, kind_of, steady
from tests.server import Body, Fault, ScriptedServer, content, digest

SMALL = ("topic=sports", "depth=1", "breadth=2", "questions_per_tag=2", "limits.reasks=1")
ZH = ("topic=体育", "name=sports", "language=zh", *SMALL[1:])
PROMPTED = "teacher.reasoning=prompted"
THOUGHT = "<working>\nFirst this.\nThen that.\n</working>\n\n"


@pytest.fixture
def project(tmp_path: Path, server: ScriptedServer) -> InProcess:
    server.classify = kind_of
    return InProcess(tmp_path, server)


def answering(text: str, **message: str) -> object:
    """A plan in which each answer is `text`."""
    return lambda number, body: content(text, **message) if kind_of(body) == "answers" else steady(number, body)


def at_times(number: int, body: Body) -> Fault | None:
    """A teacher that thinks before about half of its answers."""
    if kind_of(body) != "answers":
        return steady(number, body)
    asked = body["messages"][-1]["content"]
    thinks = digest({"asked": asked})[0] % 2 or body["seed"] % 2
    return content(f"It is {asked}", **({"reasoning_content": f"About {asked}"} if thinks else {}))


def answers_asked(server: ScriptedServer) -> list[Body]:
    return [request.body for request in server.requests if request.kind == "answers"]


def read(project: InProcess) -> set[tuple[str | None, str]]:
    return {(row["reasoning"], row["answer"]) for row in project.rows("answers")}


def trained_on(project: InProcess) -> str:
    return (project.folder() / "dataset/train.messages.jsonl").read_text()


@pytest.mark.parametrize("line", [SMALL, ZH], ids=["en", "zh"])
@pytest.mark.parametrize(
    "way", [(), ("model.stream=true",), ("model.examples=true",)], ids=["plain", "stream", "small"]
)
def test_a_plain_model_is_asked_to_think_first_and_the_row_has_nothing_of_that(
    project: InProcess, server: ScriptedServer, line: tuple[str, ...], way: tuple[str, ...]
) -> None:
    server.plan = answering(f"{THOUGHT}It is so.")
    done = project.run(*line, *way, PROMPTED, "system_prompt=Be kind.")
    assert done.status == 0, done.stderr
    assert read(project) == {("First this.\nThen that.", "It is so.")}
    body = answers_asked(server)[0]
    said = body["messages"][0]["content"]
    assert said.startswith("Be kind.\n")
    assert "<working>" in said
    assert "</working>" in said
    assert "<working>" not in body["messages"][-1]["content"], "the question stands alone"
    if "model.examples=true" in way:
        assert body["messages"][2]["content"].startswith("<working>\n"), "the worked example thinks, too"
    assert "working>" not in trained_on(project)
    row = json.loads(trained_on(project).splitlines()[0])
    assert row["messages"][0] == {"role": "system", "content": "Be kind."}
    assert row["messages"][2]["content"] == "<think>\nFirst this.\nThen that.\n</think>\n\nIt is so."
    server.reset()
    assert project.run(*line, *way, PROMPTED, "system_prompt=Be kind.", "--frozen").status == 0
    assert server.count == 0


def test_other_roles_and_prompts_without_the_mode_are_asked_as_ever(project: InProcess, server: ScriptedServer) -> None:
    server.plan = answering("It is so.")
    assert project.run(*SMALL, "student.reasoning=prompted", "tagger.reasoning=required").status == 0
    assert "working>" not in json.dumps([request.body for request in server.requests])
    server.reset()
    assert project.run(*SMALL, "model.reasoning=native", "--locked").status == 0, "lists have no reasoning of their own"


@pytest.mark.parametrize(
    "text", ["It is so.", "It is so. <working>Since it is.</working>", f"{THOUGHT}", "<think>A</think>B"]
)
def test_a_reply_without_the_thought_that_was_asked_for_fails_in_the_end(
    project: InProcess, server: ScriptedServer, text: str
) -> None:
    server.plan = answering(text, reasoning_content="The user wants marks.")
    assert project.run(*SMALL, PROMPTED).status == 1
    assert server.kinds["answers"] == 2 * 4
    assert len(answers_asked(server)[0]["messages"]) == 2
    failures = project.rows("failures")
    cause = "empty" if text == THOUGHT else "no_reasoning"
    assert {(each["stage"], each["cause"], each["attempts"]) for each in failures} == {("answers", cause, 2)}
    server.plan = answering(f"{THOUGHT}It is so.")
    assert project.run(*SMALL, PROMPTED).status == 0
    assert not project.rows("failures")


def test_marks_that_stand_in_the_answer_too_are_asked_again(project: InProcess, server: ScriptedServer) -> None:
    server.plan = answering(f"{THOUGHT}It is so, <working>or not</working>.")
    assert project.run(*SMALL, PROMPTED).status == 1
    assert {each["cause"] for each in project.rows("failures")} == {"invalid"}


def test_one_that_needs_reasoning_asks_only_for_what_lacks_it_and_going_back_asks_nothing(
    project: InProcess, server: ScriptedServer
) -> None:
    server.plan = at_times
    line = (*SMALL, "answers_per_question=4", "limits.reasks=9")
    assert project.run(*line).status == 0
    lacking = sum(row["reasoning"] is None for row in project.rows("answers"))
    assert 0 < lacking < 16
    had = [row for row in project.rows("answers") if row["reasoning"] is not None]
    server.reset()
    needed = (*line, "teacher.reasoning=required")
    planned = project.run("plan", *needed, "--json").document
    assert (planned["calls"], planned["exact"]) == (lacking, True)
    assert "teacher.reasoning" in project.run("explain", *needed).stdout
    assert project.run(*needed).status == 0
    assert lacking <= server.kinds["answers"] < 10 * lacking
    assert set(server.kinds) == {"answers"}
    rows = project.rows("answers")
    assert all(row["reasoning"] for row in rows)
    assert [row for row in rows if row["id"] in {each["id"] for each in had}] == had
    told = project.raw("diff").stdout
    assert "teacher.reasoning" in told
    server.reset()
    assert project.run(*needed, "--frozen").status == 0
    assert project.run(*line, "teacher.reasoning=drop").status == 0
    assert {row["reasoning"] for row in project.rows("answers")} == {None}
    assert {tuple(row["flags"]) for row in project.rows("answers")} == {()}, "what is wanted so is no fault"
    assert "<think>" not in trained_on(project)
    assert project.run(*needed).status == 0
    assert project.rows("answers") == rows
    assert project.run(*line).status == 0
    assert server.count == 0


def test_each_way_of_reading_reads_what_was_accepted_by_another(project: InProcess, server: ScriptedServer) -> None:
    server.plan = answering("It is so.", reasoning_content="Since it is.")
    kept, left_out = {("Since it is.", "It is so.")}, {(None, "It is so.")}
    for mode, found in (
        ("required", kept),
        ("drop", left_out),
        ("native", kept),
        ("drop", left_out),
        ("required", kept),
    ):
        assert project.run(*SMALL, f"teacher.reasoning={mode}").status == 0
        assert read(project) == found, mode
    assert server.kinds["answers"] == 4


def test_without_reasoning_in_the_end_an_answer_is_a_failure(project: InProcess, server: ScriptedServer) -> None:
    server.plan = answering("It is so.")
    assert project.run(*SMALL, "model.reasoning=required").status == 1
    assert {(each["cause"], each["attempts"]) for each in project.rows("failures")} == {("no_reasoning", 2)}
    assert "The reply holds an answer without reasoning" in json.dumps(project.rows("failures"))
    server.reset()
    assert project.run(*SMALL).status == 0, "what is stored is good enough without that"
    assert server.count == 0


@pytest.mark.parametrize(
    ("kind", "reply", "answer"),
    [
        (("answer.kind=label", "answer.labels=[good,bad]"), "Good.", "good"),
        (("answer.kind=json", "answer.schema={type: object, properties: {city: {type: string}}, required: [city]}"),
         '{"city": "Graz"}', '{"city":"Graz"}'),
    ],
    ids=["label", "json"],
)  # fmt: skip
def test_labels_and_json_are_read_behind_the_thought_and_no_schema_is_sent(
    project: InProcess, server: ScriptedServer, kind: tuple[str, ...], reply: str, answer: str
) -> None:
    server.plan = answering(f"{THOUGHT.replace('that.', 'that. {}')}{reply}")
    assert project.run(*SMALL, PROMPTED, *kind).status == 0
    assert read(project) == {("First this.\nThen that. {}", answer)}
    assert "response_format" not in answers_asked(server)[0]
    said = answers_asked(server)[0]["messages"][0]["content"]
    assert "What stands behind your reasoning is" in said
    assert "Reply with" not in said, "who replies with that and nothing else does not think"
    server.plan = answering(f"{THOUGHT}Neither.")
    assert project.run(*SMALL, PROMPTED, *kind, "seed=1").status == 1
    again = answers_asked(server)[-1]["messages"]
    assert again[-2]["content"].startswith("<working>")
    assert "and nothing else" not in again[-1]["content"].rpartition("Send the whole reply again")[2]


def test_a_prompt_of_ones_own_that_asks_for_no_thought_is_told(project: InProcess, server: ScriptedServer) -> None:
    folder = project.root / "prompts/en"
    folder.mkdir(parents=True)
    own = '{% call message("user") %}{% if thought_marks %}Think.{% endif %}{{ question }}{% endcall %}'
    (folder / "answers.jinja").write_text(own)
    server.plan = answering(f"{THOUGHT}It is so.")
    told = project.run(*SMALL, PROMPTED).stderr
    assert 'does not ask for what teacher.reasoning=prompted reads: put {% include "en/reasoning.jinja" %}' in " ".join(
        told.split()
    )
    (folder / "answers.jinja").write_text(
        own.replace("{{ question }}", '{{ question }}\n{% include "en/reasoning.jinja" %}')
    )
    server.reset()
    done = project.run(*SMALL, PROMPTED)
    assert (done.status, "does not ask for" in done.stderr) == (0, False)
    assert "<working>" in answers_asked(server)[-1]["messages"][-1]["content"]


def test_a_stage_of_ones_own_may_think_first_and_one_with_fields_does_not(
    project: InProcess, server: ScriptedServer
) -> None:
    stage = {"kind": "map", "after": "answers", "role": "teacher", "prompt": "shorter"}
    write_stage(project.root, "shorter", **stage)
    write_prompt(project.root, "shorter", "{{ row.answer }}{{ thought_marks[0] if thought_marks }}")
    server.plan = answering(f"{THOUGHT}It is so.")
    line = (*SMALL, PROMPTED, "stages=[tags,questions,answers,shorter]")
    assert project.run(*line).status == 0
    assert {(row["reasoning"], row["answer"]) for row in project.rows("shorter")} == read(project)
    fields = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
    write_stage(project.root, "shorter", **stage, schema=fields)
    server.plan = answering('{"text": "So."}')
    server.reset()
    assert project.run(*line).status == 0
    assert [row["text"] for row in project.rows("shorter")] == ["So."] * 4
    assert "<working>" not in server.requests[-1].body["messages"][-1]["content"]


def test_two_judges_that_only_read_otherwise_are_one(project: InProcess) -> None:
    write_stage(project.root, "shorter", kind="map", after="answers", role=["one", "two"], prompt="shorter")
    write_prompt(project.root, "shorter", "{{ row.answer }}")
    done = project.run(*SMALL, "stages=[tags,questions,answers,shorter]", "two.reasoning=required")
    assert done.status == 2
    assert "would be sent the same requests" in done.stderr
