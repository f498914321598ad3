"""What people mistype of stages and roles: each gets one sentence, nothing is sent, and the way out in it works."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.own_project import LINE, reply, write_project
from tests.e2e.test_only_what_is_affected import InProcess
from tests.e2e.workspace import Workspace
from tests.server import Body, Fault, ScriptedServer, classify, content, error


@pytest.fixture(scope="module")
def endpoint() -> Iterator[ScriptedServer]:
    with ScriptedServer(plan=reply) as running:
        yield running


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, endpoint: ScriptedServer) -> Path:
    root = tmp_path_factory.mktemp("built")
    write_project(root)
    assert InProcess(root, endpoint).run(*LINE).status == 0
    return root


@pytest.fixture
def project(built: Path, tmp_path: Path, endpoint: ScriptedServer) -> InProcess:
    """A copy of a project that was built, and a server that has counted nothing yet."""
    shutil.copytree(built, tmp_path, dirs_exist_ok=True)
    endpoint.reset()
    return InProcess(tmp_path, endpoint)


def refused(project: InProcess, *words: str) -> str:
    """The one sentence with which a command is refused; nothing is sent for it, and no file is touched."""
    assert project.server is not None
    before = project.bytes()
    done = project.run(*words)
    assert (done.status, project.server.count) == (2, 0), done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert project.bytes() == before
    return done.stderr


# --rebuild

REBUILDS = [
    (["--rebuild=nope:*"], "there is no stage nope in force"),
    (["--rebuild=scoers:*"], "did you mean 'scores'?"),
    (["--rebuild=good:*"], "good asks no model, and each build works it out anew"),
    (["--rebuild=best:sports/*"], "best asks no model"),
    (["--rebuild=dedup:*"], "dedup asks no model"),
    (["--rebuild=scores:*", "--until=answers"], "--until=answers does not reach scores"),
    (["--rebuild=scores:"], "names no path: scores:'*' is all of them"),
    (["--rebuild="], "--rebuild needs a value: --rebuild GLOB"),
    (["--rebuild=scores:*", "--rebuild=nope:*"], "there is no stage nope"),
]


@pytest.mark.parametrize(("words", "said"), REBUILDS, ids=[" ".join(words) for words, _ in REBUILDS])
def test_a_stage_that_cannot_be_asked_again_is_refused(project: InProcess, words: list[str], said: str) -> None:
    for command in ([], ["plan"]):
        assert said in refused(project, *command, *LINE, *words)


def test_the_stages_that_can_be_asked_again_are_named(project: InProcess) -> None:
    told = refused(project, *LINE, "--rebuild=good:*", "--until=scores")
    assert told.endswith("Those that can be asked again are tags, questions, answers, scores\n")


def test_a_glob_that_names_no_request_is_told_beside_one_that_does(project: InProcess) -> None:
    for glob in ("spurts/*", "Nope:*", "questions:sports", "tags:sports/?*"):
        done = project.run(*LINE, "--rebuild=scores:*", f"--rebuild={glob}")
        assert done.status == 0
        assert f"--rebuild {glob} matches no path" in done.stderr
        assert done.stderr.count("paths look like 'sports/*'\n") == 1
    told = project.run(*LINE, "--rebuild=scores:*", "--rebuild=scores").stderr
    assert "paths look like 'sports/*', and all of a stage is 'scores:*'\n" in told


def test_a_plan_that_does_not_know_all_paths_warns_of_a_glob_that_names_none_so_far(project: InProcess) -> None:
    anew = ("plan", *LINE, "seed=7", "--rebuild=sports", "--rebuild=spurts/*", "--json")
    plan = project.run(*anew)
    assert (plan.status, plan.document["exact"]) == (0, False)
    assert "--rebuild spurts/* matches no path that is known so far" in plan.stderr
    assert "known so far" not in project.run(*(word for word in anew if "spurts" not in word)).stderr


@pytest.mark.parametrize(
    "word", ["rust: the language/*", "questions:rust: the language/*", "rust? the language/*", "*: the language/*"]
)
def test_a_path_may_have_a_colon(workspace: Workspace, server: ScriptedServer, word: str) -> None:
    small = ("topic=rust: the language", "depth=1", "breadth=1", "questions_per_tag=1")
    assert workspace.run(*small).status == 0
    server.reset()
    done = workspace.run(*small, f"--rebuild={word}")
    assert (done.status, "matches no path" in done.stderr) == (0, False), done.stderr
    assert server.kinds["questions"] == 1


# Roles

DOWN = "http://127.0.0.1:1/v1"


@pytest.mark.parametrize(
    ("words", "setting"),
    [
        ([f"judge.base_url={DOWN}"], "judge.base_url"),
        ([f"judge.base_url={DOWN}", f"translator.base_url={DOWN}"], "judge.base_url"),
        (["model@judge=openai_compatible", f"judge.base_url={DOWN}", "judge.name=other"], "judge.base_url"),
        ([f"model.base_url={DOWN}", "teacher.temperature=0"], "model.base_url"),
    ],
)
def test_an_endpoint_that_is_down_is_told_with_the_setting_that_names_it(
    project: InProcess, words: list[str], setting: str
) -> None:
    assert project.server is not None
    typed = [*project.settings(), "limits.retries=0", *words]
    done = project.raw(*LINE, "seed=1", *typed)
    assert done.status == 2
    assert f"cannot reach {DOWN}: connection refused; is the server running? The address is {setting}\n" in done.stderr
    assert project.raw(*LINE, "seed=1", *typed, f"{setting}={project.server.base_url}", "--until=scores").status == 0


def test_a_refused_parameter_is_told_with_the_roles_own_setting(project: InProcess, endpoint: ScriptedServer) -> None:
    endpoint.plan = lambda *_: error(400, "temperature is not supported", param="temperature")
    done = project.run(*LINE, "judge.temperature=0.5")
    endpoint.plan = reply
    assert done.status == 2
    assert "it refuses temperature=0.5: set judge.temperature=null" in done.stderr


# Stages, recipes and nodes

MISTYPED = [
    (
        "stage.good=null",
        "stage.good=null: a stage has settings of its own, as stage.good.<key>; one that is not wanted",
    ),
    ("stage.answers=null", "stage.answers=null: a stage has settings of its own"),
    ("stage.nope.x=1", "unknown stage 'nope': Known are answers, "),
    ("+stage.new.kind=map", "your own is a file conf/stage/new.yaml"),
    ("stage.scores.x=1", "unknown setting 'stage.scores.x': a stage has kind, builtin,"),
    ("stage.score.sampels=1", "did you mean 'stage.scores.samples'?"),
    ("stage.good.columns.x=row.id", "a key of your own is added with +stage.good.columns.x=…"),
    ("stage.scores.builtin=nope", "builtin=nope makes no map: ours are answers, "),
    ("stage.good.builtin=answers", "builtin=answers makes no transform"),
    ("stage.dedup.where='row.kept'", "stage.dedup.where: dedup goes by a rule of its own: leave it out"),
    ("stages=[tags,dataset]", "unknown stage 'dataset': Known are answers,"),
    ("stages=[tags,failures]", "the name is taken (a file of a dataset, or a key of what --json prints, is called so)"),
    ("stages=[tags,my-stage]", "a stage's name has small letters, digits and _"),
    ("answer.labels=[a,{b: c}]", 'answer.labels=["a",{"b":"c"}]: expected a list as in [a,b] of text'),
    ("decontaminate.against=[a,{b: c}]", "decontaminate.against=["),
    ("stages={tags: 1}", "stages: a list, as in [a,b], and settings with names"),
    ("stage=null", "stage=null: one file of a group is chosen by its name"),
    ("recipe=null", "recipe=null: one file of a group is chosen by its name; leave it out"),
    ("model@judge=null", "model@judge=null: one file of a group"),
    ("+recipe=basic", "recipe is chosen already: say recipe=… once, and without a +"),
    ("judge=null", "judge=null: a role holds the settings of its model, as judge.temperature; leave it out"),
    ("judge=5", "judge=5: a role holds the settings of its model"),
    ("judge=[]", "judge: a list, as in [a,b], and settings with names"),
    ("judge.x=1", "unknown setting 'judge.x': judge has api_key_env,"),
]


@pytest.mark.parametrize(("word", "said"), MISTYPED, ids=[word for word, _ in MISTYPED])
def test_a_mistyped_stage_recipe_or_role_is_a_sentence(project: InProcess, word: str, said: str) -> None:
    assert said in refused(project, *LINE, word)


@pytest.mark.parametrize("typed", ["tags", "good", "null", "[1]", "[]"])
def test_the_example_for_stages_can_be_typed(project: InProcess, typed: str) -> None:
    told = refused(project, *LINE[:-1], f"stages={typed}")
    example = re.search(r"as in (stages=\[.*\])\n", told)
    assert example is not None, told
    assert project.run(*LINE[:-1], example[1]).status == 0


# What is exported of rows that nothing has decided on

SIFTED = (*LINE[:-1], "stages=[tags,questions,dedup,answers,scores,good]")


@pytest.fixture
def undecided(tmp_path: Path, endpoint: ScriptedServer) -> InProcess:
    """A folder in which two answers have no score, so that nobody knows whether they are good."""

    def some_fail(number: int, body: Body) -> Fault | None:
        failing = classify(body) == "scores" and "at level 4" in str(body)
        return content('{"score": "none"}') if failing else reply(number, body)

    write_project(tmp_path)
    endpoint.plan = some_fail
    project = InProcess(tmp_path, endpoint)
    done = project.run(*SIFTED, "limits.reasks=0")
    endpoint.plan = reply
    endpoint.reset()
    assert done.status == 1, done.stderr
    return project


def test_an_export_goes_by_the_lock_where_there_is_no_state(undecided: InProcess) -> None:
    before = undecided.bytes()
    assert len(before["dataset/train.messages.jsonl"].splitlines()) == 2, "of six answers two are bad, two undecided"
    shutil.rmtree(undecided.folder() / "runs")
    shutil.rmtree(undecided.folder() / "dataset")
    done = undecided.run("export", *SIFTED)
    assert (done.status, undecided.bytes()) == (0, before), done.stderr


def test_an_export_refuses_where_nothing_tells_what_is_decided(undecided: InProcess) -> None:
    shutil.rmtree(undecided.folder() / "runs")
    (undecided.folder() / "distill.lock").unlink()
    told = refused(undecided, "export", *SIFTED)
    assert "whether all of scores are there, which decide on the rows of answers.jsonl" in told
    told = refused(undecided, "export", *SIFTED[:-1])
    assert "good.jsonl and scores.jsonl in outputs/sports is of no stage of these settings" in told


def test_an_export_refuses_where_what_decides_was_not_built(project: InProcess) -> None:
    assert project.run(*SIFTED, "--until=answers").status == 0
    assert not (project.folder() / "dataset").exists(), "no folder without a file"
    told = refused(project, "export", *SIFTED)
    assert "scores.jsonl and good.jsonl of outputs/sports is not there, and tells what of answers" in told
    assert project.run(*SIFTED).status == 0
    assert project.run("export", *SIFTED).status == 0
