"""Ways in which the file of a database is damaged."""

import sqlite3
from contextlib import closing
from pathlib import Path


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
