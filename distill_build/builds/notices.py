"""What is said before a build, and by its plan: where what it does with what it finds may surprise."""

import re
from collections.abc import Iterator

from distill_build.builds.baseline import Baseline
from distill_build.builds.locked import foreign_lock, unlocked_note
from distill_build.builds.plan.plan import Plan
from distill_build.builds.report import Replacement
from distill_build.builds.session import Session
from distill_build.builds.up_to_date import edited_files
from distill_build.dataset.layout import State, is_artefact
from distill_build.export import KD, PREFERENCE
from distill_build.graph import END
from distill_build.options import Options
from distill_build.records import number_of
from distill_build.stages.course import course_of
from distill_build.stages.kinds.transform_stage import TransformStage
from distill_build.stages.training.export_settings import lost_in_training

OF_A_ROLE = re.compile(r"\+{0,2}model@(?P<role>[\w-]+)=(?P<model>.*)")
"""A word that names a model for one role."""
OF_ONE_FORMAT = {"kd": KD, "format.margin": PREFERENCE, "format.csv_bom": "csv"}
"""Settings, or groups of them, that one format alone goes by."""


def notices(
    session: Session, options: Options, baseline: Baseline, plan: Plan, goes: Replacement | None
) -> Iterator[str]:
    """Sentences on the build that `plan` is of; `baseline` is what that plan was made with, `goes` what it replaces."""
    if plan.exact and session.rebuild.unmatched:
        yield unmatched(session)
    if (held := _other_topic(session)) is not None:
        yield (
            f"{session.dataset.folder} held the topic {held!r} and becomes {session.settings.topic!r}; "
            "name=… keeps both (all responses stay in the cache)"
        )
    if goes is not None:
        yield goes.sentence("this build replaces")
    if baseline.state is not None:
        yield from _edited(session, baseline.state)
        if baseline.state.rebuilding and not session.rebuild and baseline.locked is None:
            globs = " ".join(baseline.state.rebuilding)
            yield (
                f"what an interrupted --rebuild {globs} brought is taken, and the rest is not asked for: the same "
                "--rebuild would go on with it"
            )
    if options.until == END and (lost := lost_in_training(session.identity["export"])) is not None:
        yield lost
    yield from _models_of_nobody(session, options)
    yield from _of_no_format(session, options)
    for stage in session.stages:
        yield from stage.notices
    for segment in course_of(session.stages, options.until):
        judge = session.stages[segment.judged] if segment.judged is not None else None
        if isinstance(judge, TransformStage) and judge.refill and segment.refilled is None:
            yield (
                f"{judge.name} asks for no others in the place of the {judge.shape.after} that it drops: they are no "
                "list that grows behind the last stage before it that looks at all rows"
            )
    if (note := unlocked_note(session.dataset, options)) is not None:
        yield note
    if baseline.locked is None and (warning := foreign_lock(session, plan)) is not None:
        yield warning
    if baseline.locked is None and baseline.pinned.others:
        yield _others_stand(session, len(baseline.pinned.others))


def _models_of_nobody(session: Session, options: Options) -> Iterator[str]:
    """Models that were typed for roles which no stage asks: a project's file may name some for other builds."""
    for word in options.overrides:
        typed = OF_A_ROLE.fullmatch(word)
        if typed is not None and typed["role"] not in session.settings.models and typed["model"] != "same":
            yield (
                f"{word} does nothing: none of stages=[{','.join(session.settings.stages)}] asks {typed['role']} "
                "(an embedder is asked where dedup.by=meaning compares)"
            )


def _of_no_format(session: Session, options: Options) -> Iterator[str]:
    """Settings that were typed for a format which is not written: a project's file may have them for other builds."""
    formats = session.settings.formats
    for word in options.overrides:
        key = word.lstrip("+").partition("=")[0]
        form = OF_ONE_FORMAT.get(key) or OF_ONE_FORMAT.get(key.partition(".")[0])
        counts = key == "kd.tokenizer" and session.settings.trainers  # tokens of rows, for what trainers take
        if form is not None and form not in formats and not counts:
            yield f"{word} does nothing: formats=[{','.join(formats)}] has no {form}"


def _edited(session: Session, state: State) -> Iterator[str]:
    """Artefacts that somebody has edited, which a build does not read."""
    names = (path.relative_to(session.dataset.folder).as_posix() for path in edited_files(session.dataset, state))
    files = [name for name in names if is_artefact(name)]
    if files:
        yield (
            f"{' and '.join(files)} {'was' if len(files) == 1 else 'were'} edited by hand: `distill-build edit` "
            "keeps that for all builds to come; a build writes its own there, and what it finds goes to runs/"
        )


def unmatched_so_far(session: Session, plan: Plan) -> str | None:
    """What a plan says of globs of --rebuild that name nothing it knows, where it does not know all."""
    if plan.exact or not session.rebuild.unmatched:
        return None
    globs, example = " and ".join(sorted(session.rebuild.unmatched)), f"{session.settings.topic}/*"
    return (
        f"--rebuild {globs} matches no path that is known so far, and what comes later is not counted here; paths look "
        f"like '{example}'{_whole_stage(session)}. A build tells when it knows all"
    )


def _other_topic(session: Session) -> str | None:
    """The topic that the folder was built for, where it is another one."""
    state = session.dataset.state()
    held = state.recipe.get("tree", {}).get("topic") if state is not None else None
    return None if held in (None, session.settings.topic) else str(held)


def unmatched(session: Session) -> str:
    """What is said of globs of --rebuild that name nothing."""
    globs, example = " and ".join(sorted(session.rebuild.unmatched)), f"{session.settings.topic}/*"
    return (
        f"--rebuild {globs} matches no path at which something is asked, so nothing is asked again for it; paths look "
        f"like '{example}'{_whole_stage(session)}"
    )


def _whole_stage(session: Session) -> str:
    """How all of a stage is asked for again, where a glob is the name of one."""
    stage = next((glob for glob in sorted(session.rebuild.unmatched) if glob in session.stages.graph), None)
    return f", and all of a stage is '{stage}:*'" if stage is not None else ""


def _others_stand(session: Session, number: int) -> str:
    calls = number_of(number, "calls")
    return (
        f"{session.dataset.folder} keeps the responses that it was made from, though others stand in the cache for "
        f"{calls} by now (asked for anew elsewhere, or since the version that was brought back); a build into "
        "another folder takes those"
    )
