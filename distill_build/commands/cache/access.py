"""A cache while a verb of `cache` carries it elsewhere, or fills it from there: nobody cleans it meanwhile.

Says also which part of it the flags and words of `cache export` and `cache push` mean, and what a cache got.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

from distill_build.cache.transfer.importer import Gains, Importer
from distill_build.cache.transfer.selection import Holdings, Selection, of_versions, whole_cache
from distill_build.commands.locate import find_dataset
from distill_build.console.notes import notes
from distill_build.console.words import money, tokens
from distill_build.engine.cache_directory import CacheDirectory
from distill_build.engine.lock import in_use
from distill_build.engine.reading import ReadOnlyStore
from distill_build.engine.store import Store
from distill_build.errors import UsageError
from distill_build.options import Options
from distill_build.records import number_of, short
from distill_build.versions.archive import Archive
from distill_build.versions.names import GIT, LATEST, Names


@contextmanager
def cache_to_carry(options: Options, cache: Path, version: str | None = None) -> Iterator[Holdings]:
    """What `options` and `version` select of the cache at `cache`."""
    with _spared(options, cache), closing(ReadOnlyStore(cache)) as store:
        yield Holdings(selected(options, cache, version), store, Archive(cache))


@contextmanager
def cache_to_fill(options: Options, cache: Path) -> Iterator[tuple[Store, Importer]]:
    """The store at `cache`, which is made where there is none, and what takes records into it."""
    CacheDirectory(cache).prepare()  # what is not there cannot be marked as in use
    # The store is opened last: whoever cleans may put another database in its place.
    with _spared(options, cache), closing(Store(cache)) as store, Importer(cache, store) as importer:
        yield store, importer


def _spared(options: Options, cache: Path) -> AbstractContextManager[None]:
    return in_use(cache, notes(quiet=options.quiet))


def selected(options: Options, cache: Path, version: str | None) -> Selection:
    """The version that is named, else the versions of the dataset named by -o, else the whole cache.

    Raises UsageError for a version or dataset that is not there.
    """
    archive = Archive(cache)
    if version is not None:
        return of_versions(archive, [_names(options, archive, version).version(version)], exact=True)
    if options.dataset is None:
        return whole_cache(archive)
    folder = find_dataset(options).folder
    versions = archive.history(folder, folder.name)
    if not versions:
        raise UsageError(f"{cache} holds no version of {folder}: build it, or take the whole cache without -o")
    return of_versions(archive, versions, exact=False)


def _names(options: Options, archive: Archive, version: str) -> Names:
    """The names of versions; a digest or a path needs no dataset to mean something."""
    if options.dataset is None and not LATEST.fullmatch(version) and not version.startswith(GIT):
        return Names(archive, Path(), "")
    folder = find_dataset(options).folder
    return Names(archive, folder, folder.name)


def gains_text(gains: Gains, *, whole: bool) -> str:
    """What is new, for people, with what it had cost; `whole` says that all which was offered is here now."""
    calls, versions = number_of(gains.seen_calls, "calls"), number_of(gains.seen_versions, "versions")
    if not (gains.responses or gains.objects or gains.versions):
        if not whole or not (gains.seen_calls or gains.seen_versions):
            return "nothing could be taken"
        return f"nothing new, {calls} and {versions} are here already"
    new = f"{number_of(gains.calls, 'new calls')} with {number_of(gains.responses, 'new responses')}"
    return f"{new}, {number_of(gains.versions, 'new versions')}{_cost_of_asking(gains)}"


def _cost_of_asking(gains: Gains) -> str:
    if not gains.responses:
        return ""
    if gains.unpriced == gains.responses:
        return f"; asking took {tokens(gains.tokens)} tokens"
    but = f" ({gains.unpriced:,} of them without a price)" if gains.unpriced else ""
    return f"; asking had cost {money(gains.usd)}{but} and {tokens(gains.tokens)} tokens"


def incomplete_text(gains: Gains, whence: str) -> str:
    """The sentence for versions that were not taken."""
    names = ", ".join(short(version) for version in gains.incomplete)
    return (
        f"{whence} lacks parts of these versions, or holds other parts than their records say: {names}. They were not "
        "taken: bring them from a cache in which `distill-build cache fsck` finds no damage"
    )
