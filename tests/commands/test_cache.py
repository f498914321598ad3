"""What `cache stats` counts."""

import asyncio
import json
import sqlite3
from pathlib import Path

import pytest

from distill_build.commands.cache import run
from distill_build.engine.entry import Accepted, Attempt, Entry
from distill_build.engine.store import Store
from distill_build.errors import UsageError
from distill_build.options import Options

CACHE = Path("the-cache")
STATS = Options(arguments=("stats",), cache_dir=str(CACHE))


def entry(key: str, stage: str, model: str, *, attempts: int, accepted: bool) -> Entry:
    """A call whose every attempt used 100 and 7 tokens."""
    response = {"usage": {"prompt_tokens": 100, "completion_tokens": 7}}
    tried = tuple(Attempt(index, response, 0.1, "2026-01-01") for index in range(attempts))
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
        entry("a", "answers", "big", attempts=1, accepted=True),
        entry("b", "answers", "big", attempts=3, accepted=False),
        entry("c", "answers", "all", attempts=1, accepted=True),
        entry("d", "tags", "small", attempts=2, accepted=True),
    )
    assert run(STATS) == 0
    heading, _, *table = capsys.readouterr().out.splitlines()
    assert heading.startswith("the-cache: 4 calls, ")
    assert table == [
        "stage    model  calls  accepted  open  responses  prompt tokens  completion tokens",
        "tags     small      1         1     0          2            200                 14",
        "answers  all        1         1     0          1            100                  7",
        "answers  big        2         1     1          4            400                 28",
    ]


def test_json_has_the_same_figures(capsys: pytest.CaptureFixture[str]) -> None:
    fill(entry("b", "answers", "big", attempts=3, accepted=False))
    document = figures(capsys)
    assert isinstance(document, dict)
    assert document.pop("bytes") > 0
    assert document == {
        "directory": "the-cache",
        "entries": 1,
        "damaged": 0,
        "groups": [
            {
                "stage": "answers",
                "model": "big",
                "calls": 1,
                "attempts": 3,
                "accepted": 0,
                "open": 1,
                "prompt_tokens": 300,
                "completion_tokens": 21,
            }
        ],
    }


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


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((), "cache what\\? its verbs are stats"),
        (("prune",), "cache does not know 'prune': its verbs are stats"),
        (("stat",), "cache does not know 'stat': did you mean 'stats'\\?"),
    ],
)
def test_a_verb_that_does_not_exist_is_told_with_those_that_do(words: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        run(Options(arguments=words))
