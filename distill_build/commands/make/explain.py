"""`explain`: which input changed since the last build, old value → new value, for each stage or for one item."""

import difflib
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from distill_build.builds.changes import item_changes
from distill_build.builds.plan.plan import Plan, StagePlan
from distill_build.builds.session import Session
from distill_build.commands.make.plan import plan_of
from distill_build.console.forecast import requests_and_cost
from distill_build.console.notes import notes
from distill_build.console.page import print_document, print_lines
from distill_build.dataset.layout import Dataset
from distill_build.history.causes import OTHER_PARTS, Cause, causes_between
from distill_build.history.setting_wording import cause_words, shown
from distill_build.options import Options
from distill_build.records import JsonObject, number_of
from distill_build.settings import Settings
from distill_build.stages.all import Stages

LONGEST_VALUE = 200
"""Characters of a value that are shown: more than elsewhere, since explain is asked for one thing."""


class Explanation(msgspec.Struct, frozen=True):
    """What changed since the last build of `dataset`, None where there was none, and what a build would ask for.

    `dropped` are the rows that each transform dropped then; `unknown` the transforms whose rows are yet to be made.
    """

    dataset: Dataset
    causes: list[Cause] | None
    plan: Plan
    dropped: Mapping[str, int]
    unknown: frozenset[str]

    def lines(self) -> Iterator[str]:
        """For people."""
        if self.causes is None:
            requests = requests_and_cost(self.plan) if self.plan.calls else "no requests"
            yield f"{self.dataset.folder} was not built yet: every stage is new, {requests}"
        else:
            yield from self._lines(self.causes)
            if self.plan.calls:
                yield f"all of it: {requests_and_cost(self.plan)}"

    def _lines(self, causes: list[Cause]) -> Iterator[str]:
        plans: dict[str, StagePlan] = dict(self.plan.stages.items())
        others = dict.fromkeys(part for cause in causes for part in cause.parts if part in OTHER_PARTS)
        for stage in (*plans, *others):
            own = [cause for cause in causes if stage in cause.parts]
            counts = plans.get(stage)
            if counts is None:
                yield stage
            elif stage in self.plan.dropped:
                yield f"{stage}: {self._drops(stage)}"
            else:
                yield f"{stage}: {_requests(counts)}"
            yield from _indented(line for cause in own for line in _cause_lines(cause))
            if counts is not None and not own:
                yield "  no input of its own changed"
                if counts.calls:
                    yield "  what is asked is new, failed before, or follows from a change above"

    def _drops(self, stage: str) -> str:
        """What a transform does: it asks nothing."""
        now, before = self.plan.dropped[stage], self.dropped.get(stage, 0)
        if stage in self.unknown:
            known = f"drops {number_of(now, 'rows')} of those that are there, " if now else ""
            return f"asks nothing, {known}what it drops of the rows to be asked for is not known yet"
        if not now + before:
            return "drops nothing"
        more = "more" if now > before else "fewer"
        than = "as before" if now == before else f"{abs(now - before):,} {more} than before"
        return f"asks nothing, drops {number_of(now, 'rows')}, {than}"

    def row(self) -> JsonObject:
        """The document of `explain --json`."""
        return _document(self.causes or [], self.plan, built=self.causes is not None)


def run(settings: Settings, options: Options) -> int:
    """Prints what changed and what a build would ask for because of it; returns 0."""
    session = Session(settings, options.rebuild)
    if options.arguments:
        return _explain_item(session, options)
    explanation = explain(session, options)
    if options.json:
        print_document(explanation.row())
    else:
        print_lines(explanation.lines())
    return 0


def explain(session: Session, options: Options) -> Explanation:
    """What changed since the last build of the session's dataset. Sends nothing."""
    state = session.dataset.state()
    causes = causes_between(state.recipe, session.identity) if state is not None else None
    dropped = {name: sum(why.values()) for name, why in state.dropped.items()} if state is not None else {}
    plan = plan_of(session, options, notes(quiet=True))
    return Explanation(session.dataset, causes, plan, dropped, _unknown(session.stages, plan))


def _unknown(stages: Stages, plan: Plan) -> frozenset[str]:
    """The transforms that judge, or look at, rows which are to be asked for."""
    judging = [shape for shape in stages.graph if shape.kind == "transform" and shape.after is not None]
    seen = {each.name: {*stages.graph.lineage(each.name), *stages[each.name].refers_to} for each in judging}
    return frozenset(name for name, others in seen.items() if any(plan.stages[other].calls for other in others))


def _explain_item(session: Session, options: Options) -> int:
    differences = list(item_changes(session, options.arguments[0]))
    if options.json:
        rows = [{"input": each.path, "old": _plain(each.old), "new": _plain(each.new)} for each in differences]
        print_document({"item": options.arguments[0], "changed": rows})
    elif differences:
        print_lines([f"the request behind {options.arguments[0]} would be another one now:"])
        print_lines(line for each in differences for line in _difference_lines(each.path, each.old, each.new))
    else:
        print_lines([f"nothing that goes into the request behind {options.arguments[0]} has changed"])
    return 0


def _requests(counts: StagePlan) -> str:
    if not counts.calls + counts.cached:
        return "nothing to ask"
    unknown = [f"about {counts.unknown} more behind them"] if counts.unknown else []
    return ", ".join([f"{counts.ask} to ask", f"{counts.cached} cached", *unknown])


def _cause_lines(cause: Cause) -> Iterator[str]:
    return iter([cause_words(cause)]) if cause.by_people else _difference_lines(cause.name, cause.old, cause.new)


def _difference_lines(name: str, old: object, new: object) -> Iterator[str]:
    if isinstance(old, str) and isinstance(new, str) and "\n" in old + new:
        yield f"{name}:"
        lines = difflib.unified_diff(old.splitlines(), new.splitlines(), "old", "new", lineterm="", n=1)
        yield from _indented(lines)
    else:
        yield f"{name}: {shown(old, LONGEST_VALUE)} → {shown(new, LONGEST_VALUE)}"


def _indented(lines: Iterable[str]) -> Iterator[str]:
    return (f"  {line}" for line in lines)


def _plain(value: object) -> object:
    """A side that lacks the place is null."""
    return value if isinstance(value, str | int | float | bool | list | tuple | dict) else None


def _document(causes: list[Cause], plan: Plan, *, built: bool) -> JsonObject:
    rows: dict[str, list[JsonObject]] = {}
    for cause in causes:
        row = {"input": cause.name, "old": _plain(cause.old), "new": _plain(cause.new)}
        for part in cause.parts:
            rows.setdefault(part, []).append(row)
    return {"built": built, "changed": rows, "plan": plan.row()}
