"""Versions, locks, sweeps and what is shared: a stage of the user's own is kept, compared and carried as ours are."""

import json
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from distill_build.config.stage_checks import fault_of_name
from tests.e2e.caches import CACHE, calls, copied
from tests.e2e.own_project import LINE, OWN, PROMPTS, STAGES, WHERE, reply, write_project, write_prompt
from tests.e2e.test_only_what_is_affected import InProcess
from tests.server import ScriptedServer

REQUESTS = 19
"""Of a build from nothing."""


@pytest.fixture(scope="module")
def endpoint() -> Iterator[ScriptedServer]:
    with ScriptedServer(plan=reply) as running:
        yield running


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, endpoint: ScriptedServer) -> InProcess:
    root = tmp_path_factory.mktemp("built")
    write_project(root)
    endpoint.reset()
    made = InProcess(root, endpoint)
    assert made.run(*LINE).status == 0
    assert endpoint.count == REQUESTS
    return made


@pytest.fixture
def project(built: InProcess, tmp_path: Path, endpoint: ScriptedServer) -> InProcess:
    """A copy of the project that was built, and a server that has counted nothing yet."""
    root = copied(built, tmp_path / "project").root
    endpoint.reset()
    return InProcess(root, endpoint)


def clone(project: InProcess, target: Path, *more: str) -> InProcess:
    """What git has of the project, and `more`."""
    for name in ("conf", "prompts", *more):
        shutil.copytree(project.root / name, target / name)
    (target / "outputs/sports").mkdir(parents=True)
    shutil.copy(project.folder() / "distill.lock", target / "outputs/sports")
    return InProcess(target, project.server)


# Locks.


def test_the_lock_tells_of_each_stage(project: InProcess) -> None:
    lock = project.lock()
    for stage in OWN:
        assert f"{stage}.jsonl" in lock
    assert WHERE in lock
    assert "judge" in lock


def test_a_clone_with_the_cache_is_built_frozen(project: InProcess, tmp_path: Path, endpoint: ScriptedServer) -> None:
    other = clone(project, tmp_path / "clone", CACHE)
    done = other.run(*LINE, "--frozen")
    assert (done.status, endpoint.count) == (0, 0), done.stderr
    assert other.bytes() == project.bytes()


@pytest.mark.parametrize("flag", ["--locked", "--frozen"])
@pytest.mark.parametrize(
    ("words", "cause"),
    [
        (("judge.temperature=0.5",), "judge.temperature"),
        (("stage.good.where=row.score >= 4",), "stage.good.where"),
        (("stage.translate.samples=2",), "stage.translate.samples"),
        (("stage.best.columns.judged=2",), "stage.best.columns.judged"),
    ],
)
def test_another_setting_of_a_stage_is_not_the_locked_version(
    project: InProcess, endpoint: ScriptedServer, flag: str, words: tuple[str, ...], cause: str
) -> None:
    before = project.bytes()
    done = project.run(*LINE, *words, flag)
    assert (done.status, endpoint.count) == (4, 0), done.stderr
    assert cause in done.stderr
    assert project.bytes() == before


def test_an_edited_prompt_of_a_stage_is_not_the_locked_version(project: InProcess, endpoint: ScriptedServer) -> None:
    write_prompt(project.root, "scores", "Be strict. " + PROMPTS["scores"])
    done = project.run(*LINE, "--locked")
    assert (done.status, endpoint.count) == (4, 0)
    assert "scores.jinja" in done.stderr


# Versions.


def test_history_counts_each_and_names_what_changed(project: InProcess) -> None:
    project.run(*LINE, "stage.good.where=row.score >= 4")
    newest = project.raw("history", "--json").document["versions"][0]
    assert newest["counts"] | {"scores": 6, "good": 6, "translate": 2, "best": 2} == newest["counts"]
    text = project.raw("history").stdout
    assert f"stage.good.where: {WHERE} → row.score >= 4" in text
    assert "2 rows of translate" in text


def test_a_checkout_brings_the_rows_of_each_back(project: InProcess, endpoint: ScriptedServer) -> None:
    before = project.bytes()
    project.run(*LINE, "stage.good.where=row.score >= 4")
    assert project.raw("checkout", "latest~1").status == 0
    assert (project.bytes(), endpoint.count) == (before, 0)


def test_diff_counts_each_and_shows_a_row_that_the_threshold_drops(project: InProcess) -> None:
    project.run(*LINE, "stage.good.where=row.score >= 4")
    document = project.raw("diff", "--json").document
    assert document["translate"] | {"added": 0, "removed": 2, "changed": 0, "same": 2} == document["translate"]
    assert document["scores"] | {"added": 0, "removed": 0, "changed": 0, "same": 6} == document["scores"]
    assert document["good"] | {"changed": 4, "kept_changed": 2, "why_changed": 4, "same": 2} == document["good"]
    assert document["best"] | {"removed": 2, "same": 2} == document["best"]
    causes = [(cause["setting"], cause["stages"]) for cause in document["causes"]]
    assert causes == [("stage.good.where", ["good"])]
    text = project.raw("diff").stdout
    assert "2 rows of translate removed" in text
    assert "2 rows of best removed: it follows from what differs in good" in text
    dropped = next(row["id"] for row in project.rows("good") if row["why"] == ["row.score >= 4 does not hold"])
    assert dropped in project.raw("diff", "-v").stdout


def test_diff_shows_a_translation_word_by_word(project: InProcess) -> None:
    row = project.rows("translate")[0]
    project.run(*LINE, "translator.temperature=0.5")
    new = next(each for each in project.rows("translate") if each["id"] == row["id"])
    document = project.raw("diff", "--json").document
    assert document["translate"]["translation_changed"] == 4
    shown = project.raw("diff", "latest~1", "latest", row["id"]).stdout
    assert "\nTranslation\n" in shown
    for word in {*row["translation"].split(), *new["translation"].split()}:
        assert word in shown


# One row.


def test_log_goes_through_all_rows_above(project: InProcess) -> None:
    row = project.rows("translate")[0]
    told = project.raw("log", row["id"]).stdout
    places = [told.index(text) for text in ("Tag “", "Question “", "kept by dedup", "\nAnswer\n", "\nTranslate\n")]
    assert places == sorted(places)
    assert row["translation"] in told
    score = project.rows("scores")[0]
    told = project.raw("log", score["id"]).stdout
    assert "dropped by good: rows.scores.score >= 3 does not hold" in told
    document = project.raw("log", score["id"], "--json").document
    assert score["call"] in json.dumps(document)
    assert project.rows("best")[0]["id"] in project.raw("log", project.rows("best")[0]["id"]).stdout


def test_show_tells_verdicts_and_what_hangs_below(project: InProcess) -> None:
    score, kept = project.rows("scores")[:2]
    assert "verdict   dropped by good: rows.scores.score >= 3 does not hold" in project.raw("show", score["id"]).stdout
    assert "verdict   kept by good" in project.raw("show", kept["id"]).stdout
    answer = project.raw("show", kept["parent"]).stdout
    translated = next(row for row in project.rows("translate") if row["parent"] == kept["parent"])
    assert translated["translation"] in answer
    assert kept["reason"] in answer
    document = project.raw("show", translated["id"], "--json").document
    assert translated["translation"] in json.dumps(document)


def test_the_tree_counts_each(project: InProcess) -> None:
    first = project.raw("tree").stdout.splitlines()[0]
    assert first.endswith("6 scores, 2 dropped by good, 4 rows of translate, 4 rows of best")


def test_no_key_that_stands_beside_a_stage_or_one_of_its_rows_could_be_that_stages_own_name(project: InProcess) -> None:
    project.run(*LINE, "stage.good.where=row.score >= 4")
    rows = [project.rows(name)[0]["id"] for name in ("tags", "questions", "answers", *OWN)]
    called = {"tags", "questions", "dedup", "answers", *OWN}
    beside = set(project.raw("diff", "--json").document) - called
    below = {key for row in rows for command in ("show", "log") for key in project.raw(command, row, "--json").document}
    singular = {name for key in below - {name.removesuffix("s") for name in called} for name in (key, f"{key}s")}
    assert ({"versions", "different"} <= beside, {"from_version", "verdicts", "kinds"} <= singular) == (True, True)
    assert {name for name in beside | singular if fault_of_name(name) is None} == set()


# Files and responses.


def test_verify_looks_at_each_file(project: InProcess) -> None:
    assert project.raw("verify").status == 0
    assert project.raw("verify", "--json").document["rows"]["translate.jsonl"] == 4
    for stage in OWN:
        file = project.folder() / f"{stage}.jsonl"
        whole = file.read_bytes()
        file.write_bytes(whole.replace(b'"id"', b'"ID"', 1))
        found = project.raw("verify")
        assert (found.status, f"{stage}.jsonl" in found.stdout) == (4, True)
        file.write_bytes(whole)


def test_gc_keeps_the_responses_of_each(project: InProcess, endpoint: ScriptedServer) -> None:
    before = project.bytes()
    assert project.raw("cache", "gc", "--cache-dir", CACHE).status == 0
    assert calls(project) == REQUESTS
    shutil.rmtree(project.folder())
    assert project.run(*LINE, "--offline").status == 0
    assert (project.bytes(), endpoint.count) == (before, 0)


def test_a_bundle_carries_the_responses_of_each(project: InProcess, tmp_path: Path, endpoint: ScriptedServer) -> None:
    assert project.raw("cache", "export", str(tmp_path / "all.bundle")).status == 0
    other = clone(project, tmp_path / "other")
    assert other.raw("cache", "import", str(tmp_path / "all.bundle"), "--cache-dir", CACHE).status == 0
    done = other.run(*LINE, "--offline")
    assert (done.status, endpoint.count) == (0, 0), done.stderr
    assert other.bytes() == project.bytes()


def test_offline_names_the_row_that_is_not_there(project: InProcess, endpoint: ScriptedServer) -> None:
    done = project.run(*LINE, "judge.temperature=0.1", "--offline")
    assert (done.status, endpoint.count) == (4, 0)
    assert "scores" in done.stderr


# Sweeps.


def swept(root: Path, endpoint: ScriptedServer, *words: str) -> Counter[str]:
    """Plans and builds a sweep from nothing; what was asked, which is what the plan said if that was exact."""
    write_project(root)
    project = InProcess(root, endpoint)
    endpoint.reset()
    done = project.run("-m", *words)
    assert done.status == 0, done.stderr
    sent = endpoint.kinds
    bodies = Counter(json.dumps(request.body, sort_keys=True) for request in endpoint.requests)
    assert set(bodies.values()) == {1}, "a call that several jobs need is sent once"
    endpoint.reset()
    assert project.run("-m", *words).status == 0
    assert endpoint.count == 0
    return sent


def test_a_setting_of_a_stage_can_be_swept(tmp_path: Path, endpoint: ScriptedServer) -> None:
    sent = swept(tmp_path, endpoint, *LINE, "stage.scores.samples=1,2")
    assert sent == {"tags": 1, "questions": 2, "answers": 6, "scores": 12, "translate": 4}


def test_a_threshold_can_be_swept(project: InProcess, endpoint: ScriptedServer) -> None:
    words = ("-m", *LINE, "stage.good.where='row.score >= 2','row.score >= 4'")
    plan = project.run("plan", *words, "--json").document
    assert (plan["calls"], plan["exact"]) == (2, True)
    assert project.run(*words).status == 0
    assert endpoint.kinds == {"translate": 2}


def test_stages_can_be_swept_and_the_union_is_exact(tmp_path: Path, endpoint: ScriptedServer) -> None:
    small, whole = "[tags,questions,answers]", STAGES.removeprefix("stages=")
    sent = swept(tmp_path, endpoint, *LINE[:-1], f"stages={small},{whole}")
    assert sent == {"tags": 1, "questions": 2, "answers": 6, "scores": 6, "translate": 4}
    project = InProcess(tmp_path, endpoint)
    grown = ("-m", *LINE[:-1], f"stages={small},{whole}", "judge.temperature=0.5")
    plan = project.run("plan", *grown, "--json").document
    assert (plan["stages"]["scores"]["ask"], plan["stages"]["answers"]["ask"]) == (6, 0)


def test_progress_of_a_sweep_over_stages_knows_those_that_the_first_job_lacks(
    tmp_path: Path, endpoint: ScriptedServer
) -> None:
    """The first job's settings have no model for them; an error of the progress would be a warning, which fails."""
    write_project(tmp_path)
    endpoint.latency = 0.3
    try:
        small, whole = "[tags,questions]", STAGES.removeprefix("stages=")
        done = InProcess(tmp_path, endpoint).run("-m", *LINE[:-1], f"stages={small},{whole}", "limits.concurrency=2")
    finally:
        endpoint.latency = 0.0
    assert done.status == 0, done.stderr
    assert "scores" in done.stderr


# Endpoints and documents.


def test_check_asks_the_role_of_a_stage(project: InProcess) -> None:
    with ScriptedServer(plan=reply) as judge:
        done = project.run("check", *LINE, f"judge.base_url={judge.base_url}", "judge.name=strict")
        assert judge.count > 0
    assert "strict  (judge)" in done.stdout
    assert "(tagger, student, teacher, translator)" in done.stdout


def test_the_document_of_a_build_has_each(project: InProcess) -> None:
    document = project.run(*LINE, "stage.scores.samples=2", "--json").document
    assert document["stages"]["scores"] | {"cached": 6, "ask": 6, "unknown": 0} == document["stages"]["scores"]
    assert set(document["stages"]) >= {"scores", "translate"}
    assert (document["calls"], document["failures"]) == (6, 0)
