"""What a build writes trains the packed model, on real weights: few steps, real loss."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.workspace import Finished, Workspace
from tests.server import Body, Fault, ScriptedServer, classify, content, digest

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
SMALL = ("topic=sports", "depth=1", "breadth=2", "questions_per_tag=5", "split.validation=0.3", "split.by=question")
STAGES = "stages=[tags,questions,dedup,answers,split]"
LOSS = re.compile(r"^(before|after): loss (\d+\.\d+)", re.MULTILINE)
PATIENCE_SECONDS = 600
MOST_BUILDS = 4


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


MEASURED = re.compile(r"^(before|after)\b.*: KL (\d+\.\d+), cross entropy (\d+\.\d+)", re.MULTILINE)
SOFT = (
    *("topic=sports", "depth=1", "breadth=1", "questions_per_tag=2", "per_request={tags: 1, questions: 2}"),
    *("system_prompt=Answer in one short sentence.", "formats=[kd]", "kd.tokenizer=student"),
    *("teacher.max_tokens=96", "teacher.temperature=0.2", "teacher.examples=false", "teacher.logprobs=20"),
)


def built_rows(workspace: Workspace) -> Path:
    """The folder of a dataset with rows: of a small model not every answer can be used, and is asked for again."""
    for _ in range(MOST_BUILDS):
        done = workspace.raw(*SOFT)
        assert done.status in (0, 1), done.stderr
        if workspace.rows("answers"):
            return workspace.folder() / "dataset"
    return pytest.fail(done.stderr)


def test_soft_labels_of_the_packed_model_are_what_it_predicts_itself(tmp_path: Path, student: Path) -> None:
    """Teacher and student are the same weights, in other precision: nearly no divergence, if each label stands where it
    is predicted."""
    workspace = Workspace(tmp_path)
    (tmp_path / "student").symlink_to(student)
    dataset = built_rows(workspace)
    shutil.copy(dataset / "train.kd.parquet", dataset / "test.kd.parquet")  # what is measured is where labels stand
    words = (str(student), str(dataset), "--steps", "1", "--output", "soft")
    trained = run(str(EXAMPLES / "train_soft.py"), *words, folder=tmp_path)
    assert trained.status == 0, trained.stderr
    measured = {name: float(divergence) for name, divergence, _ in MEASURED.findall(trained.stdout)}
    assert measured.keys() == {"before", "after"}
    assert measured["before"] < 0.05
    assert (tmp_path / "soft/model.safetensors").is_file()


def labelling(_: int, body: Body) -> Fault | None:
    """A label by chance for each sample."""
    if classify(body) != "answers":
        return None
    return content(("positive", "negative")[digest(body)[0] % 2])


def test_a_classifier_is_trained_on_shares(workspace: Workspace, server: ScriptedServer, student: Path) -> None:
    server.plan = labelling
    words = ("topic=reviews", "name=sports", "depth=1", "breadth=2", "questions_per_tag=4", "recipe=classify")
    done = workspace.run(*words, "answer.labels=[positive,negative]")
    assert done.status == 0, done.stderr
    options = ("--steps", "2", "--output", "classifier")
    trained = run(
        str(EXAMPLES / "train_classifier.py"),
        *(str(student), str(workspace.folder() / "dataset"), *options),
        folder=workspace.root,
    )
    assert trained.status == 0, trained.stderr
    assert '"positive"' in (workspace.root / "classifier/config.json").read_text()
