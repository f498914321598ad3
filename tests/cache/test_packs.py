"""Indexes: what is in a pack, and which pack has the best of a call."""

import gzip
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from distill_build.cache.transfer.packs import (
    INDEX_BYTES,
    INDEXES,
    PACKS,
    Indexes,
    decode_index,
    in_packs,
    read_indexes,
)
from distill_build.cache.transfer.remote import Remote
from distill_build.engine.entry import Entry
from distill_build.errors import CorruptEntryError
from tests.cache.carried import call, record


def index_of(*entries: Entry) -> tuple[str, bytes]:
    (pack,) = in_packs((record(entry), entry) for entry in entries)
    return pack.index_file()


def test_an_index_says_what_is_in_its_pack() -> None:
    entry = call(1, "no", "yes", accepted=1)
    index = decode_index(*index_of(entry), "there")
    assert index.calls == {entry.key: [entry.response, entry.attempts[0].digest]}


def test_the_same_calls_give_the_same_pack_and_index() -> None:
    assert index_of(call(1), call(2)) == index_of(call(1), call(2))


def index_text() -> bytes:
    return gzip.decompress(index_of(call(1))[1])


def with_text(text: bytes) -> tuple[str, bytes]:
    data = gzip.compress(text, mtime=0)
    return hashlib.sha256(data).hexdigest(), data


def with_field(**fields: Any) -> tuple[str, bytes]:
    return with_text(json.dumps(json.loads(index_text()) | fields).encode())


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("0" * 64, b"other bytes", "damaged"),
        (*with_field(scheme=2), "scheme 2, and this program knows scheme 1"),
        (*with_field(format="other"), "no index"),
        (*with_field(pack="../../x"), "no index"),
        (*with_field(objects=["/etc/passwd"]), "no index"),
        (*with_field(objects=["a" * 64 + "\n"]), "no index"),
        (*with_field(calls={"k": []}), "no index"),
        (*with_field(size=1 << 40), "no index"),
        (*with_text(index_text()[:-1] + b" " * INDEX_BYTES + b"}"), "no index"),
        (*with_text(b"[" * 100_000), "no index"),
        (hashlib.sha256(b"no gzip").hexdigest(), b"no gzip", "no index"),
    ],
)
def test_an_index_that_cannot_be_gone_by_is_refused(name: str, data: bytes, words: str) -> None:
    with pytest.raises(CorruptEntryError, match=words):
        decode_index(name, data, "there")


@pytest.mark.parametrize("order", [1, -1])
def test_who_knows_more_responses_of_a_call_is_the_best(order: int) -> None:
    """A --rebuild adds a response and lets it stand: a fresh cache is to have that one, whatever came first."""
    indexes = Indexes()
    for entry in (call(1, "old"), call(1, "old", "new", accepted=1))[::order]:
        indexes.add(decode_index(*index_of(entry), "there"))
    (variants,) = indexes.calls.values()
    assert max(variants, key=lambda each: each.rank).accepted == call(1, "old", "new", accepted=1).response


def test_a_file_among_the_indexes_that_is_too_large_for_one_is_not_read(tmp_path: Path) -> None:
    name = "a" * 64
    (tmp_path / "indexes").mkdir()
    with (tmp_path / "indexes" / f"{name}.gz").open("wb") as file:
        file.truncate(1 << 40)  # no memory could hold it
    assert "no index" in read_indexes(Remote(str(tmp_path))).damaged[name]


class Busy(Remote):
    """A remote to which somebody sends one more pack after every look at it."""

    sent = 0

    def names(self, folder: str) -> dict[str, int]:
        found = super().names(folder)
        self.sent += 1
        (pack,) = in_packs([(record(call(self.sent)), call(self.sent))])
        self.write(PACKS, pack.name, pack.data)
        self.write(INDEXES, *pack.index_file())
        return found


def test_what_is_sent_while_indexes_are_read_is_neither_damaged_nor_gone(tmp_path: Path) -> None:
    remote = Busy(tmp_path.as_uri())
    remote.names(PACKS)
    indexes = read_indexes(remote)
    assert (indexes.damaged, indexes.gone, list(indexes.calls)) == ({}, {}, [call(1).key])
