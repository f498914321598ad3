"""A command in a subfolder works on the project around it: the same cache, settings, prompts and datasets."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.workspace import Workspace
from tests.server import ScriptedServer

SMALL = ("topic=sports", "depth=1", "breadth=2", "questions_per_tag=2")
STATE = "runs/state.json"


@pytest.fixture
def below(workspace: Workspace) -> Workspace:
    """The same project as one sees it from a subfolder."""
    (workspace.root / "notes/today").mkdir(parents=True)
    return Workspace(workspace.root / "notes/today", workspace.server)


def configure(root: Path, text: str = "") -> None:
    """Writes a project's configuration."""
    (root / "conf").mkdir(exist_ok=True)
    (root / "conf/distill.yaml").write_text(f"defaults: [base, _self_]\n{text}")


def here(workspace: Workspace) -> list[str]:
    """The names of what lies in the working directory."""
    return sorted(path.name for path in workspace.root.iterdir())


def test_a_build_in_a_subfolder_asks_nothing_and_makes_no_second_cache(
    workspace: Workspace, below: Workspace, server: ScriptedServer
) -> None:
    assert workspace.run(*SMALL).status == 0
    sent, files = server.count, workspace.bytes()
    done = below.run(*SMALL)
    assert (done.status, server.count, here(below)) == (0, sent, [])
    assert done.stderr.splitlines()[0] == (
        f"distill-build: the project is {workspace.root}, by its outputs/sports/distill.lock"
    )
    assert "up to date" in done.stderr
    grown = (*SMALL[:-1], "questions_per_tag=3")
    assert below.run(*grown).status == 0
    assert here(below) == []
    assert json.loads((workspace.folder() / STATE).read_text())["cache_dir"] == "../../.distill-cache"
    assert "up to date" in workspace.run(*grown).stderr
    assert workspace.run(*SMALL).status == 0
    assert workspace.bytes() == files


def test_who_stands_in_the_root_is_told_nothing(workspace: Workspace, below: Workspace) -> None:
    configure(workspace.root)
    assert workspace.run(*SMALL, "-q").stderr == ""
    assert workspace.raw("tree").stderr == ""
    assert below.raw("tree", "-q").stderr == ""


def test_settings_stages_and_prompts_are_those_of_the_root(
    workspace: Workspace, below: Workspace, server: ScriptedServer
) -> None:
    configure(workspace.root, "topic: sports\ndepth: 1\nbreadth: 2\nquestions_per_tag: 2\ncache: {dir: kept}\n")
    (workspace.root / "conf/stage").mkdir()
    (workspace.root / "conf/stage/seals.yaml").write_text("kind: map\nafter: answers\nrole: judge\n")
    (workspace.root / "prompts/en").mkdir(parents=True)
    (workspace.root / "prompts/en/seals.jinja").write_text(
        '{% call message("user") %}Seal {{ row.answer }}{% endcall %}'
    )
    done = below.run("output_dir=mine", "stages=[tags,questions,answers,seals]")
    assert done.status == 0, done.stderr
    assert f"{below.root}/mine/sports (version" in done.stderr
    assert (here(below), here(workspace)) == (["mine"], ["conf", "kept", "notes", "prompts"])
    assert (below.root / "mine/sports/seals.jsonl").exists()
    sent = server.count
    assert workspace.run("output_dir=notes/today/mine", "stages=[tags,questions,answers,seals]").status == 0
    assert server.count == sent


def test_a_nested_project_has_its_own_settings(workspace: Workspace, below: Workspace) -> None:
    configure(workspace.root, "topic: games\n")
    configure(below.root, "topic: sports\ndepth: 1\nbreadth: 2\nquestions_per_tag: 2\n")
    (below.root / "deeper").mkdir()
    assert Workspace(below.root / "deeper", below.server).run().status == 0
    assert below.folder("sports").is_dir()
    assert not (workspace.root / "outputs").exists()


def test_what_ends_the_search_is_what_git_and_home_end(workspace: Workspace, below: Workspace) -> None:
    configure(workspace.root)
    (below.root / ".git").mkdir()
    assert below.run(*SMALL, "-q").status == 0
    assert {"outputs", ".distill-cache"} <= set(here(below))
    home = workspace.root / "home"
    shutil.copytree(below.root / "outputs", home / "outputs")
    (home / "work").mkdir()
    inside = Workspace(home / "work", workspace.server)
    refused = inside.raw("tree", environment={"HOME": str(home)})
    assert (refused.status, "there is no dataset under outputs/" in refused.stderr) == (2, True)
    assert inside.raw("tree", environment={"HOME": "/nowhere"}).status == 0


def test_typed_paths_count_from_the_working_directory(workspace: Workspace, below: Workspace) -> None:
    assert workspace.run(*SMALL).status == 0
    for words in (
        ("verify", "-o", "../../outputs/sports"),
        ("tree", "../../outputs/sports"),
        ("diff", "../../outputs/sports/distill.lock"),
        ("history", "sports"),
        ("cache", "export", "all.bundle"),
        ("cache", "push", "remote"),
        ("cache", "export", "one.bundle", "../../outputs/sports", "--cache-dir", "../../.distill-cache"),
        ("cache", "import", "all.bundle", "--cache-dir", "other"),
        ("checkout", "latest", "-o", "../../outputs/sports"),
    ):
        done = below.raw(*words)
        assert done.status == 0, (words, done.stderr)
    assert here(below) == ["all.bundle", "one.bundle", "other", "remote"]
    assert below.raw("cache", "stats", "--cache-dir", "nowhere").status == 2
    assert "'s3:bucket' is no address" in below.raw("cache", "push", "s3:bucket").stderr
    done = below.run(*SMALL, "output_dir=mine", "cache.dir=../../.distill-cache", "prompts.dir=terse")
    assert f"prompts.dir={below.root}/terse: there is no such folder" in done.stderr
    (below.root / "conf").mkdir()
    (below.root / "conf/two.yaml").write_text("defaults: [base, _self_]\nbreadth: 1\n")
    done = below.run("plan", *SMALL[:2], "questions_per_tag=2", "--config-dir", "conf", "--config-name", "two")
    assert (done.status, "breadth=1" in done.stdout) == (0, True), done.stderr


def test_a_relative_cache_of_the_environment_is_one_cache_in_all_folders(
    workspace: Workspace, below: Workspace, server: ScriptedServer
) -> None:
    kept = {"DISTILL_CACHE_DIR": "kept"}
    assert workspace.run(*SMALL, environment=kept).status == 0
    sent = server.count
    (workspace.folder() / STATE).unlink()
    assert below.run(*SMALL, environment=kept).status == 0
    stats = below.raw("cache", "stats", "--json", environment=kept)
    assert (server.count, stats.status, here(below)) == (sent, 0, [])


def test_who_stands_in_a_dataset_means_that_one(workspace: Workspace) -> None:
    for topic in ("sports", "games"):
        assert workspace.run(f"topic={topic}", *SMALL[1:], "-q").status == 0
    assert workspace.raw("tree").status == 2
    for folder in ("outputs/sports", "outputs/sports/dataset"):
        done = Workspace(workspace.root / folder, workspace.server).raw("tree")
        assert (done.status, done.stdout.split()[0]) == (0, "sports"), done.stderr
    assert Workspace(workspace.root / "outputs", workspace.server).raw("tree").status == 2


@pytest.mark.parametrize("words", [(), ("hydra/launcher=basic",), ("hydra/launcher=basic", "hydra.job.chdir=true")])
def test_a_sweep_in_a_subfolder_is_the_same_sweep(
    workspace: Workspace, below: Workspace, server: ScriptedServer, words: tuple[str, ...]
) -> None:
    configure(workspace.root)
    sweep = ("-m", *SMALL[:-1], "questions_per_tag=2,3", *words)
    assert workspace.run(*sweep).status == 0
    sent = server.count
    (folder,) = (workspace.root / "outputs/sports/sweeps").iterdir()
    for state in folder.glob(f"*/{STATE}"):
        state.unlink()
    done = below.run(*sweep)
    assert done.status == 0, done.stderr
    assert (server.count, here(below)) == (sent, [])
    assert str(folder) in done.stderr
    assert list((workspace.root / "outputs/sports/sweeps").iterdir()) == [folder]


def test_what_hydra_writes_lies_where_the_file_or_the_typed_word_says(workspace: Workspace, below: Workspace) -> None:
    configure(workspace.root, "hydra: {output_subdir: told, run: {dir: by-file}}\n")
    assert below.run("plan", *SMALL).status == 0
    assert (workspace.root / "by-file/told/config.yaml").exists()
    assert below.run("plan", *SMALL, "hydra.run.dir=typed").status == 0
    assert (below.root / "typed/told/config.yaml").exists()


def test_init_begins_a_project_where_one_stands(workspace: Workspace, below: Workspace) -> None:
    configure(workspace.root)
    done = below.raw("init")
    assert (done.status, done.stderr) == (0, "")
    assert (below.root / "conf/distill.yaml").exists()


def test_files_are_named_as_they_are_seen_from_where_one_stands(workspace: Workspace, below: Workspace) -> None:
    configure(workspace.root)
    (workspace.root / "conf/stage").mkdir()
    (workspace.root / "conf/stage/odd.yaml").write_text("defaults: [nix]")
    in_conf = Workspace(workspace.root / "conf", workspace.server)
    for inside, name in ((below, f"{workspace.root}/conf/stage/odd.yaml"), (in_conf, "stage/odd.yaml")):
        told = inside.run("plan", *SMALL).stderr
        assert f"distill-build: {name} begins with 'nix', which is no stage" in told
    (workspace.root / "conf/stage/odd.yaml").unlink()
    (workspace.root / "prompts/en").mkdir(parents=True)
    prompt = workspace.root / "prompts/en/answers.jinja"
    prompt.write_text('{% call message("user") %}{{ qestion }}{% endcall %}')
    assert f"distill-build: {prompt}, line 1: there is no variable qestion" in below.run("plan", *SMALL).stderr


def test_a_folder_that_is_gone_is_a_sentence(workspace: Workspace) -> None:
    folder = workspace.root / "gone"
    folder.mkdir()
    script = 'cd gone && rmdir ../gone && exec "$0" -m distill_build tree'
    done = subprocess.run(
        ["sh", "-c", script, sys.executable],
        cwd=workspace.root,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, "the working directory is gone" in done.stderr) == (2, True), done.stderr


def test_typed_files_of_benchmarks_count_from_where_one_stands(workspace: Workspace, below: Workspace) -> None:
    configure(workspace.root)
    (below.root / "bench.jsonl").write_text('{"question": "What is the offside rule?"}\n')
    (below.root / "我的 题.txt").write_text("What is a goal?\n")
    (workspace.root / "ours.txt").write_text("What is a throw-in?\n")
    stages = "stages=[tags,questions,decontaminate,answers]"
    listed = 'decontaminate.against=[bench.jsonl#question, "我的 题.txt",../../ours.txt]'
    for typed in (listed, "stage.decontaminate.against=bench.jsonl"):
        done = below.run(*SMALL, stages, typed)
        assert done.status == 0, done.stderr
        assert '"notes/today/bench.jsonl' in workspace.lock()
    again = '["notes/today/bench.jsonl#question","notes/today/我的 题.txt",ours.txt]'
    assert workspace.run(*SMALL, stages, f"decontaminate.against={again}").status == 0
    assert "up to date" in below.run(*SMALL, stages, listed).stderr
    configure(workspace.root, "decontaminate: {against: ours.txt}\n")
    assert below.run(*SMALL, stages).status == 0, "paths in files are from the root"
    swept = below.run(*SMALL, stages, "-m", "decontaminate.against=[bench.jsonl],[../../ours.txt]")
    assert swept.status == 0, swept.stderr
