"""A build to talk about: settings, a plan and a report, each with what a test wants to be different."""

from pathlib import Path
from typing import Any

from distill_build.builds.plan.plan import Cost, Plan, StagePlan
from distill_build.builds.report import Report
from distill_build.builds.walk.tally import Tally
from distill_build.graph import Graph
from distill_build.models.base import Limits, ModelSettings, Prices
from distill_build.records import Usage
from distill_build.settings import Settings
from tests.made_settings import made_settings

PRICES = Prices(prompt=0.3, completion=0.4)
GRAPH = Graph.parse({"tags": "t: list", "questions": "q: list of tags", "answers": "a: map of questions"})
EXPECTED = {"tags": 11, "questions": 60, "answers": 480}
SIFTED = Graph.parse(
    {
        "tags": "t: list",
        "questions": "q: list of tags",
        "dedup": "dedup: transform of questions",
        "answers": "a: map of questions",
        "a_stage_with_as_long_a_name_as_any": "a_stage_with_as_long_a_name_as_any: map of answers",
        "扩展阅读": "扩展阅读: map of answers",
        "scores": "scores: map of answers",
        "good": "good: transform of scores",
        "votes": "votes: group of answers by questions",
        "last": "last: map of votes",
    }
)
"""Ten stages of every kind, in which two judge rows and one has a long name."""
FOLDER = Path("outputs/sports")


def settings(**changes: Any) -> Settings:
    model = ModelSettings(engine="openai_compatible", name="m", prices=PRICES)
    limits = Limits(concurrency=32, timeout_s=600.0, retries=6, reasks=2)
    given: dict[str, Any] = {"topic": "sports", "name": "sports", "limits": limits} | changes
    return made_settings(model, **given)


def plan(ask: int = 40, unknown: int = 0, seconds: float = 60.0, usd: float | None = 0.5, cached: int = 0) -> Plan:
    """A plan in which all that is to do is to be done for answers."""
    stages = {stage: StagePlan() for stage in EXPECTED}
    costs = {stage: Cost(0, 0, 0.0, 0.0) for stage in EXPECTED}
    stages["answers"] = StagePlan(cached=cached, ask=ask, unknown=unknown)
    costs["answers"] = Cost(1_000, 2_000, usd, seconds)
    return Plan(stages, costs)


def tally() -> Tally:
    """Eleven tags from three requests of half a second each, and no more."""
    told = Tally.of(EXPECTED)
    for _ in range(3):
        told.stages["tags"].spend("m", Usage(100, 20), PRICES.of(100, 20), 0.5)
    told.stages["tags"].made = 11
    return told


def report(**changes: Any) -> Report:
    """A complete build."""
    given: dict[str, Any] = {
        "name": "sports",
        "folder": FOLDER,
        "graph": GRAPH,
        "version": "3f2a91c0ffee" + "0" * 52,
        "run_id": "20260102-030405-ab12",
        "until": "dataset",
        "up_to_date": False,
        "seconds": 200.0,
        "tally": tally(),
        "expected": EXPECTED,
        "counts": {"tags": 11, "questions": 60, "answers": 480},
        "failures": 0,
        "stopped": None,
        "files": (FOLDER / "tags.jsonl", FOLDER / "dataset" / "train.messages.jsonl"),
        "edited": (),
    }
    return Report(**given | changes)


def sifted_report(**changes: Any) -> Report:
    """A build of ten stages in which 6 of 100 questions were dropped, and nothing hangs on those."""
    told = Tally.of(SIFTED.names)
    verdicts = told.stages["dedup"]
    for number in range(100):
        verdicts.judge(REASONS[min(number, 3)], kept=number >= 6)
    told.stages["good"].judged = 94
    counts = {"tags": 11, "questions": 100, "dedup": 100} | dict.fromkeys(SIFTED.names[3:], 94)
    for stage, made in counts.items():
        told.stages[stage].made = made
        told.stages[stage].spared = 6 * (made == 94)
    expected = {"tags": 11} | dict.fromkeys(SIFTED.names[1:], 100)
    given: dict[str, Any] = {"graph": SIFTED, "tally": told, "expected": expected, "counts": counts}
    return report(**given | changes)


REASONS = (["the same as another one"], ["too short", "no words"], ["no question"], ["the same as another one"])


def short_report(**changes: Any) -> Report:
    """A build in which eight answers could not be made."""
    given: dict[str, Any] = {"counts": {"tags": 11, "questions": 60, "answers": 472}, "failures": 8}
    return report(**given | changes)
