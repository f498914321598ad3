"""`export` of stages that are read together: what is gone, or does not fit, is a sentence, and nothing is replaced."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.own_project import LINE, reply, write_project
from tests.e2e.test_only_what_is_affected import InProcess
from tests.server import ScriptedServer

TRAINING = "dataset/train.messages.jsonl"
READ = ("tags", "questions", "dedup", "answers", "scores", "good", "translate")
"""All that says what of a translation is exported: what hangs on best says nothing."""


@pytest.fixture(scope="module")
def endpoint() -> Iterator[ScriptedServer]:
    with ScriptedServer(plan=reply) as running:
        yield running


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, endpoint: ScriptedServer) -> Path:
    root = tmp_path_factory.mktemp("built")
    write_project(root)
    assert InProcess(root, endpoint).run(*LINE).status == 0
    return root


@pytest.fixture
def project(built: Path, tmp_path: Path, endpoint: ScriptedServer) -> InProcess:
    shutil.copytree(built, tmp_path, dirs_exist_ok=True)
    return InProcess(tmp_path, endpoint)


@pytest.mark.parametrize("stage", READ)
def test_an_artefact_that_is_gone_is_named_and_nothing_is_replaced(
    project: InProcess, endpoint: ScriptedServer, stage: str
) -> None:
    whole = project.bytes()
    (project.folder() / f"{stage}.jsonl").unlink()
    before = project.bytes()
    refused = project.run("export", *LINE)
    assert refused.status == 2, refused.stderr
    (sentence,) = refused.stderr.splitlines()
    assert f"{stage}.jsonl" in sentence or sentence.startswith(f"distill-build: there are no rows of {stage} to export")
    assert "build the dataset first" in sentence
    assert project.bytes() == before
    endpoint.reset()
    assert project.run(*LINE).status == 0
    assert (endpoint.kinds, project.bytes()) == ({}, whole)


@pytest.mark.parametrize("clone", [False, True])
def test_the_rows_that_were_built_are_exported_whatever_the_stages_of_now(project: InProcess, clone: bool) -> None:
    whole = project.bytes()
    if clone:
        shutil.rmtree(project.folder() / "runs")
    done = project.run("export", *LINE[:-1], "formats=[csv]")
    assert (done.status, project.bytes()[TRAINING]) == (0, whole[TRAINING])
    assert "exported is translate, as it was built; these settings say answers, " in done.stderr
    before = project.bytes()
    refused = project.run("export", *LINE[:-1], "stages=[tags,questions,answers]")
    assert (refused.status, project.bytes()) == (2, before)
    assert "sports are made of translate, as it was built, and these settings say answers" in refused.stderr


def test_an_artefact_that_says_nothing_of_the_exports_may_be_gone(project: InProcess) -> None:
    whole = project.bytes()
    (project.folder() / "best.jsonl").unlink()
    assert project.run("export", *LINE).status == 0
    assert project.bytes()[TRAINING] == whole[TRAINING]


@pytest.mark.parametrize(
    ("stage", "line"), [("tags", 0), ("questions", 1), ("answers", 2), ("scores", 2), ("tags", 1), ("answers", 1)]
)
def test_a_row_without_the_one_that_it_hangs_on_or_judges_is_a_sentence(
    project: InProcess, stage: str, line: int
) -> None:
    path = project.folder() / f"{stage}.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    gone = json.loads(lines.pop(line))
    path.write_text("".join(lines))
    before = project.bytes()
    refused = project.run("export", *LINE)
    assert refused.status == 5, refused.stderr
    sentence = refused.stderr.splitlines()[-1]
    assert f"{stage}.jsonl" in sentence, (gone, sentence)
    assert "build the dataset again" in sentence
    assert project.bytes() == before
