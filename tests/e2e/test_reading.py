"""Commands that read a built dataset: they find it by themselves, send nothing, and read files of one version."""

import json
import shlex
import shutil
import signal
from collections.abc import Iterator

import pytest

from tests.e2e import forked
from tests.e2e.mounts import read_only
from tests.e2e.two_versions import TwoVersions, everything, two_versions
from tests.e2e.workspace import TIMEOUT_SECONDS, Workspace, variables
from tests.server import ScriptedServer

SMALL = ("topic=sports", "depth=1", "breadth=2", "questions_per_tag=2")
ALL = "formats=[messages,alpaca,sharegpt,csv,parquet]"


def test_export_and_a_build_with_the_same_formats_agree(workspace: Workspace, server: ScriptedServer) -> None:
    workspace.run(*SMALL)
    sent = server.count
    folder = workspace.root / "outputs/sports/dataset"
    exported = workspace.run("export", *SMALL, ALL)
    added = ", ".join(f"train.{name} is new" for name in ("alpaca.jsonl", "csv", "parquet", "sharegpt.jsonl"))
    added += ", README.md has changed"
    told = f"distill-build: outputs/sports/distill.lock is rewritten: {added}\n"
    assert (exported.status, exported.stderr, server.count) == (0, told, sent)
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert len(files) == 6
    assert "up to date" in workspace.run(*SMALL, ALL).stderr
    built = workspace.run(*SMALL)
    assert {path.name for path in folder.iterdir()} == {"README.md", "train.messages.jsonl"}
    assert (
        "dataset/train.alpaca.jsonl, dataset/train.csv, dataset/train.parquet, dataset/train.sharegpt.jsonl are "
        "removed, and the lock names them no more: this build was not to make them. One with them in "
        "formats=[…] or trainers=[…] brings them back, and asks nothing\n"
    ) in built.stderr
    workspace.run(*SMALL, ALL)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == files
    assert server.count == sent


def test_tree_show_and_cache_stats_find_what_was_built(workspace: Workspace, server: ScriptedServer) -> None:
    workspace.run(*SMALL)
    sent = server.count
    assert workspace.raw("tree").stdout.splitlines()[0] == "sports  2 tags, 4 questions, 4 answers"
    for name in ("tags", "questions", "answers"):
        row = workspace.rows(name)[0]
        shown = workspace.raw("show", row["id"], "--json")
        assert json.loads(shown.stdout)[name.removesuffix("s")] == row
    stats = workspace.raw("cache", "stats", "--json")
    assert stats.document["entries"] == sum(group["calls"] for group in stats.document["groups"]) == sent
    assert server.count == sent


def test_reading_commands_do_not_load_hydra(workspace: Workspace) -> None:
    workspace.run(*SMALL)
    for words in (("tree",), ("show", "1"), ("cache", "stats")):
        finished = workspace.raw(*words, environment={"PYTHONPROFILEIMPORTTIME": "1"})
        told = finished.stderr
        assert finished.status == 0
        assert "distill_build.commands" in told
        assert not any(heavy in told for heavy in ("hydra", "omegaconf", "pyarrow", "aiohttp", "rich"))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoVersions]:
    with two_versions(tmp_path_factory.mktemp("reading")) as both:
        yield both


@pytest.fixture
def both(built: TwoVersions) -> TwoVersions:
    """Two versions, as they were built; the folder holds the second one, which lacks items of the first."""
    built.restore()
    return built


def gone_of(both: TwoVersions, artefact: str) -> dict[str, object]:
    """A row of the first version that the second one lacks."""
    old, new = ([json.loads(line) for line in files[artefact].splitlines()] for files in (both.old, both.new))
    (row, *_) = (row for row in old if row["id"] not in {other["id"] for other in new})
    assert isinstance(row, dict)
    return row


def test_an_item_that_is_not_in_the_folder_is_told_from_the_newest_version_that_has_it(both: TwoVersions) -> None:
    project = both.project
    for kind in ("tag", "question", "answer"):
        row = gone_of(both, f"{kind}s.jsonl")
        shown, logged = (project.raw(verb, str(row["id"]), "--json").document for verb in ("show", "log"))
        assert shown[kind] == logged[kind] == row
        assert shown["from_version"] == logged["from_version"]
        assert shown["from_version"].startswith(both.old_version)
        assert [version["held"] for version in logged["versions"]] == [False, True]
        assert logged["chain"]
        assert not any(link.get("lack") for link in logged["chain"]), "a verdict asked nobody"
    key = str(gone_of(both, "answers.jsonl")["id"])
    told = [project.raw(verb, key[:12], "sports").stdout.splitlines()[0] for verb in ("show", "log")]
    assert told[0] == told[1]
    assert "not in outputs/sports now" in told[0]
    assert (everything(project), both.server.count) == (both.new, 0)
    command = shlex.split(told[0].split("`")[1])
    assert (command[0], project.raw(*command[1:]).status) == ("distill-build", 0)
    assert project.raw("show", key, "--json").document["from_version"] is None


def test_an_item_that_no_version_has_is_a_sentence(both: TwoVersions) -> None:
    gone = str(gone_of(both, "answers.jsonl")["id"])
    for words in (("show", "a_0123456789abcdef"), ("log", "a_0123456789abcdef"), ("show", gone, "--cache-dir", "no")):
        done = both.project.raw(*words)
        assert (done.status, done.stdout) == (2, "")
        assert f"there is no answer {words[1]} in outputs/sports" in done.stderr


def leave_half_moved(both: TwoVersions) -> None:
    """Kills a checkout of the first version between two moves."""
    words, fatal = ["checkout", both.old_version], str(both.project.folder() / "dataset/train.csv")
    with forked.at_work(words, both.project.root, variables(None), fatal) as (process, _):
        process.join(TIMEOUT_SECONDS)
        assert process.exitcode == -signal.SIGKILL
    assert everything(both.project) not in (both.old, both.new)


def test_files_that_a_killed_run_left_half_moved_are_in_place_before_they_are_read(both: TwoVersions) -> None:
    project, half = both.project, both.project.root / "half"
    leave_half_moved(both)
    shutil.copytree(project.folder(), half)
    gone = str(gone_of(both, "answers.jsonl")["id"])
    for words in (("tree",), ("show", gone), ("log", gone), ("history",), ("diff",), ("verify",)):
        shutil.rmtree(project.folder())
        shutil.copytree(half, project.folder())
        done = project.raw(*words)
        assert (words, done.status, everything(project)) == (words, 0, both.old)
        assert done.stderr.count("new files of outputs/sports were being moved into place") == 1
        assert "not in outputs/sports" not in done.stdout
    assert "new files of half were being" in project.raw("diff", "latest", "half").stderr


def test_half_moved_files_that_cannot_be_put_in_place_are_not_read(both: TwoVersions) -> None:
    leave_half_moved(both)
    with read_only(both.project.folder()):
        for words in (("tree",), ("verify",)):
            done = both.project.raw(*words)
            assert (done.status, done.stdout, len(done.stderr.splitlines())) == (5, "", 1)
            assert "outputs/sports/runs cannot be written" in done.stderr


def test_a_first_build_that_was_killed_before_it_moved_its_files_is_a_dataset(workspace: Workspace) -> None:
    fatal = str(workspace.folder() / "runs/replacing.json")
    with workspace.at_work(*SMALL, fatal=fatal) as (process, _):
        process.join(TIMEOUT_SECONDS)
    assert workspace.bytes() == {}
    assert workspace.raw("tree").stdout.startswith("sports  2 tags, 4 questions, 4 answers")
