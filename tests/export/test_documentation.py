"""The rows on the page about formats are what is written."""

from collections.abc import Iterable
from pathlib import Path

from msgspec.structs import replace

from distill_build.builds.assembly import encode_rows
from distill_build.export import Layout, TrainingRow, write_exports
from tests.export.test_formats import rows_of_answers
from tests.small_dataset import answers

PAGE = Path(__file__).parents[2] / "docs/formats.md"


def assert_shown(rows: Iterable[TrainingRow], formats: list[str], layout: Layout) -> None:
    page = PAGE.read_text(encoding="utf-8").splitlines()
    for path in write_exports(rows, Path("out"), formats, layout):
        lines = path.read_text(encoding="utf-8").splitlines()
        assert lines, path.name
        assert set(lines) <= set(page), path.name


def documented_row() -> TrainingRow:
    Path("answers.jsonl").write_bytes(encode_rows([answers()[0].row()]))
    (row,) = rows_of_answers()
    return row


def test_the_page_shows_real_rows() -> None:
    formats = ["messages", "prompt_completion", "alpaca", "sharegpt", "csv"]
    assert_shown([documented_row()], formats, Layout("think", True, None))


def test_the_page_shows_a_real_pair() -> None:
    better = replace(documented_row(), more={"score": 4.5})
    worse = replace(better, id="a_5b1f0f5fc1a0ea05", sample=1, reasoning=None, answer="A ball.", more={"score": 2.0})
    assert_shown([worse, better], ["preference"], Layout("think", True, None, columns={"score": "number"}))


def test_the_page_shows_a_real_label() -> None:
    row = replace(documented_row(), label="sport", shares={"sport": 0.75, "game": 0.25})
    assert_shown([row], ["labels"], Layout("think", True, None))
