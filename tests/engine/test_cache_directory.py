"""Which file system a cache lies on, as the kernel's list of mounts says it, whatever the places are called."""

import os
from pathlib import Path

import pytest

from distill_build.engine.cache_directory import CacheDirectory, file_system_in


def mounts(*lines: tuple[str | bytes, str]) -> bytes:
    """The list of the kernel: blanks, line feeds and backslashes of a name are escaped, and nothing else."""
    rows = [(b"/", "ext4"), *lines]
    escapes = {b"\\": b"\\134", b" ": b"\\040", b"\t": b"\\011", b"\n": b"\\012", b"#": b"\\043"}
    text = b""
    for place, kind in rows:
        name = place if isinstance(place, bytes) else os.fsencode(place)
        for character, escaped in escapes.items():
            name = name.replace(character, escaped)
        text += b"source " + name + b" " + kind.encode() + b" rw 0 0\n"
    return text


@pytest.mark.parametrize(
    "name",
    [
        "plain",
        "with blank",
        "tab\tand\nline",
        "back\\slash",
        "\\040",
        "#",
        "数据 données",
        "two\u2028lines",
        "next\x85line",
        "form\x0cfeed",
        "carriage\rreturn",
        b"no \xff text",
    ],
)
def test_a_network_file_system_is_known_under_any_name(name: str | bytes, tmp_path: Path) -> None:
    place = os.fsencode(tmp_path) + b"/" + (name if isinstance(name, bytes) else os.fsencode(name))
    listed = mounts((place, "nfs4"))
    assert file_system_in(listed, Path(os.fsdecode(place)) / "cache") == "nfs4"
    assert file_system_in(listed, Path(os.fsdecode(place))) == "nfs4"
    assert file_system_in(listed, tmp_path / "elsewhere") == "ext4"


def test_the_innermost_mount_counts_and_of_two_in_one_place_the_later() -> None:
    listed = mounts(("/data", "nfs"), ("/data/local", "xfs"), ("/data", "tmpfs"))
    assert file_system_in(listed, Path("/data/local/cache")) == "xfs"
    assert file_system_in(listed, Path("/data/cache")) == "tmpfs"
    assert file_system_in(listed, Path("/database")) == "ext4"


def test_the_list_of_this_machine_can_be_read(tmp_path: Path) -> None:
    if not Path("/proc/self/mounts").exists():
        pytest.skip("there is no list of mounts here")
    CacheDirectory(tmp_path / "cache").prepare()
    assert file_system_in(Path("/proc/self/mounts").read_bytes(), tmp_path)
