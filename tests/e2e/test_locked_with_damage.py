"""--frozen where records in the cache are damaged: another dataset's are no matter, the locked version's are said."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from distill_build.dataset.layout import SOURCES
from distill_build.versions.archive import Archive
from tests.e2e.test_only_what_is_affected import InProcess
from tests.e2e.workspace import LOCK
from tests.server import ScriptedServer

SMALL = ("topic=sports", "depth=1", "breadth=2", "questions_per_tag=1")


@pytest.fixture(scope="module")
def endpoint() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        yield running


@pytest.fixture
def older(tmp_path: Path, endpoint: ScriptedServer) -> tuple[InProcess, bytes]:
    """A clone with the lock of a version whose responses stand no longer, and the answers that it had."""
    project = InProcess(tmp_path, endpoint)
    assert project.run(*SMALL).status == 0
    lock, answers = (project.folder() / LOCK).read_bytes(), project.bytes()["answers.jsonl"]
    assert project.run(*SMALL, "--rebuild", "sports/*").status == 0
    assert project.bytes()["answers.jsonl"] != answers
    shutil.rmtree(project.folder())
    project.folder().mkdir()
    (project.folder() / LOCK).write_bytes(lock)
    return project, answers


def test_damage_of_another_dataset_refuses_nothing_and_that_of_the_version_is_said(
    older: tuple[InProcess, bytes],
) -> None:
    project, answers = older
    archive = Archive(project.root / ".distill-cache")
    archive.records.file("00" * 32).write_bytes(b"{}")
    version = archive.history(project.folder(), "sports")[0]
    (record,) = [
        each for each in archive.records.digests() if "00" not in each[:2] and archive.records.record(each) == version
    ]
    whole = archive.records.data(record)
    assert project.run(*SMALL, "--frozen").status == 0
    assert project.bytes()["answers.jsonl"] == answers

    sources = archive.objects.place(version.files[SOURCES].chunks)
    for damaged in (sources, archive.records.file(record)):
        damaged.write_bytes(b"x")
        for runs in project.folder().glob("runs"):
            shutil.rmtree(runs)
        finished = project.run(*SMALL, "--frozen")
        assert finished.status == 5, finished.stderr
        assert "fsck" in finished.stderr
        archive.records.file(record).write_bytes(whole)
    assert project.bytes()["answers.jsonl"] == answers
