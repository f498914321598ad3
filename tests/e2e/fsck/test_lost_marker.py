"""A cache without the file that says whose folder it is: told with the way out, and `cache fsck` leads out."""

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import diskcache
import pytest

from distill_build.engine.lock import in_use
from distill_build.engine.manifest import SCHEME
from tests.e2e.caches import CACHE, contents, database_of, keys, opened
from tests.e2e.fsck.checked import CALLS, PRICES, TREE, assert_sound, fsck_here, quarantined
from tests.e2e.fsck.damage import overwritten_header
from tests.e2e.test_disk import assert_sentence
from tests.e2e.test_only_what_is_affected import InProcess
from tests.e2e.workspace import Finished, Workspace, variables

MARKER = "distill-cache.json"
SAME = (*TREE, *PRICES)
COMPOSING = (
    SAME,
    (*SAME, "seed=1"),
    (*SAME, "--offline"),
    ("plan", *SAME),
    ("explain", *SAME),
    ("-m", *SAME, "seed=1,2"),
)
READING = (("cache", "stats"), ("cache", "gc"), ("cache", "gc", "--keep-last", "0"), ("history",), ("diff", "latest~1"))
CARRYING = (("export", "b.bundle"), ("push", "file://{}/b"), ("import", "a.bundle"), ("pull", "file://{}/a"))


def lose_marker(project: Workspace) -> None:
    (project.root / CACHE / MARKER).unlink()


def generation(project: Workspace) -> str:
    marker = json.loads((project.root / CACHE / MARKER).read_text())
    assert marker["scheme"] == SCHEME
    return str(marker["generation"])


def cache_verbs(project: InProcess, *flags: str) -> list[Finished]:
    """The verbs of `cache` that carry it elsewhere, or fill it."""
    words = [[word.format(project.root) for word in each] for each in CARRYING]
    return [project.raw("cache", *each, *flags) for each in words]


COUNTING = """
import sys
from distill_build.cli.dispatch import main
opened = []
sys.addaudithook(lambda event, given: opened.append(given[0]) if event == "open" else None)
print(main(["cache", "stats"]), sum(str(path).endswith("cache.db") for path in opened))
"""


def test_every_command_names_the_way_out_and_it_leads_out(project: Workspace) -> None:
    here, cache = InProcess(project.root, project.server), project.root / CACHE
    assert here.raw("cache", "export", "a.bundle").status == 0
    assert here.raw("cache", "push", f"file://{project.root}/a").status == 0
    answer, before = project.rows("answers")[0]["id"], project.bytes()
    assert project.server is not None
    names, sent = [generation(project)], project.server.count
    lose_marker(project)
    kept = contents(cache)
    finished = [here.run(*words) for words in COMPOSING]
    finished += [here.raw(*words) for words in (*READING, ("checkout", "latest~1"), ("log", answer))]
    finished += cache_verbs(here)
    for each in finished:
        assert_sentence(each, f"lost its {MARKER}", "`distill-build cache fsck --cache-dir ", CACHE)
    assert "lost its" in here.raw("verify").stdout
    assert here.raw("diff", "outputs/sports", "outputs/sports").status == 0, "it takes no cache"
    assert contents(cache) == kept
    status, printed = fsck_here(project)
    assert (status, f"{MARKER}, which says whose folder this is, is gone\n  made anew\n" in printed) == (5, True)
    names.append(generation(project))
    assert_sound(project)
    assert here.run(*SAME, "--offline").status == 0
    assert project.bytes().items() >= before.items()
    assert project.server.count == sent
    lose_marker(project)
    found = json.loads(fsck_here(project, "--json")[1])
    assert [(damage["kind"], damage["name"]) for damage in found["damage"]] == [("marker", MARKER)]
    assert (found["restored"], found["notes"]) == ([MARKER], [])
    names.append(generation(project))
    assert len(set(names)) == len(names), "a word that stood before would vouch for rows of before"


def only_the_database(project: Workspace) -> None:
    for name in ("objects", "versions", "datasets"):
        shutil.rmtree(project.root / CACHE / name)


def a_damaged_database(project: Workspace) -> None:
    only_the_database(project)
    overwritten_header(database_of(project))


@pytest.mark.parametrize("left", [only_the_database, a_damaged_database])
def test_calls_alone_are_known_to_be_ours(project: Workspace, left: Callable[[Workspace], None]) -> None:
    before = keys(project)
    lose_marker(project)
    left(project)
    here = InProcess(project.root, project.server)
    assert_sentence(here.run(*SAME, "name=again"), f"lost its {MARKER}")
    assert fsck_here(project)[0] == 5
    assert keys(project) == before
    assert here.run(*SAME, "name=again", "--offline").status == 0


def test_versions_alone_are_ours_and_it_is_said_that_nothing_tells_the_scheme(project: Workspace) -> None:
    lose_marker(project)
    database_of(project).unlink()
    assert_sentence(InProcess(project.root).raw("cache", "stats"), f"lost its {MARKER}")
    status, printed = fsck_here(project)
    assert status == 5
    assert f"no call can be read that says which scheme this cache has, so it is taken to be {SCHEME}" in printed
    assert_sound(project, lacking=CALLS)


def become_of_another_scheme(project: Workspace, number: int = CALLS) -> None:
    """Rewrites so many calls as a later release might have written them."""
    with opened(project) as database:
        rows = database.execute("SELECT rowid, value FROM Cache").fetchall()
        for rowid, value in rows[:number]:
            body = json.dumps(json.loads(value[65:]) | {"scheme": 99}).encode()
            stored = hashlib.sha256(body).hexdigest().encode() + b"\n" + body
            database.execute("UPDATE Cache SET value = ? WHERE rowid = ?", (stored, rowid))


@pytest.mark.parametrize("marker", [None, "", "{"])
def test_a_marker_of_an_unknown_scheme_is_not_made_anew(project: Workspace, marker: str | None) -> None:
    place = project.root / CACHE / MARKER
    become_of_another_scheme(project)
    lose_marker(project)
    if marker is not None:
        place.write_text(marker)
    refused = InProcess(project.root).raw("cache", "fsck")
    assert_sentence(refused, "scheme 99", "use the version of distill-build that wrote it")
    assert (place.read_text() if place.exists() else None) == marker
    assert not quarantined(project, "*")


def test_one_call_of_the_known_scheme_is_enough_and_others_are_left_as_found(project: Workspace) -> None:
    become_of_another_scheme(project, CALLS - 1)
    lose_marker(project)
    status, printed = fsck_here(project, "--json")
    assert (status, json.loads(printed)["other_scheme"]) == (5, CALLS - 1)
    assert generation(project)


def test_while_it_is_in_use_the_marker_is_told_of_and_left(project: Workspace) -> None:
    lose_marker(project)
    with in_use(project.root / CACHE, print):
        status, printed = fsck_here(project)
    assert (status, "left where it is" in printed, "made anew" in printed) == (5, True, False)
    assert not (project.root / CACHE / MARKER).exists()


# What only looks like a cache of ours


def another_programs_cache(folder: Path) -> None:
    with diskcache.Cache(str(folder)) as cache:
        cache["k"] = {"scheme": SCHEME}
        cache["a" * 64] = b"0" * 64 + b'\n{"scheme": 1}'


def a_repository_of_git(folder: Path) -> None:
    """Its newer kind names objects as ours are named."""
    (folder / "objects" / "ab").mkdir(parents=True)
    (folder / "objects" / "ab" / ("c" * 62)).write_bytes(b"x")


def records_of_another_program(folder: Path) -> None:
    (folder / "versions").mkdir(parents=True)
    (folder / "versions" / f"{'a' * 64}.json").write_text('{"scheme": 1, "version": "1"}')
    (folder / "versions" / f"{hashlib.sha256(b'[]').hexdigest()}.json").write_text("[]")
    (folder / "cache.db").write_bytes(b"no database")


@pytest.mark.parametrize("make", [another_programs_cache, a_repository_of_git, records_of_another_program])
def test_what_looks_like_a_cache_and_is_none_of_ours_is_not_touched(
    project: Workspace, make: Callable[[Path], None]
) -> None:
    theirs, here = project.root / "theirs", InProcess(project.root, project.server)
    assert here.raw("cache", "export", "a.bundle").status == 0
    assert here.raw("cache", "push", f"file://{project.root}/a").status == 0
    make(theirs)
    before = contents(theirs)
    for words in (*READING, ("cache", "fsck")):
        refused = here.raw(*words, "--cache-dir", "theirs")
        assert (refused.status, "there is no cache at theirs" in refused.stderr) == (2, True)
    *sending, importing, pulling = cache_verbs(here, "--cache-dir", "theirs")
    assert [refused.status for refused in sending] == [2, 2]
    for refused in (importing, pulling, here.run(*SAME, "cache.dir=theirs", "name=again")):
        assert_sentence(refused, "is not a cache of distill-build, and not empty")
    assert contents(theirs) == before


def test_a_large_database_is_looked_through_once_for_a_refusal(project: Workspace) -> None:
    lose_marker(project)
    done = subprocess.run(
        [sys.executable, "-c", COUNTING],
        cwd=project.root,
        env=variables(None),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "5 1\n"
    assert f"lost its {MARKER}" in done.stderr
