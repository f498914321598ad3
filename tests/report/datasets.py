"""Datasets that are built for pages: with what is dropped, alike, missing, judged, and in two versions."""

import json

from tests.e2e.judged import judgement, level_of
from tests.e2e.test_only_what_is_affected import items_at, place_of
from tests.e2e.workspace import Workspace
from tests.server import Body, Fault, classify, content

STAGES = "stages=[tags,questions,dedup,answers,scores,filter]"
LINE = ("topic=体育 sports", "name=sports", "depth=2", "breadth=2", "questions_per_tag=4", STAGES, "limits.reasks=0")
PRICES = ("model.prices.prompt=0.2", "model.prices.completion=0.8")
SAME = "Which rules hold everywhere at level 3?"
UNANSWERED = "Which question has no answer at level 2?"
TAGS = ("Ball games 球类", "رياضة الماء")
LEVELS = (4, 5, 3)


def reply(_: int, body: Body) -> Fault | None:
    """Four questions for each leaf: one that all ask, three of its own; one leaf's first has no answer."""
    kind = classify(body)
    if kind == "scores":
        return judgement(level_of(body))
    if kind == "tags":
        place = place_of(body)
        return content(json.dumps({"tags": TAGS if ">" not in place else items_at("tags", place)[:2]}))
    if kind == "questions":
        place = place_of(body)
        own = [f"{each} at level {level}?" for each, level in zip(items_at("questions", place), LEVELS, strict=False)]
        if TAGS[1] in place:
            own[0] = f"{UNANSWERED[:-1]} in {place.rpartition('>')[2].strip()} at level 2?"
        return content(json.dumps({"questions": [SAME, *own]}))
    if kind == "answers" and UNANSWERED[:-1] in str(body["messages"]):
        return content("")
    return None


def build(project: Workspace, *words: str) -> int:
    """Builds the dataset, in a process of its own: the browser has an event loop in this one. Returns its status."""
    return project.run(*LINE, *PRICES, *words, "-q").status


def write_page(project: Workspace, *words: str) -> None:
    """Writes the page of the dataset."""
    done = project.raw("report", *words)
    assert done.status == 0, done.stderr
