"""The page with hands in a real browser: each of them used, the files looked at, and built."""

import json
from typing import Any

from distill_build.curate.tree_file import read_tree
from tests.e2e.workspace import Workspace
from tests.report.browser import PHONE, Browser
from tests.report.datasets import TAGS, build
from tests.view.serving import Served
from tests.view.showing import card, marks, on_tag, wait_for

RULE = "filter.min_score=3"


def reviews(project: Workspace) -> list[dict[str, Any]]:
    """The lines of the file, oldest first."""
    file = project.root / "curate/sports/reviews.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def row(project: Workspace, stage: str, key: str) -> dict[str, Any]:
    return next(row for row in project.rows(stage) if row["id"] == key)


def test_rows_are_rejected_and_accepted_by_key_and_the_build_goes_by_it(
    browser: Browser, view: Served, project: Workspace
) -> None:
    first, second = (row["id"] for row in project.rows("answers")[:2])
    with browser.visit(view.address, "rows") as opened:
        opened.settle("answers")
        opened.tab.keyboard.press("r")
        wait_for(opened, marks(first), "rejected, in the next build")
        opened.tab.keyboard.press("j")
        opened.tab.keyboard.press("a")
        wait_for(opened, marks(second), "accepted, in the next build")
        wait_for(opened, "#waiting", "2 changes wait for the next build: distill-build")
        opened.tab.select_option("#filter-review", "waits")
        opened.settle("of 2 answers")
        assert [(line["id"], line["verdict"]) for line in reviews(project)] == [(first, "reject"), (second, "accept")]
        assert all(line["digest"] and line["at"] and line["by"] for line in reviews(project))
        assert build(project, RULE) == 1
        reviewed = {row["id"]: row["review"] for row in project.rows("answers") if "review" in row}
        assert reviewed == {first: "reject", second: "accept"}
        opened.tab.click("#reload")
        opened.tab.wait_for_selector("html[data-ready]")
        opened.settle("answers")
        wait_for(opened, marks(first), "rejected")
        assert opened.texts(marks(first))[0].endswith("rejected")
        wait_for(opened, "#waiting", "Undo")
        assert opened.texts("#waiting") == ["Undo"], "nothing waits"


def test_a_row_is_edited_rated_tagged_and_noted_and_all_of_it_stays(
    browser: Browser, view: Served, project: Workspace
) -> None:
    key = project.rows("answers")[1]["id"]
    with browser.visit(view.address, "rows") as opened:
        opened.settle("answers")
        opened.tab.keyboard.press("j")
        opened.tab.keyboard.press("e")
        opened.tab.fill(f"{card(key)} textarea[name=answer]", "A better answer.\nOf two lines. 答")
        opened.tab.keyboard.press("Control+Enter")
        wait_for(opened, f"{card(key)} .edited", "A better answer.")
        opened.tab.keyboard.press("4")
        wait_for(opened, card(key), "★★★★")
        opened.tab.keyboard.press("t")
        opened.tab.fill(f"{card(key)} input[name=tags]", "good, to cite ,good")
        opened.tab.keyboard.press("Enter")
        wait_for(opened, f"{card(key)} .badges", "to cite")
        opened.tab.keyboard.press("n")
        opened.tab.fill(f"{card(key)} textarea[name=note]", "<b>I</b> know better.")
        opened.tab.click(f"{card(key)} [data-do=save]")
        wait_for(opened, f"{card(key)} .note", "<b>I</b> know better.")
        opened.tab.click(f"{card(key)} [data-do=accept]")
        opened.tab.wait_for_selector(f"{card(key)} [data-do=text][aria-pressed=true]")
        wait_for(opened, "#waiting", "1 change waits")
    last = reviews(project)[-1]
    assert last["verdict"] == "edit", "the edit is what is accepted"
    assert last["answer"] == "A better answer.\nOf two lines. 答"
    assert (last["rating"], last["tags"], last["note"]) == (4, ["good", "to cite"], "<b>I</b> know better.")
    assert "reasoning" not in last, "what was not edited"
    assert build(project, RULE) == 1
    assert row(project, "answers", key)["answer"] == last["answer"]
    assert row(project, "answers", key)["review"] == "edit"


def test_a_built_edit_is_edited_again_and_speaks_of_what_the_model_wrote(
    browser: Browser, view: Served, project: Workspace
) -> None:
    key = project.rows("questions")[1]["id"]
    assert view.say("/review", id=key, text={"question": "What do you say at level 4?"}).status == 200
    assert build(project, RULE) == 1
    assert row(project, "questions", key)["question"] == "What do you say at level 4?"
    with browser.visit(view.address, key) as opened:
        opened.wait_open()
        opened.tab.keyboard.press("3")
        wait_for(opened, card(key), "★★★")
        opened.tab.wait_for_selector("#undo")
        assert opened.texts("#waiting") == ["Undo"], "a rating is nothing that a build takes in"
        opened.tab.keyboard.press("r")
        wait_for(opened, card(key), "rejected, in the next build")
        wait_for(opened, "#fate", "the next build leaves it out")
        opened.tab.keyboard.press("a")
        wait_for(opened, f"{card(key)} .badges", "edited")
        wait_for(opened, "#fate", "It stands.")
    first, *_, last = reviews(project)
    assert (last["verdict"], last["question"], last["digest"]) == (
        "edit",
        "What do you say at level 4?",
        first["digest"],
    )
    assert build(project, RULE) == 1
    assert row(project, "questions", key)["question"] == "What do you say at level 4?"


def test_what_was_done_is_undone_step_by_step(browser: Browser, view: Served, project: Workspace) -> None:
    key, tag = project.rows("answers")[0]["id"], project.rows("tags")[1]["id"]
    with browser.visit(view.address, "rows") as opened:
        opened.settle("answers")
        opened.tab.keyboard.press("2")
        wait_for(opened, marks(key), "★★")
        opened.tab.keyboard.press("r")
        wait_for(opened, marks(key), "rejected")
        opened.tab.keyboard.press("u")
        opened.tab.wait_for_function("s => !document.querySelector(s).textContent.includes('rejected')", arg=marks(key))
        assert opened.texts(marks(key))[0].endswith("★★"), "the rating was before it"
        opened.show("tree")
        on_tag(opened, tag, "exclude")
        wait_for(opened, f"#part-tree .tag[data-id='{tag}']", "thrown out, in the next build")
        assert (project.root / "curate/sports/tree.yaml").exists()
        file = project.root / "curate/sports/reviews.jsonl"
        before = file.read_text()
        file.write_text(before + "a slip\n")
        opened.tab.click("#undo")
        wait_for(opened, "#toast", "line 4: it is no JSON")
        opened.expect_refusal()
        file.write_text(before)
        opened.tab.click("#undo")
        opened.tab.wait_for_selector(f"#part-tree .tag[data-id='{tag}'] .badge.bad", state="detached")
        assert not (project.root / "curate/sports/tree.yaml").exists()
        opened.tab.keyboard.press("u")
        opened.tab.wait_for_selector("#waiting", state="detached")
        opened.tab.keyboard.press("u")
        wait_for(opened, "#toast", "There is nothing to undo")
    assert reviews(project)[-1].keys() == {"id", "digest", "at", "by"}, "nothing is said of it any more"
    assert build(project, RULE) == 1
    assert not [row for row in project.rows("answers") if "review" in row]


def test_tags_are_renamed_and_thrown_out_and_questions_added(
    browser: Browser, view: Served, project: Workspace
) -> None:
    tags = project.rows("tags")
    parent, leaf, gone = tags[0], tags[1], tags[2]
    with browser.visit(view.address, "tree") as opened:
        on_tag(opened, parent["id"], "rename")
        opened.tab.fill(".tag-form input", TAGS[1])
        opened.tab.keyboard.press("Enter")
        wait_for(opened, "#toast", "another tag beside it is called")
        opened.expect_refusal()
        opened.tab.fill(".tag-form input", "Ball sports")
        opened.tab.keyboard.press("Enter")
        wait_for(opened, f"#part-tree .tag[data-id='{parent['id']}']", "Ball sports, in the next build")
        on_tag(opened, gone["id"], "exclude")
        wait_for(opened, f"#part-tree .tag[data-id='{gone['id']}']", "thrown out")
        on_tag(opened, leaf["id"], "add")
        opened.tab.fill(".tag-form textarea[name=text]", "Did I ask that?")
        opened.tab.fill(".tag-form textarea[name=answer]", "I did.")
        opened.tab.click(".tag-form [data-do=save]")
        wait_for(opened, "#own-items", "Did I ask that?")
        wait_for(opened, "#waiting", "3 changes wait")
    own = json.loads((project.root / "curate/sports/questions.jsonl").read_text())
    assert own == {"question": "Did I ask that?", "path": [TAGS[0], leaf["label"]], "answer": "I did."}
    tree = read_tree(project.root / "curate/sports/tree.yaml", "体育 sports")
    assert tree is not None
    assert tree.rename == {TAGS[0]: "Ball sports"}
    assert build(project, RULE, "-y") == 1
    labels = [row["label"] for row in project.rows("tags")]
    assert "Ball sports" in labels
    assert gone["label"] not in labels
    assert "I did." in [row["answer"] for row in project.rows("answers")]
    with browser.visit(view.address, "tree") as opened:
        wait_for(opened, "#tree-waits", gone["label"])
        assert opened.texts("#waiting") == []
        assert opened.texts("#own-items") == []
        opened.tab.click("#tree-waits button")
        wait_for(opened, "#waiting", "1 change waits")


def test_who_goes_through_what_is_not_reviewed_goes_on_from_there(
    browser: Browser, view: Served, project: Workspace
) -> None:
    second, third, fourth = (row["id"] for row in project.rows("answers")[1:4])
    with browser.visit(view.address, "rows") as opened:
        opened.settle("answers")
        opened.tab.select_option("#filter-review", "-")
        opened.tab.keyboard.press("j")
        opened.tab.keyboard.press("r")
        opened.tab.wait_for_selector(f"#list button[data-id='{second}']", state="detached")
        assert opened.tab.get_attribute("#list .marked button", "data-id") == third
        opened.tab.keyboard.press("r")
        opened.tab.wait_for_selector(f"#list .marked button[data-id='{fourth}']")
    assert [line["id"] for line in reviews(project)] == [second, third]


def test_a_search_looks_through_all_texts_of_all_rows(browser: Browser, view: Served, project: Workspace) -> None:
    answers = project.rows("answers")
    word = answers[-1]["answer"].split()[2]
    having = {row["id"] for row in answers if word in f"{row['question']} {row['reasoning']} {row['answer']}".lower()}
    with browser.visit(view.address, "rows") as opened:
        opened.settle("answers")
        opened.tab.fill("#search", word.upper())
        opened.settle(f"of {len(having)} answers")
        assert set(opened.listed()) == having
        assert len(having) < len(answers)
        opened.tab.fill("#search", answers[2]["id"])
        opened.settle("of 1 answers")
        opened.tab.fill("#search", "words that nothing has")
        opened.settle("none answers")
        assert any("/found/0" in each for each in opened.asked), "what is searched need not be in the page"


def test_a_search_in_rows_that_are_there_no_more_says_so(browser: Browser, view: Served, project: Workspace) -> None:
    with browser.visit(view.address, "rows") as opened:
        opened.settle("answers")
        assert build(project, "filter.min_score=3", "questions_per_tag=3") == 1
        with browser.visit(view.address, "rows") as other:
            other.settle("answers")
        opened.tab.fill("#search", "at level")
        wait_for(opened, "#toast", "other rows are shown by now: load this page again")
        assert len(opened.complaints) == 2, "of the browser and of the page"
        opened.complaints.clear()


def test_steps_are_undone_after_a_build_and_in_a_page_that_was_loaded_again(
    browser: Browser, view: Served, project: Workspace
) -> None:
    key = project.rows("answers")[0]["id"]
    with browser.visit(view.address, "rows") as opened:
        opened.settle("answers")
        wait_for(opened, "#hint", "waits here until the next build")
        opened.tab.keyboard.press("r")
        wait_for(opened, marks(key), "rejected, in the next build")
        assert opened.texts("#hint") == []
        assert build(project, RULE) == 1
        opened.tab.click("#reload")
        opened.tab.wait_for_selector("html[data-ready]")
        opened.settle("answers")
        opened.tab.wait_for_selector("#undo")
        opened.tab.keyboard.press("u")
        wait_for(opened, marks(key), "no longer reviewed, in the next build")
    with browser.visit(view.address, "rows") as another:
        another.settle("answers")
        wait_for(another, "#waiting", "1 change waits")
        assert another.tab.query_selector("#undo") is None, "what another tab did"
    assert build(project, RULE) == 1
    assert row(project, "answers", key).get("review") is None


def test_what_was_typed_and_not_saved_is_there_when_the_row_is_edited_again(
    browser: Browser, view: Served, project: Workspace
) -> None:
    key, other = (row["id"] for row in project.rows("answers")[:2])
    answer = f"{card(key)} textarea[name=answer]"
    with browser.visit(view.address, key) as opened:
        opened.wait_open()
        opened.tab.keyboard.press("e")
        opened.tab.fill(answer, "A long text.")
        opened.tab.keyboard.press("Escape")
        wait_for(opened, "#toast", "What you typed is kept")
        opened.tab.keyboard.press("j")
        opened.tab.wait_for_selector(f"{card(other)}.here")
        opened.tab.keyboard.press("k")
        opened.tab.wait_for_selector(f"{card(key)}.here")
        opened.tab.keyboard.press("e")
        assert opened.tab.input_value(answer) == "A long text."
        opened.tab.click(f"{card(key)} .editor >> text=Cancel")
        opened.tab.keyboard.press("e")
        assert opened.tab.input_value(answer) == row(project, "answers", key)["answer"]
    assert reviews(project) == []


def test_two_tabs_see_what_each_other_says_and_undo_only_their_own(
    browser: Browser, view: Served, project: Workspace
) -> None:
    key = project.rows("answers")[0]["id"]
    with browser.visit(view.address, "rows") as one, browser.visit(view.address, key) as other:
        one.settle("answers")
        other.wait_open()
        one.tab.bring_to_front()
        one.tab.keyboard.press("r")
        wait_for(one, marks(key), "rejected")
        other.tab.bring_to_front()
        wait_for(other, f"{card(key)} .badges", "rejected, in the next build")
        other.tab.keyboard.press("5")
        wait_for(other, card(key), "★★★★★")
        one.tab.bring_to_front()
        wait_for(one, marks(key), "★★★★★")
        one.tab.keyboard.press("u")
        wait_for(one, "#toast", "something else has been said of it since")
        one.expect_refusal(410)
        assert [line["verdict"] for line in reviews(project)] == ["reject", "reject"], "a line is whole"
        (project.root / "curate/sports/reviews.jsonl").unlink()  # as a person may, too
        one.tab.wait_for_function(
            "selector => !document.querySelector(selector).textContent.includes('rejected')", arg=marks(key)
        )


def test_a_text_that_is_another_one_by_now_is_told_and_not_reviewed_blindly(
    browser: Browser, view: Served, project: Workspace
) -> None:
    key = project.rows("answers")[0]["id"]
    before = view.snapshot()
    assert view.say("/review", id=key, text={"answer": "Mine."}).status == 200
    assert build(project, RULE, "--rebuild", "answers:*") == 1  # the server says the same again
    assert view.snapshot() != before
    answer = view.say("/review", of=before, id=key, verdict="reject")
    assert (answer.status, b"load this page again" in answer.body) == (409, True)
    file = project.root / "curate/sports/reviews.jsonl"
    file.write_text(file.read_text().replace(reviews(project)[0]["digest"], "0" * 64))
    assert build(project, RULE) == 1
    with browser.visit(view.address, key) as opened:
        opened.wait_open()
        wait_for(opened, f"{card(key)} .badges", "review left out")
        opened.tab.keyboard.press("a")
        wait_for(opened, f"{card(key)} .badges", "accepted, in the next build")
    assert "answer" not in reviews(project)[-1], "an edit of another text is not carried over"


def test_a_file_with_a_mistake_is_told_and_nothing_is_written(
    browser: Browser, view: Served, project: Workspace
) -> None:
    file = project.root / "reviews.jsonl"
    file.write_text('{"id": "a_1", "verdict": "perhaps"}\n')
    with browser.visit(view.address, "rows") as opened:
        opened.settle("answers")
        wait_for(opened, "#hands .notice", "reviews.jsonl, line 1: verdict is accept, reject, edit or left out")
        answer = view.say("/review", id=project.rows("answers")[0]["id"], verdict="reject")
        assert (answer.status, b"reviews.jsonl, line 1" in answer.body) == (409, True)
        file.unlink()
        opened.tab.wait_for_selector("#hands .notice", state="detached")


def test_a_server_that_has_ended_is_told_and_how_to_start_it_again(
    browser: Browser, view: Served, project: Workspace
) -> None:
    key = project.rows("answers")[0]["id"]
    with browser.visit(view.address, key) as opened:
        opened.wait_open()
        view.process.kill()
        view.process.wait()
        opened.tab.keyboard.press("r")
        wait_for(opened, "#toast", "The server does not answer")
        wait_for(opened, "#hands .notice", "run distill-build view sports again")
        assert "rejected" not in opened.texts(card(key))[0]
        assert all("net::ERR_" in each for each in opened.complaints), "what a browser says of it by itself"
        opened.complaints.clear()
    assert reviews(project) == []


def test_it_fits_a_phone(browser: Browser, view: Served, project: Workspace) -> None:
    key = project.rows("answers")[0]["id"]
    with browser.visit(view.address, key, size=PHONE) as opened:
        opened.wait_open()
        opened.tab.click(f"{card(key)} [data-do=text]")
        opened.tab.wait_for_selector(f"{card(key)} textarea")
        assert not opened.is_wider_than_its_window
        opened.tab.keyboard.press("Escape")
        opened.tab.wait_for_selector(f"{card(key)} textarea", state="detached")
        opened.tab.keyboard.press("Escape")
        opened.show("tree")
        assert not opened.is_wider_than_its_window
