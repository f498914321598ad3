"""The archive: versions by content, a history for each dataset, and what a crash or another cache leaves in it."""

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from distill_build.cache.checking_versions import VersionsCheck
from distill_build.cache.findings import Findings
from distill_build.cache.quarantine import Quarantine
from distill_build.errors import CorruptEntryError, StorageError
from distill_build.versions.archive import RECORD_SCHEME, Archive, Root, Spent, Version, decode_record

ONE, TWO, THREE = "11" * 32, "22" * 32, "33" * 32


def version(digest: str, minute: int, name: str = "sports") -> Version:
    return Version(
        version=digest,
        name=name,
        topic="sports",
        at=f"2026-01-01T00:{minute:02}:00.000+00:00",
        until="dataset",
        counts={"tags": 1, "questions": 1, "answers": 1},
        missing={},
        spent=Spent(3, 10, 20, None, 0.5),
        recipe="ab" * 32,
        files={},
    )


@dataclass(frozen=True)
class Place:
    """A cache's archive and the folder of a dataset that is built with it."""

    archive: Archive
    folder: Path

    def add(self, digest: str, minute: int) -> str:
        return self.archive.add(self.folder, version(digest, minute))

    @property
    def history(self) -> list[str]:
        return [each.version for each in self.archive.history(self.folder, "sports")]


@pytest.fixture
def here(tmp_path: Path) -> Place:
    return place_in(tmp_path / "here")


@pytest.fixture
def there(tmp_path: Path) -> Place:
    return place_in(tmp_path / "there")


def place_in(project: Path) -> Place:
    folder = project / "outputs" / "sports"
    folder.mkdir(parents=True)
    return Place(Archive(project / "cache"), folder)


def carry(source: Place, target: Place) -> None:
    """As an import does: the records, and nothing of whose they were."""
    for digest in source.archive.record_digests():
        target.archive.add_record(source.archive.record_bytes(digest))


def test_reading_an_archive_that_is_not_there_makes_nothing(here: Place) -> None:
    assert here.history == []
    assert here.archive.latest(here.folder) is None
    assert here.archive.all_roots() == []
    assert here.archive.find(ONE) is None
    assert not here.archive.directory.exists()


def test_a_history_is_in_the_order_of_building_and_a_version_may_come_back(here: Place) -> None:
    for minute, digest in enumerate((TWO, ONE, THREE, ONE)):
        here.add(digest, minute)
    assert here.history == [TWO, ONE, THREE, ONE]
    assert here.archive.latest(here.folder) == ONE
    found = here.archive.find(ONE[:4])
    assert found is not None
    assert found.at == version(ONE, 3).at, "of two records of one version the newest"


def test_datasets_of_one_name_in_two_folders_have_histories_of_their_own(here: Place, tmp_path: Path) -> None:
    other = Place(here.archive, tmp_path / "elsewhere" / "sports")
    other.folder.mkdir(parents=True)
    here.add(ONE, 1)
    other.add(TWO, 2)
    assert (here.history, other.history) == ([ONE], [TWO])


def test_a_folder_that_was_moved_keeps_its_history_by_its_name(here: Place, tmp_path: Path) -> None:
    here.add(ONE, 1)
    here.add(TWO, 2)
    shutil.move(here.folder, tmp_path / "moved")
    moved = Place(here.archive, tmp_path / "moved")
    assert moved.history == [ONE, TWO]
    moved.add(THREE, 3)
    assert moved.history == [ONE, TWO, THREE]


# From another cache


def test_what_was_carried_here_is_history_of_the_dataset_of_that_name(here: Place, there: Place) -> None:
    here.add(ONE, 1)
    here.add(TWO, 2)
    carry(here, there)
    assert there.history == [ONE, TWO]
    assert there.archive.root(there.folder) is None


def test_a_machine_that_builds_what_another_made_has_made_no_new_version(here: Place, there: Place) -> None:
    here.add(ONE, 1)
    here.add(TWO, 2)
    carry(here, there)
    assert there.archive.adopt(there.folder, "sports", TWO)
    assert there.history == [ONE, TWO]
    assert there.archive.latest(there.folder) == TWO
    assert there.archive.record_digests() == here.archive.record_digests()
    assert not there.archive.adopt(there.folder, "sports", THREE)


def test_what_comes_later_from_elsewhere_stands_beside_what_was_built_here(here: Place, there: Place) -> None:
    there.add(ONE, 1)
    here.add(TWO, 2)
    carry(here, there)
    assert there.history == [ONE, TWO]
    there.add(THREE, 3)
    assert there.history == [ONE, TWO, THREE]


# After a crash


def test_a_record_that_a_killed_build_could_not_list_any_more_is_listed_by_the_next(here: Place) -> None:
    """It says what the version cost; the build that comes after finds all in the cache."""
    here.add(ONE, 1)
    left = here.archive.add_record(msgspec.json.encode(version(TWO, 2)))
    assert here.history == [ONE, TWO]
    assert here.archive.latest(here.folder) == ONE
    assert here.add(TWO, 3) == left
    assert here.history == [ONE, TWO]
    assert here.archive.latest(here.folder) == TWO


def test_a_version_that_was_built_before_what_is_listed_is_a_new_one_when_it_comes_back(here: Place) -> None:
    here.archive.add_record(msgspec.json.encode(version(ONE, 1)))
    here.add(TWO, 2)
    here.add(ONE, 3)
    assert here.history == [ONE, TWO, ONE]


def test_temporary_files_of_a_killed_writer_are_no_records(here: Place) -> None:
    here.add(ONE, 1)
    for folder in (here.archive.records, here.archive.roots):
        (folder / ".ab.json.1234").write_bytes(b"half")
    assert here.history == [ONE]
    assert len(here.archive.all_roots()) == len(here.archive.record_digests()) == 1


# Damage


@pytest.mark.parametrize("damage", [b"", b"{}", b"half"])
def test_a_damaged_record_is_noticed_and_no_build_fails_for_it(here: Place, damage: bytes) -> None:
    digest = here.add(ONE, 1)
    here.archive.record_file(digest).write_bytes(damage)
    with pytest.raises(CorruptEntryError, match="damaged"):
        here.archive.record(digest)
    assert here.archive.latest(here.folder) == ""
    here.add(TWO, 2)
    assert here.archive.latest(here.folder) == TWO
    other = Place(here.archive, here.folder.with_name("chess"))
    assert not other.archive.adopt(other.folder, "chess", ONE)


def test_any_changed_byte_of_a_record_is_noticed() -> None:
    data = msgspec.json.encode(version(ONE, 1))
    with pytest.raises(CorruptEntryError):
        decode_record("00" * 32, data)


def test_a_record_of_another_scheme_is_told_apart_from_damage_whatever_its_shape(here: Place) -> None:
    other = b'{"scheme":%d,"shape":"another"}' % (RECORD_SCHEME + 1)
    digest = here.archive.add_record(other)
    here.archive.register(here.folder, "sports", [digest])
    with pytest.raises(StorageError, match=f"scheme {RECORD_SCHEME + 1}") as caught:
        here.archive.record(digest)
    assert not isinstance(caught.value, CorruptEntryError)
    assert here.archive.latest(here.folder) == ""
    findings = Findings()
    VersionsCheck(here.archive, Quarantine(here.archive.directory, datetime(2026, 1, 1, tzinfo=UTC)), findings).run()
    assert here.archive.record_bytes(digest) == other, "fsck leaves it alone"
    assert (findings.damage, len(findings.notes)) == ([], 1)


def test_a_damaged_list_of_versions_is_a_sentence_with_the_way_out(here: Place) -> None:
    here.add(ONE, 1)
    (listed,) = here.archive.roots.glob("*.json")
    listed.write_bytes(b"{")
    with pytest.raises(StorageError, match="remove it"):
        here.archive.root(here.folder)
    listed.unlink()
    assert here.history == [ONE], "the records are found by their name"


def test_what_strangers_left_in_a_shared_cache_stops_no_build(here: Place, there: Place) -> None:
    """A list that is cut off, a folder that may not be looked at, a damaged record, and one of another release."""
    digest = here.add(ONE, 1)
    (here.archive.roots / "0123456789abcdef.json").write_bytes(b'{"folder": "/x')
    (here.archive.roots / "1123456789abcdef.json").write_bytes(
        msgspec.json.encode(Root("/" + "x" * 5000, "chess", []))  # Path.exists raises for it
    )
    here.archive.record_file("00" * 32).write_bytes(b"{}")
    here.archive.add_record(b'{"scheme":2,"shape":"another"}')
    assert here.add(TWO, 2)
    assert here.history == [ONE, TWO]
    assert here.archive.find(ONE) == here.archive.record(digest)
    carry(here, there)
    assert here.archive.adopt(there.folder, "sports", ONE) is False, "they are those of a folder that is there"
    shutil.rmtree(here.folder)
    assert here.archive.adopt(there.folder, "sports", ONE)
    with pytest.raises(StorageError, match="remove it"):
        here.archive.all_roots()


def test_a_version_comes_back_beside_those_whose_records_are_gone(here: Place) -> None:
    gone, one = here.add(THREE, 0), here.add(ONE, 1)
    here.archive.record_file(gone).unlink()
    two = here.archive.add_record(msgspec.json.encode(version(TWO, 2)))
    here.archive.include(here.folder, version(TWO, 2))
    root = here.archive.root(here.folder)
    assert root is not None
    assert root.versions == [gone, one, two]


def test_only_damage_that_may_be_its_own_is_told_to_a_dataset(here: Place, tmp_path: Path) -> None:
    other = Place(here.archive, tmp_path / "chess")
    other.folder.mkdir()
    here.archive.record_file(here.add(ONE, 1)).write_bytes(b"{}")
    assert other.archive.damage_in(other.folder) is None
    assert here.archive.damage_in(here.folder) is not None


def test_a_record_says_nothing_of_its_machine(here: Place) -> None:
    digest = here.add(ONE, 1)
    assert str(here.folder).encode() not in here.archive.record_bytes(digest)
