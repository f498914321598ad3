"""A version is taken, and found sound by fsck, only where its objects give what its record says."""

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from distill_build.cache.fsck.findings import Findings, Quarantine
from distill_build.cache.fsck.versions import VersionsCheck
from distill_build.cache.transfer.bundle import Record
from distill_build.cache.transfer.importer import Importer
from distill_build.dataset.layout import version_of
from distill_build.engine.store import Store
from distill_build.stages.default import DEFAULT
from distill_build.versions.archive import Archive, Spent, Version
from distill_build.versions.snapshot import take_snapshot

EXPORT = {"formats": ["sft"], "reasoning": "think", "metadata": True, "system_prompt": None, "rows": {}}
SOURCES = b'{"id":"t","calls":{"tags":[["k","d"]]}}\n'


def made(
    archive: Archive,
    folder: Path,
    *,
    recipe: Any = {"export": EXPORT},  # noqa: B006 - never changed
    sources: bytes = SOURCES,
    **wrong: Any,
) -> Version:
    """A version of two files in `archive`, with what is `wrong` about its tags.jsonl."""
    files = {}
    for name, data in {"tags.jsonl": b'{"id":"t"}\nend', "runs/sources.jsonl": sources}.items():
        path = folder / Path(name).name
        path.write_bytes(data)
        files[name] = take_snapshot(archive.objects, path)
    files["tags.jsonl"] = msgspec.structs.replace(files["tags.jsonl"], **wrong)
    return Version(
        version=version_of({name: file.sha256 for name, file in files.items()}), name="sports", topic="sports",
        at="2026-01-01T00:00:00+00:00", until="tags", missing={},
        counts={"tags": 1, "questions": 0, "dedup": 0, "answers": 0},
        spent=Spent(0, 0, 0, None, 0.0), recipe=archive.objects.put(json.dumps(recipe).encode()), files=files,
        stages=DEFAULT.described(),
    )  # fmt: skip


WRONG: dict[str, dict[str, Any]] = {
    "digest of a file": {"sha256": "0" * 64},
    "bytes": {"bytes": 1},
    "lines": {"lines": 1},
    "sources": {"sources": b"garbage\n"},
    "sources of another shape": {"sources": SOURCES + b"{}\n"},
    "settings": {"recipe": []},
    "no settings of exports": {"recipe": {}},
    "settings of exports": {"recipe": {"export": EXPORT | {"formats": None}}},
    "a trainer that is none": {"recipe": {"export": EXPORT | {"kd_trainer": "somebody"}}},
    "a trainer that nobody knows": {"recipe": {"export": EXPORT | {"trainers": ["somebody"]}}},
    "no list of trainers": {"recipe": {"export": EXPORT | {"trainers": "trl"}}},
    "a row that is too long by no number": {"recipe": {"export": EXPORT | {"max_length": "long"}}},
    "a margin that is none": {"recipe": {"export": EXPORT | {"margin": "wide"}}},
    "turns of no kind": {"recipe": {"export": EXPORT | {"turns": "some"}}},
    "a student without a name": {"recipe": {"export": EXPORT | {"student": 5}}},
    "rows of nothing": {"recipe": {"export": EXPORT | {"rows": "answers"}}},
    "a length that is none": {"recipe": {"export": EXPORT | {"kd_length": "long"}}},
}


def taken(archive: Archive, version: Version) -> list[str]:
    """The versions in a cache that has the objects already, after the version's record came."""
    data, store = msgspec.json.encode(version), Store(archive.directory)
    with Importer(archive.directory, store) as importer:
        importer.take(Record("version", hashlib.sha256(data).hexdigest(), data))
        importer.take_versions()
    store.close()
    return [each.version for each in archive.all()]


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    Store(tmp_path / "cache").close()
    return Archive(tmp_path / "cache")


def test_a_version_that_is_whole_is_taken(archive: Archive, tmp_path: Path) -> None:
    version = made(archive, tmp_path)
    assert taken(archive, version) == [version.version]


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_a_version_whose_objects_give_something_else_is_not_taken(
    archive: Archive, tmp_path: Path, wrong: dict[str, Any]
) -> None:
    assert taken(archive, made(archive, tmp_path, **wrong)) == []


def checked(archive: Archive, *, aside: bool) -> list[str]:
    """What fsck says of the versions in a cache."""
    quarantine = Quarantine(archive.directory, datetime.now(UTC)) if aside else None
    findings = Findings()
    VersionsCheck(archive, quarantine, findings).run()
    return [f"{damage.kind}: {damage.reason}" for damage in findings.damage]


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_fsck_sets_such_a_version_aside(archive: Archive, tmp_path: Path, wrong: dict[str, Any]) -> None:
    """One that came in before it was refused."""
    for version in (made(archive, tmp_path, **wrong), made(archive, tmp_path)):
        archive.records.add(msgspec.json.encode(version))
    (told,) = checked(archive, aside=False)
    assert told.startswith("version: ")
    assert "is not what its record says" in told
    assert checked(archive, aside=True) == [told]
    assert checked(archive, aside=False) == []
    assert len(archive.records.digests()) == 1


def test_what_is_missing_of_a_version_is_told_once(archive: Archive, tmp_path: Path) -> None:
    version = made(archive, tmp_path)
    archive.records.add(msgspec.json.encode(version))
    archive.objects.place(version.recipe).unlink()
    assert checked(archive, aside=False) == [f"object: object {version.recipe[:12]} is gone"]


def test_a_list_of_chunks_that_is_none_is_told(archive: Archive, tmp_path: Path) -> None:
    archive.records.add(msgspec.json.encode(made(archive, tmp_path, chunks=archive.objects.put(b"{}"))))
    (told,) = checked(archive, aside=False)
    assert "is no list of chunks" in told
