"""What can be read of a SQLite file without SQLite."""

import sqlite3
from contextlib import closing
from pathlib import Path

import diskcache
import pytest

from distill_build.engine.rows import StoredRow
from distill_build.engine.salvage import Salvage

SIZES = (1, 2, 100, 4000, 4047, 4060, 4061, 4062, 4100, 8200, 100_000)
"""Around the sizes at which a row no longer fits into its page, and into one more."""


@pytest.fixture
def database() -> Path:
    """A database as diskcache makes it, with values of all these sizes."""
    with diskcache.Cache("cache", disk_min_file_size=1 << 30) as cache:
        for size in SIZES:
            for copy in range(3):
                cache.set(f"{size}-{copy}", bytes([copy]) * size, tag="标签")
    return Path("cache") / "cache.db"


def by_sqlite(database: Path) -> dict[object, tuple[object, ...]]:
    with closing(sqlite3.connect(database)) as opened:
        rows = opened.execute("SELECT rowid, key, raw, tag, mode, filename, value FROM Cache").fetchall()
    return {row[1]: row for row in rows}


def by_us(database: Path) -> tuple[dict[object, tuple[object, ...]], int | None]:
    salvage = Salvage(database)
    rows = {row.key: fields(row) for row in salvage.rows()}
    return rows, salvage.expected


def fields(row: StoredRow) -> tuple[object, ...]:
    return (row.rowid, row.key, row.raw, row.tag, row.mode, row.filename, row.value)


def test_every_row_of_a_sound_database_is_read_as_sqlite_reads_it(database: Path) -> None:
    assert by_us(database) == (by_sqlite(database), 3 * len(SIZES))


def test_rows_in_the_write_ahead_log_count_where_they_were_committed(database: Path) -> None:
    with closing(sqlite3.connect(database)) as opened:
        with opened:
            opened.execute("UPDATE Cache SET value = zeroblob(9000) WHERE key LIKE '100%'")
            opened.execute("DELETE FROM Cache WHERE key LIKE '4%'")
        opened.execute("BEGIN")
        opened.execute("UPDATE Cache SET value = x'ff'")
        opened.execute("PRAGMA cache_spill = 1")
        assert database.with_name("cache.db-wal").stat().st_size > 0
        rows, expected = by_us(database)
        opened.rollback()
    assert (rows, expected) == (by_sqlite(database), 3 * len(SIZES) - 6 * 3)


@pytest.mark.parametrize("seed", range(0, 40, 7))
def test_noise_anywhere_is_no_error(database: Path, seed: int) -> None:
    """Neither a wrong length nor a chain of pages that leads in a circle."""
    whole = by_sqlite(database)
    data = bytearray(database.read_bytes())
    for place in range(seed, len(data), 401):
        data[place] = (place * 31 + seed) % 256
    database.write_bytes(bytes(data))
    rows, _ = by_us(database)
    assert len(rows) <= 3 * len(whole)


def test_what_is_no_database_holds_nothing() -> None:
    for content in (b"", b"x" * 10, b"\xff" * 100_000):
        Path("noise").write_bytes(content)
        assert by_us(Path("noise")) == ({}, None)
