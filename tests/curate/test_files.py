"""Which file a dataset goes by; what lies in its place and is none is told, not passed over."""

import os
from pathlib import Path

import pytest

from distill_build.curate.files import file_of
from distill_build.errors import ConfigurationError


def test_the_datasets_own_folder_comes_first() -> None:
    assert file_of("sports", "tree.yaml") is None
    Path("tree.yaml").touch()
    assert file_of("sports", "tree.yaml") == Path("tree.yaml")
    own = Path("curate/sports/tree.yaml")
    own.parent.mkdir(parents=True)
    own.symlink_to("../../tree.yaml")
    assert file_of("sports", "tree.yaml") == own


def test_a_link_to_nowhere_is_told() -> None:
    Path("tree.yaml").symlink_to("nowhere")
    with pytest.raises(ConfigurationError, match=r"tree\.yaml cannot be read \(No such file"):
        file_of("sports", "tree.yaml")


def test_what_is_no_file_is_told() -> None:
    os.mkfifo("reviews.jsonl")
    Path("tree.yaml").mkdir()
    for name in ("reviews.jsonl", "tree.yaml"):
        with pytest.raises(ConfigurationError, match=f"{name} is no file, and one belongs there: move it away"):
            file_of("sports", name)
