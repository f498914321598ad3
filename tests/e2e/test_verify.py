"""`verify`: every digest, every row, and nothing that the lock does not know."""

import json
import re
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.e2e.test_only_what_is_affected import InProcess
from tests.e2e.two_versions import NEW, OLD, TwoVersions, everything, two_versions
from tests.e2e.workspace import Finished, Workspace


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoVersions]:
    with two_versions(tmp_path_factory.mktemp("verify")) as both:
        yield both


@pytest.fixture
def project(built: TwoVersions) -> InProcess:
    """A project as it was built."""
    built.restore()
    return built.project


def findings(project: Workspace) -> list[tuple[str, str]]:
    """What verify finds, with the exit code checked."""
    done = project.raw("verify", "--json")
    found = [(finding["file"], finding["problem"]) for finding in done.document["findings"]]
    assert done.status == (4 if found else 0)
    return found


def test_what_a_build_left_is_good_and_nothing_is_changed_by_looking(project: InProcess) -> None:
    before = everything(project)
    real = Workspace(project.root)
    done = real.raw("verify", environment={"PYTHONPROFILEIMPORTTIME": "1"})
    assert done.status == 0
    assert not any(heavy in done.stderr for heavy in ("hydra", "omegaconf", "diskcache", "aiohttp", "jinja2"))
    assert "1 question, 1 row of dedup, 1 answer, 2 exports" in done.stdout
    assert "the cache holds all 4 responses" in done.stdout
    assert everything(project) == before


def test_files_that_are_replaced_while_they_are_read_are_no_difference(project: InProcess, built: TwoVersions) -> None:
    """A checkout by another process comes between the lock, which was read, and the answers, which are about to be."""
    meanwhile: list[Finished] = []
    waiting = [True]

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event == "open" and waiting and str(arguments[0]).endswith("outputs/sports/answers.jsonl"):
            waiting.clear()
            meanwhile.append(Workspace(project.root).raw("checkout", built.old_version, "-q"))

    sys.addaudithook(hook)
    done = project.raw("verify", "--json")
    assert [each.status for each in meanwhile] == [0]
    assert (done.status, done.document["findings"]) == (0, [])
    assert done.document["version"].startswith(built.old_version)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def doubled(path: Path) -> None:
    path.write_bytes(path.read_bytes() * 2)


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def garbage(path: Path) -> None:
    path.write_bytes(b"garbage\n")


def other_label(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b'"label":"', b'"label":"X'))


def reworded(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b'"question":"How', b'"question":"Why'))


def other_sample(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b'"sample":0', b'"sample":1'))


def other_count(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"counts.tags = 2", b"counts.tags = 3"))


def conflicting(path: Path) -> None:
    path.write_bytes(b"<<<<<<< HEAD\n" + path.read_bytes())


def other_scheme(path: Path) -> None:
    path.write_bytes(re.sub(rb"(?m)^scheme = \d+$", b"scheme = 99", path.read_bytes()))


@pytest.mark.parametrize(
    ("name", "damage", "told"),
    [
        ("answers.jsonl", cut, {"answers.jsonl: its SHA-256 is"}),
        ("answers.jsonl", Path.unlink, {"answers.jsonl: it is missing"}),
        (
            "answers.jsonl",
            doubled,
            {"the id of an earlier row stands again", "the number of its rows is 2, and the lock says 1"},
        ),
        ("answers.jsonl", other_sample, {"answers.jsonl: the id is not that of the content"}),
        ("answers.jsonl", garbage, {"answers.jsonl: line 1 cannot be read"}),
        ("questions.jsonl", reworded, {"questions.jsonl: the id is not that of the content"}),
        ("questions.jsonl", emptied, {"answers.jsonl: the question is not there"}),
        ("dedup.jsonl", doubled, {"dedup.jsonl: the id of an earlier row stands again"}),
        ("questions.jsonl", emptied, {"dedup.jsonl: the row that it judges is not there"}),
        ("tags.jsonl", other_label, {"tags.jsonl: the id is not that of the content"}),
        ("tags.jsonl", emptied, {"questions.jsonl: the tag is not there"}),
        ("dataset/train.messages.jsonl", cut, {"dataset/train.messages.jsonl: its SHA-256 is"}),
        ("dataset/train.csv", garbage, {"dataset/train.csv: the lock does not know it, and the last build here did"}),
        ("failures.jsonl", garbage, {"failures.jsonl: the lock says that nothing is missing"}),
        ("runs/sources.jsonl", emptied, {"runs/sources.jsonl: it is not as it was last written here"}),
        ("distill.lock", other_count, {"was edited by hand"}),
        ("distill.lock", conflicting, {"holds a merge conflict"}),
        ("distill.lock", other_scheme, {"has scheme 99, and this program knows"}),
        ("distill.lock", emptied, {"distill.lock: "}),
        ("distill.lock", Path.unlink, {"distill.lock: it is missing"}),
    ],
)
def test_each_damage_is_found_and_the_file_named(
    project: InProcess, name: str, damage: Callable[[Path], None], told: set[str]
) -> None:
    damage(project.folder() / name)
    found = [f"{file}: {problem}" for file, problem in findings(project)]
    assert {words for words in told if any(words in line for line in found)} == told, found


def test_what_no_build_wrote_is_to_be_moved_since_neither_build_nor_checkout_touches_it(project: InProcess) -> None:
    own = [project.folder() / name for name in ("dataset/notes.txt", "failures.jsonl")]
    for path in own:
        path.write_text("mine")
    shown = project.raw("verify").stdout
    assert shown.count("the last build here did not write it: move or remove it") == 2
    assert "checkout" not in shown
    for path in own:
        path.unlink()
    assert findings(project) == []


def advised(project: InProcess) -> str:
    """The line below the findings."""
    lines = project.raw("verify").stdout.splitlines()
    return next(line for line in lines[1:] if not line.startswith("  "))


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("answers.jsonl", garbage),
        ("answers.jsonl", Path.unlink),
        ("dataset/train.messages.jsonl", garbage),
        ("dataset/train.messages.jsonl", Path.unlink),
        ("runs/sources.jsonl", garbage),
    ],
)
def test_checkout_and_build_both_mend_what_was_edited_or_is_gone(
    project: InProcess, built: TwoVersions, name: str, damage: Callable[[Path], None]
) -> None:
    damage(project.folder() / name)
    assert "checkout outputs/sports` brings back what the lock names, and a build makes" in advised(project)
    assert project.raw("checkout", "outputs/sports", "-q").status == 0
    assert findings(project) == []
    damage(project.folder() / name)
    assert project.run(*NEW, "-q").status == 0
    assert findings(project) == []
    assert everything(project) == built.new


@pytest.mark.parametrize("damage", [conflicting, other_count, other_scheme, Path.unlink])
def test_a_build_mends_a_lock_that_cannot_be_gone_by(
    project: InProcess, built: TwoVersions, damage: Callable[[Path], None]
) -> None:
    damage(project.folder() / "distill.lock")
    assert advised(project).startswith("build again: ")
    assert project.run(*NEW, "-q").status == 0
    assert findings(project) == []
    assert everything(project) == built.new


def test_a_version_that_the_cache_lacks_is_to_be_brought_before_it_is_checked_out(
    project: InProcess, built: TwoVersions
) -> None:
    project.raw("cache", "export", "kept.bundle", "-q")
    shutil.rmtree(project.root / ".distill-cache/versions")
    (project.folder() / "distill.lock").write_bytes(built.old["distill.lock"])
    assert "is in no cache here: cache import or cache pull brings it" in advised(project)
    project.raw("cache", "import", "kept.bundle", "-q")
    assert "brings back what the lock names" in advised(project)
    assert project.raw("checkout", "outputs/sports", "-q").status == 0
    assert findings(project) == []
    assert everything(project) == built.old


def test_a_lock_of_another_version_differs_in_every_file(project: InProcess, built: TwoVersions) -> None:
    (project.folder() / "distill.lock").write_bytes(built.old["distill.lock"])
    named = {file for file, _ in findings(project)}
    assert named >= {"tags.jsonl", "questions.jsonl", "dedup.jsonl", "answers.jsonl", "dataset/train.csv"}


def test_what_the_cache_lacks_is_told_and_no_difference(project: InProcess) -> None:
    missing = project.raw("verify", "--cache-dir", "nowhere")
    assert (missing.status, "no cache at nowhere" in missing.stdout) == (0, True)
    sources = project.folder() / "runs/sources.jsonl"
    rows = [json.loads(line) for line in sources.read_text().splitlines()]
    with closing(sqlite3.connect(project.root / ".distill-cache/cache.db")) as database, database:
        database.execute("DELETE FROM Cache WHERE key = ?", rows[0]["calls"]["tags"][0][:1])
        database.execute("UPDATE Cache SET value = x'00' WHERE key = ?", rows[-1]["calls"]["answers"][0][:1])
    done = project.raw("verify", "--json", "--cache-dir", ".distill-cache")
    assert (done.status, done.document["responses"]) == (0, {"named": 4, "lacking": 1, "damaged": 1})
    told = "the cache lacks 2 of the 4 responses behind it (1 of them damaged)"
    assert told in done.stderr
    assert told in project.raw("verify", "-q").stderr


def test_a_note_on_the_responses_survives_quiet(project: InProcess) -> None:
    assert project.raw("verify", "-q").stderr == ""
    unknown = project.raw("verify", "-q", "--cache-dir", "nowhere")
    (project.folder() / "runs/state.json").unlink()
    untold = project.raw("verify", "-q")
    assert "is not known to be of these rows" in untold.stderr
    (project.folder() / "runs/sources.jsonl").unlink()
    unnamed = project.raw("verify", "-q")
    for done in (unknown, untold, unnamed):
        assert (done.status, done.stdout) == (0, "")
        assert done.stderr.startswith("distill-build: the responses were not looked for: ")


@pytest.mark.parametrize(
    "name", ["distill.lock", "answers.jsonl", "dataset/train.messages.jsonl", "failures.jsonl", "runs/sources.jsonl"]
)
def test_a_folder_in_a_files_place_is_to_be_moved_away_as_a_build_says_too(
    project: InProcess, built: TwoVersions, name: str
) -> None:
    place = project.folder() / name
    place.unlink(missing_ok=True)
    place.mkdir()
    assert (name, "it is a folder: move it away") in findings(project)
    refused = project.run(*NEW)
    assert refused.status == 5
    assert re.search(rf"{name} is a folder, and .*: move it away", refused.stderr)
    place.rmdir()
    assert project.run(*NEW, "-q").status == 0
    assert findings(project) == []
    assert everything(project) == built.new


def test_a_file_in_the_place_of_the_exports_is_to_be_moved_away(project: InProcess) -> None:
    shutil.rmtree(project.folder() / "dataset")
    (project.folder() / "dataset").touch()
    assert ("dataset", "it is no folder: move it away") in findings(project)


def test_export_keeps_the_lock_in_line(project: InProcess, built: TwoVersions) -> None:
    """The lock is that of a build with these exports, to the byte, and no build has anything to do."""
    words = (*NEW, "formats=[messages,alpaca,csv]", "format.metadata=false")
    assert project.run("export", *words).status == 0
    assert findings(project) == []
    exported = everything(project)
    assert "up to date" in project.run(*words).stderr
    (project.folder() / "runs/state.json").unlink()
    project.run(*words, "-q")
    assert everything(project) == exported != built.new


def test_export_leaves_a_lock_alone_that_the_last_build_did_not_write(project: InProcess, built: TwoVersions) -> None:
    lock = project.folder() / "distill.lock"
    lock.write_bytes(built.old["distill.lock"])
    done = project.run("export", *NEW, "formats=[alpaca]")
    assert done.status == 0
    assert "is left alone" in done.stderr
    assert lock.read_bytes() == built.old["distill.lock"]
    assert project.run(*OLD, "-q").status == 0
    assert findings(project) == []
