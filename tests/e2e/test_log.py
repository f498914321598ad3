"""`log`: for any item the very requests and responses that it came from, and the versions that hold it."""

import sqlite3
from typing import Any

from tests.e2e.workspace import Workspace
from tests.server import Body, Fault, ScriptedServer, classify, content

SMALL = ("topic=sports", "depth=2", "breadth=6", "questions_per_tag=1")
TINY = ("topic=sports", "depth=1", "breadth=2", "questions_per_tag=1")
HEAVY = ("hydra", "omegaconf", "diskcache", "asyncio", "aiohttp", "rich", "jinja2", "jsonschema")
PRICES = ("model.prices.prompt=3", "model.prices.completion=6")


def log(workspace: Workspace, *words: str) -> Any:
    """The document of `log`."""
    told = workspace.raw("log", *words, "--json")
    assert told.status == 0, told.stderr
    return told.document


def nonsense_first(number: int, _: Body) -> Fault | None:
    return content("I would rather not make a list.") if number == 0 else None


def test_an_answer_is_followed_to_the_topic_with_what_was_really_sent_and_received(
    workspace: Workspace, server: ScriptedServer
) -> None:
    server.plan = nonsense_first
    assert workspace.run(*SMALL, *PRICES).status == 0
    sent = [request.body for request in server.requests]
    answer = workspace.rows("answers")[-1]
    document = log(workspace, answer["id"])
    assert document["answer"] == answer
    above, below, question, verdict, reply = document["chain"]
    asked = (above, below, question, reply)
    assert [link["item"] for link in asked] == [*answer["path"][1:], answer["question"], None]
    assert [(link["request"], link["requests"]) for link in (above, below)] == [(2, 2), (2, 2)], "the sixth of 5 + 1"
    assert all(link["sent"] in sent for link in asked)
    assert (verdict["stage"], verdict["of"], verdict["row"]["kept"]) == ("dedup", [answer["question_id"]], True)
    for link in (above, below, question):
        (attempt,) = link["attempts"]
        assert link["item"] in attempt["raw"]["choices"][0]["message"]["content"]
    (attempt,) = reply["attempts"]
    assert (attempt["verdict"], attempt["raw"]["choices"][0]["message"]["content"]) == ("accepted", answer["answer"])
    assert (attempt["response"], attempt["usage"]) == (reply["response"], answer["usage"])
    used = answer["usage"]
    assert attempt["usd"] == (3 * used["prompt_tokens"] + 6 * used["completion_tokens"]) / 1e6
    assert reply["call"] == answer["call"]
    assert server.count == len(sent), "log sent something"


def test_a_reply_that_was_asked_for_again_is_told_with_both_attempts(
    workspace: Workspace, server: ScriptedServer
) -> None:
    server.plan = nonsense_first
    assert workspace.run(*TINY).status == 0
    (link,) = log(workspace, "1")["chain"]
    assert [attempt["verdict"] for attempt in link["attempts"]] == ["invalid", "accepted"]
    first, second = [request.body for request in server.requests if classify(request.body) == "tags"]
    assert link["sent"] == second
    assert link["sent"]["messages"][: len(first["messages"])] == first["messages"]
    told = workspace.raw("log", "1").stdout
    assert "attempt 1 invalid: " in told
    assert "I would rather not make a list." in told


def test_an_item_is_named_as_show_takes_it(workspace: Workspace) -> None:
    assert workspace.run(*TINY).status == 0
    tag, question = workspace.rows("tags")[1], workspace.rows("questions")[1]
    assert log(workspace, "2")["tag"] == log(workspace, tag["id"][:9], "sports")["tag"] == tag
    told = workspace.raw("log", question["id"], "-o", "outputs/sports", environment={"PYTHONPROFILEIMPORTTIME": "1"})
    assert not any(f" {heavy}\n" in told.stderr for heavy in HEAVY), "it has to start at once"
    assert f"Tag “{tag['label']}”: request 1 of 1 for tags of sports" in told.stdout
    assert f"Question “{question['question']}”: request 1 of 1 for questions of sports / {tag['label']}" in told.stdout
    assert "versions  in 1 of 1" in told.stdout
    unknown = workspace.raw("log", "t_0123456789abcdef", "--json")
    assert (unknown.status, unknown.document["exit_code"]) == (2, 2)
    assert workspace.raw("log", "1", "--cache-dir", "nowhere").status == 2


def test_long_texts_are_cut_unless_all_is_wanted(workspace: Workspace, server: ScriptedServer) -> None:
    long = "First words. " + "and so on " * 200 + "\x1b[31m last words."
    server.plan = lambda _, body: content(long) if classify(body) == "answers" else None
    assert workspace.run(*TINY).status == 0
    key = workspace.rows("answers")[0]["id"]
    short, whole = workspace.raw("log", key).stdout, workspace.raw("log", key, "-v").stdout
    assert max(map(len, short.splitlines())) < 300
    assert "First words." in short
    assert "last words." in short
    assert "and so on " * 200 in whole
    quiet = workspace.raw("log", key, "-q").stdout.splitlines()
    assert set(quiet) < set(short.splitlines())
    assert sum(line.startswith("  attempt") for line in quiet) == 3
    assert not any(line.startswith(("  user", "  reply", "Long")) for line in quiet)
    assert "\x1b" not in short + whole, "a model's words move the cursor"


def test_a_response_that_is_gone_is_said_and_the_rest_is_told(workspace: Workspace) -> None:
    assert workspace.run(*SMALL).status == 0
    answer = workspace.rows("answers")[-1]
    whole = log(workspace, answer["id"])["chain"]
    remove(workspace, whole[0]["call"], whole[-1]["call"])
    chain = log(workspace, answer["id"])["chain"]
    for place in (0, -1):
        assert f"response {whole[place]['response']} is no longer in the cache" in chain[place]["lack"]
        assert (chain[place]["item"], chain[place]["request"]) == (whole[place]["item"], whole[place]["request"])
    assert chain[1:-1] == whole[1:-1]
    told = workspace.raw("log", answer["id"])
    assert (told.status, told.stdout.count("missing ")) == (0, 2)


def remove(workspace: Workspace, *keys: str) -> None:
    database = sqlite3.connect(workspace.root / ".distill-cache" / "cache.db")
    with database:
        database.executemany("DELETE FROM Cache WHERE key = ?", [(key,) for key in keys])
    database.close()


def test_what_was_used_is_told_also_after_another_dataset_had_it_asked_anew(workspace: Workspace) -> None:
    assert workspace.run(*TINY).status == 0
    assert workspace.run(*TINY, "name=other", "--rebuild", "*").status == 0
    for name, verdicts in (("sports", ["accepted", "accepted since"]), ("other", ["not used", "accepted"])):
        (link,) = log(workspace, "1", name)["chain"]
        assert [attempt["verdict"] for attempt in link["attempts"]] == verdicts
        (used,) = [attempt for attempt in link["attempts"] if attempt["verdict"] == "accepted"]
        label = workspace.rows("tags", name)[0]["label"]
        assert label in used["raw"]["choices"][0]["message"]["content"]
    assert workspace.rows("tags")[0]["label"] != workspace.rows("tags", "other")[0]["label"]


def test_the_versions_that_hold_an_item_are_named(workspace: Workspace) -> None:
    assert workspace.run(*TINY, "breadth=1").status == 0
    assert workspace.run(*TINY).status == 0
    assert workspace.run(*TINY, "teacher.temperature=0.9").status == 0
    tag, last = (workspace.rows(name)[-1]["id"] for name in ("tags", "answers"))
    versions = log(workspace, last)["versions"]
    assert [(row["name"], row["held"], row["same"]) for row in versions] == [
        ("latest", True, True),
        ("latest~1", True, False),
        ("latest~2", False, False),
    ]
    assert [row["same"] for row in log(workspace, tag)["versions"]] == [True, True, False]
    told = workspace.raw("log", last).stdout
    assert "versions  in 2 of 3" in told
    assert told.count("with another text") == 1


def test_without_the_state_the_lock_tells_how_replies_are_read_and_without_both_it_says_so(
    workspace: Workspace,
) -> None:
    assert workspace.run(*TINY).status == 0
    whole = log(workspace, "1")
    (workspace.folder() / "runs/state.json").unlink()
    assert log(workspace, "1") == whole
    (workspace.folder() / "distill.lock").unlink()
    told = workspace.raw("log", "1")
    assert (told.status, "bug in" in told.stderr) == (0, False), told.stderr
    assert "nothing here tells how replies were read" in " ".join(told.stdout.split())
