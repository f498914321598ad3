"""What models and people wrote never runs, and stands on the page as it was written."""

import json
import re
from pathlib import Path

import pytest

from tests.e2e.workspace import Workspace
from tests.report.browser import Browser
from tests.report.datasets import write_page
from tests.server import Body, Fault, ScriptedServer, classify, content

HOSTILE = (
    "<img src=x onerror=ran('img')>",
    "</script><script>ran('script')</script>",
    "<!-- <script> --><svg onload=ran('svg')>",
    "javascript:ran('link')",
    "{{7*7}} {a|b} ${ran('template')} \u2028 \u2029 \x00 \u202e turned",
    "'\"><iframe srcdoc=\"<script>parent.ran('frame')</script>\">",
)
TOPIC = "</title><script>ran('title')</script>"
PLACE = re.compile(r"Subject: ([^\n]+)")


def reply(_: int, body: Body) -> Fault | None:
    kind = classify(body)
    if kind == "tags":
        return content(json.dumps({"tags": [f"{text} tag" for text in HOSTILE[:3]]}))
    if kind == "questions":
        found = PLACE.search(str(body["messages"][-1]["content"]))
        place = found[1][-20:] if found else ""
        return content(json.dumps({"questions": [f"{text} asked of {place}?" for text in HOSTILE]}))
    return content("\n".join(HOSTILE), reasoning_content="<script>ran('thought')</script>" + HOSTILE[0])


def test_nothing_that_a_model_wrote_runs(browser: Browser, tmp_path: Path) -> None:
    with ScriptedServer(plan=reply) as server:
        project = Workspace(tmp_path, server)
        line = (f"topic={TOPIC}", "name=hostile", "depth=1", "breadth=3", "questions_per_tag=6")
        for more in ((), ("questions_per_tag=5",)):
            done = project.run(*line, *more, "model.name=<b onclick=ran(1)>", "-q")
            assert done.status == 0, done.stderr
        write_page(project, "hostile", "--against", "latest~1")
    with browser.open(project.folder("hostile") / "report.html") as opened:
        opened.tab.evaluate("() => { window.ran = (how) => { window.wasRun = how; }; }")
        assert opened.texts("#title") == [TOPIC]
        for part in ("overview", "tree", "dropped", "shape", "difference", "settings", "versions", "rows"):
            opened.show(part)
        lines = (project.folder("hostile") / "answers.jsonl").read_text().rstrip("\n").split("\n")  # U+2028 ends none
        answers = [json.loads(line) for line in lines]
        opened.settle(f"of {len(answers)} answers")
        for row in answers:
            opened.tab.evaluate("id => { location.hash = id; }", row["id"])
            opened.tab.wait_for_selector(f'#panel .row-card.here[data-id="{row["id"]}"]')
            for folded in opened.tab.query_selector_all("#panel details:not([open]) summary"):
                folded.click()
            assert row["answer"] in opened.tab.inner_text("#panel") or "\x00" in row["answer"]
        assert opened.tab.evaluate("() => window.wasRun") is None
        elements = (
            "img, iframe, object, embed, svg, form, [srcdoc], [onerror], [onload], [onclick], a[href^=javascript]"
        )
        assert opened.tab.query_selector_all(elements) == []
        assert len(opened.tab.query_selector_all("script:not([type])")) == 2, "the charts and our own"


SCRIPTS = Path(__file__).parents[2] / "distill_build/report/assets"


@pytest.mark.parametrize("script", sorted(SCRIPTS.glob("*.js")), ids=lambda path: path.name)
def test_no_script_of_ours_makes_html_of_text(script: Path) -> None:
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|eval\(|Function\(|srcdoc",
        script.read_text(encoding="utf-8"),
    )


def test_the_policy_forbids_what_the_page_does_not_bring(browser: Browser, tmp_path: Path) -> None:
    """Were a text to become HTML after all, it could still run nothing, and fetch nothing."""
    with ScriptedServer() as server:
        project = Workspace(tmp_path, server)
        assert project.run("topic=sports", "depth=1", "breadth=1", "questions_per_tag=1", "-q").status == 0
        write_page(project)
    with browser.open(project.folder() / "report.html") as opened:
        opened.tab.evaluate(
            """() => {
            const script = document.createElement("script");
            script.textContent = "window.wasRun = 1";
            document.body.append(script);
            const image = document.createElement("img");
            image.setAttribute("onerror", "window.wasRun = 2");
            image.src = "http://127.0.0.1:9/";
            document.body.append(image);
            }"""
        )
        assert opened.tab.evaluate("() => window.wasRun") is None
        refused = [each for each in opened.complaints if "Content Security Policy" in each]
        assert len(refused) >= 2
        assert opened.complaints == refused
        opened.complaints.clear()
        opened.asked[:] = [each for each in opened.asked if each.startswith("file:")]
