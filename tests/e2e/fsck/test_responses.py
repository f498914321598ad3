"""What `cache fsck` finds in responses: what is bad is set aside with all its bytes, and its item is named."""

import json
from pathlib import Path

import diskcache

from tests.e2e.caches import CACHE, contents, flipped, keys, opened
from tests.e2e.fsck.checked import CALLS, asked_again, assert_sound, fsck, quarantined
from tests.e2e.mounts import read_only
from tests.e2e.workspace import Workspace


def test_a_sound_cache_is_told_to_be_one_and_left_as_it_is(project: Workspace) -> None:
    before = {path: path.read_bytes() for path in (project.root / CACHE).rglob("*.json")}
    document = fsck(project, "--json").document
    assert (document["sound"], document["checked"]["call"], document["checked"]["version"]) == (True, CALLS, 2)
    assert document["checked"]["object"] > 0
    assert_sound(project)
    assert {path: path.read_bytes() for path in (project.root / CACHE).rglob("*.json")} == before
    assert not (project.root / CACHE / "quarantine").exists()


def test_a_flipped_bit_in_a_value_is_set_aside_with_the_item_that_it_hits(project: Workspace) -> None:
    answer = project.rows("answers")[-1]
    with opened(project) as database:
        (value,) = database.execute("SELECT value FROM Cache WHERE key = ?", (answer["call"],)).fetchone()
        database.execute("UPDATE Cache SET value = ? WHERE key = ?", (flipped(value), answer["call"]))
    found = fsck(project)
    assert found.status == 5
    assert "1 call " in found.stdout
    for word in (answer["id"], " / ".join(answer["path"]), "sports", "asks again (1 call, about $"):
        assert word in found.stdout
    assert [path.read_bytes() for path in quarantined(project, f"calls/{answer['call']}")] == [flipped(value)]
    (report,) = quarantined(project, "fsck.json")
    (hit,) = json.loads(report.read_text())["hits"]
    assert (hit["item"], hit["path"], hit["dataset"]) == (answer["id"], answer["path"], "sports")
    assert_sound(project, lacking=1)
    assert asked_again(project) == 1


def test_an_entry_under_the_key_of_another_is_found(project: Workspace) -> None:
    """Its checksum is right, so nobody else would notice that it answers another question."""
    first, second = (row["call"] for row in project.rows("answers")[:2])
    with opened(project) as database:
        database.execute(
            "UPDATE Cache SET value = (SELECT value FROM Cache WHERE key = ?) WHERE key = ?", (first, second)
        )
    document = fsck(project, "--json").document
    assert [(damage["kind"], damage["name"]) for damage in document["damage"]] == [("call", second)]
    assert keys(project) & {first, second} == {first}


# Value files: this program writes none, but caches of other versions may hold some.


def in_files(project: Workspace) -> dict[str, Path]:
    """Moves the responses of the answers into files of their own, as diskcache does with large values."""
    calls = [row["call"] for row in project.rows("answers")]
    cache = diskcache.Cache(str(project.root / CACHE), disk_min_file_size=0)
    for call in calls:
        cache.set(call, cache.get(call), tag="answers")
    cache.close()
    with opened(project) as database:
        rows = dict(database.execute("SELECT key, filename FROM Cache WHERE mode = 2"))
    assert set(rows) == set(calls)
    return {call: project.root / CACHE / rows[call] for call in calls}


def test_value_files_that_are_damaged_cut_or_gone_are_set_aside_and_the_others_stay(project: Workspace) -> None:
    files = in_files(project)
    assert_sound(project)
    bad, cut_off, gone, *good = files
    files[bad].write_bytes(flipped(files[bad].read_bytes()))
    files[cut_off].write_bytes(files[cut_off].read_bytes()[:50])
    files[gone].unlink()
    found = fsck(project, "--json")
    assert found.status == 5
    assert {damage["name"] for damage in found.document["damage"]} == {bad, cut_off, gone}
    assert len(quarantined(project, "calls/*.val")) == 2
    assert all(files[call].exists() for call in good)
    assert project.raw("cache", "gc", "--cache-dir", CACHE).status == 0
    assert_sound(project, lacking=3)
    assert len(keys(project)) == CALLS - 3


def test_a_cache_that_cannot_be_written_is_checked_and_left_as_it_is(project: Workspace) -> None:
    cache = project.root / CACHE
    with opened(project) as database:
        database.execute("UPDATE Cache SET value = x'00' WHERE key = ?", (project.rows("answers")[0]["call"],))
    before = contents(cache)
    with read_only(cache):
        found = fsck(project)
    assert (found.status, found.stdout.count("cannot be written")) == (5, 1)
    assert contents(cache) == before
