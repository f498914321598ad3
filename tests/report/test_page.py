"""The page of a real build, opened from disk in a real browser, with every control used."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.workspace import Workspace
from tests.report.browser import DESKTOP, PHONE, Browser
from tests.report.datasets import SAME, TAGS, build, reply, write_page
from tests.server import ScriptedServer


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    with ScriptedServer(plan=reply) as server:
        made = Workspace(tmp_path_factory.mktemp("page"), server)
        assert build(made, "filter.min_score=3") == 1  # two questions have no answer
        review(made, "accept", "reject")
        assert build(made, "filter.min_score=4") == 1
        write_page(made, "sports", "--against", "latest~1")
        yield made


def review(project: Workspace, *verdicts: str) -> None:
    """A person says something of the first answers."""
    rows = zip(project.rows("answers"), verdicts, strict=False)
    lines = [json.dumps({"id": row["id"], "verdict": verdict, "at": "2026-01-01"}) for row, verdict in rows]
    (project.root / "reviews.jsonl").write_text("\n".join(lines) + "\n")


@pytest.fixture
def page(project: Workspace) -> Path:
    return project.folder() / "report.html"


def kept(project: Workspace) -> set[str]:
    """The answers that neither a transform nor a person has thrown out."""
    rejected = {row["id"] for row in project.rows("answers") if row.get("review") == "reject"}
    return {row["id"] for row in project.rows("filter") if row["kept"]} - rejected


def dropped_by_filter(project: Workspace) -> set[str]:
    return {row["id"] for row in project.rows("filter") if not row["kept"]}


def test_the_head_says_what_there_is(browser: Browser, page: Path, project: Workspace) -> None:
    with browser.open(page) as opened:
        assert opened.texts("#title") == ["体育 sports"]
        assert "not complete" in opened.texts("#subtitle")[0]
        figures = dict(zip(opened.texts(".figure .name"), opened.texts(".figure .value"), strict=True))
        assert figures["training rows"] == str(len(kept(project)))
        assert figures["tags"] == str(len(project.rows("tags")))
        assert figures["missing"] == str(sum(row["missing"] for row in project.rows("failures")))
        assert any(each.startswith("filter") for each in opened.texts(".bars .label"))
        assert "scripted" in " ".join(opened.texts("#part-overview td"))
        assert "$" in opened.texts("#part-overview tr.total td")[-1]


def test_rows_are_searched_filtered_and_opened_whole(browser: Browser, page: Path, project: Workspace) -> None:
    answers = project.rows("answers")
    with browser.open(page, "rows") as opened:
        opened.settle(f"{len(answers)} answers")
        assert opened.listed() == [row["id"] for row in answers]
        opened.tab.select_option("#filter-state", "0")
        opened.settle(f"of {len(kept(project))} answers")
        assert set(opened.listed()) == kept(project)
        opened.tab.select_option("#filter-state", label="dropped by filter")
        opened.settle(f"of {len(dropped_by_filter(project))} answers")
        opened.tab.select_option("#filter-state", "")
        opened.tab.select_option("#filter-rating", ">=5")
        opened.settle(f"of {sum(row['score'] >= 5 for row in project.rows('scores'))} answers")
        opened.tab.select_option("#filter-rating", "")
        word = answers[-1]["answer"].split()[2]
        opened.tab.fill("#search", word.upper())
        having = [row for row in answers if word in f"{row['question']} {row['reasoning']} {row['answer']}".lower()]
        opened.settle(f"of {len(having)} answers")
        assert answers[-1]["id"] in opened.listed()
        opened.tab.fill("#search", "")
        opened.tab.select_option("#filter-stage", label="questions")
        opened.settle(f"of {len(project.rows('questions'))} questions")
        opened.tab.select_option("#filter-branch", label=TAGS[0])
        opened.settle("of 8 questions")
        opened.tab.click("#list .rows li:nth-child(3) button")
        opened.wait_open()
        row = project.rows("questions")[2]
        assert opened.texts("#panel h2") == [row["question"]]
        assert {"question", "answer", "score"} <= set(opened.texts("#panel h3"))
        assert opened.tab.url.endswith(f"#{row['id']}")


def test_an_item_is_opened_by_its_id_with_its_chain_and_why_it_is_out(
    browser: Browser, page: Path, project: Workspace
) -> None:
    out = next(row for row in project.rows("filter") if not row["kept"])
    answer = next(row for row in project.rows("answers") if row["id"] == out["id"])
    with browser.open(page, out["id"]) as opened:
        opened.wait_open()
        assert opened.texts("#fate") == [f"Dropped by filter: {'; '.join(out['why'])}"]
        assert opened.texts("#panel h2") == [answer["question"]]
        assert answer["answer"] in " ".join(opened.texts("#panel .body"))
        assert answer["reasoning"] not in " ".join(opened.texts("#panel .body")), "reasoning is folded"
        opened.tab.click("#panel details summary")
        assert answer["reasoning"] in " ".join(opened.texts("#panel .body"))
        opened.tab.click("#close")
        opened.wait_closed()
        opened.tab.evaluate("id => { location.hash = id; }", project.rows("tags")[1]["id"])
        opened.tab.wait_for_selector("#part-tree .tag.marked")
        assert opened.tab.get_attribute("#part-tree .tag.marked", "data-id") == project.rows("tags")[1]["id"]
        opened.tab.evaluate("() => { location.hash = 'a_0000000000000000'; }")
        opened.tab.wait_for_selector("#toast:not([hidden])")


def test_what_people_said_is_shown_and_filtered_by(browser: Browser, page: Path, project: Workspace) -> None:
    accepted, rejected = (row["id"] for row in project.rows("answers")[:2])
    with browser.open(page, rejected) as opened:
        opened.wait_open()
        assert opened.texts("#fate") == ["A person rejected it, or what it hangs on."]
        opened.tab.keyboard.press("Escape")
        opened.tab.select_option("#filter-review", "accept")
        opened.settle("of 1 answers")
        assert opened.listed() == [accepted]
        opened.tab.select_option("#filter-review", "")
        opened.tab.select_option("#filter-state", "3")
        opened.settle("of 1 answers")
        assert opened.listed() == [rejected]


def test_the_keyboard_is_enough(browser: Browser, page: Path, project: Workspace) -> None:
    answers = project.rows("answers")
    with browser.open(page) as opened:
        opened.tab.keyboard.press("/")
        opened.settle(f"of {len(answers)} answers")
        opened.tab.keyboard.type(answers[2]["id"])
        opened.settle("of 1 answers")
        opened.tab.fill("#search", "")
        opened.settle(f"of {len(answers)} answers")
        opened.tab.keyboard.press("Escape")
        for key in "jjk":
            opened.tab.keyboard.press(key)
        opened.tab.keyboard.press("Enter")
        opened.wait_open()
        assert opened.tab.url.endswith(f"#{answers[1]['id']}")
        opened.tab.keyboard.press("j")
        opened.tab.wait_for_url(f"**#{answers[2]['id']}")
        opened.tab.keyboard.press("Escape")
        opened.wait_closed()


def test_the_tree_opens_and_closes_and_leads_to_its_rows(browser: Browser, page: Path, project: Workspace) -> None:
    with browser.open(page, "tree") as opened:
        names = opened.texts("#part-tree .tag .name")
        assert len(names) == len(project.rows("tags")) + 1
        assert any(TAGS[1] in name for name in names)
        opened.tab.click("#close-all")
        assert len(opened.texts("#part-tree .tag .name")) == 3
        opened.tab.click('#part-tree .toggle[aria-label^="Open or close Ball"]')
        assert len(opened.texts("#part-tree .tag .name")) == 5
        opened.tab.click("#open-all")
        for value in ("score", "dropped", "missing", "rows"):
            opened.tab.click(f'#part-tree .choices button[data-value="{value}"]')
            assert opened.tab.get_attribute(f'.choices button[data-value="{value}"]', "aria-pressed") == "true"
        assert opened.tab.is_visible("#part-tree .chart canvas")
        opened.tab.click(f'#part-tree .tag .name:has-text("{TAGS[1]}")')
        opened.settle("(filtered from")
        assert opened.tab.is_visible("#part-rows")


def test_what_was_dropped_is_told_with_pairs_and_failures(browser: Browser, page: Path, project: Workspace) -> None:
    with browser.open(page, "dropped") as opened:
        same = [row for row in project.rows("dedup") if row["same_as"]]
        told = [each for each in opened.texts("#part-dropped .pair .body") if each == SAME]
        assert len(told) == 2 * len(same) == 6
        assert sum(each == "no_answer" or "answer" in each for each in opened.texts("#part-dropped td")) >= 2
        opened.tab.click('#part-dropped .columns > .part:has(h3:text-is("filter")) button:text("show these rows")')
        opened.settle("(filtered from")
        assert set(opened.listed()) == dropped_by_filter(project)


def test_shape_settings_and_versions_are_there(browser: Browser, page: Path) -> None:
    with browser.open(page, "shape") as opened:
        assert {"questions: question", "answers: reasoning", "answers: answer", "scores: score"} <= set(
            opened.texts("#part-shape h3")
        )
        assert opened.tab.is_visible("#part-shape canvas")
        opened.show("settings")
        assert "min_score" in " ".join(opened.texts("#part-settings td"))
        opened.tab.click('summary:has-text("en/answers.jinja")')
        assert "message(" in " ".join(opened.texts("#part-settings details[open] pre"))
        opened.show("versions")
        assert "filter.min_score: 3 → 4" in " ".join(opened.texts("#part-versions td"))
        assert len(opened.texts("#part-versions tbody tr")) == 2


def test_the_difference_to_a_version_is_told_with_its_cause(browser: Browser, page: Path) -> None:
    with browser.open(page, "difference") as opened:
        assert "filter.min_score: 3 → 4" in opened.texts("#part-difference .part p")
        row = next(each for each in opened.texts("#part-difference tbody tr") if each.startswith("filter"))
        assert row.split()[3] != "0"
        assert opened.texts("#part-difference del.removed")
        assert opened.texts("#part-difference ins.added")


@pytest.mark.parametrize("size", [PHONE, DESKTOP, (1600, 1000)], ids=["phone", "desktop", "wide"])
def test_no_part_is_wider_than_the_window(
    browser: Browser, page: Path, project: Workspace, size: tuple[int, int]
) -> None:
    with browser.open(page, size=size) as opened:
        for part in ("overview", "tree", "rows", "dropped", "shape", "difference", "settings", "versions"):
            opened.show(part)
            assert not opened.is_wider_than_its_window, part
        opened.tab.evaluate("id => { location.hash = id; }", project.rows("answers")[0]["id"])
        opened.wait_open()
        assert not opened.is_wider_than_its_window


def test_light_and_dark_follow_the_system_until_somebody_chooses(browser: Browser, page: Path) -> None:
    def background() -> str:
        value: str = opened.tab.evaluate("getComputedStyle(document.body).backgroundColor")
        return value

    with browser.open(page, scheme="dark") as opened:
        dark = background()
        opened.tab.emulate_media(color_scheme="light")
        opened.tab.wait_for_selector('html[data-theme="light"]')
        assert background() != dark
        opened.tab.click("#theme")
        opened.tab.click("#theme")
        assert (opened.texts("#theme"), background()) == (["● Dark"], dark)


def test_on_paper_all_parts_are_there(browser: Browser, page: Path) -> None:
    with browser.open(page) as opened:
        opened.tab.emulate_media(media="print")
        assert {"From stage to stage", "Tree", "Versions", "Prompts and other long texts"} <= set(opened.texts("h2"))
        assert not opened.tab.is_visible("#search")


def test_text_runs_in_its_own_direction_and_the_tree_keeps_its_shape(browser: Browser, page: Path) -> None:
    with browser.open(page, "tree") as opened:
        labels = opened.tab.query_selector_all("#part-tree .name bdi")
        directions = {each.inner_text(): each.evaluate("each => getComputedStyle(each).direction") for each in labels}
        assert (directions[TAGS[0]], directions[TAGS[1]]) == ("ltr", "rtl")
        left = [each.evaluate("each => Math.round(each.parentElement.getBoundingClientRect().left)") for each in labels]
        of_level_one = {left[list(directions).index(tag)] for tag in TAGS}
        assert len(of_level_one) == 1
        texts = [each.evaluate("each => Math.round(each.getBoundingClientRect().left)") for each in labels]
        assert abs(texts[list(directions).index(TAGS[0])] - texts[list(directions).index(TAGS[1])]) < 20
