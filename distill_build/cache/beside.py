"""A file outside the cache that is whole or not there: written beside its place, synced, and moved."""

import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

NEW = ".{name}.{random}.new"
ABANDONED_SECONDS = 3600
"""Whoever writes a file writes to it more often than that. Locks would tell at once, but not every disk has locks."""


@contextmanager
def beside(target: Path) -> Iterator[BinaryIO]:
    """A file that is moved to `target` at the end, or is gone where that is not reached. Raises OSError."""
    new = target.with_name(NEW.format(name=target.name, random=secrets.token_hex(4)))
    try:
        with new.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        new.replace(target)
    finally:
        new.unlink(missing_ok=True)


def remove_abandoned(folder: Path, names: str) -> None:
    """Removes what killed processes left beside the files in `folder` whose names match the pattern `names`."""
    for path in folder.glob(NEW.format(name=names, random="[0-9a-f]" * 8)):
        with suppress(OSError):  # another's, who may have removed it meanwhile: it is in nobody's way
            if path.stat().st_mtime < time.time() - ABANDONED_SECONDS:
                path.unlink()
