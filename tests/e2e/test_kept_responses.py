"""A folder keeps the raw responses it was made from: who loses the cache, or gets the folder alone, asks nothing."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from distill_build.builds import kept_responses
from distill_build.cache.transfer import importer
from distill_build.cache.transfer.bundle import read_bundle
from distill_build.engine.cache_directory import CacheDirectory
from tests.e2e.caches import CACHE, calls, flipped, opened
from tests.e2e.mounts import read_only
from tests.e2e.test_only_what_is_affected import InProcess
from tests.e2e.workspace import Workspace
from tests.server import Body, Fault, ScriptedServer, classify, content, error

WORDS = ("topic=sports", "depth=1", "breadth=2", "questions_per_tag=2")
SOURCES = "runs/sources.jsonl"


@pytest.fixture
def project(tmp_path: Path, server: ScriptedServer) -> InProcess:
    project = InProcess(tmp_path / "here", server)
    project.root.mkdir()
    assert project.run(*WORDS).status == 0
    server.reset()
    return project


def packs(project: InProcess) -> list[Path]:
    return sorted((project.folder() / "runs" / "responses").glob("*"))


def calls_in(pack: Path) -> list[str]:
    with pack.open("rb") as file:
        return [record.name for record in read_bundle(file, str(pack))]


def lose_cache(project: InProcess) -> None:
    shutil.rmtree(project.root / ".distill-cache")


def test_a_lost_cache_costs_nothing_and_changes_no_byte(project: InProcess, server: ScriptedServer) -> None:
    files = project.bytes()
    lose_cache(project)
    plan = project.run("plan", *WORDS, "--json")
    assert (plan.document["calls"], plan.document["exact"]) == (0, True)
    assert "lacks 7 calls that outputs/sports keeps" in plan.stderr
    assert not (project.root / ".distill-cache").exists(), "a plan makes no cache"
    built = project.run(*WORDS)
    assert built.status == 0
    assert "lacks 7 calls that outputs/sports keeps" in built.stderr
    assert "--rebuild asks anew" in built.stderr
    assert (server.kinds, project.bytes()) == ({}, files)
    assert "keeps" not in project.run(*WORDS).stderr, "now the cache has them"


@pytest.mark.parametrize("words", [("history",), ("checkout", "latest"), ("verify",), ("log", "1")])
def test_without_the_cache_commands_that_want_it_name_the_build_that_makes_it_anew(
    workspace: Workspace, words: tuple[str, ...]
) -> None:
    assert workspace.run(*WORDS).status == 0
    shutil.rmtree(workspace.root / ".distill-cache")
    way_out = "a build makes it anew from what outputs/sports keeps"
    assert way_out in said(workspace, *words)
    assert way_out not in said(workspace, *words, "--cache-dir", "mistyped")
    shutil.rmtree(workspace.root / "outputs/sports/runs/responses")
    assert "there is no cache at" in said(workspace, *words)
    assert way_out not in said(workspace, *words)


def said(workspace: Workspace, *words: str) -> str:
    looked = workspace.raw(*words)
    return " ".join((looked.stdout + looked.stderr).split())


@pytest.mark.parametrize("flag", ["--offline", "--locked", "--frozen"])
def test_what_a_folder_keeps_is_stored_for_builds_that_ask_nothing(
    project: InProcess, server: ScriptedServer, flag: str
) -> None:
    files = project.bytes()
    lose_cache(project)
    assert project.run("plan", *WORDS, flag).status == 0
    assert project.run(*WORDS, flag).status == 0
    assert (server.kinds, project.bytes()) == ({}, files)


def test_a_folder_that_comes_alone_is_grown_by_what_is_new(
    project: InProcess, server: ScriptedServer, tmp_path: Path
) -> None:
    there = InProcess(tmp_path / "there", server)
    shutil.copytree(project.root / "outputs", there.root / "outputs")
    answers = project.rows("answers")
    assert there.run(*WORDS, "answers_per_question=2").status == 0
    assert server.kinds == {"answers": 4}
    assert [row for row in there.rows("answers") if row["sample"] == 0] == answers


def test_growth_adds_to_the_packs_what_they_lack(project: InProcess, server: ScriptedServer) -> None:
    before = packs(project)
    assert project.run(*WORDS, "answers_per_question=2").status == 0
    first, second = before[0], next(pack for pack in packs(project) if pack not in before)
    assert packs(project) == sorted([first, second])
    assert (len(calls_in(first)), len(calls_in(second))) == (7, 4)
    lose_cache(project)
    server.reset()
    assert project.run(*WORDS, "answers_per_question=2", "--offline").status == 0


def test_packs_hold_no_more_than_twice_what_is_used(project: InProcess) -> None:
    for seed in (1, 2, 3, 0, 4):
        assert project.run(*WORDS, f"seed={seed}").status == 0
        calls = [call for pack in packs(project) for call in calls_in(pack)]
        assert 7 <= len(calls) <= 14


def test_without_kept_responses_the_version_that_is_replaced_can_be_brought_back(
    project: InProcess, server: ScriptedServer
) -> None:
    assert project.run(*WORDS, "keep_responses=false").status == 0
    assert (server.kinds, packs(project)) == ({}, [])
    files = project.bytes()
    lose_cache(project)
    assert project.run(*WORDS, "seed=1", "keep_responses=false").status == 0
    assert server.kinds == {"tags": 1, "questions": 2, "answers": 4}
    assert project.bytes() != files
    old = project.raw("history", "--json").document["versions"][-1]["version"]
    assert project.raw("checkout", old).status == 0
    assert project.bytes() == files


def test_what_is_turned_on_again_is_kept_from_the_cache(project: InProcess, server: ScriptedServer) -> None:
    assert project.run(*WORDS, "keep_responses=false").status == 0
    assert project.run(*WORDS).status == 0
    assert server.kinds == {}
    assert [len(calls_in(pack)) for pack in packs(project)] == [7]


def test_a_pack_that_is_not_as_it_was_written_is_no_source(project: InProcess, server: ScriptedServer) -> None:
    pack = packs(project)[0]
    pack.write_bytes(pack.read_bytes()[:-1])
    lose_cache(project)
    plan = project.run("plan", *WORDS, "--json")
    assert plan.document["calls"] > 0
    assert "1 file of 1 are gone or not as they were written" in plan.stderr
    built = project.run(*WORDS)
    assert built.status == 0
    assert "1 file of 1 are gone or not as they were written" in built.stderr
    assert server.kinds == {"tags": 1, "questions": 2, "answers": 4}
    assert [len(calls_in(pack)) for pack in packs(project)] == [7]


def test_a_damaged_pack_is_written_anew_while_the_cache_has_its_calls(
    project: InProcess, server: ScriptedServer
) -> None:
    packs(project)[0].write_bytes(b"")
    assert project.run(*WORDS).status == 0
    assert server.kinds == {}
    assert [len(calls_in(pack)) for pack in packs(project)] == [7]


def test_what_stands_in_a_cache_is_displaced_by_no_folder(project: InProcess, server: ScriptedServer) -> None:
    """The copy keeps older replies than the cache, where another folder has asked anew."""
    shutil.copytree(project.folder(), project.folder("copy"))
    assert project.run(*WORDS, "--rebuild=answers:*").status == 0
    assert server.kinds == {"answers": 4}
    assert project.run(*WORDS, "name=copy").status == 0
    assert project.run(*WORDS, "name=third").status == 0
    assert (server.kinds, project.rows("answers", "third")) == ({"answers": 4}, project.rows("answers"))


def test_the_newer_reply_of_a_call_that_was_asked_anew_comes_back(
    project: InProcess, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the bounds of a transaction are: the older pack has the call as it stood before."""
    assert project.run(*WORDS, "--rebuild=answers:*").status == 0
    files = project.bytes()
    assert len(packs(project)) == 2
    lose_cache(project)
    server.reset()
    monkeypatch.setattr(importer, "BATCH_CALLS", 1)
    assert project.run("plan", *WORDS, "--json").document["calls"] == 0
    assert project.run(*WORDS, "--offline").status == 0
    assert project.bytes() == files


def test_a_version_that_was_brought_back_needs_no_cache_either(project: InProcess, server: ScriptedServer) -> None:
    old, files = project.raw("history", "--json").document["versions"][0]["version"], project.bytes()
    assert project.run(*WORDS, "answers_per_question=2").status == 0
    assert project.raw("checkout", old).status == 0
    lose_cache(project)
    server.reset()
    assert project.run("plan", *WORDS, "--json").document["calls"] == 0
    assert project.run(*WORDS).status == 0
    assert (server.kinds, project.bytes()) == ({}, files)
    lose_cache(project)
    assert project.run(*WORDS, "answers_per_question=2", "--offline").status == 0, "nothing was let go of"


def test_a_damaged_entry_of_the_cache_is_not_kept_and_stops_nothing(project: InProcess) -> None:
    shutil.rmtree(project.folder() / "runs" / "responses")
    with closing(sqlite3.connect(project.root / ".distill-cache" / "cache.db")) as database, database:
        (key,) = database.execute("SELECT key FROM Cache WHERE tag = 'answers' LIMIT 1").fetchone()
        database.execute("UPDATE Cache SET value = ? WHERE key = ?", (b"not as it was", key))
    assert project.run(*WORDS).status == 0
    assert key not in [call for pack in packs(project) for call in calls_in(pack)]
    lose_cache(project)
    assert project.run("plan", *WORDS, "--json").document["calls"] == 1


def test_a_folder_that_names_files_outside_of_it_takes_none_of_them(project: InProcess, tmp_path: Path) -> None:
    other = tmp_path / "other.txt"
    other.write_text("somebody else's")
    state = project.folder() / "runs" / "state.json"
    document = json.loads(state.read_text())
    document["outputs"]["runs/responses/../../../../../other.txt"] = {"size": 1, "mtime_ns": 1, "sha256": "0" * 64}
    state.write_text(json.dumps(document))
    assert project.run(*WORDS, "answers_per_question=2").status == 0
    assert other.exists()


def test_a_version_that_is_brought_back_keeps_the_packs(project: InProcess, server: ScriptedServer) -> None:
    old = project.raw("history", "--json").document["versions"][0]["version"]
    assert project.run(*WORDS, "answers_per_question=2").status == 0
    there = packs(project)
    assert project.raw("checkout", old).status == 0
    assert packs(project) == there
    lose_cache(project)
    server.reset()
    assert project.run(*WORDS, "answers_per_question=2").status == 0
    assert server.kinds == {}


def test_many_small_packs_become_few_and_lose_nothing(
    project: InProcess, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_responses, "MOST_SMALL_PACKS", 3)
    numbers = []
    for samples in (2, 3, 4):
        assert project.run(*WORDS, f"answers_per_question={samples}").status == 0
        numbers.append(len(packs(project)))
    assert numbers == [2, 3, 1]
    files = project.bytes()
    lose_cache(project)
    server.reset()
    assert project.run(*WORDS, "answers_per_question=4").status == 0
    assert (server.kinds, project.bytes()) == ({}, files)


def test_an_edited_file_is_kept_beside_and_made_again_without_the_cache(
    project: InProcess, server: ScriptedServer
) -> None:
    files, edited = project.bytes(), project.folder() / "answers.jsonl"
    edited.write_text(edited.read_text().replace('"answer":', '"answer": "mine", "was":', 1))
    mine = edited.read_bytes()
    lose_cache(project)
    built = project.run(*WORDS)
    assert (built.status, server.kinds, project.bytes()) == (0, {}, files)
    (beside,) = (project.folder() / "runs").glob("*/answers.jsonl")
    assert (beside.read_bytes(), str(beside.parent.name) in built.stderr) == (mine, True)


def test_a_read_only_cache_that_lacks_what_a_folder_keeps_is_enough(project: InProcess, server: ScriptedServer) -> None:
    files = project.bytes()
    assert project.run(*WORDS, "topic=music", "cache.dir=other").status == 0
    server.reset()
    with read_only(project.root / "other"):
        assert project.run("plan", *WORDS, "cache.dir=other", "--offline").status == 0
        (project.folder() / "answers.jsonl").unlink()
        built = project.run(*WORDS, "cache.dir=other")
    assert (built.status, server.kinds, project.bytes()) == (0, {}, files)
    assert "lacks 7 calls that outputs/sports keeps" in built.stderr


def test_a_version_that_the_lost_cache_knew_is_kept_with_what_it_lacks(
    project: InProcess, server: ScriptedServer
) -> None:
    """Other settings replace it, so what it lacks is told by the lock beside it."""

    def without_answers(_: int, body: Body) -> Fault | None:
        return error(400, "not this one") if classify(body) == "answers" else None

    server.plan = without_answers
    assert project.run(*WORDS, "seed=2", "name=short").status == 1
    server.plan = ()
    lose_cache(project)
    assert project.run(*WORDS, "name=short", "seed=1").status == 0
    new, old = project.raw("history", "short", "--json").document["versions"]
    assert (new["missing"], old["missing"]) == ({}, {"answers": 4})


# What leaves the cache: by `cache fsck`, which sets it aside, and by `cache gc` under a policy


def lose_database(project: InProcess) -> None:
    for file in (project.root / CACHE).glob("cache.db*"):
        file.unlink()
    assert project.raw("cache", "fsck").status == 5


def damage_answers(project: InProcess) -> None:
    with opened(project) as database:
        for row, value in database.execute("SELECT rowid, value FROM Cache WHERE tag = 'answers'").fetchall():
            database.execute("UPDATE Cache SET value = ? WHERE rowid = ?", (flipped(value), row))
    assert project.raw("cache", "fsck").status == 5
    assert calls(project) == 3


def collect_all(project: InProcess) -> None:
    """Where the folder lies now the cache does not know it, so nothing in it is needed there."""
    moved = project.root.with_name("moved")
    project.root.rename(moved)
    project.root = moved
    assert project.raw("cache", "gc", "--keep-last=0", "--older-than=0d").status == 0
    assert calls(project) == 0


LOSSES = [lose_database, damage_answers, collect_all]


@pytest.mark.parametrize("lose", LOSSES)
def test_what_fsck_or_gc_took_out_of_the_cache_comes_back_from_the_folder(
    project: InProcess, server: ScriptedServer, lose: Callable[[InProcess], None]
) -> None:
    server.plan = lambda _, body: content("Another answer.") if classify(body) == "answers" else None
    growth, asked, before = "answers_per_question=2", {"answers": 4}, project.rows("answers")
    lose(project)
    plan = project.run("plan", *WORDS, growth, "--json").document
    assert (plan["calls"], plan["stages"]["answers"]["ask"]) == (4, 4)
    built = project.run(*WORDS, growth)
    assert (built.status, server.kinds) == (0, asked)
    assert f"that {project.folder().relative_to(project.root)} keeps" in built.stderr
    assert [row for row in project.rows("answers") if row["sample"] == 0] == before


def test_rows_stay_though_another_dataset_asked_for_what_was_lost(project: InProcess, server: ScriptedServer) -> None:
    assert project.raw("cache", "export", "all.bundle", "--cache-dir", CACHE).status == 0
    before = project.rows("answers")
    collect_all(project)
    server.plan = lambda _, body: content("Another answer.") if classify(body) == "answers" else None
    assert project.run(*WORDS, "name=other").status == 0
    assert project.raw("cache", "import", "all.bundle", "--cache-dir", CACHE).status == 0
    server.reset()
    assert project.run(*WORDS, "answers_per_question=2").status == 0
    assert server.kinds == {"answers": 4}
    assert [row for row in project.rows("answers") if row["sample"] == 0] == before


def test_a_dataset_of_which_nothing_was_lost_asks_nothing_and_stays(project: InProcess, server: ScriptedServer) -> None:
    files, cache = project.bytes(), CacheDirectory(project.root / CACHE)
    assert project.run(*WORDS, "topic=music").status == 0
    shutil.rmtree(project.folder("music"))
    server.reset()
    before = cache.losses()
    assert project.raw("cache", "gc", "--keep-last=0", "--older-than=0d").status == 0
    assert calls(project) == 7
    assert cache.losses() != before
    assert "up to date" in project.run(*WORDS).stderr
    assert (server.kinds, project.bytes()) == ({}, files)


@pytest.mark.parametrize("words", ["gc", "gc --keep-last=0 --older-than=0d", "gc --max-size=1GB", "fsck"])
def test_what_takes_no_response_out_makes_nobody_look(project: InProcess, words: str) -> None:
    losses = CacheDirectory(project.root / CACHE).losses()
    assert project.raw("cache", *words.split()).status == 0
    assert calls(project) == 7
    assert CacheDirectory(project.root / CACHE).losses() == losses


@pytest.mark.parametrize("lose", LOSSES)
@pytest.mark.parametrize("keeping", ["keep_responses=true", "keep_responses=false"])
def test_a_dataset_that_nothing_changed_in_is_up_to_date_whatever_the_cache_lost(
    project: InProcess, server: ScriptedServer, lose: Callable[[InProcess], None], keeping: str
) -> None:
    assert project.run(*WORDS, keeping).status == 0
    files = project.bytes()
    lose(project)
    done = project.run(*WORDS, keeping)
    assert (done.status, server.kinds, project.bytes()) == (0, {}, files)
    assert "up to date" in done.stderr
