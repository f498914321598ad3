"""The tables of a plan and of a report, as data, and as plain text. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from distill_build.console.words import duration, money, rough_duration, rough_money, tokens
from distill_build.console.wrapping import cells
from distill_build.stages.report import Report
from distill_build.stages.tally import STAGES

if TYPE_CHECKING:
    from distill_build.stages.plan import Plan

GAP = 2


@dataclass(frozen=True, slots=True)
class Grid:
    """A table. The first column stands left, figures stand right, the last row is the total.

    `spare` names columns that go first where the terminal is too narrow. `loud` names the columns whose figures
    are bad news unless they are 0.
    """

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    spare: tuple[str, ...] = ()
    loud: tuple[str, ...] = ()

    @property
    def widths(self) -> list[int]:
        return [max(map(cells, column)) for column in zip(self.heads, *self.rows, strict=True)]

    @property
    def width(self) -> int:
        """Cells of a line."""
        return sum(self.widths) + GAP * (len(self.heads) - 1)

    def fitted(self, width: int) -> "Grid":
        """This table without as many of its spare columns as do not fit into `width` cells."""
        if not self.spare or self.width <= width:
            return self
        place = self.heads.index(self.spare[0])
        rows = tuple(_without(row, place) for row in self.rows)
        return Grid(_without(self.heads, place), rows, self.spare[1:], self.loud).fitted(width)

    def lines(self) -> list[str]:
        """Plain text, the total below a rule."""
        body = [_aligned(row, self.widths) for row in (self.heads, *self.rows)]
        return [*body[:-1], "-" * max(map(cells, body)), body[-1]]


def report_grid(report: Report) -> Grid:
    """Stages with what was made, cached, failed, and what that took."""
    rows = []
    for stage in report.stages:
        tally = report.tally.stages[stage]
        made = f"{report.count(stage):,} of {report.expected.of(stage):,}"
        spent = tally.prompt_tokens + tally.completion_tokens
        rows.append(_report_row(stage, made, tally.missing, tally.asked, tally.cached, spent, tally.usd, tally.seconds))
    tallies = [report.tally.stages[stage] for stage in report.stages]
    total = _report_row(
        "total",
        "",
        sum(tally.missing for tally in tallies),
        sum(tally.asked for tally in tallies),
        sum(tally.cached for tally in tallies),
        sum(report.tally.tokens),
        report.tally.usd,
        sum(tally.seconds for tally in tallies),
    )
    heads = ("stage", "made", "failed", "asked", "cached", "tokens", "cost", "model time")
    return Grid(heads, (*rows, total), spare=("asked", "model time"), loud=("failed",))


def plan_grid(plan: "Plan") -> Grid:
    """Stages with the requests that a build would make, and what they would take."""
    rows = []
    for stage in STAGES:
        counts, cost = plan.stages[stage], plan.costs[stage]
        spent = cost.prompt_tokens + cost.completion_tokens
        rows.append(_plan_row(stage, counts.cached, counts.ask, counts.unknown, spent, cost.usd, cost.seconds))
    counted, cost = plan.stages.values(), plan.cost
    total = _plan_row(
        "total",
        sum(stage.cached for stage in counted),
        sum(stage.ask for stage in counted),
        sum(stage.unknown for stage in counted),
        cost.prompt_tokens + cost.completion_tokens,
        cost.usd,
        cost.seconds,
    )
    heads = ("stage", "cached", "to ask", "unknown", "tokens", "cost", "time")
    return Grid(heads, (*rows, total))


def _report_row(
    name: str, made: str, failed: int, asked: int, cached: int, spent: int, usd: float | None, seconds: float
) -> tuple[str, ...]:
    time = duration(seconds) if asked else ""
    return name, made, f"{failed:,}", f"{asked:,}", f"{cached:,}", tokens(spent), money(usd), time


def _plan_row(
    name: str, cached: int, ask: int, unknown: int, spent: int, usd: float | None, seconds: float
) -> tuple[str, ...]:
    time = rough_duration(seconds) if ask + unknown else ""
    return name, f"{cached:,}", f"{ask:,}", f"{unknown:,}", tokens(spent), rough_money(usd), time


def _without(row: Sequence[str], place: int) -> tuple[str, ...]:
    return (*row[:place], *row[place + 1 :])


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    room = [" " * (width - cells(cell)) for cell, width in zip(row, widths, strict=True)]
    first, *others = [*zip(row, room, strict=True)]
    return (" " * GAP).join([first[0] + first[1], *(space + cell for cell, space in others)]).rstrip()
