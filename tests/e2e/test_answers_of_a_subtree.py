"""tree.yaml says what answers below a tag are held to: another JSON schema, or some of the labels of all."""

import json
import shutil
from typing import Any

import pytest

from distill_build.review import text_digest
from tests.e2e.test_answer_kinds import answers_asked
from tests.e2e.test_only_what_is_affected import InProcess
from tests.e2e.test_soft import soft_rows
from tests.e2e.test_tree_by_hand import by_place, project, says
from tests.server import Body, Fault, ScriptedServer, content, digest, schema_of
from tests.teacher import listing
from tests.view.serving import served

__all__ = ["project"]
LINE = (
    *("topic=sports", "depth=1", "breadth=3", "questions_per_tag=2"),
    *("per_request.tags=2", "per_request.questions=2", "stages=[tags,questions,answers]"),
)
SCHEMA: dict[str, Any] = {"type": "object", "properties": {"rule": {"type": "string"}}, "required": ["rule"]}
JSON = (*LINE, "answer.kind=json", f"answer.schema={json.dumps(SCHEMA).replace(chr(34), '')}")
LABELS = (*LINE, "answer.kind=label", "answer.labels=[good,bad,neither]")
BRAVO = "about:\n  bravo sports:\n    answer:\n      schema:\n        type: object\n"
WINNER = BRAVO + "        properties: {winner: {type: string}, year: {enum: [1900, '1901', no, null]}}\n"


def by_schema(number: int, body: Body) -> Fault | None:
    """What the schema of an answer's request wants, by the request; all else by place."""
    fields = schema_of(body).get("properties", {})
    if not fields or {"tags", "questions"} & fields.keys():
        return by_place(number, body)
    chosen = {name: of.get("enum", ["some"])[digest(body)[0] % len(of.get("enum", "1"))] for name, of in fields.items()}
    return content(json.dumps(chosen), reasoning_content="So it is.")


@pytest.fixture
def schemas(project: InProcess) -> ScriptedServer:
    """The project's server, which answers by schema."""
    assert project.server is not None
    project.server.plan = by_schema
    return project.server


def fields_at(project: InProcess) -> dict[str, set[str]]:
    """By level 1, the fields that answers have."""
    found: dict[str, set[str]] = {}
    for row in project.rows("answers"):
        found.setdefault(row["path"][1], set()).update(json.loads(row["answer"]))
    return found


def test_another_schema_of_a_part_asks_for_the_answers_below_it_alone(
    project: InProcess, schemas: ScriptedServer
) -> None:
    assert project.run(*JSON).status == 0
    before = {row["id"]: row for row in project.rows("answers")}
    says(project, WINNER)
    schemas.reset()
    planned = project.run("plan", *JSON, "--json").document
    assert (planned["calls"], planned["exact"]) == (2, True)
    assert "tree.yaml" in project.run("explain", *JSON).stdout
    assert project.run("--locked", *JSON).status == 4
    assert project.run(*JSON).status == 0
    assert schemas.kinds == {"answers": 2}
    asked = answers_asked(schemas)
    assert [schema_of(body)["properties"]["year"] for body in asked] == [{"enum": [1900, "1901", "no", None]}] * 2
    assert all('"winner"' in body["messages"][0]["content"] for body in asked)
    assert fields_at(project) == {
        "Alpha sports": {"rule"},
        "Bravo sports": {"winner", "year"},
        "Charlie sports": {"rule"},
    }
    rows = project.rows("answers")
    assert [row["id"] for row in rows] == list(before)
    assert all(row == before[row["id"]] for row in rows if row["path"][1] != "Bravo sports")
    assert "2 answers changed: by hand, in tree.yaml" in project.raw("diff", "latest~1").stdout
    assert project.run("--locked", *JSON).status == 0
    assert project.run("--frozen", *JSON).status == 0
    assert project.raw("verify", "sports").status == 0
    says(project, "")
    assert project.run(*JSON).status == 0
    assert (schemas.count, project.rows("answers")) == (2, list(before.values()))


def test_a_reply_is_held_to_the_schema_of_its_part_and_read_by_it(project: InProcess, schemas: ScriptedServer) -> None:
    def hasty(number: int, body: Body) -> Fault | None:
        if "winner" in schema_of(body).get("properties", {}) and len(body["messages"]) == 2:
            return content('{"rule": "none"}')
        return by_schema(number, body)

    schemas.plan = hasty
    says(project, WINNER + "        required: [winner]\n")
    assert project.run(*JSON).status == 0
    assert schemas.kinds["answers"] == 8, "two replies lacked a winner"
    assert fields_at(project)["Bravo sports"] == {"winner", "year"}
    row = next(row for row in project.rows("answers") if row["path"][1] == "Bravo sports")
    shown = project.raw("log", row["id"]).stdout
    assert "'winner' is a required property" in shown
    says(project, WINNER.replace("about", "rename: {Bravo sports: Second}\nabout") + "        required: [winner]\n")
    schemas.reset()
    assert project.run(*JSON).status == 0
    assert schemas.count == 0
    assert "'winner' is a required property" in project.raw("log", row["id"]).stdout


def test_soft_labels_are_of_replies_that_are_read_by_the_schema_of_their_part(
    project: InProcess, schemas: ScriptedServer
) -> None:
    pytest.importorskip("pyarrow")
    schemas.tokens = listing()
    says(project, WINNER + "        required: [winner]\n")
    done = project.run(*JSON, "teacher.logprobs=2", "formats=[soft]")
    assert done.status == 0, done.stderr
    assert "no soft labels" not in done.stderr
    assert len(soft_rows(project)) == 6


def test_a_schema_may_lie_in_a_file_and_that_of_a_tag_below_is_nearer(
    project: InProcess, schemas: ScriptedServer
) -> None:
    (project.root / "winner.json").write_text('{"type": "object", "properties": {"winner": {"type": "string"}}}')
    says(
        project,
        "answer: {schema: winner.json}\n"
        'tags: {Golf: {answer: {schema: \'{"type": "object", "properties": {"hole": {}}}\'}}}\n',
    )
    assert project.run(*JSON).status == 0
    assert fields_at(project) == {"Golf": {"hole"}, "Alpha sports": {"winner"}, "Bravo sports": {"winner"}}
    printed = project.raw("tree", "sports", "--yaml").stdout
    says(project, printed)
    schemas.reset()
    assert project.run(*JSON).status == 0
    assert schemas.count == 0
    assert project.raw("tree", "sports", "--yaml").stdout == printed


def test_a_part_chooses_among_some_of_the_labels_and_votes_tell_of_all(
    project: InProcess, schemas: ScriptedServer
) -> None:
    words = (*LABELS, "stages=[tags,questions,answers,votes]", "formats=[labels]", "answers_per_question=3")
    says(project, "about: {Alpha sports: {answer: {labels: [bad, neither]}}}\n")
    done = project.run(*words)
    assert done.status == 0, done.stderr
    enums = [tuple(schema_of(body)["properties"]["label"]["enum"]) for body in answers_asked(schemas)]
    assert {each: enums.count(each) for each in enums} == {("bad", "neither"): 6, ("good", "bad", "neither"): 12}
    below = [row["answer"] for row in project.rows("answers") if row["path"][1] == "Alpha sports"]
    assert set(below) <= {"bad", "neither"}
    lines = (project.folder() / "dataset/train.labels.jsonl").read_text().splitlines()
    assert {tuple(json.loads(line)["shares"]) for line in lines} == {("good", "bad", "neither")}
    schemas.reset()
    says(project, "")
    assert project.run(*words).status == 0
    assert schemas.kinds == {"answers": 6}


def test_what_a_person_says_is_held_to_what_holds_where_it_lies(project: InProcess, schemas: ScriptedServer) -> None:
    says(project, "about: {Alpha sports: {answer: {labels: [bad, neither]}}}\n")
    own = json.dumps({"question": "Is it any good?", "path": "Alpha sports", "answer": "good"})
    says(project, own, "questions.jsonl")
    done = project.run(*LABELS)
    assert (done.status, schemas.count) == (2, 0)
    assert "questions.jsonl, line 1: answer is one of bad, neither, not 'good'" in done.stderr
    says(project, own.replace('"good"', '"bad"'), "questions.jsonl")
    assert project.run(*LABELS).status == 0


@pytest.mark.parametrize("text", ["good", "fine"])
def test_an_edit_that_its_part_cannot_have_stops_plan_and_build_before_anything_is_asked(
    project: InProcess, schemas: ScriptedServer, text: str
) -> None:
    says(project, "about: {Alpha sports: {answer: {labels: [bad, neither]}}}\n")
    assert project.run(*LABELS).status == 0
    rows = {row["path"][1]: row for row in project.rows("answers")}
    schemas.reset()
    edit = {"id": rows["Alpha sports"]["id"], "verdict": "edit", "answer": text}
    more = (*LABELS, "answers_per_question=2")
    for digest_of in ({}, {"digest": text_digest(rows["Alpha sports"], ("answer", "reasoning"))}):
        says(project, json.dumps(edit | digest_of) + "\n", "reviews.jsonl")
        for words in (("plan", *more), more, LABELS):
            done = project.run(*words)
            told = f"reviews.jsonl, line 1: {edit['id']}: answer is one of bad, neither, not '{text}'"
            assert (done.status, schemas.count, told in done.stderr) == (2, 0, True), done.stderr
    says(project, json.dumps(edit | {"id": rows["Bravo sports"]["id"], "answer": "good"}) + "\n", "reviews.jsonl")
    assert project.run(*LABELS).status == 0
    assert [row["path"][1] for row in project.rows("answers") if row.get("review") == "edit"] == ["Bravo sports"]


def test_an_edit_of_a_row_that_is_not_there_yet_is_refused_once_its_place_is_known_and_nothing_is_paid_for_twice(
    project: InProcess, schemas: ScriptedServer
) -> None:
    says(project, "about: {Alpha sports: {answer: {labels: [bad, neither]}}}\n")
    schemas.reset()
    assert project.run(*LABELS).status == 0
    of_a_build = schemas.count
    row = next(row for row in project.rows("answers") if row["path"][1] == "Alpha sports")
    shutil.rmtree(project.folder())
    shutil.rmtree(project.root / ".distill-cache")
    says(project, json.dumps({"id": row["id"], "verdict": "edit", "answer": "good"}) + "\n", "reviews.jsonl")
    schemas.reset()
    done = project.run(*LABELS)
    assert (done.status, project.rows("answers")) == (2, []), done.stderr
    assert "answer is one of bad, neither, not 'good'; what came is kept" in done.stderr
    sent = schemas.count
    for words in (("plan", *LABELS), LABELS):
        done = project.run(*words)
        assert (done.status, schemas.count) == (2, sent), "what the cache has by now tells before anything is asked"
        assert "not 'good'" in done.stderr
        assert "what came" not in done.stderr
    (project.root / "reviews.jsonl").unlink()
    assert project.run(*LABELS).status == 0
    assert row in project.rows("answers")
    assert 0 < sent < schemas.count == of_a_build


def test_a_row_that_was_edited_in_its_file_is_held_to_what_holds_there(
    project: InProcess, schemas: ScriptedServer
) -> None:
    says(project, WINNER + "        required: [winner]\n")
    assert project.run(*JSON).status == 0
    file = project.folder() / "answers.jsonl"
    rows = project.rows("answers")
    for text, status in (('{"rule":"mine"}', 1), ('{"winner":"me"}', 0)):
        edited = [row | {"answer": text} if row["path"][1] == "Bravo sports" else row for row in rows]
        file.write_text("".join(json.dumps(row) + "\n" for row in edited))
        done = project.raw("edit", "sports")
        assert ("does not fit its schema" in done.stdout + done.stderr) is bool(status), done.stdout + done.stderr
    schemas.reset()
    assert project.run(*JSON).status == 0
    assert schemas.count == 0
    assert fields_at(project)["Bravo sports"] == {"winner"}


def test_what_is_typed_on_the_page_is_held_to_what_holds_there_or_refused_where_nothing_tells(
    project: InProcess, schemas: ScriptedServer
) -> None:
    says(project, WINNER + "        required: [winner]\n")  # so long a schema is in the lock by its digest
    assert project.run(*JSON).status == 0
    row = next(row for row in project.rows("answers") if row["path"][1] == "Bravo sports")

    def typed(text: str) -> tuple[int, str]:
        with served(project, "sports") as view:
            said = view.say("/review", id=row["id"], text={"answer": text})
            return said.status, said.body.decode()

    refused = typed('{"rule":"mine"}')
    assert (refused[0], "'winner' is a required property" in refused[1]) == (409, True)
    assert typed('{"winner":"me"}')[0] == 200
    (project.folder() / "runs/state.json").unlink()
    for text in ('{"rule":"mine"}', '{"winner":"you"}'):
        refused = typed(text)
        assert (refused[0], "known by its digest alone" in refused[1]) == (409, True), refused
    with served(project, "sports") as view:
        assert view.say("/review", id=row["question_id"], text={"question": "Who won?"}).status == 200
    schemas.reset()
    assert project.run(*JSON).status == 0
    assert schemas.kinds == {"answers": 1}
    assert typed('{"winner":"you"}')[0] == 200


@pytest.mark.parametrize(
    ("words", "tree", "said"),
    [
        (LINE, WINNER, "tree.yaml, line 3: sports / bravo sports: answer.schema does nothing with answer.kind=text"),
        (JSON, "answer: {labels: [good, bad]}\n", "line 1: sports: answer.labels does nothing with answer.kind=json"),
        (LABELS, "answer: {labels: [good]}\n", "answer.labels has good alone"),
        (LABELS, "about: {Alpha: {answer: {labels: [good, fine]}}}\n", "answer.labels has fine, and answer.labels=[go"),
        (JSON, "answer: {schema: {type: array}}\n", "answer.schema: a reply has fields"),
        (JSON, "answer: {schema: none.json}\n", "tree.yaml, line 1: schema: none.json cannot be read"),
        (JSON, "answer: {schema: '{'}\n", "tree.yaml, line 1: schema: {: it is no JSON (Expecting"),
        (JSON, 'answer: {schema: \'{"type": "object", "type": "array"}\'}\n', "type stands there twice"),
        (JSON, "answer: {kind: text}\n", "tree.yaml, line 1: kind: answer has labels or a schema"),
        (LABELS, "answer: {labels: []}\n", "tree.yaml, line 1: answer has labels or a schema"),
        (JSON, "answer: {}\n", "tree.yaml, line 1: answer has labels or a schema"),
        (JSON, "answer: text\n", "tree.yaml, line 1: answer has labels or a schema"),
        (LABELS, "answer: {labels: [a, b], schema: {}}\n", "and not both"),
    ],
)
def test_what_answers_cannot_be_held_to_is_told_with_its_line_before_anything_is_asked(
    project: InProcess, schemas: ScriptedServer, words: tuple[str, ...], tree: str, said: str
) -> None:
    says(project, tree)
    done = project.run(*words)
    assert (done.status, schemas.count) == (2, 0), done.stderr
    assert said in done.stderr


@pytest.mark.usefixtures("schemas")
def test_a_dataset_that_is_named_is_exported_by_its_own_kind_of_answers(project: InProcess) -> None:
    says(project, WINNER)
    assert project.run(*JSON).status == 0
    done = project.raw("export", "sports", "formats=[alpaca]")
    assert done.status == 0, done.stderr
    assert "answer.schema does nothing" in project.run(*LINE).stderr


def test_a_clone_reads_replies_by_the_schema_of_their_part_or_not_at_all(
    project: InProcess, schemas: ScriptedServer
) -> None:
    schemas.tokens = listing()
    says(project, WINNER + "        required: [winner]\n")  # so long a schema is in the lock by its digest
    assert project.run(*JSON, "teacher.logprobs=2", "formats=[soft]").status == 0
    rows = soft_rows(project)
    (project.folder() / "runs/state.json").unlink()
    done = project.raw("export", "sports", "formats=[soft]")
    assert (done.status, "known by its digest alone" in done.stderr) == (2, True), done.stderr
    assert project.run("export", *JSON, "teacher.logprobs=2", "formats=[soft]").status == 0
    assert soft_rows(project) == rows
