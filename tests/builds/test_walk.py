"""The walk's bound on what it holds in memory, whatever the size of the dataset."""

import asyncio
import tracemalloc
from collections.abc import Sequence
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
from distill_build.settings import StageSettings
from distill_build.stages.all import Stages, prompts_of
from distill_build.stages.kinds.list_stage import ListStage
from distill_build.stages.kinds.map_stage import MapStage
from tests.made_settings import made_settings

MODEL = ModelSettings(engine="openai_compatible", name="scripted", base_url="http://127.0.0.1:1/v1")
LEAVES, QUESTIONS, ANSWERS, IN_FLIGHT = 30, 10, 2, 4
ROW_BYTES = 1_200
"""What a row takes here, at the least, and less than twice that at the most."""
OF_A_UNIT = QUESTIONS * (1 + ANSWERS) * 2 * ROW_BYTES
SCORES = StageSettings(
    kind="map", ids="s", after="answers", role="teacher", prompt="scores", samples=1,
    schema={"type": "object", "properties": {"score": {"type": "integer"}}, "required": ["score"]},
)  # fmt: skip
"""A stage behind the answers: where there is room all are asked for first, since their chain is longer."""


class Model:
    """Answers each call when the loop comes round to it, with so many letters or a few more, and notes the most bytes
    that were held meanwhile."""

    def __init__(self, stages: Stages, letters: int) -> None:
        self._stages = stages
        self._letters = letters
        self.walk: Walk
        self.most_held = 0

    async def __call__(self, call: Call) -> Result:
        for _ in range(1 if isinstance(self._stages[call.stage], ListStage) else 5):  # answers lag behind
            await asyncio.sleep(0)
        self.most_held = max(self.most_held, self.walk.bytes_held)
        return Made(self._value(call), "response", asked=True)

    def _value(self, call: Call) -> object:
        match self._stages[call.stage]:
            case ListStage() as stage:
                return tuple(f"What is {call.key} number {number}?" for number in range(stage.results))
            case MapStage(name="scores"):
                return {"score": 3, "finish_reason": "stop", "usage": {}}
            case MapStage():
                answer = f"It is {call.key}. {'x' * self._letters}"
                return {"reasoning": None, "answer": answer, "finish_reason": "stop", "usage": {}}
        raise AssertionError(f"{call.stage} asks nobody")


def most_held(
    folder: Path,
    bound: int,
    lanes: int = 1,
    leaves: int = LEAVES,
    stages_in_force: Sequence[str] = ("tags", "questions", "answers"),
    letters: int = 0,
) -> tuple[int, int]:
    """(The most bytes of rows in memory at once, answers made) of a walk with such a bound.

    Roles share `lanes`, in each of which so many requests may be in flight. Answers have so many letters.
    """
    settings = made_settings(
        MODEL, stages=stages_in_force, depth=1, breadth=leaves, questions_per_tag=QUESTIONS,
        answers_per_question=ANSWERS, stage={"scores": SCORES},
    )  # fmt: skip
    stages = Stages(settings, prompts_of(settings), lambda _role, _model: None)
    dataset, tally, model = Dataset(folder), Tally.of(stages.graph.names), Model(stages, letters)
    kept = PreviousBuild(
        dataset, {}, lambda unit, segment, _: f"{unit.node.id} {segment}", lambda _: False, frozenset()
    )
    of_role = {role: f"lane {number % lanes}" for number, role in enumerate(stages.roles)}
    model.walk = Walk(
        stages, "dataset", of_role,
        lambda crowded: Scheduler(dict.fromkeys(of_role.values(), IN_FLIGHT), crowded=crowded),
        model, UnitRows(stages.graph, kept, lambda: folder / "new"), NothingUnknown(), tally,
        FailureCap(0, Halt(lambda: None), dataset.artefact(FAILURES)), bound,
    )  # fmt: skip

    async def run() -> None:
        model.walk.start()
        await model.walk.scheduler.run()

    asyncio.run(run())
    assert model.walk.bytes_held == 0
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
def test_no_more_is_held_than_the_bound_and_the_units_under_way(tmp_path: Path, lanes: int, leaves: int) -> None:
    bound = 50 * ROW_BYTES
    held, answers = most_held(tmp_path, bound, lanes, leaves)
    assert answers == leaves * QUESTIONS * ANSWERS
    assert bound < held <= bound + min(lanes, 2) * IN_FLIGHT * OF_A_UNIT


def test_below_the_bound_the_longest_chain_goes_first(tmp_path: Path) -> None:
    """All questions are asked before the last answers: where there is room nothing keeps them back."""
    held, _ = most_held(tmp_path, 10_000 * ROW_BYTES)
    assert held >= LEAVES * QUESTIONS * ROW_BYTES


def test_rows_with_long_texts_leave_memory_the_earlier(tmp_path: Path) -> None:
    letters, leaves, behind = 50_000, 20, ("tags", "questions", "answers", "scores")
    tracemalloc.start()
    try:
        _, answers = most_held(tmp_path, 20 * letters, leaves=leaves, stages_in_force=behind, letters=letters)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert answers == leaves * QUESTIONS * ANSWERS
    assert peak < answers * letters / 2
