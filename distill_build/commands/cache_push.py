"""`cache push URL`: sends what a remote lacks."""

import json

from distill_build.cache.indexes import read_indexes
from distill_build.cache.pushing import Push, Sent
from distill_build.cache.remote import Remote
from distill_build.commands.cache_access import cache_to_carry
from distill_build.commands.columns import volume
from distill_build.commands.locate import find_cache
from distill_build.commands.notes import say
from distill_build.console import watched
from distill_build.console.page import print_lines
from distill_build.errors import StorageError
from distill_build.options import Options
from distill_build.records import number_of


def run(options: Options) -> int:
    """Sends. Returns 5 where something that was wanted is damaged or gone, here or there."""
    cache, remote = find_cache(options), Remote(options.arguments[1])
    with cache_to_carry(options, cache) as holdings:
        with watched(lambda: f"looking at {remote.shown}", quiet=options.quiet):
            push = Push(holdings, remote, read_indexes(remote))
        with watched(
            lambda: f"{_volume(push.sent)} sent of {number_of(push.sent.seen_calls, 'calls')}", quiet=options.quiet
        ):
            sent = push.run()
    troubles = sorted(push.indexes.damaged.values())
    if holdings.losses:
        troubles.append(holdings.losses.sentence(f"{cache} is sent"))
    if options.json:
        print(json.dumps({"remote": remote.shown, **sent.row(), "troubles": troubles}, ensure_ascii=False, indent=2))
    elif not options.quiet:
        print_lines([f"{cache} → {remote.shown}: {_text(sent)}"])
    for trouble in troubles:
        say(trouble)
    return StorageError.exit_code if troubles else 0


def _text(sent: Sent) -> str:
    if not sent.packs:
        calls, versions = number_of(sent.seen_calls, "calls"), number_of(sent.seen_versions, "versions")
        return f"nothing to send, {calls} and {versions} are there already"
    what = f"{number_of(sent.calls, 'calls')} and {number_of(sent.versions, 'versions')}"
    return f"{what} sent, {_volume(sent)}"


def _volume(sent: Sent) -> str:
    return f"{volume(sent.size)} in {number_of(sent.packs, 'packs')}"
