"""`cache fsck`: finds what is not as it was written, sets it aside with all its bytes, and says what it belongs to."""

import io
import json
import pickle
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, redirect_stdout
from pathlib import Path

import diskcache
import pytest

from distill_build.commands import cache_fsck
from distill_build.commands.cache import run
from distill_build.engine.entry import Attempt, Entry, encode
from distill_build.engine.manifest import digest
from distill_build.engine.reading import ReadOnlyStore
from distill_build.engine.store import Store
from distill_build.errors import StorageError
from distill_build.options import Options
from distill_build.versions.archive import Archive, Version
from distill_build.versions.snapshot import chunks_of
from tests.e2e.mounts import read_only
from tests.e2e.workspace import Finished, Workspace
from tests.server import Body, Fault, ScriptedServer, classify, content

CACHE = ".distill-cache"
TREE = ("topic=sports", "depth=2", "breadth=2", "questions_per_tag=2")
PRICES = ("model.prices.prompt=100", "model.prices.completion=200")
CALLS = 1 + 2 + 4 + 8
FSCK = ("cache", "fsck", "--cache-dir", CACHE)


def long_answers(_: int, body: Body) -> Fault | None:
    """Some answers are longer than a page of the database."""
    return content("word " * 3000) if classify(body) == "answers" and "1" in str(body["messages"]) else None


@pytest.fixture(scope="module")
def two_versions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """A project whose dataset has two versions; the first one holds half of the second. Not to be changed."""
    with ScriptedServer(plan=long_answers) as server:
        project = Workspace(tmp_path_factory.mktemp("project"), server)
        for breadth in (1, 2):
            assert project.run(*TREE, *PRICES, f"breadth={breadth}").status == 0
        yield project


@pytest.fixture
def project(two_versions: Workspace, tmp_path: Path) -> Workspace:
    """A copy of that project, whose dataset's folder is registered in its cache as where it was built."""
    shutil.copytree(two_versions.root, tmp_path, dirs_exist_ok=True)
    return Workspace(tmp_path, two_versions.server)


def fsck(project: Workspace, *flags: str) -> Finished:
    finished = project.raw(*FSCK, *flags)
    assert "Traceback" not in finished.stderr
    assert "this is a bug" not in finished.stderr
    return finished


def fsck_here(project: Workspace) -> tuple[int, str]:
    """Exit code and output of a fsck in this process, where none of its own is needed."""
    printed = io.StringIO()
    with redirect_stdout(printed):
        status = run(Options(arguments=("fsck",), cache_dir=str(project.root / CACHE)))
    return status, printed.getvalue()


def assert_sound(project: Workspace) -> None:
    status, printed = fsck_here(project)
    assert status == 0, printed
    assert "all is well" in printed


def database_of(project: Workspace) -> Path:
    return project.root / CACHE / "cache.db"


@contextmanager
def opened(project: Workspace) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(database_of(project))) as database, database:
        yield database


def keys(project: Workspace) -> set[str]:
    with opened(project) as database:
        return {key for (key,) in database.execute("SELECT key FROM Cache")}


def quarantined(project: Workspace, pattern: str) -> list[Path]:
    return sorted((project.root / CACHE / "quarantine").glob(f"*/{pattern}"))


def asked_again(project: Workspace) -> int:
    """How many requests a build from the cache alone has to send; it comes to the same bytes."""
    assert project.server is not None
    before, sent = project.bytes(), project.server.count
    assert project.run(*TREE, *PRICES, "name=again").status == 0
    artefacts = ("tags.jsonl", "questions.jsonl", "answers.jsonl")
    assert {name: project.bytes("again")[name] for name in artefacts} == {name: before[name] for name in artefacts}
    return project.server.count - sent


def flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def test_a_sound_cache_is_told_to_be_one_and_left_as_it_is(project: Workspace) -> None:
    before = {path: path.read_bytes() for path in (project.root / CACHE).rglob("*.json")}
    document = fsck(project, "--json").document
    assert (document["sound"], document["checked"]["call"], document["checked"]["version"]) == (True, CALLS, 2)
    assert document["checked"]["object"] > 0
    assert_sound(project)
    assert {path: path.read_bytes() for path in (project.root / CACHE).rglob("*.json")} == before
    assert not (project.root / CACHE / "quarantine").exists()


# Responses


def test_a_flipped_bit_in_a_value_is_set_aside_with_the_item_that_it_hits(project: Workspace) -> None:
    answer = project.rows("answers")[-1]
    with opened(project) as database:
        (value,) = database.execute("SELECT value FROM Cache WHERE key = ?", (answer["call"],)).fetchone()
        database.execute("UPDATE Cache SET value = ? WHERE key = ?", (flipped(value), answer["call"]))
    found = fsck(project)
    assert found.status == 5
    assert "1 call " in found.stdout
    for word in (answer["id"], " / ".join(answer["path"]), "sports", "asks again (1 call, about $"):
        assert word in found.stdout
    assert [path.read_bytes() for path in quarantined(project, f"calls/{answer['call']}")] == [flipped(value)]
    (report,) = quarantined(project, "fsck.json")
    (hit,) = json.loads(report.read_text())["hits"]
    assert (hit["item"], hit["path"], hit["dataset"]) == (answer["id"], answer["path"], "sports")
    assert_sound(project)
    assert asked_again(project) == 1


def test_an_entry_under_the_key_of_another_is_found(project: Workspace) -> None:
    """Its checksum is right, so nobody else would notice that it answers another question."""
    first, second = (row["call"] for row in project.rows("answers")[:2])
    with opened(project) as database:
        database.execute(
            "UPDATE Cache SET value = (SELECT value FROM Cache WHERE key = ?) WHERE key = ?", (first, second)
        )
    document = fsck(project, "--json").document
    assert [(damage["kind"], damage["name"]) for damage in document["damage"]] == [("call", second)]
    assert keys(project) & {first, second} == {first}


Damage = Callable[[Path], None]


def overwritten_header(database: Path) -> None:
    database.write_bytes(b"\xff" * 100 + database.read_bytes()[100:])


def overwritten_root(database: Path) -> None:
    """The inner page from which all rows are found."""
    with closing(sqlite3.connect(database)) as opened_database:
        (page,) = opened_database.execute("SELECT rootpage FROM sqlite_master WHERE name = 'Cache'").fetchone()
    with database.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\x00" * 512)


def flipped_page_type(database: Path) -> None:
    """One bit of a leaf: what is in it cannot be found any more."""
    data = bytearray(database.read_bytes())
    leaves = [place for place in range(4096, len(data), 4096) if data[place] == 0x0D]
    data[leaves[len(leaves) // 2]] ^= 1
    database.write_bytes(bytes(data))


def cut(database: Path) -> None:
    data = database.read_bytes()
    database.write_bytes(data[: len(data) * 2 // 3 // 4096 * 4096])


@pytest.mark.parametrize(
    ("damage", "all_can_be_read"),
    [(overwritten_header, True), (overwritten_root, True), (flipped_page_type, False), (cut, False)],
)
def test_of_a_damaged_database_everything_is_saved_that_can_be_read(
    project: Workspace, damage: Damage, *, all_can_be_read: bool
) -> None:
    before = keys(project)
    damage(database_of(project))
    damaged = database_of(project).read_bytes()
    found = fsck(project)
    assert found.status == 5, found.stdout + found.stderr
    saved = keys(project)
    assert saved <= before
    assert len(saved) > 0
    assert (saved == before) == all_can_be_read
    assert f"new database was made of the {len(saved)}" in found.stdout
    assert [path.read_bytes() for path in quarantined(project, "database/cache.db")] == [damaged]
    lost = json.loads(quarantined(project, "fsck.json")[0].read_text())
    assert {each["name"] for each in lost["damage"] if each["kind"] == "call"} == before - saved
    assert {hit["damage"] for hit in lost["hits"]} == before - saved
    assert_sound(project)
    if not all_can_be_read:
        assert asked_again(project) == len(before - saved)


def test_what_is_only_in_the_write_ahead_log_is_saved_too(project: Workspace) -> None:
    """As a power cut leaves it: committed, and not yet in the database itself."""
    folder, copy = project.root / CACHE, project.root / "copy"
    manifest = {"stage": "answers", "body": {"model": "m"}}
    late = Entry(digest(manifest), manifest, (Attempt(0, "late", 1.0, "2026-01-01T00:00:00+00:00"),))
    with closing(sqlite3.connect(database_of(project))) as other:
        other.execute("SELECT 1 FROM Cache").fetchone()  # who is not the last to close leaves the log as it is
        store = Store(folder)
        store.unite([late])
        store.close()
        shutil.copytree(folder, copy)
    shutil.rmtree(folder)
    copy.rename(folder)
    (folder / "cache.db-shm").unlink()
    flipped_page_type(database_of(project))
    assert late.key.encode() not in database_of(project).read_bytes()
    assert fsck(project).status == 5
    assert late.key in keys(project)
    assert_sound(project)


class KilledError(Exception):
    """Stands for a kill: nothing in the program catches it."""


def kill_fsck(project: Workspace, moment: str) -> None:
    """Ends a fsck right before it writes, moves or removes the file or folder named `moment`."""
    with pytest.MonkeyPatch.context() as patch:
        for place, name in ((Path, "replace"), (Path, "unlink"), (shutil, "rmtree")):
            patch.setattr(place, name, _unless(moment, getattr(place, name)))
        with pytest.raises(KilledError):
            fsck_here(project)


def _unless(moment: str, step: Callable[..., object]) -> Callable[..., object]:
    def stepped(path: Path, *more: object, **others: object) -> object:
        if path.name == moment:
            raise KilledError
        return step(path, *more, **others)

    return stepped


JOURNAL = "replacing.json"
MOMENTS = [f".{JOURNAL}.new", "empty", "cache.db", JOURNAL, "new"]
"""The journal is written, the empty log and the database are moved, the journal and the folder are removed."""


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_fsck_lets_nobody_write_to_what_it_replaces_and_the_next_ends_it(
    project: Workspace, moment: str
) -> None:
    cache, before = project.root / CACHE, keys(project)
    flipped_page_type(database_of(project))
    kill_fsck(project, moment)
    assert (cache / JOURNAL).exists() == (moment in MOMENTS[1:4])
    if (cache / JOURNAL).exists():
        for opening in (Store, ReadOnlyStore):
            with pytest.raises(StorageError, match=r"a fsck of the cache .* was interrupted: run `distill-build cache"):
                opening(cache)
    status, printed = fsck_here(project)
    if moment == "new":  # all had been done
        assert status == 0, printed
    else:
        assert status == 5, printed
        lost = before - keys(project)
        assert lost
        assert all(f"cache entry {key[:12]} is not in what could be read of the database" in printed for key in lost)
    assert not quarantined(project, "new")
    assert_sound(project)


@pytest.mark.parametrize("again", [False, True])
def test_a_database_that_a_killed_fsck_had_made_ready_does_not_displace_what_came_meanwhile(
    project: Workspace, *, again: bool
) -> None:
    sound, before = database_of(project).read_bytes(), keys(project)
    cut(database_of(project))
    kill_fsck(project, "empty")
    database_of(project).write_bytes(sound)  # a backup, say
    if again:
        kill_fsck(project, "new")
        quarantined(project, "new/empty")[0].unlink()  # so far it came
    assert_sound(project)
    assert keys(project) == before


def test_where_a_killed_fsck_cannot_be_ended_it_is_told_and_left(
    project: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    overwritten_header(database_of(project))
    kill_fsck(project, "cache.db")
    before = {path: path.read_bytes() for path in (project.root / CACHE).rglob("*") if path.is_file()}
    monkeypatch.setattr(cache_fsck, "writable", lambda _: False)
    status, printed = fsck_here(project)
    assert status == 5
    assert "a fsck was interrupted: run it again where the cache can be written" in printed
    assert {path: path.read_bytes() for path in (project.root / CACHE).rglob("*") if path.is_file()} == before


def test_calls_of_another_scheme_come_into_the_new_database_byte_for_byte(
    project: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = {"stage": "answers", "body": {"model": "m"}}
    later = Entry(digest(manifest), manifest, (Attempt(0, "later", 1.0, "2026-01-01T00:00:00+00:00"),))
    with monkeypatch.context() as patch:
        patch.setattr("distill_build.engine.entry.SCHEME", 99)
        stored = encode(later)
    with opened(project) as database:
        database.execute("INSERT INTO Cache (key, raw, tag, mode, value) VALUES (?, 1, 'x', 1, ?)", (later.key, stored))
    whole = "SELECT key, raw, tag, mode, filename, value, size FROM Cache WHERE key = ?"
    with opened(project) as database:
        row = database.execute(whole, (later.key,)).fetchone()
    overwritten_header(database_of(project))
    status, printed = fsck_here(project)
    assert status == 5
    assert f"new database was made of the {CALLS + 1}" in printed
    assert "left as found: 1 call of a scheme that is not known here" in printed
    with opened(project) as database:
        assert database.execute(whole, (later.key,)).fetchone() == row
    assert len(keys(project)) == CALLS + 1
    assert_sound(project)


# Value files: this program writes none, but caches of other versions may hold some.


def in_files(project: Workspace) -> dict[str, Path]:
    """Moves the responses of the answers into files of their own, as diskcache does with large values."""
    calls = [row["call"] for row in project.rows("answers")]
    cache = diskcache.Cache(str(project.root / CACHE), disk_min_file_size=0)
    for call in calls:
        cache.set(call, cache.get(call), tag="answers")
    cache.close()
    with opened(project) as database:
        rows = dict(database.execute("SELECT key, filename FROM Cache WHERE mode = 2"))
    assert set(rows) == set(calls)
    return {call: project.root / CACHE / rows[call] for call in calls}


def test_value_files_that_are_damaged_cut_or_gone_are_set_aside_and_the_others_stay(project: Workspace) -> None:
    files = in_files(project)
    assert_sound(project)
    bad, cut_off, gone, *good = files
    files[bad].write_bytes(flipped(files[bad].read_bytes()))
    files[cut_off].write_bytes(files[cut_off].read_bytes()[:50])
    files[gone].unlink()
    found = fsck(project, "--json")
    assert found.status == 5
    assert {damage["name"] for damage in found.document["damage"]} == {bad, cut_off, gone}
    assert len(quarantined(project, "calls/*.val")) == 2
    assert all(files[call].exists() for call in good)
    assert project.raw("cache", "gc", "--cache-dir", CACHE).status == 0
    assert_sound(project)
    assert len(keys(project)) == CALLS - 3


# Versions


def newest(project: Workspace) -> Version:
    archive = Archive(project.root / CACHE)
    return max((archive.record(digest) for digest in archive.record_digests()), key=lambda record: record.at)


def oldest_chunk(project: Workspace) -> Path:
    """A piece of the first version that the files in the dataset's folder do not hold."""
    archive = Archive(project.root / CACHE)
    records = sorted((archive.record(digest) for digest in archive.record_digests()), key=lambda record: record.at)
    older, newer = (set(chunks_of(archive.objects, record.files["answers.jsonl"])) for record in records)
    return archive.objects.place(min(older - newer))


@pytest.mark.parametrize("damage", ["flipped", "cut", "gone"])
def test_a_damaged_object_is_told_with_the_version_and_file_it_is_a_piece_of(project: Workspace, damage: str) -> None:
    path = oldest_chunk(project)
    data = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(flipped(data) if damage == "flipped" else data[:-3])
    for _ in range(2):
        found = fsck(project)
        assert found.status == 5, "it stays a version that cannot be had"
        assert "answers.jsonl (sports" in found.stdout
        assert "cache pull or cache import" in found.stdout
    assert len(quarantined(project, "objects/*")) == (damage != "gone")
    path.write_bytes(data)
    assert_sound(project)


def test_objects_of_the_dataset_as_it_is_are_made_anew_from_its_files(project: Workspace) -> None:
    archive = Archive(project.root / CACHE)
    chunks = newest(project).files["answers.jsonl"].chunks
    places = [
        archive.objects.place(chunks),
        *map(archive.objects.place, chunks_of(archive.objects, newest(project).files["answers.jsonl"])),
    ]
    for place in places:
        place.write_bytes(b"noise")
    found = fsck(project)
    assert found.status == 5
    assert found.stdout.count("made anew") == len(places)
    assert_sound(project)


def test_a_damaged_record_is_set_aside_and_the_other_versions_are_listed_as_before(project: Workspace) -> None:
    archive = Archive(project.root / CACHE)
    (root,) = archive.all_roots()
    record = archive.record_file(root.versions[0])
    record.write_bytes(record.read_bytes()[:-1])
    assert fsck(project).status == 5
    assert not record.exists()
    assert len(quarantined(project, "versions/*.json")) == 1
    assert archive.all_roots()[0].versions == root.versions[1:]
    assert_sound(project)


def test_a_list_of_versions_and_a_marker_that_cannot_be_read_are_set_aside(project: Workspace) -> None:
    cache = project.root / CACHE
    for path in (next((cache / "datasets").glob("*.json")), cache / "distill-cache.json"):
        path.write_text("{")
        assert fsck(project).status == 5
        assert_sound(project)
    assert project.run(*TREE, *PRICES, "name=again", "--offline").status == 0


# What is not ours


def test_a_cache_of_an_unknown_scheme_and_a_folder_of_something_else_are_refused(project: Workspace) -> None:
    marker = project.root / CACHE / "distill-cache.json"
    marker.write_text(json.dumps(json.loads(marker.read_text()) | {"scheme": 99}))
    for verb in ("fsck", "gc", "stats"):
        refused = project.raw("cache", verb, "--cache-dir", CACHE)
        assert (refused.status, refused.stdout) == (5, "")
        assert "scheme 99" in refused.stderr
    (project.root / "thesis").mkdir()
    (project.root / "thesis" / "chapter1.tex").write_text("mine")
    for verb in ("fsck", "gc", "stats"):
        assert project.raw("cache", verb, "--cache-dir", "thesis").status == 2
    assert [path.name for path in (project.root / "thesis").iterdir()] == ["chapter1.tex"]


class Payload:
    """Would create a file if it were ever unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.file,)


def test_planted_pickles_are_never_loaded(project: Workspace) -> None:
    """As a value, as a key, and in a file of its own."""
    owned = project.root / "owned"
    planted = pickle.dumps(Payload(owned))
    pickle.loads(planted)  # noqa: S301 - shows that it would work
    owned.unlink()
    first, second = (row["call"] for row in project.rows("answers")[:2])
    file = project.root / CACHE / "ab" / "cd" / f"{'e' * 28}.val"
    file.parent.mkdir(parents=True)
    file.write_bytes(planted)
    with opened(project) as database:
        database.execute("UPDATE Cache SET mode = 4, value = ? WHERE key = ?", (planted, first))
        database.execute(
            "UPDATE Cache SET mode = 4, value = NULL, filename = ? WHERE key = ?", (f"ab/cd/{'e' * 28}.val", second)
        )
        database.execute("INSERT INTO Cache (key, raw, mode, value) VALUES (?, 0, 4, ?)", (planted, planted))
    assert project.raw("cache", "stats", "--cache-dir", CACHE).status == 0
    assert project.raw("cache", "gc", "--cache-dir", CACHE, "--older-than", "0d").status == 0
    assert project.run(*TREE, "name=again", "--offline").status == 5
    found = fsck(project, "--json")
    assert (found.status, len(found.document["damage"])) == (5, 3)
    assert len([path for path in quarantined(project, "calls/*") if path.read_bytes() == planted]) >= 2
    assert not owned.exists()
    assert_sound(project)
    assert len(keys(project)) == CALLS - 2


# Where nothing may be changed


def test_a_cache_that_cannot_be_written_is_checked_and_left_as_it_is(project: Workspace) -> None:
    cache = project.root / CACHE
    with opened(project) as database:
        database.execute("UPDATE Cache SET value = x'00' WHERE key = ?", (project.rows("answers")[0]["call"],))
    before = {path: path.read_bytes() for path in cache.rglob("*") if path.is_file()}
    with read_only(cache):
        found = fsck(project)
    assert (found.status, found.stdout.count("cannot be written")) == (5, 1)
    assert {path: path.read_bytes() for path in cache.rglob("*") if path.is_file()} == before
