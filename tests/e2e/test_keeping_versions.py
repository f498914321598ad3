"""A build keeps what it made: whole and once, wherever it is killed, and what versions share is stored once."""

import shutil
import signal
from pathlib import Path

import pytest

from distill_build.dataset.layout import kept_files
from distill_build.stages.default import DEFAULT
from distill_build.versions.archive import Archive, Version
from distill_build.versions.snapshot import restore
from tests.e2e.test_kill import repeats
from tests.e2e.test_only_what_is_affected import InProcess
from tests.server import ScriptedServer

SMALL = ("topic=sports", "depth=1", "breadth=2", "questions_per_tag=2")
PATIENCE_SECONDS = 60.0
MOMENTS = {
    "its rows are written": "outputs/sports/runs/*/new/answers.jsonl",
    "its record is there": ".distill-cache/versions/*",
    "it is being listed": ".distill-cache/datasets/.*",
    "its files are about to move": "outputs/sports/runs/replacing.json",
}
"""What a build is about → the file that appears then. It is killed when there is one that was not there before."""


def archive_of(project: InProcess) -> Archive:
    return Archive(project.root / ".distill-cache")


def history(project: InProcess) -> list[Version]:
    return archive_of(project).history(project.folder(), "sports")


def restored(project: InProcess, version: Version, target: Path) -> dict[str, bytes]:
    """The files of a version as the cache gives them back."""
    for name, snapshot in version.files.items():
        restore(archive_of(project).objects, snapshot, target / name)
    return {name: (target / name).read_bytes() for name in version.files}


def files(project: InProcess) -> dict[str, bytes]:
    """The files of the dataset that a version is kept with."""
    places = {name: project.folder() / name for name in kept_files(DEFAULT)}
    return {name: place.read_bytes() for name, place in places.items() if place.exists()}


def test_wherever_a_build_is_killed_its_version_is_kept_whole_and_once(tmp_path: Path, server: ScriptedServer) -> None:
    project = InProcess(tmp_path, server)
    assert project.run(*SMALL).status == 0
    wanted = [files(project)]
    for number, (moment, place) in enumerate(MOMENTS.items()):
        words = (*SMALL, f"seed={number + 1}")
        with project.at_work(*words, fatal=str(tmp_path / place)) as (process, _):
            process.join(PATIENCE_SECONDS)
            assert process.exitcode == -signal.SIGKILL, moment
        for version in history(project):
            restored(project, version, tmp_path / "looked at")
        assert project.run(*words).status == 0
        wanted.append(files(project))
    assert repeats(server) == 0, "all responses had come when it was killed"
    kept = history(project)
    assert [restored(project, version, tmp_path / version.version) for version in kept] == wanted
    assert kept[0].spent is not None
    assert kept[0].spent.calls == 7
    assert archive_of(project).newest(project.folder(), kept[-1].version)


def test_a_build_that_changes_nothing_keeps_nothing(tmp_path: Path, server: ScriptedServer) -> None:
    project = InProcess(tmp_path, server)
    project.run(*SMALL)
    objects, kept = set(archive_of(project).objects), history(project)
    for words in ((), ("formats=[alpaca]",), ("name=other",), ("limits.concurrency=1",)):
        assert project.run(*SMALL, *words).status == 0
    (project.folder() / "runs" / "state.json").unlink()
    assert project.run(*SMALL).status == 0
    assert history(project) == kept
    recipes = {version.recipe for version in archive_of(project).all()}
    assert set(archive_of(project).objects) - objects <= recipes


def test_what_two_versions_share_is_stored_once(tmp_path: Path, server: ScriptedServer) -> None:
    """400 rows in some chunks each; a tag more is a leaf more, which stands in one chunk of each file, or two."""
    project = InProcess(tmp_path, server)
    large = ("topic=sports", "depth=1", "questions_per_tag=100", "per_request.questions=50")
    assert project.run(*large, "breadth=4").status == 0
    first = set(archive_of(project).objects)
    assert project.run(*large, "breadth=5").status == 0
    new = set(archive_of(project).objects) - first
    lists_and_recipe = len(kept_files(DEFAULT))
    assert len(history(project)) == 2
    assert len(new) <= lists_and_recipe + 2 * 4, "chunks of leaves that did not change are there again"
    size = {digest: len(archive_of(project).objects.get(digest)) for digest in first | new}
    old_bytes = sum(version.bytes for version in history(project)[0].files.values())
    assert sum(size[digest] for digest in new) < old_bytes


def test_going_back_is_a_version_of_its_own_that_takes_no_space(tmp_path: Path, server: ScriptedServer) -> None:
    project = InProcess(tmp_path, server)
    project.run(*SMALL)
    project.run(*SMALL, "questions_per_tag=1")
    objects = set(archive_of(project).objects)
    project.run(*SMALL)
    digests = [version.version for version in history(project)]
    assert digests[0] == digests[2] != digests[1]
    assert set(archive_of(project).objects) == objects


@pytest.mark.parametrize("words", [(), ("questions_per_tag=1",)])
def test_what_a_version_took_whose_record_was_lost_is_not_known(
    tmp_path: Path, server: ScriptedServer, words: tuple[str, ...]
) -> None:
    """The record is made anew by a build that comes to the same rows, or is about to replace them."""
    project = InProcess(tmp_path, server)
    project.run(*SMALL)
    shutil.rmtree(project.root / ".distill-cache")
    assert project.run(*SMALL, *words).status == 0
    assert project.raw("history", "--json").document["versions"][-1]["spent"] is None
    *_, line = (line for line in project.raw("history", "-q").stdout.splitlines() if line.endswith("the first version"))
    assert line.split()[-5:-3] == ["—", "—"]
    assert "what that took is not known" in project.raw("history", "-v").stdout
