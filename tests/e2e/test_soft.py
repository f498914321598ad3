"""Format `soft`: the teacher's likeliest tokens of each exported row, from the stored responses."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.test_only_what_is_affected import InProcess
from tests.server import Body, Fault, ScriptedServer, classify, content
from tests.teacher import completion_tokens, likeliest, listing, prompt_tokens, write_student

pyarrow = pytest.importorskip("pyarrow")
WORDS = ("topic=sports", "depth=1", "breadth=2", "questions_per_tag=2", "teacher.logprobs=5")
SOFT = (*WORDS, "formats=[messages,soft]")
SCHEMA = "{type: object, properties: {city: {type: string}, of: {type: string}}, required: [city, of]}"
FILE = "dataset/train.soft.parquet"


@pytest.fixture
def project(tmp_path: Path, server: ScriptedServer) -> InProcess:
    server.tokens = listing()
    project = InProcess(tmp_path / "here", server)
    project.root.mkdir()
    return project


def soft_rows(project: InProcess, file: str = FILE) -> dict[str, dict[str, Any]]:
    from pyarrow.parquet import read_table

    return {row["id"]: row for row in read_table(project.folder() / file).to_pylist()}


def message_of(row: dict[str, Any]) -> dict[str, Any]:
    return {"content": row["answer"], "reasoning_content": row["reasoning"]}


def test_each_row_has_the_tokens_of_its_reply_and_the_likeliest_at_each_place(project: InProcess) -> None:
    assert project.run(*SOFT).status == 0
    rows = soft_rows(project)
    assert list(rows) == [row["id"] for row in project.rows("answers")]
    for answer in project.rows("answers"):
        own = completion_tokens(message_of(answer))
        row = rows[answer["id"]]
        assert row["token_ids"] == own
        assert len(row["top_ids"]) == len(row["top_logprobs"]) == len(row["logprobs"]) == len(own)
        before = prompt_tokens([{"role": "user", "content": answer["question"]}])
        for place, token in enumerate(own):
            tops = likeliest(before, 5)
            assert row["top_ids"][place] == [each for each, _ in tops]
            assert row["top_logprobs"][place] == pytest.approx([logprob for _, logprob in tops], rel=5e-4)
            before.append(token)


def test_it_is_a_format_as_the_others_are(project: InProcess, server: ScriptedServer) -> None:
    assert project.run(*SOFT).status == 0
    files = project.bytes()
    server.reset()
    assert FILE.removeprefix("dataset/") in project.lock()
    assert project.raw("verify").status == 0
    assert project.run(*SOFT, "--frozen").status == 0
    assert project.run(*WORDS).status == 0
    assert not (project.folder() / FILE).exists()
    assert project.raw("export", "sports", "formats=[soft]").status == 0
    assert project.bytes() == files
    shutil.rmtree(project.folder() / "dataset")
    assert project.raw("checkout", "latest").status == 0
    assert project.bytes() == files
    assert server.count == 0


def test_a_folder_that_comes_alone_is_exported_from_what_it_keeps(project: InProcess, server: ScriptedServer) -> None:
    assert project.run(*SOFT).status == 0
    before = (project.folder() / FILE).read_bytes()
    shutil.rmtree(project.root / ".distill-cache")
    (project.folder() / FILE).unlink()
    server.reset()
    assert project.raw("export", "sports", "formats=[soft]").status == 0
    assert (project.folder() / FILE).read_bytes() == before
    assert not (project.root / ".distill-cache").exists()
    (project.folder() / FILE).unlink()
    assert project.run(*SOFT, "--frozen").status == 0
    assert (project.folder() / FILE).read_bytes() == before
    assert server.count == 0


def test_it_is_made_of_the_replies_that_the_rows_came_from(project: InProcess, server: ScriptedServer) -> None:
    assert project.run(*SOFT).status == 0
    before = (project.folder() / FILE).read_bytes()
    server.plan = lambda _, body: content("Another answer.") if classify(body) == "answers" else None
    assert project.run(*SOFT, "name=other", "--rebuild", "answers:*").status == 0
    assert {row["answer"] for row in project.rows("answers", "other")} == {"Another answer."}
    assert project.raw("export", "sports", "formats=[soft]").status == 0
    assert (project.folder() / FILE).read_bytes() == before


def test_where_the_responses_are_gone_an_export_says_so_and_changes_nothing(project: InProcess) -> None:
    assert project.run(*WORDS).status == 0
    files = project.bytes()
    shutil.rmtree(project.root / ".distill-cache")
    shutil.rmtree(project.folder() / "runs/responses")
    exported = project.raw("export", "sports", "formats=[soft]")
    assert exported.status == 5
    assert "cache pull or cache import" in exported.stderr
    assert project.bytes() == files


def test_rows_that_people_wrote_have_none_and_are_told(project: InProcess) -> None:
    assert project.run(*SOFT).status == 0
    first, second, *_ = project.rows("answers")
    review = {"id": first["id"], "verdict": "edit", "answer": "By hand.", "at": "2026-01-01T00:00:00Z"}
    (project.root / "reviews.jsonl").write_text(json.dumps(review) + "\n")
    given = {"question": "Who won in 1966?", "answer": "England."}
    (project.root / "questions.jsonl").write_text(json.dumps(given) + "\n")
    built = project.run(*SOFT)
    assert built.status == 0
    assert "2 of 5 rows have no soft labels: a person wrote them" in " ".join(built.stderr.split())
    assert first["id"] not in soft_rows(project)
    assert second["id"] in soft_rows(project)
    assert "2 of 5 rows have no soft labels" in " ".join(project.run(*SOFT).stderr.split()), "nothing to do"
    edited = (project.folder() / "answers.jsonl").read_text().replace(second["answer"], "Edited in place.")
    (project.folder() / "answers.jsonl").write_text(edited)
    assert "3 of 5 rows have no soft labels" in project.raw("export", "sports", "formats=[soft]").stderr
    assert second["id"] not in soft_rows(project)


def test_rows_of_which_people_left_a_part_have_none(project: InProcess, server: ScriptedServer) -> None:
    def plan(_: int, body: Body) -> Fault | None:
        return content("One.\nTwo.", reasoning_content="I think.") if classify(body) == "answers" else None

    server.plan = plan
    assert project.run(*SOFT).status == 0
    rows = project.rows("answers")
    rows[0]["answer"], rows[1]["reasoning"] = "One.", None
    (project.folder() / "answers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    exported = project.raw("export", "sports", "formats=[soft]")
    assert "2 of 4 rows have no soft labels: a person wrote them" in " ".join(exported.stderr.split())
    assert list(soft_rows(project)) == [row["id"] for row in rows[2:]]


@pytest.mark.parametrize(
    ("words", "said", "answer"),
    [
        (("answer.kind=label", "answer.labels=[positive,negative]"), "Positive.", "positive"),
        (("answer.kind=json", f"answer.schema={SCHEMA}"), '```json\n{"city": "Rome", "of": "it"}\n```', None),
    ],
)
def test_answers_have_them_however_a_reply_spells_what_the_row_says(
    project: InProcess, server: ScriptedServer, words: tuple[str, ...], said: str, answer: str | None
) -> None:
    server.plan = lambda _, body: content(said) if classify(body) == "answers" else None
    assert project.run(*SOFT, *words).status == 0
    rows = project.rows("answers")
    assert {row["answer"] for row in rows} == {answer or '{"city":"Rome","of":"it"}'}
    assert list(soft_rows(project)) == [row["id"] for row in rows]


LONG = (
    f"{{type: object, properties: {{city: {{type: string, description: {'A long text. ' * 10}}}}}, required: [city]}}"
)
LABELS = ",".join(f"label number {number}" for number in range(20))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("answer.kind=label", f"answer.labels=[{LABELS}]"), "label number 7"),
        (("answer.kind=json", f"answer.schema={LONG}"), '{"city": "Rome"}'),
    ],
)
def test_a_clone_reads_replies_by_the_settings_that_its_lock_means(
    project: InProcess, server: ScriptedServer, words: tuple[str, ...], said: str
) -> None:
    """Of which the lock has no more than a digest."""
    server.plan = lambda _, body: content(said) if classify(body) == "answers" else None
    assert project.run(*SOFT, *words).status == 0
    files = project.bytes()
    (project.folder() / "runs/state.json").unlink()
    (project.folder() / FILE).unlink()
    server.reset()
    refused = project.raw("export", "sports", "formats=[soft]")
    assert refused.status == 2
    assert "export with the settings that it was built with" in " ".join(refused.stderr.split())
    other = [word.replace("number 7", "number 70").replace("A long", "Another long") for word in words]
    assert project.run("export", *SOFT, *other).status == 2
    assert project.run("export", *SOFT, *words).status == 0
    assert project.bytes() == files
    assert server.count == 0


@pytest.mark.parametrize("source", ["rows.questions.question", "row.answer | upper"])
def test_what_no_reply_says_is_refused_before_anything_is_sent(
    project: InProcess, server: ScriptedServer, source: str
) -> None:
    refused = project.run(*SOFT, f"stage.answers.export.answer='{source}'")
    assert (refused.status, server.count) == (2, 0)
    assert "stage.answers.export.answer" in refused.stderr


def test_a_reply_of_which_tokens_are_missing_has_none(project: InProcess, server: ScriptedServer) -> None:
    server.tokens = listing(lost=1)
    built = project.run(*SOFT)
    assert built.status == 0
    assert "4 of 4 rows have no soft labels: the endpoint does not list all" in " ".join(built.stderr.split())
    assert soft_rows(project) == {}


@pytest.mark.parametrize("said", ["A", "An answer."])
@pytest.mark.parametrize("left", [0, 4])
def test_a_reply_with_too_few_of_the_likeliest_at_a_place_has_none(
    project: InProcess, server: ScriptedServer, left: int, said: str
) -> None:
    def tokens(body: Body, whole: Body) -> Body:
        made = listing()(body, whole)
        if whole["choices"][0]["message"]["content"] == said:
            made["choices"][0]["logprobs"]["content"] = made["choices"][0]["logprobs"]["content"][: len(said)]
            made["usage"]["completion_tokens"] = len(said)
            first = made["choices"][0]["logprobs"]["content"][0]
            first["top_logprobs"] = first["top_logprobs"][:left]
        return made

    def plan(number: int, body: Body) -> Fault | None:
        return content(said if number % 2 else "Whole.") if classify(body) == "answers" else None

    pytest.importorskip("tokenizers")
    server.tokens, server.plan = tokens, plan
    write_student(project.root / "student")
    built = project.run(*WORDS, "formats=[soft,kd]", "kd.tokenizer=student")
    assert built.status == 0, built.stderr
    whole = [row["id"] for row in project.rows("answers") if row["answer"] == "Whole."]
    assert 0 < len(whole) < 4
    assert f"{4 - len(whole)} of 4 rows" in built.stderr
    assert "fewer of the likeliest than were asked for" in " ".join(built.stderr.split())
    assert list(soft_rows(project)) == whole


def test_without_logprobs_it_is_refused_before_anything_is_sent(project: InProcess, server: ScriptedServer) -> None:
    refused = project.run(*SOFT, "teacher.logprobs=null")
    assert (refused.status, server.count) == (2, 0)
    assert "teacher.logprobs=K" in refused.stderr
    assert project.run(*WORDS, "teacher.logprobs=null").status == 0
    exported = project.raw("export", "sports", "formats=[soft]")
    assert exported.status == 2
    assert "teacher.logprobs=K" in exported.stderr


def test_turns_one_by_one_are_refused_before_anything_is_sent(project: InProcess, server: ScriptedServer) -> None:
    dialogue = (*SOFT, "recipe=dialogue", "format.turns=each")
    refused = project.run(*dialogue)
    assert (refused.status, server.count) == (2, 0)
    assert "format.turns=each" in refused.stderr
    assert project.run(*SOFT, "format.turns=each").status == 0, "there are no turns"


def test_each_side_of_a_split_has_its_own(project: InProcess) -> None:
    split = ("stages=[tags,questions,answers,split]", "split.test=0.5", "questions_per_tag=8", "split.near=null")
    assert project.run(*SOFT, *split).status == 0
    test = soft_rows(project, "dataset/test.soft.parquet")
    assert test
    assert test.keys() | soft_rows(project).keys() == {row["id"] for row in project.rows("answers")}
