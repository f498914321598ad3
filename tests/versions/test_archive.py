"""The archive: versions by content, a history for each dataset, and what a crash or another cache leaves in it."""

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from distill_build.cache.fsck.findings import Findings, Quarantine
from distill_build.cache.fsck.versions import VersionsCheck
from distill_build.dataset.lockfile import LOCK, Lock, sound_lock
from distill_build.errors import CorruptEntryError, StorageError
from distill_build.stages.default import DEFAULT
from distill_build.versions.archive import RECORD_SCHEME, Archive, Root, Spent, Version, decode_record

ONE, TWO, THREE, FOUR = "11" * 32, "22" * 32, "33" * 32, "44" * 32


def version(digest: str, minute: int, name: str = "sports") -> Version:
    return Version(
        version=digest,
        name=name,
        topic="sports",
        at=f"2026-01-01T00:{minute:02}:00.000+00:00",
        until="dataset",
        stages=DEFAULT.described(),
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

    def build(self, digest: str, minute: int) -> bool:
        """As a build does that makes `digest`, from what the folder's lock names; says whether it was news."""
        lock = sound_lock(self.folder / LOCK)
        held = lock.version if lock is not None else None
        self.archive.inherit(self.folder, "sports", digest, held)
        news = self.archive.is_news(self.folder, digest, held)
        if news:
            before = self.archive.newest(self.folder, held) if held is not None else None
            self.archive.add(self.folder, version(digest, minute), before.as_predecessor() if before else None)
        self.check_out(digest)
        return news

    def add(self, digest: str, minute: int) -> str:
        """The record of a build that is news."""
        assert self.build(digest, minute)
        root = self.archive.registry.root(self.folder)
        assert root is not None
        return root.versions[-1]

    def check_out(self, digest: str) -> None:
        """Leaves the lock of a version, as a checkout does, or a clone of a project."""
        lock = Lock(digest, "sports", "dataset", {}, {}, {}, {}, {}, DEFAULT.described())
        (self.folder / LOCK).write_text(lock.encode())

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
    for digest in source.archive.records.digests():
        target.archive.records.add(source.archive.records.data(digest))


def test_reading_an_archive_that_is_not_there_makes_nothing(here: Place) -> None:
    assert here.history == []
    assert not here.archive.newest(here.folder, ONE)
    assert here.archive.registry.all() == []
    assert here.archive.find(ONE) is None
    assert not here.archive.directory.exists()


def test_a_history_is_in_the_order_of_building_and_a_version_may_come_back(here: Place) -> None:
    for minute, digest in enumerate((TWO, ONE, THREE, ONE)):
        here.add(digest, minute)
    assert here.history == [TWO, ONE, THREE, ONE]
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
    assert there.archive.registry.root(there.folder) is None


def test_a_machine_that_builds_what_another_made_has_made_no_new_version(here: Place, there: Place) -> None:
    here.add(ONE, 1)
    here.add(TWO, 2)
    carry(here, there)
    assert not there.build(ONE, 3)
    assert there.history == [ONE, TWO]
    assert there.archive.records.digests() == here.archive.records.digests()
    there.add(THREE, 4)
    assert there.history == [ONE, TWO, THREE]


def test_what_comes_later_from_another_machine_that_goes_on_stands_beside_what_was_built_here(
    here: Place, there: Place
) -> None:
    here.add(ONE, 1)
    carry(here, there)
    there.build(ONE, 2)
    here.add(TWO, 3)
    carry(here, there)
    there.add(THREE, 4)
    assert there.history == [ONE, TWO, THREE]
    assert there.archive.strangers(there.folder, "sports") == []


def test_what_another_machine_calls_the_same_and_began_otherwise_is_no_part_of_a_history(
    here: Place, there: Place
) -> None:
    there.add(ONE, 1)
    here.add(TWO, 2)
    carry(here, there)
    assert there.history == [ONE]
    assert [each.version for each in there.archive.strangers(there.folder, "sports")] == [TWO]
    there.add(THREE, 3)
    assert there.history == [ONE, THREE]


def test_a_strangers_record_of_the_same_version_is_not_taken_for_ones_own(here: Place, there: Place) -> None:
    here.add(ONE, 1)
    for minute, digest in enumerate((TWO, FOUR, THREE), start=2):
        there.add(digest, minute)
    carry(there, here)
    here.add(THREE, 9)
    own = here.archive.history(here.folder, "sports")
    assert [each.version for each in own] == [ONE, THREE]
    assert own[1].predecessor == version(ONE, 1).as_predecessor(), "and not what the stranger replaced"


# Folders that share a cache


def clone(source: Place, folder: Path, digest: str) -> Place:
    """Another folder of the same dataset, where nothing is but a lock."""
    folder.mkdir(parents=True)
    place = Place(source.archive, folder)
    place.check_out(digest)
    return place


def test_a_clone_has_the_history_of_what_its_lock_names_and_keeps_it(here: Place, tmp_path: Path) -> None:
    for minute, digest in enumerate((ONE, TWO, THREE)):
        here.add(digest, minute)
    other = clone(here, tmp_path / "clone" / "sports", TWO)
    assert other.history == [ONE, TWO, THREE]
    assert not other.build(TWO, 4), "it changed nothing"
    assert other.history == [ONE, TWO, THREE]
    other.add(FOUR, 5)
    here.add(ONE, 6)
    assert (other.history, here.history) == ([ONE, TWO, THREE, FOUR], [ONE, TWO, THREE, ONE])
    newest = other.archive.history(other.folder, "sports")[-1]
    assert newest.predecessor is not None
    assert newest.predecessor.version == TWO, "it replaced what the clone held, not what was built last elsewhere"


def test_checking_out_in_a_clone_hides_none_of_the_other_versions(here: Place, tmp_path: Path) -> None:
    for minute, digest in enumerate((ONE, TWO, THREE)):
        here.add(digest, minute)
    other = clone(here, tmp_path / "clone" / "sports", THREE)
    other.archive.include(other.folder, other.archive.history(other.folder, "sports")[1])
    other.check_out(TWO)
    assert other.history == [ONE, TWO, THREE]
    assert not other.build(TWO, 4)
    assert not other.build(THREE, 5), "going on to the newest one makes no other"
    assert other.history == [ONE, TWO, THREE]


def test_a_project_that_goes_away_joins_no_other_ones_history(here: Place, tmp_path: Path) -> None:
    """They began with the same version, on one cache, and know nothing of each other."""
    other = Place(here.archive, tmp_path / "elsewhere" / "sports")
    other.folder.mkdir(parents=True)
    here.add(ONE, 1)
    assert other.build(ONE, 2)
    other.add(TWO, 3)
    shutil.move(tmp_path / "elsewhere", tmp_path / "unplugged")
    assert here.history == [ONE]
    assert here.archive.strangers(here.folder, "sports") == []


def test_what_a_version_replaced_is_told_by_ones_own_record_of_it(here: Place, tmp_path: Path) -> None:
    other = Place(here.archive, tmp_path / "elsewhere" / "sports")
    other.folder.mkdir(parents=True)
    here.add(ONE, 1)
    other.archive.add(other.folder, replace(version(ONE, 2), recipe="cd" * 32))
    newest = here.archive.newest(here.folder, ONE)
    assert newest is not None
    assert newest.recipe == "ab" * 32


def test_a_folder_whose_versions_cannot_be_read_takes_over_no_other_ones(here: Place, tmp_path: Path) -> None:
    other = Place(here.archive, tmp_path / "elsewhere" / "sports")
    other.folder.mkdir(parents=True)
    here.archive.records.file(here.add(ONE, 1)).unlink()
    other.add(TWO, 2)
    assert here.history == []


def test_a_history_that_lost_its_beginning_still_knows_what_was_replaced(here: Place) -> None:
    first = here.add(ONE, 1)
    here.add(TWO, 2)
    here.archive.remove([first])
    (left,) = here.archive.history(here.folder, "sports")
    assert (left.predecessor, left.origin) == (version(ONE, 1).as_predecessor(), ONE)


# After a crash


def test_a_record_that_a_killed_build_could_not_list_any_more_is_listed_by_the_next(here: Place) -> None:
    """It says what the version cost; the build that comes after finds all in the cache."""
    here.add(ONE, 1)
    step = replace(version(TWO, 2), origin=ONE, predecessor=version(ONE, 1).as_predecessor())
    left = here.archive.records.add(msgspec.json.encode(step))
    assert here.history == [ONE, TWO]
    assert not here.archive.newest(here.folder, TWO)
    assert here.add(TWO, 3) == left
    assert here.history == [ONE, TWO]
    assert here.archive.newest(here.folder, TWO)


def test_a_version_that_was_built_before_what_is_listed_is_a_new_one_when_it_comes_back(here: Place) -> None:
    here.archive.records.add(msgspec.json.encode(replace(version(ONE, 1), origin=TWO)))
    here.add(TWO, 2)
    here.add(ONE, 3)
    assert here.history == [ONE, TWO, ONE]


def test_temporary_files_of_a_killed_writer_are_no_records(here: Place) -> None:
    here.add(ONE, 1)
    for folder in (here.archive.records.directory, here.archive.registry.directory):
        (folder / ".ab.json.1234").write_bytes(b"half")
    assert here.history == [ONE]
    assert len(here.archive.registry.all()) == len(here.archive.records.digests()) == 1


# Damage


@pytest.mark.parametrize("damage", [b"", b"{}", b"half"])
def test_a_damaged_record_is_noticed_and_no_build_fails_for_it(here: Place, damage: bytes) -> None:
    digest = here.add(ONE, 1)
    here.archive.records.file(digest).write_bytes(damage)
    with pytest.raises(CorruptEntryError, match="damaged"):
        here.archive.records.record(digest)
    assert not here.archive.newest(here.folder, ONE)
    here.add(TWO, 2)
    assert here.history == [TWO]
    assert here.build(ONE, 3), "it is kept anew"


def test_any_changed_byte_of_a_record_is_noticed() -> None:
    data = msgspec.json.encode(version(ONE, 1))
    with pytest.raises(CorruptEntryError):
        decode_record("00" * 32, data)


def test_a_record_of_another_scheme_is_told_apart_from_damage_whatever_its_shape(here: Place) -> None:
    other = b'{"scheme":%d,"shape":"another"}' % (RECORD_SCHEME + 1)
    digest = here.archive.records.add(other)
    here.archive.registry.register(here.folder, "sports", [digest])
    with pytest.raises(StorageError, match=f"scheme {RECORD_SCHEME + 1}") as caught:
        here.archive.records.record(digest)
    assert not isinstance(caught.value, CorruptEntryError)
    assert not here.archive.newest(here.folder, ONE)
    findings = Findings()
    VersionsCheck(here.archive, Quarantine(here.archive.directory, datetime(2026, 1, 1, tzinfo=UTC)), findings).run()
    assert here.archive.records.data(digest) == other, "fsck leaves it alone"
    assert (findings.damage, len(findings.notes)) == ([], 1)


def test_a_damaged_list_of_versions_is_a_sentence_with_the_way_out(here: Place) -> None:
    here.add(ONE, 1)
    (listed,) = here.archive.registry.directory.glob("*.json")
    listed.write_bytes(b"{")
    with pytest.raises(StorageError, match="remove it"):
        here.archive.registry.root(here.folder)
    listed.unlink()
    assert here.history == [ONE], "the records are found by their name"


def test_what_strangers_left_in_a_shared_cache_stops_no_build(here: Place, there: Place) -> None:
    """A list that is cut off, a folder that may not be looked at, a damaged record, and one of another release."""
    digest = here.add(ONE, 1)
    (here.archive.registry.directory / "0123456789abcdef.json").write_bytes(b'{"folder": "/x')
    (here.archive.registry.directory / "1123456789abcdef.json").write_bytes(
        msgspec.json.encode(Root("/" + "x" * 5000, "chess", []))  # Path.exists raises for it
    )
    here.archive.records.file("00" * 32).write_bytes(b"{}")
    here.archive.records.add(b'{"scheme":2,"shape":"another"}')
    assert here.add(TWO, 2)
    assert here.history == [ONE, TWO]
    assert here.archive.find(ONE) == here.archive.records.record(digest)
    carry(here, there)
    elsewhere = Place(here.archive, there.folder)
    assert elsewhere.build(ONE, 3), "what another folder has built is not its own"
    assert elsewhere.history == [ONE]
    with pytest.raises(StorageError, match="remove it"):
        here.archive.registry.all()


def test_a_version_comes_back_beside_those_whose_records_are_gone(here: Place) -> None:
    gone, one = here.add(THREE, 0), here.add(ONE, 1)
    here.archive.records.file(gone).unlink()
    two = here.archive.records.add(msgspec.json.encode(version(TWO, 2)))
    here.archive.include(here.folder, version(TWO, 2))
    root = here.archive.registry.root(here.folder)
    assert root is not None
    assert root.versions == [gone, one, two]


def test_a_version_that_comes_back_stands_where_it_was_built(here: Place) -> None:
    two = here.archive.records.add(msgspec.json.encode(replace(version(TWO, 2), origin=ONE)))
    one, three = here.add(ONE, 1), here.add(THREE, 3)
    here.archive.include(here.folder, here.archive.records.record(two))
    root = here.archive.registry.root(here.folder)
    assert root is not None
    assert root.versions == [one, two, three]


def test_a_version_that_is_kept_again_did_not_replace_itself(here: Place) -> None:
    """As where `cache fsck` has set its record aside."""
    here.add(ONE, 1)
    here.archive.records.file(here.add(TWO, 2)).unlink()
    here.archive.add(here.folder, version(TWO, 3), version(TWO, 2).as_predecessor())
    assert here.archive.history(here.folder, "sports")[-1].predecessor == version(ONE, 1).as_predecessor()


def test_only_damage_that_may_be_its_own_is_told_to_a_dataset(here: Place, tmp_path: Path) -> None:
    other = Place(here.archive, tmp_path / "chess")
    other.folder.mkdir()
    here.archive.records.file(here.add(ONE, 1)).write_bytes(b"{}")
    assert other.archive.damage_in(other.folder) is None
    assert here.archive.damage_in(here.folder) is not None


def test_a_record_says_nothing_of_its_machine(here: Place) -> None:
    digest = here.add(ONE, 1)
    assert str(here.folder).encode() not in here.archive.records.data(digest)
