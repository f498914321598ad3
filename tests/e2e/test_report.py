"""`report` writes one file, says where, and needs neither a configuration nor a cache. What is in it: tests/report."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.workspace import Workspace, start
from tests.server import ScriptedServer

SMALL = ("topic=sports", "depth=1", "breadth=2", "questions_per_tag=2")


@pytest.fixture
def project(workspace: Workspace) -> Workspace:
    assert workspace.run(*SMALL, "-q").status == 0
    return workspace


def data_in(page: Path) -> Any:
    """What the page is made of."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page.read_text())
    assert found is not None
    return json.loads(found[1])


def test_the_page_lies_in_the_folder_or_where_it_is_wanted(project: Workspace) -> None:
    done = project.raw("report")
    assert (done.status, done.stderr) == (0, "")
    page = project.folder() / "report.html"
    assert done.stdout == f"outputs/sports/report.html  {page.stat().st_size:,} bytes\n"
    told = project.raw("report", "sports", "--to", "page.html", "--json").document
    assert told["file"] == "page.html"
    assert (told["kind"], told["rows"], told["of"]) == ("dataset", 4, 4)
    assert (project.root / "page.html").read_bytes() == page.read_bytes(), "the same rows give the same page"
    assert project.raw("verify", "-q").status == 0, "and are as they were"
    assert project.run(*SMALL, "--locked", "-q").status == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nothing",), "there is no dataset 'nothing'"),
        (("--to", "."), "is a folder: name a file, as in --to"),
        (("--to", "no/page.html"), "there is no folder no to write page.html to"),
        (("--against", "latest~7"), "there is no latest~7"),
    ],
)
def test_what_cannot_be_is_a_sentence(project: Workspace, words: tuple[str, ...], said: str) -> None:
    done = project.raw("report", *words)
    assert (done.status, done.stdout) == (2, "")
    assert said in done.stderr
    assert not list(project.root.rglob("*.html"))


def test_a_folder_without_its_cache_has_its_page_without_versions(project: Workspace) -> None:
    shutil.rmtree(project.root / ".distill-cache")
    done = project.raw("report")
    assert done.status == 0
    assert "the page has no versions and no cost: there is no cache at" in done.stderr
    page = data_in(project.folder() / "report.html")
    assert page["versions"] is None
    assert page["spending"]["whole"] is False
    assert {each["stage"]: each["calls"] for each in page["spending"]["by"]} == {"answers": 4}


def test_tokens_are_those_that_the_build_counted(workspace: Workspace) -> None:
    prices = ("model.prices.prompt=1", "model.prices.completion=2")
    built = workspace.run(*SMALL, *prices, "--json").document
    assert workspace.raw("report").status == 0
    spent = data_in(workspace.folder() / "report.html")["spending"]
    assert sum(each["calls"] for each in spent["by"]) == built["calls"] == 7
    assert sum(each["prompt_tokens"] for each in spent["by"]) == built["tokens"]["prompt"]
    assert sum(each["completion_tokens"] for each in spent["by"]) == built["tokens"]["completion"]
    assert sum(each["usd"] for each in spent["by"]) == pytest.approx(built["usd"])


def test_a_sweep_has_its_jobs_side_by_side(workspace: Workspace, server: ScriptedServer) -> None:
    done = workspace.run(*SMALL, "breadth=1,2", "stages=[tags,questions,dedup,answers]", "-m", "-q")
    assert done.status == 0
    (folder,) = workspace.folder().glob("sweeps/*")
    told = workspace.raw("report", str(folder.relative_to(workspace.root)), "--json").document
    assert (told["kind"], told["jobs"]) == ("sweep", 2)
    page = data_in(folder / "report.html")
    assert [job["choices"] for job in page["jobs"]] == [{"breadth": "1"}, {"breadth": "2"}]
    assert [job["counts"]["answers"] for job in page["jobs"]] == [2, 4]
    assert page["calls"] == server.count
    refused = workspace.raw("report", str(folder.relative_to(workspace.root)), "--against", "latest")
    assert (refused.status, "--against compares versions of one dataset" in refused.stderr) == (2, True)


def test_jobs_that_dropped_rows_are_read_back_with_the_reasons(workspace: Workspace) -> None:
    line = ("stages=[tags,questions,answers,filter]", "filter.min_words=1000", "breadth=1,2", "-m", "-q")
    assert workspace.run(*SMALL, *line).status == 0
    (folder,) = workspace.folder().glob("sweeps/*")
    assert workspace.raw("report", str(folder.relative_to(workspace.root))).status == 0
    page = data_in(folder / "report.html")
    assert [sum(job["dropped"]["filter"].values()) for job in page["jobs"]] == [2, 4]
    assert page["calls"] is not None, "what all jobs come to together is known"


def test_questions_below_the_topic_are_on_the_page_though_no_tag_has_them(workspace: Workspace) -> None:
    own = {"question": "What did nobody ask?", "answer": "This."}
    (workspace.root / "questions.jsonl").write_text(json.dumps({**own, "topic": "sports"}) + "\n")
    assert workspace.run(*SMALL, "-q").status == 0
    assert workspace.raw("report").status == 0
    page = data_in(workspace.folder() / "report.html")
    counts = {each["name"]: each["rows"] for each in page["stages"]}
    assert counts == {"tags": 2, "questions": 5, "dedup": 5, "answers": 5}
    assert page["below_topic"][0] == [0, 1, 0, 1]
    assert (page["rows"]["families"], page["exported"]) == (5, 5)


def test_beside_a_first_build_the_page_has_the_rows_so_far(workspace: Workspace, server: ScriptedServer) -> None:
    server.hold_from(3 + 2)  # the lists, and two answers
    with start(workspace, *SMALL, "limits.concurrency=1") as process:
        server.wait_for(3 + 3)
        told = workspace.raw("report", "--json", "--to", "page.html")
        against = workspace.raw("report", "--against", "latest")
        server.release()
        process.communicate(timeout=60)
    assert told.status == 0, told.stderr
    page = data_in(workspace.root / "page.html")
    assert {each["name"]: each["rows"] for each in page["stages"]}["answers"] == 2
    assert (page["version"], page["complete"]) == (None, None)
    assert "has not come to its end" in page["notes"][0]
    assert (against.status, "has no version yet to compare" in against.stderr) == (2, True)
