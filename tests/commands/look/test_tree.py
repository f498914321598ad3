"""What `tree` prints, as text and as JSON."""

import json
from pathlib import Path

import pytest

from distill_build.commands.look.tree import run
from distill_build.errors import StorageError
from distill_build.options import Options
from tests.small_dataset import tags, write_dataset

FOLDER = Path("outputs/sports")


def printed(capsys: pytest.CaptureFixture[str], **options: object) -> str:
    assert run(Options(**options)) == 0  # type: ignore[arg-type]  # as the caller says
    return capsys.readouterr().out


def test_the_tree_is_drawn_with_counts_sums_and_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    write_dataset(FOLDER)
    assert printed(capsys) == (
        "sports  5 tags, 5 questions, 4 answers  ! 2 missing in all\n"
        "├── 1 Team 团队  2 tags, 4 questions, 3 answers\n"
        "│   ├── 1.1 Football  2 questions, 2 answers\n"
        "│   └── 1.2 Handball  2 questions, 1 answer  ! 1 answer missing: timeout\n"
        "└── 2 Chess  1 tag, 1 question, 1 answer\n"
        "    └── 2.1 Openings  1 question, 1 answer  ! 1 question missing: nothing_new\n"
    )


def test_verbose_adds_the_ids(capsys: pytest.CaptureFixture[str]) -> None:
    write_dataset(FOLDER)
    text = printed(capsys, verbose=True)
    assert [tag.id in line for tag, line in zip(tags(), text.splitlines()[1:], strict=True)] == [True] * 5


def test_json_is_one_document_with_the_same_figures(capsys: pytest.CaptureFixture[str]) -> None:
    write_dataset(FOLDER)
    document = json.loads(printed(capsys, json=True))
    assert (document["topic"], document["missing"]) == ("sports", 2)
    assert document["counts"] == {"tags": 5, "questions": 5, "dedup": 5, "answers": 4}
    handball = document["children"][0]["children"][1]
    assert (handball["label"], handball["missing"]) == ("Handball", 1)
    assert handball["counts"] == {"tags": 0, "questions": 2, "dedup": 2, "answers": 1}
    assert handball["failures"][0]["cause"] == "timeout"


def test_a_dataset_of_tags_alone_counts_tags_alone(capsys: pytest.CaptureFixture[str]) -> None:
    write_dataset(FOLDER, until="tags")
    assert printed(capsys).splitlines()[:3] == [
        "sports  5 tags",
        "├── 1 Team 团队  2 tags",
        "│   ├── 1.1 Football",
    ]


def test_a_topic_whose_tags_could_not_be_made_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    FOLDER.mkdir(parents=True)
    (FOLDER / "tags.jsonl").write_bytes(b"")
    row = {"stage": "tags", "path": ["Team Sports"], "missing": 3, "cause": "timeout", "attempts": 1, "detail": ""}
    (FOLDER / "failures.jsonl").write_text(json.dumps(row) + "\n")
    assert printed(capsys) == "Team Sports  0 tags  ! 3 tags missing: timeout\n"


def test_a_tag_without_its_parent_is_told() -> None:
    write_dataset(FOLDER)
    lines = (FOLDER / "tags.jsonl").read_bytes().splitlines(keepends=True)
    (FOLDER / "tags.jsonl").write_bytes(b"".join(lines[1:]))
    with pytest.raises(StorageError, match=r"names the parent t_[0-9a-f]+, which is not in it"):
        run(Options())
