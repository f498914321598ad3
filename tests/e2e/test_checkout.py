"""`checkout`: a version's files come back byte for byte, whatever named it, and nothing is asked."""

import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e import forked
from tests.e2e.mounts import read_only
from tests.e2e.test_only_what_is_affected import InProcess
from tests.e2e.two_versions import NEW, OLD, SMALL, TwoVersions, everything, two_versions, versions
from tests.e2e.workspace import TIMEOUT_SECONDS, Workspace, variables
from tests.server import status


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoVersions]:
    with two_versions(tmp_path_factory.mktemp("checkout")) as both:
        yield both


@pytest.fixture
def both(built: TwoVersions) -> TwoVersions:
    """Two versions, as they were built; the folder holds the second one."""
    built.restore()
    return built


@pytest.fixture
def project(both: TwoVersions) -> InProcess:
    return both.project


def test_a_version_comes_back_and_the_next_build_follows_the_settings_again(
    both: TwoVersions, project: InProcess
) -> None:
    listed = versions(project)
    real = Workspace(project.root)
    done = real.raw("checkout", "latest~1", "--json", environment={"PYTHONPROFILEIMPORTTIME": "1"})
    assert (done.status, done.document["version"]) == (0, listed[1])
    assert not any(heavy in done.stderr for heavy in ("hydra", "omegaconf", "diskcache", "aiohttp", "jinja2"))
    assert everything(project) == both.old
    assert not (project.folder() / "runs/units.json").exists(), "it tells of places in files that are gone"
    assert project.raw("verify").status == 0
    assert project.raw("tree").stdout.startswith("sports  4 tags, 2 questions, 2 answers")
    assert project.run(*NEW).status == 0
    assert everything(project) == both.new
    assert "up to date" in project.run(*NEW).stderr
    assert (versions(project), both.server.count) == (listed, 0)


def test_a_build_with_the_versions_own_settings_keeps_every_byte(both: TwoVersions, project: InProcess) -> None:
    project.raw("checkout", both.old_version, "-q")
    assert project.run(*OLD, "--frozen").status == 0
    assert (everything(project), both.server.count) == (both.old, 0)


def test_failures_come_back_with_the_version_they_belong_to(both: TwoVersions, project: InProcess) -> None:
    server = both.server
    server.plan = lambda _, body: status(400) if server.classify(body) == "answers" else None
    assert project.run(*SMALL, "teacher.temperature=0.5", "limits.retries=0").status == 1
    server.plan = ()
    short = everything(project)
    assert "failures.jsonl" in short
    assert project.run(*NEW, "-q").status == 0
    done = project.raw("checkout", "latest~1")
    assert (done.status, everything(project)) == (0, short)
    assert "lacks 2 answers" in done.stdout
    assert project.raw("checkout", "latest", "-q").status == 0
    assert everything(project) == both.new


def test_what_was_edited_by_hand_is_kept_aside(both: TwoVersions, project: InProcess) -> None:
    edited = project.folder() / "answers.jsonl"
    edited.write_bytes(edited.read_bytes() + b'{"mine": "by hand"}\n')
    (project.folder() / "failures.jsonl").write_text("put there\n")
    mine = {edited.read_bytes(), b"put there\n"}
    done = project.raw("checkout", both.old_version, "--json")
    assert everything(project) == both.old
    assert {(project.root / copy).read_bytes() for copy in done.document["edited"]} == mine
    assert all(copy in done.stderr for copy in done.document["edited"])


def test_a_fresh_clone_gets_what_its_lock_names(both: TwoVersions, project: InProcess) -> None:
    git(project, "init")
    for files in (both.old, both.new):
        (project.folder() / "distill.lock").write_bytes(files["distill.lock"])
        git(project, "add", "outputs/sports/distill.lock")
        git(project, "commit", "-m", "a version")
    git(project, "clone", ".", "clone")
    clone = InProcess(project.root / "clone")
    cache = ("--cache-dir", str(project.root / ".distill-cache"))
    for name, files in (("git:HEAD", both.new), ("git:HEAD~1", both.old), ("outputs/sports", both.old)):
        done = clone.raw("checkout", name, *cache)
        assert (done.status, everything(clone)) == (0, files), done.stderr
    assert versions(clone, *cache) == versions(project), "the clone has another history"


def git(workspace: Workspace, *words: str) -> None:
    person = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    subprocess.run(["git", *person, *words], cwd=workspace.root, check=True, capture_output=True)


def test_the_lock_that_names_a_version_says_which_exports_it_has(both: TwoVersions, project: InProcess) -> None:
    """The cache keeps a version with the exports that it was built with first."""
    project.run(*NEW, "formats=[alpaca,csv]", "format.metadata=false", "format.csv_bom=true", "-q")
    files = everything(project)
    (project.root / "mine.lock").write_bytes(files["distill.lock"])
    project.raw("checkout", "latest")
    assert everything(project) == both.new
    assert project.raw("checkout", "mine.lock").status == 0
    assert everything(project) == files


def test_a_version_goes_into_a_folder_of_its_own(both: TwoVersions, project: InProcess) -> None:
    assert project.raw("checkout", both.old_version, "-o", "outputs/copy").status == 0
    assert (everything(project, "copy"), everything(project)) == (both.old, both.new)
    assert versions(project, "copy") == versions(project, "sports")


def test_where_there_is_no_folder_the_cache_knows_the_dataset(both: TwoVersions, project: InProcess) -> None:
    shutil.rmtree(project.root / "outputs")
    assert project.raw("checkout", both.old_version).status == 0
    assert everything(project) == both.old
    assert len(versions(project)) == 2


def test_among_several_datasets_a_digest_names_its_own(both: TwoVersions, project: InProcess) -> None:
    project.run("topic=chess", "depth=1", "breadth=1", "questions_per_tag=1", "-q")
    asked = project.raw("checkout", "latest~1")
    assert (asked.status, "which dataset?" in asked.stderr) == (2, True)
    assert project.raw("checkout", both.old_version).status == 0
    assert everything(project) == both.old


@pytest.mark.parametrize("damage", ["gone", "damaged"])
def test_with_a_damaged_cache_nothing_is_replaced(both: TwoVersions, project: InProcess, damage: str) -> None:
    for path in (project.root / ".distill-cache/objects").glob("*/*"):
        spoil(path, damage)
    done = project.raw("checkout", both.old_version)
    assert done.status == 5
    assert "Nothing was replaced" in done.stderr
    assert everything(project) == both.new
    assert not list((project.folder() / "runs").glob("*/new"))


MOMENTS = {
    "its rows are written": ("outputs/sports/runs/*/new/answers.jsonl", False),
    "it is being listed": (".distill-cache/datasets/.*", False),
    "its files are about to move": ("outputs/sports/runs/replacing.json", True),
    "some files have moved": ("outputs/sports/dataset/train.csv", True),
}
"""What a checkout is about → the file that appears then, and whether it has begun to move files."""


@pytest.mark.parametrize(("place", "moving"), MOMENTS.values(), ids=MOMENTS.keys())
def test_wherever_a_checkout_is_killed_the_next_command_leaves_the_old_or_the_new_files_whole(
    both: TwoVersions, project: InProcess, place: str, moving: bool
) -> None:
    words, fatal = ["checkout", both.old_version], str(project.root / place)
    with forked.at_work(words, project.root, variables(None), fatal) as (process, _):
        process.join(TIMEOUT_SECONDS)
        assert process.exitcode == -signal.SIGKILL
    assert moving or everything(project) == both.new
    if moving:
        assert "were being moved into place" in project.raw("verify").stderr
        assert project.raw("checkout", "outputs/sports").status == 0, "the version that was about to be there"
        assert everything(project) == both.old
    assert project.run(*NEW, "teacher.temperature=0.9", "--frozen").status == 4, "one that replaces nothing itself"
    assert everything(project) == (both.old if moving else both.new)
    finished = project.run(*NEW)
    assert (finished.status, everything(project), both.server.count) == (0, both.new, 0)
    assert "kept as" not in finished.stderr, "our own files were taken for files edited by hand"
    assert project.raw("verify").status == 0
    assert not list((project.folder() / "runs").glob("*/new"))


def spoil(path: Path, damage: str) -> None:
    if damage == "gone":
        path.unlink()
        return
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_a_cache_that_cannot_be_written_is_enough(both: TwoVersions, project: InProcess) -> None:
    with read_only(project.root / ".distill-cache"):
        done = project.raw("checkout", both.old_version)
    assert (done.status, everything(project)) == (0, both.old)


@pytest.mark.parametrize(
    ("name", "told"), [("nosuch", "names no version"), ("latest~5", "has 2 versions"), ("0000", "is not in the cache")]
)
def test_a_name_that_means_nothing_is_told_in_a_sentence(project: InProcess, name: str, told: str) -> None:
    done = project.raw("checkout", name)
    assert done.status == 2
    assert told in done.stderr


def test_a_build_with_another_lock_says_so_before_it_asks(both: TwoVersions, project: InProcess) -> None:
    lock = project.folder() / "distill.lock"
    lock.write_bytes(both.old["distill.lock"])
    done = project.run(*NEW, "teacher.temperature=0.9")
    told = done.stderr
    assert told.index(f"names version {both.old_version}") < told.index("plan: ")
    assert f"`distill-build checkout {lock.parent.relative_to(project.root)}`" in told
    assert "distill.lock was not the one that was written here" in told
    (kept,) = (project.folder() / "runs").glob("*/distill.lock")
    assert kept.read_bytes() == both.old["distill.lock"]
    lock.write_bytes(b"<<<<<<< HEAD\n" + lock.read_bytes())
    assert "merge conflict" in project.run(*NEW).stderr
    assert everything(project) == both.new
    shutil.rmtree(project.root / ".distill-cache/versions")
    lock.write_bytes(both.old["distill.lock"])
    assert "`cache import` brings its responses" in project.run(*NEW, "teacher.temperature=0.8").stderr
