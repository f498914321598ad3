"""What is in the key of a call, and what is not: one test for each ingredient, in both directions."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from distill_build.calls.call import Call, derived_seed
from distill_build.dataset.unit import Place
from distill_build.models.base import Limits, ModelSettings, Prices
from distill_build.prompting.files import packed_folder
from distill_build.records import JsonObject
from distill_build.replies.parse import Rejection
from distill_build.settings import PerRequest, Settings
from distill_build.stages.all import Stages, prompts_of
from distill_build.stages.kinds.list_stage import ListStage
from distill_build.stages.kinds.map_stage import MapStage
from distill_build.stages.kinds.recipe import IDENTITY, NOT_IDENTITY, Recipe
from tests.made_settings import made_settings

STAGES = ("tags", "questions", "answers")
"""Those of ours that ask."""
PATH = ("sports", "Ball Games")
MODEL = ModelSettings(engine="openai_compatible", name="scripted", base_url="http://127.0.0.1:1/v1")


def made(**changed: Any) -> Settings:
    return made_settings(MODEL, **changed)


def with_model(**changed: Any) -> Settings:
    model = msgspec.structs.replace(MODEL, **changed)
    return made_settings(model)


def stages_of(settings: Settings, weights: str | None = None) -> Stages:
    return Stages(settings, prompts_of(settings), lambda _role, _model: weights)


def call(stage: str, settings: Settings, *, weights: str | None = None, sample: int = 0, **place: Any) -> Call:
    """A call of `stage` as a build makes it."""
    made_stage, path = stages_of(settings, weights)[stage], place.get("path", PATH)
    if isinstance(made_stage, MapStage):
        question = {"id": "q_1", "question": place.get("question", "How high is the net?")}
        return made_stage.request(Place(path, "t_1"), question, {}, sample)
    assert isinstance(made_stage, ListStage)
    return made_stage.request(Place(path, "t_1"), place.get("existing", ["Tennis"]), sample)


def identity(stage: str, settings: Settings) -> JsonObject:
    return stages_of(settings)[stage].identity()


def keys(settings: Settings, **given: Any) -> dict[str, str]:
    return {stage: call(stage, settings, **given).key for stage in STAGES}


def changed(settings: Settings, than: Settings | None = None, **given: Any) -> set[str]:
    """The stages whose keys `settings` change."""
    before, after = keys(made() if than is None else than), keys(settings, **given)
    return {stage for stage in before if before[stage] != after[stage]}


ALL: set[str] = set(STAGES)
LISTS = {"tags", "questions"}
CHANGES_OF_IDENTITY: dict[str, list[tuple[dict[str, Any], set[str]]]] = {
    "name": [({"name": "other"}, ALL)],
    "revision": [({"revision": "two"}, ALL), ({"revision": ""}, ALL)],
    "temperature": [({"temperature": 0.0}, ALL), ({"temperature": 0.7}, ALL)],
    "top_p": [({"top_p": 0.9}, ALL), ({"top_p": 1.0}, ALL)],
    "max_tokens": [({"max_tokens": 50}, ALL)],
    "logprobs": [({"logprobs": 1}, ALL), ({"logprobs": 20}, ALL)],
    "structured": [({"structured": "json_object"}, LISTS), ({"structured": "none"}, LISTS)],
    "send_seed": [({"send_seed": False}, ALL)],
    "extra_body": [({"extra_body": {"top_k": 1}}, ALL), ({"extra_body": {"stop": None}}, ALL)],
    "examples": [({"examples": True}, ALL)],
    "reasoning": [({"reasoning": "prompted"}, {"answers"})],
}
CHANGES_OF_NO_IDENTITY: dict[str, list[dict[str, Any]]] = {
    "engine": [{"engine": "embedded"}],
    "base_url": [{"base_url": "https://elsewhere.example/v1"}, {"base_url": None}],
    "api_key_env": [{"api_key_env": "SOME_KEY"}],
    "api_key_required": [{"api_key_required": False}],
    "stream": [{"stream": True}],
    "reasoning_marks": [{"reasoning_marks": (("<plan>", "</plan>"),)}, {"reasoning_marks": ()}],
    "assumed_tokens": [{"assumed_tokens": 3000}],
    "prices": [{"prices": Prices(prompt=1.0, completion=2.0)}],
    "limits": [{"limits": Limits(concurrency=1, rpm=1, tpm=1, timeout_s=1, retries=0, reasks=0)}],
}
READING = {"reasoning_marks"}
"""What changes no request, and yet the rows that are read from the replies."""
ELSEWHERE = {"path": "through the digest of the file", "max_tokens_field": "together with max_tokens"}


def test_every_setting_of_a_model_is_in_exactly_one_of_the_two_tables() -> None:
    fields = set(ModelSettings.__struct_fields__)
    assert IDENTITY.keys() | NOT_IDENTITY.keys() == fields
    assert not IDENTITY.keys() & NOT_IDENTITY.keys()
    assert all(IDENTITY.values())
    assert all(NOT_IDENTITY.values())


def test_every_line_of_the_tables_has_a_test() -> None:
    assert CHANGES_OF_IDENTITY.keys() | ELSEWHERE.keys() == IDENTITY.keys()
    assert CHANGES_OF_NO_IDENTITY.keys() == NOT_IDENTITY.keys()


def in_order(value: object) -> str:
    """A test's name that is the same in every process: sets have no order of their own."""
    return "+".join(sorted(value)) if isinstance(value, set | frozenset) else str(value)


@pytest.mark.parametrize(
    ("model", "stages"), [pair for pairs in CHANGES_OF_IDENTITY.values() for pair in pairs], ids=in_order
)
def test_what_is_identity_changes_the_key(model: dict[str, Any], stages: set[str]) -> None:
    assert changed(with_model(**model)) == stages


@pytest.mark.parametrize(
    "model", [each for changes in CHANGES_OF_NO_IDENTITY.values() for each in changes], ids=in_order
)
def test_what_is_no_identity_leaves_the_key(model: dict[str, Any]) -> None:
    assert changed(with_model(**model)) == set()


@pytest.mark.parametrize("stage", STAGES)
def test_a_role_reaches_its_own_stage(stage: str) -> None:
    role = made().stage[stage].roles[0]
    assert changed(made(**{role: msgspec.structs.replace(MODEL, temperature=0.5)})) == {stage}


def test_weights_are_identity_by_their_digest_and_not_by_their_place() -> None:
    assert changed(made(), weights="abc") == ALL
    assert changed(with_model(path="elsewhere/model.gguf")) == set()


def test_the_field_of_the_token_limit_counts_where_there_is_a_limit() -> None:
    assert changed(with_model(max_tokens_field="max_completion_tokens")) == set()
    limited = with_model(max_tokens=50)
    assert changed(with_model(max_tokens=50, max_tokens_field="max_completion_tokens"), limited) == ALL


def test_the_seed_is_identity_also_where_it_is_not_sent() -> None:
    assert changed(made(seed=1)) == ALL
    quiet = msgspec.structs.replace(MODEL, send_seed=False)
    roles = {"tagger": quiet, "student": quiet, "teacher": quiet}
    assert changed(made(seed=1, **roles), made(**roles)) == ALL


def test_the_sample_is_identity_also_where_no_seed_is_sent() -> None:
    for send_seed in (True, False):
        settings = made_settings(msgspec.structs.replace(MODEL, send_seed=send_seed), answers_per_question=2)
        assert changed(settings, settings, sample=1) == ALL


def test_the_number_of_items_asked_for_is_identity_of_its_own_stage() -> None:
    assert changed(made(per_request=PerRequest(tags=3))) == {"tags"}
    assert changed(made(per_request=PerRequest(questions=3))) == {"questions"}


def test_the_system_prompt_is_identity_of_the_answers() -> None:
    assert changed(made(system_prompt="Be brief")) == {"answers"}
    assert changed(made(system_prompt="")) == set(), "an empty one is not sent"


def test_the_language_is_identity_where_it_is_rendered() -> None:
    assert changed(made(language="zh")) == LISTS


@pytest.mark.parametrize(
    "total",
    [{"depth": 5}, {"breadth": 3}, {"breadth": [3, 4]}, {"questions_per_tag": 99}, {"answers_per_question": 7},
     {"output_dir": "elsewhere"}, {"name": "other"}, {"formats": ["csv"]}, {"limits": Limits(concurrency=1)}],
    ids=in_order,
)  # fmt: skip
def test_totals_places_formats_and_limits_of_a_build_leave_the_key(total: dict[str, Any]) -> None:
    assert changed(made(**total)) == set()


def test_the_place_in_the_tree_is_identity_of_lists_and_not_of_answers() -> None:
    assert changed(made(), path=("sports", "Water Sports")) == LISTS
    assert changed(made(), existing=["Squash"]) == LISTS
    assert changed(made(), existing=[]) == LISTS
    assert changed(made(), question="Why?") == {"answers"}


def test_the_stage_is_identity() -> None:
    recipes = [Recipe(stage, "student", MODEL, 0, None) for stage in STAGES]
    messages = [{"role": "user", "content": "How?"}]
    made_keys = {recipe.call(PATH, messages, 0, lambda _: Rejection("invalid", "no")).key for recipe in recipes}
    assert len(made_keys) == len(STAGES)


def test_the_role_is_no_identity_and_its_model_is() -> None:
    messages = [{"role": "user", "content": "How?"}]
    recipes = [Recipe("answers", role, MODEL, 0, None) for role in ("student", "teacher")]
    assert len({recipe.call(PATH, messages, 0, lambda _: Rejection("invalid", "no")).key for recipe in recipes}) == 1


@pytest.mark.parametrize("stage", STAGES)
def test_an_edited_prompt_is_identity_by_what_it_renders(stage: str) -> None:
    packed = (packed_folder() / f"en/{stage}.jinja").read_text(encoding="utf-8")
    own = Path("prompts/en") / f"{stage}.jinja"
    own.parent.mkdir(parents=True)
    before = keys(made())
    for text, same in (
        (packed, True),
        ("{# a note #}\n" + packed, True),
        ("{% set unused = topic %}\n" + packed, True),
        (packed.replace('{% call message("user") %}\n', '{% call message("user") %}\nMind this.\n'), False),
    ):
        own.write_text(text, encoding="utf-8")
        after = keys(made())
        assert {name for name in before if before[name] != after[name]} == (set() if same else {stage})


def test_the_body_is_what_is_hashed() -> None:
    for stage in STAGES:
        whole = call(stage, with_model(temperature=0.0, max_tokens=9, extra_body={"top_k": 1, "model": "mine"}))
        assert whole.manifest["body"] is whole.body
        assert whole.body["temperature"] == 0
        assert whole.body["max_tokens"] == 9
        assert "top_p" not in whole.body
        assert (whole.body["top_k"], whole.body["model"]) == (1, "mine"), "an extra body has the last word"
        assert whole.body["seed"] == derived_seed(0, 0, 0)


PINNED = {
    "tags": "cf495baca8db4f85381a13a662da4009de18db46187c269080b47a90dcad52b9",
    "questions": "1e68e9255736ecd826c70cd8e5b9e51c9a756c593674eaaed2c7c5c805c73fd0",
    "answers": "487e1bd2a502301d859defb55c056085a9fd31453d70325fd1341d5e801b1754",
}
"""Keys of one request with messages of our own. A change here re-asks all that anybody has in a cache: raise SCHEME."""


@pytest.mark.parametrize("stage", STAGES)
def test_keys_are_pinned(stage: str) -> None:
    settings = with_model(temperature=0.7, max_tokens=100, revision="two", extra_body={"top_k": 20})
    recipe = Recipe(stage, "any", settings.role(stage), settings.seed, None)
    messages = [{"role": "system", "content": "体育"}, {"role": "user", "content": "How?"}]
    assert recipe.call(PATH, messages, 1, lambda _: None, {"type": "json_object"}).key == PINNED[stage]


def test_derived_seeds_are_pinned_small_and_apart() -> None:
    assert derived_seed(0, 0, 0) == 1952781802
    seeds = {derived_seed(seed, sample, attempt) for seed in range(8) for sample in range(8) for attempt in range(4)}
    assert len(seeds) == 8 * 8 * 4
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_the_identity_of_a_stage_moves_wherever_a_key_does() -> None:
    """Work is skipped where the identity is unchanged, so it must be at least as fine as the keys."""
    variants = [with_model(**model) for changes in CHANGES_OF_IDENTITY.values() for model, _ in changes]
    variants += [
        made(seed=1),
        made(per_request=PerRequest(tags=3, questions=3)),
        made(system_prompt="x"),
        made(language="zh"),
    ]
    variants += [with_model(max_tokens=50, max_tokens_field="max_completion_tokens")]
    for settings in variants:
        for stage in (each for each in STAGES if each in changed(settings)):
            assert identity(stage, made()) != identity(stage, settings), (stage, settings)


def test_what_is_no_identity_is_not_in_the_identity_of_a_stage() -> None:
    for name, changes in CHANGES_OF_NO_IDENTITY.items():
        for model in changes:
            for stage in STAGES:
                same = identity(stage, made()) == identity(stage, with_model(**model))
                assert same == (name not in READING), (stage, model)
