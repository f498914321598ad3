"""Exit 5: a full disk, a cache that is damaged, foreign or planted, a place that cannot be. Nothing stored is lost."""

import json
import os
import pickle
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.workspace import COMMAND, TIMEOUT_SECONDS, Finished, Workspace
from tests.server import Body, Fault, ScriptedServer, classify, content

SMALL = ("topic=sports", "depth=2", "breadth=3", "questions_per_tag=2")
CALLS = 31
CONCURRENCY = 4
NARROW = f"limits.concurrency={CONCURRENCY}"


def run_limited(workspace: Workspace, kilobytes: int, *words: str) -> Finished:
    """Runs a build that can make no file larger than so much: it meets EFBIG where a full disk gives ENOSPC."""
    limited = ("bash", "-c", f'ulimit -f {kilobytes}; exec "$@"', "bash")
    ended = subprocess.run(
        [*limited, *COMMAND, *words, *workspace.settings()],
        cwd=workspace.root,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    return Finished(ended.returncode, ended.stdout, ended.stderr)


def assert_sentence(finished: Finished, *words: str) -> None:
    """Exit 5 with one sentence that holds these words."""
    assert finished.status == 5, (finished.status, finished.stderr)
    assert "Traceback" not in finished.stderr
    assert "this is a bug" not in finished.stderr
    (sentence,) = [line for line in finished.stderr.splitlines() if line.startswith("distill-build: ")]
    for word in words:
        assert word in sentence


def long_answers(_: int, body: Body) -> Fault | None:
    """Answers of 20 kB, so that limits can be set between what small files need and what large ones do."""
    return content("word " * 4000) if classify(body) == "answers" else None


# A full disk


def test_a_disk_that_fills_up_in_the_middle_loses_nothing_that_was_stored(
    workspace: Workspace, server: ScriptedServer
) -> None:
    server.plan = long_answers
    full = run_limited(workspace, 350, *SMALL, "limits.concurrency=1")
    assert_sentence(full, "Free some space", "cache.dir")
    stored = stored_calls(workspace)
    assert 0 < stored < CALLS, "the disk was to fill up in the middle"
    assert server.count == stored + 1, "a request was sent after the disk was found full"
    assert workspace.bytes() == {}
    before = server.count
    assert workspace.run(*SMALL, NARROW).status == 0
    assert server.count - before == CALLS - stored
    assert len(workspace.rows("answers")) == 18


def test_a_disk_too_full_for_a_cache_is_met_before_the_first_request(
    workspace: Workspace, server: ScriptedServer
) -> None:
    assert_sentence(run_limited(workspace, 8, *SMALL), "cache.dir")
    assert server.count == 0
    assert workspace.run(*SMALL).status == 0


def test_a_disk_too_full_for_the_files_leaves_the_old_ones(workspace: Workspace, server: ScriptedServer) -> None:
    assert workspace.run(*SMALL).status == 0
    before = workspace.bytes()
    server.plan = long_answers
    other = (*SMALL, "seed=1")
    assert workspace.run(*other, "name=other").status == 0
    sent = server.count
    full = run_limited(workspace, 200, *other)
    assert_sentence(full, "outputs/sports")
    assert workspace.bytes() == before
    assert not list((workspace.folder() / "runs").glob("*/new"))
    assert workspace.run(*other).status == 0
    assert server.count == sent
    assert workspace.data() == workspace.data("other")


@pytest.mark.parametrize("kilobytes", [8, 350], ids=["for-a-database", "for-all-responses"])
def test_a_disk_too_full_for_temporary_files_is_told_as_such_by_plans(
    workspace: Workspace, server: ScriptedServer, kilobytes: int
) -> None:
    """What a folder keeps lies there while a plan looks at it, and a cache is not what could be mended."""
    server.plan = long_answers
    assert workspace.run(*SMALL).status == 0
    shutil.rmtree(workspace.root / ".distill-cache")
    full = run_limited(workspace, kilobytes, "plan", *SMALL, "--offline")
    assert_sentence(full, "temporary files", "TMPDIR")
    assert "cache" not in full.stderr.splitlines()[-1]
    assert workspace.run("plan", *SMALL, "--offline").status == 0


def test_a_disk_too_full_to_try_out_a_locked_build_is_told_as_such(
    workspace: Workspace, server: ScriptedServer
) -> None:
    server.plan = long_answers
    assert workspace.run(*SMALL).status == 0
    (workspace.folder() / "answers.jsonl").unlink()  # so that it is not up to date
    assert_sentence(run_limited(workspace, 100, "plan", *SMALL, "--locked"), "temporary files", "TMPDIR")
    assert workspace.run("plan", *SMALL, "--locked").status == 0


# A disk that really is full: only where this test may mount one.

PAGE = 4096


@contextmanager
def small_disk(place: Path, kilobytes: int) -> Iterator[None]:
    """A file system of that size at `place`, for as long as the block runs."""
    place.mkdir(parents=True, exist_ok=True)
    size = f"size={kilobytes}k"
    command = ["mount", "-t", "tmpfs", "-o", size, "none", str(place)]
    if sys.platform != "linux" or os.geteuid() or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_a_cache_on_a_full_disk_goes_on_when_there_is_room_again(workspace: Workspace, server: ScriptedServer) -> None:
    server.plan = long_answers
    cache = workspace.root / ".distill-cache"
    with small_disk(cache, 600):
        assert_sentence(workspace.run(*SMALL, NARROW), "full", "Free some space")
        stored, sent = stored_calls(workspace), server.count
        assert 0 < stored < CALLS, "the disk was to fill up in the middle"
        assert workspace.bytes() == {}
        subprocess.run(["mount", "-o", "remount,size=20m", str(cache)], check=True)
        assert workspace.run(*SMALL, NARROW).status == 0
        assert server.count - sent == CALLS - stored


def test_a_full_disk_of_outputs_is_a_sentence_whichever_file_meets_it(
    workspace: Workspace, server: ScriptedServer
) -> None:
    """From a disk without room for the lock to one that takes the record of events and little else."""
    with small_disk(workspace.root / "outputs", 16 * PAGE // 1024):
        filler = workspace.root / "outputs" / "filler"
        for pages in (15, 14, 13, 11):
            sent = server.count
            filler.write_bytes(b"x" * pages * PAGE)
            assert_sentence(workspace.run(*SMALL, f"seed={pages}"), "No space left")
            assert workspace.bytes() == {}
            shutil.rmtree(workspace.folder(), ignore_errors=True)
        filler.unlink()
        subprocess.run(["mount", "-o", "remount,size=20m", str(filler.parent)], check=True)
        assert workspace.run(*SMALL, "seed=11").status == 0
        assert server.count == sent + CALLS, "what was asked for while the files could not be written is stored"


def stored_calls(workspace: Workspace) -> int:
    database = sqlite3.connect(workspace.root / ".distill-cache" / "cache.db")
    try:
        return int(database.execute("SELECT COUNT(*) FROM Cache").fetchone()[0])
    finally:
        database.close()


# Places that cannot be


def test_places_that_cannot_be_are_named_with_their_setting(workspace: Workspace, server: ScriptedServer) -> None:
    (workspace.root / "file").write_text("mine")
    for setting in ("cache.dir", "output_dir"):
        assert_sentence(workspace.run(*SMALL, f"{setting}=file/below"), setting, "file/below")
        assert_sentence(workspace.run(*SMALL, f"{setting}=file"), setting)
    assert server.count == 0
    assert (workspace.root / "file").read_text() == "mine"


def test_a_file_that_stands_in_the_way_of_another_leaves_all_old_ones_as_they_were(
    workspace: Workspace, server: ScriptedServer
) -> None:
    """A build says that the old files are as they were, so none of the new ones may be in its place."""
    assert workspace.run(*SMALL).status == 0
    shutil.rmtree(workspace.folder() / "dataset")
    (workspace.folder() / "dataset").write_text("mine")
    before, sent = workspace.bytes(), server.count
    failed = workspace.run(*SMALL, "questions_per_tag=1")
    assert_sentence(failed, "dataset")
    assert workspace.bytes() == before, "whole or old: some files were replaced and others were not"
    (workspace.folder() / "dataset").unlink()
    finished = workspace.run(*SMALL, "questions_per_tag=1")
    assert finished.status == 0
    assert len(workspace.rows("answers")) == 9
    assert server.count == sent
    assert not list((workspace.folder() / "runs").rglob("answers.jsonl")), "our own files were taken for edited ones"


def test_a_folder_that_stands_where_a_file_goes_leaves_all_old_ones_as_they_were(workspace: Workspace) -> None:
    assert workspace.run(*SMALL).status == 0
    before = workspace.bytes()
    (workspace.folder() / "failures.jsonl").mkdir()
    assert_sentence(workspace.run(*SMALL, "questions_per_tag=1"), "failures.jsonl is a folder")
    (workspace.folder() / "failures.jsonl").rmdir()
    assert workspace.bytes() == before
    assert "up to date" in workspace.run(*SMALL).stderr, "the moves were begun"


def test_a_note_that_cannot_be_read_is_not_said_to_be_one_that_cannot_be_written(workspace: Workspace) -> None:
    assert workspace.run(*SMALL).status == 0
    state = workspace.folder() / "runs" / "state.json"
    state.unlink()
    state.mkdir()
    for command in ("build", "plan", "explain", "export"):
        assert_sentence(workspace.run(command, *SMALL), "state.json is a folder, and a file belongs there")


# A cache that is not ours, or not as we left it


def test_a_folder_of_something_else_is_no_cache(workspace: Workspace, server: ScriptedServer) -> None:
    folder = workspace.root / "thesis"
    folder.mkdir()
    (folder / "chapter1.tex").write_text("mine")
    assert_sentence(workspace.run(*SMALL, "cache.dir=thesis"), "thesis", "set cache.dir")
    assert [path.name for path in folder.iterdir()] == ["chapter1.tex"]
    assert server.count == 0


def test_a_cache_of_an_unknown_scheme_is_left_alone(workspace: Workspace, server: ScriptedServer) -> None:
    assert workspace.run(*SMALL).status == 0
    marker = workspace.root / ".distill-cache" / "distill-cache.json"
    marker.write_text(json.dumps(json.loads(marker.read_text()) | {"scheme": 99}))
    sent = server.count
    assert_sentence(workspace.run(*SMALL, "seed=1"), "scheme 99", "cache.dir")
    assert server.count == sent


Change = Callable[[sqlite3.Connection, int], object]


def change_answer(workspace: Workspace, change: Change) -> str:
    """Changes the stored entry of the first answer; returns the tag path that it belongs to, with slashes."""
    answer = workspace.rows("answers")[0]
    with sqlite3.connect(workspace.root / ".distill-cache" / "cache.db") as database:
        (row,) = database.execute("SELECT rowid FROM Cache WHERE key = ?", (answer["call"],)).fetchone()
        change(database, row)
    database.close()
    (workspace.folder() / "runs" / "state.json").unlink()  # so that the build looks at the cache again
    return "/".join(answer["path"])


def flip_a_bit(database: sqlite3.Connection, row: int) -> None:
    (value,) = database.execute("SELECT value FROM Cache WHERE rowid = ?", (row,)).fetchone()
    damaged = bytearray(value)
    damaged[len(damaged) // 2] ^= 1
    database.execute("UPDATE Cache SET value = ? WHERE rowid = ?", (bytes(damaged), row))


def test_a_flipped_bit_is_a_sentence_that_names_the_way_out_and_the_way_leads_out(
    workspace: Workspace, server: ScriptedServer
) -> None:
    assert workspace.run(*SMALL).status == 0
    before, sent = workspace.bytes(), server.count
    place = change_answer(workspace, flip_a_bit)
    damaged = workspace.run(*SMALL)
    assert_sentence(damaged, "cache fsck", f"answers of {place.replace('/', ' / ')}")
    assert (workspace.bytes(), server.count) == (before, sent)
    assert workspace.raw("cache", "fsck").status == 5
    assert workspace.run(*SMALL).status == 0
    assert server.count == sent + 1, "what was damaged, and nothing beside it"
    assert workspace.run(*SMALL, "--offline", "name=copy").status == 0


class Payload:
    """Would create a file if it were ever unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.file,)


def test_a_pickle_planted_in_the_cache_is_never_loaded(workspace: Workspace, server: ScriptedServer) -> None:
    assert workspace.run(*SMALL).status == 0
    sent, owned = server.count, workspace.root / "owned"
    planted = pickle.dumps(Payload(owned))
    pickle.loads(planted)  # noqa: S301 - shows that it would work
    assert owned.exists()
    owned.unlink()
    update = "UPDATE Cache SET mode = 4, value = ? WHERE rowid = ?"
    place = change_answer(workspace, lambda database, row: database.execute(update, (planted, row)))
    assert_sentence(workspace.run(*SMALL), "damaged")
    assert workspace.run(*SMALL, "--rebuild", place).status == 0
    assert server.count == sent + 3
    assert not owned.exists()


@pytest.mark.parametrize("kept", [0, 20_000], ids=["empty", "cut"])
def test_a_damaged_database_is_a_sentence(workspace: Workspace, server: ScriptedServer, kept: int) -> None:
    assert workspace.run(*SMALL).status == 0
    database = workspace.root / ".distill-cache" / "cache.db"
    database.write_bytes(b"\xff" * 100 + database.read_bytes()[100:kept])
    before, sent = workspace.bytes(), server.count
    assert_sentence(workspace.run(*SMALL, "seed=1"), "damaged", "cache fsck")
    assert (workspace.bytes(), server.count) == (before, sent)
