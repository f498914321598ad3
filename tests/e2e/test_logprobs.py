"""teacher.logprobs=K: asked for, stored, an ingredient of the request; and an endpoint that cannot is told at once."""

from pathlib import Path

import pytest

from distill_build.engine.reading import ReadOnlyStore
from distill_build.soft_labels import soft_labels_in
from tests.e2e.workspace import Workspace
from tests.server import Body, Fault, ScriptedServer, Tokens, error
from tests.teacher import completion_tokens, listing

WORDS = ("topic=sports", "depth=1", "breadth=2", "questions_per_tag=2")
SOFT = (*WORDS, "teacher.logprobs=5")


def stored(workspace: Workspace, row: Body) -> Body:
    """The raw response behind an answer."""
    entry = ReadOnlyStore(workspace.root / ".distill-cache").get(row["call"])
    assert entry is not None
    assert entry.accepted is not None
    response: Body = entry.attempts[entry.accepted.place].response
    return response


@pytest.mark.parametrize("where", ["field", "text"])
@pytest.mark.parametrize("stream", ["false", "true"])
def test_the_teachers_probabilities_are_stored_with_its_replies(
    workspace: Workspace, server: ScriptedServer, where: str, stream: str
) -> None:
    server.tokens = listing(where)  # type: ignore[arg-type]
    assert workspace.run(*SOFT, f"model.stream={stream}").status == 0
    asked = {request.kind: "logprobs" in request.body for request in server.requests}
    assert asked == {"tags": False, "questions": False, "answers": True}
    for row in workspace.rows("answers"):
        found = soft_labels_in(response := stored(workspace, row))
        assert found is not None
        assert (len(found), found.width) == (len(completion_tokens(response["choices"][0]["message"])), 5)


def test_another_number_asks_for_answers_again_and_nothing_else(workspace: Workspace, server: ScriptedServer) -> None:
    server.tokens = listing()
    assert workspace.run(*WORDS).status == 0
    server.reset()
    assert "teacher.logprobs: null → 5" in workspace.run("explain", *SOFT).stdout
    assert workspace.run(*SOFT).status == 0
    assert server.kinds == {"answers": 4}
    assert workspace.run(*SOFT).status == 0
    assert server.count == 4
    server.reset()
    assert workspace.run(*SOFT, "teacher.logprobs=7").status == 0
    assert [request.body["top_logprobs"] for request in server.requests] == [7] * 4


WIDE = ("breadth=4", "questions_per_tag=4", "limits.concurrency=4")
NO_IDS = [(None, "false"), (listing("none"), "false"), (listing("none"), "true")]


def kept(workspace: Workspace) -> int:
    """How many replies to requests for log probabilities the cache has."""
    store = ReadOnlyStore(workspace.root / ".distill-cache")
    entries = map(store.get, list(store.keys()))
    return sum(len(each.attempts) for each in entries if each is not None and "logprobs" in each.manifest["body"])


@pytest.mark.parametrize(("tokens", "stream"), NO_IDS)
def test_replies_without_ids_stop_the_build_are_kept_and_ask_for_nothing_more(
    workspace: Workspace, server: ScriptedServer, tokens: Tokens | None, stream: str
) -> None:
    server.tokens, words = tokens, (*SOFT, *WIDE, f"teacher.stream={stream}")
    build = workspace.run(*words)
    assert build.status == 2
    assert "teacher.logprobs=null" in build.stderr
    assert "llama.cpp" in build.stderr
    assert "Traceback" not in build.stderr
    sent = server.kinds["answers"]
    assert 0 < sent <= 4
    assert kept(workspace) == sent
    server.reset()
    for more in ((), ("questions_per_tag=8", "breadth=6")):  # nothing is asked on the way to what was asked in vain
        for command in ((), ("plan",), ("plan", "--json")):
            again = workspace.run(*command, *words, *more)
            assert (again.status, server.count) == (2, 0), again.stdout
            assert "--rebuild 'answers:*'" in again.stderr
    assert kept(workspace) == sent


def test_an_endpoint_that_gives_ids_is_asked_for_what_another_has_sent_without(
    workspace: Workspace, server: ScriptedServer
) -> None:
    server.tokens = listing("none")
    assert workspace.run(*SOFT).status == 2
    with ScriptedServer() as other:
        other.tokens = listing()
        elsewhere = Workspace(workspace.root, other)
        assert elsewhere.run("plan", *SOFT, "--json").document["calls"] == 4
        assert elsewhere.run(*SOFT).status == 0
        assert other.kinds == {"answers": 4}
        assert all(soft_labels_in(stored(workspace, row)) for row in workspace.rows("answers"))
        assert elsewhere.run(*SOFT).status == 0
        assert other.count == 4


def test_jobs_of_a_sweep_that_ask_in_vain_are_told_by_its_plan(workspace: Workspace, server: ScriptedServer) -> None:
    server.tokens = listing("none")
    assert workspace.run(*SOFT).status == 2
    server.reset()
    sweep = ("-m", *WORDS, "teacher.logprobs=null,5")
    planned = workspace.run("plan", *sweep)
    assert planned.status == 0
    assert "--rebuild 'answers:*'" in " ".join(planned.stderr.split())
    assert "logprobs=5: " in planned.stderr
    assert workspace.run(*sweep).status == 1
    assert server.kinds == {"answers": 4}


def test_an_endpoint_that_has_learnt_to_is_asked_anew(workspace: Workspace, server: ScriptedServer) -> None:
    server.tokens = listing("none")
    assert workspace.run(*SOFT).status == 2
    server.tokens = listing()
    assert workspace.run(*SOFT).status == 2
    assert workspace.run("plan", *SOFT, "--offline").status == workspace.run(*SOFT, "--offline").status == 4
    assert workspace.run("explain", *SOFT).status == 0
    assert workspace.run("plan", "--rebuild", "answers:*", *SOFT).status == 0
    assert workspace.run("--rebuild", "answers:*", *SOFT).status == 0
    assert all(soft_labels_in(stored(workspace, row)) for row in workspace.rows("answers"))


def test_without_log_probabilities_what_lacks_them_is_in_no_ones_way(
    workspace: Workspace, server: ScriptedServer
) -> None:
    server.tokens = listing("none")
    assert workspace.run(*SOFT).status == 2
    server.reset()
    assert workspace.run(*WORDS).status == 0
    assert server.kinds == {"answers": 4}


def test_a_stream_that_leaves_tokens_out_stops_the_build_and_is_asked_for_in_one_piece(
    workspace: Workspace, server: ScriptedServer
) -> None:
    server.tokens = listing(lost=1)
    build = workspace.run(*SOFT, "limits.concurrency=1", "teacher.stream=true")
    assert build.status == 2
    assert server.kinds["answers"] == 1
    assert "set teacher.stream=false" in build.stderr
    assert kept(workspace) == 1
    server.reset()
    assert workspace.run(*SOFT, "teacher.stream=true").status == 2
    assert server.count == 0
    assert workspace.run(*SOFT).status == 0
    assert server.kinds == {"answers": 4}


@pytest.mark.parametrize("parameter", ["logprobs", "top_logprobs", "return_tokens_as_token_ids"])
def test_an_endpoint_that_refuses_the_parameter_gets_a_sentence(
    workspace: Workspace, server: ScriptedServer, parameter: str
) -> None:
    def plan(_: int, body: Body) -> Fault | None:
        return error(400, f"Unknown parameter: '{parameter}'.", param=parameter) if parameter in body else None

    server.plan = plan
    build = workspace.run(*SOFT)
    assert build.status == 2
    assert "set teacher.logprobs to null" in build.stderr


def test_a_number_below_one_is_a_mistake(workspace: Workspace, server: ScriptedServer) -> None:
    build = workspace.run(*WORDS, "teacher.logprobs=0")
    assert (build.status, server.count) == (2, 0)
    assert "teacher.logprobs" in build.stderr


def test_check_says_whether_soft_labels_come(workspace: Workspace, server: ScriptedServer, tmp_path: Path) -> None:
    for where, said in (("field", "model.logprobs=K keeps soft labels"), ("none", "no soft labels")):
        server.tokens = listing(where)  # type: ignore[arg-type]
        assert said in workspace.run("check", "topic=sports").stdout
    server.tokens = None
    refused = workspace.run("check", "topic=sports", "model.logprobs=5")
    assert refused.status == 2
    assert "model.logprobs=null" in refused.stdout
    server.tokens = listing()
    assert "the likeliest 5" in workspace.run("check", "topic=sports", "model.logprobs=5").stdout
    assert list(tmp_path.iterdir()) == []


def test_a_plan_says_what_they_add_to_what_is_stored(workspace: Workspace, server: ScriptedServer) -> None:
    server.tokens = listing()
    plan = workspace.run("plan", *SOFT, "--json").document
    assert plan["soft_label_bytes"] == 48 * 4 * 800
    assert "soft labels add about 153.6 kB" in workspace.run("plan", *SOFT).stdout
    assert workspace.run("plan", *WORDS, "--json").document["soft_label_bytes"] == 0
