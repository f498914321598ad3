"""Pages of a list, and a page that has no room for all rows. The files are made by hand: no model is asked."""

import gzip
from pathlib import Path
from random import Random

import pytest

from distill_build.builds.assembly import encode_rows
from distill_build.dataset.layout import Dataset
from distill_build.records import row_id
from distill_build.report.dataset import Around, dataset_page
from distill_build.report.drawing import Drawing
from distill_build.report.page import render
from distill_build.stages.default import DEFAULT
from tests.report.browser import Browser, Opened

QUESTIONS = 600


def question_ids() -> list[str]:
    return [row_id("q", "t_1", text) for text in texts()]


def texts() -> list[str]:
    return [f"Question {number} on {Random(number).randbytes(300).hex()}?" for number in range(QUESTIONS)]


def write_page(folder: Path, bound: int) -> int:
    """A dataset with one tag and many questions, and its page within a bound. Returns how many are on it."""
    folder.mkdir()
    path = ["sports", "Ball games"]
    tag = {"id": "t_1", "path": path, "number": "1", "label": path[-1], "parent": None, "level": 1, "leaf": True}
    rows = [
        {"id": row_id("q", "t_1", text), "tag": "t_1", "path": path, "index": index, "question": text}
        for index, text in enumerate(texts())
    ]
    (folder / "tags.jsonl").write_bytes(encode_rows([tag]))
    (folder / "questions.jsonl").write_bytes(encode_rows(rows))
    page, blocks = dataset_page(Dataset(folder), DEFAULT, Around(None, None, None, []), Drawing(0, bound))
    (folder / "report.html").write_text("".join(render(page, blocks)))
    assert page.rows.of == QUESTIONS
    assert sum(gzip.decompress(block.whole).count(b"Question ") for block in blocks) == page.rows.families
    return page.rows.families


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("many")


def test_a_list_has_pages_of_fifty(browser: Browser, folder: Path) -> None:
    assert write_page(folder / "whole", 20_000_000) == QUESTIONS
    with browser.open(folder / "whole" / "report.html", "rows") as opened:
        opened.settle(f"1–50 of {QUESTIONS} questions")
        assert opened.listed() == question_ids()[:50]
        assert not opened.tab.query_selector("#drawn")
        opened.tab.click("#next")
        opened.settle(f"51–100 of {QUESTIONS} questions")
        assert opened.listed() == question_ids()[50:100]
        opened.tab.click("#previous")
        opened.settle(f"1–50 of {QUESTIONS} questions")
        assert opened.tab.is_disabled("#previous")


def test_keys_go_on_to_the_next_page_of_a_list_and_a_row_that_closes_is_marked_on_its_own(
    browser: Browser, folder: Path
) -> None:
    write_page(folder / "keys", 20_000_000)
    with browser.open(folder / "keys" / "report.html", "rows") as opened:
        opened.settle(f"1–50 of {QUESTIONS}")
        for _ in range(50):
            opened.tab.keyboard.press("j")
        opened.settle(f"51–100 of {QUESTIONS}")
        assert marked(opened) == question_ids()[50]
        opened.tab.keyboard.press("k")
        opened.settle(f"1–50 of {QUESTIONS}")
        assert marked(opened) == question_ids()[49]
        opened.tab.keyboard.press("Enter")
        opened.wait_open()
        opened.tab.keyboard.press("j")
        opened.tab.wait_for_selector(f"#panel .row-card.here[data-id='{question_ids()[50]}']")
        opened.tab.keyboard.press("Escape")
        opened.wait_closed()
        opened.settle(f"51–100 of {QUESTIONS}")
        assert marked(opened) == question_ids()[50]
        opened.tab.evaluate("key => { location.hash = key; }", question_ids()[-1])
        opened.wait_open()
        opened.settle(f"551–600 of {QUESTIONS}")
        assert marked(opened) == question_ids()[-1]


def marked(opened: Opened) -> str | None:
    """The row of the list that keys speak of."""
    return opened.tab.get_attribute("#list .marked button", "data-id")


def test_where_not_all_have_room_the_page_says_how_many_it_has(browser: Browser, folder: Path) -> None:
    kept = write_page(folder / "part", 150_000)
    assert 0 < kept < QUESTIONS
    with browser.open(folder / "part" / "report.html", "rows") as opened:
        opened.settle(f"of {kept} questions")
        assert opened.texts("#drawn")[0].startswith(f"{kept} of {QUESTIONS} rows with all that hangs on them, drawn by")
        opened.show("overview")
        figures = dict(zip(opened.texts(".figure .name"), opened.texts(".figure .value"), strict=True))
        assert figures["questions"] == str(QUESTIONS), "figures are of all rows"
        opened.show("rows")
        opened.tab.evaluate("() => { location.hash = 'q_0000000000000000'; }")
        opened.tab.wait_for_selector("#toast:not([hidden])")
        assert "not among the rows that were drawn" in opened.texts("#toast")[0]
