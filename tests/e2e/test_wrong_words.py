"""What people mistype of stages and roles: each gets one sentence, nothing is sent, and the way out in it works."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.own_project import LINE, reply, write_project
from tests.e2e.test_only_what_is_affected import InProcess
from tests.e2e.workspace import Workspace
from tests.server import ScriptedServer, error


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
    (["--rebuild="], "names no path: '*' is all of them"),
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
        assert "paths look like 'sports/*'" in done.stderr


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
