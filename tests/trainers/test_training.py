"""What a build writes trains the packed model, on real weights: few steps, real loss."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.workspace import Finished, Workspace

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
SMALL = ("topic=sports", "depth=1", "breadth=2", "questions_per_tag=5", "split.validation=0.3", "split.by=question")
STAGES = "stages=[tags,questions,dedup,answers,split]"
LOSS = re.compile(r"^(before|after): loss (\d+\.\d+)", re.MULTILINE)
PATIENCE_SECONDS = 600


def run(*words: str, folder: Path) -> Finished:
    """Runs a script as a user does, offline."""
    done = subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env={"HF_HUB_OFFLINE": "1", "HF_HOME": str(folder / "hf"), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    return Finished(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="session")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packed model's weights, as docs/training.md has them made."""
    folder = tmp_path_factory.mktemp("weights")
    done = run(str(EXAMPLES / "packed_student.py"), "student", folder=folder)
    assert done.status == 0, done.stderr
    return folder / "student"


def test_the_script_of_a_build_trains_and_the_loss_on_held_out_answers_falls(
    workspace: Workspace, student: Path
) -> None:
    done = workspace.run(*SMALL, STAGES, "formats=[messages,prompt_completion]", "trainers=[trl]")
    assert done.status == 0, done.stderr
    script = workspace.folder() / "dataset/train_trl.py"
    words = ("--max-steps", "3", "--accumulate", "2", "--learning-rate", "1e-4", "--output", "trained")
    trained = run(str(script), str(student), *words, folder=workspace.root)
    assert trained.status == 0, trained.stderr
    loss = {name: float(value) for name, value in LOSS.findall(trained.stdout)}
    assert loss["after"] < loss["before"]
    assert (workspace.root / "trained/model.safetensors").is_file()
