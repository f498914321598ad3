"""`cache export FILE [VERSION]`: the cache, or a part of it, as one file."""

import glob
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from distill_build.cache.beside import beside, remove_abandoned
from distill_build.cache.bundle import BundleWriter, is_bundle
from distill_build.cache.selection import Holdings
from distill_build.commands.cache_access import cache_to_carry
from distill_build.commands.columns import volume
from distill_build.commands.locate import find_cache
from distill_build.commands.notes import say
from distill_build.console import watched
from distill_build.console.page import print_lines
from distill_build.errors import StorageError, UsageError
from distill_build.options import Options
from distill_build.records import JsonObject, number_of


@dataclass(slots=True)
class Written:
    """What a bundle holds so far; `size` is in bytes."""

    calls: int = 0
    responses: int = 0
    versions: int = 0
    size: int = 0


def run(options: Options) -> int:
    """Writes the bundle. Returns 5 where something that was wanted is damaged or gone."""
    target, version = Path(options.arguments[1]), dict(enumerate(options.arguments)).get(2)
    cache = find_cache(options)
    _require_free(target)
    written = Written()
    with (
        cache_to_carry(options, cache, version) as holdings,
        watched(lambda: f"{number_of(written.calls, 'calls')}, {volume(written.size)} written", quiet=options.quiet),
    ):
        _write(target, holdings, written)
    if options.json:
        print(json.dumps(_document(target, written, holdings), ensure_ascii=False, indent=2))
    elif not options.quiet:
        print_lines([_text(target, written)])
    if holdings.losses:
        say(holdings.losses.sentence(f"{target} is written"))
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


def _write(target: Path, holdings: Holdings, written: Written) -> None:
    with _beside(target) as file:
        bundle = BundleWriter(file)
        for entry, record in holdings.calls():
            bundle.put(record)
            written.calls += 1
            written.responses += len(entry.attempts)
            written.size = file.tell()
        for record in holdings.objects():
            bundle.put(record)
        for record in holdings.versions():
            bundle.put(record)
            written.versions += 1
        bundle.close()
        written.size = file.tell()


@contextmanager
def _beside(target: Path) -> Iterator[BinaryIO]:
    """A file that is moved to `target` when it is whole. Raises StorageError where it cannot be written."""
    try:
        remove_abandoned(target.parent, glob.escape(target.name))
        with beside(target) as file:
            yield file
    except OSError as error:
        raise StorageError(f"{target} cannot be written: {error.strerror}; name another place") from error


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
