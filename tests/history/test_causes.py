"""What differs between two recipes, by the names that people type, whatever stages there are."""

from typing import Any

import pytest

from distill_build.dataset.lockfile import facts_of
from distill_build.engine.entry import Entry
from distill_build.engine.manifest import ABSENT
from distill_build.graph import Graph
from distill_build.history.causes import Cause, causes_between, count_causes, narrowed, own_causes, recipe_of
from distill_build.stages.kinds.declared import results_in
from tests.stages.recipes import asking, recipe

Told = list[tuple[str, Any, Any]]


def told(old: dict[str, Any], new: dict[str, Any]) -> Told:
    """What differs, which is the same where only the locks of both are known."""
    found = [(cause.name, cause.old, cause.new) for cause in causes_between(old, new)]
    assert [(c.name, c.old, c.new) for c in causes_between(recipe_of(facts_of(old)), recipe_of(facts_of(new)))] == found
    return found


def only(old: dict[str, Any], new: dict[str, Any]) -> Cause:
    (cause,) = causes_between(old, new)
    return cause


@pytest.mark.parametrize(
    ("old", "new", "name"),
    [
        ({"sampling": {"temperature": 0.2}}, {"sampling": {"temperature": 0.9}}, "judge.temperature"),
        ({"model": "one"}, {"model": "two"}, "judge.name"),
        ({"weights": "aa"}, {"weights": "bb"}, "judge.path (its digest)"),
        ({"extra_body": {"stop": {"at": 1}}}, {"extra_body": {"stop": {"at": 2}}}, "judge.extra_body.stop.at"),
        ({"send_seed": True}, {"send_seed": False}, "judge.send_seed"),
    ],
)
def test_a_setting_of_a_model_is_called_by_its_role(old: dict[str, Any], new: dict[str, Any], name: str) -> None:
    before, after = ({"scores": asking("judge", model=side)} for side in (old, new))
    assert [cause[0] for cause in told(before, after)] == [name]


@pytest.mark.parametrize(
    ("setting", "name"), [("per_request", "per_request.questions"), ("samples", "answers_per_question")]
)
def test_a_setting_of_a_stage_has_its_own_name_where_the_recipe_tells_one(setting: str, name: str) -> None:
    names = {"per_request": "per_request.questions", "samples": "answers_per_question"}
    before, after = ({"any": asking("student", names=names, **{setting: number})} for number in (1, 2))
    assert told(before, after) == [(name, 1, 2)]


def test_what_an_export_holds_is_called_as_it_is_typed_and_what_follows_from_stages_by_these_alone() -> None:
    rows = {"stage": "answers", "question": "rows.questions.question", "answer": "row.answer"}
    before = {"answers": asking("teacher"), "export": {"rows": rows}}
    typed = {"answers": asking("teacher"), "export": {"rows": rows | {"answer": "row.all", "reviewed": "accepted"}}}
    assert told(before, typed) == [
        ("stage.answers.export.answer", "row.answer", "row.all"),
        ("curate.reviewed", "not_rejected", "accepted"),
    ]
    scored = {"metadata": {"score": {"kind": "number", "mean": "scores.score"}}}
    judged = before | {"scores": asking("judge"), "export": {"rows": rows | scored}}
    assert [name for name, _, _ in told(before, judged)] == ["stages"]
    translated = {"stage": "translate", "question": "rows.questions.question", "answer": "row.text"}
    after = before | {"translate": asking("teacher"), "export": {"rows": translated}}
    assert [name for name, _, _ in told(before, after)] == ["stages"]


def test_any_other_setting_of_a_stage_is_called_by_the_stage() -> None:
    before, after = ({"good": {"after": "scores", "where": f"row.score > {score}"}} for score in (3, 4))
    assert told(before, after) == [("stage.good.where", "row.score > 3", "row.score > 4")]
    before, after = ({"t": asking("r", schema={"properties": {"x": {"type": kind}}})} for kind in ("string", "number"))
    assert told(before, after) == [("stage.t.schema.properties.x.type", "string", "number")]


def test_what_several_stages_share_is_one_cause_of_all_of_them() -> None:
    before, after = (
        {name: asking("teacher", seed=seed, model={"sampling": {"top_p": seed}}) for name in ("answers", "turns")}
        for seed in (1, 2)
    )
    assert told(before, after) == [("teacher.top_p", 1, 2), ("seed", 1, 2)]
    assert {cause.parts for cause in causes_between(before, after)} == {("answers", "turns")}


def test_what_only_names_the_rest_is_no_cause() -> None:
    before = {"scores": asking("judge", names={"samples": "one"}, counted_by="one")}
    after = {"scores": asking("judge", names={"samples": "two"}, counted_by="two")}
    assert told(before, after) == []


def test_another_role_is_told_once_and_not_by_what_its_model_is() -> None:
    before, after = ({"scores": asking(role, model={"model": role})} for role in ("judge", "critic"))
    assert told(before, after) == [("stage.scores.role", ("judge",), ("critic",))]
    assert count_causes(causes_between(before, after), "scores"), "several judges have a row each"


def test_a_stage_that_one_side_lacks_is_told_by_the_list_of_stages_alone() -> None:
    before = recipe(scores=asking("judge"))
    after = recipe(scores=asking("judge"), good={"after": "scores"})
    assert told(before, after) == [("stages", ("scores",), ("scores", "good"))]
    assert only(before, after).parts == ("graph", "good")
    many = recipe(**{f"a_stage_with_a_long_name_{number}": asking("judge") for number in range(5)})
    assert [cause[0] for cause in told(many, many)] == []
    (cause,) = causes_between(recipe_of(facts_of(many)), recipe_of(facts_of(before)))
    assert (cause.name, cause.new) == ("stages", ("scores",)), "a lock has a digest of a long list"


def test_turns_of_dialogues_are_told_by_their_number() -> None:
    def dialogue(turns: int, **more: Any) -> dict[str, Any]:
        stages: dict[str, Any] = {"answers": asking("teacher")}
        before = "answers"
        for turn in range(2, turns + 1):
            asks, answers = (f"{name}{f'_{turn}' if turn > 2 else ''}" for name in ("follow_ups", "turns"))
            names = {"names": {"turns": "dialogue.turns"}} if turn == 2 else {}
            stages[asks] = asking("student") | {"builtin": "follow_ups", "after": before}
            stages[answers] = asking("teacher") | {"builtin": "turns", "after": asks} | names
            before = answers
        return recipe(**stages, **more) | {"export": {"rows": {"stage": before, "history": f"[{turns}]"}}}

    (cause,) = causes_between(dialogue(2), dialogue(3))
    assert (cause.name, cause.old, cause.new) == ("dialogue.turns", 2, 3)
    assert cause.parts == ("graph", "follow_ups_3", "turns_3")
    assert told(dialogue(1), dialogue(2)) == [("dialogue.turns", 1, 2)]
    found = told(dialogue(2), dialogue(1, good={"after": "answers"}))
    assert [name for name, *_ in found] == ["dialogue.turns", "stages"]


def test_what_is_left_out_as_it_is_usual_is_told_by_its_value() -> None:
    before, after = (recipe(scores=asking("judge", model=own)) for own in ({}, {"reasoning": "drop"}))
    assert told(before, after) == [("judge.reasoning", "native", "drop")]
    assert told(after, before) == [("judge.reasoning", "drop", "native")]


def test_the_order_of_stages_counts_where_it_is_known() -> None:
    one, two = {"after": "scores"}, {"after": "scores"}
    assert told(recipe(one=one, two=two), recipe(two=two, one=one)) == [("stages", ("one", "two"), ("two", "one"))]


def test_a_number_of_rows_belongs_to_the_stage_that_says_so() -> None:
    before, after = (
        recipe(
            tags={"counted_by": "breadth", "scheme": 1},
            translate={"counted_by": "stage.translate.samples", "scheme": 1},
            tree={"breadth": [breadth], "topic": "sports"},
            counts={"translate": samples},
        )
        for breadth, samples in ((2, 1), (3, 4))
    )
    causes = causes_between(before, after)
    assert [(c.name, c.old, c.new) for c in count_causes(causes, "translate")] == [("stage.translate.samples", 1, 4)]
    assert [(c.name, c.old, c.new) for c in count_causes(causes, "tags")] == [("breadth", 2, 3)]
    assert own_causes(causes, "translate") == []


def test_the_number_of_rows_of_an_older_recipe_is_found_by_its_setting() -> None:
    asked = {"answers": {"counted_by": "answers_per_question"}, "questions": {"counted_by": "questions_per_tag"}}
    older = recipe(**asked, counts={"answers_per_question": 1, "questions_per_tag": 3})
    newer = recipe(**asked, counts={"answers": 2, "questions": 3})
    assert told(older, newer) == [("answers_per_question", 1, 2)]
    assert only(older, newer).counts == ("answers",)


def test_two_stages_whose_recipes_name_one_setting_have_a_number_each() -> None:
    asked = {name: {"counted_by": "answers_per_question", "role": ["teacher"]} for name in ("answers", "second")}
    described = {"tags": "t: list", "answers": "a: map of tags", "second": "second: map of tags"}
    recipes = recipe(**asked, counts={"answers": 1, "second": 3})
    assert results_in(Graph.parse(described), recipes) == {"answers": 1, "second": 3}


def test_what_a_stage_hands_to_the_exports_is_no_matter_of_its_rows() -> None:
    before, after = ({"translate": asking("r", export={"answer": text})} for text in ("row.a", "row.b"))
    assert only(before, after).parts == ("export",)
    assert own_causes(causes_between(before, after), "translate") == []


def test_prompts_of_another_language_go_without_saying() -> None:
    before, after = (
        {"translate": asking("r", language=language, prompt={f"{language}/translate.jinja": "Translate."})}
        for language in ("en", "zh")
    )
    assert told(before, after) == [("language", "en", "zh")]
    added = {"t": asking("r", prompt={"en/t.jinja": "T"})}
    cause = only({"t": asking("r", prompt={})}, added)
    assert (cause.name, cause.prompt, cause.old, cause.new) == ("en/t.jinja", True, ABSENT, "T")


def entry(**manifest: Any) -> Entry:
    return Entry("key", manifest, ())


def test_of_several_causes_those_stay_that_show_in_the_requests() -> None:
    before = {"t": asking("r", prompt={"en/t.jinja": "{# a #}"}, model={"sampling": {"temperature": 0.1}})}
    after = {"t": asking("r", prompt={"en/t.jinja": "{# b #}"}, model={"sampling": {"temperature": 0.9}})}
    causes = causes_between(before, after)
    assert len(causes) == 2
    seen = narrowed(causes, entry(body={"temperature": 0.1}), entry(body={"temperature": 0.9}))
    assert [cause.name for cause in seen] == ["r.temperature"]
    assert narrowed(causes, None, entry()) == causes
    assert narrowed(causes, entry(body={}), entry(body={})) == causes, "none shows"
