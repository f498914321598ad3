"""`cache push` and `cache pull`: through a folder, which stands for any address; S3 has a file of its own."""

import importlib.util
import json
import os
import re
import shutil
from pathlib import Path

import pytest

from distill_build.cache.transfer.packs import in_packs
from tests.cache.carried import call, record
from tests.console.test_terminal import CONTROL, on_terminal
from tests.e2e import forked
from tests.e2e.carrying.machines import Machine, Twice
from tests.e2e.workspace import Finished, variables


def push(built: Twice, address: str, *words: str) -> Finished:
    return built.machine.workspace.raw("cache", "push", address, *words)


def pull(machine: Machine, address: str, *words: str) -> Finished:
    return machine.workspace.raw("cache", "pull", address, *words)


def files(remote: Path) -> dict[str, bytes]:
    return {str(path.relative_to(remote)): path.read_bytes() for path in remote.rglob("*") if path.is_file()}


@pytest.fixture
def remote(built: Twice, tmp_path: Path) -> tuple[Path, set[str], set[str]]:
    """A folder to which A sent its cache after each build, with the packs of the first and the second time."""
    folder = tmp_path / "remote"
    earlier = built.machine.workspace.raw("cache", "push", folder.as_uri(), "--cache-dir", str(built.before))
    assert earlier.status == 0, earlier.stderr
    first = {name for name in files(folder) if name.startswith("packs/")}
    assert push(built, folder.as_uri()).status == 0
    return folder, first, {name for name in files(folder) if name.startswith("packs/")} - first


def test_a_fresh_clone_gets_what_stands_now_though_it_was_sent_after_what_stood_before(
    built: Twice, remote: tuple[Path, set[str], set[str]], other: Machine
) -> None:
    assert pull(other, remote[0].as_uri()).status == 0
    other.clone(built.second)
    assert other.frozen() == built.second


def test_what_stands_here_goes_on_standing(
    built: Twice, remote: tuple[Path, set[str], set[str]], other: Machine
) -> None:
    shutil.copytree(built.before, other.cache)
    before, theirs = other.entries(), built.machine.entries()
    assert pull(other, remote[0].as_uri()).status == 0
    after = other.entries()
    assert after.keys() == theirs.keys()
    assert {key: after[key].response for key in before} == {key: before[key].response for key in before}
    for key, entry in theirs.items():
        assert {each.digest for each in entry.attempts} == {each.digest for each in after[key].attempts}


def test_a_damaged_pack_is_named_the_rest_is_fetched_and_what_is_said_mends_it(
    built: Twice, remote: tuple[Path, set[str], set[str]], other: Machine
) -> None:
    folder, _, second = remote
    largest = max((folder / name for name in second), key=lambda path: path.stat().st_size)
    data = bytearray(largest.read_bytes())
    data[len(data) // 2] ^= 1
    largest.write_bytes(data)
    pulled = pull(other, folder.as_uri(), "--json")
    assert pulled.status == 5
    assert f"{largest.as_uri()} is damaged: remove it there, then send" in pulled.stderr
    assert other.versions() == built.machine.versions()[:1], "a version came without what it is made of"
    assert 0 < len(other.entries()) < len(built.machine.entries())
    largest.unlink()
    assert push(built, folder.as_uri()).status == 0
    mended = pull(other, folder.as_uri())
    assert (mended.status, mended.stderr) == (0, "")
    assert other.versions() == built.machine.versions()


def test_where_all_is_damaged_nothing_is_said_to_be_here(
    remote: tuple[Path, set[str], set[str]], other: Machine
) -> None:
    for pack in (remote[0] / "packs").iterdir():
        pack.write_bytes(bytes(pack.stat().st_size))
    pulled = pull(other, str(remote[0]))
    assert pulled.status == 5
    assert "nothing could be taken" in pulled.stdout


def test_what_a_lost_pack_held_can_be_given_up(
    built: Twice, remote: tuple[Path, set[str], set[str]], other: Machine
) -> None:
    folder, _, second = remote
    for name in second:
        (folder / name).write_bytes((folder / name).read_bytes()[:-1])
    pulled = pull(other, str(folder))
    assert (pulled.status, len(pulled.stderr.splitlines())) == (5, len(second)), pulled.stderr
    for index in re.findall(r"remove (/\S+) too", pulled.stderr):
        Path(index).unlink()
    again = pull(other, str(folder))
    assert (again.status, again.stderr) == (0, "")
    assert other.versions() == built.machine.versions()[:1]


def test_a_pack_is_left_alone_if_all_in_it_is_here(
    built: Twice, remote: tuple[Path, set[str], set[str]], other: Machine
) -> None:
    """Whoever read one of those packs would find that it is damaged."""
    folder, first, second = remote
    shutil.copytree(built.before, other.cache)
    for name in first:
        (folder / name).write_bytes(bytes((folder / name).stat().st_size))
    pulled = pull(other, str(folder), "--json")
    assert (pulled.status, pulled.document["packs"]) == (0, len(second)), pulled.stderr
    assert other.versions() == built.machine.versions()


def test_an_index_that_is_damaged_is_named_and_the_rest_is_fetched(
    remote: tuple[Path, set[str], set[str]], other: Machine
) -> None:
    folder, *_ = remote
    indexes = sorted((folder / "indexes").iterdir(), key=lambda path: path.stat().st_size)
    indexes[0].write_bytes(indexes[0].read_bytes()[:-1])
    finished = pull(other, str(folder))
    assert finished.status == 5
    assert indexes[0].name in finished.stderr
    assert other.entries()


def test_a_folder_holds_whole_files_alone_and_a_second_push_changes_none(
    built: Twice, remote: tuple[Path, set[str], set[str]]
) -> None:
    folder, *_ = remote
    before = files(folder)
    assert "nothing to send" in push(built, folder.as_uri()).stdout
    assert files(folder) == before
    assert all(name.endswith(".gz") for name in before)


@pytest.mark.parametrize("verb", ["push", "export"])
def test_what_a_killed_process_left_half_written_is_removed_after_a_while(
    built: Twice, tmp_path: Path, verb: str
) -> None:
    """A file that was written to just now may be that of a process at work, and stays."""
    folder, target = (tmp_path / "packs", tmp_path) if verb == "push" else (tmp_path, tmp_path / "x.bundle")
    words, half = ["cache", verb, str(target)], f"{folder}/.*.new"
    for _ in range(2):
        with forked.at_work(words, built.machine.workspace.root, variables(None), fatal=half) as (process, _):
            process.join(60)
            assert process.exitcode == -9
    old, young = folder.glob(".*.new")
    os.utime(old, (0, 0))
    assert built.machine.workspace.raw(*words).status == 0
    assert list(folder.glob(".*.new")) == [young]


def test_who_pulls_while_a_push_is_under_way_finds_what_is_whole(built: Twice, tmp_path: Path, other: Machine) -> None:
    """At each moment at which a push is killed here, another one may be just then."""
    folder, words = tmp_path / "remote", ["cache", "push", str(tmp_path / "remote")]
    assert built.machine.workspace.raw(*words, "--cache-dir", str(built.before)).status == 0
    for place in ("packs/.*", "packs/*", "indexes/.*", "indexes/*"):
        with forked.at_work(words, built.machine.workspace.root, variables(None), str(folder / place)) as (process, _):
            process.join(60)
            assert process.exitcode == -9, place
        pulled = pull(other, str(folder))
        assert (pulled.status, pulled.stderr) == (0, ""), place
    assert push(built, str(folder)).status == 0
    assert pull(other, str(folder)).status == 0
    assert other.versions() == built.machine.versions()


def test_how_far_it_is_stands_on_a_terminal(remote: tuple[Path, set[str], set[str]], other: Machine) -> None:
    words = ["cache", "pull", str(remote[0]), "--cache-dir", str(other.cache)]
    code = f"import sys; from distill_build.cli.dispatch import main; sys.exit(main({words!r}))"
    out, shown = on_terminal(code)
    assert f"looking at {remote[0]}"[:60] in CONTROL.sub("", shown).replace("\n", "")
    assert " fetched, " in shown
    assert out.endswith("packs)\n")


def test_large_calls_travel_in_several_packs() -> None:
    records = [(record(each), each) for each in (call(number, size=6 << 20) for number in range(5))]
    assert [len(pack.index.calls) for pack in in_packs(records)] == [3, 2]


@pytest.mark.parametrize(
    ("address", "status", "words"),
    [
        ("s3:/bucket", 2, "is no address"),
        ("nosuch://place", 2, "nosuch"),
        ("", 2, "a word is ''"),
        ("file://", 2, "is no address"),
        ("s3://", 2, "is no address"),
        ("/dev/null", 5, "/dev/null cannot be read: Not a directory"),
        ("memory://x", 2, "ends with this process"),
        ("http://user:open-sesame@127.0.0.1:9/x?key=open-sesame", 5, "http://user@127.0.0.1:9/x cannot be read"),
    ],
)
def test_an_address_that_cannot_be_used_is_told_in_a_sentence(
    built: Twice, address: str, status: int, words: str
) -> None:
    finished = push(built, address)
    assert (finished.status, len(finished.stderr.splitlines())) == (status, 1), finished.stderr
    assert words in finished.stderr
    assert "open-sesame" not in finished.stderr


@pytest.mark.skipif(importlib.util.find_spec("gcsfs") is not None, reason="gcsfs is installed")
def test_a_package_that_is_missing_is_named(built: Twice) -> None:
    finished = push(built, "gs://bucket/x", "--json")
    assert finished.status == 2
    assert "distill-build[gcs]" in finished.stderr
    assert json.loads(finished.stdout)["exit_code"] == 2
