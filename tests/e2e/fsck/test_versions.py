"""What `cache fsck` finds in versions: pieces, records, and the lists of datasets."""

import re
import shutil
from pathlib import Path

import pytest

from distill_build.versions.archive import Archive, Version
from distill_build.versions.snapshot import chunks_of
from tests.e2e.caches import CACHE, flipped
from tests.e2e.fsck.checked import PRICES, TREE, assert_sound, fsck, fsck_here, quarantined
from tests.e2e.workspace import Workspace


def newest(project: Workspace) -> Version:
    archive = Archive(project.root / CACHE)
    return max((archive.records.record(digest) for digest in archive.records.digests()), key=lambda record: record.at)


def oldest_chunk(project: Workspace) -> Path:
    """A piece of the first version that the files in the dataset's folder do not hold."""
    archive = Archive(project.root / CACHE)
    records = sorted(
        (archive.records.record(digest) for digest in archive.records.digests()), key=lambda record: record.at
    )
    older, newer = (set(chunks_of(archive.objects, record.files["answers.jsonl"])) for record in records)
    return archive.objects.place(min(older - newer))


@pytest.mark.parametrize("damage", ["flipped", "cut", "gone"])
def test_a_damaged_object_is_told_with_the_version_and_file_it_is_a_piece_of(project: Workspace, damage: str) -> None:
    path = oldest_chunk(project)
    data = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(flipped(data) if damage == "flipped" else data[:-3])
    for _ in range(2):
        found = fsck(project)
        assert found.status == 5, "it stays a version that cannot be had"
        assert "answers.jsonl (sports" in found.stdout
        assert "cache pull or cache import" in found.stdout
    assert len(quarantined(project, "objects/*")) == (damage != "gone")
    path.write_bytes(data)
    assert_sound(project)


def test_objects_of_the_dataset_as_it_is_are_made_anew_from_its_files(project: Workspace) -> None:
    archive = Archive(project.root / CACHE)
    chunks = newest(project).files["answers.jsonl"].chunks
    places = [
        archive.objects.place(chunks),
        *map(archive.objects.place, chunks_of(archive.objects, newest(project).files["answers.jsonl"])),
    ]
    for place in places:
        place.write_bytes(b"noise")
    found = fsck(project)
    assert found.status == 5
    assert found.stdout.count("made anew") == len(places)
    assert_sound(project)


def test_pieces_that_were_lost_with_their_lists_are_not_said_to_be_all_counted(project: Workspace) -> None:
    shutil.rmtree(project.root / CACHE / "objects")
    assert re.search(r"damaged or gone: at least \d+ objects \(", fsck_here(project)[1])


def test_a_damaged_record_is_set_aside_and_the_other_versions_are_listed_as_before(project: Workspace) -> None:
    archive = Archive(project.root / CACHE)
    (root,) = archive.registry.all()
    record = archive.records.file(root.versions[0])
    record.write_bytes(record.read_bytes()[:-1])
    assert fsck(project).status == 5
    assert not record.exists()
    assert len(quarantined(project, "versions/*.json")) == 1
    assert archive.registry.all()[0].versions == root.versions[1:]
    assert_sound(project)


def test_a_list_of_versions_and_a_marker_that_cannot_be_read_are_set_aside(project: Workspace) -> None:
    cache = project.root / CACHE
    for path in (next((cache / "datasets").glob("*.json")), cache / "distill-cache.json"):
        path.write_text("{")
        assert fsck(project).status == 5
        assert_sound(project)
    assert project.run(*TREE, *PRICES, "name=again", "--offline").status == 0


def test_a_version_whose_record_was_set_aside_is_kept_again_by_the_next_build_that_asks_nothing(
    project: Workspace,
) -> None:
    archive, lost, before = Archive(project.root / CACHE), newest(project), project.bytes()
    (root,) = archive.registry.all()
    record = archive.records.file(root.versions[-1])
    record.write_bytes(flipped(record.read_bytes()))
    assert f"version record {record.stem[:12]} of sports is damaged" in fsck(project).stdout
    assert lost.version not in {version.version for version in archive.all()}
    assert "up to date" in project.run(*TREE, *PRICES).stderr
    first, second = project.raw("history", "--json").document["versions"]
    assert (first["version"], first["spent"]) == (lost.version, None)
    assert project.raw("checkout", second["version"]).status == 0
    assert project.raw("checkout", first["version"]).status == 0
    assert project.bytes() == before
    assert_sound(project)


def test_a_build_with_nothing_to_do_makes_its_folder_known_where_the_list_of_it_was_lost(project: Workspace) -> None:
    archive = Archive(project.root / CACHE)
    history = project.raw("history", "--json").document["versions"]
    archive.registry.file(project.folder()).unlink()
    assert "up to date" in project.run(*TREE, *PRICES).stderr
    assert archive.registry.root(project.folder()) is not None
    assert project.raw("history", "--json").document["versions"] == history


def test_settings_and_prompts_of_the_dataset_as_it_is_are_made_anew_too(project: Workspace) -> None:
    archive = Archive(project.root / CACHE)
    archive.objects.place(newest(project).recipe).unlink()
    assert "made anew from the files of its dataset" in fsck(project).stdout
    assert_sound(project)
