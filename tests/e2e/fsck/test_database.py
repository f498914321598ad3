"""Of a damaged database `cache fsck` saves what can be read."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from distill_build.engine.entry import Attempt, Entry, encode
from distill_build.engine.manifest import digest
from distill_build.engine.store import Store
from tests.e2e.caches import CACHE, database_of, keys, opened
from tests.e2e.fsck.checked import CALLS, asked_again, assert_sound, fsck, fsck_here, quarantined
from tests.e2e.fsck.damage import cut, flipped_page_type, overwritten_header, overwritten_root
from tests.e2e.workspace import Workspace

Damage = Callable[[Path], None]


@pytest.mark.parametrize(
    ("damage", "all_can_be_read"),
    [(overwritten_header, True), (overwritten_root, True), (flipped_page_type, False), (cut, False)],
)
def test_of_a_damaged_database_everything_is_saved_that_can_be_read(
    project: Workspace, damage: Damage, *, all_can_be_read: bool
) -> None:
    before = keys(project)
    damage(database_of(project))
    damaged = database_of(project).read_bytes()
    found = fsck(project)
    assert found.status == 5, found.stdout + found.stderr
    saved = keys(project)
    assert saved <= before
    assert len(saved) > 0
    assert (saved == before) == all_can_be_read
    assert f"new database was made of the {len(saved)}" in found.stdout
    assert [path.read_bytes() for path in quarantined(project, "database/cache.db")] == [damaged]
    lost = json.loads(quarantined(project, "fsck.json")[0].read_text())
    assert {each["name"] for each in lost["damage"] if each["kind"] == "call"} == before - saved
    assert {hit["damage"] for hit in lost["hits"]} == before - saved
    assert_sound(project, lacking=len(before - saved))
    if not all_can_be_read:
        assert asked_again(project) == len(before - saved)


def test_what_is_only_in_the_write_ahead_log_is_saved_too(project: Workspace) -> None:
    """As a power cut leaves it: committed, and not yet in the database itself."""
    folder, copy, before = project.root / CACHE, project.root / "copy", keys(project)
    manifest = {"stage": "answers", "body": {"model": "m"}}
    late = Entry(digest(manifest), manifest, (Attempt(0, "late", 1.0, "2026-01-01T00:00:00+00:00"),))
    with closing(sqlite3.connect(database_of(project))) as other:
        other.execute("SELECT 1 FROM Cache").fetchone()  # who is not the last to close leaves the log as it is
        store = Store(folder)
        store.unite([late])
        store.close()
        shutil.copytree(folder, copy)
    shutil.rmtree(folder)
    copy.rename(folder)
    (folder / "cache.db-shm").unlink()
    flipped_page_type(database_of(project))
    assert late.key.encode() not in database_of(project).read_bytes()
    assert fsck(project).status == 5
    assert late.key in keys(project)
    assert_sound(project, lacking=len(before - keys(project)))


def test_calls_of_another_scheme_come_into_the_new_database_byte_for_byte(
    project: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = {"stage": "answers", "body": {"model": "m"}}
    later = Entry(digest(manifest), manifest, (Attempt(0, "later", 1.0, "2026-01-01T00:00:00+00:00"),))
    with monkeypatch.context() as patch:
        patch.setattr("distill_build.engine.entry.SCHEME", 99)
        stored = encode(later)
    with opened(project) as database:
        database.execute("INSERT INTO Cache (key, raw, tag, mode, value) VALUES (?, 1, 'x', 1, ?)", (later.key, stored))
    whole = "SELECT key, raw, tag, mode, filename, value, size FROM Cache WHERE key = ?"
    with opened(project) as database:
        row = database.execute(whole, (later.key,)).fetchone()
    overwritten_header(database_of(project))
    status, printed = fsck_here(project)
    assert status == 5
    assert f"new database was made of the {CALLS + 1}" in printed
    assert "left as found: 1 call of a scheme that is not known here" in printed
    with opened(project) as database:
        assert database.execute(whole, (later.key,)).fetchone() == row
    assert len(keys(project)) == CALLS + 1
    assert_sound(project)
