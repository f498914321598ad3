"""`init`: a project that builds as it is, with good files, and nothing of the user's replaced."""

import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest
import yaml

from distill_build.commands.make.installed import this_program
from tests.e2e.workspace import Workspace
from tests.server import ScriptedServer

FILES = {
    "conf/distill.yaml",
    ".gitignore",
    ".gitattributes",
    "tree.yaml.example",
    ".github/workflows/dataset.yaml",
    "README.md",
    "prompts/README.md",
    "prompts/en/answers.jinja",
    "prompts/en/questions.jinja",
    "prompts/en/tags.jinja",
}


def files_in(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_a_new_project_builds_as_it_is_and_git_takes_its_lock_and_no_rows(
    workspace: Workspace, server: ScriptedServer
) -> None:
    started = workspace.raw("init", "mine")
    assert started.status == 0
    assert "cd mine" in started.stdout
    project = Workspace(workspace.root / "mine", server)
    assert set(files_in(project.root)) >= FILES
    assert project.run().status == 0
    assert len(project.rows("answers")) == 18
    assert server.kinds == Counter(tags=4, questions=9, answers=18)
    git = ("git", "-C", str(project.root))
    subprocess.run([*git, "init", "-q"], check=True)
    others = subprocess.run([*git, "ls-files", "--others", "--exclude-standard"], stdout=subprocess.PIPE, check=True)
    committed = set(others.stdout.decode().split())
    assert committed > FILES | {"outputs/sports/distill.lock"}
    assert not any(name.startswith(".distill-cache") or name.endswith(".jsonl") for name in committed)


def test_the_prompts_of_a_new_project_are_those_that_would_have_been_sent(
    workspace: Workspace, server: ScriptedServer
) -> None:
    words = ("topic=sports", "depth=1", "breadth=1", "questions_per_tag=1")
    assert workspace.run(*words).status == 0
    sent = server.count
    assert workspace.raw("init", "-q").stdout == ""
    assert workspace.run(*words, "--offline").status == 0
    assert server.count == sent
    (workspace.root / "prompts/en/answers.jinja").write_text(
        '{% call message("user") %}Briefly: {{ question }}{% endcall %}'
    )
    assert workspace.run(*words).status == 0
    assert server.requests[-1].body["messages"][-1]["content"].startswith("Briefly: ")


def test_its_files_are_good_yaml_and_the_workflow_asks_nobody(workspace: Workspace) -> None:
    document = workspace.raw("init", "--json").document
    assert set(document["files"]) == set(files_in(workspace.root)) >= FILES
    for name in document["files"]:
        if name.endswith(".yaml"):
            assert yaml.safe_load((workspace.root / name).read_text())
    workflow = yaml.safe_load((workspace.root / ".github/workflows/dataset.yaml").read_text())
    (job,) = workflow["jobs"].values()
    commands = [step["run"] for step in job["steps"] if "run" in step]
    ours = [command for command in commands if command.startswith("distill-build")]
    assert ours == ["distill-build cache import cache.bundle", "distill-build --frozen", "distill-build verify"]
    assert f"pip install {this_program().words}" in commands
    assert "secrets" not in str(workflow)
    assert not re.search("@[a-z]+@", str(files_in(workspace.root)))


@pytest.mark.parametrize("place", ["README.md", "conf/distill.yaml", "prompts/en/tags.jinja"])
def test_a_file_that_is_there_is_named_and_nothing_is_written(workspace: Workspace, place: str) -> None:
    (workspace.root / place).parent.mkdir(parents=True, exist_ok=True)
    (workspace.root / place).write_text("mine")
    refused = workspace.raw("init")
    assert refused.status == 2
    assert place in refused.stderr
    assert files_in(workspace.root) == {place: "mine"}


def test_a_file_in_the_place_of_a_folder_is_named_and_nothing_is_written(workspace: Workspace) -> None:
    (workspace.root / "prompts").write_text("mine")
    for words in (("init",), ("init", "prompts"), ("init", "-o", "elsewhere"), ("init", "depth=3")):
        assert workspace.raw(*words).status == 2
    assert files_in(workspace.root) == {"prompts": "mine"}


def test_reviews_of_two_branches_are_merged_line_by_line(workspace: Workspace, server: ScriptedServer) -> None:
    assert workspace.raw("init", "mine").status == 0
    project = Workspace(workspace.root / "mine", server)

    def git(*words: str) -> None:
        named = ("-c", "user.name=Ada", "-c", "user.email=ada@localhost")
        subprocess.run(["git", *named, *words], cwd=project.root, check=True, capture_output=True)

    def rejects(number: int) -> None:
        file = project.folder() / "answers.jsonl"
        lines = file.read_text().splitlines(keepends=True)
        file.write_text("".join(line for place, line in enumerate(lines) if place != number))
        assert project.raw("edit").status == 0
        git("add", "-A")
        git("commit", "-qm", f"without {number}")

    assert project.run().status == 0
    git("init", "-qb", "main")
    rejects(0)
    git("checkout", "-qb", "other")
    rejects(1)
    git("checkout", "-q", "main")
    rejects(2)
    git("merge", "-q", "other")
    assert project.run().status == 0
    assert [row.get("review") for row in project.rows("answers")][:4] == ["reject", "reject", "reject", None]


def test_the_sample_of_a_tree_is_one(workspace: Workspace) -> None:
    assert workspace.raw("init", "-q").status == 0
    (workspace.root / "tree.yaml.example").rename(workspace.root / "tree.yaml")
    assert workspace.run("plan").status == 0
    assert workspace.run().status == 0
    assert [row["label"] for row in workspace.rows("tags")][:3] == ["Ball games", "Football", "Tennis"]
