"""Nothing comes into a cache whose digests are wrong, or that would trip a later build."""

import hashlib
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from distill_build.cache.validation import objects_of, validated_call, validated_object, validated_version
from distill_build.dataset.layout import version_of
from distill_build.engine.entry import Attempt, Entry, encode
from distill_build.engine.manifest import digest
from distill_build.engine.objects import Objects
from distill_build.errors import CorruptEntryError
from distill_build.stages.default import DEFAULT
from distill_build.versions.archive import Spent, Version
from distill_build.versions.snapshot import FileSnapshot
from tests.cache.carried import call

SURROGATE = {"content": "\ud800", "number": 2**70}


def test_a_call_is_taken_as_it_is_stored() -> None:
    entry = call(1, "no", "yes", accepted=1)
    assert validated_call(entry.key, encode(entry)) == entry


def test_what_only_json_can_write_is_taken_too() -> None:
    entry = call(1)
    odd = Entry(entry.key, entry.manifest, (Attempt(0, SURROGATE, 0.1, "2026-01-01"),), entry.accepted)
    assert validated_call(entry.key, encode(odd)) == odd


def stored(row: Any) -> bytes:
    """A stored form with a right checksum."""
    body = row if isinstance(row, bytes) else json.dumps(row).encode()
    return hashlib.sha256(body).hexdigest().encode() + b"\n" + body


def row_with(change: Callable[[Any], Any]) -> bytes:
    row = json.loads(encode(call(1)).partition(b"\n")[2])
    return stored(change(row) or row)


@pytest.mark.parametrize(
    "data",
    [
        None,
        b"",
        encode(call(1))[:-1],
        encode(call(2)),
        stored(b"no json"),
        stored(pickle.dumps(["x"])),
        stored([]),
        stored({}),
        stored(b"[" * 100_000),
        row_with(lambda row: row["manifest"].update(stage="tags")),
        row_with(lambda row: row["attempts"][0]["response"].update(choices=[])),
        row_with(lambda row: row["attempts"][0].update(digest="0" * 16)),
        row_with(lambda row: row["attempts"][0].update(index="0")),
        row_with(lambda row: row["attempts"][0].update(at=None)),
        row_with(lambda row: row["attempts"][0].update(at="yesterday")),
        row_with(lambda row: row["attempts"][0].update(at="0001-01-01T00:00:00")),
        row_with(lambda row: row["attempts"][0].update(usd="free")),
        row_with(lambda row: row["attempts"][0].update(usd=float("inf"))),
        row_with(lambda row: row["attempts"][0].update(usd=10**400)),
        row_with(lambda row: row["attempts"].clear()),
        row_with(lambda row: row.update(attempts=[], accepted=None)),
        row_with(lambda row: row["accepted"].update(place=1)),
        row_with(lambda row: row["accepted"].update(place=-1)),
        row_with(lambda row: row.update(manifest=None)),
        row_with(lambda row: row.update(scheme=2)),
    ],
)  # fmt: skip
def test_a_call_that_is_not_what_it_says_is_refused(data: object) -> None:
    with pytest.raises(CorruptEntryError):
        validated_call(call(1).key, data)


@pytest.mark.parametrize("body", [{}, {"model": None}])
def test_a_call_that_does_not_name_its_model_is_refused(body: Any) -> None:
    """Figures are by stage and model."""
    manifest = {"stage": "answers", "body": body}
    entry = Entry(digest(manifest), manifest, call(1).attempts, None)
    with pytest.raises(CorruptEntryError):
        validated_call(entry.key, encode(entry))


def test_an_object_has_the_content_it_is_named_by() -> None:
    name = hashlib.sha256(b"data").hexdigest()
    assert validated_object(name, b"data") == b"data"
    for wrong in ("0" * 64, "../../etc/passwd"):
        with pytest.raises(CorruptEntryError):
            validated_object(wrong, b"data")


def version(**changes: Any) -> bytes:
    """The record of a version of one file."""
    files = {"tags.jsonl": FileSnapshot("a" * 64, 1, 1, "c" * 64), **changes.pop("files", {})}
    fields: dict[str, Any] = {
        "version": version_of({name: file.sha256 for name, file in files.items()}),
        "name": "sports", "topic": "sports", "at": "2026-01-01T00:00:00+00:00", "until": "tags",
        "counts": {"tags": 1, "questions": 0, "dedup": 0, "answers": 0}, "missing": {},
        "spent": Spent(1, 1, 1, None, 0.1), "recipe": "d" * 64, "files": files, "stages": DEFAULT.described(),
    }  # fmt: skip
    return msgspec.json.encode(Version(**fields | changes))


def name_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_a_version_is_taken_as_it_is_recorded() -> None:
    assert validated_version(name_of(version()), version()).name == "sports"


@pytest.mark.parametrize(
    "data",
    [
        b"{}",
        b"no json",
        version(version="0" * 64),
        version(scheme=99),
        version().replace(b"sports", b"\xff"),
        version(at="yesterday"),
        version(at="0001-01-01T00:00:00"),
        version(until="later"),
        version(until="dataset"),
        version(until="questions"),
        version(counts={}),
        version(files={"../../.bashrc": FileSnapshot("a" * 64, 1, 1, "c" * 64)}),
        version(files={"/etc/passwd": FileSnapshot("a" * 64, 1, 1, "c" * 64)}),
        version(files={"other.jsonl": FileSnapshot("a" * 64, 1, 1, "c" * 64)}),
        version(files={"runs/state.json": FileSnapshot("a" * 64, 1, 1, "c" * 64)}),
        version(stages={}),
        version(stages={"tags": "t: list", "../../etc/passwd": "x: map of tags"}),
        version(stages={"tags": "t: list", "/x": "x: map of tags"}),
        version(stages={"tags": "t: list", "a.b": "x: map of tags"}),
        version(stages={"tags": "t: list", "": "x: map of tags"}),
        version(stages={"tags": "t: list", "x\n": "x: map of tags"}),
        version(stages={"tags": "t: list", "failures": "x: map of tags"}),
        version(stages={"tags": "t: list", "x": "../x: map of tags"}),
        version(stages={"tags": "t: list", "x": "x: magic of tags"}),
        version(stages={"tags": "t: list", "x": "x: map of y", "y": "y: map of x"}),
        version(stages={"tags": "t: list", "x": "x: group of tags"}),
        version(stages={"tags": "t: list", "x": "t: map of tags"}),
        version(stages={"tags": "t: list", "x": "x: list"}),
        version(stages={"tags": "t: map"}),
    ],
)
def test_a_version_that_cannot_be_or_reaches_outside_its_folder_is_refused(data: bytes) -> None:
    with pytest.raises(CorruptEntryError):
        validated_version(name_of(data), data)


@pytest.mark.parametrize("chunks", [["../../../../etc/passwd"], ["/dev/zero"], [1], {"a": 1}, "x"])
def test_a_list_of_chunks_that_names_other_files_is_refused(chunks: object, tmp_path: Path) -> None:
    objects = Objects(tmp_path)
    listed = objects.put(json.dumps(chunks).encode())
    record = msgspec.json.decode(version(files={"tags.jsonl": FileSnapshot("a" * 64, 1, 1, listed)}), type=Version)
    with pytest.raises(CorruptEntryError):
        list(objects_of(objects, record))
