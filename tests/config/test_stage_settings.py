"""Stages and roles as settings: real files in a project's conf/, composed by the real Hydra."""

from pathlib import Path

import pytest

from distill_build.config.checks import check_until
from distill_build.errors import DistillError
from distill_build.settings import StageSettings, graph_of
from distill_build.stages.kinds.base import template_of
from tests.config.composed import all_settings, sentence, settings_of

TRANSLATE = """\
kind: map
after: answers
role: translator
prompt: translate
schema: {type: object, properties: {translation: {type: string}}, required: [translation]}
export: {question: rows.questions.question, reasoning: rows.answers.reasoning, answer: row.translation}
"""
GOOD = 'kind: transform\nafter: answers\nwhere: "rows.answers.reasoning"\n'
VOTES = "kind: group\nafter: answers\nby: questions\ncolumns: {answers: rows.answers | length}\n"
OURS = ["tags", "questions", "dedup", "answers"]


def write(name: str, text: str) -> None:
    file = Path("conf") / f"{name}.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


@pytest.fixture
def project() -> None:
    """A project of ours with a stage of each kind that a user may have."""
    write("distill", "defaults: [base, _self_]\n")
    for name, text in (("translate", TRANSLATE), ("good", GOOD), ("votes", VOTES)):
        write(f"stage/{name}", text)


def all_of(*more: str) -> str:
    return f"stages=[{','.join([*OURS, *more])}]"


# ---- Ours ----


def test_ours_follow_the_settings_that_stand_by_themselves() -> None:
    settings = settings_of(
        "depth=2", "breadth=[3,4]", "questions_per_tag=7", "answers_per_question=2", "per_request.tags=6",
        "per_request.questions=8", "system_prompt=Be ${brief}",
    )  # fmt: skip
    assert settings.stages == OURS == list(settings.stage)
    tags, questions, dedup, answers = settings.stage.values()
    assert (tags.kind, tags.after, tags.roles, tags.wanted, tags.per_request) == ("list", None, ("tagger",), [3, 4], 6)
    assert (questions.after, questions.roles, questions.wanted, questions.per_request) == ("tags", ("student",), 7, 8)
    assert (dedup.kind, dedup.after, dedup.roles) == ("transform", "questions", ())
    assert (answers.kind, answers.after, answers.roles, answers.samples, answers.system_prompt) == (
        "map",
        "questions",
        ("teacher",),
        2,
        "Be ${brief}",
    )
    assert answers.expressions == {
        "export.question": "row.question",
        "export.reasoning": "row.reasoning",
        "export.answer": "row.answer",
    }
    assert list(settings.models) == ["tagger", "student", "teacher"]


def test_a_setting_of_a_stage_counts_more_than_the_one_that_it_follows() -> None:
    settings = settings_of("questions_per_tag=7", "stage.questions.wanted=9", "stage.answers.system_prompt=a, b: ${c}")
    assert (settings.stage["questions"].wanted, settings.stage["answers"].system_prompt) == (9, "a, b: ${c}")


def test_a_build_has_the_models_of_the_stages_in_force() -> None:
    settings = settings_of("stages=[tags]", "model@teacher=qwen", "budget.usd=1")
    assert (list(settings.stage), list(settings.models)) == (["tags"], ["tagger"])


def test_the_graph_of_the_default_stages_has_the_ids_that_it_had() -> None:
    assert graph_of(settings_of()).described() == {
        "tags": "t: list", "questions": "q: list of tags", "dedup": "dedup: transform of questions",
        "answers": "a: map of questions",
    }  # fmt: skip


# ---- A user's own ----


@pytest.mark.usefixtures("project")
def test_one_file_is_a_stage_with_a_role_that_follows_the_model() -> None:
    settings = settings_of(
        all_of("translate"), "model=deepseek", "translator.temperature=0", "stage.translate.samples=3"
    )
    stage = settings.stage["translate"]
    assert (stage.kind, stage.after, stage.samples, stage.builtin, stage.prompt) == (
        "map",
        "answers",
        3,
        None,
        "translate",
    )
    assert stage.schema is not None
    assert list(stage.schema["properties"]) == ["translation"]
    translator = settings.role("translate")
    assert (translator.name, translator.temperature, settings.role("answers").temperature) == ("deepseek-chat", 0, 1)


@pytest.mark.usefixtures("project")
def test_a_role_of_ones_own_has_a_model_of_its_own() -> None:
    settings = settings_of(
        all_of("translate"), "model@translator=deepseek", "translator.extra_body.x=1", "translator.revision=3.10"
    )
    translator = settings.models["translator"]
    assert (translator.name, translator.extra_body, translator.revision) == ("deepseek-chat", {"x": 1}, "3.10")
    assert settings.models["teacher"].name == "smollm2-135m-instruct"


@pytest.mark.usefixtures("project")
def test_stages_and_roles_can_be_set_that_are_not_in_force() -> None:
    settings = settings_of("stage.translate.samples=3", "translator.temperature=0", "model@translator=deepseek")
    assert (list(settings.stage), "translator" in settings.models) == (OURS, False)


@pytest.mark.usefixtures("project")
def test_a_graph_has_every_kind() -> None:
    write("stage/my_own_2", TRANSLATE)
    assert graph_of(settings_of(all_of("good", "votes", "my_own_2"))).described() == {
        "tags": "t: list", "questions": "q: list of tags", "dedup": "dedup: transform of questions",
        "answers": "a: map of questions",
        "good": "good: transform of answers", "votes": "votes: group of answers by questions",
        "my_own_2": "my_own_2: map of answers",
    }  # fmt: skip


@pytest.mark.usefixtures("project")
def test_a_file_of_a_project_says_which_stages_there_are_and_changes_them() -> None:
    write(
        "distill",
        "defaults: [base, {override model@translator: deepseek}, _self_]\n"
        "stages: [tags, questions, answers, translate]\nstage: {translate: {samples: 2}}\n",
    )
    settings = settings_of()
    assert (settings.stage["translate"].samples, settings.models["translator"].name) == (2, "deepseek-chat")


def test_a_stage_is_found_in_a_conf_that_is_not_ours_and_in_config_dir() -> None:
    write("stage/translate", TRANSLATE)
    Path("more/stage").mkdir(parents=True)
    Path("more/stage/good.yaml").write_text(GOOD, encoding="utf-8")
    assert list(settings_of(all_of("translate", "good"), "--config-dir=more").stage) == [*OURS, "translate", "good"]


def test_a_stage_may_build_on_one_of_ours_and_is_not_ours() -> None:
    write("stage/drafts", "defaults: [answers, _self_]\nrole: drafter\n")
    settings = settings_of(all_of("drafts"), "drafter.temperature=0", "answers_per_question=2")
    drafts = settings.stage["drafts"]
    assert (drafts.builtin, drafts.samples, drafts.roles) == ("answers", 2, ("drafter",))
    assert graph_of(settings)["drafts"].prefix == "drafts"
    assert settings.role("drafts").temperature == 0


@pytest.mark.usefixtures("project")
def test_roles_may_be_several_and_typed() -> None:
    for typed in ("[one,two]", "'[one, two]'"):
        settings = settings_of(all_of("translate"), f"stage.translate.role={typed.strip(chr(39))}", "two.temperature=0")
        assert settings.stage["translate"].roles == ("one", "two")
        assert (settings.models["two"].temperature, settings.role("translate")) == (0, settings.models["one"])
    write("distill", "defaults: [base, _self_]\nstage: {translate: {role: [three, four]}}\n")
    assert list(settings_of(all_of("translate"), "four.temperature=0").models)[3:] == ["three", "four"]


@pytest.mark.usefixtures("project")
def test_an_expression_is_typed_as_it_is() -> None:
    typed = "rows.answers.answer | length > 3 and not 'a, b' in row.answer"
    settings = settings_of(all_of("good"), f"stage.good.where={typed}", "++stage.good.columns.long=row.answer | length")
    assert settings.stage["good"].where == typed
    assert settings.stage["good"].expressions == {"where": typed, "columns.long": "row.answer | length"}


@pytest.mark.usefixtures("project")
def test_columns_and_exports_of_a_stage_are_typed_as_settings_too() -> None:
    settings = settings_of(
        all_of("good", "votes", "translate"),
        "stage.good.columns={z: row.answer, long: 'row.answer | length'}",
        "stage.votes.columns={n: rows.answers | length}",
        "stage.translate.export={question: rows.questions.question, answer: row.translation}",
    )
    assert settings.stage["good"].columns == {"z": "row.answer", "long": "row.answer | length"}
    assert (settings.stage["votes"].columns or {})["n"] == "rows.answers | length"
    assert "unknown setting 'stage.god'" in sentence("topic=sports", "stage.god.columns={z: row.answer}")


def test_another_programs_files_disturb_nothing() -> None:
    usual = settings_of()
    write("stage/prod", "replicas: 3\ndefaults: [/base, override /model: x]\n")
    write("stage/answers", "replicas: 3\n")
    write("stage/list", "- a\n")
    assert settings_of() == usual


def test_the_environment_may_be_named_in_a_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    write("stage/translate", TRANSLATE + "samples: ${oc.decode:${oc.env:SAMPLES}}\n")
    monkeypatch.setenv("SAMPLES", "4")
    assert settings_of(all_of("translate")).stage["translate"].samples == 4


@pytest.mark.parametrize(
    ("file", "text", "key"),
    [
        ("stage/translate", TRANSLATE + "system_prompt: 'Use ${oc.env:WORD}.'\n", "stage.translate.system_prompt"),
        ("stage/translate", TRANSLATE.replace("row.translation", "'${oc.env:WORD}'"), "stage.translate.export.answer"),
        ("stage/translate", TRANSLATE + "system_prompt: '${ oc.env : WORD }'\n", "stage.translate.system_prompt"),
        ("stage/translate", TRANSLATE + "system_prompt: '${oc.env:\"WORD\"}'\n", "stage.translate.system_prompt"),
        (
            "stage/translate",
            TRANSLATE.replace("type: string}", "type: string, enum: ['${oc.env:WORD}']}"),
            "stage.translate.schema.properties.translation.enum[0]",
        ),
        ("distill", "defaults: [base, _self_]\nsystem_prompt: ${oc.env:WORD}\n", "system_prompt"),
        (
            "distill",
            "defaults: [base, _self_]\nmodel: {extra_body: {user: '${oc.env:WORD}'}}\n",
            "model.extra_body.user",
        ),
        ("distill", "defaults: [base, _self_]\noutput_dir: ${oc.env:MY_TOKEN}\n", "output_dir"),
    ],
)
@pytest.mark.usefixtures("project")
def test_a_secret_of_the_environment_reaches_no_file(
    monkeypatch: pytest.MonkeyPatch, file: str, text: str, key: str
) -> None:
    monkeypatch.setenv("WORD", "sk-1")
    monkeypatch.setenv("MY_TOKEN", "sk-1")
    write(file, text)
    said = sentence("topic=sports", all_of("translate"))
    assert said.startswith(f"{key} is the environment variable ")
    assert "sk-1" not in said


SECRETS = [
    "MY_TOKEN", "HF_PAT", "PAT_OF_CI", "BASIC_AUTH", "AUTH_HEADER", "DB_PASS", "DB_PASS_2", "CREDENTIAL",
    "CREDENTIALS_JSON", "PRIVATE_KEY", "KEY_PRIVATE_PART", "API_KEY_2", "APIKEY", "SECRET_KEY_BASE", "TOKEN_V2",
    "my_secret",
]  # fmt: skip
NO_SECRETS = [
    "PATH", "PATTERN", "AUTHOR", "BYPASS", "COMPASS_NAME", "PASSES", "PRIVATELY", "KEYBOARD", "MAX_TOKENS",
    "TOKEN_LIMIT", "KEY_NAME", "PWD", "MONKEY",
]  # fmt: skip


@pytest.mark.parametrize("name", SECRETS)
def test_a_variable_that_is_called_a_secret_is_one(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "sk-1")
    write("distill", f"defaults: [base, _self_]\noutput_dir: ${{oc.env:{name}}}\n")
    said = sentence("topic=sports")
    assert said.startswith(f"output_dir is the environment variable {name}")
    assert "sk-1" not in said


@pytest.mark.parametrize("name", NO_SECRETS)
def test_a_variable_whose_name_holds_such_letters_is_none(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "sports")
    write("distill", f"defaults: [base, _self_]\noutput_dir: ${{oc.env:{name}}}\n")
    assert settings_of().output_dir == "sports"


def test_the_environment_says_where_things_are_and_who_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    write(
        "distill",
        "defaults: [base, _self_]\noutput_dir: ${oc.env:PLACE}\nmodel: {name: '${oc.env:PLACE}'}\n"
        "teacher: {api_key_env: '${oc.env:NAME_OF_KEY}'}\nsystem_prompt: 'Not \\${oc.env:PLACE}'\n",
    )
    monkeypatch.setenv("PLACE", "there")
    monkeypatch.setenv("NAME_OF_KEY", "MY_KEY")
    settings = settings_of()
    assert (settings.output_dir, settings.role("answers").name) == ("there", "there")
    assert settings.role("answers").api_key_env == "MY_KEY"
    assert settings.system_prompt == "Not ${oc.env:PLACE}"


# ---- Places of files ----


def test_a_name_of_ours_is_taken_where_no_project_file_stands_beside_it() -> None:
    text = "kind: map\nafter: questions\nrole: teacher\nprompt: answers\nbuiltin: answers\nsamples: 5\n"
    write("stage/answers", text)
    assert sentence("topic=sports").startswith(
        "conf/stage/answers.yaml: the name is taken, by a stage of ours: give yours another name"
    )
    write("distill", "defaults: [base, _self_]\n")
    assert settings_of().stage["answers"].samples == 5


@pytest.mark.parametrize("begin", ["[answers, _self_]", "[answers]"])
def test_a_file_in_the_place_of_ours_may_build_on_it(begin: str) -> None:
    write("stage/answers", f"defaults: {begin}\nrole: professor\nexport: {{reasoning: null}}\n")
    assert "the name is taken, by a stage of ours" in sentence("topic=sports")
    write("distill", "defaults: [base, _self_]\n")
    ours = settings_of("answers_per_question=3", "professor.temperature=0.5")
    stage = ours.stage["answers"]
    assert (stage.role, stage.samples, stage.after, stage.prompt) == ("professor", 3, "questions", "answers")
    assert ours.models["professor"].temperature == 0.5
    assert stage.export == {"question": "row.question", "answer": "row.answer", "reasoning": None}
    write("stage/again", "defaults: [answers, _self_]\nsamples: 2\n")
    assert settings_of(all_of("again")).stage["again"].role == "professor", "who builds on it builds on the project's"


def test_a_header_of_a_stage_puts_it_nowhere_else() -> None:
    write("stage/translate", "# @package _global_\n" + TRANSLATE)
    write("stage/other", "defaults: [translate, _self_]\n")
    settings = settings_of(all_of("translate", "other"))
    assert settings.stage["translate"] == settings.stage["other"]


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    "begin", ["/hydra/launcher: basic", "override /model: deepseek", "/base", "nosuch", "translate@x"]
)
def test_a_stage_begins_with_stages_alone(begin: str) -> None:
    write("stage/own", f"defaults: [{begin!r}, _self_]\n" if ":" not in begin else f"defaults:\n- {begin}\n- _self_\n")
    assert "conf/stage/own.yaml begins with" in sentence("topic=sports")


# ---- Sweeps ----


@pytest.mark.usefixtures("project")
def test_settings_of_a_stage_can_be_swept() -> None:
    jobs = all_settings(
        "-m", "topic=a", all_of("translate"), "stage.translate.samples=1,2", "translator.temperature=0,1"
    )
    assert [(job.stage["translate"].samples, job.models["translator"].temperature) for job in jobs] == [
        (1, 0), (1, 1), (2, 0), (2, 1),
    ]  # fmt: skip


@pytest.mark.usefixtures("project")
def test_stages_can_be_swept_and_each_job_has_the_models_of_its_own() -> None:
    jobs = all_settings(
        "-m", "topic=a", f"stages=[tags],{all_of('translate')[7:]}", "questions_per_tag=3,4", "student.top_p=0.5,1"
    )
    assert [list(job.models) for job in jobs[::4]] == [["tagger"], ["tagger", "student", "teacher", "translator"]]
    assert [job.stage["questions"].wanted for job in jobs[4:]] == [3, 3, 4, 4]
    assert [job.models["student"].top_p for job in jobs[4:]] == [0.5, 1, 0.5, 1]


@pytest.mark.usefixtures("project")
def test_models_of_a_role_of_ones_own_can_be_swept() -> None:
    jobs = all_settings("-m", "topic=a", all_of("translate"), "model@translator=same,deepseek")
    assert [job.models["translator"].name for job in jobs] == ["smollm2-135m-instruct", "deepseek-chat"]


# ---- Recipes ----

RECIPE = "stages: [tags, questions]\nstage: {questions: {per_request: 4}}\nquestions_per_tag: 3\n"


def test_a_recipe_counts_more_than_the_projects_file_and_less_than_what_is_typed() -> None:
    write("distill", "defaults: [base, {override model@teacher: deepseek}, _self_]\nquestions_per_tag: 5\nseed: 2\n")
    write("recipe/short", RECIPE)
    settings = settings_of("recipe=short")
    assert settings.stage["questions"].per_request == 4
    write("recipe/short", f"# @package _global_\n{RECIPE}")
    assert settings_of("recipe=short") == settings
    write("more/short", f"\ufeff# @package _global_\n{RECIPE}")  # as some editors save it
    assert settings_of("+more=short") == settings
    assert (settings.stages, settings.questions_per_tag, settings.seed) == (["tags", "questions"], 3, 2)
    assert settings_of("recipe=short", "questions_per_tag=4").questions_per_tag == 4
    assert settings_of().questions_per_tag == settings_of("recipe=basic").questions_per_tag == 5


def test_a_file_may_name_a_recipe_that_another_one_takes_the_place_of() -> None:
    write("recipe/short", RECIPE)
    write("distill", "defaults: [base, _self_, {recipe: short}]\n")
    assert (len(settings_of().stages), settings_of("recipe=basic").stages) == (2, OURS)
    write("distill", "defaults: [base, _self_, {override recipe: short}]\nquestions_per_tag: 5\n")
    assert settings_of().questions_per_tag == 3


def test_recipes_can_be_swept() -> None:
    write("recipe/short", RECIPE)
    jobs = all_settings("-m", "topic=a", "recipe=basic,short")
    assert [len(job.stages) for job in jobs] == [len(OURS), 2]
    write("distill", "defaults: [base, _self_]\nhydra: {mode: MULTIRUN, sweeper: {params: {recipe: 'basic,short'}}}\n")
    assert [len(job.stages) for job in all_settings("topic=a")] == [len(OURS), 2]


def test_a_recipe_beside_a_file_that_sets_stages_is_refused() -> None:
    write("recipe/short", RECIPE)
    write("distill", "defaults: [base, _self_]\nstages: [tags]\n")
    for words in (["recipe=short"], ["-m", "recipe=basic,short"], ["--cfg=job", "recipe=short"]):
        assert sentence("topic=sports", *words).endswith(
            "says which stages there are, and so does conf/distill.yaml: leave out the recipe, or take 'stages' out of "
            "that file"
        )
    assert settings_of("recipe=basic").stages == ["tags"], "it says nothing of them"
    write("mine", "defaults: [distill, _self_]\nseed: 3\n")
    assert "and so does conf/distill.yaml" in sentence("topic=sports", "recipe=short", "--config-name=mine")
    assert settings_of("--config-name=mine").stages == ["tags"]


def test_an_unknown_recipe_is_named_with_the_nearest() -> None:
    assert sentence("topic=sports", "recipe=basik") == (
        "unknown recipe 'basik': did you mean 'basic'? Known are basic, classify, dialogue, judged, preference, s1"
    )


# ---- Mistakes ----

NAMES = [
    ([all_of("translat")], "unknown stage 'translat': did you mean 'translate'? Known are"),
    (["stages=tags"], "stages=tags: expected a list of names, as in stages=["),
    (["stages=[1]"], "stages=[1]: expected a list of names"),
    (["stages=null"], "stages=null: expected a list of names"),
    (["stages=[]"], "stages=[]: a build has at least the stage that grows the tree"),
    ([all_of("good", "good")], "stages has good twice"),
    (
        ["stages=[questions]"],
        "stage.questions.after=tags: tags is not among stages=[questions]: put it there, before questions",
    ),
    (["stages=[tags,answers,questions]"], "stage.answers.after=questions: questions stands behind answers in stages"),
    ([all_of("good"), "stage.good.after=answer"], "stage.good.after=answer: did you mean 'answers'?"),
    ([all_of("good"), "stage.good.after=good"], "stage.good.after=good: stages go round in a circle (good after good)"),
    (
        [all_of("good", "votes"), "stage.good.after=votes", "stage.votes.after=good"],
        "stage.good.after=votes: stages go round in a circle (good after votes after good)",
    ),
    (
        [all_of("good", "votes"), "stage.votes.after=good"],
        "good is a transform, which has no rows of its own: say after: answers",
    ),
    ([all_of("good"), "stage.good.after=null"], "stage.good.after is not set, and a transform needs it"),
    (["stage.questions.role=[one,two]"], "a list is grown by one role"),
    (["stage.answers.ids=q"], "stage.questions.ids and stage.answers.ids are both q"),
    (["stage.answers.ids=a b"], "stage.answers.ids=a b: expected small letters"),
    (
        [all_of("good", "votes"), "stage.answers.ids=votes"],
        "conf/stage/votes.yaml: the name is taken (ids of",
    ),
    (
        ["stages=[tags,answers,questions]", "stage.questions.after=answers", "stage.answers.after=tags"],
        "stage.questions.after=answers: a list hangs on the tree: say after: tags",
    ),
    (["stage.questions.after=null"], "stages has tags and questions, and one stage alone comes after the topic"),
    (
        [all_of("votes"), "stage.votes.by=answers"],
        "stage.votes.by=answers: A group has a row for each row of a stage above",
    ),
    ([all_of("votes"), "stage.votes.by=question"], "stage.votes.by=question: did you mean 'questions'?"),
    ([all_of("votes"), "stage.votes.by=null"], "stage.votes.by is not set, and a group needs it"),
    (
        ["stage.transalte.samples=3"],
        "unknown setting 'stage.transalte.samples': did you mean 'stage.translate.samples'?",
    ),
    (
        ["stage.translate.sampels=3"],
        "unknown setting 'stage.translate.sampels': did you mean 'stage.translate.samples'?",
    ),
    (["++stage.translat.samples=3"], "unknown setting 'stage.translat': did you mean 'stage.translate'?"),
    (["translator.temprature=0"], "unknown setting 'translator.temprature': did you mean 'translator.temperature'?"),
    (["model@translater=same"], "unknown setting 'model@translater': did you mean 'model@translator'?"),
    (["model@nobody=same"], "unknown setting 'model@nobody': No stage has this role; there are "),
    (["stage=translate"], "stage holds the settings of each stage, as stage.<name>.<key>; stages=[…] chooses them"),
    (["translator=deepseek"], "translator=deepseek: a role's model is chosen with model@translator=deepseek"),
    ([all_of("translate"), "translator.temperature=hot"], "translator.temperature=hot: expected a number or null"),
    ([all_of("translate"), "translator.limits.rpm=0"], "translator.limits.rpm=0: expected a number from 1"),
    ([all_of("translate"), "model@translator=qwen", "budget.usd=1"], "needs prices: set translator.prices.prompt"),
    ([all_of("translate"), "++translator.extra_body.seed=1"], "translator.extra_body.seed cannot be set"),
]


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(("words", "said"), NAMES, ids=[" ".join(words) for words, _ in NAMES])
def test_a_mistake_in_what_is_typed_gets_a_sentence(words: list[str], said: str) -> None:
    assert said in sentence("topic=sports", *words)


def without(key: str, text: str = TRANSLATE) -> str:
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith(f"{key}:"))


def with_schema(schema: str) -> str:
    return without("schema") + f"schema: {schema}\n"


FILES = [
    (without("role"), "stage.own.role is not set, and a map needs it: who is asked, as in role: translator"),
    (without("after"), "stage.own.after is not set, and a map needs it"),
    (without("kind"), "stage.own.kind is not set: a stage is one of list, map, transform, group"),
    ("", "stage.own.kind is not set"),
    (TRANSLATE.replace("kind: map", "kind: mpa"), "stage.own.kind=mpa: did you mean 'map'? It is one of"),
    (TRANSLATE.replace("kind: map", "kind: list"), "stage.own.kind=list: lists grow by stages of ours alone"),
    (TRANSLATE + "where: row.answer\n", "stage.own.where: a map takes no where, which belongs to a transform"),
    (TRANSLATE + "by: tags\n", "stage.own.by: a map takes no by, which belongs to a group"),
    (TRANSLATE + "per_request: 3\n", "stage.own.per_request: a map takes no per_request, which belongs to a list"),
    (TRANSLATE + "ids: t\n", "stage.own.ids cannot be set"),
    (GOOD + "role: judge\n", "stage.own.role: a transform takes no role (it asks no model)"),
    (GOOD + "prompt: x\n", "stage.own.prompt: a transform takes no prompt (it asks no model)"),
    (GOOD + "samples: 2\n", "stage.own.samples: a transform takes no samples, which belongs to a map"),
    (without("where", GOOD), "stage.own.where is not set, and a transform needs it"),
    (without("where", GOOD) + "where: ' '\n", "stage.own.where is empty: expected an expression"),
    (VOTES + "where: x\n", "stage.own.where: a group takes no where"),
    (without("columns", VOTES), "stage.own.columns is not set, and a group needs it"),
    (VOTES.replace("answers: rows", "path: rows"), "stage.own.columns.path: rows have a column path of ours"),
    (GOOD + "columns: {why: row.id}\n", "stage.own.columns.why: rows have a column why of ours"),
    (GOOD + "columns: {_x: row.id}\n", "stage.own.columns._x: a column's name has letters"),
    (GOOD + "columns: {x: 3}\n", 'stage.own.columns={"x":3}: expected keys and texts as in {key: text}'),
    (with_schema("{type: object}"), "stage.own.schema: it names no fields, as in {type: object"),
    (with_schema("{type: array}"), "stage.own.schema: a reply has fields, so its schema is one of an object"),
    (
        with_schema("{type: objekt, properties: {a: {}}}"),
        "stage.own.schema: a reply has fields, so its schema is one of",
    ),
    (
        with_schema("{type: object, properties: {a: {type: nmber}}}"),
        "stage.own.schema: it is no JSON schema: properties.a.type: 'nmber' is not valid",
    ),
    (
        with_schema("{type: object, properties: {model: {}}}"),
        "stage.own.schema.properties.model: rows have a column model of ours",
    ),
    (with_schema("{type: object, properties: {a-b: {}}}"), "stage.own.schema.properties.a-b: a column's name has"),
    (
        with_schema("{type: object, properties: {a: {$ref: 'file:///etc/passwd'}}}"),
        "stage.own.schema: $ref: file:///etc/passwd leads nowhere: a reference begins with #/ and stays inside",
    ),
    (without("export") + "export: {question: row.x}\n", "stage.own.export.answer is not set: a training row needs one"),
    (without("export") + "export: {anwser: row.x}\n", "stage.own.export.anwser: a training row is made of question"),
    (without("role") + "role: topic\n", "stage.own.role=topic: the name is taken, by a setting"),
    (without("role") + "role: model\n", "stage.own.role=model: the name is taken, by a setting"),
    (without("role") + "role: My Judge\n", "stage.own.role=My Judge: a role's name has small letters"),
    (without("role") + "role: [a, a]\n", "stage.own.role has a twice"),
    (without("role") + "role: {a: 1}\n", 'stage.own.role={"a":1}: a role'),
    (
        TRANSLATE.replace("prompt: translate", "prompt: ../../secret"),
        "stage.own.prompt=../../secret: expected a prompt's name",
    ),
    (TRANSLATE + "sampels: 2\n", "unknown setting 'stage.own.sampels': did you mean 'stage.own.samples'?"),
    (TRANSLATE + "_target_: os.system\n", "unknown setting 'stage.own._target_'"),
    (TRANSLATE + "samples: 0\n", "stage.own.samples=0: expected a whole number from 1"),
    (TRANSLATE + "samples: many\n", "stage.own.samples=many: expected a whole number from 1"),
    (TRANSLATE + "samples: ${nope}\n", "stage.own.samples is ${nope}, and there is no setting of that name"),
    ("- a\n", "conf/stage/own.yaml is no stage: a stage has settings with names"),
    ("kind: : map\n", 'conf/stage/own.yaml", line 1'),
    ("5\n", "conf/stage/own.yaml is one int"),
    ("defaults: [own]\n", "begins with itself"),
]


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(("text", "said"), FILES, ids=[said for _, said in FILES])
def test_a_mistake_in_a_stages_file_gets_a_sentence(text: str, said: str) -> None:
    write("stage/own", text)
    assert said in sentence("topic=sports", all_of("own"))


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    "text",
    [
        with_schema("{type: object, properties: {level: {}, number: {}, label: {}}}"),
        VOTES.replace("{answers:", "{level: row.id, number: row.id, label: row.id, answers:"),
        GOOD + "columns: {model: row.id, level: row.id, question: row.id, index: row.id}\n",
    ],
)
def test_names_that_only_rows_of_other_kinds_have_are_free(text: str) -> None:
    write("stage/own", text)
    settings_of(all_of("own"))


TAKEN = [
    "dataset", "failures", "runs", "checks", "renamed_tags", "causes", "tree", "counts", "graph", "export", "t", "q",
    "a", "topic", "depth", "stages", "models", "model", "limits", "hydra", "recipe", "local",
    "above", "kind", "kinds", "versions", "notes",
]  # fmt: skip


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("name", TAKEN)
def test_a_name_that_something_else_has_makes_no_stage(name: str) -> None:
    write(f"stage/{name}", TRANSLATE)
    assert sentence("topic=sports", all_of(name)).startswith(f"conf/stage/{name}.yaml: the name is taken (")


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("name", ["Translate", "2nd", "_x"])
def test_a_name_of_other_letters_makes_no_stage(name: str) -> None:
    write(f"stage/{name}", TRANSLATE)
    assert sentence("topic=sports", all_of(name)).startswith(
        f"conf/stage/{name}.yaml: a stage's name has small letters"
    )


@pytest.mark.usefixtures("project")
def test_a_stage_of_a_projects_file_needs_a_file_of_its_own() -> None:
    write("distill", "defaults: [base, _self_]\nstage: {translat: {samples: 2}}\n")
    assert "unknown setting 'stage.translat': did you mean 'stage.translate'?" in sentence("topic=sports")


# ---- --until ----


@pytest.mark.usefixtures("project")
def test_until_is_a_stage_in_force_or_the_end() -> None:
    settings = settings_of(all_of("translate"))
    for until in (*settings.stages, "dataset"):
        check_until(until, settings)
    with pytest.raises(DistillError, match=r"^--until=translte: did you mean 'translate'\? The stages are tags, "):
        check_until("translte", settings)
    with pytest.raises(
        DistillError, match=r"^--until=good: The stages are tags, questions, dedup, answers, translate, and"
    ):
        check_until("good", settings)


@pytest.mark.usefixtures("project")
def test_a_map_of_ones_own_needs_no_schema_and_has_a_prompt_of_its_name() -> None:
    write("stage/own", without("prompt", without("schema")))
    own = settings_of(all_of("own")).stage["own"]
    assert (own.schema, template_of(own, "own")) == (None, "own")


def test_a_stage_without_settings_has_the_defaults() -> None:
    stage = StageSettings(kind="transform")
    assert (stage.samples, stage.roles, stage.expressions) == (1, (), {})


# ---- References ----


TEXT_OF_A_STAGE = {
    "where": "kind: transform\nafter: answers\nwhere: \"row.answer == '${'\"\n",
    "columns.half": "kind: transform\nafter: answers\nwhere: row.answer\ncolumns: {half: \"'${topic'\"}\n",
    "system_prompt": TRANSLATE + "system_prompt: Be ${ brief\n",
    "schema.properties.translation.description": TRANSLATE.replace("{type: string}", "{description: 'a ${ b'}"),
}


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("key", TEXT_OF_A_STAGE)
def test_half_a_reference_is_told_with_file_key_and_how_the_text_is_written(key: str) -> None:
    write("stage/odd", TEXT_OF_A_STAGE[key])
    told = sentence("topic=sports", all_of("odd"))
    assert told.startswith(f"conf/stage/odd.yaml: {key} has a ${{ that does not read as a reference")
    assert told.endswith("write \\${, and \\\\${ within YAML's double quotes")


def test_half_a_reference_in_the_projects_own_file_is_told_too() -> None:
    write("distill", "defaults: [base, _self_]\nteacher: {extra_body: {note: 'a ${'}}\n")
    assert sentence("topic=sports").startswith("conf/distill.yaml: teacher.extra_body.note has a ${")


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("reference", ["${nothing}", "${nothing:1}"])
def test_a_reference_to_nothing_says_how_the_text_is_written(reference: str) -> None:
    write("stage/odd", f"kind: transform\nafter: answers\nwhere: \"row.answer == '{reference}'\"\n")
    told = sentence("topic=sports", all_of("odd"))
    assert told.startswith("stage.odd.where ")
    assert told.endswith("where the text itself is meant, write \\${")


@pytest.mark.usefixtures("project")
def test_what_stands_for_itself_is_written_with_a_backslash_and_a_setting_by_its_name() -> None:
    write("stage/odd", "kind: transform\nafter: answers\nwhere: row.answer == '\\${' + '${topic}'\n")
    assert settings_of(all_of("odd")).stage["odd"].where == "row.answer == '${' + 'sports'"


# ---- Ways out ----


@pytest.mark.parametrize("typed", ["samples=2", "role=judge", "by=tags", "prompt=x", "schema={type: object}"])
@pytest.mark.usefixtures("project")
def test_the_way_out_of_a_key_of_another_kind_can_be_typed(typed: str) -> None:
    write("stage/good", GOOD)
    stages = "stages=[tags,questions,answers,good]"
    way = sentence("topic=sports", stages, f"stage.good.{typed}").rpartition("set it to ")[2]
    usual = f"stage.good.{typed.partition('=')[0]}={way}"
    assert settings_of(stages, usual) == settings_of(stages)


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("~stage.good", "a stage that is not wanted is left out of stages=[…]"),
        ("~stage/good", "a stage that is not wanted is left out of stages=[…]"),
        ("~stage", "a stage that is not wanted is left out of stages=[…]"),
        ("~model@teacher", "model@teacher=same lets it follow model"),
    ],
)
@pytest.mark.usefixtures("project")
def test_a_stage_or_a_model_that_is_taken_away_is_told_with_the_way_out(word: str, told: str) -> None:
    write("stage/good", GOOD)
    assert sentence("topic=sports", word).endswith(told)
    assert settings_of("stages=[tags,questions,answers]", "model@teacher=same").stages[-1] == "answers"
