"""Which jobs of a sweep are the best, by the numbers that its sweeper looks at. Pure."""

import math
from collections.abc import Container, Sequence
from dataclasses import dataclass
from operator import le
from typing import Literal

from distill_build.settings import Objective
from distill_build.sweeps.objectives import OBJECTIVES
from distill_build.sweeps.results import Row

Direction = Literal["minimize", "maximize"]


@dataclass(frozen=True, slots=True)
class Goal:
    """A number that a sweeper looks at, and whether small or large is good; None where nobody says."""

    objective: Objective
    direction: Direction | None = None

    def of(self, row: Row) -> float | None:
        """The job's number. None: it has none, or was not built."""
        return None if row.error is not None else OBJECTIVES[self.objective](row)

    def loss(self, row: Row) -> float:
        """What is smaller for a better job."""
        value = self.of(row)
        if value is None:
            return math.inf
        return -value if self.direction == "maximize" else value


def goals_of(objectives: Sequence[Objective], setting: object) -> tuple[Goal, ...]:
    """The objectives, with what the sweeper's `setting` of directions says: a word or member of an enum, or a list."""
    said = list(setting) if isinstance(setting, Sequence) and not isinstance(setting, str) else [setting]
    directions = [_direction(each) for each in said]
    if len(directions) != len(objectives):
        directions = [None] * len(objectives)
    return tuple(map(Goal, objectives, directions))


def _direction(said: object) -> Direction | None:
    match getattr(said, "name", said):
        case "minimize":
            return "minimize"
        case "maximize":
            return "maximize"
        case _:
            return None


def best_of(rows: Sequence[Row], goals: Sequence[Goal], cut_short: Container[str] = ()) -> frozenset[int]:
    """The numbers of the jobs that no other one beats, which is to be as good in all goals and better in one.

    Jobs that a cap has `cut_short`, by name, are left out: what is missing would make them cheap.
    """
    if not goals or None in [goal.direction for goal in goals]:
        return frozenset()
    losses = [tuple(math.inf if row.job in cut_short else goal.loss(row) for goal in goals) for row in rows]
    distinct = {loss for loss in losses if math.inf not in loss}
    best = {one for one in distinct if not any(other != one and all(map(le, other, one)) for other in distinct)}
    return frozenset(number for number, loss in enumerate(losses) if loss in best)
