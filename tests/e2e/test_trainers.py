"""Files that make the folder of exports work in a trainer, beside the rows that it reads."""

import ast
import importlib.util
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.e2e.judged import LINE, reply
from tests.e2e.quality.test_tokens import tokenizer
from tests.e2e.test_only_what_is_affected import InProcess
from tests.server import Body, Fault, ScriptedServer, classify, content

STAGES = "stages=[tags,questions,dedup,answers,split]"
FORMATS = "formats=[messages,prompt_completion,alpaca,sharegpt]"
FILES = ("axolotl.yaml", "dataset_info.json", "train_trl.py")
WORDS = (STAGES, FORMATS, "trainers=[trl,llamafactory,axolotl]", "split.validation=0.5", "format.max_length=700")


@pytest.fixture(scope="module")
def endpoint() -> Iterator[ScriptedServer]:
    with ScriptedServer(plan=reply) as running:
        yield running


@pytest.fixture
def project(tmp_path: Path, endpoint: ScriptedServer) -> InProcess:
    endpoint.plan = reply
    endpoint.reset()
    return InProcess(tmp_path, endpoint)


def files(project: InProcess) -> dict[str, bytes]:
    """Those of trainers that lie there."""
    return {path.name: path.read_bytes() for path in (project.folder() / "dataset").iterdir() if path.name in FILES}


def entries(project: InProcess) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(files(project)["dataset_info.json"])
    return found


def test_each_trainer_gets_its_file_and_what_it_names_lies_there(project: InProcess) -> None:
    done = project.run(*LINE, *WORDS, 'system_prompt="Be brief."')
    assert done.status == 0, done.stderr
    folder = project.folder() / "dataset"
    for name, entry in entries(project).items():
        form = name.removesuffix("_validation")
        row = json.loads((folder / entry["file_name"]).read_text().splitlines()[0])
        assert set(entry["columns"].values()) <= row.keys()
        assert entry["file_name"] == f"{'train' if form == name else 'validation'}.{form}.jsonl"
        for turn in row[entry["columns"]["messages"]] if form == "messages" else []:
            assert {entry["tags"]["role_tag"], entry["tags"]["content_tag"]} == set(turn)
    assert len(entries(project)) == 6
    axolotl = YAML(typ="safe").load(files(project)["axolotl.yaml"])
    (train,), (held_out,) = axolotl["datasets"], axolotl["test_datasets"]
    assert (train["path"], held_out["path"]) == ("train.messages.jsonl", "validation.messages.jsonl")
    assert (axolotl["sequence_len"], axolotl["excess_length_strategy"]) == (700, "raise")
    script = files(project)["train_trl.py"].decode()
    ast.parse(script)
    assert '"--max-length", type=int, default=700' in script
    assert project.raw("verify").status == 0


def test_a_sharegpt_file_is_mapped_for_axolotl(project: InProcess) -> None:
    assert project.run(*LINE, "formats=[sharegpt]", "trainers=axolotl").status == 0
    (train,) = YAML(typ="safe").load(files(project)["axolotl.yaml"])["datasets"]
    row = json.loads((project.folder() / "dataset" / train["path"]).read_text().splitlines()[0])
    mapped = train["message_property_mappings"].values()
    assert all(set(turn) == set(mapped) for turn in row[train["field_messages"]])
    assert "test_datasets" not in files(project)["axolotl.yaml"].decode()


def test_a_thought_in_a_field_that_a_trainer_does_not_read_is_told(project: InProcess) -> None:
    words = ("trainers=axolotl", "format.reasoning=field")
    for command in (("plan",), ()):
        told = project.run(*command, *LINE, *words, "formats=[sharegpt]").stderr
        assert "the thought is lost with format.reasoning=field and trainers=axolotl" in told
        assert "the thought is lost" not in project.run(*command, *LINE, *words, "formats=[messages]").stderr


def test_all_that_a_message_holds_is_named_for_axolotl(project: InProcess) -> None:
    words = ("formats=[messages]", "trainers=axolotl", "format.reasoning=field")
    assert project.run(*LINE, *words).status == 0
    (train,) = YAML(typ="safe").load(files(project)["axolotl.yaml"])["datasets"]
    row = json.loads((project.folder() / "dataset" / train["path"]).read_text().splitlines()[0])
    assert set(row[train["field_messages"]][-1]) == set(train["message_property_mappings"].values())


def test_they_come_and_go_as_exports_do_and_ask_nothing(project: InProcess, endpoint: ScriptedServer) -> None:
    assert project.run(*LINE, *WORDS).status == 0
    whole, sent = project.bytes(), endpoint.count
    shutil.rmtree(project.folder() / "runs")
    assert project.run("--frozen", *LINE, *WORDS).status == 0
    assert project.bytes() == whole
    fewer = project.run(*LINE, *[word for word in WORDS if not word.startswith("trainers")])
    assert "dataset/axolotl.yaml, dataset/dataset_info.json, dataset/train_trl.py are removed" in fewer.stderr
    assert files(project) == {}
    assert project.raw("export", "sports", "trainers=[axolotl]").status == 0
    assert list(files(project)) == ["axolotl.yaml"]
    assert project.raw("export", "sports", "trainers=[trl]", "format.max_length=700").status == 0
    assert sorted(files(project)) == ["axolotl.yaml", "train_trl.py"]
    assert project.raw("verify").status == 0
    assert project.run(*LINE, *WORDS).status == 0
    assert (project.bytes(), endpoint.count) == (whole, sent)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ("trainers=[trl]",),
            "trainers=trl reads prompt_completion, and formats=[messages] has no such file: say "
            "formats=[messages,prompt_completion], or leave trl out of trainers",
        ),
        (("trainers=[axolotl]", "formats=[csv]"), "trainers=axolotl reads messages or sharegpt, and formats=[csv] has"),
        (("trainers=[unsloth]",), "trl"),
    ],
)
def test_a_trainer_without_a_format_of_its_own_is_refused_before_anything_is_sent(
    project: InProcess, endpoint: ScriptedServer, words: tuple[str, ...], told: str
) -> None:
    refused = project.run(*LINE, *words)
    assert (refused.status, endpoint.count) == (2, 0)
    assert told in refused.stderr


def thought(project: InProcess, form: str = "prompt_completion") -> str:
    """Where the thought of the first row stands: think or field."""
    line = (project.folder() / f"dataset/train.{form}.jsonl").read_text().splitlines()[0]
    return "field" if "reasoning_content" in line else "think"


def test_auto_puts_the_thought_where_trainer_and_student_read_it(project: InProcess) -> None:
    words = (FORMATS, "format.reasoning=auto")
    for more, place in (
        ((), "think"),
        (("trainers=[trl]", "format.student=Qwen/Qwen3-0.6B"), "field"),
        (("trainers=[trl]", "student.name=Qwen/Qwen3-0.6B"), "field"),
        (("trainers=[trl,llamafactory]", "format.student=Qwen/Qwen3-0.6B"), "think"),
        (("trainers=[trl]", "format.student=Qwen/Qwen2.5-0.5B"), "think"),
    ):
        done = project.run(*LINE, *words, *more)
        assert (done.status, thought(project)) == (0, place), more
        assert "the thought is lost" not in done.stderr
        assert project.raw("verify").status == 0
    axolotl = project.raw("export", "sports", "trainers=[axolotl]")
    assert axolotl.status == 0
    assert 'base_model: "Qwen/Qwen2.5-0.5B"\n' in files(project)["axolotl.yaml"].decode()


def test_a_layout_that_loses_the_thought_is_told_by_plan_build_and_export(project: InProcess) -> None:
    words = (FORMATS, "format.reasoning=field", "trainers=[llamafactory]")
    told = "the thought is lost with format.reasoning=field and trainers=llamafactory"
    assert told in project.run("plan", *LINE, *words).stderr + project.run("plan", *LINE, *words).stdout
    assert told in project.run(*LINE, *words).stderr
    assert told in project.raw("export", "sports", "formats=[csv]").stderr
    exported = project.raw("export", "sports", "format.reasoning=think")
    assert (exported.status, told in exported.stderr, thought(project, "messages")) == (0, False, "think")


def hard_to_train_on(number: int, body: Body) -> Fault | None:
    """Of the three answers of a leaf one quotes a token, one says where a thought ends, and one is long."""
    if classify(body) != "answers":
        return reply(number, body)
    text = body["messages"][-1]["content"]
    if "at level 2" in text:
        return content("ChatML ends a message with `<|im_end|>`.")
    return content("So it ends with `</think>`." if "at level 3" in text else "one two three four five " * 20)


SAY = "an answer that says </think>"
TOLD = (
    "2 of 6 rows hold what a tokenizer takes for a token of the chat template: a_",
    "2 of 6 rows have an answer that says </think>",
)


@pytest.mark.parametrize("trainers", [("trainers=[trl]",), ()])
def test_an_end_of_thought_in_an_answer_is_told_by_the_students_template(
    project: InProcess, endpoint: ScriptedServer, trainers: tuple[str, ...]
) -> None:
    endpoint.plan = hard_to_train_on
    words = (*LINE, "formats=[prompt_completion]", *trainers)
    told = {
        "format.student=Qwen/Qwen3-0.6B": "cuts it: say format.reasoning=field",
        "format.student=deepseek-ai/DeepSeek-V3": "cuts it: reject such rows",
        "format.student=HuggingFaceTB/SmolLM2-135M-Instruct": "some chat templates cut it",
    }
    for student, sentence in told.items():
        assert f"2 of 6 rows have {SAY}, where" in (said := project.run(*words, student).stderr)
        assert sentence in said
    for kept in ("format.student=meta-llama/Llama-3.2-1B", "format.student=Qwen/Qwen3-0.6B format.reasoning=field"):
        assert SAY not in project.run(*words, *kept.split()).stderr


def test_what_trainers_stumble_over_is_told_by_build_and_export(project: InProcess, endpoint: ScriptedServer) -> None:
    endpoint.plan = hard_to_train_on
    words = ("formats=[messages]", "trainers=[axolotl]", "format.max_length=60")
    told = (
        *TOLD,
        "2 of 6 rows are longer than format.max_length, by estimate (kd.tokenizer and filter.tokenizer count): a_",
    )
    built, again = project.run(*LINE, *words).stderr, project.run(*LINE, *words).stderr
    assert "up to date" in again
    for sentence in told:
        assert sentence in built
        assert sentence in again
    exported = project.raw("export", "sports", "format.max_length=2000").stderr
    assert [sentence in exported for sentence in told] == [True, True, False]
    without = project.run(*LINE, "formats=[messages]").stderr
    assert [sentence in without for sentence in told] == [False, True, False]
    assert SAY not in project.run(*LINE, "formats=[csv]").stderr


@pytest.mark.skipif(importlib.util.find_spec("tokenizers") is None, reason="needs the extra `tokens`")
def test_length_is_counted_where_there_is_a_tokenizer(project: InProcess, endpoint: ScriptedServer) -> None:
    """To which each word is a token: the long answers have 100 of them."""
    endpoint.plan = hard_to_train_on
    (project.root / "tokenizer.json").write_text(tokenizer())
    stages = "stages=[tags,questions,dedup,answers,filter]"
    words = (stages, "filter.tokenizer=tokenizer.json", "trainers=[axolotl]")
    counted = "rows are longer than format.max_length, by the tokenizer of the filter: a_"
    assert f"2 of 6 {counted}" in project.run(*LINE, *words, "format.max_length=100").stderr
    assert counted not in project.raw("export", "sports", "format.max_length=900").stderr
    (project.root / "tokenizer.json").unlink()
    moved = project.raw("export", "sports", "format.max_length=60")
    assert "2 of 6 rows are longer than format.max_length, by estimate" in moved.stderr


@pytest.mark.parametrize(
    ("word", "form"),
    [("kd.trainer=axolotl", "kd"), ("format.margin=2", "preference"), ("format.csv_bom=true", "csv")],
)
def test_a_setting_of_a_format_that_is_not_written_is_told(project: InProcess, word: str, form: str) -> None:
    planned = project.run("plan", *LINE, word)
    told = f"{word} does nothing: formats=[messages] has no {form}"
    assert (planned.status, told in planned.stderr) == (0, True), planned.stderr
    assert "does nothing" not in project.run("plan", *LINE, "format.reasoning=field").stderr
