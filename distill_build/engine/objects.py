"""Content-addressed files: bytes go in, their SHA-256 comes out, and the same bytes lie there once.

    <directory>/ab/cdef…    the bytes, compressed by zlib; named by the digest of what they are uncompressed

Knows nothing of what is in an object. An object is whole or not there: it is written beside, synced and moved.
"""

import hashlib
import os
import secrets
import zlib
from collections.abc import Iterator
from pathlib import Path

from distill_build.errors import CorruptEntryError

FANOUT_CHARACTERS = 2
TEMPORARY = ".new-"
"""How files begin that are being written; one that a killed process left is nothing to anybody."""
FAST = 1  # zlib's level: a fifth of the time of its default, for a tenth more bytes


class Objects:
    """The objects in `directory`, which is made with the first of them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def put(self, data: bytes) -> str:
        """Keeps `data`; returns its digest. What lies there under its name is not read: fsck and imports do that.

        Raises OSError where it cannot be written.
        """
        digest = hashlib.sha256(data).hexdigest()
        place = self.place(digest)
        if not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            temporary = place.with_name(f"{TEMPORARY}{secrets.token_hex(4)}")
            with temporary.open("wb") as file:
                file.write(zlib.compress(data, FAST))
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(place)
        return digest

    def get(self, digest: str) -> bytes:
        """The bytes of an object. Raises CorruptEntryError where it is gone or not what was written."""
        try:
            data = zlib.decompress(self.place(digest).read_bytes())
        except FileNotFoundError as error:
            raise CorruptEntryError(f"object {digest[:12]} is gone from {self.directory}{_WAY_OUT}") from error
        except (OSError, zlib.error) as error:
            raise CorruptEntryError(f"object {digest[:12]} in {self.directory} is damaged{_WAY_OUT}") from error
        if hashlib.sha256(data).hexdigest() != digest:
            raise CorruptEntryError(f"object {digest[:12]} in {self.directory} is damaged{_WAY_OUT}")
        return data

    def __contains__(self, digest: str) -> bool:
        return self.place(digest).exists()

    def __iter__(self) -> Iterator[str]:
        """The digests of all objects, by name alone."""
        for place in sorted(self.directory.glob(f"{'?' * FANOUT_CHARACTERS}/*")):
            if not place.name.startswith(TEMPORARY):
                yield place.parent.name + place.name

    def temporaries(self) -> Iterator[Path]:
        """Files that were being written, by a process at work or by one that was killed."""
        return self.directory.glob(f"*/{TEMPORARY}*")

    def place(self, digest: str) -> Path:
        """The file of an object."""
        return self.directory / digest[:FANOUT_CHARACTERS] / digest[FANOUT_CHARACTERS:]


_WAY_OUT = ": bring it back by cache pull, cache import or from a backup; `distill-build cache fsck` lists all damage"
