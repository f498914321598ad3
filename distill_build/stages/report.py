"""What a build says of itself: while it runs to a `Watcher`, and at its end in a `Report`."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from distill_build.settings import Settings, Stage, leaf_count
from distill_build.stages.plan import Plan
from distill_build.stages.tally import STAGES, Tally
from distill_build.versions.lockfile import LOCK


@dataclass(frozen=True, slots=True)
class Expected:
    """Items of a full tree, as the settings declare it."""

    tags: int
    questions: int
    answers: int

    def of(self, stage: Stage) -> int:
        """The items of `stage`."""
        declared: int = getattr(self, stage)
        return declared


def expected_items(settings: Settings) -> Expected:
    """Tags, questions and answers of a full tree."""
    breadths = [settings.breadth_at(level) for level in range(1, settings.depth + 1)]
    leaves = leaf_count(breadths)
    questions = leaves * settings.questions_per_tag
    tags = sum(leaf_count(breadths[:level]) for level in range(1, settings.depth + 1))
    return Expected(tags, questions, questions * settings.answers_per_question)


@dataclass(frozen=True, slots=True)
class Report:
    """What a build did.

    `counts` are the rows of each artefact, `failures` the lines of failures.jsonl, `stopped` the sentence of a
    cap that was reached, `duplicates` the questions that stand under an earlier parent too, `edited` the copies
    of files that were not as last written here. `run_id` is None and `up_to_date` true where there was nothing to do.
    """

    name: str
    folder: Path
    version: str
    run_id: str | None
    until: str
    up_to_date: bool
    seconds: float
    tally: Tally
    expected: Expected
    counts: dict[str, int]
    failures: int
    stopped: str | None
    files: tuple[Path, ...]
    duplicates: int
    edited: tuple[Path, ...]

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages that this build was to reach."""
        return STAGES[: STAGES.index(self.until) + 1] if self.until in STAGES else STAGES

    def count(self, stage: Stage) -> int:
        """Rows of `stage`."""
        return self.counts.get(stage, 0)

    def missing(self, stage: Stage) -> int:
        """Items of `stage` that were declared and are not there."""
        return max(0, self.expected.of(stage) - self.count(stage))

    @property
    def edited_by_hand(self) -> tuple[Path, ...]:
        """The copies of files that people edit; a lock is mostly another one for coming out of git."""
        return tuple(copy for copy in self.edited if copy.name != LOCK)

    @property
    def other_lock(self) -> Path | None:
        """The copy of a lock that was not written here."""
        return next((copy for copy in self.edited if copy.name == LOCK), None)

    @property
    def complete(self) -> bool:
        return self.stopped is None and not self.failures and not any(self.missing(stage) for stage in self.stages)


class Watcher(Protocol):
    """Someone who is told how a build goes."""

    def note(self, text: str) -> None:
        """A sentence for the person."""

    def plan(self, plan: Plan, settings: Settings) -> None:
        """What is about to be asked, before the first request."""

    def progress(self, tally: Tally, expected: Expected, in_flight: Callable[[], int]) -> AbstractContextManager[None]:
        """Shows `tally` as it grows, for as long as the context lasts."""
