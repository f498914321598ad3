"""A cache whose making was killed: every command says so in a sentence, and a build goes on from there."""

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.caches import CACHE
from tests.e2e.test_disk import assert_sentence
from tests.e2e.test_only_what_is_affected import InProcess
from tests.server import ScriptedServer

SMALL = ("topic=sports", "depth=1", "breadth=2", "questions_per_tag=2")
CALLS = 7
MARKER = "distill-cache.json"
Left = Callable[[Path], None]


def a_marker(cache: Path) -> None:
    (cache / MARKER).write_text('{"scheme": 1, "generation": "0123456789abcdef"}\n')


def a_half_written_marker(cache: Path) -> None:
    (cache / f".{MARKER}.1234abcd").write_text("{")


def an_empty_database(cache: Path) -> None:
    a_marker(cache)
    (cache / "cache.db").touch()


def a_database_without_tables(cache: Path) -> None:
    a_marker(cache)
    database = sqlite3.connect(cache / "cache.db")
    database.execute("PRAGMA journal_mode = wal")
    database.execute("CREATE TABLE Settings (key TEXT NOT NULL UNIQUE, value)")
    database.close()


@pytest.fixture
def project(tmp_path: Path, server: ScriptedServer) -> InProcess:
    (tmp_path / CACHE).mkdir()
    return InProcess(tmp_path, server)


READING = (("stats",), ("gc",), ("gc", "--keep-last", "0"), ("export", "a.bundle"), ("push", "file:///nowhere"))


@pytest.mark.parametrize("left", [a_marker, an_empty_database, a_database_without_tables])
def test_a_cache_without_its_table_holds_nothing_and_a_build_begins_it(
    project: InProcess, server: ScriptedServer, left: Left
) -> None:
    left(project.root / CACHE)
    for words in READING:
        assert_sentence(project.raw("cache", *words), "holds no database yet", "build first")
    assert not (project.root / "a.bundle").exists()
    shutil.copytree(project.root / CACHE, project.root / "copy")
    checked = project.raw("cache", "fsck", "--cache-dir", "copy")
    assert (checked.status, "no such" in checked.stdout) == (5 if left is a_database_without_tables else 0, False)
    assert project.run(*SMALL).status == 0
    assert server.count == CALLS
    assert project.raw("cache", "fsck").status == 0


def nothing(_: Path) -> None: ...


@pytest.mark.parametrize("left", [nothing, a_half_written_marker])
def test_a_folder_without_a_marker_is_no_cache_yet(project: InProcess, left: Left) -> None:
    left(project.root / CACHE)
    for words in (*READING, ("fsck",)):
        refused = project.raw("cache", *words)
        assert (refused.status, refused.stdout) == (2, "")
        assert "there is no cache at .distill-cache" in refused.stderr
    assert project.run(*SMALL).status == 0


@pytest.mark.parametrize("marker", ["", "{", '{"generation": "x"}'])
def test_a_damaged_marker_is_told_with_the_way_out_and_the_way_leads_out(project: InProcess, marker: str) -> None:
    assert project.run(*SMALL).status == 0
    (project.root / CACHE / MARKER).write_text(marker)
    commands = [project.run(*SMALL, "seed=1"), project.run("plan", *SMALL, "seed=1")]
    commands += [project.raw("cache", "gc"), project.raw("cache", "stats"), project.raw("history")]
    for finished in commands:
        assert_sentence(
            finished, MARKER, "is damaged", "`distill-build cache fsck --cache-dir ", CACHE, "makes it anew"
        )
    assert project.raw("cache", "fsck").status == 5
    assert project.run(*SMALL, "--offline").status == 0
