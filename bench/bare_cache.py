"""The baselines of cache.py, carrying.py and locked.py: the least that hashing, packing and unpacking a cache takes.

python bench/bare_cache.py read CACHE              every row of responses and every object of versions, hashed
python bench/bare_cache.py pack CACHE FILE         the same, hashed and by gzip into a file
python bench/bare_cache.py unpack FILE DATABASE    such a file, hashed and into a table, a thousand rows at a time
python bench/bare_cache.py hash FILE ...           files
"""

import gzip
import hashlib
import sqlite3
import sys
import zlib
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

HEAD = len(f"{0:64x} {0:16x}\n")
"""Bytes of the line before each value in a packed file: its key and its length."""


def everything(cache: str) -> Iterator[tuple[str, bytes]]:
    """What a cache holds, by key or digest."""
    database = sqlite3.connect(f"file:{cache}/cache.db?mode=ro", uri=True)
    yield from database.execute("SELECT key, value FROM Cache")
    for path in Path(cache, "objects").glob("*/*"):
        yield f"{path.parent.name}{path.name}", zlib.decompress(path.read_bytes())


def read(cache: str) -> None:
    for _, value in everything(cache):
        hashlib.sha256(value)


def pack(cache: str, target: str) -> None:
    with gzip.open(target, "wb", compresslevel=6) as file:
        for key, value in everything(cache):
            hashlib.sha256(value)
            file.write(f"{key:64} {len(value):16x}\n".encode())
            file.write(value)


def unpack(source: str, target: str) -> None:
    Path(target).unlink(missing_ok=True)
    database = sqlite3.connect(target)
    database.execute("CREATE TABLE Cache (key TEXT PRIMARY KEY, value BLOB)")
    with gzip.open(source, "rb") as file:
        entries = packed(file)
        while some := list(islice(entries, 1_000)):
            with database:
                database.executemany("INSERT INTO Cache VALUES (?, ?)", some)
    database.close()


def packed(file: gzip.GzipFile) -> Iterator[tuple[str, bytes]]:
    while head := file.read(HEAD):
        value = file.read(int(head[65:], 16))
        hashlib.sha256(value)
        yield head[:64].decode(), value


def hash_files(*files: str) -> None:
    for name in files:
        with Path(name).open("rb") as file:
            hashlib.file_digest(file, "sha256")


WORK: dict[str, Callable[..., None]] = {"read": read, "pack": pack, "unpack": unpack, "hash": hash_files}

if __name__ == "__main__":
    WORK[sys.argv[1]](*sys.argv[2:])
