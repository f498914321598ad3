"""What a build writes trains the packed model, on real weights: few steps, real loss."""

import json
import math
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer, pipeline
from trl import DPOConfig, DPOTrainer

from tests.e2e.judged import judgement
from tests.e2e.workspace import Finished, Workspace
from tests.server import Body, Fault, ScriptedServer, classify, content, digest, items_asked, labels
from tests.teacher import listing, write_student

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
SMALL = ("topic=sports", "depth=1", "breadth=2", "questions_per_tag=5", "split.validation=0.3", "split.by=question")
STAGES = "stages=[tags,questions,dedup,answers,split]"
EVALUATED = re.compile(r"^(before|after): .*'eval_loss': (\d+\.\d+)", re.MULTILINE)
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
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the packed model's weights, as docs/training.md has them made: all of them as `student`, and four
    of its thirty layers as `small`, which knows little and learns fast."""
    folder = tmp_path_factory.mktemp("weights")
    for words in (("student",), ("small", "--layers", "4")):
        done = run(str(EXAMPLES / "packed_student.py"), *words, folder=folder)
        assert done.status == 0, done.stderr
    return folder


@pytest.fixture(scope="session")
def student(weights: Path) -> Path:
    return weights / "student"


@pytest.fixture(scope="session")
def small(weights: Path) -> Path:
    return weights / "small"


def test_the_script_of_a_build_trains_and_the_loss_on_held_out_answers_falls(workspace: Workspace, small: Path) -> None:
    done = workspace.run(*SMALL, STAGES, "formats=[messages,prompt_completion]", "trainers=[trl]")
    assert done.status == 0, done.stderr
    script = workspace.folder() / "dataset/train_trl.py"
    words = ("--max-steps", "3", "--accumulate", "2", "--learning-rate", "1e-4", "--output", "trained")
    trained = run(str(script), str(small), *words, folder=workspace.root)
    assert trained.status == 0, trained.stderr
    loss = {name: float(value) for name, value in LOSS.findall(trained.stdout)}
    assert loss["after"] < loss["before"] - 1
    assert (workspace.root / "trained/model.safetensors").is_file()


GOOD, BAD = "It works well.", "It fails badly."


def judged(_: int, body: Body) -> Fault | None:
    """A teacher who says one of two things, and a judge who prefers the first."""
    match classify(body):
        case "answers":
            return content((GOOD, BAD)[digest(body)[0] % 2])
        case "scores":
            return judgement(5 if any(GOOD in each["content"] for each in body["messages"]) else 1)
    return None


def test_preference_pairs_train_towards_the_answers_that_a_judge_preferred(
    workspace: Workspace, server: ScriptedServer, small: Path
) -> None:
    server.plan = judged
    line = ("topic=sports", "depth=1", "breadth=2", "questions_per_tag=5", "answers_per_question=4")
    done = workspace.run(*line, "stages=[tags,questions,dedup,answers,scores]", "formats=[preference]")
    assert done.status == 0, done.stderr
    rows = map(json.loads, (workspace.folder() / "dataset/train.preference.jsonl").read_text().splitlines())
    pairs = Dataset.from_list([{key: row[key] for key in ("prompt", "chosen", "rejected")} for row in rows])
    model = AutoModelForCausalLM.from_pretrained(small)
    tokenizer = AutoTokenizer.from_pretrained(small)
    before = preferred(model, tokenizer)
    trainer = DPOTrainer(
        model=model,
        args=DPOConfig(
            output_dir=str(workspace.root / "trained"),
            max_steps=4,
            per_device_train_batch_size=2,
            learning_rate=1e-4,
            logging_steps=1,
            save_strategy="no",
            use_cpu=True,
            report_to="none",
        ),
        train_dataset=pairs,
        processing_class=tokenizer,
    )
    trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert losses[0] == pytest.approx(math.log(2), abs=0.01)  # it begins as the model that it is compared with
    assert losses[-1] < 0.5
    assert preferred(model, tokenizer) > before + 1


def preferred(model: Any, tokenizer: Any) -> float:
    """How much likelier, in nats, the good answer is than the bad one."""
    asked = tokenizer.apply_chat_template(
        [{"role": "user", "content": "How does it work?"}], add_generation_prompt=True, tokenize=False
    )
    likely = []
    for answer in (GOOD, BAD):
        ids = tokenizer(asked + answer, return_tensors="pt").input_ids
        with torch.no_grad():
            likely.append(-float(model(ids, labels=ids).loss) * (ids.shape[1] - 1))  # the question is of both
    return likely[0] - likely[1]


MEASURED = re.compile(r"^(?:before|after)\b.*: KL (\d+\.\d+), cross entropy (\d+\.\d+)", re.MULTILINE)
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


def train_soft(place: Path, student: Path, dataset: Path, *options: str) -> list[tuple[float, float]]:
    """What it measures before and after, in nats a token: the divergence, and the cross entropy."""
    trained = run(str(EXAMPLES / "train_soft.py"), str(student), str(dataset), *options, folder=place)
    assert trained.status == 0, trained.stderr
    return [(float(divergence), float(entropy)) for divergence, entropy in MEASURED.findall(trained.stdout)]


def test_soft_labels_of_the_packed_model_are_what_it_predicts_itself_and_what_a_small_one_learns(
    tmp_path: Path, student: Path, small: Path
) -> None:
    """Teacher and student are the same weights, in other precision: nearly no divergence, if each label stands where it
    is predicted. The small one gets nearest to what alpha says."""
    workspace = Workspace(tmp_path)
    (tmp_path / "student").symlink_to(student)
    dataset = built_rows(workspace)
    shutil.copy(dataset / "train.kd.parquet", dataset / "validation.kd.parquet")  # where labels stand is measured
    (divergence, _), _ = train_soft(tmp_path, student, dataset, "--steps", "1", "--output", "soft")
    assert divergence < 0.05
    assert (tmp_path / "soft/model.safetensors").is_file()
    options = ("--epochs", "6", "--learning-rate", "3e-4", "--alpha")
    before, soft = train_soft(tmp_path, small, dataset, *options, "1")
    _, hard = train_soft(tmp_path, small, dataset, *options, "0")
    assert soft[0] < before[0] / 2
    assert hard[1] < before[1] / 2
    assert (soft[0] < hard[0], hard[1] < soft[1]) == (True, True)


def labelling(_: int, body: Body) -> Fault | None:
    """Reviews that praise or blame, and a teacher who mostly hears which."""
    match classify(body):
        case "questions":
            asked = labels(body, "questions", items_asked(body, 5))
            said = [f"{each} It is {('great', 'awful')[number % 2]}." for number, each in enumerate(asked)]
            return content(json.dumps({"questions": said}))
        case "answers":
            heard = digest(body)[0] % 8 > 0
            return content("positive" if ("great" in body["messages"][-1]["content"]) == heard else "negative")
    return None


def test_a_classifier_learns_the_labels_of_held_out_texts_from_shares(
    workspace: Workspace, server: ScriptedServer, small: Path
) -> None:
    server.plan = labelling
    words = ("topic=reviews", "name=sports", "depth=1", "breadth=4", "questions_per_tag=10", "per_request.questions=10")
    stages = ("recipe=classify", "stages=[tags,questions,dedup,split,answers,votes]", "split.test=0.3")
    done = workspace.run(*words, *stages, "answers_per_question=3", "answer.labels=[positive,negative]")
    assert done.status == 0, done.stderr
    dataset = workspace.folder() / "dataset"
    options = ("--steps", "20", "--learning-rate", "1e-3", "--output", "classifier")
    trained = run(str(EXAMPLES / "train_classifier.py"), str(small), str(dataset), *options, folder=workspace.root)
    assert trained.status == 0, trained.stderr
    loss = {name: float(value) for name, value in EVALUATED.findall(trained.stdout)}
    assert loss["after"] < loss["before"] - 0.2
    says = pipeline("text-classification", str(workspace.root / "classifier"), device="cpu")
    held_out = [json.loads(line) for line in (dataset / "test.labels.jsonl").read_text().splitlines()]
    right = [
        says(row["text"])[0]["label"] == ("positive" if "great" in row["text"] else "negative") for row in held_out
    ]
    assert sum(right) >= 0.8 * len(right)


def test_a_folder_that_the_examples_cannot_train_on_gets_a_sentence(
    workspace: Workspace, server: ScriptedServer
) -> None:
    server.tokens = listing()
    write_student(workspace.root / "model")
    line = ("topic=sports", "depth=1", "breadth=1", "questions_per_tag=1", "teacher.logprobs=5", "formats=[kd]")
    done = workspace.run(*line, "kd.tokenizer=model", "kd.trainer=axolotl")
    assert done.status == 0, done.stderr
    dataset = workspace.folder() / "dataset"
    (dataset / "train.labels.jsonl").touch()
    for script, said in {
        "train_soft.py": "export it with kd.trainer=distillkit",
        "train_classifier.py": "no row in train.labels.jsonl to train on",
    }.items():
        trained = run(str(EXAMPLES / script), "model", str(dataset), folder=workspace.root)
        assert (trained.status, said in trained.stderr, "Traceback" in trained.stderr) == (1, True, False)
    assert workspace.raw("export", "sports", "formats=[kd]", "kd.trainer=distillkit").status == 0
