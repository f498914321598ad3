"""Guarantee 8: never more in flight than the limit, whoever asks; requests keep their pace."""

from collections import Counter

import pytest

from tests.e2e.workspace import Workspace
from tests.server import ScriptedServer, status

SMALL = ("topic=sports", "depth=2", "breadth=3", "questions_per_tag=2")


def most_at_once(server: ScriptedServer, model: str) -> int:
    """The most requests to `model` that were under way at one moment."""
    mine = [request for request in server.requests if request.body["model"] == model]
    moments = [(request.finished or float("inf"), -1) for request in mine]
    moments += [(request.arrived, 1) for request in mine]
    under_way = most = 0
    for _, change in sorted(moments):
        under_way += change
        most = max(most, under_way)
    return most


def limited_to(workspace: Workspace, server: ScriptedServer, *words: str) -> int:
    """The most requests in flight of a build, which is to fill its window."""
    server.latency = 0.03
    assert workspace.run(*SMALL, *words).status == 0
    return server.max_in_flight


@pytest.mark.parametrize("concurrency", [1, 3])
def test_never_more_are_in_flight_than_limits_concurrency(
    workspace: Workspace, server: ScriptedServer, concurrency: int
) -> None:
    assert limited_to(workspace, server, f"limits.concurrency={concurrency}") == concurrency


def test_a_models_own_limit_holds_where_it_is_lower(workspace: Workspace, server: ScriptedServer) -> None:
    assert limited_to(workspace, server, "limits.concurrency=5", "model.limits.concurrency=2") == 2


@pytest.mark.parametrize(("words", "most"), [((), 32), (("model.limits.concurrency=48",), 48)], ids=str)
def test_where_the_build_says_nothing_the_model_says_how_many(
    workspace: Workspace, server: ScriptedServer, words: tuple[str, ...], most: int
) -> None:
    server.latency = 0.4
    assert workspace.run("topic=sports", "depth=1", "breadth=10", "questions_per_tag=10", *words).status == 0
    assert server.max_in_flight == most


def test_roles_on_one_endpoint_and_model_share_a_gate_and_the_lower_number_wins(
    workspace: Workspace, server: ScriptedServer
) -> None:
    words = ("limits.concurrency=6", "teacher.limits.concurrency=2", "teacher.temperature=0.5")
    assert limited_to(workspace, server, *words) == 2


def test_another_model_on_the_same_endpoint_has_a_gate_of_its_own(workspace: Workspace, server: ScriptedServer) -> None:
    limited_to(workspace, server, "limits.concurrency=4", "teacher.limits.concurrency=2", "teacher.name=sage")
    assert Counter(request.body["model"] for request in server.requests) == {"scripted": 13, "sage": 18}
    assert most_at_once(server, "sage") == 2
    assert 2 < most_at_once(server, "scripted") <= 4


def test_retries_do_not_widen_the_window(workspace: Workspace, server: ScriptedServer) -> None:
    server.plan = lambda index, _: status(500) if index in (4, 5, 15) else None
    assert limited_to(workspace, server, "limits.concurrency=2") == 2


def test_requests_keep_the_pace_of_rpm(workspace: Workspace, server: ScriptedServer) -> None:
    """120 a minute are two a second. Only that they do not come faster is looked at, with room for a slow machine."""
    assert workspace.run("topic=sports", "depth=1", "breadth=1", "questions_per_tag=2", "limits.rpm=120").status == 0
    arrived = [request.arrived for request in server.requests]
    assert len(arrived) == 1 + 1 + 2
    assert arrived[-1] - arrived[0] >= 0.75 * 3 * 60 / 120
