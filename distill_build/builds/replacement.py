"""What a build takes from the version that lies in its folder: rows that go, and rows that are made anew."""

from collections.abc import Collection, Iterable, Iterator

from distill_build.builds.baseline import Baseline
from distill_build.builds.plan.plan import Plan
from distill_build.builds.present import PresentVersion
from distill_build.builds.report import Replacement
from distill_build.builds.session import Rebuild, Session
from distill_build.dataset.layout import State
from distill_build.dataset.lockfile import facts_of
from distill_build.history.causes import STAGES, UNTIL, Cause, causes_between, recipe_of, until_cause
from distill_build.history.setting_wording import cause_words
from distill_build.options import Options
from distill_build.records import short
from distill_build.versions.archive import Archive


def replacement_of(session: Session, options: Options, baseline: Baseline, plan: Plan) -> Replacement | None:
    """What the build that `plan` is of takes from the version in the folder; None where all rows stay.

    They stay, too, where a build is held to a lock, or would have to ask and may not.
    """
    present, until = baseline.present, options.until
    lost = {stage: number for stage, number in plan.replaced.items() if number}
    if present is None or not lost or baseline.locked is not None or (options.offline and plan.calls):
        return None
    unwanted = {stage: max(0, present.counts[stage] - plan.wanted.get(stage, 0)) for stage in lost}
    fewer = {stage: min(number, unwanted[stage]) for stage, number in lost.items() if unwanted[stage]}
    others = {stage: rest for stage, number in lost.items() if (rest := number - fewer.get(stage, 0))}
    then, now = recipe_of(present.facts), recipe_of(facts_of(session.identity))
    causes = [*until_cause(present.until, until), *causes_between(then, now)]
    causes.sort(key=lambda cause: _weight(cause, options.overrides, session.stages.roles))
    told = (*_rebuilding(session.rebuild), *map(cause_words, causes))
    words = told or tuple(_other_cause(baseline.state, plan))
    leaving = tuple(" / ".join(path[1:]) for path in plan.leaving)
    return Replacement(present.version, fewer, others, leaving, words, _way_back(session, baseline, present))


def _way_back(session: Session, baseline: Baseline, present: PresentVersion) -> str:
    """What a build keeps of the version that lies there: all of one that was built here, else its files."""
    if baseline.state is not None or Archive(session.cache_dir).find(present.version) is not None:
        return f"`distill-build checkout {short(present.version)}` brings it back"
    return "its files are kept under runs/"


def _rebuilding(rebuild: Rebuild) -> Iterator[str]:
    """What is typed of --rebuild and names something."""
    if named := [word for word in rebuild.typed if word not in rebuild.unmatched]:
        yield f"--rebuild {' '.join(named)} asks for others"


def _other_cause(state: State | None, plan: Plan) -> Iterator[str]:
    """Why rows are made anew though no setting differs."""
    if state is not None and state.rebuilding:
        yield f"an interrupted --rebuild {' '.join(state.rebuilding)} had others asked for"
    elif plan.calls:
        yield "the replies behind them are not in the cache, nor in the folder"


def _weight(cause: Cause, words: Iterable[str], roles: Collection[str]) -> tuple[bool, bool, bool]:
    """What is told first: what was typed, then the stages, then which model it is."""
    is_model = cause.name in {f"{role}.name" for role in roles}
    return not _is_typed(cause, words, roles), cause.name != STAGES, not is_model


def _is_typed(cause: Cause, words: Iterable[str], roles: Iterable[str]) -> bool:
    """Whether the words of the command set what differs, be it for the model that a role follows."""
    typed = {word.partition("=")[0].lstrip("+~").rpartition("@")[2] for word in words}
    head, *rest = cause.name.split(".")
    heads = (head, "model") if head in roles else (head,)
    places = {".".join([each, *rest[:end]]) for each in heads for end in range(len(rest) + 1)}
    return cause.name == UNTIL or not typed.isdisjoint(places)
