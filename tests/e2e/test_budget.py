"""Budgets: hard caps, never exceeded by more than what was in flight; what is complete is written."""

import json
import random
import shutil
from pathlib import Path

import pytest

from tests.e2e.test_only_what_is_affected import InProcess, kind_of, place_of, steady
from tests.e2e.workspace import Finished, Workspace
from tests.server import Body, Fault, ScriptedServer, completion, content, items_asked, status

SMALL = ("topic=sports", "depth=2", "breadth=3", "questions_per_tag=2")
CALLS = 31
CONCURRENCY = 4
NO_REFILL = "dedup.refill=0"
NARROW = f"limits.concurrency={CONCURRENCY}"
PRICES = ("model.prices.prompt=1000", "model.prices.completion=2000")


def tokens_of(server: ScriptedServer) -> list[tuple[int, int]]:
    """(prompt, completion) tokens of every request, as the server counted them."""
    usages = [
        completion(request.body, request.kind, items_asked(request.body, server.items))["usage"]
        for request in server.requests
    ]
    return [(usage["prompt_tokens"], usage["completion_tokens"]) for usage in usages]


def assert_stopped(finished: Finished, setting: str) -> None:
    assert finished.status == 3, finished.stderr
    assert setting in finished.stderr
    assert "Traceback" not in finished.stderr


def assert_accounted_for(workspace: Workspace) -> None:
    """Every item that is known to be wanted is there or in failures.jsonl."""
    tags, failures = workspace.rows("tags"), workspace.rows("failures")
    missing = {stage: [row for row in failures if row["stage"] == stage] for stage in ("tags", "questions", "answers")}
    parents = [["sports"], *(tag["path"] for tag in tags if tag["level"] == 1)]
    for parent in parents:
        children = sum(1 for tag in tags if tag["path"][:-1] == parent)
        assert children + sum(row["missing"] for row in missing["tags"] if row["path"] == parent) == 3
    leaves = [tag for tag in tags if tag["leaf"]]
    questions = workspace.rows("questions")
    assert len(questions) + sum(row["missing"] for row in missing["questions"]) == 2 * len(leaves)
    answered = [row["question_id"] for row in workspace.rows("answers")]
    assert sorted(answered + [row["question_id"] for row in missing["answers"]]) == sorted(
        row["id"] for row in questions
    )


def test_a_cap_on_calls_is_never_exceeded_and_build_after_build_goes_on(
    workspace: Workspace, server: ScriptedServer
) -> None:
    builds = 0
    while builds < 5:
        before, builds = server.count, builds + 1
        finished = workspace.run(*SMALL, NARROW, "budget.calls=12")
        assert server.count - before <= 12
        kinds = server.kinds
        assert len(workspace.rows("answers")) == kinds["answers"], "an answer that was paid for is not written"
        assert len(workspace.rows("questions")) == 2 * kinds["questions"]
        assert_accounted_for(workspace)
        if finished.status == 0:
            break
        assert_stopped(finished, "budget.calls")
    assert (server.count, builds) == (CALLS, 3)
    assert workspace.rows("failures") == []


def repeating(number: int, body: Body) -> Fault | None:
    """The server of `steady`, but questions are few: most leaves have some that others have too."""
    if kind_of(body) != "questions":
        return steady(number, body)
    asked = random.Random(place_of(body)).sample([f"What does rule {each} say?" for each in range(6)], 2)
    return content(json.dumps({"questions": asked}))


def test_where_questions_repeat_stop_after_stop_comes_to_the_same_bytes_for_no_more_calls(
    tmp_path: Path, server: ScriptedServer
) -> None:
    server.plan = repeating
    (tmp_path / "at once").mkdir()
    at_once, stopped = InProcess(tmp_path / "at once", server), InProcess(tmp_path, server)
    assert at_once.run(*SMALL, NO_REFILL).status == 0
    calls, builds = server.count, 1
    questions, verdicts = at_once.rows("questions"), at_once.rows("dedup")
    assert len({row["question"] for row in questions}) == sum(row["kept"] for row in verdicts) < len(verdicts)
    server.reset()
    while (finished := stopped.run(*SMALL, NO_REFILL, NARROW, "budget.calls=5")).status != 0:
        assert_stopped(finished, "budget.calls")
        assert stopped.raw("verify").status == 0
        builds += 1
    assert (server.count, builds) == (calls, -(-calls // 5))
    assert stopped.data() == at_once.data()
    assert "up to date" in stopped.run(*SMALL, NO_REFILL).stderr


def test_retries_count_as_calls(workspace: Workspace, server: ScriptedServer) -> None:
    server.plan = lambda *_: status(500)
    assert_stopped(workspace.run(*SMALL, "budget.calls=2"), "budget.calls")
    assert server.count == 2


def test_a_cap_on_calls_that_just_suffices_is_no_stop(workspace: Workspace, server: ScriptedServer) -> None:
    assert workspace.run(*SMALL, f"budget.calls={CALLS}").status == 0
    assert server.count == CALLS


def test_a_cap_on_tokens_is_exceeded_by_no_more_than_was_in_flight(
    workspace: Workspace, server: ScriptedServer
) -> None:
    cap = 1500
    assert_stopped(workspace.run(*SMALL, NARROW, f"budget.tokens={cap}"), "budget.tokens")
    each = [prompt + answer for prompt, answer in tokens_of(server)]
    assert cap <= sum(each) <= cap + CONCURRENCY * max(each)
    assert server.count < CALLS
    assert_accounted_for(workspace)
    assert workspace.run(*SMALL).status == 0
    assert server.count == CALLS


def test_a_cap_on_dollars_is_exceeded_by_no_more_than_was_in_flight(
    workspace: Workspace, server: ScriptedServer
) -> None:
    cap = 2.0
    assert_stopped(workspace.run(*SMALL, NARROW, *PRICES, f"budget.usd={cap}"), "budget.usd")
    each = [(prompt * 1000 + answer * 2000) / 1e6 for prompt, answer in tokens_of(server)]
    assert cap <= sum(each) <= cap + CONCURRENCY * max(each)
    assert server.count < CALLS
    assert_accounted_for(workspace)
    assert workspace.run(*SMALL).status == 0, "prices are no identity"
    assert server.count == CALLS


def test_everything_cached_beyond_a_cap_is_written_too(workspace: Workspace, server: ScriptedServer) -> None:
    """The cap is met at the root, where growth asks for more; all that lies below what is there needs nobody."""
    assert workspace.run(*SMALL).status == 0
    sent = server.count
    assert_stopped(workspace.run(*SMALL, "breadth=[6,3]", "budget.calls=0"), "budget.calls")
    assert server.count == sent
    assert len(workspace.rows("tags")) == 5 + 9
    assert len(workspace.rows("answers")) == 18
    causes = {row["stage"]: row["missing"] for row in workspace.rows("failures") if row["path"] == ["sports"]}
    assert causes == {"tags": 1}


@pytest.mark.parametrize(
    "words", [("teacher.temperature=0.3",), ("breadth=[2,3]", "seed=5"), ("topic=sports", "student.temperature=0.1")]
)
def test_a_cap_never_drops_or_replaces_a_row_of_a_complete_version(
    workspace: Workspace, server: ScriptedServer, words: tuple[str, ...]
) -> None:
    version = workspace.run(*SMALL, "--json").document["version"]
    before = workspace.bytes()
    finished = workspace.run(*SMALL, *words, "budget.calls=2", "--json")
    assert_stopped(finished, "budget.calls")
    assert workspace.bytes() == before
    assert f"the files stay those of version {version[:12]}" in finished.stderr
    assert (finished.document["version"], finished.document["kept_rows"] > 0) == (version, True)
    assert workspace.raw("verify").status == 0

    sent = server.count
    plan = workspace.run("plan", *SMALL, *words, "--json").document
    assert workspace.run(*SMALL, *words).status == 0
    assert server.count - sent <= plan["calls"] if not plan["exact"] else server.count - sent == plan["calls"]
    assert workspace.bytes() != before


def test_a_cap_that_is_met_while_a_version_grows_adds_what_came(workspace: Workspace) -> None:
    assert workspace.run(*SMALL).status == 0
    before = {row["id"] for row in workspace.rows("answers")}
    assert_stopped(workspace.run(*SMALL, "answers_per_question=3", NARROW, "budget.calls=5"), "budget.calls")
    after = {row["id"] for row in workspace.rows("answers")}
    assert before < after
    assert len(after) == len(before) + 5

    files = workspace.bytes()
    finished = workspace.run(*SMALL, "answers_per_question=3", "teacher.temperature=0.3", "budget.calls=1")
    assert_stopped(finished, "budget.calls")
    assert "rows of a complete version would be gone or replaced" in finished.stderr
    assert workspace.bytes() == files, "a second stop takes what the first one had to leave"


@pytest.mark.parametrize("words", [(), ("student.prices.prompt=1", "student.prices.completion=1")])
def test_a_cap_on_dollars_without_prices_is_a_configuration_error(
    workspace: Workspace, server: ScriptedServer, words: tuple[str, ...]
) -> None:
    finished = workspace.run(*SMALL, "budget.usd=1", *words)
    assert finished.status == 2
    assert "prices" in finished.stderr
    assert server.count == 0


def test_a_budget_of_nothing_is_enough_where_everything_is_cached(workspace: Workspace, server: ScriptedServer) -> None:
    assert workspace.run(*SMALL).status == 0
    before, sent = workspace.bytes(), server.count
    shutil.rmtree(workspace.root / "outputs")
    caps = ("budget.calls=0", "budget.tokens=0", "budget.usd=0")
    assert workspace.run(*SMALL, *caps, *PRICES).status == 0
    assert (workspace.bytes(), server.count) == (before, sent)
