"""What `pip install distill-build` brings: built, installed into an environment of its own, run in an empty folder."""

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path, PurePosixPath

import pytest
import yaml

from tests.e2e.workspace import Finished, Workspace
from tests.server import ScriptedServer

CHECKOUT = Path(__file__).parents[2]
SMALL = ("topic=sports", "depth=1", "breadth=2", "questions_per_tag=1")
WHERE = """
import distill_build
from distill_build.config import composition as config
from distill_build.prompting import files
print(distill_build.__file__, config.packed_conf(), files.packed_folder(), sep="\\n")
"""
FOREIGN = {
    "conf/config.yaml": "defaults: [base, model: local]\noptimizer: adam\n",
    "conf/distill/base.yaml": "teacher: resnet\n",
    "conf/base.yaml": "trainer: {epochs: 3}\n",
    "conf/model/local.yaml": "layers: 12\n",
    "conf/model/openai_compatible.yaml": "_target_: theirs.Model\n",
    "conf/model/same.yaml": "layers: 13\n",
    "conf/model/theirs.yaml": "layers: 14\n",
}
"""Files of another program that also uses Hydra, under names that are ours too."""


def finished(*command: str | Path, cwd: Path) -> str:
    """What a command that must succeed says."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PIP_"))}
    run = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, made without network."""
    folder = tmp_path_factory.mktemp("dist")
    finished(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, CHECKOUT, cwd=folder)
    (made,) = folder.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin/ of an environment with the wheel and our own environment's libraries.

    The path to those is added last, and after pip has run: pip would take the checkout's own installation among
    them for this one. That installation is a .pth file, which counts only where it lies itself.
    """
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check")
    finished(*pip, "install", "-q", "--no-deps", "--no-index", wheel, cwd=folder)
    site = Path(finished(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip())
    libraries = dict.fromkeys(sysconfig.get_path(name) for name in ("purelib", "platlib"))
    (site / "libraries.pth").write_text("\n".join(libraries) + "\n")
    return folder / "bin"


class Installed(Workspace):
    """A workspace in which the installed command is run."""

    def __init__(self, root: Path, server: ScriptedServer, installed: Path) -> None:
        super().__init__(root, server)
        self.command = installed / "distill-build"

    def start(self, *words: str, environment: dict[str, str] | None = None) -> "subprocess.Popen[str]":
        """Starts the installed command, with nothing in its environment that could lead to the checkout."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        return subprocess.Popen(
            [self.command, *words],
            cwd=self.root,
            env=kept | (environment or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


@pytest.fixture
def far_away(tmp_path: Path, server: ScriptedServer, installed: Path) -> Installed:
    """An empty folder in which the wheel's command is run, with `server` as its model."""
    return Installed(tmp_path, server, installed)


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def succeeded(run: Finished) -> Finished:
    assert run.status == 0, run.stdout + run.stderr
    return run


def test_the_wheel_holds_the_package_its_configuration_and_prompts_and_nothing_else(wheel: Path) -> None:
    names = [PurePosixPath(name) for name in zipfile.ZipFile(wheel).namelist()]
    packed = {str(name.relative_to("distill_build")) for name in names if name.parts[0] == "distill_build"}
    for folder in ("conf", "prompts"):
        ours = {str(path.relative_to(CHECKOUT)) for path in (CHECKOUT / folder).rglob("*.*") if path.is_file()}
        assert ours == {name for name in packed if name.startswith(f"{folder}/")}
    modules = {str(path.relative_to(CHECKOUT / "distill_build")) for path in (CHECKOUT / "distill_build").rglob("*.py")}
    assert modules == {name for name in packed if name.endswith(".py")}
    assert "py.typed" in packed
    starter = {path.name for path in (CHECKOUT / "distill_build" / "starter").iterdir()}
    assert starter == {name.removeprefix("starter/") for name in packed if name.startswith("starter/")}
    packed.remove("export/train_trl.txt")
    others = {name.rpartition(".")[2] for name in packed if not name.startswith(("starter/", "report/assets/"))}
    assert others <= {"py", "yaml", "jinja", "typed"}
    plugins = {str(name) for name in names if name.parts[0] == "hydra_plugins"}
    assert plugins == {"hydra_plugins/distill_build_union.py"}, "a package that other plugins share has no __init__"
    others = {name.parts[0] for name in names} - {"distill_build", "hydra_plugins"}
    assert len(others) == 1, f"more than the package: {others}"
    (metadata,) = others
    assert metadata.endswith(".dist-info")
    assert any(name.name == "LICENSE" and name.parts[0] == metadata for name in names)


def test_it_is_the_wheel_that_runs_and_not_the_checkout(installed: Path, tmp_path: Path) -> None:
    places = finished(installed / "python", "-c", WHERE, cwd=tmp_path).splitlines()
    site = installed.parent.resolve()
    assert len(places) == 3
    for place in places:
        assert Path(place).resolve().is_relative_to(site), place
        assert not Path(place).resolve().is_relative_to(CHECKOUT)
    paths = finished(installed / "python", "-c", "import sys; print(*sys.path, sep='\\n')", cwd=tmp_path).splitlines()
    assert CHECKOUT not in [Path(path).resolve() for path in paths if path]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_in_an_empty_folder_it_builds_with_the_packed_configuration_and_prompts(
    far_away: Installed, server: ScriptedServer, language: str
) -> None:
    succeeded(far_away.run(*SMALL, f"language={language}"))
    assert len(far_away.rows("answers")) == 2
    packed = (CHECKOUT / "prompts" / language / "tags.jinja").read_text()
    assert server.requests[0].body["messages"][0]["content"].splitlines()[0] in packed


def test_a_sweep_and_hydras_own_flags_find_the_packed_configuration(far_away: Installed) -> None:
    succeeded(far_away.run("-m", "topic=tea,milk", *SMALL[1:]))
    (sweep,) = (far_away.root / "outputs/sweeps").iterdir()
    assert {len((sweep / f"topic={topic}/answers.jsonl").read_text().splitlines()) for topic in ("tea", "milk")} == {2}
    assert "questions_per_tag: 1" in succeeded(far_away.run(*SMALL, "--cfg=job")).stdout


def test_a_project_that_it_starts_builds(far_away: Installed, server: ScriptedServer) -> None:
    succeeded(far_away.raw("init", "mine"))
    mine = Installed(far_away.root / "mine", server, far_away.command.parent)
    succeeded(mine.run("depth=1", "questions_per_tag=1"))
    assert len(mine.rows("answers")) == 3


def test_what_a_new_project_has_ci_install_is_this_program(far_away: Installed, tmp_path: Path) -> None:
    said = succeeded(far_away.raw("init", "mine")).stdout
    (made,) = [line for line in said.splitlines() if line.startswith("  pip wheel ")]
    workflow = yaml.safe_load((tmp_path / "mine/.github/workflows/dataset.yaml").read_text())
    steps = [step.get("run", "") for step in workflow["jobs"]["frozen"]["steps"]]
    (install,) = [command for command in steps if command.startswith("pip install ")]
    venv.create(tmp_path / "ci", with_pip=False, symlinks=True)
    pip = f"{sys.executable} -m pip --disable-pip-version-check"
    ci = f"{pip} --python {tmp_path / 'ci/bin/python'} install --no-deps --no-index"
    finished("bash", "-c", made.replace("pip wheel", f"{pip} wheel"), cwd=tmp_path / "mine")
    finished("bash", "-c", install.replace("pip install", ci), cwd=tmp_path / "mine")
    assert (tmp_path / "ci/bin/distill-build").is_file()


def test_help_and_version_come_from_the_installation(far_away: Installed) -> None:
    assert "Usage: distill-build" in succeeded(far_away.raw("--help")).stdout
    version = succeeded(far_away.raw("--version")).stdout
    assert version.startswith("distill-build ")


def test_a_conf_folder_of_another_program_changes_nothing(
    far_away: Installed, server: ScriptedServer, tmp_path: Path
) -> None:
    succeeded(far_away.run(*SMALL))
    wanted, sent = far_away.bytes(), [request.body for request in server.requests]
    server.reset()
    (tmp_path / "theirs/.git").mkdir(parents=True)  # a project of its own
    theirs = Installed(tmp_path / "theirs", server, far_away.command.parent)
    write(theirs.root, FOREIGN)
    succeeded(theirs.run(*SMALL, "limits.concurrency=1"))
    assert theirs.bytes() == wanted
    assert sorted(map(repr, sent)) == sorted(repr(request.body) for request in server.requests)
    assert {name: (theirs.root / name).read_text() for name in FOREIGN} == FOREIGN


def test_a_projects_own_configuration_and_prompt_are_honoured(far_away: Installed, server: ScriptedServer) -> None:
    own = "{% call message('user') %}In one sentence: {{ question }}{% endcall %}"
    conf = "defaults: [base, _self_]\ndepth: 1\nbreadth: 2\nquestions_per_tag: 1\nteacher: {temperature: 0.25}\n"
    write(far_away.root, {"conf/distill.yaml": conf, "prompts/en/answers.jinja": own})
    succeeded(far_away.run("topic=sports", "questions_per_tag=2"))
    assert (len(far_away.rows("tags")), len(far_away.rows("answers"))) == (2, 4)
    answers = [request.body for request in server.requests if request.kind == "answers"]
    assert {body["temperature"] for body in answers} == {0.25}
    assert all(body["messages"][0]["content"].startswith("In one sentence: How does ") for body in answers)
    others = [request.body["messages"][0]["content"] for request in server.requests if request.kind == "tags"]
    assert others
    assert others[0].startswith("You divide a subject"), "the packed prompts stand in for those that a project lacks"


def test_it_has_what_a_page_is_made_of(wheel: Path) -> None:
    assets = (CHECKOUT / "distill_build/report/assets").rglob("*")
    names = {str(path.relative_to(CHECKOUT)) for path in assets if path.is_file()}
    assert len(names) > 10
    assert names <= set(zipfile.ZipFile(wheel).namelist())
