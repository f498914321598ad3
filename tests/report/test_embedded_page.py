"""The page of a build with the packed model: real texts, whatever they are."""

from pathlib import Path

import pytest

from tests.e2e.workspace import Workspace
from tests.report.browser import Browser
from tests.report.datasets import write_page

SMALL = (
    "topic=Physical Education and Sports",
    "name=sports",
    "depth=1",
    "breadth=2",
    "questions_per_tag=1",
    "per_request={tags: 2, questions: 1}",
    "teacher.max_tokens=96",
)


def test_rows_of_the_packed_model_are_on_their_page(browser: Browser, tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp", reason="the extra `local` is not installed")
    project = Workspace(tmp_path)
    assert project.raw(*SMALL, "-q").status in (0, 1)  # what such a model cannot do is on the page, too
    answers = project.rows("answers")
    write_page(project)
    with browser.open(project.folder() / "report.html") as opened:
        assert opened.texts("#title") == ["Physical Education and Sports"]
        assert "smollm2-135m-instruct" in opened.texts("#subtitle")[0]
        if answers:
            opened.show("rows")
            opened.settle(f"of {len(answers)} answers")
        for answer in answers:
            opened.tab.evaluate("id => { location.hash = id; }", answer["id"])
            opened.tab.wait_for_selector(f'#panel .row-card.here[data-id="{answer["id"]}"]')
            assert answer["answer"].split()[0] in " ".join(opened.texts("#panel .body"))
        opened.tab.keyboard.press("Escape")
        opened.wait_closed()
        missing = sum(row["missing"] for row in project.rows("failures"))
        opened.show("overview")
        figures = dict(zip(opened.texts(".figure .name"), opened.texts(".figure .value"), strict=True))
        assert figures.get("missing", "0") == str(missing)
