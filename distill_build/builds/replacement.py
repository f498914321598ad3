"""What a build takes from the version that lies in its folder: rows that go, and rows that are made anew."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from distill_build.builds.plan.plan import Plan
from distill_build.builds.session import Session
from distill_build.dataset.lockfile import facts_of
from distill_build.history.causes import STAGES, UNTIL, Cause, causes_between, recipe_of, until_cause
from distill_build.history.setting_wording import cause_words, listed
from distill_build.options import Options
from distill_build.records import rows_of, short
from distill_build.stages.declared import declared

if TYPE_CHECKING:  # a report holds what was replaced, and a baseline knows locks, which know reports
    from distill_build.builds.baseline import Baseline

CAUSES_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Replacement:
    """`fewer` counts by stage the rows of `version` that the settings want no more, `others` those beside them that a
    plan does not come to as they stand: what is asked for again may be the same then, or not come at all.

    `causes` are the settings and prompts that differ, in words: first what was typed.
    """

    version: str
    fewer: Mapping[str, int]
    others: Mapping[str, int]
    causes: tuple[str, ...]

    def sentence(self, verb: str) -> str:
        """What is said of it: `verb` says who does it, and when."""
        fewer = [f"{rows_of(number, stage)} fewer" for stage, number in self.fewer.items()]
        others = [rows_of(number, stage) for stage, number in self.others.items()]
        what = [*fewer, *([f"{', '.join(others)} made anew or gone"] if others else [])]
        why = f"; {listed(self.causes, CAUSES_SHOWN)}" if self.causes else ""
        return (
            f"{verb} version {short(self.version)}: {'; '.join(what)}{why}; `distill-build checkout "
            f"{short(self.version)}` brings it back"
        )


def replacement_of(session: Session, options: Options, baseline: "Baseline", plan: Plan) -> Replacement | None:
    """What the build that `plan` is of takes from the version in the folder; None where all rows stay.

    They stay, too, where a build is held to a lock, or would have to ask and may not.
    """
    state, until = baseline.state, options.until
    lost = {stage: number for stage, number in plan.replaced.items() if number}
    if state is None or not lost or baseline.locked is not None or (options.offline and plan.calls):
        return None
    reached = session.stages.graph.up_to(until)
    expected = {stage: rows for stage, rows in declared(session.settings).rows().items() if stage in reached}
    unwanted = {stage: max(0, state.counts[stage] - expected.get(stage, 0)) for stage in lost}
    fewer = {stage: min(number, unwanted[stage]) for stage, number in lost.items() if unwanted[stage]}
    others = {stage: rest for stage, number in lost.items() if (rest := number - fewer.get(stage, 0))}
    then, now = recipe_of(facts_of(state.recipe)), recipe_of(facts_of(session.identity))
    causes = [*until_cause(state.until, until), *causes_between(then, now)]
    causes.sort(key=lambda cause: (not _is_typed(cause, options.overrides, session.stages.roles), cause.name != STAGES))
    return Replacement(state.version, fewer, others, tuple(map(cause_words, causes)))


def _is_typed(cause: Cause, words: Iterable[str], roles: Iterable[str]) -> bool:
    """Whether the words of the command set what differs, be it for the model that a role follows."""
    typed = {word.partition("=")[0].lstrip("+~").rpartition("@")[2] for word in words}
    head, *rest = cause.name.split(".")
    heads = (head, "model") if head in roles else (head,)
    places = {".".join([each, *rest[:end]]) for each in heads for end in range(len(rest) + 1)}
    return cause.name == UNTIL or not typed.isdisjoint(places)
