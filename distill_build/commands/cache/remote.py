"""`cache push URL`: sends what a remote lacks. `cache pull URL`: fetches what it has and the cache lacks."""

from distill_build.cache.transfer.exchange import Pull, Push, Sent
from distill_build.cache.transfer.packs import read_indexes
from distill_build.cache.transfer.remote import Remote, is_path
from distill_build.commands.cache.access import cache_to_carry, cache_to_fill, gains_text, incomplete_text
from distill_build.commands.locate import find_cache, place_for_cache
from distill_build.console import watched
from distill_build.console.notes import say
from distill_build.console.page import print_document, print_lines
from distill_build.console.words import volume
from distill_build.errors import StorageError
from distill_build.options import Options
from distill_build.project import from_cwd
from distill_build.records import number_of
from distill_build.versions.archive import Archive


def push(options: Options) -> int:
    """Sends. Returns 5 where something that was wanted is damaged or gone, here or there."""
    cache, remote = find_cache(options), _remote(options)
    with cache_to_carry(options, cache) as holdings:
        with watched(lambda: f"looking at {remote.shown}", quiet=options.quiet):
            pushing = Push(holdings, remote, read_indexes(remote))
        with watched(
            lambda: f"{_volume(pushing.sent)} sent of {number_of(pushing.sent.seen_calls, 'calls')}",
            quiet=options.quiet,
        ):
            sent = pushing.run()
    troubles = sorted(pushing.indexes.damaged.values())
    if holdings.losses:
        troubles.append(holdings.losses.sentence(f"{cache} is sent"))
    if options.json:
        print_document({"remote": remote.shown, **sent.row(), "troubles": troubles})
    elif not options.quiet:
        print_lines([f"{cache} → {remote.shown}: {_text(sent)}"])
    for trouble in troubles:
        say(trouble)
    return StorageError.exit_code if troubles else 0


def _remote(options: Options) -> Remote:
    address = options.arguments[1]
    return Remote(from_cwd(address) if is_path(address) else address)


def _text(sent: Sent) -> str:
    if not sent.packs:
        calls, versions = number_of(sent.seen_calls, "calls"), number_of(sent.seen_versions, "versions")
        return f"nothing to send, {calls} and {versions} are there already"
    what = f"{number_of(sent.calls, 'calls')} and {number_of(sent.versions, 'versions')}"
    return f"{what} sent, {_volume(sent)}"


def _volume(sent: Sent) -> str:
    return f"{volume(sent.size)} in {number_of(sent.packs, 'packs')}"


def pull(options: Options) -> int:
    """Fetches. Returns 5 where an object there is damaged; the rest is fetched all the same."""
    cache, remote = place_for_cache(options), _remote(options)
    with watched(lambda: f"looking at {remote.shown}", quiet=options.quiet):
        indexes = read_indexes(remote)
    if indexes.is_empty():
        raise StorageError(
            f"there is nothing at {remote.shown}, or no such place: `distill-build cache push` sends a cache there"
        )
    with cache_to_fill(options, cache) as (store, importer):
        pulling = Pull(remote, indexes, store, Archive(cache), importer)
        with watched(lambda: f"{_fetched(pulling)} fetched, {pulling.ahead:,} to go", quiet=options.quiet):
            pulling.run()
    gains, troubles = importer.gains, list(pulling.damaged)
    if gains.incomplete:
        troubles.append(incomplete_text(gains, remote.shown))
    if options.json:
        figures = {"packs": pulling.packs, "bytes": pulling.size, "troubles": troubles}
        document = {"remote": remote.shown, "cache": str(cache), **gains.row(), **figures}
        print_document(document)
    elif not options.quiet:
        fetched = f" ({_fetched(pulling)})" if pulling.packs else ""
        print_lines([f"{remote.shown} → {cache}: {gains_text(gains, whole=not troubles)}{fetched}"])
    for trouble in troubles:
        say(trouble)
    return StorageError.exit_code if troubles else 0


def _fetched(pulling: Pull) -> str:
    return f"{volume(pulling.size)} in {number_of(pulling.packs, 'packs')}"
