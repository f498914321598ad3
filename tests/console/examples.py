"""A build to talk about: settings, a plan and a report, each with what a test wants to be different."""

from pathlib import Path
from typing import Any

from distill_build.models.base import Limits, ModelSettings, Prices
from distill_build.records import Usage
from distill_build.settings import Settings, Stage
from distill_build.stages.plan import Cost, Plan, StagePlan
from distill_build.stages.report import Expected, Report
from distill_build.stages.tally import STAGES, Tally
from tests.made_settings import made_settings

PRICES = Prices(prompt=0.3, completion=0.4)
EXPECTED = Expected(tags=11, questions=60, answers=480)
FOLDER = Path("outputs/sports")


def settings(**changes: Any) -> Settings:
    model = ModelSettings(engine="openai_compatible", name="m", prices=PRICES)
    limits = Limits(concurrency=32, timeout_s=600.0, retries=6, reasks=2)
    given: dict[str, Any] = {"topic": "sports", "name": "sports", "limits": limits} | changes
    return made_settings(model, **given)


def plan(ask: int = 40, unknown: int = 0, seconds: float = 60.0, usd: float | None = 0.5, cached: int = 0) -> Plan:
    """A plan in which all that is to do is to be done for answers."""
    stages: dict[Stage, StagePlan] = {stage: StagePlan() for stage in STAGES}
    costs: dict[Stage, Cost] = {stage: Cost(0, 0, 0.0, 0.0) for stage in STAGES}
    stages["answers"] = StagePlan(cached=cached, ask=ask, unknown=unknown)
    costs["answers"] = Cost(1_000, 2_000, usd, seconds)
    return Plan(stages, costs)


def tally() -> Tally:
    """Eleven tags from three requests of half a second each, and no more."""
    told = Tally()
    for _ in range(3):
        told.stages["tags"].spend(Usage(100, 20), PRICES, 0.5)
    told.stages["tags"].made = 11
    return told


def report(**changes: Any) -> Report:
    """A complete build."""
    given: dict[str, Any] = {
        "name": "sports",
        "folder": FOLDER,
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
        "duplicates": 0,
        "edited": (),
    }
    return Report(**given | changes)


def short_report(**changes: Any) -> Report:
    """A build in which eight answers could not be made."""
    given: dict[str, Any] = {"counts": {"tags": 11, "questions": 60, "answers": 472}, "failures": 8}
    return report(**given | changes)
