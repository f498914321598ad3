"""A leaf that lost questions to dedup goes on with its list: which requests that takes, and what stays short."""

import json
import re
import shutil
from collections import Counter
from pathlib import Path

import pytest

from tests.e2e.caches import CACHE
from tests.e2e.test_kill import repeats
from tests.e2e.test_only_what_is_affected import InProcess, kind_of, place_of
from tests.e2e.workspace import LOCK, WITHOUT_DEDUP, Workspace, start
from tests.server import Body, Fault, ScriptedServer, content, status

FOOTBALL = ["What is a yellow card?", "How does the offside rule work?", "How long is a football match?"]
REFEREES = ["What is a red card?", "How does the offside rule work exactly?", "How long is the football match?"]
FIRST_ROUND = ["Who appoints the umpire of a final?", "WHAT IS A YELLOW CARD"]
SECOND_ROUND = ["Why do officials carry whistles?"]
"""The question before the last repeats one of Football again."""
ASKED = {
    "Football": [*FOOTBALL, "Where was the first world cup held?"],
    "Referees": [*REFEREES, *FIRST_ROUND, *SECOND_ROUND],
}
LINE = ("topic=sports", "depth=1", "breadth=2", "per_request.questions=1", "per_request.tags=2", "questions_per_tag=3")


class OneByOne:
    """Two tags; at each its questions, one a request, as far as there are any. `refuses` a leaf from an item on."""

    def __init__(self) -> None:
        self.asked = {tag: list(questions) for tag, questions in ASKED.items()}
        self.refuses: str | None = None

    def __call__(self, _: int, body: Body) -> Fault | None:
        match kind_of(body):
            case "tags":
                return content(json.dumps({"tags": list(self.asked)}))
            case "questions":
                own = next(questions for tag, questions in self.asked.items() if f"> {tag}" in place_of(body))
                shown = body["messages"][-1]["content"]
                if self.refuses is not None and self.refuses in shown:
                    return status(400)
                return content(
                    json.dumps({"questions": [each for each in own if f"- {each}\n" not in f"{shown}\n"][:1]})
                )
        return None


@pytest.fixture
def model(server: ScriptedServer) -> OneByOne:
    server.plan = model = OneByOne()
    return model


@pytest.fixture
def project(tmp_path: Path, server: ScriptedServer, model: OneByOne) -> InProcess:  # noqa: ARG001 - it answers
    return InProcess(tmp_path, server)


def kept(project: Workspace) -> dict[str, list[str]]:
    """The questions of each leaf that were not dropped."""
    verdicts = {row["id"]: row["kept"] for row in project.rows("dedup")}
    found: dict[str, list[str]] = {}
    for row in project.rows("questions"):
        if verdicts[row["id"]]:
            found.setdefault(row["path"][-1], []).append(row["question"])
    return found


def shortages(project: Workspace) -> list[tuple[str, list[str], int, str]]:
    return [(row["stage"], row["path"], row["missing"], row["cause"]) for row in project.rows("failures")]


def test_a_leaf_that_lost_questions_is_asked_for_others_until_it_has_all(
    project: InProcess, server: ScriptedServer
) -> None:
    done = project.run(*LINE)
    assert done.status == 0, done.stderr
    assert kept(project) == {"Football": FOOTBALL, "Referees": [REFEREES[0], FIRST_ROUND[0], SECOND_ROUND[0]]}
    assert server.kinds == {"tags": 1, "questions": 3 + 6, "answers": 6}
    referees = [row for row in project.rows("questions") if row["path"][-1] == "Referees"]
    assert [(row["index"], row["question"]) for row in referees] == list(enumerate(ASKED["Referees"]))
    assert len(project.rows("dedup")) == 9, "those that were dropped are told as well"
    last = [request.body for request in server.requests if kind_of(request.body) == "questions"][-1]
    assert all(question in last["messages"][-1]["content"] for question in [*REFEREES, *FIRST_ROUND])
    assert "dedup dropped 3 rows" in done.stderr
    assert "; 3 more came in their place" in done.stderr
    assert "9 of 9 questions, 6 of 6 answers" in done.stderr
    again = project.run(*LINE)
    assert (again.status, server.count, "up to date" in again.stderr) == (0, 16, True)
    assert project.raw("verify").status == 0


def test_a_leaf_that_stays_short_is_a_failure_and_more_rounds_ask_on(
    project: InProcess, server: ScriptedServer
) -> None:
    for _ in range(2):
        done = project.run(*LINE, "dedup.refill=1")
        assert done.status == 1, done.stderr
        assert shortages(project) == [("questions", ["sports", "Referees"], 1, "duplicate")]
        assert server.kinds == {"tags": 1, "questions": 8, "answers": 5}, "asked once, however often it is built"
    assert "1 question, 1 answer missing" in done.stderr, done.stderr
    assert project.rows("failures")[0]["attempts"] == 0, "no request failed"
    at_first = project.data()
    more = project.run(*LINE)
    assert (more.status, shortages(project)) == (0, [])
    assert server.kinds == {"tags": 1, "questions": 9, "answers": 6}
    fewer = project.run(*LINE, "dedup.refill=1")
    assert (fewer.status, server.count, project.data()) == (1, 16, at_first), "back again, for nothing"


def test_a_version_with_a_leaf_that_stays_short_is_proved_and_exported_as_it_is(
    project: InProcess, server: ScriptedServer
) -> None:
    line = (*LINE, "dedup.refill=1")
    assert project.run(*line).status == 1
    built, lock = project.bytes(), project.lock()
    assert "missing" in lock
    assert project.raw("verify").status == 0
    shutil.rmtree(project.folder() / "dataset")
    assert project.run("export", *line).status == 0
    assert project.bytes() == built
    shutil.rmtree(project.folder())
    project.folder().mkdir(parents=True)
    (project.folder() / LOCK).write_text(lock)
    for flag in ("--locked", "--frozen"):
        assert project.run(*line, flag).status == 1, "what was missing is missing again"
        assert (project.bytes(), server.count) == (built, 14)


def test_held_to_a_version_that_is_short_what_a_build_would_ask_is_told(
    project: InProcess, server: ScriptedServer
) -> None:
    assert project.run(*LINE, "dedup.refill=1").status == 1, "Referees stays short"
    for moved in ("teacher.temperature=0.9", "dedup.near=0.75"):
        words = ("dedup.refill=1", moved)
        planned = project.run("plan", *LINE, *words, "--json").document["calls"]
        server.reset()
        for command in ("build", "plan"):
            done = project.run(command, *LINE, *words, "--locked")
            assert (done.status, server.count) == (4, 0)
            found = re.search(r"a build would send (?:about )?(\d+) requests? \(", done.stderr)
            assert found is not None, done.stderr
            assert int(found[1]) == planned > 0


def test_questions_that_come_or_go_with_the_rounds_do_so_by_what_decides_of_repeats(project: InProcess) -> None:
    usual = project.run(*LINE, "--json").document["version"]
    found = {}
    for words, status_ in (("dedup.near=0.75", 0), ("dedup.refill=1", 1), (WITHOUT_DEDUP, 0)):
        built = project.run(*LINE, words, "--json")
        assert built.status == status_, built.stderr
        groups = project.raw("diff", "--json", usual, built.document["version"]).document["groups"]
        (own,) = [each for each in groups if each["stage"] == "questions"]
        found[words] = own["change"], own["count"], own["because"], own["settings"]
    assert found == {
        "dedup.near=0.75": ("removed", 2, "settings", ["dedup.near"]),
        "dedup.refill=1": ("removed", 1, "settings", ["dedup.refill"]),
        WITHOUT_DEDUP: ("removed", 3, "settings", ["stages"]),
    }


def test_without_rounds_a_leaf_is_shorter_and_nothing_is_missing(project: InProcess, server: ScriptedServer) -> None:
    done = project.run(*LINE, "dedup.refill=0")
    assert (done.status, shortages(project)) == (0, []), done.stderr
    assert server.kinds == {"tags": 1, "questions": 6, "answers": 4}
    assert kept(project)["Referees"] == REFEREES[:1]


def test_a_model_that_repeats_itself_is_given_up_until_the_next_build(
    project: InProcess, server: ScriptedServer, model: OneByOne
) -> None:
    model.asked["Referees"] = [*REFEREES, FIRST_ROUND[0]]
    for build in (1, 2):
        done = project.run(*LINE)
        assert done.status == 1, done.stderr
        assert shortages(project) == [("questions", ["sports", "Referees"], 1, "duplicate")]
        assert server.kinds == {"tags": 1, "questions": 6 + 1 + 3 * build, "answers": 5}
    model.asked["Referees"] += SECOND_ROUND
    assert project.run(*LINE).status == 0
    assert server.kinds == {"tags": 1, "questions": 6 + 1 + 6 + 1, "answers": 6}
    assert kept(project)["Referees"] == [REFEREES[0], FIRST_ROUND[0], SECOND_ROUND[0]]


def test_a_request_that_fails_names_its_cause_and_all_that_the_leaf_is_short_of(
    project: InProcess, server: ScriptedServer, model: OneByOne
) -> None:
    model.refuses = FIRST_ROUND[0]
    done = project.run(*LINE)
    assert done.status == 1, done.stderr
    ((stage, path, missing, cause),) = shortages(project)
    assert (stage, path, missing, cause == "duplicate") == ("questions", ["sports", "Referees"], 1, False)
    assert len(kept(project)["Referees"]) == 2, "what came is there"
    model.refuses = REFEREES[0]
    assert project.run(*LINE).status == 1, "its first questions are stored"
    model.refuses = None
    assert project.run(*LINE).status == 0
    assert Counter(map(len, kept(project).values())) == {3: 2}
    assert server.kinds["answers"] == 6


def test_a_list_that_failed_before_says_also_what_it_lost(project: InProcess, model: OneByOne) -> None:
    model.refuses = REFEREES[1]
    assert project.run(*LINE).status == 1
    ((stage, path, missing, cause),) = shortages(project)
    assert (stage, path, missing) == ("questions", ["sports", "Referees"], 2)
    assert cause != "duplicate"
    assert kept(project)["Referees"] == REFEREES[:1]


def test_a_leaf_that_stays_short_is_no_failed_item_on_the_way_to_a_cap(
    project: InProcess, server: ScriptedServer, model: OneByOne
) -> None:
    line = (*LINE, "dedup.refill=1")
    for _ in range(2):
        done = project.run(*line, "--keep-going=1")
        assert done.status == 1, done.stderr
        assert (shortages(project), server.kinds["answers"]) == (
            [("questions", ["sports", "Referees"], 1, "duplicate")],
            5,
        )
    shutil.rmtree(project.folder())
    shutil.rmtree(project.root / ".distill-cache")
    server.reset()
    model.refuses = REFEREES[1]
    assert project.run(*line, "--keep-going=2").status == 1, "one list failed, which lost an item besides"
    assert server.kinds["answers"] == 4


def test_a_plan_knows_of_the_rounds_what_the_cache_tells(project: InProcess, server: ScriptedServer) -> None:
    assert project.run(*LINE, "dedup.refill=0").status == 0
    asks_on = project.run("plan", *LINE, "--json").document
    assert (asks_on["calls"], asks_on["exact"]) == (1 + 1 + 2, False), "a request, one more, and two answers"
    assert asks_on["stages"]["questions"] == {"cached": 6, "ask": 1, "unknown": 1}
    assert project.run(*LINE).status == 0
    planned = project.run("plan", *LINE, "dedup.refill=1", "--json").document
    assert (planned["calls"], planned["exact"], planned["stages"]["questions"]["cached"]) == (0, True, 8)
    assert planned["replaced"] == {"tags": 0, "questions": 1, "answers": 1}
    shutil.rmtree(project.folder())
    planned = project.run("plan", *LINE, "--json").document
    assert (planned["calls"], planned["exact"], planned["stages"]["questions"]["cached"]) == (0, True, 9)
    assert server.count == 16
    built = project.run(*LINE, "--json").document
    assert built["stages"]["questions"] == {"cached": 9, "ask": 0, "unknown": 0}
    assert built["refilled"] == {"dedup": 3}
    assert built["missing"] == {"tags": 0, "questions": 0, "dedup": 0, "answers": 0}


def test_a_plan_takes_no_more_rounds_for_a_leaf_than_it_has_left(project: InProcess, model: OneByOne) -> None:
    model.asked["Referees"] = [*REFEREES, *reversed(FIRST_ROUND), *SECOND_ROUND]
    assert project.run(*LINE, "dedup.refill=1", "budget.calls=8").status == 3, "the first round has a repeat, so far"
    for rounds, unknown in ((1, 0), (2, 1)):
        planned = project.run("plan", *LINE, f"dedup.refill={rounds}", "--json").document
        assert planned["stages"]["questions"] == {"cached": 7, "ask": 1, "unknown": unknown}


def test_a_plan_for_a_leaf_does_not_depend_on_the_rounds_of_another(project: InProcess, model: OneByOne) -> None:
    model.asked["Umpires"] = ["What's a yellow card?", "Who blows the whistle?", "Who keeps the time?"]
    model.refuses = model.asked["Umpires"][1]
    line = (*LINE[:2], "breadth=3", *LINE[3:])
    assert project.run(*line).status == 1
    assert ("questions", ["sports", "Umpires"], 2) in [each[:3] for each in shortages(project)]
    planned = project.run("plan", *line, "--json").document
    assert planned["stages"]["questions"] == {"cached": 3 + 6 + 2, "ask": 1, "unknown": 1}


def test_a_plan_of_questions_alone_is_not_exact_while_a_leaf_asks_on(
    project: InProcess, server: ScriptedServer
) -> None:
    assert project.run(*LINE, "--until=questions").status == 0
    assert server.kinds == {"tags": 1, "questions": 6}, "nobody has judged yet"
    planned = project.run("plan", *LINE, "--until=dedup", "--json").document
    assert (planned["exact"], planned["stages"]["questions"]["ask"]) == (False, 1)
    assert project.run(*LINE, "--until=dedup").status == 0
    assert server.kinds == {"tags": 1, "questions": 9}


def test_growth_keeps_what_was_asked_for_and_comes_back_for_nothing(
    project: InProcess, server: ScriptedServer, model: OneByOne
) -> None:
    assert project.run(*LINE).status == 0
    at_first, before = project.data(), {row["id"]: row for row in project.rows("questions")}
    model.asked["Referees"].append("How many assistants stand at the line?")
    grown = project.run(*LINE[:-1], "questions_per_tag=4")
    assert grown.status == 0, grown.stderr
    after = {row["id"]: row for row in project.rows("questions")}
    assert {key: after[key] for key in before} == before
    assert server.kinds == {"tags": 1, "questions": 9 + 2, "answers": 6 + 2}
    assert Counter(map(len, kept(project).values())) == {4: 2}
    assert project.run(*LINE).status == 0
    assert (server.count, project.data()) == (20, at_first)
    shutil.rmtree(project.folder())
    assert project.run(*LINE).status == 0
    assert (server.count, project.data()) == (20, at_first), "the bytes of a build from the cache"


def test_what_is_changed_behind_asks_for_no_question_again(project: InProcess, server: ScriptedServer) -> None:
    assert project.run(*LINE).status == 0
    questions = project.rows("questions")
    server.reset()
    assert project.run(*LINE, "teacher.temperature=0.3").status == 0
    assert (server.kinds, project.rows("questions")) == ({"answers": 6}, questions)
    moved = project.run(*LINE, "dedup.near=null")
    assert (moved.status, server.kinds) == (0, {"answers": 6 + 2}), "two more in the place of those asked for instead"
    assert kept(project)["Referees"] == REFEREES


def test_the_bytes_are_the_same_in_any_order(project: InProcess, server: ScriptedServer, tmp_path: Path) -> None:
    assert project.run(*LINE).status == 0
    for number, concurrency in enumerate((1, 2, 8)):
        (tmp_path / f"other{number}/.git").mkdir(parents=True)
        other = InProcess(tmp_path / f"other{number}", server)
        server.latency = lambda body, turn=number: (len(json.dumps(body)) * (turn + 1)) % 7 / 500
        assert other.run(*LINE, f"limits.concurrency={concurrency}").status == 0
        assert other.bytes() == project.bytes()


def test_after_a_kill_between_two_rounds_nothing_that_came_is_asked_again(
    workspace: Workspace, server: ScriptedServer, model: OneByOne
) -> None:
    server.hold_from(1 + 6 + 2)  # both of the first round have come
    with start(workspace, *LINE, "limits.concurrency=1") as process:
        server.wait_for(1 + 6 + 3)
        shown = json.loads(workspace.raw("tree", "--json").stdout)
        assert shown["counts"] == {"tags": 2, "questions": 8}, "each row once, though a leaf is worked through again"
        process.kill()
        process.communicate()
    server.release()
    assert workspace.run(*LINE).status == 0
    assert (repeats(server) <= 1, len(workspace.rows("answers"))) == (True, 6)
    model.asked.clear()
    by_kill = workspace.bytes()
    shutil.rmtree(workspace.folder())
    assert workspace.run(*LINE, "--offline").status == 0
    assert workspace.bytes() == by_kill


def test_a_locked_build_proves_a_refilled_version_and_an_offline_one_names_what_is_missing(
    project: InProcess, server: ScriptedServer
) -> None:
    assert project.run(*LINE, "dedup.refill=0").status == 0
    offline = project.run(*LINE, "--offline")
    assert offline.status == 4
    assert "questions" in offline.stderr
    assert "sports / Referees" in offline.stderr
    assert project.run(*LINE).status == 0
    built, lock = project.bytes(), project.lock()
    shutil.rmtree(project.folder())
    project.folder().mkdir(parents=True)
    (project.folder() / LOCK).write_text(lock)
    for flag in ("--locked", "--frozen", "--offline"):
        assert project.run(*LINE, flag).status == 0
        assert (project.bytes(), server.count) == (built, 16)
    other = project.run(*LINE, "dedup.refill=1", "--locked")
    assert (other.status, project.bytes()) == (4, built)
    assert "refill" in other.stderr


def test_a_budget_that_ends_between_two_rounds_stops_and_the_next_build_goes_on(
    project: InProcess, server: ScriptedServer
) -> None:
    stopped = project.run(*LINE, "budget.calls=8")
    assert (stopped.status, server.count) == (3, 8), stopped.stderr
    causes = {(stage, missing, cause) for stage, _, missing, cause in shortages(project) if stage == "questions"}
    assert causes == {("questions", 1, "stopped")}
    assert project.run(*LINE).status == 0
    assert (server.count, Counter(map(len, kept(project).values()))) == (16, {3: 2})


def test_stop_after_stop_comes_to_the_same_bytes_for_no_more_calls(
    project: InProcess, server: ScriptedServer, tmp_path: Path
) -> None:
    assert project.run(*LINE).status == 0
    (tmp_path / "stopped/.git").mkdir(parents=True)
    stopped, builds = InProcess(tmp_path / "stopped", server), 1
    server.reset()
    while (done := stopped.run(*LINE, "budget.calls=2", "limits.concurrency=1")).status != 0:
        assert (done.status, stopped.raw("verify").status) == (3, 0), done.stderr
        builds += 1
    assert (server.count, builds) == (16, 8)
    assert stopped.data() == project.data()


def test_a_version_comes_back_and_its_questions_say_where_they_come_from(project: InProcess) -> None:
    assert project.run(*LINE).status == 0
    built, version = project.bytes(), json.loads(project.raw("history", "--json").stdout)["versions"][0]["version"]
    refilled = next(row["id"] for row in project.rows("questions") if row["question"] == SECOND_ROUND[0])
    logged = project.raw("log", refilled)
    assert logged.status == 0, logged.stderr
    assert "request 6 of 6" in logged.stdout
    assert "dedup.refill: 2 → 0" in project.run("explain", *LINE, "dedup.refill=0").stdout
    assert project.run(*LINE, "dedup.refill=0").status == 0
    assert project.raw("checkout", version).status == 0
    assert project.bytes() == built
    shutil.rmtree(project.folder() / "dataset")
    assert project.run("export", *LINE).status == 0
    assert project.bytes() == built


def test_a_sweep_over_rounds_asks_for_their_union(project: InProcess, server: ScriptedServer) -> None:
    assert project.run(*LINE).status == 0
    shutil.rmtree(project.root / CACHE)
    shutil.rmtree(project.folder())
    server.reset()
    swept = project.run("-m", *LINE, "dedup.refill=0,1,2", "--json")
    assert (swept.status, server.count) == (1, 16), "the rows that each adds, once; with one round a leaf stays short"
    again = project.run("plan", "-m", *LINE, "dedup.refill=0,1,2", "--json").document
    assert (again["calls"], again["exact"], server.count) == (0, True, 16)


def test_questions_that_are_asked_for_anew_are_refilled_anew(
    project: InProcess, server: ScriptedServer, model: OneByOne
) -> None:
    assert project.run(*LINE).status == 0
    server.reset()
    model.asked["Referees"] = [*REFEREES, "How old was the youngest umpire?", *SECOND_ROUND]
    done = project.run(*LINE, "--rebuild", "questions:*/Referees")
    assert done.status == 0, done.stderr
    assert kept(project)["Referees"] == [REFEREES[0], "How old was the youngest umpire?", *SECOND_ROUND]
    assert (server.kinds["questions"], repeats(server)) == (5, 0)


def test_a_leaf_that_has_all_keeps_it_whatever_others_are_asked_for(project: InProcess, model: OneByOne) -> None:
    both, wind = "Where do masters meet?", "Which wind spoils a throw?"
    model.asked = {
        "Archery": ["Who makes bows?", "When is mate declared?", both, wind, "Why are targets round?"],
        "Boxing": ["Who makes bows?", "When is mate declared?", "How heavy are gloves?", wind],
        "Chess": ["When is mate declared?", both],
    }
    line = (*LINE[:2], "breadth=3", "per_request.questions=1", "per_request.tags=3", "questions_per_tag=2")
    assert project.run(*line).status == 1
    assert kept(project)["Boxing"] == ["How heavy are gloves?", wind]
    assert shortages(project) == [("questions", ["sports", "Archery"], 1, "duplicate")]
    assert project.run(*line, "dedup.refill=3").status == 0
    assert kept(project)["Archery"] == ["Who makes bows?", "Why are targets round?"]
    assert Counter(map(len, kept(project).values())) == {2: 3}


def test_one_that_judges_again_says_that_it_asks_for_no_others(project: InProcess) -> None:
    own = project.root / "conf/stage"
    own.mkdir(parents=True)
    (own / "strict.yaml").write_text("defaults: [dedup, _self_]\nnear: 0.5\n")
    done = project.run(*LINE, "stages=[tags,questions,dedup,strict,answers]")
    assert done.status == 0, done.stderr
    assert "strict asks for no others in the place of the questions that it drops" in done.stderr
    quiet = project.run("plan", *LINE, "stages=[tags,questions,dedup,strict,answers]", "stage.strict.refill=0")
    assert "asks for no others" not in quiet.stderr + quiet.stdout


def test_what_stands_before_the_judge_is_asked_for_the_new_questions_alone(
    project: InProcess, server: ScriptedServer
) -> None:
    for place, text in (
        ("conf/stage/levels.yaml", "kind: map\nafter: questions\nrole: teacher\nprompt: levels\n"),
        ("conf/stage/many.yaml", "kind: group\nafter: questions\nby: tags\ncolumns: {many: rows.questions | length}\n"),
        ("prompts/en/levels.jinja", '{% call message("user") %}How hard is {{ row.question }}{% endcall %}\n'),
    ):
        (project.root / place).parent.mkdir(parents=True, exist_ok=True)
        (project.root / place).write_text(text)
    line = (*LINE, "stages=[tags,questions,levels,many,dedup]")
    assert project.run(*line, "--until=questions").status == 0
    planned = project.run("plan", *line, "--json").document
    assert (planned["stages"]["levels"]["ask"], planned["exact"]) == (6, False), "a leaf asks on when it has its levels"
    done = project.run(*line)
    assert done.status == 0, done.stderr
    assert server.kinds == {"tags": 1, "questions": 9, "answers": 9}
    assert [row["many"] for row in project.rows("many")] == [3, 6]
    assert [row["parent"] for row in project.rows("levels")] == [row["id"] for row in project.rows("questions")]
    shutil.rmtree(project.folder())
    assert project.run("plan", *line, "--json").document["exact"] is True
    assert (project.run(*line, "--offline").status, server.count) == (0, 19)
