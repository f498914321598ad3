"""Every file that a build writes for trainers, read by the library that trainers read with."""

from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset, Features, load_dataset

from tests.e2e.workspace import Workspace

SMALL = ("topic=sports", "depth=1", "breadth=2", "questions_per_tag=3", "split.test=0.4")
STAGES = "stages=[tags,questions,dedup,answers,split]"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the library keeps of files that it has read goes away with the test."""
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "datasets-cache")


def load(builder: str, path: Path) -> Dataset:
    return load_dataset(builder, data_files=str(path), split="train")


def text_of(row: Any, form: str) -> str:
    """The text of a row that is learnt, wherever its format has it."""
    match form:
        case "messages":
            text: str = row["messages"][-1]["content"]
        case "alpaca":
            text = row["output"]
        case "prompt_completion":
            text = row["completion"][-1]["content"]
        case "sharegpt":
            text = row["conversations"][-1]["value"]
        case _:
            text = row["answer"]
    return text


LINES = ("messages", "prompt_completion", "alpaca", "sharegpt")
BUILDERS = dict.fromkeys(LINES, "json") | {"csv": "csv", "parquet": "parquet"}


@pytest.mark.parametrize("form", BUILDERS)
def test_each_file_loads_alone_with_its_rows_and_texts(workspace: Workspace, form: str) -> None:
    done = workspace.run(*SMALL, STAGES, f"formats=[{form}]")
    assert done.status == 0, done.stderr
    answers = {row["id"]: row for row in workspace.rows("answers")}
    loaded = 0
    for path in sorted((workspace.folder() / "dataset").glob(f"*.{form}*")):
        rows = load(BUILDERS[form], path)
        loaded += len(rows)
        for row in rows:
            answer = answers[row["metadata"]["id"] if "metadata" in row else row["id"]]
            assert text_of(row, form).endswith(answer["answer"])
    assert loaded == len(answers) == 6


@pytest.mark.parametrize("turns", ["dialogue", "each"])
@pytest.mark.parametrize("form", ["messages", "prompt_completion", "sharegpt", "alpaca"])
def test_a_dialogue_loads_with_all_of_its_turns(workspace: Workspace, form: str, turns: str) -> None:
    line = ("topic=sports", "depth=1", "breadth=1", "questions_per_tag=2", "recipe=dialogue", f"format.turns={turns}")
    done = workspace.run(*line, f"formats=[{form}]")
    assert done.status == 0, done.stderr
    rows = load("json", workspace.folder() / f"dataset/train.{form}.jsonl")
    messages = {
        "messages": lambda row: len(row["messages"]),
        "prompt_completion": lambda row: len(row["prompt"]) + 1,
        "sharegpt": lambda row: len(row["conversations"]),
        "alpaca": lambda row: sum(map(len, row["history"])) + 2,
    }
    assert list(map(messages[form], rows)) == ([4, 4] if turns == "dialogue" else [2, 4, 2, 4])


def test_the_folder_loads_by_its_card_format_by_format_with_its_splits(workspace: Workspace) -> None:
    words = (*SMALL, STAGES, f"formats=[{','.join([*LINES, 'csv', 'parquet'])}]")
    assert workspace.run(*words).status == 0
    folder = workspace.folder() / "dataset"
    for form in LINES:
        loaded = load_dataset(str(folder), form)
        sides = {path.name.partition(".")[0] for path in folder.glob(f"*.{form}.jsonl")}
        assert set(loaded) == sides
        assert sum(map(len, loaded.values())) == 6


def test_columns_have_one_type_whatever_their_first_rows_hold(workspace: Workspace) -> None:
    """A file whose first rows have no thought has the features of one in which all have."""
    assert workspace.run(*SMALL, STAGES, "formats=[messages,prompt_completion]").status == 0
    for form in ("messages", "prompt_completion"):
        file = workspace.folder() / f"dataset/train.{form}.jsonl"
        whole: Features = load("json", file).features
        for number, line in enumerate(file.read_text().splitlines()):
            (alone := workspace.root / f"{form}-{number}.jsonl").write_text(line + "\n")
            assert load("json", alone).features == whole


def test_a_published_folder_loads_unchanged(workspace: Workspace) -> None:
    assert workspace.run(*SMALL, STAGES, "formats=[messages,parquet]").status == 0
    assert workspace.raw("publish", "published", "sports").status == 0
    loaded = load_dataset(str(workspace.root / "published"), "messages")
    assert sum(map(len, loaded.values())) == 6
