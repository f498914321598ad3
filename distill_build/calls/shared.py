"""What builds that run side by side share: models and their gates, calls under way, one budget, one end.

A build by itself is the case of one.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from distill_build.calls.budget import AbandonedError, Halt, Spending
from distill_build.calls.resolver import CallStates
from distill_build.engine.scheduler import Scheduler
from distill_build.errors import BudgetExceededError, InterruptedBuildError, StoppedError
from distill_build.models.base import Limits, ModelSettings, SettingOf
from distill_build.models.factory import Models
from distill_build.settings import Budget


class Shared:
    """`builds` of them share this. A cap on spending and an interruption end the asking of all; any other failure ends
    its own build."""

    def __init__(
        self,
        roles: Mapping[str, tuple[ModelSettings, Limits]],
        budget: Budget,
        log_dir: Path | None,
        *,
        builds: int = 1,
        states: CallStates | None = None,
        settings: Mapping[str, SettingOf] = MappingProxyType({}),
        note: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`roles` and `settings` are those of all builds, each role under a name of its own: see `Models`. `note` is
        for the person."""
        self.models = Models(roles, log_dir, settings)
        self.spending = Spending(budget)
        self.states = states or CallStates()
        self.reason: StoppedError | None = None
        self._note = note
        self._waiting_told = False
        self._abandoned = False
        self._alone = builds == 1
        self._halts: list[Halt] = []
        self._schedulers: set[Scheduler] = set()

    def halt(self) -> Halt:
        """The halt of one more build; reached already where nothing more is asked for any."""
        halt = Halt(lambda: self._halted(halt))
        self._halts.append(halt)
        if self.reason is not None:
            halt.because(self.reason)
        return halt

    def _halted(self, halt: Halt) -> None:
        if isinstance(halt.reason, BudgetExceededError):
            self.stop(halt.reason)
        self.build_stopped()

    def stop(self, reason: StoppedError) -> None:
        """Ends the asking of all builds; each goes on with what is stored. The first reason stands."""
        if self.reason is None:
            self.reason = reason
            self.models.stop()
            for each in self._halts:
                each.because(reason)

    def waiting(self) -> None:
        """A call waits for another process. The person is told so once."""
        if not self._waiting_told:
            self._waiting_told = True
            self._note("another build on this cache is asking for some of the same: waiting for its answers")

    def build_stopped(self) -> None:
        """One build asks no more. Where it is the only one, nobody need wait at a gate any longer."""
        if self._alone:
            self.models.stop()

    async def run(self, scheduler: Scheduler) -> None:
        """Runs a scheduler such that `abandon` ends it."""
        self.require_going_on()
        self._schedulers.add(scheduler)
        try:
            await scheduler.run()
        finally:
            self._schedulers.discard(scheduler)

    def refuse_if_interrupted(self) -> None:
        """Raises the interruption, for a build that was about to begin."""
        self.require_going_on()
        if isinstance(self.reason, InterruptedBuildError):
            raise self.reason

    def require_going_on(self) -> None:
        """Raises AbandonedError after `abandon`."""
        if self._abandoned:
            raise AbandonedError("an error has ended all builds")

    def abandon(self) -> None:
        """Ends all builds when what is in flight has come, and they write nothing: one of them met an error of ours."""
        self._abandoned = True
        self.models.stop()
        for scheduler in list(self._schedulers):
            scheduler.stop(AbandonedError("an error has ended all builds"))
