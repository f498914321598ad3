"""--locked, --frozen and --offline: decided before any request, said with its cause, and nothing is replaced."""

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from distill_build.engine.store import Store
from tests.e2e.test_only_what_is_affected import InProcess, edit_prompt, own_prompt
from tests.e2e.workspace import LOCK, Finished, Workspace
from tests.server import Body, Fault, ScriptedServer, classify, content, status

SMALL = ("topic=sports", "depth=1", "breadth=2", "questions_per_tag=2")
PRICED = ("model.prices.prompt=1", "model.prices.completion=2")


@pytest.fixture(scope="module")
def endpoint() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        yield running


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, endpoint: ScriptedServer) -> Path:
    """A project that was built once, to be copied."""
    folder = tmp_path_factory.mktemp("built")
    endpoint.plan = ()  # a test that was here first may have left faults
    assert InProcess(folder, endpoint).run(*SMALL).status == 0
    return folder


@pytest.fixture
def built(root: Path, tmp_path: Path, endpoint: ScriptedServer) -> InProcess:
    """A copy of the project; the server has counted nothing yet."""
    shutil.copytree(root, tmp_path, dirs_exist_ok=True)
    endpoint.plan = ()
    endpoint.reset()
    return InProcess(tmp_path, endpoint)


def everything(project: Workspace) -> dict[str, bytes]:
    """Every byte of the dataset's folder, runs/ among it, but for the record of the run itself."""
    files = sorted(path for path in project.folder().rglob("*") if path.is_file())
    kept = [path for path in files if path.name not in ("events.jsonl", "lock")]
    return {str(path): path.read_bytes() for path in kept}


def refused(project: InProcess, *words: str, flag: str = "--locked") -> str:
    """What build and plan say, alike, when they refuse: no request, nothing replaced, one sentence."""
    before, versions = everything(project), kept_versions(project)
    sentences = []
    for command in ("build", "plan"):
        finished = project.run(command, *SMALL, *words, flag)
        assert finished.status == 4, (command, finished.status, finished.stderr)
        sentences.append(sentence(finished))
    assert sentences[0] == sentences[1]
    assert project.server is not None
    assert project.server.count == 0
    assert everything(project) == before
    assert kept_versions(project) == versions
    return sentences[0]


def sentence(finished: Finished) -> str:
    (line,) = [line for line in finished.stderr.splitlines() if line.startswith("distill-build: ")]
    return line


def kept_versions(project: Workspace) -> list[str]:
    return sorted(path.name for path in (project.root / ".distill-cache" / "versions").glob("*"))


def accepted(project: InProcess, *words: str, flag: str = "--locked") -> None:
    """Build and plan both have nothing against it, ask nothing, and the files stay what they are."""
    before, places = project.bytes(), sorted(project.folder().rglob("*"))
    assert project.run("plan", *SMALL, *words, flag).status == 0
    assert sorted(project.folder().rglob("*")) == places, "a plan leaves nothing behind"
    finished = project.run(*SMALL, *words, flag)
    assert (finished.status, project.bytes()) == (0, before), finished.stderr
    assert project.server is not None
    assert project.server.count == 0


# What differs is named


SETTINGS = {
    ("teacher.temperature=0.9", "student.temperature=0"): "teacher.temperature: null → 0.9",
    ("teacher.name=other", "+teacher.extra_body={top_k: 5}"): "teacher.extra_body.top_k: null → 5",
    ("language=zh", "seed=7"): "seed: 0 → 7",
    ("breadth=3",): ". breadth: 2 → 3. Set that back",
    ("breadth=1",): "breadth: 2 → 1",
    ("depth=2",): "depth: 1 → 2",
    ("questions_per_tag=1",): "questions_per_tag: 2 → 1",
    ("formats=[alpaca]",): 'formats: ["messages"] → ["alpaca"]',
    ("format.reasoning=drop",): "format.reasoning: think → drop",
    ("--until", "questions"): "--until: dataset → questions",
    ("--until", "dedup"): "--until: dataset → dedup",
    ("--until", "answers"): "--until: dataset → answers",
}


@pytest.mark.parametrize("words", SETTINGS, ids=" ".join)
def test_a_setting_that_gives_another_version_is_named(built: InProcess, words: tuple[str, ...]) -> None:
    assert SETTINGS[words] in refused(built, *words, flag="--frozen")


def test_prompts_that_give_another_version_are_named(built: InProcess) -> None:
    for stage in ("tags", "questions", "answers"):
        edit_prompt(built, stage)
    said = refused(built)
    for stage in ("tags", "questions", "answers"):
        assert f"prompt en/{stage}.jinja edited" in said


def test_what_is_missing_is_said_with_its_number_place_and_cost(built: InProcess) -> None:
    said = refused(built, "breadth=3", *PRICED)
    assert "a build would send about 3 requests for about $0.0" in said, "five tags came, so the third is known"
    assert "the first for questions of sports / " in said
    assert "for about $" not in refused(built, "breadth=3")


def test_the_cost_of_one_call_that_is_lost_is_that_of_one_call(built: InProcess) -> None:
    forget_answers(built, 1)
    said = refused(built, *PRICED)
    assert "a build would send 1 request for about $" in said
    assert f"the first for answers of {' / '.join(built.rows('answers')[0]['path'])}" in said
    assert "No setting and no prompt differs: bring the locked version's responses by cache import" in said


def forget_answers(project: Workspace, number: int) -> None:
    """Takes the responses to the first so many questions out of the cache, and what is remembered of rows."""
    store = Store(project.root / ".distill-cache")
    assert store.remove([[row["call"] for row in project.rows("answers")[:number]]]) == number
    store.close()
    shutil.rmtree(project.folder() / "runs")


def test_a_response_that_was_asked_for_again_is_named_by_its_place(
    built: InProcess, endpoint: ScriptedServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """In a copy of the project somebody asks again, and the first response is lost; then comes the lock that was
    committed."""
    other = InProcess(tmp_path_factory.mktemp("copy") / "project", endpoint)
    shutil.copytree(built.root, other.root)
    place = built.rows("tags")[1]["path"]
    endpoint.plan = lambda _, body: content("Another answer.") if classify(body) == "answers" else None
    assert other.run(*SMALL, "--rebuild", "/".join(place), "name=sports").status == 0
    assert other.lock() != built.lock()
    forget_displaced(other)
    shutil.copy(built.folder() / LOCK, other.folder() / LOCK)
    endpoint.reset()
    said = refused(other)
    assert f"since other responses stand below {' / '.join(place)}." in said
    assert "No setting and no prompt differs" in said


def forget_displaced(project: Workspace) -> None:
    """Leaves of every call the response that stands, as a machine has it that never saw another one."""
    store = Store(project.root / ".distill-cache")
    for entry in list(map(store.get, list(store.keys()))):
        assert entry is not None
        assert entry.accepted is not None
        stands = entry.attempts[entry.accepted.place]
        store.remove([[entry.key]])
        store.unite([replace(entry, attempts=(stands,), accepted=replace(entry.accepted, place=0))])
    store.close()
    shutil.rmtree(project.folder() / "runs")


# What makes no difference


def test_settings_that_reach_no_byte_are_no_difference(built: InProcess) -> None:
    accepted(built)
    accepted(
        built, "limits.concurrency=1", "limits.rpm=60", "budget.calls=0", "teacher.structured=none", flag="--frozen"
    )
    accepted(built, "model.base_url=http://127.0.0.1:9/v1", "model.api_key_required=true", "model.api_key_env=NOT_SET")


def test_edited_comments_are_no_difference(built: InProcess) -> None:
    for file in ("tags", "questions", "answers"):
        own_prompt(built, f"en/{file}.jinja", lambda text: "{# a note #}\n" + text)
    accepted(built)


def test_a_lock_that_stayed_behind_a_comment_is_brought_in_line_by_the_next_free_build(built: InProcess) -> None:
    """Two machines with the same project write the same lock, whatever was built before."""
    before = built.lock()
    own_prompt(built, "en/answers.jinja", lambda text: "{# a note #}\n" + text)
    accepted(built)
    assert built.lock() == before
    assert built.run(*SMALL).status == 0
    after = built.lock()
    assert after != before
    shutil.rmtree(built.root / "outputs")
    assert built.run(*SMALL).status == 0
    assert built.lock() == after


def test_files_that_were_lost_come_back_as_they_were(built: InProcess) -> None:
    before, lock = built.bytes(), built.lock()
    for lost in ("answers.jsonl", "runs"):
        path = built.folder() / lost
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        assert built.run(*SMALL, "--frozen").status == 0
        assert built.bytes() == before
    shutil.rmtree(built.folder())
    built.folder().mkdir()
    (built.folder() / LOCK).write_text(lock)
    assert built.run(*SMALL, "--frozen").status == 0
    assert built.bytes() == before
    assert "up to date" in built.run(*SMALL, "--frozen").stderr


def test_an_edited_file_is_kept_aside_and_restored(built: InProcess) -> None:
    before = built.bytes()
    (built.folder() / "answers.jsonl").write_text("mine\n")
    finished = built.run(*SMALL, "--frozen")
    assert (finished.status, built.bytes()) == (0, before)
    assert "edited by hand" in finished.stderr
    assert [path.read_text() for path in (built.folder() / "runs").rglob("answers.jsonl")] == ["mine\n"]


# The lock itself


def test_frozen_wants_a_lock_and_locked_goes_by_one_where_there_is_one(
    built: InProcess, endpoint: ScriptedServer
) -> None:
    (built.folder() / LOCK).unlink()
    assert "there is no outputs/sports/distill.lock: build once" in refused(built, flag="--frozen")
    finished = built.run(*SMALL, "--locked", "seed=1")
    assert finished.status == 0
    assert endpoint.count == 7
    assert "there is no outputs/sports/distill.lock yet" in finished.stderr
    endpoint.reset()
    assert "seed: 1 → 0" in refused(built)


DAMAGES: dict[str, Callable[[str], str]] = {
    "merge conflict": lambda text: text.replace("scheme", "<<<<<<< ours\n=======\n>>>>>>> theirs\nscheme", 1),
    "edited by hand": lambda text: text.replace("counts.tags = 2", "counts.tags = 3"),
    "cut off": lambda text: text[: text.rindex("digest")],
    "scheme 99": lambda text: re.sub(r"(?m)^scheme = \d+$", "scheme = 99", text),
    "is no lock": lambda _: "this is no TOML",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_lock_that_cannot_be_gone_by_is_refused_and_a_plain_build_replaces_it(
    built: InProcess, endpoint: ScriptedServer, damage: str
) -> None:
    good = built.lock()
    bad = DAMAGES[damage](good)
    (built.folder() / LOCK).write_text(bad)
    assert damage in refused(built)
    finished = built.run(*SMALL)
    assert (finished.status, endpoint.count, built.lock()) == (0, 0, good)
    assert damage in finished.stderr
    (kept,) = (built.folder() / "runs").rglob(LOCK)
    assert kept.read_text() == bad
    assert str(kept.relative_to(built.root)) in finished.stderr


def test_a_build_offline_needs_no_lock(built: InProcess, endpoint: ScriptedServer) -> None:
    """What --offline promises has nothing to do with the lock."""
    good = built.lock()
    (built.folder() / LOCK).write_text("this is no TOML")
    assert built.run(*SMALL, "--offline").status == 0
    assert (endpoint.count, built.lock()) == (0, good)


def test_a_lock_of_another_version_is_what_counts(built: InProcess, endpoint: ScriptedServer) -> None:
    """As after `git pull`: the files here are older than the lock."""
    old = built.bytes()
    assert built.run(*SMALL, "breadth=3").status == 0
    new, lock = built.bytes(), built.lock()
    assert built.run(*SMALL).status == 0
    assert built.bytes() == old
    (built.folder() / LOCK).write_text(lock)
    endpoint.reset()
    assert "breadth: 3 → 2" in refused(built)
    assert built.run(*SMALL, "breadth=3", "--frozen").status == 0
    assert (endpoint.count, built.bytes()) == (0, new)


# A locked version that has missing items


def test_a_version_with_missing_items_is_given_again_as_it_was(tmp_path: Path, endpoint: ScriptedServer) -> None:
    project = InProcess(tmp_path, endpoint)
    lost: list[str] = []

    def plan(_: int, body: Body) -> Fault | None:
        if classify(body) != "answers":
            return None
        lost.append(str(body["messages"]))
        return status(400) if len(lost) == 2 else content("") if len(lost) == 3 else None

    endpoint.plan = plan
    endpoint.reset()
    words = ("limits.concurrency=1", "limits.retries=0", "limits.reasks=0")
    assert project.run(*SMALL, *words).status == 1
    before = project.bytes()
    assert len(project.rows("failures")) == 2
    assert "missing.answers = 2" in project.lock()
    endpoint.reset()
    assert project.run("plan", *SMALL, "--frozen").status == 0
    assert project.run(*SMALL, "--locked").status == 1
    assert (endpoint.count, project.bytes()) == (0, before), "what was not to be had, and why, is part of it"
    shutil.rmtree(project.root / "outputs")
    project.folder().mkdir(parents=True)
    (project.folder() / LOCK).write_bytes(before[LOCK])
    assert project.run(*SMALL, "--frozen").status == 1
    assert (endpoint.count, project.bytes()) == (0, before)
    endpoint.plan = ()
    assert project.run(*SMALL).status == 0
    assert endpoint.count == 2
    (project.folder() / LOCK).write_bytes(before[LOCK])
    endpoint.reset()
    assert "a build would give" in refused(project), "it has more than the lock says by now"


def test_a_version_without_a_single_answer_is_given_again_as_it_was(tmp_path: Path, endpoint: ScriptedServer) -> None:
    """So many items that fail stop a build that asks; here they say nothing of the model."""
    project = InProcess(tmp_path, endpoint)
    endpoint.plan = lambda _, body: content("") if classify(body) == "answers" else None
    many = (*SMALL[:3], "questions_per_tag=30")
    assert project.run(*many, "limits.reasks=0").status == 3
    before = project.bytes()
    endpoint.reset()
    (project.folder() / "runs" / "state.json").unlink()
    assert project.run(*many, "--frozen").status == 1
    assert (endpoint.count, project.bytes()) == (0, before)


# --offline


def test_offline_names_the_item_whose_call_is_not_there(built: InProcess) -> None:
    forget_answers(built, 2)
    row = built.rows("answers")[0]
    said = refused(built, flag="--offline")
    assert f"--offline: answers for {' / '.join(row['path'])} would need a request" in said
    assert "not in the cache: build without --offline, or bring the cache that has it" in said
    assert built.run(*SMALL, "--offline", "--until", "questions").status == 0


@pytest.mark.parametrize("words", [("build", "--locked"), ("build", "--frozen"), ("plan", "--offline")], ids=" ".join)
def test_asking_again_does_not_go_with_asking_nothing(built: InProcess, words: tuple[str, ...]) -> None:
    finished = built.run(*words, *SMALL, "--rebuild=*")
    assert finished.status == 2
    assert "--rebuild" in finished.stderr


@pytest.mark.parametrize("command", ["build", "plan"])
def test_a_refusal_is_one_document_for_programs(built: InProcess, command: str) -> None:
    finished = built.run(command, *SMALL, "seed=1", "--locked", "--json")
    assert finished.status == finished.document["exit_code"] == 4
    assert "seed: 0 → 1" in finished.document["error"]["message"]
