"""Declared variety: what a request says of it, what a question has of it, and what a change of shares reaches."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.test_only_what_is_affected import InProcess, own_prompt
from tests.server import Body, Fault, ScriptedServer, content, schema_of, words

LINE = ("topic=sports", "depth=1", "breadth=2", "per_request.questions=5")
AXES = "axes={difficulty: {easy: 0.3, medium: 0.5, hard: 0.2}}"
FORM = "axes.form={explain: 0.5, compare: 0.5}"


@pytest.fixture
def project(tmp_path: Path, server: ScriptedServer) -> InProcess:
    return InProcess(tmp_path, server)


def item_schema(body: Body) -> Body:
    items: Body = schema_of(body).get("properties", {}).get("questions", {}).get("items", {})
    return items


def quotas(body: Body) -> dict[str, dict[str, int]]:
    """What a request says of its questions, by axis."""
    lines = [line for line in body["messages"][-1]["content"].splitlines() if line.startswith("By ")]
    told = [line.removeprefix("By ").rstrip(".").split(": ") for line in lines]
    parts = {axis: [part.split(" ", 1) for part in said.split(", ")] for axis, said in told}
    return {axis: {value: int(count) for count, value in each} for axis, each in parts.items()}


def obedient(_: int, body: Body) -> Fault | None:
    """Questions with the values that were asked for, those of each value together."""
    if item_schema(body).get("type") != "object":
        return None
    wanted = {axis: [v for v, n in counts.items() for _ in range(n)] for axis, counts in quotas(body).items()}
    seed = json.dumps(body["messages"]).encode()
    texts = [f"How does {' '.join(words(seed, place, 3))} work?" for place in range(5)]
    items = [{"question": text} | {axis: wanted[axis][n] for axis in wanted} for n, text in enumerate(texts)]
    return content(json.dumps({"questions": items}))


def questions_asked(server: ScriptedServer) -> list[Body]:
    return [request.body for request in server.requests if "questions" in schema_of(request.body).get("properties", {})]


def by_leaf(project: InProcess, axis: str) -> list[Counter[Any]]:
    found: dict[str, Counter[Any]] = {}
    for row in project.rows("questions"):
        found.setdefault(row["tag"], Counter())[row[axis]] += 1
    return list(found.values())


@pytest.mark.parametrize("axis", ["level", "number"])
def test_an_axis_may_be_called_as_what_tags_alone_have(axis: str, project: InProcess) -> None:
    done = project.run("plan", "topic=sports", f"axes={{{axis}: {{a: 0.5, b: 0.5}}}}")
    assert done.status == 0, done.stderr


def test_each_request_carries_its_quota_and_each_question_its_value(project: InProcess, server: ScriptedServer) -> None:
    server.plan = obedient
    assert project.run(*LINE, "questions_per_tag=10", AXES, FORM).status == 0
    first, *_ = questions_asked(server)
    assert quotas(first) == {"difficulty": {"easy": 2, "medium": 2, "hard": 1}, "form": {"compare": 3, "explain": 2}}
    assert item_schema(first)["properties"]["difficulty"] == {"type": "string", "enum": ["easy", "hard", "medium"]}
    assert item_schema(first)["required"] == ["question", "difficulty", "form"]
    assert by_leaf(project, "difficulty") == [{"easy": 3, "medium": 5, "hard": 2}] * 2
    assert by_leaf(project, "form") == [{"explain": 5, "compare": 5}] * 2
    assert not project.rows("checks")


@pytest.mark.parametrize(
    ("number", "expected"),
    [(1, {"medium": 1}), (3, {"easy": 1, "medium": 1, "hard": 1}), (7, {"easy": 2, "medium": 4, "hard": 1})],
)
def test_a_list_that_ends_within_a_request_meets_its_quota_too(
    project: InProcess, server: ScriptedServer, number: int, expected: dict[str, int]
) -> None:
    server.plan = obedient
    assert project.run(*LINE, f"questions_per_tag={number}", AXES).status == 0
    (found, _) = by_leaf(project, "difficulty")
    assert all(
        abs(found[value] - share * number) < 1 for value, share in (("easy", 0.3), ("medium", 0.5), ("hard", 0.2))
    )
    assert sum(found.values()) == sum(expected.values())


def test_growth_asks_for_what_is_new_alone_and_answers_carry_the_values(
    project: InProcess, server: ScriptedServer
) -> None:
    server.plan = obedient
    project.run(*LINE, "questions_per_tag=7", AXES, "formats=[messages,csv]")
    before, old = project.rows("questions"), project.data()
    server.reset()
    assert project.run(*LINE, "questions_per_tag=12", AXES, "formats=[messages,csv]").status == 0
    assert server.kinds["tags"] == 0
    assert len(questions_asked(server)) == 2
    after = project.rows("questions")
    assert [row for row in after if row["id"] in {each["id"] for each in before}] == before
    values = {row["id"]: row["difficulty"] for row in after}
    lines = (project.folder() / "dataset/train.messages.jsonl").read_text().splitlines()
    exported = [json.loads(line)["metadata"] for line in lines]
    assert len(exported) == 24
    assert all(each["difficulty"] == values[each["question_id"]] for each in exported)
    assert (project.folder() / "dataset/train.csv").read_text().splitlines()[0].endswith(",model,difficulty")
    assert project.raw("verify", "sports").status == 0
    server.reset()
    done = project.raw("checkout", "latest~1")
    assert (done.status, server.count, project.data()) == (0, 0, old), done.stderr


def test_another_share_asks_for_questions_alone_and_none_at_all_is_as_without(
    project: InProcess, server: ScriptedServer
) -> None:
    server.plan = obedient
    small = (*LINE, "questions_per_tag=5")
    project.run(*small)
    plain, plain_bodies = project.data(), [request.body for request in server.requests]
    project.run(*small, AXES)
    server.reset()
    explained = project.run("explain", *small, "axes={difficulty: {easy: 0.8, medium: 0.1, hard: 0.1}}").stdout
    assert "axes.difficulty.easy" in explained
    assert project.run(*small, "axes={difficulty: {easy: 0.8, medium: 0.1, hard: 0.1}}").status == 0
    assert (server.kinds["tags"], len(questions_asked(server))) == (0, 2)
    server.reset()
    assert project.run(*small).status == 0
    assert (server.count, project.data()) == (0, plain)
    assert not any(item_schema(body).get("type") == "object" for body in plain_bodies)


def test_what_a_model_does_not_say_is_null_and_counted(project: InProcess, server: ScriptedServer) -> None:
    def careless(number: int, body: Body) -> Fault | None:
        reply = obedient(number, body)
        if reply is None:
            return None
        items = json.loads(reply.completion["content"])["questions"]
        del items[0]["difficulty"]
        items[1]["difficulty"] = "impossible"
        items[2]["difficulty"] = "Hard "
        return content(json.dumps({"questions": [items[3]["question"], *items[:3], items[4]["question"]]}))

    server.plan = careless
    done = project.run(*LINE, "questions_per_tag=5", AXES, "--json")
    assert done.status == 0, done.stderr
    rows = project.rows("questions")
    assert Counter(row["difficulty"] for row in rows) == {None: 8, "hard": 2}
    assert [row["flags"] for row in rows if row["difficulty"] is None] == [["no_difficulty"]] * 8
    lines = [line for line in project.rows("checks") if line["check"] == "quota"]
    assert [line["text"] for line in lines] == ["difficulty: 0 of 2 easy, 1 of 1 hard, 0 of 2 medium"] * 2
    assert (
        "8 of 10 questions have another value than the quota says"
        in project.run(*LINE, "questions_per_tag=5", AXES, "formats=[alpaca]").stderr
    )
    assert project.raw("verify", "sports").status == 0


def configured(project: InProcess, text: str) -> None:
    folder = project.root / "conf"
    folder.mkdir(exist_ok=True)
    (folder / "distill.yaml").write_text(f"defaults: [base, _self_]\n{text}\n", encoding="utf-8")


def test_chinese_axes_and_worked_examples(project: InProcess, server: ScriptedServer) -> None:
    configured(project, "axes: {难度: {易: 0.6, 很难: 0.4}}")
    assert project.run(*LINE, "language=zh", "model.examples=true").status in (0, 1)
    body = questions_asked(server)[0]
    assert body["messages"][-1]["content"].endswith("按 难度 分：很难 2 个，易 3 个。")
    assert '"难度": "很难"}' in body["messages"][-2]["content"]


@pytest.mark.parametrize(
    "words",
    [
        ("axes={难度: {易: 0.6, 很难: 0.4}, form: {a b: 1}}",),
        ("axes={'难度':{\"易\":0.6,很难:0.4},form:{a b: 1}}",),
        ("axes={form: {a b: 1}, 难度: {易: 0.6, 很难: 0.4}}",),
        ("stage.questions.axes={难度: {易: 0.6, 很难: 0.4}, form: {a b: 1}}",),
    ],
)
def test_chinese_axes_are_typed_as_they_are_written(
    project: InProcess, server: ScriptedServer, words: tuple[str, ...]
) -> None:
    assert project.run(*LINE, "language=zh", *words).status == 0
    said = questions_asked(server)[0]["messages"][-1]["content"]
    assert "按 难度 分：很难 2 个，易 3 个。" in said


def test_an_axis_with_chinese_values_stands_beside_another(project: InProcess, server: ScriptedServer) -> None:
    assert project.run(*LINE, "axes.diff={易: 0.6, 难: 0.4}", FORM).status == 0
    assert quotas(questions_asked(server)[0]) == {"diff": {"易": 3, "难": 2}, "form": {"compare": 3, "explain": 2}}
    swept = project.run("-m", *LINE, "axes.diff='{易: 0.6, 难: 0.4}','{易: 0.5, 难: 0.5}'")
    assert swept.status == 0, swept.stderr


@pytest.mark.parametrize("word", ["+axes.diff.易=0.5", "axes.难度={a: 1}", "axes.难度={易: 1}"])
def test_the_form_that_is_named_for_an_axis_that_cannot_be_typed_is_one_that_can(project: InProcess, word: str) -> None:
    done = project.run(*LINE, word)
    assert done.status == 2
    named = done.stderr.rpartition(": '")[2].rstrip().removesuffix("'")
    assert project.run("plan", *LINE, named).status == 0, named


def test_a_prompt_that_does_not_show_the_quota_is_refused(project: InProcess) -> None:
    own_prompt(project, "en/questions.jinja", lambda _: '{% call message("user") %}{{ tag }}{% endcall %}')
    done = project.run(*LINE, AXES)
    assert (done.status, "show its variable quota" in done.stderr) == (2, True), done.stderr


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("axes={difficulty: {easy: 0.3, hard: 0.3}}", "the shares add up to 0.6, and have to add up to 1"),
        ("axes={difficulty: {}}", "expected its values with their shares"),
        ("axes={path: {a: 1}}", "axes.path: rows have a column path of ours"),
        ("axes={reasoning: {a: 1}}", "axes.reasoning: rows have a column reasoning of ours"),
        ("axes={two-words: {a: 1}}", "its name has letters, digits and _"),
        ("axes={difficulty: {easy: 1.5, hard: -0.5}}", "axes.difficulty.easy=1.5: expected a share"),
        ("axes={difficulty: {easy: some, hard: 0.5}}", "axes.difficulty.easy=some: expected a share"),
        ("axes={difficulty: {Easy: 0.5, easy: 0.5}}", "Easy and easy are read as one value"),
        ("axes=few", "axes=few: expected axes with their values and shares"),
        ("axes.difficulty=[a,b]", 'axes.difficulty=["a","b"]: expected its values with their shares, as in'),
        ("axes.难度=易", "stands inside braces"),
        ("axes.diff=易", "axes.diff=易"),
        ("axes.diff={易: 0.5, 难}", "axes.diff.难=null: expected a share"),
        ("axes.diff={易: 0.5, 难: [}", "expected its values with their shares"),
    ],
)
def test_axes_that_cannot_be_get_a_sentence(project: InProcess, word: str, said: str) -> None:
    done = project.run(*LINE, word)
    assert (done.status, said in done.stderr) == (2, True), done.stderr


def test_axes_without_questions_do_nothing_and_are_refused(project: InProcess) -> None:
    done = project.run(*LINE, AXES, "stages=[tags]")
    assert (done.status, "does nothing" in done.stderr) == (2, True), done.stderr


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("+axes.Tone={a:1}", "+axes.tone={a:1}"), "Tone and tone are read as one axis"),
        (
            ("stages=[tags,questions,answers,scores]", "+axes.score={a:1}"),
            "rows.questions.score and rows.scores.score would both be score in the metadata",
        ),
    ],
)
def test_two_things_of_one_name_are_told(
    tmp_path: Path, server: ScriptedServer, words: tuple[str, ...], sentence: str
) -> None:
    done = InProcess(tmp_path, server).run("topic=sports", "depth=1", *words)
    assert (done.status, server.count) == (2, 0), done.stderr
    assert sentence in done.stderr


def test_the_name_that_is_named_for_one_that_is_taken_is_free(project: InProcess) -> None:
    done = project.run(*LINE, "recipe=judged", "axes.score={a: 1}")
    assert done.status == 2
    named = done.stderr.partition("as in ")[2].split()[0]
    assert project.run("plan", *LINE, "recipe=judged", f"{named}={{a: 1}}").status == 0, named
