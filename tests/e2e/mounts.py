"""Folders on disks that cannot be written, as CI may mount a cache."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def read_only(place: Path) -> Iterator[None]:
    """`place` as it is, on a disk that cannot be written: permissions would not keep root out."""
    bind = ["mount", "--bind", str(place), str(place)]
    if sys.platform != "linux" or os.geteuid() or subprocess.run(bind, capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", str(place)], check=True)
        yield
    finally:
        subprocess.run(["umount", str(place)], check=True)
