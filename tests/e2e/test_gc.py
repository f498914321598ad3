"""`cache gc`: what nothing needs goes, and nothing else; what was kept is worth what it was worth before."""

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from distill_build.cache.gc.collection import collect
from distill_build.cache.gc.policy import policy_of
from distill_build.cache.gc.roots import unfinished_runs
from distill_build.engine.entry import Accepted, Attempt, Entry
from distill_build.engine.lock import in_use
from distill_build.engine.manifest import digest
from distill_build.engine.store import Store
from distill_build.versions.archive import Archive
from distill_build.versions.snapshot import chunks_of, take_snapshot
from tests.e2e.caches import CACHE, calls, contents, copied, keys, opened
from tests.e2e.mounts import read_only
from tests.e2e.workspace import Finished, Workspace
from tests.server import ScriptedServer, hang

TREE = ("topic=sports", "depth=1", "breadth=2", "questions_per_tag=1")
PRICES = ("model.prices.prompt=1", "model.prices.completion=2")
CALLS = 1 + 2 + 2
ALL = 3 * CALLS
GC = ("cache", "gc", "--cache-dir", CACHE)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """Two projects that share a cache: one with two versions that share nothing, another in `other`."""
    with ScriptedServer() as server:
        project = Workspace(tmp_path_factory.mktemp("project"), server)
        for seed in (1, 2):
            assert project.run(*TREE, *PRICES, f"seed={seed}").status == 0
            shutil.copy2(project.folder() / "distill.lock", project.root / f"{seed}.lock")
        other = f"output_dir={project.root / 'other'}"
        assert project.run(*TREE, *PRICES, "seed=3", other).status == 0
        yield project


@pytest.fixture
def project(built: Workspace, tmp_path: Path) -> Workspace:
    return copied(built, tmp_path)


def collected(workspace: Workspace, *flags: str) -> dict[str, object]:
    """The document of a gc that went well."""
    finished = workspace.raw(*GC, "--json", *flags)
    assert finished.status == 0, finished.stderr
    document: dict[str, object] = finished.document
    return document


def frozen(workspace: Workspace, *words: str) -> Finished:
    """A frozen build of a folder of which the lock alone is left."""
    folder = workspace.folder()
    lock = (folder / "distill.lock").read_bytes()
    shutil.rmtree(folder)
    folder.mkdir()
    (folder / "distill.lock").write_bytes(lock)
    return workspace.run(*words, "--frozen")


@contextmanager
def started(workspace: Workspace, *words: str) -> Iterator["subprocess.Popen[str]"]:
    """A command at work; a test that fails leaves none behind."""
    with workspace.start(*words) as process:
        try:
            yield process
        finally:
            process.kill()


def remember(workspace: Workspace, *ages: timedelta, text: str = "x") -> list[str]:
    """Puts calls into the cache that nothing needs, as old as that; returns their keys."""
    entries = []
    for number, age in enumerate(ages):
        manifest = {"stage": "answers", "body": {"model": "m", "number": number}}
        at = (datetime.now(UTC) - age).isoformat()
        entries.append(Entry(digest(manifest), manifest, (Attempt(0, text, 1.0, at, (), 0.5),), Accepted(0, text)))
    store = Store(workspace.root / CACHE)
    store.unite(entries)
    store.close()
    return [entry.key for entry in entries]


# What is kept


def test_what_is_left_after_keep_last_is_worth_what_it_was(project: Workspace) -> None:
    before, sent = project.bytes(), project.server.count if project.server else 0
    document = collected(project, "--keep-last", "1")
    assert document["calls"]["calls"] == CALLS, "the first version's, and no other"  # type: ignore[index]
    assert calls(project) == ALL - CALLS
    assert project.raw("cache", "fsck", "--cache-dir", CACHE, "--json").document["lacking"] == []
    assert "up to date" in project.run(*TREE, *PRICES, "seed=2", "--frozen").stderr
    assert frozen(project, *TREE, "seed=2").status == 0
    assert project.bytes() == before
    assert project.server is not None
    assert project.server.count == sent
    assert project.run("plan", "--json", *TREE, "seed=1", "name=first").document["calls"] > 0, "it was dropped"
    assert len(project.raw("history", "--json", "--cache-dir", CACHE, "sports").document["versions"]) == 1


def test_gc_removes_what_is_of_no_use_and_never_a_response_or_a_version(project: Workspace) -> None:
    cache = project.root / CACHE
    remember(project, timedelta(days=900))
    orphan = cache / "objects" / "ab" / ("c" * 62)
    useless = [orphan, orphan.with_name(".new-1234abcd"), cache / "versions" / f".{'a' * 64}.json.1234abcd"]
    useless += [cache / "ab" / "cd" / f"{'e' * 28}.val"]
    for path in useless:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"half")
    kept = {path: path.read_bytes() for path in cache.rglob("*.json")}
    document = collected(project)
    assert (document["objects"], document["files"], document["calls"]["calls"]) == (1, 3, 0)  # type: ignore[index]
    assert not any(path.exists() for path in useless)
    assert calls(project) == ALL + 1
    assert {path: path.read_bytes() for path in cache.rglob("*.json")} == kept
    assert collected(project)["objects"] == 0


def test_a_file_beside_the_database_that_was_just_begun_may_be_anothers_and_stays(project: Workspace) -> None:
    begun = project.root / CACHE / ".distill-cache.json.1234abcd"
    begun.write_text("{")
    collected(project)
    assert begun.exists()


def test_a_version_that_the_lock_in_the_folder_names_stays(project: Workspace) -> None:
    """As on a branch of git that is behind, and in the middle of a merge."""
    lock = project.folder() / "distill.lock"
    first, second = ((project.root / f"{seed}.lock").read_text() for seed in (1, 2))
    lock.write_text(first)
    assert collected(project, "--keep-last", "1")["versions"] == []
    lock.write_text(f"<<<<<<< HEAD\n{first}=======\n{second}>>>>>>> other\n")
    unclear = project.raw(*GC, "--keep-last", "1")
    assert (unclear.status, calls(project)) == (0, ALL)
    assert "nobody knows which one is locked" in unclear.stdout
    lock.write_text(second)
    collected(project, "--keep-last", "1")
    assert calls(project) == ALL - CALLS


def test_another_project_that_shares_the_cache_keeps_what_is_its_own(project: Workspace) -> None:
    collected(project, "--keep-last", "1")
    other = f"output_dir={project.root / 'other'}"
    shutil.rmtree(project.root / "other" / "sports" / "runs")
    (project.root / "other" / "sports" / "answers.jsonl").unlink()
    assert project.run(*TREE, *PRICES, "seed=3", other, "--frozen").status == 0


def test_the_last_versions_of_each_folder_stay_while_it_is_not_there(project: Workspace) -> None:
    """A folder may only have been moved, or lie on a disk that is not mounted now, and responses are money."""
    shutil.rmtree(project.root / "outputs")
    shutil.rmtree(project.root / "other")
    collected(project)
    collected(project, "--older-than", "0d")
    assert calls(project) == ALL
    notes = "\n".join(collected(project, "--keep-last", "1")["notes"])  # type: ignore[arg-type]  # a list of text
    assert calls(project) == ALL - CALLS
    assert f"{project.folder()} is not there" in notes
    assert f"{project.root / 'other' / 'sports'} is not there" in notes
    collected(project, "--keep-last", "0")
    assert calls(project) == 0
    assert Archive(project.root / CACHE).registry.all() == []


@pytest.mark.parametrize("place", ["", "runs"])
def test_of_a_folder_that_cannot_be_looked_into_everything_stays(project: Workspace, place: str) -> None:
    remember(project, timedelta(days=900))
    folder = project.folder() / place
    shutil.rmtree(folder)
    folder.symlink_to(folder)  # a loop: like a folder of somebody else's, but for root too
    found = collect(project.root / CACHE, policy_of(0, None, None), datetime.now(UTC))
    assert [version.at for version in found.versions.values()] == []
    assert found.calls == []
    assert any(f"{project.folder()} cannot be looked into" in note for note in found.notes)


def test_what_came_before_a_first_build_was_killed_is_kept(workspace: Workspace, server: ScriptedServer) -> None:
    server.plan = lambda index, _: hang() if index >= 3 else None
    with started(workspace, *TREE, *workspace.settings(), "limits.concurrency=1") as process:
        server.wait_for(4)
        process.kill()
    server.plan = ()
    useless = remember(workspace, timedelta(days=5))
    assert workspace.run(*TREE, "--until", "tags").status == 0, "which completes another build, and not that one"
    collected(workspace, "--keep-last", "0")
    assert (calls(workspace), keys(workspace) & set(useless)) == (3, set())
    assert workspace.run(*TREE).status == 0
    assert server.count == CALLS + 1, "only what was in flight was asked again"
    assert unfinished_runs(workspace.folder() / "runs") == []
    collected(workspace, "--keep-last", "1")
    assert calls(workspace) == CALLS


def test_a_job_of_a_sweep_says_what_it_is_to_make_before_it_asks(workspace: Workspace) -> None:
    assert workspace.run(*TREE, "seed=1,2", "-m", "--until", "tags").status == 0
    ledgers = [path.read_text().splitlines() for path in workspace.root.glob("**/runs/*/events.jsonl")]
    targets = [[event.get("target") for event in map(json.loads, lines) if "target" in event] for lines in ledgers]
    assert sorted(map(len, targets)) == [2, 2], "with the plan and in the end"
    assert [len(set(each)) for each in targets] == [1, 1]
    assert targets[0] != targets[1]


# Nobody is disturbed


def test_while_a_build_is_at_work_nothing_is_removed(workspace: Workspace, server: ScriptedServer) -> None:
    server.hold()
    with started(workspace, *TREE, *workspace.settings()) as process:
        server.wait_for(1)
        remember(workspace, timedelta(days=900))
        busy = workspace.raw(*GC, "--keep-last", "0")
        assert (busy.status, calls(workspace)) == (0, 1)
        assert "in use by a build" in busy.stdout
        assert workspace.raw("cache", "fsck", "--cache-dir", CACHE).stdout.count("left where it is") == 1
        server.release()
        process.communicate(timeout=60)
    assert process.returncode == 0
    assert calls(workspace) == CALLS + 1


def test_while_another_process_imports_or_cleans_nothing_is_removed(project: Workspace) -> None:
    remember(project, timedelta(days=900))
    with in_use(project.root / CACHE, print):
        assert collected(project, "--older-than", "1d")["busy"] is True
    assert calls(project) == ALL + 1


# What goes


def test_older_than_removes_what_nothing_needs_and_is_older(project: Workspace) -> None:
    hours = [timedelta(hours=hours) for hours in (100, 25, 23, 0)]
    old, older, young, new = remember(project, *hours)
    document = collected(project, "--older-than", "1d", "--verbose")
    assert document["calls"]["keys"] == [old, older]  # type: ignore[index]
    assert document["calls"]["usd"] == 1.0  # type: ignore[index]
    assert {young, new} <= keys(project)
    assert not {old, older} & keys(project)
    assert calls(project) == ALL + 2


def test_max_size_removes_the_oldest_first_and_no_more_than_it_must(project: Workspace) -> None:
    days = [timedelta(days=days) for days in (9, 30, 2, 1, 20, 8)]
    named = remember(project, *days, text="x" * 100_000)  # each is stored twice, as it came and as it was read
    by_age = [named[place] for place in (1, 4, 0, 5, 2, 3)]
    before = collected(project, "--dry-run")["bytes_before"]
    assert isinstance(before, int)
    document = collected(project, "--max-size", f"{before - 500_000}B", "--verbose")
    assert document["calls"]["keys"] == by_age[:3]  # type: ignore[index]
    assert keys(project) >= set(by_age[3:])
    assert collected(project, "--max-size", "1GB")["calls"]["calls"] == 0  # type: ignore[index]
    database = project.root / CACHE / "cache.db"
    size = database.stat().st_size
    tight = project.raw(*GC, "--max-size", "1kB")
    assert database.stat().st_size < size - 500_000, "space goes back to the file system"
    assert not keys(project) & set(named)
    assert calls(project) == ALL
    assert "stays larger than 1.0 kB" in tight.stdout


def test_max_size_counts_what_rows_really_take(project: Workspace) -> None:
    """Most of a page of the database may be empty, so calls take more than their own bytes."""
    remember(project, *(timedelta(days=1, minutes=minutes) for minutes in range(500)), text="x" * 700)
    before = collected(project, "--dry-run")["bytes_before"]
    assert isinstance(before, int)
    wanted = before - 500_000
    named = collected(project, "--max-size", f"{wanted}B", "--dry-run")
    document = collected(project, "--max-size", f"{wanted}B")
    left = document["bytes_after"]
    assert isinstance(left, int)
    assert wanted - 10_000 < left <= wanted, "no more than it must, but for a page or two"
    guessed, removed = (each["calls"]["calls"] for each in (named, document))  # type: ignore[index]
    assert abs(guessed - removed) < removed / 10


def test_every_flag_narrows(project: Workspace) -> None:
    (old,) = remember(project, timedelta(days=3))
    assert collected(project, "--keep-last", "1", "--older-than", "1d", "--dry-run")["versions"] == []
    assert collected(project, "--keep-last", "1", "--max-size", "1GB", "--dry-run")["versions"] == []
    collected(project, "--keep-last", "1", "--older-than", "1d")
    assert calls(project) == ALL
    assert old not in keys(project)


def test_a_dry_run_lists_what_it_had_cost_and_removes_nothing(project: Workspace) -> None:
    before = contents(project.root / CACHE)
    shown = project.raw(*GC, "--keep-last", "1", "--dry-run")
    assert shown.status == 0
    assert "would be removed" in shown.stdout
    assert f"{CALLS} calls that nothing needs" in shown.stdout
    assert "$" in shown.stdout
    assert {path: path.read_bytes() for path in before} == before
    assert collected(project, "--keep-last", "1")["calls"]["calls"] == CALLS  # type: ignore[index]


# Kills and damage

BATCH = 100
"""CALLS_AT_ONCE of cache/gc/collection.py."""


def test_a_kill_in_the_middle_leaves_a_whole_cache_and_a_second_gc_finishes(project: Workspace) -> None:
    """The database itself holds gc up in its third transaction, by a trigger that never ends."""
    remember(project, *[timedelta(days=9)] * (5 * BATCH))
    everything = calls(project)
    with opened(project) as database:
        database.execute(
            f"CREATE TRIGGER hold AFTER DELETE ON Cache WHEN (SELECT value FROM Settings WHERE key = 'count') "  # noqa: S608
            f"< {everything - 2 * BATCH - 10} BEGIN SELECT count(*) FROM "
            "(WITH RECURSIVE forever(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM forever) SELECT n FROM forever); END"
        )
    with started(project, *GC, "--keep-last", "1") as process:
        deadline = time.monotonic() + 60
        while calls(project) != everything - 2 * BATCH and time.monotonic() < deadline:
            assert process.poll() is None, process.communicate()
            time.sleep(0.01)
        process.kill()
    with opened(project) as database:
        database.execute("DROP TRIGGER hold")
    assert calls(project) == everything - 2 * BATCH
    assert project.raw("cache", "fsck", "--cache-dir", CACHE).status == 0
    assert len(Archive(project.root / CACHE).records.digests()) == 2
    collected(project, "--keep-last", "1")
    assert calls(project) == ALL - CALLS
    assert collected(project)["objects"] == 0
    assert frozen(project, *TREE, "seed=2").status == 0


def test_where_damage_hides_what_is_needed_nothing_goes(project: Workspace) -> None:
    archive = Archive(project.root / CACHE)
    digest = archive.records.digests()[0]
    (sources,) = chunks_of(archive.objects, archive.records.record(digest).files["runs/sources.jsonl"])
    for path in (archive.objects.place(sources), archive.records.file(digest)):
        whole = path.read_bytes()
        path.write_bytes(whole[:-1])
        refused = project.raw(*GC, "--older-than", "0d")
        path.write_bytes(whole)
        assert (refused.status, calls(project)) == (5, ALL)
        assert "cache fsck" in refused.stderr


def test_a_line_of_a_version_that_is_none_of_ours_hides_what_is_needed_too(project: Workspace) -> None:
    """Its digests are right: somebody else has written it."""
    archive, line = Archive(project.root / CACHE), project.root / "sources.jsonl"
    line.write_text('{"id":"sports","calls":7}\n')
    newest = archive.history(project.folder(), "sports")[-1]
    files = newest.files | {"runs/sources.jsonl": take_snapshot(archive.objects, line)}
    archive.add(project.folder(), replace(newest, files=files, at="2036-01-01T00:00:00+00:00"))
    refused = project.raw(*GC, "--older-than", "0d")
    assert (refused.status, calls(project)) == (5, ALL)
    assert f"what version {newest.version[:12]} of sports needs is not known, so nothing is removed" in refused.stderr


def test_of_a_cache_that_cannot_be_written_nothing_goes(project: Workspace) -> None:
    """Not even a version, whose responses then could not."""
    before = contents(project.root / CACHE)
    with read_only(project.root / CACHE / "cache.db"):
        refused = project.raw(*GC, "--keep-last", "1")
        assert project.raw(*GC, "--keep-last", "1", "--dry-run").status == 0
    assert refused.status == 5
    assert "cannot be written, so nothing was removed" in refused.stderr
    assert {path: path.read_bytes() for path in before} == before
