"""How varied the questions of a sweep's job are: by what dedup takes for repeats, in force or not."""

import json
from pathlib import Path

from distill_build.sweeps.variety import Variety, variety_of

TEXTS = (
    "How does a heat pump move heat into a house?",
    "How does a heat pump move heat into a house?",
    "How exactly does a heat pump move heat into a house?",
    "Which team has won most of the cups?",
)


def written(folder: Path, texts: tuple[str, ...]) -> Path:
    rows = [{"id": f"q_{index}", "tag": "t", "path": [], "index": index} for index in range(len(texts))]
    lines = [json.dumps({**row, "question": text}) + "\n" for row, text in zip(rows, texts, strict=True)]
    (folder / "questions.jsonl").write_text("".join(lines))
    return folder / "questions.jsonl"


def test_equal_questions_and_those_that_are_much_alike_are_counted(tmp_path: Path) -> None:
    assert variety_of(written(tmp_path, TEXTS)) == Variety(texts=4, unique=0.75, near_duplicates=0.25)
    assert variety_of(written(tmp_path, ())) is None
