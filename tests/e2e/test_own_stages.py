"""A stage of the user's own has everything that ours have: files, plans, failures, growth, locks, versions, sweeps."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from distill_build.config import composition
from distill_build.settings import Settings
from distill_build.stages.all import columns_of
from distill_build.stages.kinds.columns import Columns
from tests.e2e.own_project import (
    COUNTS,
    FILES,
    LINE,
    OWN,
    PRICES,
    PROMPTS,
    STAGES,
    WHERE,
    reply,
    write_project,
    write_prompt,
    write_stage,
)  # fmt: skip
from tests.e2e.test_only_what_is_affected import InProcess
from tests.e2e.workspace import Workspace
from tests.server import Body, Fault, ScriptedServer, classify, content

HEAD = ["id", "parent", "path", "sample"]
TAIL = ["model", "finish_reason", "usage", "call", "flags"]
CONCURRENCY = 2


@pytest.fixture(scope="module")
def endpoint() -> Iterator[ScriptedServer]:
    with ScriptedServer(plan=reply) as running:
        yield running


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, endpoint: ScriptedServer) -> Path:
    """A project that was built once, to be copied."""
    root = tmp_path_factory.mktemp("built")
    write_project(root)
    endpoint.reset()
    done = InProcess(root, endpoint).run(*LINE)
    assert done.status == 0, done.stderr
    assert endpoint.kinds == COUNTS
    return root


@pytest.fixture
def project(built: Path, tmp_path: Path, endpoint: ScriptedServer) -> InProcess:
    shutil.copytree(built, tmp_path, dirs_exist_ok=True)
    endpoint.plan = reply
    endpoint.reset()
    return InProcess(tmp_path, endpoint)


@pytest.fixture
def fresh(tmp_path: Path, endpoint: ScriptedServer) -> InProcess:
    """The project before its first build."""
    write_project(tmp_path)
    endpoint.plan = reply
    endpoint.reset()
    return InProcess(tmp_path, endpoint)


def asked(project: InProcess, *words: str, status: int = 0) -> dict[str, int]:
    """Builds, and says what was asked for it."""
    assert project.server is not None
    project.server.reset()
    done = project.run(*LINE, *words)
    assert done.status == status, done.stderr
    return dict(project.server.kinds)


def ids(rows: list[dict[str, Any]]) -> set[str]:
    return {row["id"] for row in rows}


# Artefacts and screens.


def test_each_has_its_artefact_with_its_columns(project: InProcess) -> None:
    answers = {row["id"]: row for row in project.rows("answers")}
    scores, translated = project.rows("scores"), project.rows("translate")
    assert list(scores[0]) == [*HEAD, "score", "reason", *TAIL]
    assert list(translated[0]) == [*HEAD, "translation", *TAIL]
    assert [row["score"] for row in scores] == [2, 3, 4] * 2
    assert all(row["path"] == answers[row["parent"]]["path"] for row in (*scores, *translated))
    good = project.rows("good")
    assert [row["id"] for row in good] == [row["id"] for row in scores]
    assert good[0] == {"id": scores[0]["id"], "kept": False, "why": ["rows.scores.score >= 3 does not hold"]}
    assert [row["kept"] for row in good] == [False, True, True] * 2
    kept = [row["parent"] for row in scores if row["score"] >= 3]
    assert [row["parent"] for row in translated] == kept
    best = project.rows("best")
    assert [list(row) for row in best] == [["id", "parent", "path", "score", "judged"]] * 4
    assert [row["parent"] for row in best] == [answers[parent]["question_id"] for parent in kept]
    assert [(row["score"], row["judged"]) for row in best] == [(3, 1), (4, 1)] * 2


def test_the_last_stage_that_exports_makes_the_training_rows(project: InProcess) -> None:
    lines = project.bytes()["dataset/train.messages.jsonl"].decode().splitlines()
    answers = {row["id"]: row for row in project.rows("answers")}
    for line, row in zip(map(json.loads, lines), project.rows("translate"), strict=True):
        above = answers[row["parent"]]
        user, assistant = (message["content"] for message in line["messages"])
        assert user == above["question"]
        assert assistant == f"<think>\n{above['reasoning']}\n</think>\n\n{row['translation']}"


def test_the_table_the_progress_and_the_end_tell_of_each(fresh: InProcess) -> None:
    told = fresh.run(*LINE).stderr.splitlines()
    assert told[0].startswith(
        "plan: about 21 requests (1 for tags, 2 for questions, 6 for answers, 6 for scores, 6 for translate)"
    )
    cells = {words[0]: words[1:6] for line in told if (words := line.split()) and "dropped" not in words}
    assert cells["scores"] == ["6", "of", "6", "0", "6"]
    assert cells["translate"] == ["4", "of", "4", "0", "4"]
    assert cells["best"] == ["4", "of", "4"]
    assert cells["good"] == ["4", "of", "6"]
    progress = next(line for line in told if line.startswith("tags ") and "/" in line)
    assert "scores 6/6, good 6/6 (2 dropped), translate 4/4, best 4/4; " in progress
    assert "good dropped 2 rows: rows.scores.score >= 3 does not hold" in told
    assert any(
        line.endswith("6 of 6 scores, 4 rows of translate, 4 rows of best; good dropped 2 of 6 scores") for line in told
    ), told


def test_until_takes_each_of_them(project: InProcess) -> None:
    order = STAGES.removeprefix("stages=[").removesuffix("]").split(",")
    whole = project.bytes()
    for stage in OWN:
        assert asked(project, f"--until={stage}") == {}
        files = {name.removesuffix(".jsonl") for name in project.data()}
        assert files == set(order[: order.index(stage) + 1])
    assert (asked(project), project.bytes()) == ({}, whole)


# Plan and explain.


def test_a_plan_counts_and_prices_each_stage(project: InProcess, endpoint: ScriptedServer) -> None:
    assert project.run("plan", *LINE, "--json").document["calls"] == 0
    plan = project.run("plan", *LINE, *PRICES, "stage.scores.samples=2", "--json").document
    assert plan["stages"]["scores"] | {"cached": 6, "ask": 6, "unknown": 0} == plan["stages"]["scores"]
    assert plan["stages"]["translate"] | {"cached": 4, "ask": 0, "unknown": 2} == plan["stages"]["translate"]
    assert (plan["calls"], plan["exact"]) == (6 + 2, False), "a second score may let through what was dropped"
    assert plan["usd"] == pytest.approx((plan["tokens"]["prompt"] + 2 * plan["tokens"]["completion"]) / 1e6, rel=0.01)
    assert plan["usd"] > 0
    free = project.run("plan", *LINE, *PRICES, "judge.prices.prompt=0", "judge.prices.completion=0", "seed=9", "--json")
    assert free.document["usd"] > 0
    assert endpoint.count == 0
    assert asked(project, "stage.scores.samples=2") == {"scores": 6}


def test_a_plan_takes_it_that_nothing_is_dropped_until_it_is_known(fresh: InProcess) -> None:
    plan = fresh.run("plan", *LINE, "--json").document
    assert (plan["calls"], plan["exact"]) == (1 + 2 + 6 + 6 + 6, False)


def test_explain_names_what_changed_of_a_stage(project: InProcess, endpoint: ScriptedServer) -> None:
    words = ("judge.temperature=0.5", "stage.good.where=row.score >= 4")
    changed = project.run("explain", *LINE, *words, "--json").document["changed"]
    assert changed["scores"] == [{"input": "judge.temperature", "old": None, "new": 0.5}]
    assert changed["good"] == [{"input": "stage.good.where", "old": WHERE, "new": "row.score >= 4"}]
    assert changed.keys() == {"scores", "good"}
    text = project.run("explain", *LINE, *words).stdout
    assert "scores: 6 to ask, 0 cached\n  judge.temperature: null → 0.5\n" in text
    assert "\nbest: nothing to ask\n  no input of its own changed" in text
    row = project.rows("scores")[0]["id"]
    item = project.run("explain", row, *LINE, *words)
    assert "temperature" in item.stdout
    assert endpoint.count == 0


def test_explain_of_an_item_goes_by_the_labels_that_requests_go_by(
    project: InProcess, endpoint: ScriptedServer
) -> None:
    """Whatever the labels are that people gave, when the dataset was built or since."""
    places = "{{ rows.tags.label }} {{ rows.tags.path }} {{ row.path }} {{ rows.questions.path }} {{ path }}"
    write_prompt(project.root, "scores", f"{PROMPTS['scores']} ({places})")
    assert project.run(*LINE).status == 0
    items = [project.rows(stage)[0]["id"] for stage in ("tags", "questions", "answers", "scores")]
    tree = project.root / "tree.yaml"
    tree.write_text(json.dumps({"rename": {project.rows("tags")[0]["label"]: "Renamed by hand"}}))
    endpoint.reset()
    for build in ((), LINE):
        assert not build or project.run(*build).status == 0
        assert [changed_of(project, item) for item in items] == [[], [], [], []]
    assert project.rows("scores")[0]["path"][-1] == "Renamed by hand"
    tree.unlink()
    assert [changed_of(project, item) for item in items] == [[], [], [], []]
    assert endpoint.count == 0
    assert changed_of(project, items[-1], "judge.temperature=0.5") != []


def changed_of(project: InProcess, item: str, *words: str) -> list[Any]:
    """What changed in the request behind an item, as explain tells it."""
    changed: list[Any] = project.run("explain", item, *LINE, *words, "--json").document["changed"]
    return changed


# Failures, budget, rebuilding.


def test_a_reply_without_a_required_field_fails_alone_and_the_next_build_asks_for_it(
    fresh: InProcess, endpoint: ScriptedServer
) -> None:
    def broken(number: int, body: Body) -> Fault | None:
        first = not any(classify(each.body) == "translate" for each in endpoint.requests[:number])
        return content('{"other": "x"}') if classify(body) == "translate" and first else reply(number, body)

    endpoint.plan = broken
    done = fresh.run(*LINE, "limits.concurrency=1", "limits.reasks=0")
    assert done.status == 1, done.stderr
    assert "3 of 4 rows of translate; 1 missing: see outputs/sports/failures.jsonl" in done.stderr
    (failure,) = fresh.rows("failures")
    assert (failure["stage"], failure["missing"], failure["attempts"]) == ("translate", 1, 1)
    lacking = {row["id"] for row in fresh.rows("answers")} - {row["parent"] for row in fresh.rows("translate")}
    assert failure["parent"] in lacking
    assert "translation" in failure["detail"]
    assert len(fresh.rows("translate")) == 3
    endpoint.plan = reply
    assert asked(fresh) == {"translate": 1}
    assert fresh.rows("failures") == []


def told_of(stderr: str) -> dict[str, str]:
    """The table's cells of what was made and failed, by stage."""
    rows = [line.split() for line in stderr.splitlines()]
    return {row[0]: " ".join(row[1:5]) for row in rows if row[2:3] == ["of"] and row[1].isdigit()}


def test_rows_that_a_transform_fails_on_are_missing_and_what_waits_for_them_is(fresh: InProcess) -> None:
    write_stage(fresh.root, "good", where="row.score >= 3 and (row.score < 4 or row.reason > 3)")
    done = fresh.run(*LINE)
    assert done.status == 1
    cells = told_of(done.stderr)
    assert cells["good"] == "2 of 6 2", "two are dropped, and of two it cannot tell"
    assert (cells["translate"], cells["best"]) == ("2 of 4 0", "2 of 4")
    short = "4 of 6 rows of good, 2 of 4 rows of translate, 2 of 4 rows of best"
    assert f"{short}; 2 rows of good, 2 rows of translate, 2 rows of best missing: see" in done.stderr
    assert {
        name: line for line in fresh.lock().splitlines() if (name := line.partition(" = ")[0])[:7] == "missing"
    } == {f"missing.{stage}": f"missing.{stage} = 2" for stage in ("good", "translate", "best")}
    write_stage(fresh.root, "good", where="row.reason > 3")
    done = fresh.run(*LINE, "--json")
    assert told_of(done.stderr)["good"] == "0 of 6 6"
    assert done.document["missing"] == {
        "tags": 0, "questions": 0, "dedup": 0, "answers": 0, "scores": 0, "good": 6, "translate": 6, "best": 6,
    }  # fmt: skip


def test_rows_that_a_group_fails_on_are_missing(fresh: InProcess) -> None:
    write_stage(fresh.root, "best", columns={"half": "2 / (row.question | length - row.question | length)"})
    done = fresh.run(*LINE)
    assert (done.status, told_of(done.stderr)["best"]) == (1, "0 of 4 4")
    assert "0 of 4 rows of best; 4 missing: see outputs/sports/failures.jsonl" in done.stderr
    assert "is complete" not in done.stderr


def test_what_a_transform_lacks_since_it_is_not_there_is_missing_above_alone(
    fresh: InProcess, endpoint: ScriptedServer
) -> None:
    def first_fails(number: int, body: Body) -> Fault | None:
        return content("") if classify(body) == "answers" and "at level 4" in str(body) else reply(number, body)

    endpoint.plan = first_fails
    done = fresh.run(*LINE, "limits.reasks=0")
    assert (done.status, told_of(done.stderr)["dedup"]) == (1, "6 of 6")
    short = "4 of 6 answers, 4 of 6 scores, 2 of 4 rows of translate, 2 of 4 rows of best; 2 answers, 2 scores, 2 rows"
    assert short in done.stderr, "and good, which lacks what there is no score for, is not named"


def test_a_stage_that_builds_on_ours_has_a_number_of_its_own(fresh: InProcess) -> None:
    export = {"question": "row.question", "answer": "(rows.answers | first).answer ~ row.answer"}
    write_stage(fresh.root, "second", defaults=["answers", "_self_"], role="rival", samples=3, export=export)
    line = (*LINE[:-1], "stages=[tags,questions,answers,second]")
    assert fresh.run(*line).status == 0
    training = (fresh.folder() / "dataset/train.messages.jsonl").read_text().splitlines()
    assert (len(fresh.rows("answers")), len(fresh.rows("second")), len(training)) == (6, 18, 18)
    assert "stage.second.samples: 3 → 2" in fresh.run("explain", *line, "stage.second.samples=2").stdout


def test_a_budget_stops_within_a_stage_and_the_next_build_goes_on(fresh: InProcess, endpoint: ScriptedServer) -> None:
    assert fresh.run(*LINE, "--until=answers").status == 0
    assert asked(fresh, "budget.calls=2", "limits.concurrency=1", status=3).keys() <= {"scores", "translate"}
    assert endpoint.count == 2
    rest = asked(fresh)
    assert sum(rest.values()) == 6 + 4 - 2


def test_rebuild_asks_the_calls_of_the_named_stage_alone(project: InProcess) -> None:
    leaf = "/".join(project.rows("tags")[0]["path"])
    assert asked(project, f"--rebuild=scores:{leaf}") == {"scores": 3}
    assert asked(project, "--rebuild=translate:**") == {"translate": 4}
    assert asked(project) == {}


# What reaches what.


def test_growth_asks_for_the_new_rows_alone(project: InProcess) -> None:
    before = {name: {row["id"]: row for row in project.rows(name)} for name in ("answers", "scores", "translate")}
    more = asked(project, "questions_per_tag=5")
    assert more == {"answers": 4, "scores": 4, "translate": 2}, "levels 5 and 1 come to each leaf"
    for name, rows in before.items():
        assert {row["id"]: row for row in project.rows(name)}.items() >= rows.items()
    assert asked(project, "stage.scores.samples=2") == {"scores": 6}
    assert [row["judged"] for row in project.rows("best")] == [2] * 4
    assert asked(project, "stage.translate.samples=3") == {"translate": 8}
    assert asked(project) == {}


def test_a_judge_that_says_the_same_asks_nothing_below(project: InProcess) -> None:
    before = project.rows("translate")
    write_prompt(project.root, "scores", "Be strict. " + PROMPTS["scores"])
    assert asked(project) == {"scores": 6}
    assert project.rows("translate") == before


def test_changed_answers_are_scored_and_translated_again(project: InProcess) -> None:
    assert asked(project, "teacher.temperature=0.3") == {"answers": 6, "scores": 6, "translate": 4}


def test_a_setting_of_a_role_reaches_its_stage_alone(project: InProcess) -> None:
    assert asked(project, "translator.temperature=0.3") == {"translate": 4}


@pytest.mark.parametrize(("least", "new"), [(2, 2), (4, 0), (5, 0)])
def test_a_threshold_asks_for_rows_that_it_newly_lets_through(project: InProcess, least: int, new: int) -> None:
    before = ids(project.rows("translate"))
    sent = asked(project, f"stage.good.where=row.score >= {least}")
    assert sent == ({"translate": new} if new else {})
    after = ids(project.rows("translate"))
    assert after >= before if new else after < before
    assert len(project.bytes()["dataset/train.messages.jsonl"].splitlines()) == len(after)


def test_a_plan_tells_of_rows_that_would_be_dropped_and_were_kept(project: InProcess) -> None:
    words = (*LINE, "stage.good.where=row.score >= 4")
    planned = project.run("plan", *words)
    assert "2 rows that the last build kept would be dropped, by good" in planned.stdout
    assert project.run("plan", *words, "--json").document["newly_dropped"] == 2


def test_that_nothing_is_exported_is_told_however_quiet(project: InProcess) -> None:
    words = (*LINE, "stage.good.where=row.score > 9", "-q")
    built = project.run(*words)
    told = "no row is exported: outputs/sports/dataset/train.messages.jsonl is empty"
    assert (built.status, told in built.stderr) == (0, True)
    assert told in project.run(*words).stderr
    assert told in project.run("export", *words).stderr


# Same bytes.


def test_deleted_outputs_come_back_from_the_cache(project: InProcess) -> None:
    before = project.bytes()
    shutil.rmtree(project.folder())
    assert (asked(project), project.bytes()) == ({}, before)


def test_kills_midway_cost_what_was_in_flight_and_change_no_byte(
    fresh: InProcess, endpoint: ScriptedServer, built: Path
) -> None:
    command, words = Workspace(fresh.root, endpoint), (*LINE, f"limits.concurrency={CONCURRENCY}")
    spent = 0
    for moment in (12, 6):  # in the middle of scores and translate
        endpoint.reset()
        endpoint.plan = lambda index, body, last=moment: _held(index, body, last)  # type: ignore[misc]
        with command.at_work(*words):
            endpoint.wait_for(moment, timeout=60)
        spent += endpoint.count
    endpoint.plan = reply
    endpoint.reset()
    assert command.run(*words).status == 0
    assert spent + endpoint.count <= sum(COUNTS.values()) + 2 * CONCURRENCY
    assert fresh.bytes() == InProcess(built).bytes()


def _held(index: int, body: Body, last: int) -> Fault | None:
    from tests.server import hang

    return hang() if index >= last - 1 else reply(index, body)


# Mistakes: a sentence, exit 2, and nothing is sent.

MISTAKES: dict[str, tuple[str, dict[str, Any], str]] = {
    "unknown after": ("good", {"after": "score"}, "did you mean 'scores'?"),
    "a schema that is none": ("scores", {"schema": {"type": "objekt", "properties": {"x": {}}}}, "stage.scores.schema"),
    "no expression": ("good", {"where": "row.score >= >= 3"}, "stage.good.where"),
    "an unknown row": ("good", {"where": "rows.votes.n > 1"}, "there is no stage votes in rows"),
    "a row that comes later": ("good", {"where": "rows.translate"}, "there is no stage translate in rows"),
    "a call": ("good", {"where": "row.reason.lower()"}, "nothing is called in an expression"),
    "an underscore": ("good", {"where": "row._x"}, "no name begins with an underscore"),
    "a column of a group": ("best", {"columns": {"x": "rows.nothing"}}, "there is no stage nothing in rows"),
    "by what is not above": ("best", {"by": "translate"}, "stage.best.by=translate"),
    "a misspelt column": ("good", {"where": "row.scroe >= 3"}, "row has no column scroe: is it meant to be score?"),
    "a misspelt column above": ("good", {"where": "rows.answers.anwser"}, "is it meant to be answer?"),
    "a misspelt column of a list": (
        "best",
        {"columns": {"x": "rows.scores | map(attribute='scroe') | max"}},
        "is it meant to be score?",
    ),
    "a list that is read as a row": ("best", {"columns": {"x": "rows.scores.score"}}, "rows.scores is a list of rows"),
    "a misspelt column of an export": (
        "translate",
        {"export": {"question": "rows.questions.question", "answer": "row.translatoin"}},
        "stage.translate.export.answer=row.translatoin: translate has no column translatoin",
    ),
    "a misspelt column above an export": (
        "translate",
        {"export": {"question": "rows.questions.qestion", "answer": "row.translation"}},
        "is it meant to be question?",
    ),
    "a column of a verdict": (
        "translate",
        {"export": {"question": "rows.dedup.keep | string", "answer": "row.translation"}},
        "is it meant to be kept?",
    ),
    "too many samples": ("scores", {"samples": 1_000_000}, "expected a whole number from 1 to 1000"),
    "an export that reads nothing": ("translate", {"export": {"question": "row.q", "answer": "row.a"}}, "no column q"),
    "a role that is a setting": ("scores", {"role": "topic"}, "the name is taken"),
    "a missing prompt": ("scores", {"prompt": "nowhere"}, "there is no prompt template en/nowhere.jinja"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_a_stage_is_a_sentence_before_anything_is_sent(fresh: InProcess, mistake: str) -> None:
    stage, changed, sentence = MISTAKES[mistake]
    write_stage(fresh.root, stage, **changed)
    refused(fresh, sentence)


def refused(project: InProcess, sentence: str, *words: str) -> None:
    """A build says the sentence, and sends nothing."""
    assert project.server is not None
    done = project.run(*(words or LINE))
    assert (done.status, project.server.count) == (2, 0), done.stderr
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1, "one sentence"
    assert not project.folder().exists()


def test_a_circle_is_refused(fresh: InProcess) -> None:
    write_stage(fresh.root, "scores", after="translate")
    write_stage(fresh.root, "translate", after="scores")
    refused(fresh, "a circle")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{{ answer }}", "there is no variable answer"),
        ("{{ rows.nothing.x }}", "there is no stage nothing in rows"),
        ("{{ row.answer", "scores.jinja, line"),
        ("{{ row.anwser }}", "line 2: row has no column anwser: is it meant to be answer?"),
        ("{{ rows.questions.qestion }}", "rows.questions has no column qestion: is it meant to be question?"),
        ("{{ row.usage.tokens }}", "row.usage has no field tokens"),
        ("{{ row.answer.__class__ }}", "no name begins with an underscore"),
        ("{{ row.answer | nope }}", "scores.jinja, line 2: there is no filter nope"),
        ("{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}", "makes more than"),
        ("{{ 'x' * 10 ** 9 }}", "makes more than"),
    ],
)
def test_a_prompt_that_cannot_be_rendered_is_refused(fresh: InProcess, text: str, sentence: str) -> None:
    write_prompt(fresh.root, "scores", text)
    refused(fresh, sentence)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("my-own", "a stage's name has small letters"), ("failures", "the name is taken"), ("topic", "the name is taken")],
)
def test_a_name_that_cannot_be_is_refused(fresh: InProcess, name: str, sentence: str) -> None:
    write_stage(fresh.root, name, **FILES["good"])
    refused(fresh, sentence, *LINE[:-1], STAGES.replace("good", f"good,{name}"))


PLACES = {
    ("stages=[tags,questions,answers]", "stage.answers.ids=q"): "stage.questions.ids and stage.answers.ids are both q",
    ("stages=[questions]", "stage.questions.after=null"): "stage.questions.after=null: questions grows no tree",
    ("stages=[questions,tags]", "stage.questions.after=null", "stage.tags.after=questions"): "questions grows no tree",
}


@pytest.mark.parametrize("words", PLACES)
def test_a_stage_of_ours_that_is_set_elsewhere_is_refused(fresh: InProcess, words: tuple[str, ...]) -> None:
    refused(fresh, PLACES[words], *LINE[:-1], *words)


def test_a_name_of_ours_is_taken_where_the_folder_is_not_a_projects(fresh: InProcess) -> None:
    (fresh.root / "conf/distill.yaml").unlink()
    write_stage(fresh.root, "dedup", **FILES["good"])
    refused(fresh, "the name is taken, by a stage of ours")


def test_the_mistake_of_a_stage_is_told_before_the_prompt_that_nothing_uses_for_it(fresh: InProcess) -> None:
    write_stage(fresh.root, "translate", prompt="scores", export={"question": "row.q", "answer": "row.translation"})
    refused(fresh, "stage.translate.export.question=row.q: translate has no column q")
    write_stage(fresh.root, "translate", prompt="scores")
    refused(fresh, "translate.jinja is not used")


def test_the_prompt_of_a_stage_that_is_not_in_force_is_no_mistake_whatever_its_kind_is(fresh: InProcess) -> None:
    write_stage(fresh.root, "translate", kind="mpa")
    assert fresh.run("plan", *LINE[:-1]).status == 0


def test_replies_are_read_again_by_another_schema_that_no_request_shows(
    fresh: InProcess, endpoint: ScriptedServer
) -> None:
    def telling(number: int, body: Body) -> Fault | None:
        asks = str(body["messages"][-1]["content"]).startswith("Tell")
        return content('{"mood": "glad", "tone": "warm"}') if asks else reply(number, body)

    endpoint.plan = telling
    small = ("topic=sports", "depth=1", "breadth=2", "questions_per_tag=2")
    line = (*small, "stages=[tags,questions,answers,moods]", "teller.structured=none")
    own: dict[str, Any] = {"kind": "map", "after": "answers", "role": "teller"}
    write_prompt(fresh.root, "moods", "Tell the mood of {{ row.answer }}")
    for fields in (["mood"], ["mood", "tone"], ["tone"]):
        schema = {"type": "object", "properties": {key: {"type": "string"} for key in fields}, "required": fields}
        write_stage(fresh.root, "moods", **own, schema=schema)
        endpoint.reset()
        assert fresh.run(*line).status == 0
        assert list(fresh.rows("moods")[0]) == [*HEAD, *fields, *TAIL]
    assert endpoint.count == 0


STAND_IN = {"kind": "map", "after": "questions", "role": "teacher"}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((), "answers.jinja, line 6: there is no variable answer_schema: it is a prompt of ours for another stage"),
        (("stage.answers.prompt=scores", "answers_per_question=3"), "say samples: ${answers_per_question} there"),
        (("stage.answers.prompt=scores", "system_prompt=Hi"), "say system_prompt: ${system_prompt} there"),
    ],
)
def test_what_our_answers_have_and_a_stand_in_has_not_is_told(
    fresh: InProcess, words: tuple[str, ...], sentence: str
) -> None:
    write_stage(fresh.root, "answers", **STAND_IN)
    refused(fresh, sentence, *LINE[:-1], *words)


def test_a_stand_in_has_a_prompt_of_its_own_and_follows_what_it_says(fresh: InProcess) -> None:
    write_stage(fresh.root, "answers", **STAND_IN, samples="${answers_per_question}")
    write_prompt(fresh.root, "answers", "{{ row.question }}")
    assert fresh.run(*LINE[:-1], "answers_per_question=2", "--until", "answers").status == 0
    assert fresh.server is not None
    assert fresh.server.kinds["answers"] == 12


def test_a_prompt_of_ours_for_another_stage_of_ours_is_told(fresh: InProcess) -> None:
    refused(fresh, "tags.jinja, line 34: there is no variable parent", *LINE[:-1], "stage.questions.prompt=tags")


def test_a_stage_stands_once_in_stages(fresh: InProcess) -> None:
    refused(fresh, "stages has good twice", *LINE[:-1], STAGES.replace("good", "good,good"))


def test_the_columns_of_each_are_known_before_there_are_rows(
    project: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What prompts and expressions are held against is what rows have."""
    monkeypatch.chdir(project.root)
    found: list[dict[str, Columns]] = []

    def task(settings: Settings) -> int:
        found.append(columns_of(settings))
        return 0

    assert composition.run([*LINE], task, lambda _: 1) == 0
    (columns,) = found
    for stage in STAGES.removeprefix("stages=[").removesuffix("]").split(","):
        assert {frozenset(row) for row in project.rows(stage)} == {frozenset(columns[stage])}, stage


def test_a_plan_prices_each_role_of_a_stage_by_its_own_model_and_experience(fresh: InProcess) -> None:
    two = ("cheap", "dear")
    write_stage(fresh.root, "scores", role=list(two))
    names = tuple(f"{role}.name={role}" for role in two)
    free = tuple(f"model.prices.{each}=0" for each in ("prompt", "completion"))
    words = (*LINE, "--json", "--until=scores", *names, *free)
    costs = {role: tuple(f"{role}.prices.{each}=1000" for each in ("prompt", "completion")) for role in two}
    first, second = (fresh.run("plan", *words, *costs[role]).document["usd"] for role in two)
    assert first == second > 0

    def wordy(number: int, body: Body) -> Fault | None:
        long = {"score": 3, "reason": "It is so since " + "one thing leads to another, " * 50}
        return content(json.dumps(long)) if body["model"] == "dear" else reply(number, body)

    assert fresh.server is not None
    fresh.server.plan = wordy
    assert fresh.run(*words).status == 0
    more = (*words, "seed=7")
    planned = {role: fresh.run("plan", *more, *costs[role]).document["usd"] for role in two}
    assert planned["dear"] > 2 * planned["cheap"], "what each takes is known by now"
