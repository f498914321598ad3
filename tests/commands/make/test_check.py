"""`check` in real processes against a scripted endpoint: what it finds, what it sends, and what it never shows."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.workspace import Finished, Workspace
from tests.server import Body, Fault, Plan, ScriptedServer, content, error, not_http, raw, status

KEY = "sk-5ec2e7-do-not-show"
PARTS = [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}, {"type": "text", "text": "tea"}]
NO_MODEL = {"error": {"message": "The model `scripted` does not exist", "code": "model_not_found"}}


def check(workspace: Workspace, *words: str, key: str | None = None) -> Finished:
    """Runs `check`; the key, where there is one, is nowhere in what it says."""
    finished = workspace.run("check", "topic=sports", *words, environment={"OPENAI_API_KEY": key} if key else None)
    assert KEY not in finished.stdout + finished.stderr
    assert "Traceback" not in finished.stderr
    return finished


def checks(workspace: Workspace, *words: str, key: str | None = None) -> tuple[int, dict[str, str]]:
    """The exit code, and the state of each check of the only endpoint."""
    finished = check(workspace, "--json", *words, key=key)
    (endpoint,) = finished.document["endpoints"]
    assert finished.document["works"] == (finished.status == 0)
    return finished.status, {name: found["state"] for name, found in endpoint["checks"].items()}


def refusing(*kinds: str) -> Plan:
    """An endpoint that takes no such response formats."""

    def plan(_: int, body: Body) -> Fault | None:
        kind = body.get("response_format", {}).get("type")
        return error(400, "This response_format type is unavailable now") if kind in kinds else None

    return plan


def line(finished: Finished, name: str) -> str:
    """The line of one check."""
    (found,) = [each for each in finished.stdout.splitlines() if each.startswith(f"  {name} ")]
    return found


def test_an_endpoint_that_does_all_is_said_to_work_with_what_that_took(
    workspace: Workspace, server: ScriptedServer
) -> None:
    finished = check(workspace, key=KEY)
    assert (finished.status, finished.stderr, server.count) == (0, "", 4)
    assert f"{server.base_url}  scripted  (tagger, student, teacher)" in finished.stdout
    assert "OPENAI_API_KEY was sent and not refused" in line(finished, "key")
    assert "json_schema: taken, and the list came" in line(finished, "structured")
    assert "in reasoning_content" in line(finished, "reasoning")
    assert "the same seed gave the same short text twice, which may be chance" in line(finished, "seed")
    assert "none came back" in line(finished, "logprobs")
    assert "4 requests, 1" in finished.stdout
    assert "the cache was not used" in finished.stdout


def test_what_is_sent_is_what_a_build_would_send_but_short(workspace: Workspace, server: ScriptedServer) -> None:
    words = ("model.temperature=0.5", "model.max_tokens=4096", "model.max_tokens_field=max_completion_tokens")
    assert check(workspace, *words, "+model.extra_body.top_k=20", "model.stream=true").status == 0
    for request in server.requests:
        sent = request.body
        assert (sent["temperature"], sent["max_completion_tokens"], sent["top_k"]) == (0.5, 48, 20)
        assert sent["stream"] is True
        assert len(sent["messages"][-1]["content"]) < 100
    first, listed, second, last = (request.body for request in server.requests)
    assert listed["response_format"]["json_schema"]["schema"]["properties"]["tags"]["maxItems"] == 2
    of_logprobs = {"logprobs": True, "top_logprobs": 1, "return_tokens_as_token_ids": True}
    assert first | of_logprobs == second | of_logprobs == last


def test_a_limit_that_is_null_and_a_seed_that_is_off_are_not_sent(workspace: Workspace, server: ScriptedServer) -> None:
    assert check(workspace, "model.send_seed=false").status == 0
    assert server.count == 3
    assert all({"max_tokens", "seed"}.isdisjoint(request.body) for request in server.requests)


def test_no_folder_and_no_cache_is_made(workspace: Workspace, tmp_path: Path) -> None:
    assert check(workspace).status == 0
    assert list(tmp_path.iterdir()) == []


def test_each_check_asks_anew(workspace: Workspace, server: ScriptedServer) -> None:
    workspace.run("topic=sports", "depth=1", "breadth=1", "questions_per_tag=1")
    built, before = server.count, workspace.bytes()
    check(workspace)
    check(workspace)
    assert server.count == built + 8
    assert workspace.bytes() == before


def test_a_refused_key_is_named_by_its_variable_and_nothing_more_is_asked(
    workspace: Workspace, server: ScriptedServer
) -> None:
    server.plan = [status(401, {"error": {"message": f"no such key: {KEY}"}}, headers={"X-RateLimit-Limit": KEY})]
    finished = check(workspace, key=KEY)
    assert (finished.status, server.count) == (2, 1)
    assert "FAILS" in line(finished, "key")
    assert "OPENAI_API_KEY" in line(finished, "key")
    assert "***" in line(finished, "key")
    server.reset()
    assert checks(workspace, key=KEY) == (2, {"reachable": "ok", "key": "fails"})


def test_a_missing_key_is_named_by_its_variable_and_nothing_is_sent(
    workspace: Workspace, server: ScriptedServer
) -> None:
    finished = check(workspace, "model.api_key_required=true", "model.api_key_env=ACME_TOKEN")
    assert (finished.status, server.count) == (2, 0)
    assert "set the environment variable ACME_TOKEN" in line(finished, "key")
    assert "0 requests, 0 tokens" in finished.stdout


def test_an_unknown_model_is_named(workspace: Workspace, server: ScriptedServer) -> None:
    server.plan = [status(404, NO_MODEL)] * 2
    finished = check(workspace)
    assert (finished.status, server.count) == (2, 1)
    assert "'scripted' is unknown there" in line(finished, "model")
    assert checks(workspace) == (2, {"reachable": "ok", "key": "ok", "model": "fails"})


@pytest.mark.parametrize(("taken", "refused"), [("json_object", "json_schema"), ("json_schema", "json_object")])
def test_a_refused_response_format_brings_the_setting_that_works(
    workspace: Workspace, server: ScriptedServer, taken: str, refused: str
) -> None:
    server.plan = refusing(refused)
    finished = check(workspace, f"model.structured={refused}")
    assert (finished.status, server.count) == (2, 5)
    assert f"{refused} is refused; set model.structured={taken} (400: This response_" in line(finished, "structured")
    assert check(workspace, f"model.structured={taken}").status == 0


def test_where_both_response_formats_are_refused_none_is_the_setting(
    workspace: Workspace, server: ScriptedServer
) -> None:
    server.plan = refusing("json_schema", "json_object")
    assert "set model.structured=none" in line(check(workspace), "structured")
    assert check(workspace, "model.structured=none").status == 0


def test_the_setting_is_named_for_the_roles_that_use_the_endpoint(workspace: Workspace, server: ScriptedServer) -> None:
    server.plan = refusing("json_schema")
    finished = check(workspace, "student.temperature=0")
    assert finished.status == 2
    assert "(tagger, teacher)" in finished.stdout
    assert "set tagger.structured=json_object teacher.structured=json_object" in finished.stdout
    assert "set student.structured=json_object" in finished.stdout


def test_a_teacher_that_takes_no_response_format_works(workspace: Workspace, server: ScriptedServer) -> None:
    with ScriptedServer(plan=refusing("json_schema", "json_object")) as teacher:
        address = f"teacher.base_url={teacher.base_url}"
        finished = check(workspace, "model@teacher=openai_compatible", address, "teacher.name=other")
        assert teacher.count == 3
    assert (finished.status, server.count) == (0, 4)
    assert f"{teacher.base_url}  other  (teacher)" in finished.stdout
    assert "7 requests" in finished.stdout


def test_one_role_that_fails_fails_the_check_and_the_others_are_still_asked(
    workspace: Workspace, server: ScriptedServer
) -> None:
    words = ("model@tagger=openai_compatible", "tagger.base_url=http://127.0.0.1:1/v1", "tagger.name=gone")
    finished = check(workspace, "--json", *words)
    gone, scripted = finished.document["endpoints"]
    assert (finished.status, server.count) == (2, 4)
    assert (gone["works"], gone["roles"]) == (False, ["tagger"])
    assert (scripted["works"], scripted["roles"]) == (True, ["student", "teacher"])
    assert "connection refused" in finished.stderr
    assert "The address is tagger.base_url" in finished.stderr


def test_a_refused_parameter_brings_its_setting(workspace: Workspace, server: ScriptedServer) -> None:
    server.plan = [error(400, "Unsupported parameter: use max_completion_tokens", param="max_tokens")]
    finished = check(workspace, "model.max_tokens=100")
    assert finished.status == 2
    assert "set model.max_tokens_field=max_completion_tokens" in line(finished, "answer")
    server.reset()
    server.plan = [error(400, "seed is not supported", param="seed")]
    assert "set model.send_seed=false" in line(check(workspace), "answer")


@pytest.mark.parametrize(
    ("fault", "states"),
    [
        (status(429, retry_after=3), {"reachable": "ok", "answer": "fails", "rate limits": "ok"}),
        (status(503), {"reachable": "ok", "answer": "fails", "rate limits": "no"}),
        (not_http(), {"reachable": "fails"}),
    ],
)
def test_an_endpoint_in_trouble_is_not_asked_again(
    workspace: Workspace, server: ScriptedServer, fault: Fault, states: dict[str, str]
) -> None:
    server.plan = [fault] * 5
    assert checks(workspace) == (2, states)
    assert server.count == 1


def test_what_a_build_does_not_need_may_be_refused(workspace: Workspace, server: ScriptedServer) -> None:
    server.plan = lambda _, body: error(400, "no logprobs here", param="logprobs") if "logprobs" in body else None
    status, states = checks(workspace)
    assert (status, states["logprobs"]) == (0, "no")


def test_rate_limit_headers_are_shown(workspace: Workspace, server: ScriptedServer) -> None:
    headers = {"X-RateLimit-Limit-Requests": "500", "x-ratelimit-remaining-tokens": "9", "X-Request-Id": "17"}
    server.plan = [status(200, {"choices": [{"message": {"content": "tea"}}]}, headers=headers)]
    shown = line(check(workspace), "rate limits")
    assert shown.endswith("ok     x-ratelimit-limit-requests=500, x-ratelimit-remaining-tokens=9")


def test_a_stream_that_comes_in_one_piece_is_told(workspace: Workspace, server: ScriptedServer) -> None:
    assert "as configured" in line(check(workspace, "model.stream=true"), "stream")
    server.reset()
    server.plan = [status(200, {"choices": [{"message": {"content": "tea"}}]})]
    assert "it came in one piece" in line(check(workspace, "model.stream=true"), "stream")


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (content("tea", reasoning="Hm."), "in reasoning"),
        (content("<think>Hm.</think>tea"), "in the text, between <think> and </think>"),
        (content("[THINK]Hm.[/THINK]tea"), "in the text, between [THINK] and [/THINK]"),
        (content("Hm.</think>tea"), "in the text, before a mark that ends it"),
        (raw({"choices": [{"message": {"content": PARTS}}]}), "in parts of the content"),
        (content("tea"), "none was seen"),
    ],
)
def test_where_the_reasoning_stands_is_told(
    workspace: Workspace, server: ScriptedServer, reply: Fault, told: str
) -> None:
    server.plan = [reply]
    assert line(check(workspace), "reasoning").endswith(told)


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (content(None, reasoning_content="tea"), "all of its text came as reasoning and none as the answer"),
        (content("<think>tea</think>"), "all of its text came as reasoning"),
        (content("  "), "has no content"),
    ],
)
def test_an_answer_that_no_build_could_use_fails(
    workspace: Workspace, server: ScriptedServer, reply: Fault, told: str
) -> None:
    server.plan = [reply]
    finished = check(workspace)
    assert finished.status == 2
    assert "FAILS" in line(finished, "answer")
    assert told in line(finished, "answer")


def test_an_answer_that_was_cut_while_the_model_thought_says_nothing(
    workspace: Workspace, server: ScriptedServer
) -> None:
    server.plan = [content(None, "length", reasoning_content="Let me think of tea and")]
    assert check(workspace).status == 0


def test_a_seed_without_effect_and_a_list_that_was_cut_are_told_and_fail_nothing(
    workspace: Workspace, server: ScriptedServer
) -> None:
    server.plan = [content("tea"), content('{"tags": ["te', "length"), content("milk")]
    finished = check(workspace)
    assert finished.status == 0
    assert "the same seed gave two texts" in line(finished, "seed")
    assert "cut at 48 tokens" in line(finished, "structured")


def test_json_holds_what_was_spent(workspace: Workspace, server: ScriptedServer) -> None:
    document: dict[str, Any] = check(workspace, "--json", "model.prices={prompt: 1, completion: 2}").document
    prompt, completion = document["tokens"]["prompt"], document["tokens"]["completion"]
    assert document["requests"] == server.count == 4
    assert prompt > 0
    assert document["usd"] == pytest.approx((prompt + 2 * completion) / 1e6)


def test_quiet_says_what_fails_alone(workspace: Workspace, server: ScriptedServer) -> None:
    assert check(workspace, "-q").stdout == ""
    server.plan = refusing("json_schema")
    told = check(workspace, "-q").stdout
    assert "structured" in told
    assert "reachable" not in told


def test_what_an_endpoint_says_cannot_move_the_cursor(workspace: Workspace, server: ScriptedServer) -> None:
    server.plan = [error(401, "\x1b[2J\x1b[1;1Hall is well")]
    assert "\x1b" not in check(workspace).stdout


def test_a_missing_weights_file_is_said(tmp_path: Path) -> None:
    finished = Workspace(tmp_path).raw("check", "topic=sports", "local.path=missing.gguf")
    assert finished.status == 2
    assert "local.path=missing.gguf is no file" in line(finished, "reachable")


def test_the_embedded_model_is_started_asked_and_ended(tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp", reason="the extra `local` is not installed")
    finished = Workspace(tmp_path).raw("check", "topic=sports", "--json")
    assert finished.status == 0, finished.stderr
    (endpoint,) = finished.document["endpoints"]
    assert endpoint["checks"]["structured"] == {"state": "ok", "detail": "json_schema: taken, and the list came"}
    assert endpoint["address"] == "embedded"
    assert json.dumps(finished.document["usd"]) == "0.0"
    assert list(tmp_path.iterdir()) == []


def test_a_sweep_asks_about_each_model_once(workspace: Workspace, server: ScriptedServer) -> None:
    finished = check(workspace, "-m", "breadth=1,2", "tagger.name=other", "student.name=other,scripted", "--json")
    asked = {endpoint["model"]: endpoint["roles"] for endpoint in finished.document["endpoints"]}
    assert asked == {"other": ["tagger", "student"], "scripted": ["student", "teacher"]}, "a student needs lists"
    assert (finished.status, server.count) == (0, 4 + 4)


def test_it_says_how_a_reply_ends_and_what_it_counts(workspace: Workspace, server: ScriptedServer) -> None:
    counts = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 30}
    choice = {"message": {"role": "assistant", "content": "tea"}, "finish_reason": "end_turn"}
    server.plan = [raw({"choices": [choice], "usage": counts})]
    told = check(workspace)
    assert "finish_reason end_turn, which is taken for whole" in line(told, "finish")
    assert "5 prompt + 25 completion, 23 of them reasoning" in line(told, "usage")
    server.reset()
    server.plan = [raw({"choices": [choice | {"finish_reason": None}]})]
    told = check(workspace)
    assert "no finish_reason came" in line(told, "finish")
    assert "no tokens are counted" in line(told, "usage")
