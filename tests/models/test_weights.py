import hashlib
import json
import os
from pathlib import Path

import pytest

from distill_build.errors import ConfigurationError
from distill_build.models.base import ModelSettings
from distill_build.models.weights import MEMO_NAME, weights_digest, weights_path


def local(path: str | None = None) -> ModelSettings:
    return ModelSettings(engine="embedded", name="smollm2-135m", path=path)


def test_the_default_weights_are_found_without_importing_their_package() -> None:
    assert weights_path(local()).suffix == ".gguf"


def test_another_file_may_be_named(tmp_path: Path) -> None:
    file = tmp_path / "own.gguf"
    file.write_bytes(b"GGUF")
    assert weights_path(local(str(file))) == file


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"local\.path=.*missing\.gguf"):
        weights_path(local(str(tmp_path / "missing.gguf")))


def test_the_digest_is_the_files_sha256(tmp_path: Path) -> None:
    file = tmp_path / "w.gguf"
    file.write_bytes(b"weights")
    assert weights_digest(file, None) == hashlib.sha256(b"weights").hexdigest()


def test_the_digest_is_remembered_while_size_and_time_stay(tmp_path: Path) -> None:
    file, memo = tmp_path / "w.gguf", tmp_path / "memo"
    file.write_bytes(b"weights")
    first = weights_digest(file, memo)
    state = file.stat()
    file.write_bytes(b"WEIGHTS")  # the same size, and below the same time: only reading it would tell
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert weights_digest(file, memo) == first
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns + 1))
    assert weights_digest(file, memo) == hashlib.sha256(b"WEIGHTS").hexdigest()


def test_other_files_stay_remembered(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
        weights_digest(tmp_path / name, tmp_path)
    assert len(json.loads((tmp_path / MEMO_NAME).read_bytes())) == 2
    assert {path.name for path in tmp_path.iterdir()} == {"a", "b", MEMO_NAME}


def test_a_damaged_memo_is_no_trouble(tmp_path: Path) -> None:
    file = tmp_path / "w.gguf"
    file.write_bytes(b"weights")
    (tmp_path / MEMO_NAME).write_bytes(b"{truncat")
    assert weights_digest(file, tmp_path) == weights_digest(file, None)


def test_a_file_that_cannot_be_read_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        weights_digest(tmp_path / "missing", None)
