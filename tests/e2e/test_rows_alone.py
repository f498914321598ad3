"""What is wrong with one row is a failure of that row: its neighbours are made, and written."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from distill_build.prompting.files import packed_folder
from tests.e2e.own_project import LINE, reply, write_project, write_stage
from tests.e2e.test_only_what_is_affected import InProcess
from tests.e2e.workspace import Finished
from tests.server import Body, Fault, ScriptedServer, classify, content

NULLABLE = {"type": "object", "properties": {"translation": {"type": ["string", "null"]}}}
EXPORT = {"question": "rows.questions.question", "answer": "row.translation"}


@pytest.fixture(scope="module")
def endpoint() -> Iterator[ScriptedServer]:
    with ScriptedServer(plan=reply) as running:
        yield running


@pytest.fixture
def fresh(tmp_path: Path, endpoint: ScriptedServer) -> InProcess:
    write_project(tmp_path)
    endpoint.plan = reply
    endpoint.reset()
    return InProcess(tmp_path, endpoint)


def write_file(root: Path, name: str, text: str) -> None:
    file = root / f"prompts/en/{name}.jinja"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def training_lines(project: InProcess) -> list[str]:
    return project.bytes()["dataset/train.messages.jsonl"].decode().splitlines()


# Prompts.


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{{ row.answer if 'level 4' in rows.questions.question }}", "it makes an empty message of the role user"),
        ("{{ row.answer }} {{ 1 // (0 if 'level 3' in rows.questions.question else 1) }}", "by zero"),
        ("{{ row.answer }} {{ {}['x'] if 'level 3' in rows.questions.question }}", "there is no field x"),
    ],
)
def test_a_prompt_that_fails_for_one_row_fails_for_that_row_alone(
    fresh: InProcess, endpoint: ScriptedServer, text: str, told: str
) -> None:
    write_file(fresh.root, "translate", f'{{% call message("user") %}}Translate:{{# #}}\n{text}{{% endcall %}}')
    if "empty" in told:
        write_file(fresh.root, "translate", f'{{% call message("user") %}}{text}{{% endcall %}}')
    done = fresh.run(*LINE)
    assert done.status == 1, done.stderr
    failures = fresh.rows("failures")
    assert [(row["stage"], row["cause"], row["missing"]) for row in failures] == [("translate", "prompt", 1)] * 2
    assert all(told in row["detail"] for row in failures)
    parents = {row["parent"] for row in fresh.rows("translate")}
    assert len(parents) == 2
    assert parents.isdisjoint(row["parent"] for row in failures)
    assert len(training_lines(fresh)) == 2
    assert endpoint.kinds["scores"] == 6
    endpoint.reset()
    assert fresh.run("plan", *LINE, "--json").document["calls"] == 0
    assert fresh.run(*LINE).status == 1
    assert endpoint.count == 0
    assert InProcess(fresh.root).run("verify", "sports").status == 0


def test_a_prompt_of_ours_that_a_user_has_edited_fails_for_one_place_alone(
    fresh: InProcess,
) -> None:
    assert fresh.run(*LINE, "--until=tags").status == 0
    first, second = (row["label"] for row in fresh.rows("tags"))
    packed = (packed_folder() / "en/questions.jinja").read_text()
    write_file(fresh.root, "questions", packed.replace("Write {{", f'{{{{ {{"{second}": ""}}[tag] }}}}Write {{{{'))
    done = fresh.run(*LINE)
    assert done.status == 1, done.stderr
    (failure,) = fresh.rows("failures")
    assert (failure["stage"], failure["cause"], failure["missing"]) == ("questions", "prompt", 3)
    assert failure["path"][-1] == first
    assert {row["path"][-1] for row in fresh.rows("questions")} == {second}
    assert len(training_lines(fresh)) == 2


def test_a_reask_that_cannot_be_rendered_fails_for_its_call_alone(fresh: InProcess, endpoint: ScriptedServer) -> None:
    def broken(number: int, body: Body) -> Fault | None:
        first = not any(classify(each.body) == "translate" for each in endpoint.requests[:number])
        return content('{"other": "x"}') if classify(body) == "translate" and first else reply(number, body)

    endpoint.plan = broken
    write_file(fresh.root, "reask", '{% call message("user") %}{{ error if "tags" in error }}{% endcall %}')
    done = fresh.run(*LINE, "limits.concurrency=1")
    assert done.status == 1, done.stderr
    (failure,) = fresh.rows("failures")
    assert (failure["stage"], failure["cause"], failure["attempts"]) == ("translate", "prompt", 1)
    assert "empty message" in failure["detail"]
    assert len(fresh.rows("translate")) == 3


def test_a_prompt_that_cannot_be_rendered_for_the_topic_is_refused(fresh: InProcess, endpoint: ScriptedServer) -> None:
    write_file(fresh.root, "tags", '{% call message("user") %}{{ path[1] }}{% endcall %}')
    for command in ((), ("plan",)):
        done = fresh.run(*command, *LINE)
        assert (done.status, endpoint.count) == (2, 0), done.stderr
        assert "tags.jinja, line 1: " in done.stderr


# Expressions.


def test_an_expression_that_fails_for_one_row_fails_for_that_row_alone(fresh: InProcess) -> None:
    write_stage(fresh.root, "good", where="row.score >= 3 and 1 / (row.score - 3) > 0")
    assert fresh.run(*LINE).status == 1
    failures = fresh.rows("failures")
    assert {row["stage"] for row in failures} >= {"good"}
    assert all("division by zero" in row["detail"] for row in failures if row["stage"] == "good")
    assert len(fresh.rows("translate")) == 2
    assert InProcess(fresh.root).run("verify", "sports").status == 0


# Exports.


def with_one_null(number: int, body: Body) -> Fault | None:
    if classify(body) != "translate":
        return reply(number, body)
    text = body["messages"][-1]["content"]
    return content(json.dumps({"translation": None if "level 3" in text else "un texte"}))


def built_with_nulls(fresh: InProcess, endpoint: ScriptedServer) -> Finished:
    """A build that makes two of its four translations null, and so no training rows."""
    endpoint.plan = with_one_null
    write_stage(fresh.root, "translate", schema=NULLABLE, export=EXPORT)
    write_file(
        fresh.root,
        "translate",
        '{% call message("user") %}Translate into French: {{ rows.questions.question }}{% endcall %}',
    )
    return fresh.run(*LINE)


def export_nulls_as(fresh: InProcess, text: str) -> None:
    write_stage(fresh.root, "translate", schema=NULLABLE, export={**EXPORT, "answer": f"row.translation or {text}"})


def test_a_null_where_a_training_row_has_a_text_fails_for_that_row_alone(
    fresh: InProcess, endpoint: ScriptedServer
) -> None:
    done = built_with_nulls(fresh, endpoint)
    assert done.status == 1, done.stderr
    assert "2 failures: see outputs/sports/failures.jsonl" in done.stderr
    rows = {row["id"]: row for row in fresh.rows("translate")}
    failures = fresh.rows("failures")
    assert [(row["stage"], row["cause"], row["missing"]) for row in failures] == [("dataset", "null", 1)] * 2
    assert all(rows[row["parent"]]["translation"] is None for row in failures)
    assert all("export.answer: row.translation is null" in row["detail"] for row in failures)
    assert (len(rows), len(training_lines(fresh))) == (4, 2)
    assert InProcess(fresh.root).run("verify", "sports").status == 0
    endpoint.reset()
    written = fresh.bytes()
    assert fresh.run(*LINE).status == 1
    exported = fresh.run("export", *LINE)
    assert exported.status == 1
    assert "2 rows could not be exported" in exported.stderr
    assert fresh.bytes() == written
    assert endpoint.count == 0

    export_nulls_as(fresh, "'nothing'")
    exported = fresh.run("export", *LINE)
    assert exported.status == 0, exported.stderr
    assert (fresh.rows("failures"), len(training_lines(fresh))) == ([], 4)
    assert InProcess(fresh.root).run("verify", "sports").status == 0
    written = fresh.bytes()
    assert fresh.run(*LINE).status == 0
    assert fresh.bytes() == written
    assert endpoint.count == 0


@pytest.mark.parametrize("without", ["nothing", "runs", "the exports"])
def test_an_export_leaves_the_same_files_wherever_the_rows_came_from(
    fresh: InProcess, endpoint: ScriptedServer, without: str
) -> None:
    """After a build, in a clone, which has no runs/, and after a checkout of what the folder holds already."""
    built_with_nulls(fresh, endpoint)
    short = fresh.bytes()
    if without == "runs":
        shutil.rmtree(fresh.folder() / "runs")
    elif without == "the exports":
        assert fresh.raw("checkout", "latest").status == 0
        assert fresh.bytes() == short
    export_nulls_as(fresh, "'nothing'")
    exported = fresh.run("export", *LINE)
    told = "distill-build: outputs/sports/distill.lock is rewritten: train.messages.jsonl has changed\n"
    assert (exported.status, exported.stderr) == (0, told)
    assert (fresh.rows("failures"), len(training_lines(fresh))) == ([], 4)
    assert fresh.raw("verify", "sports").status == 0
    whole = fresh.bytes()

    write_stage(fresh.root, "translate", schema=NULLABLE, export=EXPORT)
    exported = fresh.run("export", *LINE)
    assert exported.status == 1
    assert "2 rows could not be exported" in exported.stderr
    assert fresh.bytes() == short
    assert fresh.raw("verify", "sports").status == 0

    export_nulls_as(fresh, "'nothing'")
    assert fresh.run(*LINE).status == 0
    assert fresh.bytes() == whole


def test_formats_of_before_are_written_anew_in_a_clone_too(fresh: InProcess) -> None:
    assert fresh.run(*LINE, "formats=[messages,csv]").status == 0
    shutil.rmtree(fresh.folder() / "runs")
    assert fresh.run("export", *LINE, "formats=[alpaca]").status == 0
    names = sorted(path.name for path in (fresh.folder() / "dataset").glob("train.*"))
    assert names == ["train.alpaca.jsonl", "train.csv", "train.messages.jsonl"]
    assert fresh.raw("verify", "sports").status == 0


def test_an_edited_row_is_told_in_a_clone_too_and_the_lock_left_alone(fresh: InProcess) -> None:
    assert fresh.run(*LINE).status == 0
    shutil.rmtree(fresh.folder() / "runs")
    place, lock = fresh.folder() / "translate.jsonl", fresh.lock()
    place.write_text(place.read_text().replace('"translation":"', '"translation":"Edited: '))
    done = fresh.run("export", *LINE)
    assert done.status == 0
    assert "translate.jsonl is not what the last build wrote" in done.stderr
    assert "Edited: " in training_lines(fresh)[0]
    assert fresh.lock() == lock


def test_a_checkout_by_a_lock_brings_the_exports_and_failures_of_that_lock(
    fresh: InProcess, endpoint: ScriptedServer
) -> None:
    """The cache keeps a version with the failures of the build that made it."""
    built_with_nulls(fresh, endpoint)
    short, short_lock = fresh.bytes(), fresh.root / "short.lock"
    short_lock.write_text(fresh.lock())
    export_nulls_as(fresh, "'nothing'")
    assert fresh.run("export", *LINE).status == 0
    whole, whole_lock = fresh.bytes(), fresh.root / "whole.lock"
    whole_lock.write_text(fresh.lock())
    for lock, files in ((short_lock, short), (whole_lock, whole)):
        done = fresh.raw("checkout", str(lock))
        assert (done.status, fresh.bytes()) == (0, files), done.stderr
        assert fresh.raw("verify", "sports").status == 0


def test_a_checkout_by_a_lock_that_has_a_long_expression_by_its_digest_names_what_it_brought(
    fresh: InProcess, endpoint: ScriptedServer
) -> None:
    built_with_nulls(fresh, endpoint)
    short = fresh.bytes()
    export_nulls_as(fresh, repr("nothing " * 20))
    assert fresh.run("export", *LINE).status == 0
    (fresh.root / "long.lock").write_text(fresh.lock())
    done = fresh.raw("checkout", "long.lock")
    assert (done.status, fresh.bytes()) == (0, short)
    assert "otherwise than that lock says" in done.stdout
    assert fresh.raw("verify", "sports").status == 0


def test_a_missing_reasoning_is_no_failure(fresh: InProcess) -> None:
    write_stage(fresh.root, "translate", export={**EXPORT, "reasoning": "none"})
    assert fresh.run(*LINE).status == 0
    assert len(training_lines(fresh)) == 4


def test_an_export_that_has_no_value_for_one_row_fails_for_that_row_alone(fresh: InProcess) -> None:
    hard = "row.translation if 1 / (1 if 'level 4' in rows.questions.question else 0) else ''"
    write_stage(fresh.root, "translate", export={**EXPORT, "answer": hard})
    assert fresh.run(*LINE).status == 1
    assert [(row["stage"], row["cause"]) for row in fresh.rows("failures")] == [("dataset", "expression")] * 2
    assert len(training_lines(fresh)) == 2


# Stages on the base of ours.


def test_a_stage_on_the_base_of_ours_needs_the_columns_that_ours_goes_by(fresh: InProcess) -> None:
    write_stage(fresh.root, "again", defaults=["dedup", "_self_"], after="scores")
    done = fresh.run(*LINE[:-1], "stages=[tags,questions,dedup,answers,scores,again]")
    assert done.status == 2, done.stderr
    assert "stage.again.after=scores: again goes by the column question, which scores does not have" in done.stderr
