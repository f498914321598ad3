"""The store: put if absent, groups, damage, other processes, and what it refuses to open."""

import asyncio
import json
import multiprocessing
import pickle
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from distill_build.engine.cache_directory import MARKER, CacheDirectory
from distill_build.engine.entry import Accepted, Attempt, Entry
from distill_build.engine.manifest import SCHEME
from distill_build.engine.store import Store, open_store
from distill_build.errors import CorruptEntryError, StorageError

KEY, OTHER = "ab" * 32, "cd" * 32
PATIENCE_SECONDS = 10.0


def entry(*replies: object, key: str = KEY, accepted: int | None = 0) -> Entry:
    attempts = tuple(Attempt(index, reply, 0.1, "now") for index, reply in enumerate(replies))
    stands = None if accepted is None else Accepted(accepted, replies[accepted])
    return Entry(key, {"stage": "answers"}, attempts, stands)


def put(store: Store, *written: Entry, displace: bool = False) -> list[Entry]:
    """Hands all over at once; what stands for each afterwards."""

    async def all_of_them() -> list[Entry]:
        waiting = [store.put(each, displace=displace) for each in written]
        return await asyncio.wait_for(asyncio.gather(*waiting), PATIENCE_SECONDS)

    return asyncio.run(all_of_them())


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def store(place: Path) -> Iterator[Store]:
    opened = Store(place)
    yield opened
    opened.close()


def test_what_was_put_is_there_for_whoever_opens_the_cache_next(place: Path) -> None:
    first = Store(place)
    put(first, entry("a reply"))
    first.close()
    second = Store(place)
    assert second.get(KEY) == entry("a reply")
    assert second.get(OTHER) is None
    second.close()


def test_who_comes_second_finds_what_stands_and_loses_nothing(store: Store) -> None:
    put(store, entry("first"))
    (standing,) = put(store, entry("second"))
    assert standing == store.get(KEY)
    assert standing.accepted == Accepted(0, "first")
    assert [attempt.response for attempt in standing.attempts] == ["first", "second"]


def test_a_reply_that_was_asked_for_anew_displaces_the_one_that_stood(store: Store) -> None:
    put(store, entry("first"))
    (standing,) = put(store, entry("second"), displace=True)
    assert standing.accepted == Accepted(1, "second")


def test_two_of_one_key_in_one_group_are_joined(store: Store) -> None:
    first, second = put(store, entry("first"), entry("second"))
    assert first.accepted == second.accepted == Accepted(0, "first")
    assert len(second.attempts) == 2


def test_a_large_group_is_stored_whole(store: Store) -> None:
    written = [entry(f"reply {n}", key=f"{n:064x}") for n in range(500)]
    put(store, *written)
    assert store.size()[0] == 500
    assert sorted(store.keys()) == [each.key for each in written]
    assert all(store.get(each.key) == each for each in written)


def test_a_reply_of_any_size_lies_in_the_database_where_a_commit_covers_it(place: Path, store: Store) -> None:
    large = entry("x" * 5_000_000)
    put(store, large)
    assert store.get(KEY) == large
    assert not list(place.rglob("*.val"))


def test_a_write_that_fails_takes_no_other_with_it_and_no_earlier_reply(store: Store) -> None:
    put(store, entry("x" * 200_000))

    async def together() -> list[object]:
        unwritable = Entry("other", {"stage": "tags", "body": object()}, ())
        writes = [store.put(unwritable), store.put(entry("second"))]
        return await asyncio.gather(*writes, return_exceptions=True)

    failed, written = asyncio.run(together())
    assert isinstance(failed, TypeError)
    assert isinstance(written, Entry)
    assert len(written.attempts) == 2
    assert store.get(KEY) == written


def test_a_new_reply_mends_a_damaged_entry(place: Path, store: Store) -> None:
    put(store, entry("first"))
    change_row(place, "value = x'00'")
    with pytest.raises(CorruptEntryError):
        store.get(KEY)
    put(store, entry("second"))
    assert store.get(KEY) == entry("second")


class Payload:
    """Would create a file if it were ever unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (self.file,)  # type: ignore[return-value]


def change_row(place: Path, assignment: str, *values: object) -> None:
    with sqlite3.connect(place / "cache.db") as database:
        assert database.execute(f"UPDATE Cache SET {assignment}", values).rowcount == 1  # noqa: S608 - ours
    database.close()


@pytest.mark.parametrize("mode", [3, 4], ids=["text", "pickle"])
def test_a_planted_value_is_corrupt_and_never_unpickled(tmp_path: Path, place: Path, store: Store, mode: int) -> None:
    put(store, entry("a reply"))
    change_row(place, "mode = ?, value = ?", mode, pickle.dumps(Payload(tmp_path / "owned")))
    with pytest.raises(CorruptEntryError):
        store.get(KEY)
    assert not (tmp_path / "owned").exists()


def test_a_planted_pickle_file_is_never_unpickled(tmp_path: Path, place: Path, store: Store) -> None:
    put(store, entry("a reply"))
    (place / "planted.val").write_bytes(pickle.dumps(Payload(tmp_path / "owned")))
    change_row(place, "mode = 4, value = NULL, filename = 'planted.val'")
    with pytest.raises(CorruptEntryError):
        store.get(KEY)
    assert not (tmp_path / "owned").exists()


def test_a_planted_pickled_key_is_refused_and_never_unpickled(tmp_path: Path, place: Path, store: Store) -> None:
    put(store, entry("a reply"))
    change_row(place, "raw = 0, key = ?", pickle.dumps(Payload(tmp_path / "owned")))
    with pytest.raises(StorageError):
        list(store.keys())
    assert not (tmp_path / "owned").exists()


def test_a_put_that_cannot_be_written_fails_its_caller_and_not_the_writer(store: Store) -> None:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - any exception but that of having waited in vain
        put(store, entry(object()))
    assert not isinstance(caught.value, TimeoutError), "the writer thread died, and its callers wait for ever"
    put(store, entry("a reply", key=OTHER))
    assert store.get(OTHER) is not None


def test_nothing_is_evicted_and_every_commit_is_synced(place: Path, store: Store) -> None:
    put(store, entry("a reply"))
    with sqlite3.connect(place / "cache.db") as database:
        settings = dict(database.execute("SELECT key, value FROM Settings").fetchall())
    database.close()
    assert (settings["eviction_policy"], settings["cull_limit"]) == ("none", 0)
    assert settings["size_limit"] >= 1 << 60
    assert settings["sqlite_synchronous"] == 2


def test_settings_that_somebody_changed_in_the_database_do_not_bring_eviction_back(place: Path) -> None:
    Store(place).close()
    with sqlite3.connect(place / "cache.db") as database:
        database.execute("UPDATE Settings SET value = 'least-recently-used' WHERE key = 'eviction_policy'")
        database.execute("UPDATE Settings SET value = 1000 WHERE key = 'size_limit'")
    database.close()
    again = Store(place)
    written = [entry("x" * 2000, key=f"{n:064x}") for n in range(50)]
    for each in written:
        put(again, each)
    assert again.size()[0] == 50
    again.close()


def write_many(place: Path, owner: int, count: int) -> None:
    """Another process's part of the test below."""
    opened = Store(place)
    for n in range(count):
        put(opened, entry(f"by {owner}", key=f"{n:064x}"))
    opened.close()


def test_two_processes_that_write_the_same_keys_agree_and_lose_no_reply(place: Path) -> None:
    count = 60
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=write_many, args=(place, owner, count)) for owner in (1, 2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert [writer.exitcode for writer in writers] == [0, 0]
    opened = Store(place)
    for n in range(count):
        found = opened.get(f"{n:064x}")
        assert found is not None
        assert sorted(attempt.response for attempt in found.attempts) == ["by 1", "by 2"]
        assert found.accepted == Accepted(0, found.attempts[0].response)
    opened.close()


def test_a_caller_that_gave_up_waiting_still_has_its_reply_stored(store: Store) -> None:
    async def give_up() -> None:
        waiting = store.put(entry("a reply"))
        waiting.cancel()
        await store.put(entry("another", key=OTHER))

    asyncio.run(give_up())
    assert store.get(KEY) == entry("a reply")


def test_closing_waits_for_what_was_handed_over(place: Path) -> None:
    opened = Store(place)

    async def hand_over() -> None:
        waiting = [opened.put(entry("a reply", key=f"{n:064x}")) for n in range(200)]
        opened.close()
        await asyncio.gather(*waiting)

    asyncio.run(asyncio.wait_for(hand_over(), PATIENCE_SECONDS))
    again = Store(place)
    assert again.size()[0] == 200
    again.close()


# The folder


def test_a_folder_of_something_else_is_left_alone(place: Path) -> None:
    place.mkdir()
    (place / "thesis.tex").write_text("mine")
    with pytest.raises(StorageError, match=r"set cache\.dir"):
        Store(place)
    assert [path.name for path in place.iterdir()] == ["thesis.tex"]


def test_an_empty_folder_is_taken(place: Path) -> None:
    place.mkdir()
    Store(place).close()
    assert json.loads((place / MARKER).read_text())["scheme"] == SCHEME


@pytest.mark.parametrize("scheme", [SCHEME + 1, 0, None, "1"])
def test_a_cache_of_another_scheme_is_left_alone(place: Path, scheme: object) -> None:
    place.mkdir()
    (place / MARKER).write_text(json.dumps({"scheme": scheme, "generation": "g"}))
    with pytest.raises(StorageError, match="scheme"):
        Store(place)
    assert not (place / "cache.db").exists()


@pytest.mark.parametrize("marker", ["", "{", "[]", "null", '{"scheme": 1}', "\x00\xff"])
def test_a_damaged_marker_is_a_sentence(place: Path, marker: str) -> None:
    place.mkdir()
    (place / MARKER).write_text(marker)
    with pytest.raises(StorageError):
        Store(place)


def test_a_marker_that_is_not_utf8_is_a_sentence(place: Path) -> None:
    place.mkdir()
    (place / MARKER).write_bytes(b"\xff\xfe{}")
    with pytest.raises(StorageError):
        Store(place)


@pytest.mark.parametrize("database", [b"this is no database" * 100, b"SQLite format 3\x00" + b"\xff" * 4096])
def test_a_damaged_database_is_a_sentence(place: Path, database: bytes) -> None:
    Store(place).close()
    (place / "cache.db").write_bytes(database)
    with pytest.raises(StorageError, match=r"is damaged|cannot be used"):
        Store(place)


def test_the_generation_changes_just_when_it_is_renewed(place: Path) -> None:
    directory = CacheDirectory(place)
    assert directory.generation() == ""
    directory.prepare()
    first = directory.generation()
    CacheDirectory(place).prepare()
    assert directory.generation() == first
    assert first != directory.renew_generation() == directory.generation()


# Another cache's entries, and forgetting


def test_uniting_adds_what_is_new_and_leaves_what_stands(store: Store) -> None:
    put(store, entry("ours"))
    assert store.unite([entry("theirs"), entry("another", key=OTHER)]) == 2
    united = store.get(KEY)
    assert united is not None
    assert [attempt.response for attempt in united.attempts] == ["ours", "theirs"]
    assert united.accepted == Accepted(0, "ours")
    assert store.get(OTHER) == entry("another", key=OTHER)
    assert store.unite([entry("theirs"), entry("another", key=OTHER)]) == 0
    assert store.get(KEY) == united


def test_uniting_mends_what_is_damaged_here(place: Path, store: Store) -> None:
    put(store, entry("ours"))
    change_row(place, "value = x'00'")
    assert store.unite([entry("theirs")]) == 1
    assert store.get(KEY) == entry("theirs")


def test_entries_are_united_together_or_not_at_all(store: Store) -> None:
    unwritable = Entry(OTHER, {"stage": "tags", "body": object()}, ())
    with pytest.raises(TypeError):
        store.unite([entry("first"), unwritable])
    assert list(store.keys()) == []


def test_uniting_reads_no_further_ahead_than_it_writes(store: Store) -> None:
    """A bundle is larger than memory: entries come as they are read, and a bad one takes its transaction along."""

    def damaged_bundle() -> Iterator[Entry]:
        yield entry("first")
        raise CorruptEntryError("the bundle is cut off")

    with pytest.raises(CorruptEntryError):
        store.unite(damaged_bundle())
    assert store.get(KEY) is None


def test_what_is_removed_is_gone_and_the_rest_stays(store: Store) -> None:
    put(store, entry("x" * 1000), entry("stays", key=OTHER))
    assert store.remove([[KEY, "00" * 32]]) == 1
    assert store.get(KEY) is None
    assert store.get(OTHER) == entry("stays", key=OTHER)
    assert store.remove([[KEY]]) == 0
    put(store, entry("again"))
    assert store.get(KEY) == entry("again")


def test_what_goes_is_noted_before_and_after_and_nothing_notes_nothing(store: Store) -> None:
    store.directory.prepare()
    generation = store.directory.generation()
    put(store, entry("first"), entry("second", key=OTHER))
    seen = [store.directory.losses()]

    def batches() -> Iterator[list[str]]:
        for key in (KEY, OTHER):
            yield [key]
            seen.append(store.directory.losses())

    assert store.remove([]) == 0
    assert store.directory.losses() == seen[0]
    assert store.remove(batches()) == 2
    before, during, still = seen
    assert len({before, during, store.directory.losses()}) == 3
    assert still == during
    assert store.directory.generation() == generation, "what is remembered stays right"
    assert generation != store.directory.renew_generation()
    assert store.directory.losses() not in seen


def test_a_disk_that_cannot_be_written_is_opened_for_reading_alone(place: Path, tmp_path: Path, store: Store) -> None:
    put(store, entry("a reply"))
    opened = open_store(place)
    assert isinstance(opened, Store)
    opened.close()
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        open_store(tmp_path / "file" / "below")


def test_git_leaves_a_cache_alone(tmp_path: Path) -> None:
    """It would put an old database back with another branch."""
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    open_store(tmp_path / "cache").close()
    told = subprocess.run(["git", "-C", str(tmp_path), "status", "--short"], check=True, capture_output=True, text=True)
    assert told.stdout == ""
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept/.gitignore").write_text("*\n!.gitignore\n")
    open_store(tmp_path / "kept").close()
    assert (tmp_path / "kept/.gitignore").read_text() == "*\n!.gitignore\n", "it is somebody's own"
