"""The user's story: begin, build, put it right by hand on the page, build again, show it, pass it on."""

import shutil
from collections import Counter
from pathlib import Path

import pytest

from tests.e2e.workspace import Workspace
from tests.report.browser import Browser, Opened
from tests.server import ScriptedServer
from tests.view.serving import served
from tests.view.showing import card, marks, on_tag, wait_for

QUESTION, ANSWER, OWN = "How long is a marathon?", "42.195 km, since 1921.", "Who may not play?"


@pytest.fixture
def project(workspace: Workspace, server: ScriptedServer) -> Workspace:
    """What `init` has begun, with an endpoint of the user's."""
    assert workspace.raw("init", "mine").status == 0
    project = Workspace(workspace.root / "mine", server)
    file = project.root / "conf/distill.yaml"
    endpoint = f"\nmodel:\n  base_url: {server.base_url}\n  name: scripted\n"
    file.write_text(file.read_text().replace("override model: local", "override model: openai_compatible") + endpoint)
    return project


def test_what_is_put_right_on_the_page_is_asked_for_built_told_shown_and_passed_on(
    browser: Browser,
    project: Workspace,
    server: ScriptedServer,
    tmp_path: Path,
) -> None:
    assert project.raw().status == 0
    assert server.kinds == Counter(tags=4, questions=9, answers=18)
    before, tags = project.rows("answers"), project.rows("tags")
    rejected, asked, edited = before[0], before[5], before[9]
    renamed, gone, leaf = tags[0], tags[11], tags[5]
    server.reset()
    with served(project) as view, browser.visit(view.address, "rows") as page:
        page.settle("of 18 answers")
        page.tab.keyboard.press("r")
        wait_for(page, marks(rejected["id"]), "rejected")
        edit(page, asked["question_id"], "question", QUESTION)
        edit(page, edited["id"], "answer", ANSWER)
        page.tab.keyboard.press("Escape")
        page.show("tree")
        on_tag(page, renamed["id"], "rename")
        page.tab.fill(".tag-form input", "Ball games")
        page.tab.keyboard.press("Enter")
        wait_for(page, f"#part-tree .tag[data-id='{renamed['id']}']", "Ball games, in the next build")
        on_tag(page, gone["id"], "exclude")
        wait_for(page, f"#part-tree .tag[data-id='{gone['id']}']", "thrown out, in the next build")
        on_tag(page, leaf["id"], "add")
        page.tab.fill(".tag-form textarea[name=text]", OWN)
        page.tab.click(".tag-form [data-do=save]")
        wait_for(page, "#waiting", "6 changes wait for the next build: distill-build")
        assert server.count == 0

        assert project.raw("plan", "--json").document["calls"] == 2
        assert project.raw().status == 0
        assert server.kinds == Counter(answers=2), "the edited question's answer, and that of one's own"
        sent = str([each.body for each in server.requests])
        assert (QUESTION in sent, OWN in sent) == (True, True)
        page.tab.click("#reload")
        page.tab.wait_for_selector("html[data-ready]")
        wait_for(page, "#waiting", "Undo")
        assert page.texts("#waiting") == ["Undo"], "nothing waits"
    after = {row["id"]: row for row in project.rows("answers")}
    assert after[rejected["id"]]["review"] == "reject"
    assert after[asked["id"]]["question"] == QUESTION
    assert after[asked["id"]]["answer"] != asked["answer"]
    assert after[edited["id"]]["answer"] == ANSWER
    assert OWN in [row["question"] for row in after.values()]
    assert gone["label"] not in str(list(after.values()))
    assert renamed["label"] not in str([row["path"] for row in after.values()])
    left = [row for row in before if row["tag"] != gone["id"] and row["id"] not in (asked["id"], edited["id"])]
    assert [after[row["id"]]["answer"] for row in left] == [row["answer"] for row in left], "all else stays"
    exported = (project.folder() / "dataset/train.messages.jsonl").read_text()
    assert exported.count("\n") == 18 - 1 - 2 + 1
    assert (ANSWER in exported, rejected["answer"] in exported) == (True, False)

    told = project.raw("diff", "--json").document
    assert {cause["setting"] for cause in told["causes"]} == {"tree.yaml", "questions of your own", "reviews.jsonl"}, (
        told
    )
    assert project.raw("report", "--to", "page.html", "--against", "latest~1").status == 0
    with browser.open(project.root / "page.html", edited["id"]) as shown:
        shown.wait_open()
        assert ANSWER in shown.texts(card(edited["id"]))[0]

    passed_on = clone(project, tmp_path / "elsewhere")
    server.reset()
    assert passed_on.raw("--frozen").status == 0
    assert server.count == 0
    assert passed_on.bytes() == project.bytes()
    (passed_on.root / "curate/sports/reviews.jsonl").unlink()
    assert passed_on.raw("--frozen").status == 4, "what people said is part of what is frozen"


def edit(page: Opened, key: str, column: str, text: str) -> None:
    """Opens a row by its address, and gives a column another text."""
    page.tab.evaluate("key => { location.hash = key; }", key)
    page.tab.wait_for_selector(f"#panel:not([hidden]) {card(key)[7:]}.here")
    page.tab.keyboard.press("e")
    page.tab.fill(f"{card(key)} textarea[name={column}]", text)
    page.tab.keyboard.press("Control+Enter")
    wait_for(page, f"{card(key)} .edited", text)


def clone(project: Workspace, place: Path) -> Workspace:
    """The folder on another machine: without the cache, and without what can be made again."""
    shutil.copytree(project.root, place, ignore=shutil.ignore_patterns(".distill-cache", "*.html"))
    made = Workspace(place)
    for file in made.folder().glob("*.jsonl"):
        file.unlink()
    shutil.rmtree(made.folder() / "dataset")
    return made
