"""A policy of `cache gc` keeps the last versions of each dataset; what a dataset is, is as in histories."""

from pathlib import Path

from distill_build.cache.gc.roots import kept_versions, read_records
from tests.versions.test_archive import FOUR, ONE, THREE, TWO, Place, carry, place_in


def kept(place: Place, last: int) -> set[str]:
    records = read_records(place.archive)
    return {records[digest].version for digest in kept_versions(place.archive, records, last).digests}


def test_the_last_versions_of_another_dataset_with_the_same_name_stay_too(tmp_path: Path) -> None:
    here, there = place_in(tmp_path / "here"), place_in(tmp_path / "there")
    for minute, digest in enumerate((TWO, THREE)):
        there.add(digest, minute)
    carry(there, here)
    for minute, digest in enumerate((ONE, FOUR), start=5):
        here.add(digest, minute)
    assert kept(here, 1) == {FOUR, THREE}
    assert kept(here, 2) == {ONE, TWO, THREE, FOUR}


def test_what_came_by_import_counts_among_the_versions_of_the_dataset_that_it_is_of(tmp_path: Path) -> None:
    here, there = place_in(tmp_path / "here"), place_in(tmp_path / "there")
    here.add(ONE, 1)
    carry(here, there)
    there.build(ONE, 2)
    there.add(TWO, 3)
    carry(there, here)
    here.check_out(TWO)
    assert here.history == [ONE, TWO]
    assert kept(here, 1) >= {TWO}
    assert kept(there, 1) == {TWO}
