"""`cache export` and `cache import`: one file carries a cache, whole or by version, and nothing damaged comes in."""

import hashlib
import os
import pickle
import shutil
import signal
import sqlite3
import subprocess
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from distill_build.cache.transfer.bundle import Record, read_bundle
from distill_build.engine.lock import unused
from distill_build.engine.store import Store
from tests.cache.carried import bundle, call, record
from tests.e2e.carrying.machines import CALLS, Machine, Twice
from tests.e2e.mounts import read_only
from tests.e2e.workspace import Finished


@pytest.fixture(scope="module")
def whole(built: Twice, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of all of machine A's cache."""
    target = tmp_path_factory.mktemp("bundle") / "cache.bundle"
    assert built.machine.workspace.raw("cache", "export", str(target)).status == 0
    return target


def assert_refused(finished: Finished, *words: str) -> None:
    """Exit 5 with a sentence that holds these words."""
    assert finished.status == 5, (finished.status, finished.stderr)
    assert "Traceback" not in finished.stderr
    assert "bug" not in finished.stderr
    for word in words:
        assert word in finished.stderr


# Carried whole, by dataset and by version


def test_a_bundle_gives_another_machine_the_same_bytes_without_a_request(
    built: Twice, whole: Path, other: Machine
) -> None:
    imported = other.workspace.raw("cache", "import", str(whole), "--json")
    assert imported.status == 0
    new = imported.document["new"]
    assert (new["calls"], new["versions"]) == (len(built.machine.entries()), 2)
    assert other.entries() == built.machine.entries()
    other.clone(built.second)
    assert other.frozen() == built.second


def test_importing_says_what_was_new_and_what_it_had_cost(built: Twice, whole: Path, other: Machine) -> None:
    document = other.workspace.raw("cache", "import", str(whole), "--json").document
    attempts = [attempt for entry in built.machine.entries().values() for attempt in entry.attempts]
    priced = [attempt.usd for attempt in attempts if attempt.usd is not None]
    assert len(priced) == CALLS
    assert document["usd"] == pytest.approx(sum(priced))
    assert document["unpriced"] == len(attempts) - CALLS
    again = other.workspace.raw("cache", "import", str(whole))
    assert "nothing new" in again.stdout
    assert other.workspace.raw("cache", "import", str(whole), "-q").stdout == ""


def test_one_version_is_carried_with_its_own_responses_though_others_stand_by_now(built: Twice, other: Machine) -> None:
    target = other.workspace.root / "first.bundle"
    exported = built.machine.workspace.raw("cache", "export", str(target), "latest~1", "--json")
    assert exported.document["calls"] == exported.document["responses"] == CALLS
    assert other.workspace.raw("cache", "import", "first.bundle").status == 0
    other.clone(built.first)
    assert other.frozen() == built.first


def test_a_dataset_is_carried_without_what_others_have_in_the_same_cache(
    built: Twice, whole: Path, other: Machine
) -> None:
    other.clone(built.second)
    assert other.workspace.run("topic=chess", "depth=1", "breadth=1", "questions_per_tag=1").status == 0
    assert other.workspace.raw("cache", "import", str(whole)).status == 0
    document = other.workspace.raw("cache", "export", "x.bundle", "-o", "sports", "--json").document
    assert (document["calls"], document["versions"]) == (len(built.machine.entries()), 2)
    assert other.workspace.raw("cache", "export", "x.bundle", "--json").document["versions"] == 3


def test_the_same_cache_gives_the_same_file(built: Twice, whole: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.bundle"
    assert built.machine.workspace.raw("cache", "export", str(again)).status == 0
    assert again.read_bytes() == whole.read_bytes()


def test_what_stands_on_the_other_machine_goes_on_standing(built: Twice, whole: Path, other: Machine) -> None:
    """A asked again for what B has too: B gets A's responses and keeps to its own."""
    b = other
    shutil.copytree(built.before, b.cache)
    before, theirs = b.entries(), built.machine.entries()
    assert b.workspace.raw("cache", "import", str(whole)).status == 0
    after = b.entries()
    assert after.keys() == theirs.keys()
    renewed = [key for key in before if theirs[key].response != before[key].response]
    assert renewed
    for key in renewed:
        assert after[key].response == before[key].response
        assert theirs[key].response in {attempt.digest for attempt in after[key].attempts}
    assert len(b.versions()) == 2


# Files in the way, and what lacks


def test_an_export_replaces_a_bundle_and_nothing_else(built: Twice, whole: Path, tmp_path: Path) -> None:
    precious = tmp_path / "answers.jsonl"
    precious.write_text("precious")
    refused = built.machine.workspace.raw("cache", "export", str(precious))
    assert (refused.status, precious.read_text()) == (2, "precious")
    old = tmp_path / "old.bundle"
    old.write_bytes(bundle())
    assert built.machine.workspace.raw("cache", "export", str(old)).status == 0
    assert old.read_bytes() == whole.read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"answers.jsonl", "old.bundle"}


def test_an_export_says_which_part_of_a_version_is_gone_or_damaged(built: Twice, whole: Path, other: Machine) -> None:
    a = other
    shutil.copytree(built.machine.cache, a.cache)
    gone, damaged, *_ = [key for key, entry in a.entries().items() if entry.manifest["stage"] == "answers"][-4:]
    store = Store(a.cache)
    store.remove([[gone]])
    store.close()
    with sqlite3.connect(a.cache / "cache.db") as database:
        database.execute("UPDATE Cache SET value = CAST(substr(value, 1, 90) AS BLOB) WHERE key = ?", (damaged,))
    exported = a.workspace.raw("cache", "export", "part.bundle", built.version, "--json")
    assert_refused(exported, "1 can no longer be found", "damaged parts: 1", damaged[:12])
    assert (exported.document["calls"], exported.document["missing"]) == (CALLS - 2, 1)
    objects = sorted((a.cache / "objects").glob("*/*"))
    broken = next(path for path in objects if zlib.decompress(path.read_bytes()).startswith(b'{"id":'))  # rows
    broken.write_bytes(broken.read_bytes()[:-1])
    assert_refused(a.workspace.raw("cache", "export", "all.bundle"), "damaged parts: 2")
    assert a.workspace.raw("cache", "import", str(whole)).status == 0
    assert a.entries() == built.machine.entries()
    assert a.workspace.raw("cache", "export", "all.bundle").status == 0


# Damage and malice


@pytest.mark.parametrize("damage", ["flipped", "cut off", "goes on"])
def test_a_damaged_bundle_brings_no_version_and_a_good_one_then_all(
    built: Twice, whole: Path, other: Machine, damage: str
) -> None:
    data = bytearray(whole.read_bytes())
    if damage == "flipped":
        data[len(data) // 2] ^= 1
    changed = {"flipped": data, "cut off": data[:-9], "goes on": data + b"\0"}[damage]
    (other.workspace.root / "bad.bundle").write_bytes(changed)
    assert_refused(other.workspace.raw("cache", "import", "bad.bundle"), "bad.bundle")
    assert other.versions() == []
    assert other.entries().items() <= built.machine.entries().items()
    assert other.workspace.raw("cache", "import", str(whole)).status == 0
    assert other.entries() == built.machine.entries()
    assert len(other.versions()) == 2


def checksum(data: bytes) -> bytes:
    return hashlib.sha256(data).hexdigest().encode()


class Planted:
    """Whoever unpickles it makes a file."""

    def __init__(self, place: Path) -> None:
        self._place = place

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (self._place,)  # type: ignore[return-value]


def test_a_planted_pickle_is_never_loaded(other: Machine, tmp_path: Path) -> None:
    trap = tmp_path / "sprung"
    pickled = pickle.dumps(Planted(trap))
    entry = call(1)
    plants = {"file": pickled, "entry": bundle(Record("call", entry.key, checksum(pickled) + b"\n" + pickled))}
    for name, data in plants.items():
        (other.workspace.root / name).write_bytes(data)
        assert_refused(other.workspace.raw("cache", "import", name))
    assert other.workspace.raw("cache", "stats").status == 0
    assert not trap.exists()
    pickle.loads(pickled)  # noqa: S301 - the trap works
    assert trap.exists()


def test_no_cache_is_made_for_what_is_no_bundle(other: Machine) -> None:
    assert_refused(other.workspace.raw("cache", "import", __file__), "no bundle")
    assert not other.cache.exists()


def test_a_version_whose_content_is_not_in_the_bundle_is_not_taken(whole: Path, other: Machine) -> None:
    with whole.open("rb") as file:
        records = list(read_bundle(file, "whole"))
    (other.workspace.root / "x").write_bytes(bundle(*[each for each in records if each.kind != "object"]))
    assert_refused(other.workspace.raw("cache", "import", "x"), "not taken")
    assert other.versions() == []


# A kill in the middle


@contextmanager
def importing(machine: Machine, fifo: Path) -> Iterator["subprocess.Popen[str]"]:
    with machine.workspace.start("cache", "import", str(fifo)) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_killed_import_leaves_a_good_cache_and_the_next_one_completes_it(
    built: Twice, whole: Path, other: Machine
) -> None:
    """The bundle comes through a pipe that dries up after more than one batch; versions stand early in it."""
    with whole.open("rb") as file:
        records = list(read_bundle(file, "whole"))
    many = [record(call(number)) for number in range(1300)]
    data = bundle(*records, *many)
    fifo = other.workspace.root / "fifo"
    os.mkfifo(fifo)
    with importing(other, fifo) as process, fifo.open("wb") as pipe:
        pipe.write(data[: len(data) * 9 // 10])
        pipe.flush()
        other.wait_for_calls(500)
        with unused(other.cache) as nobody_uses_it:
            assert not nobody_uses_it, "gc could clean under an import"
        assert process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert other.versions() == []
    assert 500 <= len(other.entries()) < 1300 + len(built.machine.entries())
    (other.workspace.root / "many.bundle").write_bytes(data)
    assert other.workspace.raw("cache", "import", "many.bundle").status == 0
    assert len(other.entries()) == 1300 + len(built.machine.entries())
    other.clone(built.second)
    assert other.frozen() == built.second


def test_a_cache_on_a_read_only_disk_can_be_exported(built: Twice, whole: Path, tmp_path: Path) -> None:
    target = tmp_path / "x.bundle"
    with read_only(built.machine.cache):
        finished = built.machine.workspace.raw("cache", "export", str(target))
        assert (finished.status, target.read_bytes()) == (0, whole.read_bytes())
        assert_refused(built.machine.workspace.raw("cache", "import", str(target)))


def test_a_version_is_exported_beside_a_damaged_record_of_another(built: Twice, tmp_path: Path) -> None:
    stranger = built.machine.cache / "versions" / f"{'a' * 64}.json"
    stranger.write_bytes(b"{}")
    try:
        done = built.machine.workspace.raw("cache", "export", str(tmp_path / "one.bundle"), "latest")
    finally:
        stranger.unlink()
    assert (done.status, done.stderr) == (0, "")
