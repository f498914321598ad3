"""Pairs are made of the rows of one question, wherever a batch ends."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace

from distill_build.export import Layout, TrainingRow, Turn, first_if_empty, write_exports

SCORED = Layout("drop", metadata=True, system_prompt=None, columns={"score": "number"})


def row(question: int, sample: int, score: float | None, answer: str | None = None, side: str = "train") -> TrainingRow:
    text = f"{question}.{sample}" if answer is None else answer
    more = {"score": score}
    return TrainingRow(
        f"a{text}", f"q{question}", "t", ("sports",), sample, f"Q{question}?", None, text, "m", side, more
    )  # type: ignore[arg-type]  # a number or nothing


def paired(rows: Sequence[TrainingRow], layout: Layout = SCORED) -> list[tuple[str, str]]:
    (path,) = write_exports(rows, Path("out"), ["preference"], layout)
    lines = map(json.loads, path.read_text().splitlines())
    return [(line["chosen"][0]["content"], line["rejected"][0]["content"]) for line in lines]


@pytest.mark.parametrize(
    ("scores", "pair"),
    [
        ((3, 5, 1), [("0.1", "0.2")]),
        ((4, 4, 3, 3), [("0.0", "0.2")]),
        ((3, 3), []),
        ((3, 3.5), []),
        ((5, None), []),
        ((None, 5, None, 4), [("0.1", "0.3")]),
        ((5,), []),
    ],
)
def test_the_first_of_the_best_stands_against_the_first_of_the_worst(
    scores: Sequence[float | None], pair: list[tuple[str, str]]
) -> None:
    assert paired([row(0, sample, score) for sample, score in enumerate(scores)]) == pair


def test_a_margin_of_nothing_still_wants_a_difference() -> None:
    layout = Layout("drop", metadata=False, system_prompt=None, columns={"score": "number"}, margin=0)
    assert paired([row(0, 0, 3), row(0, 1, 3.1)], layout) == [("0.1", "0.0")]
    assert paired([row(0, 0, 3), row(0, 1, 3)], layout) == []
    assert paired([row(0, 0, 3, "same"), row(0, 1, 5, "same")], layout) == []


def test_questions_of_thousands_of_rows_are_whole_across_batches() -> None:
    rows = [row(question, sample, sample % 5) for question in range(900) for sample in range(5)]
    assert paired(rows) == [(f"{question}.4", f"{question}.0") for question in range(900)]


def test_a_file_without_a_pair_is_not_taken_for_a_dataset_without_a_row() -> None:
    files = write_exports([row(0, 0, 3)], Path("out"), ["preference", "messages"], SCORED)
    assert first_if_empty(files) is None
    assert first_if_empty(files[:1]) == files[0]


def test_each_side_has_its_own_pairs() -> None:
    rows = [row(q, sample, sample * 2, side=side) for q, side in ((0, "train"), (1, "test")) for sample in (0, 1)]
    files = write_exports(rows, Path("out"), ["preference"], SCORED, ("train", "test"))
    assert [json.loads(path.read_text())["prompt"][0]["content"] for path in files] == ["Q0?", "Q1?"]


def test_answers_are_compared_that_end_the_same_dialogue_alone() -> None:
    def ended(sample: int, score: float, before: str) -> TrainingRow:
        return replace(row(0, sample, score), history=(Turn(f"a{before}", "Q?", None, before),))

    assert paired([ended(0, 5, "one"), ended(1, 1, "other")]) == []
    assert paired([ended(0, 5, "one"), ended(1, 1, "one")]) == [("0.0", "0.1")]
