"""New files of a dataset lie where the journal of their moves names them until all are in their places."""

from pathlib import Path

import pytest

from distill_build.dataset.layout import Dataset
from distill_build.dataset.transaction import Transaction, new_files, only_run
from distill_build.errors import StorageError


def test_new_files_that_could_not_all_be_moved_are_moved_by_the_next_run(tmp_path: Path) -> None:
    dataset, names = Dataset(tmp_path / "sports"), ("tags.jsonl", "lost/dataset/train.csv")
    dataset.folder.mkdir()
    dataset.artefact("lost").symlink_to("nowhere")
    with new_files(dataset, "1") as folder:
        change = Transaction(dataset, folder)
        new = {name: change.write(Path(name).name, b"new") for name in names}
        with pytest.raises(StorageError, match="moved into place by the next build"):
            change.commit(new, ())
    dataset.artefact("lost").unlink()
    with only_run(dataset, "2", print), new_files(dataset, "2"):
        assert [dataset.artefact(name).read_bytes() for name in names] == [b"new", b"new"]
    assert not list(dataset.runs.glob("*/new"))
