"""A folder for the time of one command, in the place that TMPDIR names. It may be full or read-only as any other."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from distill_build.errors import NO_ROOM, StorageError


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """An empty folder that goes with the block. Raises StorageError where it cannot be made."""
    try:
        made = TemporaryDirectory(prefix="distill-build-")
    except OSError as error:
        raise no_room(error) from error
    with made as folder:
        yield Path(folder)


@contextmanager
def written_below(folder: Path) -> Iterator[None]:
    """A block that writes nothing but files in a temporary folder, and may read others. Raises StorageError where one
    cannot be written."""
    try:
        yield
    except OSError as error:
        # neither a write that fails nor a read of another file names one, and a read needs no room
        if error.errno in NO_ROOM if error.filename is None else Path(error.filename).is_relative_to(folder):
            raise no_room(error) from error
        raise


def no_room(error: BaseException) -> StorageError:
    """What is told of a temporary file that cannot be written."""
    reason = error.strerror if isinstance(error, OSError) and error.strerror else error
    return StorageError(
        f"temporary files are needed, and they cannot be written: {reason}. Free some space in the folder for them, or "
        "name another one in the variable TMPDIR; nothing was asked and nothing replaced"
    )
