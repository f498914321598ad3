"""A bundle is read back as it was written, or not at all."""

import gzip
import io
import json
import pickle
import tracemalloc
from collections.abc import Callable

import pytest

from distill_build.cache.transfer.bundle import RECORD_BYTES, Record, read_bundle
from distill_build.errors import CorruptEntryError, StorageError
from tests.cache.carried import bundle, call, record

RECORDS = (record(call(1)), Record("object", "a" * 64, b"any\nbytes\x00\xff"), Record("version", "b" * 64, b"{}"))
WHOLE = bundle(*RECORDS)


def read(data: bytes) -> list[Record]:
    return list(read_bundle(io.BytesIO(data), "the.bundle"))


def test_what_was_written_is_read() -> None:
    assert tuple(read(WHOLE)) == RECORDS


def test_the_same_records_give_the_same_bytes() -> None:
    assert bundle(*RECORDS) == WHOLE


def test_a_bundle_is_gzip_of_text_that_any_tool_shows() -> None:
    first, second, *_ = gzip.decompress(WHOLE).splitlines()
    assert json.loads(first) == {"format": "distill-build bundle", "scheme": 1}
    assert json.loads(second)[:2] == ["call", call(1).key]


def test_every_flipped_bit_is_noticed() -> None:
    """But for those that fill up the last byte before gzip's checksum: they say nothing."""
    unnoticed = []
    for place in range(len(WHOLE)):
        for bit in range(8):
            data = bytearray(WHOLE)
            data[place] ^= 1 << bit
            try:
                assert tuple(read(bytes(data))) == RECORDS
                unnoticed.append(place)
            except CorruptEntryError:
                continue
    assert set(unnoticed) <= {len(WHOLE) - 9}


def test_it_is_noticed_wherever_it_is_cut_off() -> None:
    for length in range(len(WHOLE)):
        with pytest.raises(CorruptEntryError):
            read(WHOLE[:length])


@pytest.mark.parametrize("behind", [b"\0", b"garbage", WHOLE, gzip.compress(b"", mtime=0)])
def test_nothing_may_stand_behind_its_end(behind: bytes) -> None:
    with pytest.raises(CorruptEntryError, match="goes on after its end"):
        read(WHOLE + behind)


def recompressed(change: Callable[[bytes], bytes]) -> bytes:
    """The bundle with another content, and right checksums of gzip's."""
    file = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=file, compresslevel=6, mtime=0) as packed:
        packed.write(change(gzip.decompress(WHOLE)))
    return file.getvalue()


def without_second_record(text: bytes) -> bytes:
    start = text.index(b'["object"')
    return text[:start] + text[text.index(b'["version"') :]


@pytest.mark.parametrize(
    "change",
    [
        without_second_record,
        lambda text: text.replace(b'["version"', b'["verzion"'),
        lambda text: text.replace(b"any\n", b"any"),
        lambda text: text.replace(b",2]\n", b",-1]\n"),
        lambda text: text.replace(b",2]\n", b",99999999999]\n"),
        lambda text: text[: text.index(b'["end"')],
        lambda text: text + b"more",
        lambda text: b"{" * 5000 + text,
    ],
)
def test_a_bundle_that_was_put_together_wrongly_is_refused(change: Callable[[bytes], bytes]) -> None:
    with pytest.raises(CorruptEntryError):
        read(recompressed(change))


def test_a_record_that_claims_more_than_any_holds_is_refused_before_it_is_read() -> None:
    def grown(text: bytes) -> bytes:
        start = text.index(b'["object"')
        return text[:start] + b'["object","%s",%d]\n' % (b"a" * 64, RECORD_BYTES + 1) + bytes(RECORD_BYTES + 1)

    bundled = recompressed(grown)
    tracemalloc.start()
    try:
        with pytest.raises(CorruptEntryError):
            read(bundled)
        assert tracemalloc.get_traced_memory()[1] < RECORD_BYTES / 8
    finally:
        tracemalloc.stop()


def test_a_record_that_no_reader_would_take_is_not_written() -> None:
    with pytest.raises(StorageError, match="cannot be carried"):
        bundle(Record("object", "a" * 64, bytes(RECORD_BYTES + 1)))


def test_a_newer_scheme_is_told_by_its_number() -> None:
    newer = recompressed(lambda text: text.replace(b'"scheme":1}', b'"scheme":2}', 1))
    with pytest.raises(CorruptEntryError, match="scheme 2, and this program knows scheme 1"):
        read(newer)


@pytest.mark.parametrize(
    "other", [b"", b"{}", pickle.dumps({}), gzip.compress(b"{}\n", mtime=0), b"\x1f\x8b", b"PK\x03\x04"]
)
def test_another_file_is_no_bundle(other: bytes) -> None:
    with pytest.raises(CorruptEntryError, match="is no bundle of distill-build"):
        read(other)
