"""A cache while a verb of `cache` carries it elsewhere, or fills it from there: nobody cleans it meanwhile."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

from distill_build.cache.intake import Intake
from distill_build.cache.selection import Holdings
from distill_build.commands.cache_selection import selected
from distill_build.commands.notes import notes
from distill_build.engine.cache_directory import CacheDirectory
from distill_build.engine.lock import in_use
from distill_build.engine.reading import ReadOnlyStore
from distill_build.engine.store import Store
from distill_build.options import Options
from distill_build.versions.archive import Archive


@contextmanager
def cache_to_carry(options: Options, cache: Path, version: str | None = None) -> Iterator[Holdings]:
    """What `options` and `version` select of the cache at `cache`."""
    with _spared(options, cache), closing(ReadOnlyStore(cache)) as store:
        yield Holdings(selected(options, cache, version), store, Archive(cache))


@contextmanager
def cache_to_fill(options: Options, cache: Path) -> Iterator[tuple[Store, Intake]]:
    """The store at `cache`, which is made where there is none, and what takes records into it."""
    CacheDirectory(cache).prepare()  # what is not there cannot be marked as in use
    # The store is opened last: whoever cleans may put another database in its place.
    with _spared(options, cache), closing(Store(cache)) as store, Intake(cache, store) as intake:
        yield store, intake


def _spared(options: Options, cache: Path) -> AbstractContextManager[None]:
    return in_use(cache, notes(quiet=options.quiet))
