"""An endpoint that refuses requests is visible: in the events, on the screen, in the document; and costs no row."""

import json
from collections import Counter
from typing import Any

from tests.e2e.workspace import Workspace
from tests.server import ScriptedServer, reset, status

FLAT = ("topic=sports", "depth=1", "breadth=3", "questions_per_tag=2")
FLAT_CALLS = 1 + 3 + 6


def events(workspace: Workspace, place: str = "outputs/sports/runs/*/events.jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for path in workspace.root.glob(place) for line in path.read_text().splitlines()]


def test_each_request_that_is_sent_again_is_an_event_and_all_are_counted(
    workspace: Workspace, server: ScriptedServer
) -> None:
    faults = {1: status(429, retry_after=0), 3: reset(), 5: status(429, retry_after="0.01")}
    server.plan = lambda index, _: faults.get(index)
    finished = workspace.run(*FLAT, "--json", "-v")
    assert finished.status == 0, finished.stderr
    assert server.count == FLAT_CALLS + len(faults)
    retries = [event for event in events(workspace) if event["event"] == "retry"]
    assert Counter(event["cause"] for event in retries) == {"rate_limited": 2, "connection": 1}
    for event in retries:
        assert (event["model"], event["attempt"] >= 1, bool(event["call"])) == ("scripted", True, True)
        assert event["stage"] in ("tags", "questions", "answers")
        assert event["wait_s"] >= 0
    assert {event["retry_after_s"] for event in retries} == {0, 0.01, None}
    counted = {(row["model"], row["cause"]): row["requests"] for row in finished.document["retries"]}
    assert counted == {("scripted", "rate_limited"): 2, ("scripted", "connection"): 1}
    assert (
        f"scripted failed 3 of {FLAT_CALLS + 3} requests: rate limited (429) 2, lost connections 1" in finished.stderr
    )
    assert "scripted, lost connections: 1 request" in finished.stderr
    assert "limits.concurrency" in finished.stderr


def test_who_is_given_up_is_an_event_too(workspace: Workspace, server: ScriptedServer) -> None:
    server.plan = lambda index, _: status(429, retry_after=0) if index >= FLAT_CALLS - 1 else None
    finished = workspace.run(*FLAT, "--json", "limits.retries=1", "limits.concurrency=1")
    assert finished.status == 1, finished.stderr
    told = Counter(event["event"] for event in events(workspace))
    assert (told["retry"], told["gave_up"]) == (1, 1)
    assert finished.document["retries"][0]["requests"] == 2


def test_a_build_that_nobody_refused_says_nothing_of_it(workspace: Workspace) -> None:
    finished = workspace.run(*FLAT, "--json")
    assert finished.document["retries"] == []
    assert "refused" not in finished.stderr


def test_a_sweep_says_it_once_for_all_jobs(workspace: Workspace, server: ScriptedServer) -> None:
    server.plan = lambda index, _: status(429, retry_after=0) if index % 4 == 1 else None
    finished = workspace.run("-m", "topic=sports", "depth=1", "breadth=2,3", "questions_per_tag=2", "--json")
    assert finished.status == 0, finished.stderr
    refused = server.count - finished.document["calls"]
    assert refused > 0
    told = f"scripted refused {refused} of {server.count} requests: rate limited (429)"
    assert sum(line.startswith(told) for line in finished.stderr.splitlines()) == 1
    assert [row["requests"] for row in finished.document["retries"]] == [refused]
