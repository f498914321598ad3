"""Guarantee 7 at an endpoint that fails: what can be mended is, what cannot is named, and no key leaks."""

import json
import socket
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from tests.e2e.workspace import Finished, Workspace
from tests.server import (
    Body,
    Fault,
    ScriptedServer,
    classify,
    content,
    drip,
    error,
    garbage,
    hang,
    not_http,
    raw,
    refusal,
    reset,
    reset_midway,
    status,
    truncated,
    wrong_content_type,
)

SMALL = ("topic=sports", "depth=2", "breadth=3", "questions_per_tag=2")
CALLS = 31
FLAT = ("topic=sports", "depth=1", "breadth=3", "questions_per_tag=2")
FLAT_CALLS = 1 + 3 + 6
KEY = "sk-this-is-the-secret-0123456789"
REASKS = 2


def assert_well(finished: Finished, expected: int) -> None:
    assert finished.status == expected, finished.stderr
    assert "Traceback" not in finished.stderr


def last_text(body: Body) -> str:
    return str(body["messages"][-1]["content"])


def asked(body: Body) -> str:
    """What a request asks for, whether it is the first attempt or a re-ask that shows a reply."""
    before_reply = [message for message in body["messages"] if message["role"] != "assistant"]
    shown = len(before_reply) < len(body["messages"])
    return str(before_reply[-2 if shown else -1]["content"])


# What passes


def in_a_second() -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=1), usegmt=True)


PASSING: dict[str, Callable[[], Fault]] = {
    "429": lambda: status(429),
    "429 with seconds": lambda: status(429, retry_after=1),
    "429 with a date": lambda: status(429, retry_after=in_a_second()),
    "429 with nonsense": lambda: status(429, retry_after="soon"),
    "429 that says it in words": lambda: error(429, "Rate limit reached. Please try again in 20ms."),
    "500": lambda: status(500),
    "503": lambda: status(503, "<html>Service Unavailable</html>"),
    "reset before the body": reset,
    "reset in the body": reset_midway,
    "garbage": garbage,
    "no HTTP": not_http,
    "truncated JSON": truncated,
    "an empty body": lambda: status(200, b""),
    "a list": lambda: raw([]),
    "an object of something else": lambda: raw({"status": "ok"}),
    "no choices": lambda: raw({"choices": []}),
    "an error in a 200": lambda: raw({"error": {"message": "overloaded", "code": 503}}),
}


def test_faults_that_pass_cost_one_more_request_each_and_nothing_else(
    workspace: Workspace, server: ScriptedServer
) -> None:
    """The very first request meets one, too; in between, replies come well."""
    faults = dict(zip(range(0, 2 * len(PASSING), 2), PASSING.values(), strict=True))
    server.plan = lambda index, _: faults[index]() if index in faults else None
    finished = workspace.run(*SMALL, "limits.concurrency=4")
    assert_well(finished, 0)
    assert server.count == CALLS + len(PASSING)
    assert len(workspace.rows("answers")) == 18
    assert workspace.rows("failures") == []


def test_a_reply_under_a_wrong_content_type_is_a_reply(workspace: Workspace, server: ScriptedServer) -> None:
    server.plan = lambda *_: wrong_content_type()
    assert_well(workspace.run(*FLAT), 0)
    assert server.count == FLAT_CALLS


def test_replies_that_do_not_end_in_time_are_asked_for_again(workspace: Workspace, server: ScriptedServer) -> None:
    faults = {1: drip(), 3: hang()}
    server.plan = lambda index, _: faults.get(index)
    assert_well(workspace.run(*FLAT, "limits.timeout_s=0.8", "limits.concurrency=2"), 0)
    assert server.count == FLAT_CALLS + len(faults)


def test_a_stream_that_breaks_off_is_asked_for_again(workspace: Workspace, server: ScriptedServer) -> None:
    faults = {0: reset_midway(), 2: truncated(), 5: garbage(), 6: reset(), 8: status(503)}
    server.plan = lambda index, _: faults.get(index)
    assert_well(workspace.run(*FLAT, "model.stream=true", "limits.concurrency=2"), 0)
    assert server.count == FLAT_CALLS + len(faults)
    streamed = workspace.bytes()
    server.reset()
    server.plan = ()
    (workspace.root / "plain/.git").mkdir(parents=True)  # a project of its own
    plain = Workspace(workspace.root / "plain", server)
    assert_well(plain.run(*FLAT), 0)
    assert [row["answer"] for row in plain.rows("answers")] == [row["answer"] for row in workspace.rows("answers")]
    assert streamed.keys() == plain.bytes().keys()


def test_retry_after_is_obeyed_by_everybody_behind_the_gate(workspace: Workspace, server: ScriptedServer) -> None:
    """Only that nobody came too early is looked at."""
    server.plan = lambda index, _: status(429, retry_after=1) if index == 5 else None
    assert_well(workspace.run(*FLAT, "limits.concurrency=1"), 0)
    requests = server.requests
    assert len(requests) == FLAT_CALLS + 1
    assert requests[6].arrived - requests[5].arrived >= 0.9


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"choices":' * 100_000], ids=["lists", "objects"])
def test_json_that_is_nested_too_deeply_is_a_bad_response_and_no_bug(
    workspace: Workspace, server: ScriptedServer, body: bytes
) -> None:
    server.plan = [raw(body)]
    assert_well(workspace.run(*FLAT), 0)
    assert server.count == FLAT_CALLS + 1


# What does not pass


@dataclass
class Victims:
    """Faults for single items: who comes first of a kind gets the first fault, and keeps it."""

    kind: str
    faults: dict[str, Fault]
    chosen: dict[str, str] = field(default_factory=dict)
    bodies: dict[str, list[Body]] = field(default_factory=dict)

    def __call__(self, _: int, body: Body) -> Fault | None:
        if classify(body) != self.kind:
            return None
        text = asked(body)
        if text not in self.chosen and len(self.chosen) < len(self.faults):
            self.chosen[text] = list(self.faults)[len(self.chosen)]
        name = self.chosen.get(text)
        if name is None:
            return None
        self.bodies.setdefault(name, []).append(body)
        return self.faults[name]


PERMANENT = {
    "server_error": status(500),
    "rejected": error(400, "this prompt is not to our liking"),
    "content_filter": status(400, {"error": {"message": "The response was filtered", "code": "content_filter"}}),
    "bad_response": garbage(),
}


def test_items_that_fail_for_good_are_named_and_their_siblings_go_on(
    workspace: Workspace, server: ScriptedServer
) -> None:
    victims = Victims("answers", PERMANENT)
    server.plan = victims
    finished = workspace.run(*SMALL, "limits.retries=1")
    assert_well(finished, 1)
    assert len(workspace.rows("questions")) == 18
    assert len(workspace.rows("answers")) == 18 - len(PERMANENT)
    questions = {row["id"]: row["question"] for row in workspace.rows("questions")}
    failures = workspace.rows("failures")
    causes = {victims.chosen[questions[row["question_id"]]]: row["cause"] for row in failures}
    assert causes == {name: name for name in PERMANENT}
    for row in failures:
        assert (row["stage"], row["missing"], row["attempts"]) == ("answers", 1, 1)
        assert set(row) == {"stage", "path", "question_id", "missing", "cause", "attempts", "detail"}
    sent = {name: len(bodies) for name, bodies in victims.bodies.items()}
    assert sent == {"server_error": 2, "rejected": 1, "content_filter": 1, "bad_response": 2}

    before = server.count
    server.plan = ()
    assert_well(workspace.run(*SMALL), 0)
    asked = [last_text(request.body) for request in server.requests[before:]]
    assert sorted(asked) == sorted(victims.chosen), "just what had failed is asked again"
    assert workspace.rows("failures") == []
    assert "failures.jsonl" not in workspace.bytes()
    assert len(workspace.rows("answers")) == 18


UNUSABLE = {
    "length": content("cut in the mid", "length"),
    "content_filter": content("", "content_filter"),
    "refusal": refusal(),
    "empty": content("  "),
}


def test_replies_that_cannot_be_used_are_asked_again_with_other_seeds_and_on_from_there_in_the_next_build(
    workspace: Workspace, server: ScriptedServer
) -> None:
    victims = Victims("answers", UNUSABLE)
    server.plan = victims
    assert_well(workspace.run(*SMALL), 1)
    causes = Counter((row["cause"], row["attempts"]) for row in workspace.rows("failures"))
    assert causes == {(name, 1 + REASKS): 1 for name in UNUSABLE}
    assert_well(workspace.run(*SMALL, "limits.reasks=0"), 1)
    assert {row["attempts"] for row in workspace.rows("failures")} == {1}
    for name, bodies in victims.bodies.items():
        assert len(bodies) == 1 + REASKS + 1, name
        assert len({body["seed"] for body in bodies}) == len(bodies), f"{name}: an attempt index was used twice"
        assert all(body["messages"] == bodies[0]["messages"] for body in bodies), "there is nothing to mend in it"

    sent = server.count
    server.plan = ()
    assert_well(workspace.run(*SMALL), 0)
    seeds = {last_text(request.body): request.body["seed"] for request in server.requests[sent:]}
    assert seeds.keys() == victims.chosen.keys()
    for text, name in victims.chosen.items():
        assert seeds[text] not in {body["seed"] for body in victims.bodies[name]}


def test_a_re_ask_of_an_invalid_reply_shows_the_reply_and_what_was_wrong_with_it(
    workspace: Workspace, server: ScriptedServer
) -> None:
    server.plan = lambda index, _: content("I would rather talk.") if index == 1 else None
    assert_well(workspace.run(*FLAT, "limits.concurrency=1"), 0)
    first = server.requests[1].body
    (again,) = [each.body for each in server.requests[2:] if asked(each.body) == asked(first)]
    assert again["messages"][: len(first["messages"])] == first["messages"]
    reply, complaint = again["messages"][len(first["messages"]) :]
    assert reply == {"role": "assistant", "content": "I would rather talk."}
    assert complaint["role"] == "user"
    assert "no list" in complaint["content"]
    assert again["seed"] != first["seed"]
    assert server.count == FLAT_CALLS + 1


def test_a_tag_that_cannot_be_divided_is_a_failure_and_no_leaf(workspace: Workspace, server: ScriptedServer) -> None:
    barren_request: list[str] = []

    def plan(index: int, body: Body) -> Fault | None:
        if index == 1:
            barren_request.append(asked(body))
        return content("not a list") if asked(body) in barren_request else None

    server.plan = plan
    assert_well(workspace.run(*SMALL, "limits.concurrency=1"), 1)
    (failure,) = workspace.rows("failures")
    assert (failure["stage"], failure["missing"], failure["cause"], failure["attempts"]) == ("tags", 3, "invalid", 3)
    tags = workspace.rows("tags")
    assert len(tags) == 9
    (barren,) = [tag for tag in tags if tag["path"] == failure["path"]]
    assert barren["leaf"] is False
    assert not [row for row in workspace.rows("questions") if row["path"][:2] == failure["path"]]
    assert len(workspace.rows("answers")) == 12
    sent = server.count
    server.plan = ()
    assert_well(workspace.run(*SMALL), 0)
    assert server.count - sent == 1 + 3 + 6
    assert len(workspace.rows("answers")) == 18


# What stops the build


def test_endpoints_that_refuse_everything_stop_the_build_at_once(workspace: Workspace, server: ScriptedServer) -> None:
    assert_well(workspace.run(*FLAT), 0)
    before = workspace.bytes()
    for fault, words in (
        (error(401, "Incorrect API key provided"), ("OPENAI_API_KEY",)),
        (error(403, "You are not allowed here"), ("OPENAI_API_KEY",)),
        (error(404, "The model `scripted` does not exist", type="model_not_found"), ("scripted", "model.name")),
    ):
        server.reset()
        server.plan = lambda _, body, fault=fault: fault if classify(body) == "answers" else None
        finished = workspace.run(*SMALL, "limits.concurrency=4", environment={"OPENAI_API_KEY": KEY})
        assert_well(finished, 2)
        assert all(word in finished.stderr for word in words), finished.stderr
        assert server.base_url in finished.stderr
        assert server.kinds["answers"] <= 4
        assert workspace.bytes() == before


def test_where_nobody_listens_the_build_says_the_address(workspace: Workspace) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: refused
        address = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        words = ("model=openai_compatible", f"model.base_url={address}", "model.name=scripted")
        finished = workspace.raw(*SMALL, *words)
    assert_well(finished, 2)
    assert address in finished.stderr
    assert workspace.bytes() == {}


WIDE = ("topic=sports", "depth=1", "breadth=3", "questions_per_tag=30", "limits.concurrency=4")


def failing_answers(_: int, body: Body) -> Fault | None:
    return content("") if classify(body) == "answers" else None


def test_a_stage_whose_first_fifty_items_all_fail_stops_the_build(workspace: Workspace, server: ScriptedServer) -> None:
    server.plan = failing_answers
    finished = workspace.run(*WIDE, "limits.reasks=0")
    assert_well(finished, 3)
    assert "first 50 answers all failed" in finished.stderr
    assert "see outputs/sports/failures.jsonl" in finished.stderr
    assert 50 <= server.kinds["answers"] <= 50 + 4
    causes = Counter(row["cause"] for row in workspace.rows("failures") if row["stage"] == "answers")
    assert causes["empty"] == server.kinds["answers"]
    assert len(workspace.rows("tags")) == 3
    assert workspace.rows("answers") == []


def test_one_success_among_the_first_fifty_lets_a_stage_go_on(workspace: Workspace, server: ScriptedServer) -> None:
    good: set[str] = set()

    def plan(index: int, body: Body) -> Fault | None:
        if classify(body) == "answers" and not good:
            good.add(last_text(body))
        return None if last_text(body) in good else failing_answers(index, body)

    server.plan = plan
    assert_well(workspace.run(*WIDE, "limits.reasks=0"), 1)
    assert len(workspace.rows("answers")) == 1
    assert len(workspace.rows("failures")) == 89


def test_keep_going_stops_after_so_many_failed_items_and_the_next_build_finishes(
    workspace: Workspace, server: ScriptedServer
) -> None:
    server.plan = failing_answers
    finished = workspace.run(*SMALL, "-k", "3", "limits.concurrency=2", "limits.reasks=0")
    assert_well(finished, 3)
    assert "keep-going=3" in finished.stderr
    assert 3 <= server.kinds["answers"] <= 3 + 2
    failed = server.kinds["answers"]
    assert workspace.rows("tags")
    server.plan = ()
    assert_well(workspace.run(*SMALL), 0)
    assert server.count == CALLS + failed


# The key


ECHOING = {
    "rejected": error(400, f"malformed header: Authorization: Bearer {KEY}"),
    "server_error": status(500, f"upstream said: 'Bearer {KEY}' {'x' * 400}"),
    "content_filter": error(400, f"flagged by moderation, caller {KEY}"),
    "bad_response": raw({"detail": f"Bearer {KEY}"}),
    "long": status(502, "x" * 290 + KEY),
    "inside a 200": raw({"error": {"message": f"upstream refused Bearer {KEY}", "code": 500}}),
    "html": garbage(f"<html>{KEY}</html>".encode()),
}


def test_the_key_stands_nowhere_even_where_the_endpoint_echoes_it(workspace: Workspace, server: ScriptedServer) -> None:
    environment = {"OPENAI_API_KEY": KEY}
    server.plan = Victims("answers", ECHOING)
    finished = workspace.run(*SMALL, "limits.retries=0", "-v", "--json", environment=environment)
    assert_well(finished, 1)
    assert {request.headers["Authorization"] for request in server.requests} == {f"Bearer {KEY}"}
    assert len(workspace.rows("failures")) == len(ECHOING)
    server.plan = lambda *_: error(401, f"Incorrect API key provided: {KEY}")
    stopped = workspace.run(*SMALL, "-v", "--json", environment=environment)
    assert_well(stopped, 2)
    moved = status(302, headers={"Location": f"http://elsewhere.invalid/{KEY}/chat/completions"})
    server.plan = lambda *_: moved
    redirected = workspace.run(*SMALL, "--json", environment=environment)
    assert_well(redirected, 2)
    for process in (finished, stopped, redirected):
        assert KEY[:-4] not in process.stderr
        assert KEY[:-4] not in process.stdout
    assert files_with(workspace.root, KEY[:-4].encode()) == []


def files_with(folder: Path, text: bytes) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and text in path.read_bytes()]


def test_the_search_for_the_key_finds_one_in_the_cache(workspace: Workspace, server: ScriptedServer) -> None:
    """Guards the test above: what a model says is kept as it came, and the search sees into the database."""
    server.plan = lambda _, body: content(f"the answer is {KEY}") if classify(body) == "answers" else None
    assert_well(workspace.run("topic=sports", "depth=1", "breadth=1", "questions_per_tag=1"), 0)
    assert any(".distill-cache" in path.parts for path in files_with(workspace.root, KEY.encode()))
    assert json.loads((workspace.folder() / "answers.jsonl").read_text())["answer"].endswith(KEY)


def test_a_limit_of_a_day_stops_the_build_as_a_budget_does(workspace: Workspace, server: ScriptedServer) -> None:
    """What came is written, nothing is hammered, and the next build goes on."""
    reset = {"X-RateLimit-Reset": "9999999999000"}
    refused = error(429, "Rate limit exceeded: free-models-per-day", metadata={"headers": reset})
    server.plan = lambda number, _: refused if number >= 20 else None
    done = workspace.run("topic=sports", "depth=2", "breadth=3", "questions_per_tag=2", "limits.concurrency=4")
    assert done.status == 3, done.stderr
    assert "what it allows for now is used up" in done.stderr
    assert 20 < server.count <= 20 + 4
    answered = [request for request in server.requests[:20] if request.kind == "answers"]
    assert 0 < len(workspace.rows("answers")) == len(answered)
    server.plan = ()
    assert workspace.run("topic=sports", "depth=2", "breadth=3", "questions_per_tag=2").status == 0
