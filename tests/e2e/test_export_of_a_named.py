"""`export NAME` and `export -o DIR`: the folder's own settings count, but for what is typed."""

import shutil
from pathlib import Path

import pytest

from tests.e2e.workspace import Workspace
from tests.server import ScriptedServer

SMALL = ("topic=sports", "depth=1", "breadth=2", "questions_per_tag=2")
LAYOUT = ("format.metadata=false", "format.reasoning=field", 'system_prompt="Be brief."')


def names(project: Workspace) -> list[str]:
    """The exports that lie in the folder."""
    return sorted(path.name for path in (project.folder() / "dataset").glob("train.*"))


def configure(project: Workspace, text: str) -> None:
    """Writes a configuration with settings that are not the folder's."""
    (project.root / "conf").mkdir()
    (project.root / "conf/distill.yaml").write_text(f"defaults: [base, _self_]\n{text}")


def test_a_name_alone_says_which_dataset(workspace: Workspace, server: ScriptedServer) -> None:
    assert workspace.run(*SMALL).status == 0
    sent = server.count
    for words in (("sports",), ("-o", "outputs/sports"), ("-o", "sports")):
        done = workspace.raw("export", *words, "formats=[csv]")
        assert done.status == 0, done.stderr
    assert (names(workspace), server.count) == (["train.csv", "train.messages.jsonl"], sent)
    assert workspace.raw("verify").status == 0
    exported = workspace.bytes()
    both = (*SMALL, "formats=[messages,csv]")
    assert "up to date" in workspace.run(*both).stderr
    shutil.rmtree(workspace.folder() / "runs")
    assert workspace.run(*both).status == 0
    assert (workspace.bytes(), server.count) == (exported, sent)


@pytest.mark.parametrize("clone", [False, True])
def test_settings_that_are_not_typed_are_those_of_the_folder(workspace: Workspace, clone: bool) -> None:
    assert workspace.run(*SMALL, *LAYOUT).status == 0
    whole = (workspace.folder() / "dataset/train.messages.jsonl").read_bytes()
    assert workspace.run(*SMALL, *LAYOUT, "formats=[alpaca]").status == 0
    alpaca = (workspace.folder() / "dataset/train.alpaca.jsonl").read_bytes()
    configure(workspace, "topic: games\nformats: [csv]\nformat: {metadata: true}\n")
    if clone:
        shutil.rmtree(workspace.folder() / "runs")
    assert workspace.raw("export", "sports").stderr == ""
    assert workspace.raw("export", "sports", "formats=[messages]").status == 0
    assert names(workspace) == ["train.alpaca.jsonl", "train.messages.jsonl"]
    assert (workspace.folder() / "dataset/train.messages.jsonl").read_bytes() == whole
    assert (workspace.folder() / "dataset/train.alpaca.jsonl").read_bytes() == alpaca
    done = workspace.raw("export", "sports", "format.metadata=true")
    changed = "train.alpaca.jsonl has changed, train.messages.jsonl has changed"
    assert done.stderr == f"distill-build: outputs/sports/distill.lock is rewritten: {changed}\n"
    assert b'"reasoning_content"' in (workspace.folder() / "dataset/train.messages.jsonl").read_bytes()
    assert workspace.raw("verify").status == 0


def test_a_text_that_a_lock_has_by_its_digest_is_not_made_up(workspace: Workspace) -> None:
    long = f'system_prompt="{"Be brief. " * 20}"'
    assert workspace.run(*SMALL, long).status == 0
    shutil.rmtree(workspace.folder() / "runs")
    before = workspace.bytes()
    refused = workspace.raw("export", "sports", "formats=[csv]")
    assert (refused.status, workspace.bytes()) == (2, before)
    assert "system_prompt of outputs/sports is known by its digest alone" in refused.stderr
    assert workspace.raw("export", "sports", "formats=[csv]", long).status == 0
    assert workspace.raw("verify").status == 0


def test_a_job_of_a_sweep_is_named_by_its_folder(workspace: Workspace) -> None:
    assert workspace.run("-m", *SMALL[:-1], "questions_per_tag=1,2").status == 0
    (job,) = (workspace.root / "outputs/sports/sweeps").glob("*/questions_per_tag=2")
    done = workspace.raw("export", str(job.relative_to(workspace.root)), "formats=[csv]")
    assert done.status == 0, done.stderr
    assert (job / "dataset/train.csv").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("sports", "topic=games"), "the dataset is named twice, by sports and by topic=games: leave one out"),
        (("-o", "sports", "name=games"), "the dataset is named twice, by -o sports and by name=games: leave one out"),
        (("sports", "-o", "sports"), "the dataset is named twice, as 'sports' and by -o sports: leave one out"),
        (("sports", "breadth=5", "budget.usd=1"), "breadth=5 and budget.usd=1 would be ignored: "),
        (("-o", "sports", "formats=[csv]", "seed=9"), "but for formats=[…], format.*, kd.*, system_prompt, "),
        (("sports", "stage.answers.samples=2"), "stage.answers.samples=2 would be ignored: "),
        (("sports", "model@teacher=ollama"), "model@teacher=ollama would be ignored: "),
        (("sprots",), "there is no dataset 'sprots': did you mean 'sports'?"),
        (("sports", "formats=[exel]"), "formats"),
    ],
)
def test_a_mistake_is_a_sentence_and_nothing_is_replaced(
    workspace: Workspace, words: tuple[str, ...], told: str
) -> None:
    assert workspace.run(*SMALL, "-q").status == 0
    before = workspace.bytes()
    refused = workspace.raw("export", *words)
    assert (refused.status, workspace.bytes()) == (2, before)
    assert told in refused.stderr


def test_a_build_and_a_checkout_say_which_files_go(workspace: Workspace) -> None:
    assert workspace.run(*SMALL, "formats=[messages,csv]", "-q").status == 0
    done = workspace.run(*SMALL, "formats=[messages]", "--json")
    assert [Path(path).name for path in done.document["removed"]] == ["train.csv"]
    assert "dataset/train.csv is removed, and the lock names it no more" in done.stderr
    assert workspace.raw("export", "sports", "formats=[alpaca]", "-q").status == 0
    done = workspace.raw("checkout", "latest")
    assert "removed, being no file of this version: dataset/train.alpaca.jsonl" in done.stdout
    swept = workspace.run("-m", *SMALL[:-1], "questions_per_tag=1,2", "formats=[messages,csv]")
    assert swept.status == 0
    swept = workspace.run("-m", *SMALL[:-1], "questions_per_tag=1,2", "formats=[messages]")
    assert swept.stderr.count("dataset/train.csv is removed") == 1


def test_where_neither_a_name_nor_a_topic_is_typed_it_is_the_dataset_that_viewers_find(
    workspace: Workspace, server: ScriptedServer
) -> None:
    assert "the topic is missing" not in workspace.raw("export").stderr
    assert workspace.raw("export").status == 2
    assert workspace.run(*SMALL).status == 0
    sent = server.count
    only = workspace.raw("export", "formats=[csv]")
    assert (only.status, "outputs/sports/dataset/train.csv" in only.stdout) == (0, True), only.stderr
    assert workspace.run(*SMALL, "name=games").status == 0
    assert "which dataset? outputs/ holds games, sports" in workspace.raw("export").stderr
    inside = Workspace(workspace.folder("games") / "dataset", server).raw("export", "formats=[alpaca]")
    assert (inside.status, "outputs/games/dataset/train.alpaca.json" in inside.stdout) == (0, True), inside.stderr
    assert "the topic is missing" in workspace.raw("export", "name=games").stderr
    assert server.count == sent
