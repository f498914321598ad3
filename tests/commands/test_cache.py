"""What `cache stats` counts."""

import asyncio
import json
import sqlite3
from pathlib import Path

import pytest

from distill_build.cli.parsing import parse
from distill_build.commands.cache import run
from distill_build.engine.entry import Accepted, Attempt, Entry
from distill_build.engine.store import Store
from distill_build.errors import UsageError
from distill_build.options import Options
from distill_build.stages.default import DEFAULT
from distill_build.versions.archive import Archive, Spent, Version
from distill_build.versions.snapshot import take_snapshot

CACHE = Path("the-cache")
STATS = Options(arguments=("stats",), cache_dir=str(CACHE))


def entry(key: str, stage: str, model: str, *, attempts: int, accepted: bool, usd: float | None = None) -> Entry:
    """A call whose every attempt used 100 and 7 tokens."""
    response = {"usage": {"prompt_tokens": 100, "completion_tokens": 7}}
    tried = tuple(Attempt(index, response, 0.1, "2026-01-01", (), usd) for index in range(attempts))
    manifest = {"stage": stage, "body": {"model": model}}
    return Entry(key, manifest, tried, Accepted(attempts - 1, "x") if accepted else None)


def fill(*entries: Entry) -> None:
    async def put_all(store: Store) -> None:
        for each in entries:
            await store.put(each)

    store = Store(CACHE)
    asyncio.run(put_all(store))
    store.close()


def figures(capsys: pytest.CaptureFixture[str]) -> object:
    assert run(Options(arguments=("stats",), cache_dir=str(CACHE), json=True)) == 0
    return json.loads(capsys.readouterr().out)


def test_calls_are_added_up_by_stage_and_model(capsys: pytest.CaptureFixture[str]) -> None:
    fill(
        entry("a", "answers", "big", attempts=1, accepted=True, usd=0.25),
        entry("b", "answers", "big", attempts=3, accepted=False),
        entry("c", "answers", "all", attempts=1, accepted=True, usd=0.5),
        entry("d", "tags", "small", attempts=2, accepted=True),
    )
    assert run(STATS) == 0
    heading, _, *table = capsys.readouterr().out.splitlines()
    assert heading.startswith("the-cache: 4 calls, ")
    assert heading.endswith("paid for with $0.7500+")
    assert table == [
        "stage    model  calls  accepted  open  responses  prompt tokens  completion tokens      cost",
        "tags     small      1         1     0          2            200                 14         —",
        "answers  all        1         1     0          1            100                  7   $0.5000",
        "answers  big        2         1     1          4            400                 28  $0.2500+",
        "",
        "needed by versions or unfinished builds        0 calls          $0",
        "needed by nothing                              4 calls    $0.7500+",
    ]


def test_json_has_the_same_figures(capsys: pytest.CaptureFixture[str]) -> None:
    fill(entry("b", "answers", "big", attempts=3, accepted=False, usd=0.5))
    document = figures(capsys)
    assert isinstance(document, dict)
    assert document["bytes"] >= document["database_bytes"] > 0
    amounts = {
        "calls": 1,
        "attempts": 3,
        "accepted": 0,
        "open": 1,
        "prompt_tokens": 300,
        "completion_tokens": 21,
        "usd": 1.5,
        "unpriced": 0,
    }
    assert document["groups"] == [{"stage": "answers", "model": "big", **amounts}]
    assert document["unreached"] == amounts
    assert document["reached"]["calls"] == 0
    expected = {"directory": "the-cache", "entries": 1, "damaged": 0, "usd": 1.5, "versions": 0, "datasets": []}
    assert document | expected == document


def test_a_damaged_entry_is_counted_and_does_not_stop_the_count(capsys: pytest.CaptureFixture[str]) -> None:
    fill(*(entry(key, "tags", "small", attempts=1, accepted=True) for key in "ab"))
    with sqlite3.connect(CACHE / "cache.db") as database:
        database.execute("UPDATE Cache SET value = ? WHERE key = 'a'", (b"noise",))
    database.close()
    document = figures(capsys)
    assert isinstance(document, dict)
    assert (document["entries"], document["damaged"], document["groups"][0]["calls"]) == (2, 1, 1)


def test_an_empty_cache_has_no_table(capsys: pytest.CaptureFixture[str]) -> None:
    fill()
    run(STATS)
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_what_versions_need_is_counted_apart_and_damage_that_hides_it_is_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    fill(*(entry(key, "tags", "small", attempts=1, accepted=True, usd=1.0) for key in "ab"))
    archive = Archive(CACHE)
    sources = Path("sources.jsonl")
    sources.write_text('{"id":"sports","calls":{"tags":[["a","0123456789abcdef"]]}}\n')
    archive.add(Path("gone"), version(archive, sources))
    document = figures(capsys)
    assert isinstance(document, dict)
    assert (document["reached"]["calls"], document["unreached"]["calls"], document["unreached"]["usd"]) == (1, 1, 1.0)
    assert (document["versions"], document["imported_versions"], document["unused_objects"]) == (1, 1, 0)
    assert [(dataset["name"], dataset["there"]) for dataset in document["datasets"]] == [("sports", False)]
    archive.objects.place(archive.records.record(archive.records.digests()[0]).recipe).unlink()
    for path in archive.objects.directory.rglob("*"):
        if path.is_file():
            path.write_bytes(b"noise")
    assert run(STATS) == 0
    assert "What is needed cannot be told" in capsys.readouterr().out


def version(archive: Archive, sources: Path) -> Version:
    """A version of sports that is made of one file."""
    return Version(
        version="f" * 64,
        name="sports",
        topic="sports",
        at="2026-01-01T00:00:00+00:00",
        until="tags",
        stages=DEFAULT.described(),
        counts={},
        missing={},
        spent=Spent(1, 1, 1, None, 0.0),
        recipe=archive.objects.put(b"{}"),
        files={"runs/sources.jsonl": take_snapshot(archive.objects, sources)},
    )


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((), "cache what\\? its verbs are stats"),
        (("prune",), "cache does not know 'prune': its verbs are stats"),
        (("stat",), "cache does not know 'stat': did you mean 'stats'\\?"),
        (("gc", "sports"), "cache gc does not take the word 'sports'"),
        (("export",), "cache export needs FILE"),
    ],
)
def test_a_verb_that_does_not_exist_or_takes_other_words_is_told(words: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        parse(["cache", *words])


def test_a_flag_of_gc_at_another_verb_is_told() -> None:
    with pytest.raises(UsageError, match="cache fsck does not know --keep-last: it is a flag of cache gc"):
        parse(["cache", "fsck", "--keep-last", "0"])
