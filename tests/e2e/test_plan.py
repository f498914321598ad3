"""`plan` says what the build that follows will send, sends nothing itself and writes nothing."""

import json
import shutil
from collections.abc import Iterator
from math import ceil
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.test_growth import batches, lists_of, stuck_at
from tests.e2e.test_only_what_is_affected import InProcess, edit_prompt, own_prompt
from tests.e2e.workspace import WITHOUT_DEDUP, Workspace
from tests.server import Body, Fault, ScriptedServer, classify, content

PAIRS = ("topic=sports", "per_request.tags=2", "per_request.questions=2")
SHAPE = (*PAIRS, "depth=2", "breadth=2", "questions_per_tag=2")


@pytest.fixture(scope="module")
def endpoint() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        yield running


@pytest.fixture
def empty(tmp_path: Path, endpoint: ScriptedServer) -> InProcess:
    """A project without cache or outputs; the server has counted nothing yet."""
    endpoint.plan = ()
    endpoint.reset()
    return InProcess(tmp_path, endpoint)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, endpoint: ScriptedServer) -> Path:
    """A project that was built once, to be copied."""
    folder = tmp_path_factory.mktemp("built")
    endpoint.plan = ()
    assert InProcess(folder, endpoint).run(*SHAPE).status == 0
    return folder


@pytest.fixture
def built(root: Path, empty: InProcess, endpoint: ScriptedServer) -> InProcess:
    shutil.copytree(root, empty.root, dirs_exist_ok=True)
    endpoint.reset()
    return empty


def planned(project: Workspace, *words: str) -> dict[str, Any]:
    """The document of a plan, which sends nothing."""
    server = project.server
    assert server is not None
    before = server.count
    finished = project.run("plan", *words, "--json")
    assert (finished.status, server.count) == (0, before)
    document: dict[str, Any] = finished.document
    assert document["calls"] == sum(stage["ask"] + stage["unknown"] for stage in document["stages"].values())
    return document


def expected(depth: int, breadth: list[int], questions: int, answers: int, until: str, pair: int = 2) -> dict[str, int]:
    """Requests of a build in an empty cache, by stage, where each reply holds what was asked for."""
    parents, tags = 1, 0
    for level in range(depth):
        tags += parents * ceil(breadth[level] / pair)
        parents *= breadth[level]
    counts = {"tags": tags, "questions": parents * ceil(questions / pair), "answers": parents * questions * answers}
    reached = {"tags": 1, "questions": 2, "dedup": 2}.get(until, 3)
    return dict(list(counts.items())[:reached])


# Plan and build.


@pytest.mark.parametrize("until", ["tags", "questions", "dedup", "answers", "dataset"])
@pytest.mark.parametrize(
    ("breadth", "questions", "answers"),
    [([1], 1, 1), ([3], 2, 1), ([4], 3, 2), ([3, 2], 3, 2), ([2, 5], 1, 1), ([2, 1, 3], 1, 1)],
    ids=str,
)
def test_on_an_empty_cache_the_plan_is_what_the_build_sends(
    empty: InProcess, endpoint: ScriptedServer, breadth: list[int], questions: int, answers: int, until: str
) -> None:
    words = [*PAIRS, f"depth={len(breadth)}", f"breadth={breadth}".replace(" ", ""), f"questions_per_tag={questions}",
             f"answers_per_question={answers}", "--until", until]  # fmt: skip
    wanted = expected(len(breadth), breadth, questions, answers, until)
    plan = planned(empty, *words)
    assert {name: stage["ask"] + stage["unknown"] for name, stage in plan["stages"].items() if name in wanted} == wanted
    assert plan["calls"] == sum(wanted.values())
    done = empty.run(*words, "--json").document
    assert endpoint.kinds == wanted
    assert done["calls"] == plan["calls"]
    after = planned(empty, *words)
    assert (after["calls"], after["exact"]) == (0, True)
    assert {name: stage["cached"] for name, stage in after["stages"].items() if stage["cached"]} == wanted


CHANGES = (
    ("breadth=3",),
    ("breadth=[2,3]",),
    ("depth=1",),
    ("depth=3",),
    ("questions_per_tag=1",),
    ("questions_per_tag=3",),
    ("questions_per_tag=5", "answers_per_question=2"),
    ("answers_per_question=2",),
    ("teacher.temperature=0.5",),
    ("student.temperature=0.5",),
    ("tagger.temperature=0.5",),
    ("system_prompt=Be brief",),
    ("seed=5",),
    ("language=zh",),
    ("per_request.questions=1",),
    ("limits.concurrency=2",),
    ("formats=[csv]",),
    ("--until", "questions"),
    ("--until", "tags", "breadth=3"),
    ("--until", "questions", "breadth=3"),
    ("--rebuild", "sports/*"),
    ("--rebuild", "sports"),
    ("--rebuild", "sports/*/*"),
    ("questions_per_tag=3", "--rebuild", "sports/*/*"),
    ("name=another",),
)


@pytest.mark.parametrize("change", CHANGES, ids=" ".join)
def test_after_a_change_the_plan_is_what_the_build_sends(
    built: InProcess, endpoint: ScriptedServer, change: tuple[str, ...]
) -> None:
    plan = planned(built, *SHAPE, *change)
    done = built.run(*SHAPE, *change, "--json").document
    assert done["calls"] == endpoint.count
    assert plan["calls"] == endpoint.count, "the server gives what it is asked for, so the estimate holds too"
    stages = {name: stage["ask"] + stage["unknown"] for name, stage in plan["stages"].items()}
    assert {name: count for name, count in stages.items() if count} == endpoint.kinds
    assert done["stages"] == {
        name: {"cached": stage["cached"], "ask": stages[name], "unknown": 0} for name, stage in plan["stages"].items()
    }
    now = planned(built, *SHAPE, *(word for word in change if word != "--rebuild" and not word.startswith("sports")))
    assert {name: stage["cached"] for name, stage in now["stages"].items()} == {
        name: stage["cached"] + stage["ask"] for name, stage in done["stages"].items()
    }, "what was asked and what was not are together what the dataset is made from"
    unknown = any(stage["unknown"] for stage in plan["stages"].values())
    assert not (unknown and plan["exact"])


@pytest.mark.parametrize("stage", ["tags", "questions", "answers"])
def test_after_an_edited_prompt_the_plan_is_what_the_build_sends(
    built: InProcess, endpoint: ScriptedServer, stage: str
) -> None:
    edit_prompt(built, stage)
    plan = planned(built, *SHAPE)
    built.run(*SHAPE)
    assert plan["calls"] == endpoint.count
    assert plan["exact"] is (stage == "answers")


def test_a_change_that_reaches_answers_alone_is_planned_exactly(built: InProcess) -> None:
    for words in (
        ("answers_per_question=2",),
        ("teacher.top_p=0.5",),
        ("questions_per_tag=1",),
        ("depth=1", "--until", "tags"),
    ):
        assert planned(built, *SHAPE, *words)["exact"] is True, words


UNCERTAIN = [
    ("fewer items than asked", 1, ("depth=1", "breadth=2", "--until", "tags")),
    ("fewer items than asked", 1, ("depth=1", "breadth=4", "--until", "tags")),
    ("fewer items than asked", 1, ("depth=1", "breadth=2", "questions_per_tag=2", "--until", "questions")),
    ("more items than asked", 5, ("depth=1", "breadth=4", "--until", "tags")),
    ("fewer items than asked", 1, ("depth=1", "breadth=2", "questions_per_tag=2")),
]


@pytest.mark.parametrize(("given", "size", "words"), UNCERTAIN, ids=str)
def test_an_exact_plan_is_what_the_build_sends_whatever_the_endpoint_gives(
    empty: InProcess, endpoint: ScriptedServer, given: str, size: int, words: tuple[str, ...]
) -> None:
    endpoint.plan = batches(size)
    plan = planned(empty, *PAIRS, *words)
    empty.run(*PAIRS, *words)
    assert not plan["exact"] or plan["calls"] == endpoint.count, given


def test_an_exact_plan_of_the_last_request_of_a_level_is_what_the_build_sends(
    built: InProcess, endpoint: ScriptedServer
) -> None:
    endpoint.plan = batches(1)
    words = (*SHAPE, "breadth=[2,4]", "--until", "tags")
    plan = planned(built, *words)
    built.run(*words)
    assert not plan["exact"] or plan["calls"] == endpoint.count


def test_a_request_that_several_items_share_is_planned_once(empty: InProcess, endpoint: ScriptedServer) -> None:
    endpoint.plan = lists_of(["Tennis", "Squash"], ["How high is the net?", "Why is it so high?"])
    words = (*PAIRS, "depth=1", "breadth=2", "questions_per_tag=2", WITHOUT_DEDUP)
    empty.run(*words, "--until", "questions")
    endpoint.reset()
    plan = planned(empty, *words)
    assert (plan["exact"], plan["calls"]) == (True, 2)
    empty.run(*words)
    assert endpoint.kinds == {"answers": 2}


def test_a_parent_that_was_given_up_is_planned_again(empty: InProcess, endpoint: ScriptedServer) -> None:
    endpoint.plan = stuck_at("tags", "sports")
    words = (*PAIRS, "depth=1", "breadth=4", "questions_per_tag=1")
    assert empty.run(*words).status == 1
    plan = planned(empty, *words)
    assert plan["stages"]["tags"]["ask"] == 1
    assert plan["exact"] is False
    endpoint.plan = ()
    endpoint.reset()
    assert empty.run(*words).status == 0
    assert plan["calls"] == endpoint.count == 1 + 2 + 2


# What a plan leaves and says.


def tree_of(root: Path) -> dict[str, bytes]:
    """All files and folders with their contents; of the database, which notes that it was opened, the name alone."""
    paths = [path for path in root.rglob("*") if not path.name.endswith(("-wal", "-shm"))]
    read = {path: path.is_file() and path.name != "cache.db" for path in paths}
    return {str(path.relative_to(root)): path.read_bytes() if read[path] else b"" for path in paths}


def test_a_plan_without_a_cache_makes_neither_cache_nor_outputs(empty: InProcess) -> None:
    planned(empty, *SHAPE)
    assert empty.run("plan", *SHAPE).status == 0
    assert tree_of(empty.root) == {}


def test_a_plan_after_a_build_changes_no_file(built: InProcess) -> None:
    before = tree_of(built.root)
    for change in ((), ("breadth=3",), ("teacher.temperature=1",), ("--until", "tags")):
        planned(built, *SHAPE, *change)
    assert tree_of(built.root) == before


def test_a_plan_of_a_dataset_that_was_edited_by_hand_leaves_the_edit(built: InProcess) -> None:
    (built.folder() / "answers.jsonl").write_text("mine\n")
    before = tree_of(built.root)
    assert planned(built, *SHAPE)["calls"] == 0
    assert tree_of(built.root) == before


def test_the_documents_of_plan_and_build_have_the_promised_shape(empty: InProcess, endpoint: ScriptedServer) -> None:
    priced = ("model.prices.prompt=1", "model.prices.completion=10")
    plan = planned(empty, *SHAPE)
    assert plan["usd"] is None
    dear = planned(empty, *SHAPE, *priced)
    build = empty.run(*SHAPE, *priced, "--json").document
    for document in (plan, dear, build):
        assert {"calls", "exact", "stages", "tokens", "usd"} <= document.keys()
        assert list(document["stages"]) == ["tags", "questions", "dedup", "answers"]
        assert all(stage.keys() >= {"cached", "ask", "unknown"} for stage in document["stages"].values())
        assert document["tokens"].keys() >= {"prompt", "completion"}
    assert {"version", "failures", "seconds"} <= build.keys()
    assert build["failures"] == 0
    prompt, completion = (dear["tokens"][side] for side in ("prompt", "completion"))
    assert dear["usd"] == pytest.approx((prompt + 10 * completion) / 1e6, rel=0.01)
    prompt, completion = (build["tokens"][side] for side in ("prompt", "completion"))
    assert build["usd"] == pytest.approx((prompt + 10 * completion) / 1e6)
    assert {name: stage["ask"] for name, stage in build["stages"].items() if stage["ask"]} == endpoint.kinds


def test_a_build_says_its_plan_before_the_first_request(workspace: Workspace, server: ScriptedServer) -> None:
    said = workspace.run("plan", *SHAPE)
    assert (said.status, server.count) == (0, 0)
    assert "15" in said.stdout
    assert "plan: about 15 requests" in workspace.run(*SHAPE).stderr
    assert server.count == 15


# Explain.


def explained(project: Workspace, *words: str) -> dict[str, Any]:
    finished = project.run("explain", *words, "--json")
    assert finished.status == 0, finished.stderr
    document: dict[str, Any] = finished.document
    return document


EXPLAINED = [
    ("teacher.temperature=0.5", "answers", "teacher.temperature", None, 0.5),
    ("student.max_tokens=50", "questions", "student.max_tokens", None, 50),
    ("tagger.revision=two", "tags", "tagger.revision", None, "two"),
    ("teacher.name=other", "answers", "teacher.name", "scripted", "other"),
    ("student.extra_body={top_k: 1}", "questions", "student.extra_body.top_k", None, 1),
    ("teacher.send_seed=false", "answers", "teacher.send_seed", True, False),
    ("seed=4", "tags", "seed", 0, 4),
    ("per_request.tags=3", "tags", "per_request.tags", 2, 3),
    ("system_prompt=Be brief", "answers", "system_prompt", None, "Be brief"),
    ("questions_per_tag=3", "counts", "questions_per_tag", 2, 3),
    ("format.reasoning=drop", "export", "format.reasoning", "think", "drop"),
]


@pytest.mark.parametrize(("word", "stage", "name", "old", "new"), EXPLAINED, ids=lambda value: str(value))
def test_explain_names_the_setting_with_its_old_and_its_new_value(
    built: InProcess, endpoint: ScriptedServer, word: str, stage: str, name: str, old: object, new: object
) -> None:
    rows = explained(built, *SHAPE, word)["changed"]
    assert {"input": name, "old": old, "new": new} in rows[stage]
    assert set(rows) >= {stage}
    if name.split(".")[0] in ("teacher", "student", "tagger"):
        assert set(rows) == {stage}
        assert len(rows[stage]) == 1
    assert endpoint.count == 0
    assert f"{name}: " in built.run("explain", *SHAPE, word).stdout


def test_explain_shows_an_edited_prompt_line_by_line(built: InProcess, endpoint: ScriptedServer) -> None:
    edit_prompt(built, "questions")
    said = built.run("explain", *SHAPE).stdout
    assert "en/questions.jinja" in said
    assert any(line.strip().startswith("-") and "You write" in line for line in said.splitlines())
    assert any(line.strip().startswith("+") and "You carefully write" in line for line in said.splitlines())
    assert set(explained(built, *SHAPE)["changed"]) == {"questions"}
    assert endpoint.count == 0


def test_explain_says_what_it_costs_as_the_plan_does(built: InProcess) -> None:
    words = (*SHAPE, "teacher.temperature=0", "model.prices.prompt=1000", "model.prices.completion=1000")
    said = built.run("explain", *words).stdout.splitlines()[-1]
    assert said.startswith("all of it: 8 requests (8 for answers), about ")
    money = [word.rstrip(",") for word in said.split() if word.startswith("$")]
    assert len(money) == 1
    assert money[0] in built.run("plan", *words).stdout
    assert "all of it" not in built.run("explain", *SHAPE).stdout


def test_explain_finds_nothing_where_nothing_changed(built: InProcess) -> None:
    document = explained(built, *SHAPE, "limits.concurrency=3")
    assert document["changed"] == {}
    assert document["plan"]["calls"] == 0


@pytest.mark.parametrize(
    ("artefact", "word", "place"),
    [
        ("tags", "tagger.temperature=0.5", "body.temperature"),
        ("questions", "student.temperature=0.5", "body.temperature"),
        ("answers", "teacher.temperature=0.5", "body.temperature"),
        ("answers", "seed=9", "seed"),
        ("questions", "student.revision=two", "revision"),
    ],
)
def test_explain_of_one_item_shows_where_its_request_differs(
    built: InProcess, artefact: str, word: str, place: str
) -> None:
    item = built.rows(artefact)[-1]["id"]
    rows = explained(built, *SHAPE, word, item)["changed"]
    assert place in [row["input"] for row in rows]
    assert explained(built, *SHAPE, item)["changed"] == []
    assert explained(built, *SHAPE, "limits.concurrency=1", item)["changed"] == []


def test_explain_takes_an_extra_body_whose_keys_are_numbers(built: InProcess, endpoint: ScriptedServer) -> None:
    word = "teacher.extra_body={logit_bias: {50256: -100}}"
    assert built.run(*SHAPE, word).status == 0
    assert endpoint.requests[0].body["logit_bias"] == {"50256": -100}
    assert explained(built, *SHAPE, word)["changed"] == {}
    assert explained(built, *SHAPE, word, built.rows("answers")[0]["id"])["changed"] == []


def test_explain_and_plan_agree_on_a_comment_that_changes_no_request(built: InProcess) -> None:
    own_prompt(built, "en/answers.jinja", lambda text: "{# a note #}\n" + text)
    document = explained(built, *SHAPE)
    assert document["plan"]["calls"] == 0
    item = built.rows("answers")[0]["id"]
    assert explained(built, *SHAPE, item)["changed"] == []
    assert json.dumps(document)


@pytest.mark.parametrize("artefact", ["tags", "questions"])
def test_explain_of_one_item_without_the_notes_of_the_last_build_is_a_sentence(built: InProcess, artefact: str) -> None:
    item = built.rows(artefact)[0]["id"]
    shutil.rmtree(built.folder() / "runs")
    finished = built.run("explain", *SHAPE, item)
    assert finished.status != 70, finished.stderr


def test_the_plan_says_what_it_takes_for_an_answer_until_some_have_come(empty: InProcess) -> None:
    words = ("topic=tennis", "depth=1", "breadth=1", "questions_per_tag=1", "teacher.assumed_tokens=5000")
    few, many = (
        empty.run("plan", *words[:-1], *more, "--json").document["tokens"]["completion"] for more in ((), words[-1:])
    )
    assert many - few == 5000 - 800
    assert "assumed until some have come: 5,000 (teacher.assumed_tokens)" in empty.run("plan", *words).stdout
    assert empty.run(*words).status == 0
    assert "assumed" not in empty.run("plan", *words, "seed=1").stdout


JUDGED = ("topic=tennis", "depth=1", "breadth=1", "questions_per_tag=2", "recipe=judged")


def wordy(_: int, body: Body) -> Fault | None:
    return content("A long answer. " * 700) if classify(body) == "answers" else None


def test_prompts_that_are_not_known_yet_are_priced_by_those_that_were_sent(
    empty: InProcess, endpoint: ScriptedServer
) -> None:
    endpoint.plan = wordy
    assert empty.run(*JUDGED).status == 0
    more = (*JUDGED, "breadth=3")
    said = planned(empty, *more)["tokens"]
    done = empty.run(*more, "--json")
    assert done.status == 0, done.stderr
    assert said["prompt"] == pytest.approx(done.document["tokens"]["prompt"], rel=0.2)


def test_a_prompt_without_experience_shows_a_reply_as_long_as_is_assumed(empty: InProcess) -> None:
    few, many = (
        planned(empty, *JUDGED, f"teacher.assumed_tokens={tokens}")["tokens"]["prompt"] for tokens in (1000, 5000)
    )
    assert many - few == 2 * (5000 - 1000)


def test_figures_that_tell_of_no_prompts_serve_for_completions(empty: InProcess, endpoint: ScriptedServer) -> None:
    endpoint.plan = wordy
    assert empty.run(*JUDGED).status == 0
    (file,) = empty.root.rglob("figures.json")
    newer = json.loads(file.read_text())
    kept = ("requests", "completion_tokens", "seconds")
    file.write_text(json.dumps({name: {key: sums[key] for key in kept} for name, sums in newer.items()}))
    said = planned(empty, *JUDGED, "seed=1")["tokens"]
    assert said["completion"] > 2 * 2500
    assert said["prompt"] > 2 * 2500, "each score shows an answer as they were"
