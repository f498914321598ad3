"""What a build takes from the version that lies there is said by the plan, before and after it, and on a terminal asked
for first."""

import os
import pty
import shutil
import signal
import subprocess
import threading
from pathlib import Path

import pytest

from tests.e2e.test_only_what_is_affected import InProcess
from tests.e2e.test_tree_by_hand import by_place
from tests.e2e.workspace import COMMAND, TIMEOUT_SECONDS, variables
from tests.server import ScriptedServer

TWICE = ("topic=sports", "depth=1", "breadth=2", "questions_per_tag=2", "answers_per_question=2")
ONCE = TWICE[:-1]
INTERRUPT = "^C"
OWN = ("What is own?", "Who plays at home?")


@pytest.fixture
def project(tmp_path: Path, server: ScriptedServer) -> InProcess:
    project = InProcess(tmp_path, server)
    assert project.run(*TWICE).status == 0
    server.reset()
    return project


def version(project: InProcess) -> str:
    newest: str = project.raw("history", "--json").document["versions"][0]["version"]
    return newest[:12]


def on_terminal(project: InProcess, answer: str, *words: str, piped: bytes | None = None) -> tuple[int, str]:
    """The exit code of a build at a terminal whose person types `answer`, and what the terminal showed.

    What is `piped` into it stands for the person.
    """
    here, there = pty.openpty()
    all_words = [*COMMAND, *words, *project.settings()]
    stdin, environment = there if piped is None else subprocess.PIPE, variables({"TERM": "xterm"})
    with subprocess.Popen(
        all_words, cwd=project.root, env=environment, stdin=stdin, stdout=there, stderr=there
    ) as process:
        os.close(there)
        if process.stdin is not None:
            process.stdin.write(piped or b"")
            process.stdin.close()
        end = threading.Timer(TIMEOUT_SECONDS, process.kill)
        end.start()
        shown = b""
        while b"[y/N] " not in shown and (chunk := _read(here)):
            shown += chunk
        if answer == INTERRUPT:
            process.send_signal(signal.SIGINT)
        elif b"[y/N] " in shown:
            os.write(here, f"{answer}\n".encode())
        while chunk := _read(here):
            shown += chunk
        end.cancel()
        return process.wait(TIMEOUT_SECONDS), shown.decode()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # the last process has closed the other side
        return b""


def test_a_forgotten_setting_is_told_by_the_plan_before_the_build_and_after_it(project: InProcess) -> None:
    old, files = version(project), project.bytes()
    told = f"version {old}: 4 answers fewer; answers_per_question: 2 → 1; `distill-build checkout {old}` brings it back"
    plan = project.run("plan", *ONCE, "--json")
    assert plan.document["replaced"] == {"tags": 0, "questions": 0, "answers": 4}
    assert f"this build replaces {told}" in plan.stderr
    built = project.run(*ONCE)
    assert built.status == 0
    assert f"this build replaces {told}" in built.stderr
    assert f"\nreplaced {told}\n" in built.stderr
    assert project.raw("checkout", old).status == 0
    assert project.bytes() == files


def test_rows_of_another_model_are_told(project: InProcess) -> None:
    told = project.raw(*TWICE, "-q", *project.settings()[:2], "model.name=other").stderr
    assert "2 tags, 4 questions, 8 answers made anew, changed or gone; " in told
    assert "teacher.name: scripted → other" in told


def test_what_was_forgotten_is_told_first_where_another_model_brings_many_settings(project: InProcess) -> None:
    told = project.raw("plan", *TWICE, "model.base_url=http://127.0.0.1:9/v1").stderr
    assert "made anew, changed or gone; tagger.name: scripted → " in told


def alone(project: InProcess) -> None:
    """Leaves of the project what git carries where rows are committed: the files, with nothing of how they came."""
    shutil.rmtree(project.folder() / "runs")
    shutil.rmtree(project.root / ".distill-cache")


def test_rows_that_came_alone_are_told_and_asked_about_by_their_lock(project: InProcess) -> None:
    old, files = version(project), project.bytes()
    alone(project)
    ended, shown = on_terminal(project, "n", *ONCE)
    words = " ".join(shown.split())
    assert f"this build replaces version {old}: 4 answers fewer; " in words
    assert "answers_per_question: 2 → 1" in words
    assert "its files are kept under runs/" in words
    assert (ended, project.bytes()) == (130, files)


def test_a_build_that_is_stopped_takes_no_row_of_those_that_came_alone(project: InProcess) -> None:
    files = project.bytes()
    alone(project)
    stopped = project.run(*TWICE, "teacher.temperature=0.1", "budget.calls=5")
    assert stopped.status == 3
    assert "the files stay those of version" in stopped.stderr
    assert project.bytes() == files


def test_files_of_stages_that_are_no_more_do_not_stay_beside_other_rows(project: InProcess) -> None:
    alone(project)
    assert (project.folder() / "dedup.jsonl").exists()
    assert project.run(*TWICE, "stages=[tags,questions,answers]").status == 0
    assert not (project.folder() / "dedup.jsonl").exists()
    assert list(project.folder().glob("runs/*/dedup.jsonl"))


def test_an_edit_by_hand_is_told_and_is_no_row_that_a_build_replaces(project: InProcess) -> None:
    answers = project.folder() / "answers.jsonl"
    answers.write_text(answers.read_text().replace("a", "e", 1))
    plan = project.run("plan", *TWICE)
    assert "answers.jsonl was edited by hand" in plan.stderr
    assert "this build replaces" not in plan.stderr
    assert "4 answers fewer" in project.run("plan", *ONCE).stderr
    built = project.run(*TWICE)
    assert (built.status, "replace" in built.stderr) == (0, False)


def test_a_row_that_another_one_comes_for_is_not_one_fewer(project: InProcess) -> None:
    own, reviews = project.root / "questions.jsonl", project.root / "reviews.jsonl"
    own.write_text("".join(f'{{"question": "{question}"}}\n' for question in OWN))
    assert project.run(*TWICE).status == 0
    own.write_text(own.read_text().replace(OWN[0], "When is the next game?"))
    assert (
        "1 question, 2 answers made anew, changed or gone; questions of your own edited" in project.run(*TWICE).stderr
    )
    reviews.write_text(f'{{"id": "{project.rows("questions")[0]["id"]}", "verdict": "reject"}}\n')
    told = project.run("plan", *TWICE).stderr
    assert "2 answers fewer; 1 question made anew, changed or gone; reviews.jsonl added" in told
    reviews.unlink()
    own.unlink()
    assert "2 questions fewer; 4 answers fewer; questions of your own removed" in project.run("plan", *TWICE).stderr


def test_rows_that_came_for_dropped_ones_are_not_fewer_under_another_name(
    project: InProcess, server: ScriptedServer
) -> None:
    many = ("topic=games", "depth=1", "breadth=2", "questions_per_tag=2", "per_request.questions=2", "dedup.near=0.5")
    server.plan = by_place
    project.run(*many)
    questions = [row["path"][-1] for row in project.rows("questions", "games")]
    assert (below := questions.count("Bravo games")) > 2, "some came in the place of others"
    (project.root / "tree.yaml").write_text("rename: {Bravo games: Ball games}\n")
    told = project.run("plan", *many).stderr
    assert f"1 tag, {below} questions, 1 answer made anew, changed or gone" in told


def test_replies_that_are_nowhere_any_more_are_the_cause_that_is_told(project: InProcess) -> None:
    assert project.run(*TWICE, "keep_responses=false").status == 0
    shutil.rmtree(project.root / ".distill-cache")
    told = project.run("plan", *TWICE, "keep_responses=false").stderr
    assert "made anew, changed or gone; the replies behind them are not in the cache, nor in the folder" in told


@pytest.mark.parametrize(
    "words",
    [
        ("answers_per_question=3",),
        ("questions_per_tag=3",),
        ("breadth=3",),
        ("limits.concurrency=1",),
        (),
    ],
    ids=" ".join,
)
def test_what_grows_replaces_nothing(project: InProcess, words: tuple[str, ...]) -> None:
    assert not any(project.run("plan", *TWICE, *words, "--json").document["replaced"].values())
    assert "replace" not in project.run(*TWICE, *words).stderr


def test_what_was_dropped_comes_back_unasked_and_takes_nothing(project: InProcess, server: ScriptedServer) -> None:
    assert project.run(*ONCE).status == 0
    told = project.run(*TWICE)
    assert (told.status, server.kinds) == (0, {})
    assert "replace" not in told.stderr


def test_until_an_earlier_stage_takes_the_rows_of_later_ones(project: InProcess) -> None:
    told = project.run(*TWICE, "--until=questions").stderr
    assert "8 answers fewer; --until: dataset → questions; " in told


def test_quiet_or_not_the_question_says_what_goes(project: InProcess) -> None:
    ended, shown = on_terminal(project, "n", *ONCE, "-q")
    assert ended == 130
    assert "4 answers fewer; answers_per_question: 2 → 1" in " ".join(shown.split())


def test_an_interrupt_ends_the_question(project: InProcess) -> None:
    files = project.bytes()
    ended, _ = on_terminal(project, INTERRUPT, *ONCE)
    assert (ended, project.bytes()) == (130, files)


@pytest.mark.parametrize(("answer", "status"), [("", 130), ("n", 130), ("y", 0), ("Yes", 0)])
def test_on_a_terminal_the_person_is_asked(project: InProcess, answer: str, status: int) -> None:
    files = project.bytes()
    ended, shown = on_terminal(project, answer, *ONCE)
    assert ended == status
    assert "go on, and replace version" in shown
    assert (project.bytes() == files) == (status == 130)
    assert ("nothing was asked and nothing replaced" in " ".join(shown.split())) == (status == 130)


@pytest.mark.parametrize(
    "words",
    [(*ONCE, "-y"), (*ONCE, "confirm=never"), (*TWICE, "--rebuild=*"), (*TWICE, "seed=0")],
    ids=lambda words: words[-1],
)
def test_nobody_is_asked_who_has_said_so_already(project: InProcess, words: tuple[str, ...]) -> None:
    ended, shown = on_terminal(project, "n", *words)
    assert ended == 0
    assert "go on" not in shown


def test_what_was_typed_is_told_before_what_follows_from_it(project: InProcess) -> None:
    """Three causes are told, and settings of the stages that every model's stage has come before the list of stages."""
    files = {"hidden": "kind: transform\nafter: answers\nwhere: row.answer\n"}
    for name, text in files.items():
        place = project.root / "conf" / "stage" / f"{name}.yaml"
        place.parent.mkdir(parents=True)
        place.write_text(text)
    typed = ("model.temperature=0.1", "model.top_p=0.5", "stages=[tags,questions,answers,hidden]")
    told = project.run("plan", *TWICE, *typed, "--json").stderr
    assert "; stages: " in told
    assert "more; `distill-build checkout" in told


def test_what_is_piped_into_a_build_is_no_answer(project: InProcess) -> None:
    ended, shown = on_terminal(project, "", *ONCE, piped=b"n\n")
    assert (ended, len(project.rows("answers"))) == (0, 4)
    assert "4 answers fewer; answers_per_question: 2 → 1" in " ".join(shown.split())
    assert "go on" not in shown


def test_jobs_that_would_all_ask_at_one_terminal_ask_nothing(project: InProcess) -> None:
    jobs = ("-m", *TWICE, "seed=1,2", "hydra/launcher=basic")
    assert project.run(*jobs).status == 0
    ended, shown = on_terminal(project, "n", *jobs, "--until=questions")
    assert ended == 0
    assert "8 answers fewer; --until: dataset → questions" in " ".join(shown.split())
    assert "go on" not in shown


def test_a_lost_cache_without_kept_responses_is_told_to_replace_all(project: InProcess, server: ScriptedServer) -> None:
    """The scripted server answers with other texts to another model alone: so here no row becomes another one."""
    assert project.run(*TWICE, "keep_responses=false").status == 0
    shutil.rmtree(project.root / ".distill-cache")
    plan = project.run("plan", *TWICE, "keep_responses=false", "--json")
    assert plan.document["replaced"] == {"tags": 2, "questions": 4, "answers": 8}
    assert project.run(*TWICE, "keep_responses=false").status == 0
    assert server.kinds == {"tags": 1, "questions": 2, "answers": 8}
