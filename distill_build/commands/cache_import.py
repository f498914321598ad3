"""`cache import FILE`: takes a bundle into the cache."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path

from distill_build.cache.bundle import read_bundle
from distill_build.cache.intake import Intake
from distill_build.commands.cache_access import cache_to_fill
from distill_build.commands.cache_gains import incomplete, text
from distill_build.commands.locate import place_for_cache
from distill_build.commands.notes import say
from distill_build.console import watched
from distill_build.console.page import print_lines
from distill_build.errors import CorruptEntryError, StorageError, UsageError
from distill_build.options import Options
from distill_build.records import number_of


def run(options: Options) -> int:
    """Takes what is new. Returns 5 where a version in the bundle lacks something, raises for a damaged bundle."""
    source = Path(options.arguments[1])
    cache = place_for_cache(options)
    with _opened(source) as file:
        records = read_bundle(file, str(source))  # first: no cache is made for what is no bundle
        with cache_to_fill(options, cache) as (_, intake):
            gains = intake.gains
            with watched(lambda: f"{number_of(gains.seen_calls, 'calls')} read of {source}", quiet=options.quiet):
                try:
                    for record in records:
                        intake.take(record)
                except CorruptEntryError as error:
                    raise CorruptEntryError(f"{error}. {_kept(intake)}") from error
                intake.take_versions()
    if options.json:
        print(json.dumps({"file": str(source), "cache": str(cache), **gains.row()}, ensure_ascii=False, indent=2))
    elif not options.quiet:
        print_lines([f"{source} → {cache}: {text(gains, whole=not gains.incomplete)}"])
    if gains.incomplete:
        say(incomplete(gains, str(source)))
        return StorageError.exit_code
    return 0


def _kept(intake: Intake) -> str:
    """What was taken before a bundle broke off."""
    intake.flush()
    if not intake.gains.seen_calls:
        return "Nothing was taken"
    return f"{number_of(intake.gains.seen_calls, 'calls')} before that place were whole and were taken, but no version"


@contextmanager
def _opened(source: Path) -> Iterator[BufferedReader]:
    try:
        file = source.open("rb")
    except OSError as error:
        raise UsageError(f"{source} cannot be read: {error.strerror}; name a file that cache export wrote") from error
    with file:
        yield file
