"""What the files of a build that was cut short would take from the version that lies there."""

from pathlib import Path

import pytest

from distill_build.builds.finishing import lost_rows
from distill_build.builds.present import PresentVersion
from distill_build.dataset.layout import Dataset
from tests.small_dataset import write_dataset, write_state


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return write_dataset(tmp_path / "there")


def lost(dataset: Dataset, new: dict[str, Path]) -> int:
    present = PresentVersion.of(dataset, write_state(dataset, {}))
    assert present is not None
    return lost_rows(dataset, present, new)


def copies(dataset: Dataset, folder: Path) -> dict[str, Path]:
    """The same rows as new files, beside."""
    folder.mkdir()
    made = {name: folder / name for name in ("tags.jsonl", "questions.jsonl", "dedup.jsonl", "answers.jsonl")}
    for name, path in made.items():
        path.write_bytes(dataset.artefact(name).read_bytes())
    return made


def test_the_same_rows_in_any_order_and_more_of_them_lose_none(dataset: Dataset, tmp_path: Path) -> None:
    new = copies(dataset, tmp_path / "new")
    lines = new["answers.jsonl"].read_bytes().splitlines(keepends=True)
    new["answers.jsonl"].write_bytes(b"".join([*reversed(lines), b'{"id": "a_new"}\n']))
    assert lost(dataset, new) == 0


def test_rows_that_would_be_gone_or_replaced_are_lost(dataset: Dataset, tmp_path: Path) -> None:
    new = copies(dataset, tmp_path / "new")
    first, second, *rest = new["answers.jsonl"].read_bytes().splitlines(keepends=True)
    new["answers.jsonl"].write_bytes(b"".join([second.replace(b"It is", b"It was"), *rest]))
    assert first != second
    assert lost(dataset, new) == 2


def test_a_file_that_would_be_gone_takes_all_its_rows(dataset: Dataset, tmp_path: Path) -> None:
    new = copies(dataset, tmp_path / "new")
    del new["questions.jsonl"]
    assert lost(dataset, new) == 5


def test_what_lies_there_no_more_cannot_be_lost(dataset: Dataset, tmp_path: Path) -> None:
    new = copies(dataset, tmp_path / "new")
    present = PresentVersion.of(dataset, write_state(dataset, {}))
    assert present is not None
    dataset.artefact("answers.jsonl").unlink()
    del new["answers.jsonl"]
    assert lost_rows(dataset, present, new) == 0
