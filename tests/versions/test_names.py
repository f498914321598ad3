"""Names of versions: each form finds its version, and what names nothing is told what would."""

import os
import subprocess
from pathlib import Path

import pytest
from msgspec.structs import replace

from distill_build.dataset.lockfile import LOCK
from distill_build.errors import CorruptEntryError, DifferenceError, UsageError
from distill_build.versions.archive import Archive
from distill_build.versions.names import Names, lock_named
from tests.versions.test_archive import version
from tests.versions.test_lockfile import LOCK as A_LOCK

ONE, TWO, OTHER = "abcd1" + "0" * 59, "abcd2" + "0" * 59, "ffff" + "0" * 60


@pytest.fixture
def names(tmp_path: Path) -> Names:
    """Two versions of sports and one of chess in one cache; the lock in the folder of sports names the first."""
    archive, folder = Archive(tmp_path / "cache"), tmp_path / "outputs" / "sports"
    for name in ("sports", "chess"):
        folder.with_name(name).mkdir(parents=True)
    archive.add(folder, version(ONE, 1))
    archive.add(folder, version(TWO, 2))
    archive.add(folder.with_name("chess"), version(OTHER, 3, "chess"))
    (folder / LOCK).write_text(locked(ONE))
    folder.with_name("rows").write_bytes(b"\xff\n======= \n")
    return Names(archive, folder, "sports")


def locked(digest: str) -> str:
    return replace(A_LOCK, version=digest).encode()


def git(folder: Path, *words: str) -> None:
    who = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    subprocess.run(["git", "-C", str(folder), *who, *words], check=True, capture_output=True)


@pytest.mark.parametrize(
    ("wanted", "digest"),
    [
        ("latest", TWO),
        ("latest~0", TWO),
        ("latest~1", ONE),
        (ONE, ONE),
        ("abcd2", TWO),
        ("ffff", OTHER),
        ("ABCD2", TWO),
        (ONE.upper(), ONE),
        ("outputs/sports", ONE),
        ("./outputs/sports/", ONE),
        ("outputs/sports/distill.lock", ONE),
    ],
)
def test_each_form_finds_its_version(names: Names, wanted: str, digest: str) -> None:
    assert names.version(wanted).version == digest


@pytest.mark.parametrize(
    ("wanted", "sentence"),
    [
        ("latest~2", "has 2 versions"),
        ("abcd", "begins several versions: abcd10000000, abcd20000000; write more"),
        ("ABC", "at least 4 digits"),
        ("abc", "at least 4 digits"),
        ("eeee", "not in the cache"),
        ("nonsense", "git:REV"),
        ("latest~", "names no version"),
        ("latest~-1", "names no version"),
        ("latest~" + "9" * 5000, "names no version"),
        ("x" * 5000, "names no version"),
        ("", "names no version"),
        ("outputs", "there is no outputs/distill.lock"),
        ("outputs/chess", "there is no"),
        ("outputs/nothing", "there is no outputs/nothing: name an output folder or a lock file"),
        ("outputs/rows", "outputs/rows is no lock: name an output folder or a lock file"),
    ],
)
def test_what_names_nothing_is_a_sentence(names: Names, wanted: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        names.version(wanted)


def test_a_beginning_that_several_records_of_one_version_share_is_no_doubt(names: Names) -> None:
    names.archive.add(names.folder, version(ONE, 9))
    assert names.version("abcd1").at == version(ONE, 9).at


def test_a_version_that_two_datasets_have_is_taken_from_the_one_that_is_spoken_of(names: Names) -> None:
    names.archive.add(names.folder.with_name("chess"), version(ONE, 9, "chess"))
    assert names.version(ONE).name == "sports"


def test_a_commit_names_what_its_lock_said(names: Names) -> None:
    git(names.folder, "init", "-q")
    git(names.folder, "add", LOCK)
    git(names.folder, "commit", "-q", "-m", "one")
    (names.folder / LOCK).write_text(locked(TWO))
    git(names.folder, "commit", "-qam", "two")
    git(names.folder, "tag", "v2")
    assert names.version("git:HEAD").version == TWO
    assert names.version("git:v2").version == TWO
    assert names.version("git:HEAD~1").version == ONE
    for wrong in ("git:HEAD~2", "git:nothing", "git:", "git:--help", "git:HEAD:other"):
        with pytest.raises(UsageError):
            names.version(wrong)


def test_what_git_does_not_find_is_one_sentence_with_a_way_out(names: Names) -> None:
    """Git's own words go on for lines, and begin with `fatal:`."""
    nowhere = "name a commit of the repository that outputs/sports is in, as git:HEAD does"
    assert sentence(names, "git:HEAD").startswith("git:HEAD cannot be read (not a git repository")
    git(names.folder, "init", "-q")
    git(names.folder, "commit", "-q", "--allow-empty", "-m", "none")
    for wrong, why in (("nope", "invalid object name 'nope'"), ("HEAD@{1 week", "ambiguous argument")):
        told = sentence(names, f"git:{wrong}")
        assert told.startswith(f"git:{wrong} cannot be read ({why}")
        assert told.endswith(nowhere)
    lock = "outputs/sports/distill.lock"
    assert sentence(names, "git:HEAD") == f"git:HEAD has no {lock}: `git log -- {lock}` lists the commits that have it"


def sentence(names: Names, wanted: str) -> str:
    """What is said of a name that means nothing."""
    with pytest.raises(UsageError) as caught:
        replace(names, folder=Path("outputs/sports")).version(wanted)
    assert "\n" not in str(caught.value)
    assert "fatal" not in str(caught.value)
    return str(caught.value)


def test_a_lock_that_was_edited_names_nothing(names: Names) -> None:
    lock = names.folder / LOCK
    lock.write_text(lock.read_text().replace("= 2\n", "= 3\n", 1))
    with pytest.raises(DifferenceError):
        names.version("outputs/sports")


def test_a_lock_under_another_name_is_one_also_when_it_is_damaged(names: Names) -> None:
    copy = names.folder / "old.lock"
    copy.write_text(locked(TWO))
    assert names.version("outputs/sports/old.lock").version == TWO
    copy.write_text("<<<<<<< HEAD\n" + locked(TWO))
    with pytest.raises(DifferenceError, match="merge conflict"):
        names.version("outputs/sports/old.lock")


def test_bytes_that_are_no_text_are_no_lock_also_in_a_commit(names: Names) -> None:
    git(names.folder, "init", "-q")
    (names.folder / LOCK).write_bytes(b"\xff\xfe")
    git(names.folder, "add", LOCK)
    git(names.folder, "commit", "-q", "-m", "one")
    with pytest.raises(DifferenceError):
        lock_named("git:HEAD", names.folder)


def test_a_damaged_record_is_said_where_a_version_is_not_found(names: Names) -> None:
    """It may be the very version that is asked for."""
    names.archive.records.file("00" * 32).write_bytes(b"x")
    assert names.version(OTHER).version == OTHER
    with pytest.raises(CorruptEntryError):
        names.version("dddd")


def test_a_damaged_version_is_not_counted_past(names: Names) -> None:
    root = names.archive.registry.root(names.folder)
    assert root is not None
    names.archive.records.file(root.versions[0]).write_bytes(b"x")
    assert names.version("latest").version == TWO
    with pytest.raises(CorruptEntryError):
        names.version("latest~1")


@pytest.mark.parametrize(("script", "sentence"), [("exec sleep 5", "longer than"), (None, "cannot be run")])
def test_a_git_that_does_not_answer_is_a_sentence(
    names: Names, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str | None, sentence: str
) -> None:
    program = tmp_path / "bin" / "git"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{script}\n" if script else "#!/no/such\0shell")
    program.chmod(0o755 if script else 0o644)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}/bin" if script else str(program.parent))
    monkeypatch.setattr("distill_build.versions.names.GIT_SECONDS", 0.1)
    with pytest.raises(UsageError, match=sentence):
        names.version("git:HEAD")
