"""A file that cannot be read or written ends a command that reads with a sentence, never as a bug of ours."""

from pathlib import Path

import pytest

from distill_build.cli.dispatch import main
from distill_build.engine.store import Store
from distill_build.errors import StorageError


@pytest.mark.parametrize("words", [("verify",), ("cache", "stats"), ("cache", "gc", "--older-than", "1d")])
def test_a_file_that_cannot_be_read_is_named_with_exit_5(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    state = Path("outputs", "sports", "runs", "state.json")
    Store(Path(".distill-cache")).close()
    state.mkdir(parents=True)  # a folder in a file's place: like a file of somebody else's, but for root too
    (state.parents[1] / "tags.jsonl").touch()
    assert main(words) == StorageError.exit_code
    assert f"{state} is a folder, and a file belongs there: move it away" in capsys.readouterr().err
