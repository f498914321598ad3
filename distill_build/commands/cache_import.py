"""`cache import FILE`: takes a bundle into the cache."""

import json
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from io import BufferedReader
from pathlib import Path

from distill_build.cache.bundle import read_bundle
from distill_build.cache.intake import Gains, Intake
from distill_build.commands.locate import place_for_cache
from distill_build.console.words import money, number_of, tokens
from distill_build.engine.cache_directory import CacheDirectory
from distill_build.engine.lock import in_use
from distill_build.engine.store import Store
from distill_build.errors import CorruptEntryError, StorageError, UsageError
from distill_build.options import Options


def run(options: Options) -> int:
    """Takes what is new. Returns 5 where a version in the bundle lacks something, raises for a damaged bundle."""
    source = Path(options.arguments[1])
    cache = place_for_cache(options)
    with _opened(source) as file, cache_to_fill(cache) as store, Intake(cache, store) as intake:
        try:
            for record in read_bundle(file, str(source)):
                intake.take(record)
        except CorruptEntryError as error:
            raise CorruptEntryError(f"{error}. {_kept(intake)}") from error
        intake.take_versions()
    gains = intake.gains
    if options.json:
        print(json.dumps({"file": str(source), "cache": str(cache), **gains.row()}, ensure_ascii=False, indent=2))
    elif not options.quiet:
        print(f"{source} → {cache}: {text(gains)}")
    if gains.incomplete:
        print(f"distill-build: {incomplete(gains, str(source))}", file=sys.stderr)
        return StorageError.exit_code
    return 0


@contextmanager
def cache_to_fill(cache: Path) -> Iterator[Store]:
    """The store at `cache`, which is made where there is none, and is not cleaned meanwhile."""
    CacheDirectory(cache).prepare()  # what is not there cannot be marked as in use
    waiting = f"waiting for the cleaning of {cache}"
    # The store is opened last: whoever cleans may put another database in its place.
    with in_use(cache, lambda: print(waiting, file=sys.stderr)), closing(Store(cache)) as store:
        yield store


def _kept(intake: Intake) -> str:
    """What was taken before a bundle broke off."""
    intake.flush()
    if not intake.gains.seen_calls:
        return "Nothing was taken"
    return f"{number_of(intake.gains.seen_calls, 'calls')} before that place were whole and were taken, but no version"


def text(gains: Gains) -> str:
    """What is new, for people, with what it had cost."""
    calls, versions = number_of(gains.seen_calls, "calls"), number_of(gains.seen_versions, "versions")
    if not (gains.responses or gains.objects or gains.versions):
        return f"nothing new, {calls} and {versions} are here already"
    new = f"{number_of(gains.calls, 'new calls')} with {number_of(gains.responses, 'new responses')}"
    return f"{new}, {number_of(gains.versions, 'new versions')}{_cost(gains)}"


def _cost(gains: Gains) -> str:
    if not gains.responses:
        return ""
    if gains.unpriced == gains.responses:
        return f"; they took {tokens(gains.tokens)} tokens"
    but = f" ({gains.unpriced:,} of them without a price)" if gains.unpriced else ""
    return f"; they had cost {money(gains.usd)}{but} and {tokens(gains.tokens)} tokens"


def incomplete(gains: Gains, whence: str) -> str:
    """The sentence for versions that were not taken."""
    names = ", ".join(version[:12] for version in gains.incomplete)
    return f"{whence} does not hold all that these versions are made of, so they were not taken: {names}"


@contextmanager
def _opened(source: Path) -> Iterator[BufferedReader]:
    try:
        file = source.open("rb")
    except OSError as error:
        raise UsageError(f"{source} cannot be read: {error.strerror}; name a file that cache export wrote") from error
    with file:
        yield file
