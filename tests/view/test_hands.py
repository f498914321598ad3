"""The page with hands in a real browser: each of them used, the files looked at, and built."""

import json
from typing import Any

from tests.e2e.workspace import Workspace
from tests.report.browser import Browser, Opened
from tests.report.datasets import build
from tests.view.serving import Served


def reviews(project: Workspace) -> list[dict[str, Any]]:
    """The lines of the file, oldest first."""
    file = project.root / "curate/sports/reviews.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def wait_for_badge(opened: Opened, key: str, words: str) -> None:
    """Waits until the row in the list says so."""
    opened.tab.wait_for_function(
        "([key, words]) => document.querySelector(`#list button[data-id='${key}'] .marks`)?.textContent.includes(words)",
        arg=[key, words],
    )


def test_rows_are_rejected_and_accepted_by_key_and_the_build_goes_by_it(
    browser: Browser, view: Served, project: Workspace
) -> None:
    first, second = (row["id"] for row in project.rows("answers")[:2])
    with browser.visit(view.address, "rows") as opened:
        opened.settle("answers")
        opened.tab.keyboard.press("r")
        wait_for_badge(opened, first, "rejected, in the next build")
        opened.tab.keyboard.press("j")
        opened.tab.keyboard.press("a")
        wait_for_badge(opened, second, "accepted, in the next build")
        assert "2 changes wait for the next build: distill-build" in opened.tab.inner_text("#waiting")
    told = [(line["id"], line["verdict"]) for line in reviews(project)]
    assert told == [(first, "reject"), (second, "accept")]
    assert all(line["digest"] and line["at"] and line["by"] for line in reviews(project))
    assert build(project, "filter.min_score=3") == 1
    assert {row["id"]: row["review"] for row in project.rows("answers") if "review" in row} == {
        first: "reject",
        second: "accept",
    }
