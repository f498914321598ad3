"""The caps on what one build may spend, and on how much of it may fail.

Where a cap is reached, or somebody interrupts, the build asks no model any more, but goes on with what the cache holds:
so all that is complete is written, and all that is not stands in failures.jsonl.
"""

from collections.abc import Callable
from pathlib import Path

from distill_build.errors import BudgetExceededError, FailureCapError, InterruptedBuildError, StoppedError
from distill_build.settings import Budget

HOPELESS_ITEMS = 50
"""A stage whose first so many items all fail stops the build, whatever --keep-going says."""


class AbandonedError(Exception):
    """Ends a step of a build that an error has ended already: it is that error which is told."""


class Halt:
    """Whether models may still be asked, and if not, why. `on_halt` is called once, with the first reason.

    `ended` says that an error has ended the build, `left_out` that something was not asked for.
    """

    def __init__(self, on_halt: Callable[[], None]) -> None:
        self._on_halt = on_halt
        self.reason: StoppedError | None = None
        self.ended = False
        self.left_out = False

    @property
    def cut(self) -> StoppedError | None:
        """The reason, unless it is an interruption that came when there was nothing left to ask for."""
        came_too_late = isinstance(self.reason, InterruptedBuildError) and not self.left_out
        return None if came_too_late else self.reason

    @property
    def stopped(self) -> bool:
        """Whether models may not be asked any more."""
        return self.ended or self.reason is not None

    def end(self) -> None:
        """Nothing more is sent, though it may wait for its turn already."""
        self.ended = True

    def because(self, reason: StoppedError) -> None:
        """Ends the asking. The first reason stands."""
        if self.reason is None:
            self.reason = reason
            self._on_halt()


class Spending:
    """Says no before a request that the budget does not cover. Calls are HTTP requests, retries among them."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self.sent = 0
        self.tokens = 0
        self.usd = 0.0

    def add(self, tokens: int, usd: float | None) -> None:
        """Counts one response; `usd` is None where there are no prices."""
        self.tokens += tokens
        self.usd += usd or 0.0

    def permit(self) -> None:
        """Counts one HTTP request that is about to be sent. Raises BudgetExceededError where a cap is reached."""
        budget = self._budget
        if budget.calls is not None and self.sent >= budget.calls:
            raise BudgetExceededError(_sentence("budget.calls", f"{budget.calls:,}"))
        if budget.tokens is not None and self.tokens >= budget.tokens:
            raise BudgetExceededError(_sentence("budget.tokens", f"{budget.tokens:,}"))
        if budget.usd is not None and self.usd >= budget.usd:
            raise BudgetExceededError(_sentence("budget.usd", f"${budget.usd:g}"))
        self.sent += 1


NOT_ASKED = "not_asked"
"""The cause of an item that may be missing since it was before: it says nothing of the model."""


class FailureCap:
    """Counts failed items, and halts the build where there are too many."""

    def __init__(self, keep_going: int, halt: Halt, failures: Path) -> None:
        """`keep_going` is the number of failed items that ends the build; 0 is never. `failures` will list them."""
        self._keep_going = keep_going
        self._halt = halt
        self._failures = failures
        self._failed: dict[str, int] = {}
        self._succeeded: set[str] = set()

    def succeeded(self, stage: str) -> None:
        self._succeeded.add(stage)

    def failed(self, stage: str, cause: str, detail: str) -> None:
        if self._halt.reason is not None or cause == NOT_ASKED:
            return
        self._failed[stage] = self._failed.get(stage, 0) + 1
        total = sum(self._failed.values())
        if self._keep_going and total >= self._keep_going:
            self._halt.because(
                FailureCapError(
                    f"stopped after {total} failed items, as --keep-going={self._keep_going} says; the last: "
                    f"{cause}: {detail.rstrip('.')}. What is complete is written; {self._failures} has the rest"
                )
            )
        elif stage not in self._succeeded and self._failed[stage] >= HOPELESS_ITEMS:
            self._halt.because(
                FailureCapError(
                    f"the first {HOPELESS_ITEMS} {stage} all failed, the last with {cause}: {detail.rstrip('.')}. "
                    f"Something is wrong with the model or the prompt: see {self._failures}"
                )
            )


def _sentence(setting: str, cap: str) -> str:
    return f"{setting} is reached ({cap}): what came is kept, and a build with a new budget goes on from there"
