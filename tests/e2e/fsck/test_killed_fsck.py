"""A fsck that is killed while it puts a new database in place of a damaged one is ended by the next."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from distill_build.engine.reading import ReadOnlyStore
from distill_build.engine.store import Store
from distill_build.errors import StorageError
from tests.e2e.caches import CACHE, contents, database_of, keys
from tests.e2e.fsck.checked import assert_sound, fsck, fsck_here, quarantined
from tests.e2e.fsck.damage import cut, flipped_page_type, overwritten_header
from tests.e2e.mounts import read_only
from tests.e2e.workspace import Workspace


class KilledError(Exception):
    """Stands for a kill: nothing in the program catches it."""


def kill_fsck(project: Workspace, moment: str) -> None:
    """Ends a fsck right before it writes, moves or removes the file or folder named `moment`."""
    with pytest.MonkeyPatch.context() as patch:
        for place, name in ((Path, "replace"), (Path, "unlink"), (shutil, "rmtree")):
            patch.setattr(place, name, _unless(moment, getattr(place, name)))
        with pytest.raises(KilledError):
            fsck_here(project)


def _unless(moment: str, step: Callable[..., object]) -> Callable[..., object]:
    def stepped(path: Path, *more: object, **others: object) -> object:
        if path.name == moment:
            raise KilledError
        return step(path, *more, **others)

    return stepped


JOURNAL = "replacing.json"
MOMENTS = [f".{JOURNAL}.new", "empty", "cache.db", JOURNAL, "new"]
"""The journal is written, the empty log and the database are moved, the journal and the folder are removed."""


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_fsck_lets_nobody_write_to_what_it_replaces_and_the_next_ends_it(
    project: Workspace, moment: str
) -> None:
    cache, before = project.root / CACHE, keys(project)
    flipped_page_type(database_of(project))
    kill_fsck(project, moment)
    assert (cache / JOURNAL).exists() == (moment in MOMENTS[1:4])
    if (cache / JOURNAL).exists():
        for opening in (Store, ReadOnlyStore):
            with pytest.raises(StorageError, match=r"a fsck of the cache .* was interrupted: run `distill-build cache"):
                opening(cache)
    status, printed = fsck_here(project)
    if moment == "new":  # all had been done
        assert status == 0, printed
    else:
        assert status == 5, printed
        lost = before - keys(project)
        assert lost
        assert all(f"cache entry {key[:12]} is not in what could be read of the database" in printed for key in lost)
    assert not quarantined(project, "new")
    assert_sound(project, lacking=len(before - keys(project)))


@pytest.mark.parametrize("again", [False, True])
def test_a_database_that_a_killed_fsck_had_made_ready_does_not_displace_what_came_meanwhile(
    project: Workspace, *, again: bool
) -> None:
    sound, before = database_of(project).read_bytes(), keys(project)
    cut(database_of(project))
    kill_fsck(project, "empty")
    database_of(project).write_bytes(sound)  # a backup, say
    if again:
        kill_fsck(project, "new")
        quarantined(project, "new/empty")[0].unlink()  # so far it came
    assert_sound(project)
    assert keys(project) == before


def test_where_a_killed_fsck_cannot_be_ended_it_is_told_and_left(project: Workspace) -> None:
    overwritten_header(database_of(project))
    kill_fsck(project, "cache.db")
    before = contents(project.root / CACHE)
    with read_only(project.root / CACHE):
        found = fsck(project)
    assert found.status == 5
    assert "a fsck was interrupted: run it again where the cache can be written" in found.stdout
    assert contents(project.root / CACHE) == before
