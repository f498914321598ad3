"""What a person sees of a build: one line of plan, progress, a table at the end. All of it goes to standard error.

    forecast, outcome, sweeps    what is said before a build, after it, and of a sweep: pure
    throttling                   what is said of requests that brought no response: pure
    pace, words, word_diff       how far a build is, amounts and times, what differs between two texts: pure
    grid, sweep_table            tables, as wide as there is room for: pure
    conversation                 when it is said
    page                         the lines of commands that build nothing
    wrapping                     what is done with lines that a terminal has no room for
    plain, live                  how it is shown: as lines, or drawn on a terminal by rich
    stream                       where it goes, and what if that is gone

Standard output is for what was asked for: the one thing here that writes to it is `plan_table`. Knows nothing of how
a build works; reads its tally.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import TYPE_CHECKING, Protocol

from distill_build.console.stream import Stream

if TYPE_CHECKING:
    from distill_build.builds.plan.plan import Plan
    from distill_build.builds.report import Report
    from distill_build.builds.walk.tally import Tally
    from distill_build.console.conversation import Screen
    from distill_build.console.plain import PlainScreen
    from distill_build.models.traffic import Traffic
    from distill_build.settings import Settings
    from distill_build.sweeps.jobs import Sweep
    from distill_build.sweeps.objectives import Target
    from distill_build.sweeps.outcome import SweepReport
    from distill_build.sweeps.planning import SweepPlan

__all__ = ["Console", "job_console", "open_console", "plan_table", "sweep_plan_table", "watched"]


class Console(Protocol):
    """What a command says to the person before, during and after a build."""

    def note(self, text: str) -> None:
        """A sentence for the person."""

    def confirm(self, told: Sequence[str], question: str) -> bool:
        """Whether the person at the terminal says yes, who was `told` why; true where there is nobody to ask."""

    def plan(self, plan: "Plan", settings: "Settings") -> None:
        """The plan in one line, before the first request; smaller settings where it would take hours."""

    def progress(
        self, tally: "Tally", expected: Mapping[str, int], traffic: "Callable[[], Traffic]"
    ) -> AbstractContextManager[None]:
        """Shows how `tally` grows, and the `traffic` of the moment, while the context is open.

        A terminal that goes away ends the showing alone.
        """

    def report(self, report: "Report") -> None:
        """The end of a build: the table, what is missing, the folder."""

    def sweep_plan(self, plan: "SweepPlan", settings: "Settings") -> None:
        """As `plan`, for all jobs of a sweep; `settings` are those of one of them."""

    def sweep_report(self, report: "SweepReport", targets: Sequence["Target"] = ()) -> None:
        """The end of a sweep: a row for each job, what is missing, the folder; the best are marked by `targets`."""


def open_console(*, quiet: bool, verbose: bool, json: bool) -> Console:  # noqa: ARG001 - see below
    """The console that fits standard error as it is now. rich is imported when there is something to draw.

    `quiet` leaves failures and what stopped the build. `verbose` adds the mean request of each stage, and of a sweep's
    jobs what the table has no room for. `json` changes nothing here, since the document on standard output is the
    command's.
    """
    from distill_build.console.conversation import Conversation, QuietConversation
    from distill_build.console.plain import PlainScreen

    stream = Stream(sys.stderr, tolerant=True)
    plain = PlainScreen(stream)
    if quiet:
        return QuietConversation(plain, stream.confirm)
    return Conversation(plain, cache(lambda: _richest(stream, plain)), stream.confirm, verbose=verbose)


def job_console(job: str, *, quiet: bool, verbose: bool) -> Console:
    """The console of one job of several that run side by side: plain lines, each of which begins with its name."""
    from distill_build.console.conversation import Conversation, QuietConversation
    from distill_build.console.plain import JobScreen

    screen = JobScreen(Stream(sys.stderr, tolerant=True), job)
    if quiet:
        return QuietConversation(screen, _nobody_to_ask)
    return Conversation(screen, lambda: screen, _nobody_to_ask, verbose=verbose)


def _nobody_to_ask(_: str) -> bool:
    """Jobs in many processes would all ask at the same terminal."""
    return True


def plan_table(plan: "Plan", settings: "Settings", yields: Mapping[str, Mapping[str, int]]) -> None:
    """Prints what a build would do on standard output, for the `plan` command; `yields` are rows by threshold."""
    from distill_build.console.conversation import show_plan
    from distill_build.console.plain import PlainScreen

    stream = Stream(sys.stdout, tolerant=False)
    screen = _richest(stream, PlainScreen(stream))
    show_plan(screen, plan, settings, yields)


def sweep_plan_table(sweep: "Sweep", plan: "SweepPlan", *, verbose: bool = False) -> None:
    """Prints what the builds of a sweep would do on standard output, for `plan -m`."""
    from distill_build.console import sweeps
    from distill_build.console.conversation import show_jobs
    from distill_build.console.plain import PlainScreen

    stream = Stream(sys.stdout, tolerant=False)
    screen = _richest(stream, PlainScreen(stream))
    show_jobs(screen, sweeps.jobs_table(sweep, plan), verbose=verbose)
    for line in sweeps.plan_footnotes(plan, sweep.jobs[0].settings.budget):
        screen.line(line)


def watched(look: Callable[[], str], *, quiet: bool) -> AbstractContextManager[None]:
    """One line on a terminal with what `look` says, a few times a second, while the context is open.

    For commands that build nothing; there is none where there is no terminal. `look` is called in another thread.
    """
    stream = Stream(sys.stderr, tolerant=True)
    if quiet or not stream.can_move:
        return nullcontext()
    from distill_build.console.live import LiveScreen

    return LiveScreen(stream).words(look)


def _richest(stream: Stream, plain: "PlainScreen") -> "Screen":
    if not stream.can_move:
        return plain
    from distill_build.console.live import LiveScreen

    return LiveScreen(stream)
