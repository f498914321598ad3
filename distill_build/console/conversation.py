"""What is said to the person at which moment of a build, on whichever screen there is."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Protocol

from distill_build.builds.report import Report
from distill_build.builds.walk.tally import Tally
from distill_build.console import forecast, outcome
from distill_build.console.grid import Grid
from distill_build.console.outcome import Sentence
from distill_build.console.pace import Forecast, Pace
from distill_build.console.throttling import unanswered_details, unanswered_lines
from distill_build.console.wrapping import visible
from distill_build.models.traffic import Traffic
from distill_build.settings import Settings
from distill_build.stages.kinds.declared import declared

if TYPE_CHECKING:
    from distill_build.builds.plan.plan import Plan
    from distill_build.console.sweep_table import SweepTable
    from distill_build.sweeps.objectives import Target
    from distill_build.sweeps.outcome import SweepReport
    from distill_build.sweeps.planning import SweepPlan


class Screen(Protocol):
    """Where lines, tables and progress are shown."""

    @property
    def width(self) -> int:
        """Cells that a table may take."""

    def line(self, line: Sentence) -> None: ...

    def table(self, grid: Grid) -> None: ...

    def progress(self, pace: Pace) -> AbstractContextManager[None]: ...


class Conversation:
    """Everything on standard error. `rich_screen` gives the screen for bars and tables when it comes to those, and
    `confirm` asks whoever sits there."""

    def __init__(
        self, screen: Screen, rich_screen: Callable[[], Screen], confirm: Callable[[str], bool], *, verbose: bool
    ) -> None:
        self._confirm = confirm
        self._screen = screen
        self._rich_screen = rich_screen
        self._verbose = verbose
        self._forecast: Forecast | None = None

    def note(self, text: str) -> None:
        self._say([Sentence(text)])

    def confirm(self, told: Sequence[str], question: str) -> bool:  # noqa: ARG002 - it was noted
        return self._confirm(question)

    def plan(self, plan: "Plan", settings: Settings) -> None:
        self._forecast = Forecast(plan, settings)
        if plan.calls:  # bars follow
            self._screen = self._rich_screen()
        self._say(forecast.plan_lines(plan, settings))

    def progress(
        self, tally: Tally, expected: Mapping[str, int], traffic: Callable[[], Traffic]
    ) -> AbstractContextManager[None]:
        self._screen = self._rich_screen()
        return self._screen.progress(Pace(tally, expected, traffic, self._forecast, time.monotonic))

    def report(self, report: Report) -> None:
        if report.up_to_date and report.complete:
            self._say(outcome.up_to_date(report))
            return
        self._screen = self._rich_screen()
        self._screen.table(outcome.report_grid(report))
        self._say(outcome.verdicts(report))
        self._say_retries(report.tally, report.seconds)
        if self._verbose:
            self._say(outcome.details(report))
        self._say(outcome.ending(report))

    def sweep_plan(self, plan: "SweepPlan", settings: Settings) -> None:
        from distill_build.console import sweeps  # a build alone needs nothing of them

        self._forecast = Forecast(plan.union, settings)
        self._screen = self._rich_screen()
        self._say(sweeps.sweep_plan_lines(plan, settings.budget))

    def sweep_report(self, report: "SweepReport", targets: Sequence["Target"] = ()) -> None:
        from distill_build.console import sweeps  # as above

        if report.reports or report.errors:
            self._screen = self._rich_screen()
        if any(row.error is None for row in report.results.rows):  # else there is nothing to compare
            table = sweeps.report_table(report, targets)
            show_jobs(self._screen, table, verbose=self._verbose)
            if table.best:
                self._say([sweeps.best_legend(targets)])
        self._say_retries(report.tally, report.seconds)
        self._say(sweeps.sweep_ending(report))

    def _say_retries(self, tally: Tally, seconds: float) -> None:
        self._say(unanswered_lines(tally, seconds))
        if self._verbose:
            self._say(unanswered_details(tally))

    def _say(self, lines: Iterable[Sentence]) -> None:
        for line in lines:
            self._screen.line(printable(line))


class QuietConversation:
    """Says what nobody may miss, and nothing else."""

    def __init__(self, screen: Screen, confirm: Callable[[str], bool]) -> None:
        self._confirm = confirm
        self._screen = screen

    def confirm(self, told: Sequence[str], question: str) -> bool:
        """The question says what no note has said."""
        return self._confirm(f"{'. '.join(told)}. {question}")

    def note(self, text: str) -> None:
        """Nothing: notes are for company."""

    def plan(self, plan: "Plan", settings: Settings) -> None:
        """Nothing."""

    def progress(
        self,
        tally: Tally,  # noqa: ARG002 - the protocol's
        expected: Mapping[str, int],  # noqa: ARG002 - the protocol's
        traffic: Callable[[], Traffic],  # noqa: ARG002 - the protocol's
    ) -> AbstractContextManager[None]:
        return nullcontext()

    def report(self, report: Report) -> None:
        for line in outcome.troubles(report):
            self._screen.line(printable(line))

    def sweep_plan(self, plan: "SweepPlan", settings: Settings) -> None:
        """Nothing."""

    def sweep_report(self, report: "SweepReport", targets: Sequence["Target"] = ()) -> None:  # noqa: ARG002 - the protocol's
        from distill_build.console import sweeps  # as above

        for line in sweeps.sweep_troubles(report):
            self._screen.line(printable(line))


def show_plan(screen: Screen, plan: "Plan", settings: Settings, yields: Mapping[str, Mapping[str, int]]) -> None:
    """Shows `plan` of `settings` on `screen`; `yields` are rows by threshold and value."""
    screen.line(printable(Sentence(f"{settings.name}: {forecast.shape(settings)}")))
    screen.table(forecast.plan_grid(plan, list(declared(settings).requests())))
    for line in (*forecast.footnotes(plan, settings), *forecast.yields(yields)):
        screen.line(line)


def show_jobs(screen: Screen, table: "SweepTable", *, verbose: bool) -> None:
    """Shows the jobs of a sweep on `screen`; `verbose` adds what a terminal has no room for."""
    above, grid, below = table.fitted(screen.width)
    for line in above:
        screen.line(line)
    screen.table(grid)
    for line in table.details() if verbose else below:
        screen.line(printable(line))


def printable(line: Sentence) -> Sentence:
    """`line` without what a terminal would obey: a model's words may be in it."""
    return Sentence(visible(line.text), line.tone)
