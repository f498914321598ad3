"""`cache pull URL`: fetches what a remote has and the cache lacks."""

import json

from distill_build.cache.indexes import read_indexes
from distill_build.cache.pulling import Pull
from distill_build.cache.remote import Remote
from distill_build.commands.cache_access import cache_to_fill
from distill_build.commands.cache_gains import incomplete, text
from distill_build.commands.columns import volume
from distill_build.commands.locate import place_for_cache
from distill_build.commands.notes import say
from distill_build.console import watched
from distill_build.console.page import print_lines
from distill_build.errors import StorageError
from distill_build.options import Options
from distill_build.records import number_of
from distill_build.versions.archive import Archive


def run(options: Options) -> int:
    """Fetches. Returns 5 where an object there is damaged; the rest is fetched all the same."""
    cache, remote = place_for_cache(options), Remote(options.arguments[1])
    with watched(lambda: f"looking at {remote.shown}", quiet=options.quiet):
        indexes = read_indexes(remote)
    if indexes.is_empty():
        raise StorageError(
            f"there is nothing at {remote.shown}, or no such place: `distill-build cache push` sends a cache there"
        )
    with cache_to_fill(options, cache) as (store, intake):
        pull = Pull(remote, indexes, store, Archive(cache), intake)
        with watched(lambda: f"{_fetched(pull)} fetched, {pull.ahead:,} to go", quiet=options.quiet):
            pull.run()
    gains, troubles = intake.gains, list(pull.damaged)
    if gains.incomplete:
        troubles.append(incomplete(gains, remote.shown))
    if options.json:
        figures = {"packs": pull.packs, "bytes": pull.size, "troubles": troubles}
        document = {"remote": remote.shown, "cache": str(cache), **gains.row(), **figures}
        print(json.dumps(document, ensure_ascii=False, indent=2))
    elif not options.quiet:
        fetched = f" ({_fetched(pull)})" if pull.packs else ""
        print_lines([f"{remote.shown} → {cache}: {text(gains, whole=not troubles)}{fetched}"])
    for trouble in troubles:
        say(trouble)
    return StorageError.exit_code if troubles else 0


def _fetched(pull: Pull) -> str:
    return f"{volume(pull.size)} in {number_of(pull.packs, 'packs')}"
