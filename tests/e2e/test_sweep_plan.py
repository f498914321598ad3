"""`plan -m` counts each request once for all jobs, whether it is to be asked or stands in the cache."""

from typing import Any

from tests.e2e.workspace import Workspace
from tests.server import Body, Fault, ScriptedServer, content

SMALL = ("topic=sports", "depth=2", "questions_per_tag=1", "per_request.tags=1")


def planned(workspace: Workspace, *words: str) -> dict[str, Any]:
    """Requests of all jobs by what becomes of them."""
    stages = workspace.run("plan", "-m", *SMALL, *words, "--json").document["stages"].values()
    return {kind: sum(stage[kind] for stage in stages) for kind in ("cached", "ask", "unknown")}


def test_what_the_cache_answers_counts_once_for_all_jobs(workspace: Workspace, server: ScriptedServer) -> None:
    """Whether jobs are up to date, or look for what others asked and have only a part of it in common."""
    nested, apart = "breadth=[1,3],[2,3]", "breadth=[1,3],[2,1]"
    assert workspace.run("-m", *SMALL, nested).status == 0
    assert planned(workspace, nested) == {"cached": server.count, "ask": 0, "unknown": 0}
    tags, leaves = 2 + 3 + 1, 3 + 1
    assert planned(workspace, apart) == {"cached": tags + leaves + leaves, "ask": 0, "unknown": 0}


def test_what_was_taken_over_from_the_last_build_counts_once_too(workspace: Workspace, server: ScriptedServer) -> None:
    """Of leaves that nothing has changed for nothing is looked up, and still their calls are known one by one."""
    failing: list[str] = []

    def plan(_: int, body: Body) -> Fault | None:
        last = str(body["messages"][-1]["content"])
        if server.classify(body) == "answers" and last in (failing or [last]):
            failing[:] = [last]
            return content("…", "length")
        return None

    server.plan = plan
    words = ("breadth=[1,3],[2,1]", "limits.reasks=0")
    assert workspace.run("-m", *SMALL, *words).status == 1
    tags, leaves = 2 + 3 + 1, 3 + 1
    assert planned(workspace, *words) == {"cached": tags + leaves + leaves - 1, "ask": 1, "unknown": 0}
