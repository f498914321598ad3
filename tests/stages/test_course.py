"""What streams and what waits: the segments and phases that the stages of a graph fall into."""

from pathlib import Path
from typing import Any

from msgspec.structs import replace

from distill_build.models.base import ModelSettings
from distill_build.settings import StageSettings
from distill_build.stages.all import Stages, prompts_of
from distill_build.stages.course import ChainLengths, Phase, Segment, course_of
from tests.made_settings import made_settings

MODEL = ModelSettings(engine="openai_compatible", name="scripted", base_url="http://127.0.0.1:1/v1")
PLAIN = ["tags", "questions", "answers"]


def asks(after: str, **settings: Any) -> StageSettings:
    """A map of a user's own."""
    return StageSettings(kind="map", after=after, role="teacher", **settings)


def judges(after: str, where: str) -> StageSettings:
    return StageSettings(kind="transform", after=after, where=where)


def groups(after: str, by: str) -> StageSettings:
    return StageSettings(kind="group", after=after, by=by, columns={"first": f"rows.{after} | length"})


def stages_of(names: list[str], prompts: dict[str, str] | None = None, **own: StageSettings) -> Stages:
    """Stages in force: those of `names`, then a user's `own`. `prompts` are bodies of messages by stage."""
    for name, stage in own.items():
        if stage.kind == "map":
            place = Path("prompts/en") / f"{name}.jinja"
            place.parent.mkdir(parents=True, exist_ok=True)
            body = (prompts or {}).get(name, "Go on.")
            place.write_text(f'{{% call message("user") %}}{body}{{% endcall %}}', encoding="utf-8")
    order = [*names, *(name for name in own if name not in names)]
    settings = made_settings(MODEL, stages=order, stage=own, questions_per_tag=10)
    return Stages(settings, prompts_of(settings), lambda _role, _model: None)


def course(names: list[str], until: str = "dataset", **own: StageSettings) -> tuple[Segment, ...]:
    return course_of(stages_of(names, **own), until)


def test_the_default_stages_wait_for_dedup_alone() -> None:
    before, after = course(["tags", "questions", "dedup", "answers"])
    assert before == Segment((Phase(("questions",)),), "dedup", (), measured=("questions",), refilled="questions")
    assert after == Segment((Phase(("answers",)),), None, loaded=("questions", "dedup"), measured=())


def test_only_a_list_that_grows_right_before_its_judge_goes_on_for_what_that_drops() -> None:
    names = ["tags", "questions", "dedup", "again", "answers"]
    own = made_settings(MODEL).stage["dedup"]
    first, second, last = course(names, again=own)
    assert (first.refilled, second.refilled, last.refilled) == ("questions", None, None)
    without = course(["tags", "questions", "dedup"], dedup=replace(own, refill=0))
    assert [segment.refilled for segment in without] == [None, None]


def test_maps_of_maps_stream() -> None:
    (segment,) = course(PLAIN, translate=asks("answers"), scores=asks("translate"), summary=asks("tags"))
    assert segment.phases == (Phase(("questions", "answers", "translate", "scores", "summary")),)
    assert (segment.judged, segment.loaded) == (None, ())


def test_a_verdict_on_single_rows_holds_up_nothing() -> None:
    (segment,) = course(PLAIN, good=judges("answers", "row.answer | length > 3"), translate=asks("answers"))
    assert segment.phases == (Phase(("questions", "answers", "translate"), immediate=("good",)),)


def test_what_is_made_of_rows_beside_or_below_waits_for_all_of_them() -> None:
    (segment,) = course(PLAIN, votes=groups("answers", "questions"), last=asks("votes"))
    assert segment.phases == (Phase(("questions", "answers"), closing=("votes",)), Phase(("last",)))
    (segment,) = course(PLAIN, rare=judges("questions", "rows.answers | length > 1"), last=asks("answers"))
    assert segment.phases == (Phase(("questions", "answers"), closing=("rare",)), Phase(("last",)))


def test_a_map_that_names_rows_beside_its_own_waits_for_them() -> None:
    stages = stages_of(
        PLAIN,
        {"translate": "{{ rows.scores | length }}"},
        scores=asks("answers"),
        translate=asks("answers"),
    )
    (segment,) = course_of(stages, "dataset")
    assert segment.phases == (Phase(("questions", "answers", "scores")), Phase(("translate",)))


def test_a_build_has_the_course_of_what_it_reaches() -> None:
    names = ["tags", "questions", "dedup", "answers"]
    assert course(names, "tags") == (Segment((), None, (), ()),)
    assert course(names, "questions") == (Segment((Phase(("questions",)),), None, (), ()),)
    assert [segment.judged for segment in course(names, "dedup")] == ["dedup", None]


def test_rows_that_nobody_looks_at_any_more_are_not_loaded() -> None:
    own = {"summary": asks("tags"), "translate": asks("answers")}
    before, after = course(["tags", "questions", "summary", "dedup", "answers", "translate"], **own)
    assert before.stages == ("questions", "summary")
    assert after.loaded == ("questions", "dedup"), "of the summary nothing is made"
    assert after.stages == ("answers", "translate")


def test_a_chain_is_as_long_as_what_follows_it() -> None:
    stages = stages_of(PLAIN, translate=asks("answers"), summary=asks("tags"))
    lengths = ChainLengths(stages, course_of(stages, "dataset"))
    assert [lengths.step(0, name, 1) for name in ("answers", "translate", "summary")] == [2, 1, 1]
    assert lengths.step(0, "questions", 10) == 4, "two requests of five questions, an answer, its translation"
    assert lengths.step(0, "questions", 5) == 3
    assert lengths.segment(0) == 4
