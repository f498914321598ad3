"""A sweep's jobs are looked at, compared and explained by their folders, whose names have = in them."""

from pathlib import Path

import pytest

from tests.e2e.own_project import write_prompt, write_stage
from tests.e2e.workspace import Workspace
from tests.server import ScriptedServer, content

SWEEP = ("-m", "topic=sports", "depth=1", "questions_per_tag=1", "breadth=1,[2]")


def jobs(workspace: Workspace) -> list[str]:
    """The folders of the jobs, from the project's."""
    folders = sorted(workspace.root.glob("outputs/sports/sweeps/*/breadth=*"))
    return [str(folder.relative_to(workspace.root)) for folder in folders]


def test_a_jobs_folder_is_a_dataset_wherever_one_is_named(workspace: Workspace) -> None:
    assert workspace.run(*SWEEP).status == 0
    one, two = jobs(workspace)
    changed = workspace.raw("diff", f"{one}/distill.lock", f"{two}/distill.lock", "--json").document
    assert changed["tags"] == {"added": 1, "removed": 0, "changed": 0, "same": 1}
    assert workspace.raw("history", one.removeprefix("outputs/")).stdout.startswith("breadth=1: 1 version")
    inside = Workspace((workspace.root / one).parent)
    assert inside.raw("diff", "breadth=1", "breadth=[2]", "--json").document["tags"] == changed["tags"]
    for words in (("tree",), ("log", "1")):
        assert inside.raw(*words, "breadth=1").status == 0, words
    restored = workspace.raw("checkout", "latest", one)
    assert "it is a version of" not in restored.stdout, "where else would it belong?"


def test_where_there_are_jobs_alone_the_way_out_names_one(workspace: Workspace) -> None:
    assert workspace.run(*SWEEP).status == 0
    one, two = jobs(workspace)
    for command in ("tree", "verify"):
        assert workspace.raw(command).stderr.endswith(f"name the folder of a sweep's job, as in -o {one}\n")
    asked = workspace.raw("history")
    one, two = (job.removeprefix("outputs/") for job in (one, two))
    assert asked.stderr.endswith(f"{one}; {two}: name one of them with -o\n")
    assert workspace.raw("history", "-o", two).status == 0
    assert workspace.run(*SWEEP[1:-1], "breadth=1").status == 0
    (workspace.root / "outputs").rename(workspace.root / "away")
    assert workspace.raw("checkout", "latest").status == 0, "of the dataset: its jobs stand back"
    assert Path(workspace.root, "outputs/sports/answers.jsonl").is_file()


def test_what_changed_is_explained_for_each_job(workspace: Workspace, server: ScriptedServer) -> None:
    assert workspace.run(*SWEEP).status == 0
    sent = server.count
    prompt = workspace.root / "prompts/en/answers.jinja"
    prompt.parent.mkdir(parents=True)
    prompt.write_text('{% call message("user") %}Say: {{ question }}{% endcall %}')
    document = workspace.run("explain", *SWEEP, "--json").document
    assert [(job["job"], job["plan"]["calls"]) for job in document["jobs"]] == [("breadth=1", 1), ("breadth=[2]", 2)]
    shown = workspace.run("explain", *SWEEP).stdout
    assert [line for line in shown.splitlines() if "to ask, 0 cached" in line] == [
        "  answers: 1 to ask, 0 cached",
        "  answers: 2 to ask, 0 cached",
    ]
    assert shown.count("Say: {{ question }}") == 2
    assert workspace.run("explain", "1", *SWEEP).status == 2
    assert server.count == sent


@pytest.mark.parametrize("cap", ["--keep-going=1", "hopeless"])
def test_a_cap_on_failures_names_the_job(workspace: Workspace, server: ScriptedServer, cap: str) -> None:
    server.plan = lambda _, body: content("", "content_filter") if body["model"] == "bad" else None
    words = ("-m", "topic=sports", "depth=1", "teacher.name=scripted,bad", "limits.reasks=0")
    size = ("breadth=1", "questions_per_tag=1", cap) if cap != "hopeless" else ("breadth=5", "questions_per_tag=10")
    done = workspace.run(*words, *size)
    assert done.status == 3
    (folder,) = workspace.root.glob("outputs/sports/sweeps/*")
    assert str(folder.relative_to(workspace.root) / "teacher.name=bad/failures.jsonl") in done.stderr


def test_a_sweep_has_the_same_folder_whatever_the_hash_seed(workspace: Workspace, server: ScriptedServer) -> None:
    own = ("teacher.temperature=0.3", "teacher.max_tokens=99", "teacher.top_p=0.5", "student.temperature=0.2")
    words = ("-m", "topic=sports", "depth=1", "breadth=1", "questions_per_tag=1", "seed=1,2", *own)
    assert workspace.run(*words, environment={"PYTHONHASHSEED": "1"}).status == 0
    sent = server.count
    for seed in ("2", "3"):
        assert workspace.run(*words, environment={"PYTHONHASHSEED": seed}).status == 0
    assert len(list(workspace.root.glob("outputs/sports/sweeps/*"))) == 1
    assert server.count == sent


def test_each_job_of_a_sweep_has_its_prompts_checked_whichever_comes_first(
    workspace: Workspace, server: ScriptedServer
) -> None:
    write_stage(workspace.root, "translate", export={"question": "path | last", "answer": "row.translation"})
    write_prompt(workspace.root, "translate", "Translate into French: {{ row.answer }}")
    size = ("topic=sports", "depth=1", "breadth=2", "questions_per_tag=2")
    words = (*size, "stages=[tags,questions,answers,translate]")
    for order in ("answers,questions", "questions,answers"):
        done = workspace.run("-m", *words, f"stage.translate.after={order}")
        assert done.status == 2
        assert "row has no column answer" in done.stderr
        assert "stage.translate.after=questions" in done.stderr
    assert server.count == 0
