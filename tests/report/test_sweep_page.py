"""A sweep's jobs side by side, in a real browser."""

import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.workspace import Workspace
from tests.report.browser import PHONE, Browser
from tests.report.datasets import write_page
from tests.server import ScriptedServer


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with ScriptedServer() as server:
        project = Workspace(tmp_path_factory.mktemp("sweep"), server)
        line = ("topic=sports", "depth=1", "breadth=1,2", "questions_per_tag=2,3", "-m", "-q")
        assert project.run(*line).status == 0
        (folder,) = project.folder().glob("sweeps/*")
        write_page(project, str(folder.relative_to(project.root)))
        yield folder / "report.html"


def test_jobs_are_compared_by_what_one_chooses(browser: Browser, page: Path) -> None:
    with browser.open(page) as opened:
        assert "4 jobs" in opened.texts("#subtitle")[0]
        assert [each for each in opened.texts(".bars .label") if "breadth=2" in each] != []
        opened.tab.click('.choices button[data-value="rows answers"]')
        assert opened.texts(".bars .number") == ["2", "3", "4", "6"]
        opened.tab.select_option("#axis-up", label="answers")
        opened.tab.select_option("#axis-across", label="questions")
        assert opened.tab.is_visible(".chart canvas")
        assert len(opened.texts("tbody tr")) == 4


def test_it_says_how_to_come_to_the_rows_of_each_job(browser: Browser, page: Path) -> None:
    project = Workspace(page.parents[4])
    with browser.open(page) as opened:
        commands = opened.texts("#job-pages")[0].splitlines()
    assert len(commands) == 4
    for command in commands:
        program, *words = shlex.split(command)
        assert program == "distill-build"
        assert project.raw(*words).status == 0
    pages = sorted(page.parent.glob("*/report.html"))
    assert len(pages) == 4
    with browser.open(pages[0], "rows") as opened:
        opened.settle("of 2 answers")


def test_it_fits_a_phone(browser: Browser, page: Path) -> None:
    with browser.open(page, size=PHONE, scheme="dark") as opened:
        assert not opened.is_wider_than_its_window
