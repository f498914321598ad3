"""`cache fsck` says which versions lack responses that they were read from, long after these were lost."""

import sqlite3

import pytest

from distill_build.engine.entry import Accepted, Attempt, Entry
from distill_build.engine.reading import ReadOnlyStore
from distill_build.engine.store import Store
from tests.e2e.caches import CACHE, database_of, keys, opened
from tests.e2e.fsck.checked import CALLS, PRICES, TREE, asked_again, assert_sound, fsck
from tests.e2e.workspace import Workspace


def lose(project: Workspace, number: int) -> None:
    """Takes the responses of the newest answers away, as nothing in this program does."""
    with opened(project) as database:
        for row in project.rows("answers")[-number:]:
            database.execute("DELETE FROM Cache WHERE key = ?", (row["call"],))


def test_versions_that_lack_responses_are_named_until_these_are_back(project: Workspace) -> None:
    assert project.raw("cache", "export", "whole.bundle", "--cache-dir", CACHE).status == 0
    lose(project, 3)
    newest, oldest = (row["version"] for row in project.raw("history", "--json").document["versions"])
    found = fsck(project)
    assert found.status == 0, "what is here is whole"
    assert f"sports {newest[:12]} lacks 3 of the {CALLS} responses that it was read from" in found.stdout
    assert oldest[:12] not in found.stdout
    assert (
        "cache pull or cache import bring responses back, and a build those that its folder keeps in runs/responses; "
        "else a build that needs them asks again"
    ) in found.stdout
    expected = {"dataset": "sports", "version": newest, "missing": 3, "of": CALLS}
    assert fsck(project, "--json").document["lacking"] == [expected]
    assert project.raw("cache", "import", "whole.bundle", "--cache-dir", CACHE).status == 0
    assert_sound(project)


def test_another_response_under_the_same_call_does_not_stand_for_the_lost_one(project: Workspace) -> None:
    key = project.rows("answers")[-1]["call"]
    store = ReadOnlyStore(project.root / CACHE)
    entry = store.get(key)
    store.close()
    assert entry is not None
    lose(project, 1)
    other = Store(project.root / CACHE)
    other.unite([Entry(key, entry.manifest, (Attempt(0, {}, 1.0, "2026-01-01T00:00:00+00:00"),), Accepted(0, "x"))])
    other.close()
    assert_sound(project, lacking=1)


@pytest.mark.parametrize("left", ["nothing", "an empty file", "no table"])
def test_of_a_lost_database_the_loss_is_told_and_an_empty_one_lets_builds_ask_again(
    project: Workspace, left: str
) -> None:
    database = database_of(project)
    database.unlink()
    if left == "an empty file":
        database.touch()
    elif left == "no table":
        with sqlite3.connect(database) as begun:
            begun.execute("CREATE TABLE Settings (key TEXT NOT NULL UNIQUE, value)")
        begun.close()
    refused = project.run(*TREE, *PRICES, "name=again")
    assert refused.status == 5
    assert "`distill-build cache fsck` says what that hits and makes an empty one" in refused.stderr
    found = fsck(project)
    assert found.status == 5
    assert found.stdout.count(f"lacks all {CALLS} responses") == 1
    assert f"asks again ({CALLS} calls" in found.stdout
    assert keys(project) == set()
    assert_sound(project, lacking=CALLS)
    assert asked_again(project) == CALLS
