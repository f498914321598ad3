"""A setting reaches exactly the items whose request it changes (guarantees 2 and 4), counted at the server.

The server's lists depend on the place in the tree alone, so a stage that is asked again yields what it did before:
what is asked is then what the setting itself reaches, and nothing that merely follows from it.
"""

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from unittest.mock import patch

import pytest

from distill_build.cli.dispatch import main
from distill_build.prompting.files import packed_folder
from tests.e2e.workspace import Finished, Workspace
from tests.server import Body, Fault, Kind, ScriptedServer, content, labels, schema_of

SMALL = ("topic=sports", "depth=1", "breadth=2", "questions_per_tag=2")
COUNTS = {"tags": 1, "questions": 2, "answers": 4}
ROLES = {"tagger": "tags", "student": "questions", "teacher": "answers"}


@dataclass
class InProcess(Workspace):
    """The same command line without a process of its own, which takes a tenth of the time."""

    def raw(self, *words: str, environment: dict[str, str] | None = None) -> Finished:
        """Runs the words as they are."""
        out, err = StringIO(), StringIO()
        with (
            chdir(self.root),
            patch.dict(os.environ, environment or {}),
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            status = main(words)
        return Finished(status, out.getvalue(), err.getvalue())


def kind_of(body: Body) -> Kind:
    """What a request asks for, also where no schema says it: our list prompts name their list."""
    text = json.dumps(schema_of(body)) + " ".join(message["content"] for message in body["messages"])
    kinds: tuple[Kind, ...] = ("questions", "tags")
    return next((kind for kind in kinds if f'"{kind}"' in text), "answers")


def place_of(body: Body) -> str:
    """The path that a list is asked for, as the prompt writes it; for an answer its question."""
    last = str(body["messages"][-1]["content"])
    found = re.search(r"(?:Subject: |：)([^\n]+)", last)
    return found[1] if found and kind_of(body) != "answers" else last


def items_at(kind: Kind, place: str) -> list[str]:
    """The five items that the server always gives at a place."""
    return labels({"place": place}, kind, 5)


def steady(_: int, body: Body) -> Fault | None:
    """Lists by place alone."""
    kind = kind_of(body)
    return None if kind == "answers" else content(json.dumps({kind: items_at(kind, place_of(body))}))


def own_prompt(project: Workspace, file: str, edit: Callable[[str], str]) -> None:
    """Puts an edited copy of a packed prompt into the project."""
    target = project.root / "prompts" / file
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(edit((packed_folder() / file).read_text(encoding="utf-8")), encoding="utf-8")


@pytest.fixture(scope="module")
def endpoint() -> Iterator[ScriptedServer]:
    with ScriptedServer(plan=steady, classify=kind_of) as running:
        yield running


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, endpoint: ScriptedServer) -> Path:
    """A project that was built once, to be copied."""
    root = tmp_path_factory.mktemp("built")
    assert InProcess(root, endpoint).run(*SMALL).status == 0
    assert endpoint.kinds == COUNTS
    return root


@pytest.fixture
def project(built: Path, tmp_path: Path, endpoint: ScriptedServer) -> InProcess:
    """A copy of the project that was built, and a server that has counted nothing yet."""
    shutil.copytree(built, tmp_path, dirs_exist_ok=True)
    endpoint.plan = steady
    endpoint.reset()
    return InProcess(tmp_path, endpoint)


# Settings that reach requests.

PER_ROLE = (
    "temperature=0",
    "top_p=0.5",
    "max_tokens=77",
    "revision=second",
    "name=another",
    "send_seed=false",
    "examples=true",
    "extra_body={top_k: 20}",
)
AFFECTED = {(f"{role}.{word}",): [stage] for role, stage in ROLES.items() for word in PER_ROLE} | {
    ("tagger.structured=json_object",): ["tags"],
    ("tagger.structured=none",): ["tags"],
    ("student.structured=json_object",): ["questions"],
    ("student.structured=none",): ["questions"],
    ("model.temperature=0.3",): ["tags", "questions", "answers"],
    ("model.revision=second",): ["tags", "questions", "answers"],
    ("model.temperature=0.3", "teacher.temperature=null"): ["tags", "questions"],
    ("seed=1",): ["tags", "questions", "answers"],
    ("language=zh",): ["tags", "questions"],
    ("per_request.tags=3",): ["tags"],
    ("per_request.questions=4",): ["questions"],
    ("system_prompt=Answer briefly",): ["answers"],
    ("description=played with a ball, outdoors",): ["tags", "questions"],
    ("audience=children of ten years",): ["tags", "questions", "answers"],
    ("axes={difficulty: {easy: 0.5, hard: 0.5}}",): ["questions"],
}
"""Words → the stages whose requests they change, each asked in full. The answer prompt is the same in zh."""


@pytest.mark.parametrize("words", AFFECTED, ids=" ".join)
def test_a_setting_asks_again_for_the_stages_whose_requests_it_changes(
    project: InProcess, endpoint: ScriptedServer, words: tuple[str, ...]
) -> None:
    before = project.bytes()
    assert project.run(*SMALL, *words).status == 0
    assert endpoint.kinds == {stage: COUNTS[stage] for stage in AFFECTED[words]}
    endpoint.reset()
    assert project.run(*SMALL).status == 0
    assert (endpoint.count, project.bytes()) == (0, before), "going back costs nothing and brings the old bytes"


@pytest.mark.parametrize("role", ROLES)
def test_the_name_of_the_token_limit_is_identity_where_there_is_a_limit(
    project: InProcess, endpoint: ScriptedServer, role: str
) -> None:
    project.run(*SMALL, f"{role}.max_tokens=77")
    endpoint.reset()
    project.run(*SMALL, f"{role}.max_tokens=77", f"{role}.max_tokens_field=max_completion_tokens")
    stage = ROLES[role]
    assert endpoint.kinds == {stage: COUNTS[stage]}
    assert all(request.body["max_completion_tokens"] == 77 for request in endpoint.requests)
    assert not any("max_tokens" in request.body for request in endpoint.requests)


# Settings that reach none.

UNAFFECTING = (
    ("limits.concurrency=1",),
    ("limits.rpm=6000",),
    ("limits.tpm=1000000",),
    ("limits.timeout_s=5",),
    ("limits.retries=0",),
    ("limits.reasks=0",),
    ("budget.calls=0",),
    ("budget.tokens=0",),
    ("budget.usd=1", "model.prices.prompt=1", "model.prices.completion=2"),
    ("teacher.prices.prompt=9",),
    ("teacher.limits.concurrency=2",),
    ("tagger.limits.retries=1",),
    ("model.api_key_env=SOME_OTHER_KEY",),
    ("model.api_key_env=null",),
    ("model.api_key_required=true", "model.api_key_env=NOT_SET_AT_ALL"),
    ("model.stream=true",),
    ("teacher.stream=true",),
    ("teacher.base_url=http://127.0.0.1:9/v1",),
    ("teacher.structured=none",),
    ("model.max_tokens_field=max_completion_tokens",),
    ("model.path=weights.gguf",),
    ("output_dir=elsewhere",),
    ("name=another",),
)


NAMED_IN_THE_LOCK = (("teacher.structured=none",), ("name=another",))
"""Of these the lock tells: a prompt may use the one, and the other is what the lock is called."""


@pytest.mark.parametrize("words", UNAFFECTING, ids=" ".join)
def test_a_setting_that_changes_no_request_asks_nothing(
    project: InProcess, endpoint: ScriptedServer, words: tuple[str, ...]
) -> None:
    before = project.data() if words in NAMED_IN_THE_LOCK else project.bytes()
    finished = project.run(*SMALL, *words)
    assert (finished.status, endpoint.count) == (0, 0), finished.stderr
    place = project.root / ("elsewhere" if words == ("output_dir=elsewhere",) else "outputs")
    folder = place / ("another" if words == ("name=another",) else "sports")
    assert {name: (folder / name).read_bytes() for name in before} == before


@pytest.mark.parametrize(
    "word", ["formats=[alpaca,csv]", "format.reasoning=drop", "format.reasoning=field", "format.metadata=false"]
)
def test_a_format_writes_exports_again_and_asks_nothing(
    project: InProcess, endpoint: ScriptedServer, word: str
) -> None:
    before = project.bytes()
    assert project.run(*SMALL, word).status == 0
    after = project.bytes()
    assert endpoint.count == 0
    artefacts = {"tags.jsonl", "questions.jsonl", "dedup.jsonl", "answers.jsonl"}
    assert {name: after[name] for name in artefacts} == {name: before[name] for name in artefacts}
    assert after != before
    assert after["distill.lock"] != before["distill.lock"], "the lock has the digests of exports"


def test_a_model_that_moved_to_another_address_is_asked_nothing(project: InProcess, endpoint: ScriptedServer) -> None:
    before = project.bytes()
    with ScriptedServer(plan=steady, classify=kind_of) as moved:
        assert InProcess(project.root, moved).run(*SMALL).status == 0
        assert (endpoint.count, moved.count) == (0, 0)
        assert project.bytes() == before
        InProcess(project.root, moved).run(*SMALL, "answers_per_question=2")
        assert (endpoint.count, moved.kinds) == (0, {"answers": 4})


def test_another_topic_is_another_dataset_and_the_first_one_stays(project: InProcess, endpoint: ScriptedServer) -> None:
    before = project.bytes()
    assert project.run("topic=music", *SMALL[1:]).status == 0
    assert endpoint.kinds == COUNTS
    endpoint.reset()
    project.run("topic=music", *SMALL[1:])
    project.run(*SMALL)
    assert (endpoint.count, project.bytes()) == (0, before)


# Prompts.


@pytest.mark.parametrize("file", ["tags", "questions", "answers", "reask"])
@pytest.mark.parametrize(
    "addition",
    ["{# a note to ourselves #}\n\n", "{% set unused = examples %}\n"],
    ids=["a comment", "an unused variable"],
)
def test_an_edit_that_renders_the_same_asks_nothing(
    project: InProcess, endpoint: ScriptedServer, file: str, addition: str
) -> None:
    known = addition.replace("examples", "error") if file == "reask" else addition
    before = project.data()
    own_prompt(project, f"en/{file}.jinja", lambda text: known + text)
    assert project.run(*SMALL).status == 0
    assert (endpoint.count, project.data()) == (0, before)


EDITS: dict[str, tuple[str, str]] = {
    "tags": ("You divide", "You carefully divide"),
    "questions": ("You write", "You carefully write"),
    "answers": ("{{ question }}", "{{ question }} Answer carefully."),
}


def edit_prompt(project: InProcess, stage: str) -> None:
    """Makes the stage's own prompt ask for care."""
    old, new = EDITS[stage]
    own_prompt(project, f"en/{stage}.jinja", lambda text: text.replace(old, new))


@pytest.mark.parametrize("stage", COUNTS)
def test_an_edited_prompt_asks_its_own_stage_and_nothing_below_what_came_out_the_same(
    project: InProcess, endpoint: ScriptedServer, stage: str
) -> None:
    before = project.rows("questions")
    edit_prompt(project, stage)
    assert project.run(*SMALL).status == 0
    assert endpoint.kinds == {stage: COUNTS[stage]}
    assert all("arefully" in str(request.body["messages"]) for request in endpoint.requests)
    assert project.rows("questions") == before
    endpoint.reset()
    shutil.rmtree(project.root / "prompts")
    project.run(*SMALL)
    assert endpoint.count == 0


def careful_differs_at(kind: Kind, place: str, index: int, item: str) -> Callable[[int, Body], Fault | None]:
    """`steady`, but for one item that is another one where the prompt asks for care."""

    def plan(number: int, body: Body) -> Fault | None:
        if kind_of(body) != kind or place_of(body) != place or "carefully" not in str(body["messages"]):
            return steady(number, body)
        items = items_at(kind, place)
        items[index] = item
        return content(json.dumps({kind: items}))

    return plan


def test_a_question_that_changed_has_its_answer_asked_and_no_other(
    project: InProcess, endpoint: ScriptedServer
) -> None:
    before = {row["question"]: row for row in project.rows("answers")}
    place = " > ".join(project.rows("tags")[1]["path"])
    endpoint.plan = careful_differs_at("questions", place, 1, "Why is this one new?")
    edit_prompt(project, "questions")
    assert project.run(*SMALL).status == 0
    assert endpoint.kinds == {"questions": 2, "answers": 1}
    assert endpoint.requests[-1].body["messages"][-1]["content"] == "Why is this one new?"
    after = {row["question"]: row for row in project.rows("answers")}
    assert after.keys() - before.keys() == {"Why is this one new?"}
    assert all(after[question] == before[question] for question in after.keys() & before.keys())


def test_a_tag_that_changed_has_what_is_below_it_asked_and_nothing_beside_it(
    project: InProcess, endpoint: ScriptedServer
) -> None:
    kept = project.rows("tags")[0]
    endpoint.plan = careful_differs_at("tags", "sports", 1, "Water Sports")
    edit_prompt(project, "tags")
    assert project.run(*SMALL).status == 0
    assert endpoint.kinds == {"tags": 1, "questions": 1, "answers": 2}
    assert [tag["label"] for tag in project.rows("tags")] == [kept["label"], "Water Sports"]
    assert project.rows("tags")[0] == kept


def test_a_setting_that_a_prompt_does_not_use_reaches_no_request(project: InProcess, endpoint: ScriptedServer) -> None:
    for stage, request in (
        ("tags", "{{ path | join(' > ') }}"),
        ("questions", "{{ tag }}"),
        ("answers", "{{ question }}"),
    ):
        name = f'"{stage}": ' if stage != "answers" else ""
        message = f'{{% call message("user") %}}{name}{request}{{% endcall %}}'
        own_prompt(project, f"en/{stage}.jinja", lambda _, message=message: message)  # type: ignore[misc]
    project.run(*SMALL)
    endpoint.reset()
    assert project.run(*SMALL, "system_prompt=Be brief", "model.examples=true").status == 0
    assert endpoint.count == 0


def test_an_included_file_is_identity_where_it_is_rendered(project: InProcess, endpoint: ScriptedServer) -> None:
    own_prompt(project, "en/questions.examples.jinja", lambda text: text.replace("Baking", "Roasting"))
    project.run(*SMALL)
    assert endpoint.count == 0
    project.run(*SMALL, "student.examples=true")
    assert endpoint.kinds == {"questions": 2}
    assert "Roasting" in str(endpoint.requests[0].body["messages"])


def test_the_prompts_of_another_language_are_not_looked_at(project: InProcess, endpoint: ScriptedServer) -> None:
    own_prompt(project, "zh/answers.jinja", lambda text: text.replace("{{ question }}", "请回答：{{ question }}"))
    project.run(*SMALL)
    assert endpoint.count == 0


# What is sent.


def test_zero_is_sent_as_zero_and_null_is_not_sent(project: InProcess, endpoint: ScriptedServer) -> None:
    words = ("model.temperature=0.7", "model.top_p=0.9", "model.max_tokens=50")
    own = ("student.temperature=0", "teacher.temperature=null", "teacher.top_p=null", "teacher.max_tokens=null")
    project.run(*SMALL, *words, *own)
    assert endpoint.kinds == {"tags": 1, "questions": 2}, "the answers are those without any parameter"
    sent = {kind: [request.body for request in endpoint.requests if request.kind == kind] for kind in COUNTS}
    assert [body["temperature"] for body in sent["tags"]] == [0.7]
    assert [body["temperature"] for body in sent["questions"]] == [0, 0]
    assert {(body["top_p"], body["max_tokens"]) for body in sent["tags"] + sent["questions"]} == {(0.9, 50)}


def test_a_role_sends_nothing_that_is_null_for_it(project: InProcess, endpoint: ScriptedServer) -> None:
    words = ("model.temperature=0.7", "model.top_p=0.9", "model.max_tokens=50", "seed=3")
    own = ("teacher.temperature=null", "teacher.top_p=null", "teacher.max_tokens=null", "teacher.send_seed=false")
    project.run(*SMALL, *words, *own)
    answers = [request.body for request in endpoint.requests if request.kind == "answers"]
    assert [set(body) for body in answers] == [{"model", "messages"}] * 4


def test_an_extra_body_is_sent_as_it_is(project: InProcess, endpoint: ScriptedServer) -> None:
    body = "{top_k: 20, chat_template_kwargs: {enable_thinking: false}, stop: [a, null]}"
    project.run(*SMALL, f"teacher.extra_body={body}")
    assert endpoint.kinds == {"answers": 4}
    for request in endpoint.requests:
        assert request.body["top_k"] == 20
        assert request.body["chat_template_kwargs"] == {"enable_thinking": False}
        assert request.body["stop"] == ["a", None]


def test_samples_of_one_question_have_seeds_of_their_own(project: InProcess, endpoint: ScriptedServer) -> None:
    project.run(*SMALL, "answers_per_question=3")
    assert endpoint.kinds == {"answers": 8}
    assert len({(str(request.body["messages"]), request.body["seed"]) for request in endpoint.requests}) == 8


def test_the_real_command_asks_for_answers_alone_when_the_teacher_changes(
    workspace: Workspace, server: ScriptedServer
) -> None:
    workspace.run(*SMALL)
    server.reset()
    assert workspace.run(*SMALL, "teacher.temperature=0.2").status == 0
    assert server.kinds == {"answers": 4}


@pytest.mark.parametrize("body", ["{x: nan}", "{x: inf}"])
def test_an_extra_body_that_json_cannot_write_is_a_mistake_of_the_configuration(
    project: InProcess, endpoint: ScriptedServer, body: str
) -> None:
    finished = project.run(*SMALL, f"teacher.extra_body={body}")
    assert (finished.status, endpoint.count) == (2, 0), finished.stderr
    assert "extra_body" in finished.stderr
