"""`diff`: what differs between two versions, and which setting or prompt is the cause of each group of differences."""

import json
import os
import pty
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.console.test_terminal import read_all
from tests.e2e.test_only_what_is_affected import InProcess, items_at, kind_of, own_prompt, place_of, steady
from tests.e2e.workspace import COMMAND, Finished, Workspace
from tests.server import Body, Fault, ScriptedServer, content, status

SMALL = ("topic=sports", "depth=2", "breadth=[2,2]", "questions_per_tag=2")
"""6 tags, 8 questions, 8 answers."""
Groups = list[tuple[str, str, int, str, list[str]]]


@pytest.fixture(scope="module")
def endpoint() -> Iterator[ScriptedServer]:
    with ScriptedServer(plan=steady, classify=kind_of) as running:
        yield running


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, endpoint: ScriptedServer) -> Path:
    """A project with one version, to be moved to where a test works."""
    root = tmp_path_factory.mktemp("built") / "project"
    root.mkdir()
    assert InProcess(root, endpoint).run(*SMALL, "-q").status == 0
    shutil.copytree(root, root.parent / "kept")
    return root


@pytest.fixture
def project(built: Path, endpoint: ScriptedServer) -> InProcess:
    """The project as it was built, in the same place: a dataset is known to its cache by its folder."""
    shutil.rmtree(built)
    shutil.copytree(built.parent / "kept", built)
    endpoint.plan = steady
    return InProcess(built, endpoint)


def build(project: Workspace, *words: str, status: int = 0) -> None:
    assert project.run(*SMALL, "-q", *words).status == status


def diff(project: Workspace, *words: str) -> Any:
    """The document of `diff --json`."""
    done = project.raw("diff", "--json", *words)
    assert done.status == 0, done.stderr
    return done.document


def groups(document: Any) -> Groups:
    return [(g["stage"], g["change"], g["count"], g["because"], g["settings"]) for g in document["groups"]]


def counts(document: Any, stage: str) -> tuple[int, ...]:
    """Added, removed, changed, same."""
    return tuple(document[stage][name] for name in ("added", "removed", "changed", "same"))


def other_label(label: str) -> Callable[[int, Body], Fault | None]:
    """The server of `steady`, but the second tag is called `label`, and has below it what it had."""
    old = items_at("tags", "sports")[1]

    def plan(_: int, body: Body) -> Fault | None:
        kind, place = kind_of(body), place_of(body)
        if kind == "answers":
            return None
        items = items_at(kind, place.replace(label, old))
        return content(json.dumps({kind: [label if (place, item) == ("sports", old) else item for item in items]}))

    return plan


# What is behind a group of differences.


def test_a_setting_of_the_teacher_is_the_cause_of_changed_answers(project: InProcess) -> None:
    build(project, "teacher.temperature=0.9")
    found = diff(project)
    newest, before = project.raw("history", "--json").document["versions"]
    assert (found["a"], found["b"]) == (before["version"], newest["version"])
    assert [counts(found, stage) for stage in ("tags", "questions", "answers")] == [
        (0, 0, 0, 6),
        (0, 0, 0, 8),
        (0, 0, 8, 0),
    ]
    assert [(c["setting"], c["old"], c["new"]) for c in found["causes"]] == [("teacher.temperature", None, 0.9)]
    assert groups(found) == [("answers", "changed", 8, "settings", ["teacher.temperature"])]
    assert found["answers"]["reasoning_changed"] == found["answers"]["answer_changed"] == 8
    assert {item["id"] for item in found["groups"][0]["items"]} == {row["id"] for row in project.rows("answers")}
    assert diff(project, "latest", "latest~1")["causes"][0]["new"] is None


def test_what_grew_is_the_cause_of_what_is_new_and_what_is_below_follows(project: InProcess) -> None:
    build(project, "breadth=[3,2]", "questions_per_tag=3", "answers_per_question=2")
    assert groups(diff(project)) == [
        ("tags", "added", 1, "settings", ["breadth"]),
        ("tags", "added", 2, "above", []),
        ("questions", "added", 4, "settings", ["questions_per_tag"]),
        ("questions", "added", 6, "above", []),
        ("dedup", "added", 10, "above", []),
        ("answers", "added", 8, "settings", ["answers_per_question"]),
        ("answers", "added", 20, "above", []),
    ]
    assert [group[3:] for group in groups(diff(project, "latest", "latest~1"))] == [
        ("settings", ["breadth"]),
        ("above", []),
        ("settings", ["questions_per_tag"]),
        ("above", []),
        ("above", []),
        ("settings", ["answers_per_question"]),
        ("above", []),
    ]


def test_a_deeper_tree_is_the_cause_of_tags_and_of_questions_that_go(project: InProcess) -> None:
    build(project, "depth=3", "breadth=2")
    found = diff(project)
    assert [(c["setting"], c["old"], c["new"]) for c in found["causes"]] == [("depth", 2, 3)]
    assert groups(found)[0] == ("tags", "added", 8, "settings", ["depth"])
    assert ("questions", "removed", 8, "settings", ["depth"]) in groups(found)


def test_of_two_settings_the_one_that_reached_the_request_is_the_cause(project: InProcess) -> None:
    own_prompt(project, "en/answers.jinja", lambda text: "{# A comment. #}" + text)
    build(project, "teacher.temperature=0.9")
    found = diff(project)
    assert [cause["setting"] for cause in found["causes"]] == ["teacher.temperature", "en/answers.jinja"]
    assert groups(found) == [("answers", "changed", 8, "settings", ["teacher.temperature"])]


def test_an_edited_prompt_is_a_cause_and_is_shown_line_by_line(project: InProcess) -> None:
    own_prompt(
        project, "en/answers.jinja", lambda text: text.replace("{{ question }}", "{{ question }} Answer briefly.")
    )
    build(project)
    found = diff(project)
    (cause,) = found["causes"]
    assert cause["prompt"] == "en/answers.jinja"
    assert "briefly" in cause["new"]
    assert "briefly" not in cause["old"]
    assert groups(found) == [("answers", "changed", 8, "settings", ["en/answers.jinja"])]
    assert "+{{ question }} Answer briefly." in project.raw("diff", "-v").stdout
    assert "briefly" not in project.raw("diff").stdout


def test_the_same_request_with_another_response_was_asked_again(project: InProcess, endpoint: ScriptedServer) -> None:
    endpoint.plan = lambda number, body: (
        content("Quite another.") if kind_of(body) == "answers" else steady(number, body)
    )
    build(project, "--rebuild", f"sports/{project.rows('tags')[0]['label']}/*")
    found = diff(project)
    assert (found["causes"], groups(found)) == ([], [("answers", "changed", 4, "asked again", [])])
    assert "no setting or prompt differs" in project.raw("diff").stdout


def test_a_list_that_was_asked_again_is_told_from_one_that_grew(project: InProcess, endpoint: ScriptedServer) -> None:
    endpoint.plan = today
    build(project, "questions_per_tag=3", "--rebuild", f"sports/{project.rows('tags')[0]['label']}/*")
    assert [group for group in groups(diff(project)) if group[0] == "questions"] == [
        ("questions", "added", 6, "asked again", []),
        ("questions", "added", 2, "settings", ["questions_per_tag"]),
        ("questions", "removed", 4, "asked again", []),
    ]


def test_what_a_version_could_not_make_was_missing(project: InProcess, endpoint: ScriptedServer) -> None:
    endpoint.plan = lambda number, body: status(400) if kind_of(body) == "answers" else steady(number, body)
    build(project, "teacher.temperature=0.9", "limits.retries=0", status=1)
    assert groups(diff(project)) == [("answers", "removed", 8, "missing", [])]


def test_a_version_that_stopped_early_is_the_cause(project: InProcess) -> None:
    build(project, "--until", "tags")
    found = diff(project)
    assert groups(found) == [
        ("questions", "removed", 8, "until", []),
        ("dedup", "removed", 8, "above", []),
        ("answers", "removed", 8, "above", []),
    ]
    assert [cause["setting"] for cause in found["causes"]] == ["--until"]


def test_a_renamed_tag_is_one_line_and_all_below_it_is_the_same(project: InProcess, endpoint: ScriptedServer) -> None:
    endpoint.plan = other_label("Winter")
    build(project, "tagger.temperature=0.1")
    found = diff(project)
    old = items_at("tags", "sports")[1]
    assert [(row["old"], row["new"], row["tags_below"]) for row in found["renamed_tags"]] == [
        (["sports", old], ["sports", "Winter"], 2)
    ]
    assert [counts(found, stage) for stage in ("tags", "questions", "answers")] == [
        (0, 0, 1, 5),
        (0, 0, 0, 8),
        (0, 0, 0, 8),
    ]
    assert groups(found) == [("tags", "renamed", 1, "settings", ["tagger.temperature"])]
    assert f"sports / {old} → sports / Winter" in project.raw("diff").stdout


# One item.


def test_one_item_is_shown_word_by_word(project: InProcess, endpoint: ScriptedServer) -> None:
    before = project.rows("answers")[0]
    words = f"{before['answer'][:-1]} indeed."
    endpoint.plan = lambda number, body: (
        content(words, reasoning_content=before["reasoning"]) if kind_of(body) == "answers" else steady(number, body)
    )
    build(project, "teacher.temperature=0.9")
    shown = project.raw("diff", before["id"][:12])
    assert shown.status == 0, shown.stderr
    assert f"{before['answer'][:-1]}{{+ indeed+}}." in shown.stdout
    assert "Reasoning (the same in both)" in shown.stdout
    assert "teacher.temperature: null → 0.9" in shown.stdout
    document = diff(project, "latest~1", "latest", before["id"])
    assert (document["status"], document["settings"]) == ("changed", ["teacher.temperature"])
    assert ["added", " indeed"] in document["words"]["answer"]
    question, tag = before["question_id"], before["tag"]
    assert [diff(project, key)["status"] for key in (question, tag)] == ["same", "same"]


def today(number: int, body: Body) -> Fault | None:
    """The server of `steady`, with other questions."""
    if kind_of(body) != "questions":
        return steady(number, body)
    return content(json.dumps({"questions": [f"{q[:-1]} today?" for q in items_at("questions", place_of(body))]}))


def test_a_question_is_compared_with_the_one_that_took_its_place(project: InProcess, endpoint: ScriptedServer) -> None:
    before = project.rows("questions")[0]
    endpoint.plan = today
    build(project, "student.temperature=0.9", "questions_per_tag=3")
    for key in (before["id"], project.rows("questions")[0]["id"]):
        document = diff(project, key)
        assert document["status"] == "replaced"
        assert document["words"]["question"][1] == ["added", " today"]
    assert groups(diff(project))[:2] == [
        ("questions", "added", 12, "settings", ["student.temperature", "questions_per_tag"]),
        ("questions", "removed", 8, "settings", ["student.temperature"]),
    ]


def test_an_item_under_a_renamed_tag_is_found_by_either_id(project: InProcess, endpoint: ScriptedServer) -> None:
    before = {row["question"]: row["id"] for row in project.rows("answers")}
    endpoint.plan = other_label("Winter")
    build(project, "tagger.temperature=0.1")
    after = next(row for row in project.rows("answers") if "Winter" in row["path"])
    for key in (after["id"], before[after["question"]]):
        document = diff(project, key)
        assert (document["old"]["id"], document["new"]["id"]) == (before[after["question"]], after["id"])
        assert document["status"] == "same"


# What is compared.


def test_a_colleagues_folder_needs_no_cache(project: InProcess) -> None:
    shutil.copytree(project.folder(), project.root / "colleague")
    build(project, "teacher.temperature=0.9")
    shutil.rmtree(project.root / ".distill-cache")
    words = ("colleague", "outputs/sports")
    assert groups(diff(project, *words)) == [("answers", "changed", 8, "settings", ["teacher.temperature"])]
    shutil.rmtree(project.root / "colleague/runs")
    found = diff(project, *words)
    assert groups(found) == [("answers", "changed", 8, "settings", ["teacher.temperature"])], "the lock knows settings"
    (project.root / "colleague/distill.lock").unlink()
    found = diff(project, *words)
    assert (groups(found), found["causes"]) == ([("answers", "changed", 8, "unknown", [])], [])
    assert "settings are not known" in found["notes"][0]
    assert project.raw("diff", "latest", "colleague").status == 2


def test_a_lock_is_its_version_where_the_cache_has_that(project: InProcess) -> None:
    shutil.copy(project.folder() / "distill.lock", project.root / "old.lock")
    commit(project.root)
    build(project, "teacher.temperature=0.9")
    expected = diff(project)
    for name in ("old.lock", "git:HEAD", expected["a"][:8], expected["a"][:4].upper()):
        assert diff(project, name)["groups"] == expected["groups"]


def test_of_a_lock_alone_counts_and_settings_are_compared(project: InProcess) -> None:
    commit(project.root)
    shutil.rmtree(project.root / ".distill-cache")
    shutil.rmtree(project.folder() / "runs")  # else the build would keep what it replaces
    build(project, "teacher.temperature=0.9", "breadth=[3,2]", "--until", "questions")
    found = diff(project, "git:HEAD")
    assert (found["different"], found["items_compared"], found["tags"], found["groups"]) == (True, False, None, [])
    assert counts(found, "answers") == (0, 8, 0, 0)
    assert {cause["setting"] for cause in found["causes"]} == {"--until", "teacher.temperature", "breadth"}
    (note,) = found["notes"]
    assert "items cannot be compared: bring it by cache pull" in note
    assert note in project.raw("diff", "git:HEAD").stdout
    refused = project.raw("diff", "git:HEAD", "latest", "t_0")
    assert (refused.status, "cannot be compared" in refused.stderr) == (2, True)


def test_a_folder_stands_for_the_files_in_it_whatever_its_lock_names(project: InProcess) -> None:
    rows = project.folder() / "answers.jsonl"
    rows.write_bytes(rows.read_bytes().replace(b'"answer":"', b'"answer":"Edited. ', 1))
    edited = project.rows("answers")[0]["id"]
    found = diff(project, "latest", "outputs/sports")
    assert counts(found, "answers") == (0, 0, 1, 7)
    assert groups(found) == [("answers", "changed", 1, "asked again", [])]
    (note,) = found["notes"]
    assert "outputs/sports does not hold version" in note
    assert diff(project, "latest", "outputs/sports", edited)["notes"] == [note]
    for words in ((), ("-q",), (edited,)):
        assert note in project.raw("diff", "latest", "outputs/sports", *words).stdout
    assert "or edited by hand" in project.raw("diff", "latest", "outputs/sports").stdout
    locked = diff(project, "latest", "outputs/sports/distill.lock")
    assert (locked["different"], locked["notes"]) == (False, [])


def test_files_that_another_lock_lies_beside_are_the_version_that_they_are(project: InProcess) -> None:
    shutil.copy(project.folder() / "distill.lock", project.root / "old.lock")
    build(project, "teacher.temperature=0.9")
    expected = diff(project)
    shutil.move(project.root / "old.lock", project.folder() / "distill.lock")
    found = diff(project, "latest~1", "outputs/sports")
    assert (found["b"], found["causes"]) == (expected["b"], expected["causes"])
    assert "which its lock names" in found["notes"][0]


@pytest.mark.parametrize(
    ("file", "edit"),
    [
        ("tags.jsonl", lambda text: text.partition("\n")[2]),
        ("questions.jsonl", lambda text: text.replace('"question":"How', '"question":"Why', 1)),
        ("answers.jsonl", lambda text: text[:-9]),
        ("answers.jsonl", None),
    ],
    ids=["a tag is gone", "a question is reworded", "a line is cut", "a file is gone"],
)
def test_edited_files_whose_ids_say_nothing_any_more_are_not_compared(
    project: InProcess, file: str, edit: Callable[[str], str] | None
) -> None:
    place = project.folder() / file
    text = place.read_text()
    place.unlink()
    if edit is not None:
        place.write_text(edit(text))
    done = project.raw("diff", "latest", "outputs/sports")
    assert (done.status, done.stdout) == (4, "")
    assert "cannot be compared as they are: `distill-build verify outputs/sports` says more" in done.stderr


def commit(root: Path) -> None:
    """Commits the lock, as a user would."""
    author = ("-c", "user.name=Test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false")
    for words in (("init", "-q"), ("add", "outputs/sports/distill.lock"), ("commit", "-q", "-m", "lock")):
        subprocess.run(["git", *author, *words], cwd=root, check=True)


def test_of_several_datasets_the_path_says_which(project: InProcess) -> None:
    build(project, "teacher.temperature=0.9")
    shutil.copytree(project.folder(), project.folder("other"))
    assert project.raw("diff").status == 2
    assert diff(project, "-o", "sports")["answers"]["changed"] == 8
    assert diff(project, "outputs/sports", "latest~1")["answers"]["changed"] == 8


def test_one_name_is_compared_with_what_the_folder_holds(project: InProcess) -> None:
    build(project, "teacher.temperature=0.9")
    assert not diff(project, "latest")["different"]
    assert diff(project, "latest~1")["answers"]["changed"] == 8
    project.raw("checkout", "latest~1", "-q")
    assert diff(project, "latest")["answers"]["changed"] == diff(project, "outputs/sports")["answers"]["changed"] == 8
    assert "  latest\n  new  " in project.raw("diff", "latest").stdout
    for name in ("tags", "questions", "dedup", "answers"):
        (project.folder() / f"{name}.jsonl").unlink()
    assert diff(project, "latest~1")["answers"]["changed"] == 8, "a clone without rows"


# What is said.


def test_the_command_that_is_named_works_as_it_is_named(project: InProcess) -> None:
    build(project, "teacher.temperature=0.9")
    shutil.copytree(project.folder(), project.folder("other"))
    words = ("-o", "./outputs/sports", "--cache-dir", str(project.root / ".distill-cache"))
    last = project.raw("diff", *words).stdout.splitlines()[-1]
    command = last.removesuffix(" shows one item word by word").replace(" ID ", f" {project.rows('answers')[0]['id']} ")
    assert command.startswith("distill-build diff latest~1 latest a_")
    shown = project.raw(*shlex.split(command)[1:])
    assert (shown.status, "answer changed" in shown.stdout) == (0, True)


def test_the_first_screen_is_short_and_says_what_why_and_how_to_see_more(project: InProcess) -> None:
    build(project, "teacher.temperature=0.9", "breadth=[4,2]")
    done = Workspace(project.root).raw("diff", environment={"PYTHONPROFILEIMPORTTIME": "1"})
    lines = done.stdout.splitlines()
    assert lines[0] == "sports"
    assert len(lines) <= 40
    assert "  teacher.temperature: null → 0.9" in lines
    assert "8 answers changed: teacher.temperature: null → 0.9" in lines
    assert "2 tags added: breadth: 2 → [4,2]" in lines
    assert "    and 5 more" in lines
    path = " / ".join(project.rows("answers")[0]["path"])
    assert any(line.startswith("  ~ a_") and f"{path}: " in line for line in lines)
    assert not any(heavy in done.stderr for heavy in ("hydra", "omegaconf", "diskcache", "aiohttp", "jinja2", "rich"))
    everything = project.raw("diff", "-v").stdout
    assert all(row["id"] in everything for row in project.rows("answers"))
    assert len(project.raw("diff", "-q").stdout.splitlines()) == 5


def test_changes_are_coloured_on_a_terminal_and_nothing_obeys_a_models_words(
    project: InProcess, endpoint: ScriptedServer
) -> None:
    endpoint.plan = lambda number, body: (
        content("\x1b]0;owned\x07New") if kind_of(body) == "answers" else steady(number, body)
    )
    build(project, "teacher.temperature=0.9")
    words = ["diff", project.rows("answers")[0]["id"]]
    shown = on_terminal(project.root, words)
    assert "\x1b[1;32m" in shown
    assert "{+" not in shown
    plain = on_terminal(project.root, words, NO_COLOR="1")
    assert "{+" in plain
    for text in (shown, plain, project.raw(*words).stdout):
        assert "\x1b]" not in text
        assert "owned" in text


def on_terminal(root: Path, words: list[str], **environment: str) -> str:
    """What a command prints on a terminal."""
    master, slave = pty.openpty()
    given = {**os.environ, "TERM": "xterm-256color", **environment}
    with subprocess.Popen([*COMMAND, *words], cwd=root, env=given, stdin=subprocess.DEVNULL, stdout=slave) as child:
        os.close(slave)
        shown = read_all(master)
    os.close(master)
    assert child.returncode == 0, shown
    return shown


def test_the_exit_code_tells_a_difference_where_that_is_asked_for(project: InProcess) -> None:
    build(project, "teacher.temperature=0.9")
    assert project.raw("diff").status == 0
    assert project.raw("diff", "--exit-code").status == 1
    assert project.raw("diff", "--exit-code", "--json").document["different"]
    assert project.raw("diff", "--exit-code", "latest", "latest").status == 0
    assert "nothing differs" in project.raw("diff", "latest", "outputs/sports").stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "sports has 1 version"),
        (("nonsense",), "names no version"),
        (("x" * 5000,), "names no version"),
        (("abc",), "at least 4 digits"),
        (("nowhere/distill.lock",), "there is no nowhere/distill.lock: name an output folder or a lock file"),
        (("latest", "latest", "sports"), "is no id"),
        (("latest", "latest", "a_"), "several ids begin with a_"),
        (("latest", "latest", "q_ffff"), "neither version has q_ffff"),
        (("latest", "latest~7"), "sports has 1 version"),
        (("latest", "outputs/sports/tags.jsonl"), "tags.jsonl is no lock: name an output folder or a lock file"),
        (("latest", "outputs"), "there is no outputs/distill.lock: name an output folder or a lock file"),
    ],
)
def test_a_name_that_means_nothing_gets_a_sentence(project: InProcess, words: tuple[str, ...], said: str) -> None:
    done: Finished = project.raw("diff", *words)
    assert (done.status, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert said in done.stderr


def test_damage_is_said_with_the_way_out(project: InProcess) -> None:
    build(project, "teacher.temperature=0.9")
    for path in (project.root / ".distill-cache/objects").rglob("*"):
        if path.is_file():
            path.write_bytes(b"damaged")
    done = project.raw("diff")
    assert (done.status, "cache pull" in done.stderr, "Traceback" in done.stderr) == (5, True, False)
