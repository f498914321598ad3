"""Objects: the same bytes lie there once, damage is noticed, and a file that was never finished is no object."""

import hashlib
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from distill_build.engine.objects import TEMPORARY, Objects
from distill_build.errors import CorruptEntryError

DATA = b"the same line again\n" * 50


@pytest.fixture
def objects(tmp_path: Path) -> Objects:
    return Objects(tmp_path / "objects")


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=2000))
def test_what_is_put_is_what_comes_back_under_its_sha256(objects: Objects, data: bytes) -> None:
    digest = objects.put(data)
    assert digest == hashlib.sha256(data).hexdigest()
    assert digest in objects
    assert objects.get(digest) == data


def test_the_same_bytes_lie_there_once(objects: Objects) -> None:
    first = objects.put(DATA)
    place = objects.place(first)
    before = place.stat()
    assert objects.put(DATA) == first
    assert list(objects) == [first]
    assert place.stat().st_ino == before.st_ino, "it was written again"
    assert place.stat().st_size < len(DATA) / 4


def test_nothing_is_made_before_the_first_object(objects: Objects) -> None:
    assert list(objects) == []
    assert list(objects.temporaries()) == []
    assert not objects.directory.exists()


def test_many_writers_of_one_object_leave_one(objects: Objects) -> None:
    with ThreadPoolExecutor(8) as pool:
        digests = set(pool.map(lambda _: objects.put(DATA), range(64)))
    assert list(objects) == list(digests)
    assert list(objects.temporaries()) == []


def test_a_file_that_a_killed_process_left_is_no_object(objects: Objects) -> None:
    digest = objects.put(DATA)
    left = objects.place(digest).with_name(f"{TEMPORARY}1234")
    left.write_bytes(b"half")
    assert list(objects) == [digest]
    assert list(objects.temporaries()) == [left]


@pytest.mark.parametrize(
    "damaged",
    [b"", b"garbage", zlib.compress(DATA)[:-3], zlib.compress(DATA + b"!"), zlib.compress(b"")],
    ids=["empty", "garbage", "cut", "another object", "nothing in it"],
)
def test_damage_is_a_sentence_with_the_way_out(objects: Objects, damaged: bytes) -> None:
    digest = objects.put(DATA)
    objects.place(digest).write_bytes(damaged)
    with pytest.raises(CorruptEntryError, match=f"{digest[:12]}.*damaged.*cache pull"):
        objects.get(digest)


def test_any_flipped_bit_is_noticed(objects: Objects) -> None:
    digest = objects.put(DATA)
    stored = objects.place(digest).read_bytes()
    for place in range(len(stored)):
        for bit in range(8):
            flipped = bytearray(stored)
            flipped[place] ^= 1 << bit
            objects.place(digest).write_bytes(flipped)
            try:
                assert objects.get(digest) == DATA, "a bit that zlib does not look at"
            except CorruptEntryError:
                continue


def test_an_object_that_is_gone_is_said_to_be_gone(objects: Objects) -> None:
    digest = objects.put(DATA)
    objects.place(digest).unlink()
    assert digest not in objects
    with pytest.raises(CorruptEntryError, match="gone"):
        objects.get(digest)


def test_objects_are_written_whole_or_not_at_all(objects: Objects) -> None:
    objects.put(DATA)
    folder = objects.place(hashlib.sha256(b"other").hexdigest()).parent
    folder.parent.mkdir(exist_ok=True)
    folder.write_bytes(b"a file in the way")
    with pytest.raises(FileExistsError):
        objects.put(b"other")
    assert folder.read_bytes() == b"a file in the way"
    assert [objects.get(digest) for digest in objects] == [DATA]
