"""The read-only store reads what the store wrote, sees what is being written, and changes nothing."""

import asyncio
import pickle
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import diskcache
import pytest

from distill_build.engine.entry import Accepted, Attempt, Entry, encode
from distill_build.engine.reading import ReadOnlyStore
from distill_build.engine.rows import DATABASE
from distill_build.engine.store import Store
from distill_build.errors import CorruptEntryError, StorageError

KEYS = [f"{number:064x}" for number in (3, 1, 2)]


def entry(key: str, reply: str = "a reply") -> Entry:
    return Entry(key, {"stage": "answers"}, (Attempt(0, reply, 0.1, "now"),), Accepted(0, reply))


def put(store: Store, *written: Entry) -> None:
    async def all_of_them() -> None:
        await asyncio.gather(*(store.put(each) for each in written))

    asyncio.run(all_of_them())


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A cache with three entries, closed."""
    place = tmp_path / "a cache? #1 with 50%"
    store = Store(place)
    put(store, *map(entry, KEYS))
    store.close()
    return place


@pytest.fixture
def reading(cache: Path) -> Iterator[ReadOnlyStore]:
    opened = ReadOnlyStore(cache)
    yield opened
    opened.close()


def contents(folder: Path) -> dict[str, bytes]:
    """The files that last; SQLite's own shared memory is made by whoever reads beside a writer."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(("-shm", "-wal")))
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_it_reads_what_the_store_wrote(cache: Path, reading: ReadOnlyStore) -> None:
    store = Store(cache)
    assert list(reading.keys()) == list(store.keys()) == KEYS
    assert [reading.get(key) for key in KEYS] == [store.get(key) for key in KEYS] == list(map(entry, KEYS))
    assert reading.get("00" * 32) is None
    assert reading.stored(KEYS[0]) == encode(entry(KEYS[0]))
    assert reading.stored("00" * 32) is None
    assert reading.size()[0] == store.size()[0] == 3
    store.close()


def test_reading_changes_no_byte_of_the_cache(cache: Path) -> None:
    before = contents(cache)
    opened = ReadOnlyStore(cache)
    assert list(map(opened.get, opened.keys()))
    opened.size()
    opened.close()
    assert contents(cache) == before


def test_it_sees_what_another_process_stores_meanwhile(cache: Path, reading: ReadOnlyStore) -> None:
    assert reading.get("ff" * 32) is None
    store = Store(cache)
    put(store, entry("ff" * 32))
    assert reading.get("ff" * 32) == entry("ff" * 32)
    store.close()
    assert reading.get("ff" * 32) == entry("ff" * 32)


def test_it_cannot_write(reading: ReadOnlyStore) -> None:
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reading._database.execute("DELETE FROM Cache")


def change(cache: Path, assignment: str, *values: object) -> None:
    with sqlite3.connect(cache / DATABASE) as database:
        changed = database.execute(f"UPDATE Cache SET {assignment} WHERE key = ?", (*values, KEYS[0]))  # noqa: S608
        assert changed.rowcount == 1
    database.close()


class Payload:
    """Would create a file if it were ever unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.file,)


@pytest.mark.parametrize("mode", [3, 4], ids=["text", "pickle"])
def test_a_planted_value_is_damage_and_never_unpickled(tmp_path: Path, cache: Path, mode: int) -> None:
    change(cache, "mode = ?, value = ?", mode, pickle.dumps(Payload(tmp_path / "owned")))
    opened = ReadOnlyStore(cache)
    with pytest.raises(CorruptEntryError):
        opened.get(KEYS[0])
    assert opened.get(KEYS[1]) == entry(KEYS[1])
    opened.close()
    assert not (tmp_path / "owned").exists()


def test_a_planted_key_is_no_key_and_never_unpickled(tmp_path: Path, cache: Path) -> None:
    change(cache, "raw = 0, key = ?", pickle.dumps(Payload(tmp_path / "owned")))
    opened = ReadOnlyStore(cache)
    assert list(opened.keys()) == KEYS[1:]
    opened.close()
    assert not (tmp_path / "owned").exists()


def test_a_value_in_a_file_of_its_own_is_read_and_its_loss_is_damage(tmp_path: Path) -> None:
    """As diskcache stores large values where it is not told otherwise."""
    cache = tmp_path / "theirs"
    Store(cache).close()
    theirs = diskcache.Cache(str(cache), disk_min_file_size=16)
    theirs[KEYS[0]] = encode(entry(KEYS[0], "x" * 1000))
    theirs.close()
    opened = ReadOnlyStore(cache)
    assert opened.get(KEYS[0]) == entry(KEYS[0], "x" * 1000)
    (value,) = cache.rglob("*.val")
    value.write_bytes(value.read_bytes()[:-1])
    with pytest.raises(CorruptEntryError):
        opened.get(KEYS[0])
    value.unlink()
    with pytest.raises(CorruptEntryError):
        opened.get(KEYS[0])
    opened.close()


def test_a_name_of_a_value_file_that_leads_out_of_the_cache_is_damage(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "secret").write_bytes(encode(entry(KEYS[0])))
    change(cache, "mode = 2, value = NULL, filename = '../secret'")
    opened = ReadOnlyStore(cache)
    with pytest.raises(CorruptEntryError):
        opened.get(KEYS[0])
    opened.close()


@pytest.mark.parametrize("kept", [0, 100, 5000])
def test_a_database_that_is_cut_off_is_a_sentence(cache: Path, kept: int) -> None:
    (cache / DATABASE).write_bytes((cache / DATABASE).read_bytes()[:kept])
    with pytest.raises(StorageError, match=r"damaged|holds no database"):
        ReadOnlyStore(cache).get(KEYS[0])


def test_a_place_without_a_cache_is_a_sentence_and_stays_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="no cache at"):
        ReadOnlyStore(tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()
    Store(tmp_path / "empty").close()
    (tmp_path / "empty" / DATABASE).unlink()
    with pytest.raises(StorageError, match="no database"):
        ReadOnlyStore(tmp_path / "empty")
    assert not (tmp_path / "empty" / DATABASE).exists()
