"""A folder for the time of one command: which errors are its own."""

import errno
import sys
from pathlib import Path

import pytest

from distill_build.engine.temporary import temporary_folder, written_below
from distill_build.errors import StorageError


@pytest.mark.skipif(sys.platform != "linux", reason="has files that fail when they are read or written")
def test_an_error_without_a_file_is_the_folders_where_room_is_lacking_and_a_failed_read_is_not() -> None:
    with (
        Path("/dev/full").open("wb", buffering=0) as full,
        pytest.raises(StorageError, match="temporary files are needed"),
        temporary_folder() as folder,
        written_below(folder),
    ):
        full.write(b"a row")
    with (
        Path("/proc/self/mem").open("rb", buffering=0) as unreadable,
        pytest.raises(OSError, match="Input/output") as told,
        temporary_folder() as folder,
        written_below(folder),
    ):
        unreadable.read(1)
    assert told.value.errno == errno.EIO
    assert told.value.filename is None


def test_an_error_that_names_a_file_is_the_folders_where_it_lies_there() -> None:
    with pytest.raises(StorageError, match="TMPDIR"), temporary_folder() as folder, written_below(folder):
        (folder / "gone" / "rows").open("wb")
    with pytest.raises(FileNotFoundError), temporary_folder() as folder, written_below(folder):
        (folder.parent / "gone" / "rows").open("rb")
