"""The rows on the page about formats are what is written."""

from pathlib import Path

from distill_build.builds.assembly import encode_rows
from distill_build.export import Layout, write_exports
from tests.export.test_formats import rows_of_answers
from tests.small_dataset import answers

PAGE = Path(__file__).parents[2] / "docs/formats.md"


def test_the_page_shows_real_rows() -> None:
    Path("answers.jsonl").write_bytes(encode_rows([answers()[0].row()]))
    formats = ["messages", "prompt_completion", "alpaca", "sharegpt", "csv"]
    page = PAGE.read_text(encoding="utf-8").splitlines()
    for path in write_exports(rows_of_answers(), Path("out"), formats, Layout("think", True, None)):
        assert set(path.read_text(encoding="utf-8").splitlines()) <= set(page), path.name
