"""What a sweeper that looks for the best values is told of a job, and which jobs are the best by that. Pure."""

import math
from collections.abc import Callable, Container, Mapping, Sequence
from operator import le
from typing import Literal

import msgspec

from distill_build.errors import ConfigurationError
from distill_build.graph import Graph
from distill_build.settings import Objective, Settings, graph_of
from distill_build.stages.kinds.declared import roles_in_use
from distill_build.sweeps.results import JobRow
from distill_build.sweeps.variety import compared_list


def repeats(row: JobRow) -> float | None:
    """The share of the texts that say another one again, word for word or nearly."""
    if row.unique is None or row.near_duplicates is None:
        return None
    return 1 - row.unique + row.near_duplicates


OBJECTIVES: Mapping[Objective, Callable[[JobRow], float | None]] = {
    "repeats": repeats,
    "unique": lambda row: row.unique,
    "near_duplicates": lambda row: row.near_duplicates,
    "leaf_coverage": lambda row: row.leaf_coverage,
    "failures": lambda row: row.failures,
    "calls": lambda row: row.calls,
    "tokens": lambda row: row.tokens.prompt + row.tokens.completion,
    "usd": lambda row: row.usd,
}
"""As in sweep.jsonl. None: the job has no such number."""
OF_TEXTS: frozenset[Objective] = frozenset({"repeats", "unique", "near_duplicates"})


def check_objectives(names: Sequence[Objective], all_settings: Sequence[Settings], until: str) -> None:
    """Raises ConfigurationError for an objective that a build of one of these jobs up to `until` could not have."""
    for name in names:
        if name in OF_TEXTS:
            for graph in map(graph_of, all_settings):
                check_text_objective(name, graph, until)
    if "usd" in names:
        for settings in all_settings:
            check_usd_objective(settings)


def check_text_objective(name: Objective, graph: Graph, until: str) -> None:
    """Raises ConfigurationError where a job will have no list of texts to compare."""
    stage = compared_list(graph)
    if stage is None:
        raise ConfigurationError(
            f"objective={name} compares the texts of a list, and stages has none: take another one"
        )
    if not graph.reaches(until, stage.name):
        raise ConfigurationError(f"objective={name} needs {stage.name}: leave out --until {until}")


def check_usd_objective(settings: Settings) -> None:
    """Raises ConfigurationError where nobody knows what a job will cost."""
    for role in roles_in_use(settings):
        prices = settings.models[role].prices
        if None in (prices.prompt, prices.completion):
            raise ConfigurationError(
                f"objective=usd needs prices: set {role}.prices.prompt and {role}.prices.completion, or model.prices.* "
                "for all roles that follow it"
            )


def values_of(row: JobRow, names: Sequence[Objective]) -> float | list[float]:
    """The job's numbers: one by itself, several as a list. Raises ConfigurationError where it has none."""
    values = []
    for name in names:
        value = OBJECTIVES[name](row)
        if value is None:
            why = "has no texts to compare" if name in OF_TEXTS else "rests on responses without a known price"
            raise ConfigurationError(f"objective={name}: {row.job} {why}, and so has no such number: take another one")
        values.append(float(value))
    return values if len(names) > 1 else values[0]


Direction = Literal["minimize", "maximize"]


class Target(msgspec.Struct, frozen=True):
    """A number that a sweeper looks at, and whether small or large is good; None where nobody says."""

    objective: Objective
    direction: Direction | None = None

    def of(self, row: JobRow) -> float | None:
        """The job's number. None: it has none, or was not built."""
        return None if row.error is not None else OBJECTIVES[self.objective](row)

    def loss(self, row: JobRow) -> float:
        """What is smaller for a better job."""
        value = self.of(row)
        if value is None:
            return math.inf
        return -value if self.direction == "maximize" else value


def targets_of(objectives: Sequence[Objective], setting: object) -> tuple[Target, ...]:
    """The objectives, with what the sweeper's `setting` of directions says: a word or member of an enum, or a list."""
    said = list(setting) if isinstance(setting, Sequence) and not isinstance(setting, str) else [setting]
    directions = [_direction(each) for each in said]
    if len(directions) != len(objectives):
        directions = [None] * len(objectives)
    return tuple(map(Target, objectives, directions))


def _direction(said: object) -> Direction | None:
    match getattr(said, "name", said):
        case "minimize":
            return "minimize"
        case "maximize":
            return "maximize"
        case _:
            return None


def pareto_optimal(rows: Sequence[JobRow], targets: Sequence[Target], cut_short: Container[str] = ()) -> frozenset[int]:
    """The numbers of the jobs that no other one beats, which is to be as good in all targets and better in one.

    Jobs that a cap has `cut_short`, by name, are left out: what is missing would make them cheap.
    """
    if not targets or None in [target.direction for target in targets]:
        return frozenset()
    losses = [tuple(math.inf if row.job in cut_short else target.loss(row) for target in targets) for row in rows]
    distinct = {loss for loss in losses if math.inf not in loss}
    best = {one for one in distinct if not any(other != one and all(map(le, other, one)) for other in distinct)}
    return frozenset(number for number, loss in enumerate(losses) if loss in best)
