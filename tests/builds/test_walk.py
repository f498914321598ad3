"""The walk's bound on the rows that it holds in memory, whatever the size of the dataset."""

import asyncio
from pathlib import Path

import pytest

from distill_build.builds.assembly import PreviousBuild, UnitRows
from distill_build.builds.walk.tally import Tally
from distill_build.builds.walk.walk import Walk
from distill_build.calls.budget import FailureCap, Halt
from distill_build.calls.call import Call, Made, Result
from distill_build.dataset.layout import FAILURES, Dataset
from distill_build.engine.scheduler import Scheduler
from distill_build.models.base import ModelSettings
from distill_build.stages.all import Stages, prompts_of
from distill_build.stages.kinds.list_stage import ListStage
from distill_build.stages.kinds.map_stage import MapStage
from tests.made_settings import made_settings

MODEL = ModelSettings(engine="openai_compatible", name="scripted", base_url="http://127.0.0.1:1/v1")
LEAVES, QUESTIONS, ANSWERS, IN_FLIGHT = 30, 10, 2, 4
OF_A_UNIT = QUESTIONS * (1 + ANSWERS)


class Model:
    """Answers each call when the loop comes round to it, and notes the most rows that were held meanwhile."""

    def __init__(self, stages: Stages) -> None:
        self._stages = stages
        self.walk: Walk
        self.most_held = 0

    async def __call__(self, call: Call) -> Result:
        for _ in range(1 if isinstance(self._stages[call.stage], ListStage) else 5):  # answers lag behind
            await asyncio.sleep(0)
        self.most_held = max(self.most_held, self.walk.rows_held)
        return Made(self._value(call), "response", asked=True)

    def _value(self, call: Call) -> object:
        match self._stages[call.stage]:
            case ListStage() as stage:
                return tuple(f"What is {call.key} number {number}?" for number in range(stage.results))
            case MapStage():
                return {"reasoning": None, "answer": f"It is {call.key}.", "finish_reason": "stop", "usage": {}}
        raise AssertionError(f"{call.stage} asks nobody")


def most_held(folder: Path, most_rows_held: int, lanes: int = 1, leaves: int = LEAVES) -> tuple[int, int]:
    """(The most rows in memory at once, answers made) of a walk with such a bound.

    Roles share `lanes`, in each of which so many requests may be in flight.
    """
    settings = made_settings(
        MODEL, stages=["tags", "questions", "answers"], depth=1, breadth=leaves, questions_per_tag=QUESTIONS,
        answers_per_question=ANSWERS,
    )  # fmt: skip
    stages = Stages(settings, prompts_of(settings), lambda _role, _model: None)
    dataset, tally, model = Dataset(folder), Tally.of(stages.graph.names), Model(stages)
    kept = PreviousBuild(
        dataset, {}, lambda unit, segment, _: f"{unit.node.id} {segment}", lambda _: False, frozenset()
    )
    of_role = {role: f"lane {number % lanes}" for number, role in enumerate(stages.roles)}
    model.walk = Walk(
        stages, "dataset", of_role,
        lambda crowded: Scheduler(dict.fromkeys(of_role.values(), IN_FLIGHT), crowded=crowded),
        model, UnitRows(stages.graph, kept, None), NothingUnknown(), tally,
        FailureCap(0, Halt(lambda: None), dataset.artefact(FAILURES)), most_rows_held,
    )  # fmt: skip

    async def run() -> None:
        model.walk.start()
        await model.walk.scheduler.run()

    asyncio.run(run())
    assert model.walk.rows_held == 0
    return model.most_held, tally.stages["answers"].made


class NothingUnknown:
    """Every call has a result here."""

    def list_unknown(self, *_: object) -> None:
        raise AssertionError("every list is answered")

    def refill_unknown(self, *_: object) -> None:
        raise AssertionError("no list goes on")

    def undecided(self, *_: object) -> None:
        raise AssertionError("every row is decided on")

    def below_unknown(self, *_: object) -> None:
        raise AssertionError("every result is there")


@pytest.mark.parametrize("leaves", [LEAVES, 3 * LEAVES])
@pytest.mark.parametrize("lanes", [1, 2, 3])
def test_no_more_rows_are_held_than_the_bound_and_the_units_under_way(tmp_path: Path, lanes: int, leaves: int) -> None:
    bound = 50
    held, answers = most_held(tmp_path, bound, lanes, leaves)
    assert answers == leaves * QUESTIONS * ANSWERS
    assert bound < held <= bound + min(lanes, 2) * IN_FLIGHT * OF_A_UNIT


def test_below_the_bound_the_longest_chain_goes_first(tmp_path: Path) -> None:
    """All questions are asked before the last answers: where there is room nothing keeps them back."""
    held, _ = most_held(tmp_path, 10_000)
    assert held >= LEAVES * QUESTIONS
