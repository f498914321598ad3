"""Calls and bundles made by hand, for tests of what is carried between caches."""

import io
from typing import Any

from distill_build.cache.transfer.bundle import BundleWriter, Record
from distill_build.engine.entry import Accepted, Attempt, Entry, encode
from distill_build.engine.manifest import digest


def call(number: int, *responses: str, accepted: int | None = 0, size: int = 0) -> Entry:
    """The call of this number, with a response for each text (by default one), and about `size` bytes of content."""
    manifest = {"stage": "answers", "body": {"model": "m", "messages": [{"content": f"{number}{'x' * size}"}]}}
    attempts = tuple(
        Attempt(place, completion(text), 0.5, f"2026-01-01T00:00:0{place}", (), 0.01)
        for place, text in enumerate(responses or (f"answer {number}",))
    )
    return Entry(digest(manifest), manifest, attempts, None if accepted is None else Accepted(accepted, "value"))


def completion(text: str) -> dict[str, Any]:
    return {"choices": [{"message": {"content": text}}], "usage": {"prompt_tokens": 10, "completion_tokens": 5}}


def record(entry: Entry) -> Record:
    return Record("call", entry.key, encode(entry))


def bundle(*records: Record) -> bytes:
    file = io.BytesIO()
    writer = BundleWriter(file)
    for each in records:
        writer.put(each)
    writer.close()
    return file.getvalue()
