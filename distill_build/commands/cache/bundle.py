"""`cache export FILE [VERSION]`: the cache, or a part of it, as one file. `cache import FILE`: takes it in again."""

import glob
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

import msgspec

from distill_build.cache.transfer.bundle import BundleWriter, is_bundle, read_bundle
from distill_build.cache.transfer.importer import Importer
from distill_build.cache.transfer.remote import atomic_file, remove_abandoned
from distill_build.cache.transfer.selection import Holdings
from distill_build.commands.cache.access import cache_to_carry, cache_to_fill, gains_text, incomplete_text
from distill_build.commands.locate import as_reached, find_cache, place_for_cache
from distill_build.console import watched
from distill_build.console.notes import say
from distill_build.console.page import print_document, print_lines
from distill_build.console.words import volume
from distill_build.errors import CorruptEntryError, StorageError, UsageError
from distill_build.options import Options
from distill_build.project import from_cwd
from distill_build.records import JsonObject, number_of


class Written(msgspec.Struct):
    """What a bundle holds so far; `size` is in bytes."""

    calls: int = 0
    responses: int = 0
    versions: int = 0
    size: int = 0


def write(options: Options) -> int:
    """Writes the bundle. Returns 5 where something that was wanted is damaged or gone."""
    target, version = Path(from_cwd(options.arguments[1])), next(map(as_reached, options.arguments[2:]), None)
    cache = find_cache(options)
    _require_free(target)
    written = Written()
    with (
        cache_to_carry(options, cache, version) as holdings,
        watched(lambda: f"{number_of(written.calls, 'calls')}, {volume(written.size)} written", quiet=options.quiet),
    ):
        _write_to(target, holdings, written)
    if options.json:
        print_document(_written_document(target, written, holdings))
    elif not options.quiet:
        print_lines([_written_text(target, written)])
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


def _write_to(target: Path, holdings: Holdings, written: Written) -> None:
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
        with atomic_file(target) as file:
            yield file
    except OSError as error:
        raise StorageError(f"{target} cannot be written: {error.strerror}; name another place") from error


def _written_document(target: Path, written: Written, holdings: Holdings) -> JsonObject:
    return {
        "file": str(target),
        "bytes": written.size,
        "calls": written.calls,
        "responses": written.responses,
        "versions": written.versions,
        "missing": len(holdings.losses.missing),
        "damaged": holdings.losses.damaged,
    }


def _written_text(target: Path, written: Written) -> str:
    calls, responses = number_of(written.calls, "calls"), number_of(written.responses, "responses")
    return f"{target}: {calls} with {responses}, {number_of(written.versions, 'versions')}, {volume(written.size)}"


def take_in(options: Options) -> int:
    """Takes what is new. Returns 5 where a version in the bundle lacks something, raises for a damaged bundle."""
    source = Path(from_cwd(options.arguments[1]))
    cache = place_for_cache(options)
    with _opened(source) as file:
        records = read_bundle(file, str(source))  # first: no cache is made for what is no bundle
        with cache_to_fill(options, cache) as (_, importer):
            gains = importer.gains
            with watched(lambda: f"{number_of(gains.seen_calls, 'calls')} read of {source}", quiet=options.quiet):
                try:
                    for record in records:
                        importer.take(record)
                except CorruptEntryError as error:
                    raise CorruptEntryError(f"{error}. {_kept(importer)}") from error
                importer.take_versions()
    if options.json:
        print_document({"file": str(source), "cache": str(cache), **gains.row()})
    elif not options.quiet:
        print_lines([f"{source} → {cache}: {gains_text(gains, whole=not gains.incomplete)}"])
    if gains.incomplete:
        say(incomplete_text(gains, str(source)))
        return StorageError.exit_code
    return 0


def _kept(importer: Importer) -> str:
    """What was taken before a bundle broke off."""
    importer.flush()
    if not importer.gains.seen_calls:
        return "Nothing was taken"
    return f"{number_of(importer.gains.seen_calls, 'calls')} before that place were whole and taken, but no version"


@contextmanager
def _opened(source: Path) -> Iterator[BufferedReader]:
    try:
        file = source.open("rb")
    except OSError as error:
        raise UsageError(f"{source} cannot be read: {error.strerror}; name a file that cache export wrote") from error
    with file:
        yield file
