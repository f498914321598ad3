"""`cache export FILE [VERSION]`: the cache, or a part of it, as one file."""

import json
import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from distill_build.cache.bundle import BundleWriter, is_bundle
from distill_build.cache.selection import Holdings
from distill_build.commands.cache_selection import selected
from distill_build.commands.columns import volume
from distill_build.commands.locate import find_cache
from distill_build.console.words import number_of
from distill_build.engine.lock import in_use
from distill_build.engine.reading import ReadOnlyStore
from distill_build.errors import StorageError, UsageError
from distill_build.options import Options
from distill_build.records import JsonObject
from distill_build.versions.archive import Archive


@dataclass(frozen=True, slots=True)
class Written:
    """What a bundle holds; `size` is in bytes."""

    calls: int
    responses: int
    versions: int
    size: int


def run(options: Options) -> int:
    """Writes the bundle. Returns 5 where something that was wanted is damaged or gone."""
    target, version = Path(options.arguments[1]), dict(enumerate(options.arguments)).get(2)
    cache = find_cache(options)
    _require_free(target)
    with in_use(cache, lambda: print(f"waiting for the cleaning of {cache}", file=sys.stderr)):
        store = ReadOnlyStore(cache)
        try:
            holdings = Holdings(selected(options, cache, version), store, Archive(cache))
            written = _write(target, holdings)
        finally:
            store.close()
    if options.json:
        print(json.dumps(_document(target, written, holdings), ensure_ascii=False, indent=2))
    elif not options.quiet:
        print(_text(target, written))
    if holdings.losses:
        print(f"distill-build: {holdings.losses.sentence(f'{target} is written')}", file=sys.stderr)
        return StorageError.exit_code
    return 0


def _require_free(target: Path) -> None:
    """Raises UsageError where `target` is there and no bundle."""
    if target.is_dir():
        raise UsageError(f"{target} is a folder: name the file to write, as in cache export cache.bundle")
    if target.exists() and not _holds_bundle(target):
        raise UsageError(f"{target} is there and is no bundle, so it is not replaced: name another file")


def _holds_bundle(target: Path) -> bool:
    try:
        with target.open("rb") as file:
            return is_bundle(file)
    except OSError as error:
        raise UsageError(f"{target} is there and cannot be read ({error.strerror}): name another file") from error


def _write(target: Path, holdings: Holdings) -> Written:
    calls = responses = versions = 0
    with _beside(target) as file:
        bundle = BundleWriter(file)
        for entry, record in holdings.calls():
            bundle.put(record)
            calls, responses = calls + 1, responses + len(entry.attempts)
        for record in holdings.objects():
            bundle.put(record)
        for record in holdings.versions():
            bundle.put(record)
            versions += 1
        bundle.close()
        size = file.tell()
    return Written(calls, responses, versions, size)


@contextmanager
def _beside(target: Path) -> Iterator[BinaryIO]:
    """A file that is moved to `target` when it is whole and synced. Raises StorageError where it cannot be written."""
    new = target.with_name(f".{target.name}.{secrets.token_hex(4)}.new")
    try:
        with new.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        new.replace(target)
    except OSError as error:
        raise StorageError(f"{target} cannot be written: {error.strerror}; name another place") from error
    finally:
        new.unlink(missing_ok=True)


def _document(target: Path, written: Written, holdings: Holdings) -> JsonObject:
    return {
        "file": str(target),
        "bytes": written.size,
        "calls": written.calls,
        "responses": written.responses,
        "versions": written.versions,
        "missing": len(holdings.losses.missing),
        "damaged": holdings.losses.damaged,
    }


def _text(target: Path, written: Written) -> str:
    calls, responses = number_of(written.calls, "calls"), number_of(written.responses, "responses")
    return f"{target}: {calls} with {responses}, {number_of(written.versions, 'versions')}, {volume(written.size)}"
