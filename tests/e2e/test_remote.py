"""`cache push` and `cache pull`: through a folder, which stands for any address; S3 has a file of its own."""

import importlib.util
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from distill_build.cache.packs import in_packs
from tests.cache.carried import call, record
from tests.e2e.carrying import Machine, Twice
from tests.e2e.workspace import Finished
from tests.server import ScriptedServer


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        yield running


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, server: ScriptedServer) -> Twice:
    """Machine A, to be read only."""
    return Twice.build(tmp_path_factory.mktemp("built"), server)


@pytest.fixture
def other(tmp_path: Path, server: ScriptedServer) -> Machine:
    """Machine B, which has nothing yet."""
    return Machine.at(tmp_path / "b", server)


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


def test_a_damaged_pack_is_named_the_rest_is_fetched_and_another_push_mends_it(
    built: Twice, remote: tuple[Path, set[str], set[str]], other: Machine
) -> None:
    folder, _, second = remote
    largest = max(second, key=lambda name: (folder / name).stat().st_size)
    data = bytearray((folder / largest).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / largest).write_bytes(data)
    pulled = pull(other, folder.as_uri(), "--json")
    assert pulled.status == 5
    assert largest in pulled.stderr
    assert other.versions() == built.machine.versions()[:1], "a version came without what it is made of"
    assert 0 < len(other.entries()) < len(built.machine.entries())
    (folder / largest).unlink()
    assert pull(other, folder.as_uri()).status == 5
    assert push(built, folder.as_uri()).status == 0
    mended = pull(other, folder.as_uri())
    assert mended.status == 0, mended.stderr
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


def test_large_calls_travel_in_several_packs() -> None:
    records = [(record(each), each) for each in (call(number, size=6 << 20) for number in range(5))]
    assert [len(pack.index.calls) for pack in in_packs(records)] == [3, 2]


@pytest.mark.parametrize(
    ("address", "status", "words"),
    [
        ("s3:/bucket", 2, "is no address"),
        ("nosuch://place", 2, "nosuch"),
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
