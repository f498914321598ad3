"""Versions with stages of a user's own are kept, carried, checked and brought back as any other."""

import json
from pathlib import Path

import msgspec
import pytest

from distill_build.builds.assembly import encode_rows
from distill_build.cache.fsck.checking import call_hits
from distill_build.cache.gc.roots import read_records
from distill_build.commands import cache
from distill_build.commands.versions import checkout
from distill_build.dataset.layout import Dataset, kept_files, version_of
from distill_build.engine.store import Store
from distill_build.errors import CorruptEntryError
from distill_build.options import Options
from distill_build.versions.archive import Archive, Spent, Version
from distill_build.versions.snapshot import take_snapshot
from tests.staged_dataset import GRAPH, RECIPE, rows, write_staged

ROWS = {"stage": "answers", "question": "row.question", "reasoning": "row.reasoning", "answer": "row.answer"}
EXPORT = {"formats": ["messages"], "reasoning": "think", "metadata": True, "system_prompt": None, "rows": ROWS}


def keep(dataset: Dataset, archive: Archive) -> Version:
    """A version of the files, kept as a build keeps it."""
    places = {name: dataset.artefact(name) for name in kept_files(GRAPH)}
    files = {name: take_snapshot(archive.objects, path) for name, path in places.items() if path.exists()}
    version = Version(
        version=version_of({name: file.sha256 for name, file in files.items()}), name="sports", topic="sports",
        at="2026-01-01T00:00:00+00:00", until="dataset", counts={name: len(lines) for name, lines in rows().items()},
        missing={}, spent=Spent(0, 0, 0, None, 0.0), files=files, stages=GRAPH.described(),
        recipe=archive.objects.put(json.dumps(RECIPE | {"export": EXPORT}).encode()),
    )  # fmt: skip
    archive.add(dataset.folder, version)
    return version


@pytest.fixture
def built() -> tuple[Dataset, Archive, Version]:
    """A dataset whose version is in the cache, with the calls of its maps alone named in the rows."""
    dataset = write_staged(Path("outputs/sports"))
    dataset.artefact("runs/sources.jsonl").write_bytes(encode_rows([{"id": "sports", "calls": {}}]))
    Store(Path("cache")).close()
    archive = Archive(Path("cache"))
    return dataset, archive, keep(dataset, archive)


def run(*words: str, where: str = "cache") -> int:
    return cache.run(Options(arguments=words, cache_dir=where, quiet=True))


def test_a_version_is_carried_to_another_cache_and_brought_back(built: tuple[Dataset, Archive, Version]) -> None:
    dataset, _, version = built
    assert run("export", "all.bundle") == 0
    assert run("import", "all.bundle", where="other") == 0
    assert run("fsck", where="other") == run("gc", where="other") == run("stats", where="other") == 0
    words = Options(arguments=(version.version,), dataset="elsewhere", cache_dir="other", quiet=True)
    assert checkout.run(words) == 0
    back = Dataset(Path("elsewhere"))
    for name in kept_files(GRAPH):
        there = dataset.artefact(name)
        assert not there.exists() or back.artefact(name).read_bytes() == there.read_bytes(), name
    assert back.graph() is not None
    assert back.graph().described() == GRAPH.described()  # type: ignore[union-attr]  # see above
    assert len(back.artefact("dataset/train.messages.jsonl").read_text().splitlines()) == len(rows()["answers"])


def test_a_damaged_call_is_told_with_the_rows_of_its_stage(built: tuple[Dataset, Archive, Version]) -> None:
    dataset, archive, _ = built
    sources = [{"id": rows()["answers"][0]["tag"], "calls": {"translate": [["d" * 64, "0" * 16]]}}]
    dataset.artefact("runs/sources.jsonl").write_bytes(encode_rows(sources))
    keep(dataset, archive)
    hits, unreadable = call_hits(archive, read_records(archive), {"d" * 64})
    assert unreadable == []
    assert [(hit.stage, hit.item, list(hit.path)) for hit in hits] == [
        ("translate", row["id"], row["path"]) for row in rows()["translate"]
    ]


def test_a_version_whose_record_names_a_file_elsewhere_is_not_taken(built: tuple[Dataset, Archive, Version]) -> None:
    """Its digests are all right: somebody made it so."""
    _, archive, version = built
    stages = GRAPH.described() | {"../../evil": "evil: map of answers"}
    archive.records.add(msgspec.json.encode(msgspec.structs.replace(version, stages=stages)))
    assert run("export", "evil.bundle") == 0
    with pytest.raises(CorruptEntryError, match=r"'../../evil' is no name of a stage"):
        run("import", "evil.bundle", where="other")
    assert list(Archive(Path("other")).all()) == []
