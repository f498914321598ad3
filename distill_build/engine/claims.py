"""Which calls are being asked for, told to other processes that share the cache: no two of them pay for one.

One empty file with a lock on one of its bytes for each call in flight, at an offset that comes from the call's key.
There is nothing to clean up: the system lets go of locks when a process ends, however it ends. Two calls whose offsets
are the same would wait for each other, once in 2**60.

Such locks belong to a process: it never finds its own taken, and closing the file anywhere in it lets go of all. So who
claims must ask for a call once at a time, and open this once.
"""

import fcntl
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from distill_build.engine.rows import DATABASE

CLAIMS = "claims.lock"
OFFSET_DIGITS = 15
"""Hexadecimal digits of a key: a file's offset has 63 bits."""


class Claims:
    """The claims of this process on calls of the cache at `directory`."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / CLAIMS
        self._file: BinaryIO | None = None

    def take(self, key: str) -> bool:
        """Claims a call; false where another process has it.

        Where the file cannot be opened, or its disk has no locks, nobody is waited for.
        """
        try:
            self._file = self._file or self._opened()
        except OSError:
            return True
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _offset(key))
        except (BlockingIOError, PermissionError):  # POSIX allows either for a lock that is taken
            return False
        except OSError:
            return True
        return True

    def release(self, key: str) -> None:
        """Lets others ask for a call: what this process has had of it is stored."""
        if self._file is not None:
            with suppress(OSError):  # a disk without locks
                fcntl.lockf(self._file, fcntl.LOCK_UN, 1, _offset(key))

    def is_taken(self, key: str) -> bool:
        """Whether another process has a call."""
        free = self.take(key)
        if free:
            self.release(key)
        return not free

    def close(self) -> None:
        """Lets go of everything."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _opened(self) -> BinaryIO:
        """The file, for all who can write the cache's database."""
        file = self._path.open("ab+")
        with suppress(OSError):  # another user's file, or no database yet
            os.fchmod(file.fileno(), stat.S_IMODE(self._path.with_name(DATABASE).stat().st_mode))
        return file


def _offset(key: str) -> int:
    return int(key[:OFFSET_DIGITS], 16)
