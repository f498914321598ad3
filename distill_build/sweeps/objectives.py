"""What a sweeper that looks for the best values is told of a job: one of the numbers that compare jobs. Pure."""

from collections.abc import Callable, Mapping, Sequence

from distill_build.errors import ConfigurationError
from distill_build.options import Until
from distill_build.settings import Objective, Settings
from distill_build.sweeps.results import Row


def repeats(row: Row) -> float | None:
    """The share of the questions that say another one again, word for word or nearly."""
    if row.unique is None or row.near_duplicates is None:
        return None
    return 1 - row.unique + row.near_duplicates


OBJECTIVES: Mapping[Objective, Callable[[Row], float | None]] = {
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
OF_QUESTIONS: frozenset[Objective] = frozenset({"repeats", "unique", "near_duplicates"})


def check_objectives(names: Sequence[Objective], all_settings: Sequence[Settings], until: Until) -> None:
    """Raises ConfigurationError for an objective that a build of one of these jobs up to `until` could not have."""
    for name in names:
        if until == "tags" and name in OF_QUESTIONS:
            raise ConfigurationError(f"objective={name} needs questions: leave out --until tags")
    if "usd" in names:
        for settings in all_settings:
            check_prices(settings)


def check_prices(settings: Settings) -> None:
    """Raises ConfigurationError where nobody knows what a job will cost."""
    for role, model in settings.models.items():
        prices = model.prices
        if None in (prices.prompt, prices.completion):
            raise ConfigurationError(
                f"objective=usd needs prices: set {role}.prices.prompt and {role}.prices.completion, or model.prices.* "
                "for all roles that follow it"
            )


def values_of(row: Row, names: Sequence[Objective]) -> float | list[float]:
    """The job's numbers: one by itself, several as a list. Raises ConfigurationError where it has none."""
    values = []
    for name in names:
        value = OBJECTIVES[name](row)
        if value is None:
            why = "has no questions" if name in OF_QUESTIONS else "rests on responses without a known price"
            raise ConfigurationError(f"objective={name}: {row.job} {why}, and so has no such number: take another one")
        values.append(float(value))
    return values if len(names) > 1 else values[0]
