"""What the `plan` command prints: the table, how sure it is, and smaller settings where it is much."""

from typing import TYPE_CHECKING

from distill_build.console import forecast
from distill_build.console.conversation import Screen, printable
from distill_build.console.grid import plan_grid
from distill_build.console.outcome import Line
from distill_build.console.words import UNKNOWN
from distill_build.records import number_of
from distill_build.settings import Settings

if TYPE_CHECKING:
    from distill_build.stages.plan import Plan


def show_plan(screen: Screen, plan: "Plan", settings: Settings) -> None:
    """Shows `plan` of `settings` on `screen`."""
    screen.line(printable(Line(f"{settings.name}: {shape(settings)}")))
    screen.table(plan_grid(plan))
    for line in footnotes(plan, settings):
        screen.line(line)


def shape(settings: Settings) -> str:
    """The settings that decide how many requests there are, as typed."""
    breadth = str(settings.breadth).replace(" ", "")
    return (
        f"depth={settings.depth} breadth={breadth} questions_per_tag={settings.questions_per_tag} "
        f"answers_per_question={settings.answers_per_question}"
    )


def footnotes(plan: "Plan", settings: Settings) -> list[Line]:
    """How sure the figures are, and what the words in the table mean."""
    if not plan.calls:
        return [Line("nothing to ask: every request is answered by the cache", "good")]
    requests = number_of(plan.calls, "requests")
    notes = [Line(f"{requests} exactly; tokens, cost and time are estimated", "quiet")]
    if not plan.exact:
        unknown = sum(stage.unknown for stage in plan.stages.values())
        notes = [
            Line(f"about {requests}; tokens, cost and time are estimated", "quiet"),
            Line(
                f"unknown: {unknown:,} that follow from replies which are not there yet; counted from the settings",
                "quiet",
            ),
        ]
    if plan.cost.usd is None:
        notes.append(Line(f"{UNKNOWN}: the model has no prices, see model.prices in its configuration", "quiet"))
    notes.extend(forecast.cap(plan, settings.budget))
    if advice := forecast.advise(plan, settings):
        notes.append(Line(advice, "warning"))
    return notes
