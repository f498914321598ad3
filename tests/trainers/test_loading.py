"""Every file that a build writes for trainers, read by the library that trainers read with."""

from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset, load_dataset

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
        case "sharegpt":
            text = row["conversations"][-1]["value"]
        case _:
            text = row["answer"]
    return text


BUILDERS = {"messages": "json", "alpaca": "json", "sharegpt": "json", "csv": "csv", "parquet": "parquet"}


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
