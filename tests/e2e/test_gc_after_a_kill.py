"""`cache gc` after a checkout that was killed while its files moved: what is being moved in is needed, too."""

import signal
from collections.abc import Iterator

import pytest

from distill_build.versions.archive import Archive
from tests.e2e import forked
from tests.e2e.caches import CACHE, calls
from tests.e2e.test_only_what_is_affected import InProcess
from tests.e2e.two_versions import TwoVersions, everything, two_versions
from tests.e2e.workspace import TIMEOUT_SECONDS, variables

GC = ("cache", "gc", "--cache-dir", CACHE)
MOMENTS = {
    "no file has moved": "outputs/sports/runs/replacing.json",
    "the sources have moved, and the lock has not": "outputs/sports/dataset/train.csv",
    "the lock has moved, and the state has not": "outputs/sports/distill.lock",
}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoVersions]:
    with two_versions(tmp_path_factory.mktemp("killed")) as both:
        yield both


@pytest.fixture
def both(built: TwoVersions) -> TwoVersions:
    """Two versions, as they were built; the folder holds the second one."""
    built.restore()
    return built


def kill_checkout(both: TwoVersions, place: str) -> InProcess:
    """Ends a checkout of the old version as soon as a file appears at `place`; the lock was lost before."""
    project = both.project
    (project.folder() / "distill.lock").unlink()
    words, fatal = ["checkout", both.old_version], str(project.root / place)
    with forked.at_work(words, project.root, variables(None), fatal) as (process, _):
        process.join(TIMEOUT_SECONDS)
        assert process.exitcode == -signal.SIGKILL
    assert (project.folder() / "runs/replacing.json").exists()
    return project


@pytest.mark.parametrize("place", MOMENTS.values(), ids=MOMENTS.keys())
def test_the_version_that_a_killed_checkout_moves_in_stays(both: TwoVersions, place: str) -> None:
    project = kill_checkout(both, place)
    listed = len(Archive(project.root / CACHE).records.digests())
    before = calls(project)
    assert project.raw(*GC, "--keep-last", "1").status == 0
    assert len(Archive(project.root / CACHE).records.digests()) == listed
    assert calls(project) == before
    assert project.raw("verify").status == 0
    assert everything(project) == both.old


def test_its_responses_stay_where_its_record_was_lost(both: TwoVersions) -> None:
    project = kill_checkout(both, MOMENTS["no file has moved"])
    before = calls(project)
    for record in (project.root / CACHE / "versions").iterdir():
        record.unlink()
    assert project.raw(*GC, "--keep-last", "0").status == 0
    assert calls(project) == before
