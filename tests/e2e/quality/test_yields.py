"""A plan says what each threshold would keep, and a build with that threshold keeps as many."""

import shutil
from typing import Any

import pytest

from tests.e2e.judged import JUDGED, LINE, asked, kept, level_of, reply
from tests.e2e.test_only_what_is_affected import InProcess
from tests.server import Body, Fault, ScriptedServer, classify, content

PLAIN = "stages=[tags,questions,dedup,answers,filter]"
GRADED = "stages=[tags,questions,dedup,answers,attempts,grades,filter,select]"
SCORES_ALONE = "stages=[tags,questions,dedup,answers,scores]"


def alike(number: int, body: Body) -> Fault | None:
    """As `reply`, with answers of which those to questions of level 3 and 4 are the same, everywhere."""
    if classify(body) != "answers":
        return reply(number, body)
    return content("Yeast gives off gas, and so the dough rises." if level_of(body) > 2 else "Nobody knows.")


def yields(project: InProcess, *words: str) -> dict[str, dict[str, int]]:
    planned = project.run("plan", *LINE, *words, "--json")
    assert planned.status == 0, planned.stderr
    found: dict[str, dict[str, int]] = planned.document["yields"]
    return found


@pytest.mark.parametrize(
    ("words", "setting", "stage"),
    [
        ((JUDGED, "filter.min_score=3"), "filter.min_score", "filter"),
        ((JUDGED, "filter.repeated=drop", "filter.min_score=3"), "filter.min_score", "filter"),
        ((JUDGED, "filter.min_score=3", "filter.min_words=2"), "filter.min_words", "filter"),
        ((PLAIN, "filter.max_words=3"), "filter.max_words", "filter"),
        ((GRADED, "filter.max_pass_rate=0.6"), "filter.max_pass_rate", "filter"),
        ((GRADED, "filter.min_words=2", "select.count=3"), "select.count", "select"),
        ((GRADED, "select.by=s1"), "select.count", "select"),
        ((JUDGED.replace("]", ",select]"), "filter.min_score=3"), "select.count", "select"),
    ],
)
def test_a_build_keeps_what_the_plan_said(
    project: InProcess, endpoint: ScriptedServer, words: tuple[str, ...], setting: str, stage: str
) -> None:
    endpoint.plan = alike
    asked(project, *words)
    told = yields(project, *words)[setting]
    assert len(set(told.values())) > 1 or stage == "select", told
    for value, rows in told.items():
        assert asked(project, *words, f"{setting}={value}") == {}
        assert (value, sum(kept(project, stage))) == (value, rows)
        assert yields(project, *words)[setting] == told, "whatever the threshold was"


def test_it_is_said_before_there_is_a_filter_and_of_the_cache_alone(
    project: InProcess, endpoint: ScriptedServer
) -> None:
    asked(project, SCORES_ALONE)
    told = {"filter.min_score": {"2": 6, "2.5": 4, "3": 4, "3.5": 2, "3.7": 2, "4": 2, "4.5": 0, "5": 0}}
    wanted = (JUDGED, "filter.min_score=3.7")
    assert yields(project, *wanted) == told
    shutil.rmtree(project.folder())
    endpoint.reset()
    assert yields(project, *wanted) == told
    assert endpoint.count == 0
    shown = project.run("plan", *LINE, *wanted).stdout
    assert "filter.min_score would keep, of the rows that are known: 2 → 6, 2.5 → 4, 3 → 4, 3.5 → 2, 3.7 → 2" in shown


def test_rows_that_are_to_be_asked_for_are_not_known(project: InProcess) -> None:
    asked(project, JUDGED, "filter.min_score=3")
    grown = yields(project, JUDGED, "filter.min_score=3", "questions_per_tag=4")
    assert grown["filter.min_score"]["2"] == 6
    assert yields(project, JUDGED, "filter.min_score=3", "model.revision=two") == {}


@pytest.mark.parametrize("words", [(SCORES_ALONE,), (PLAIN, "filter.reasoning=required")])
def test_without_a_threshold_there_is_nothing_to_say(project: InProcess, words: tuple[Any, ...]) -> None:
    asked(project, *words)
    assert yields(project, *words) == {}
