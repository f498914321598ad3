"""Carries out what `cache.collection` decided, so that a kill at any moment leaves a whole cache.

Versions go first, then responses, then objects: nothing that is left refers to anything that is gone, and the next gc
finds the rest. The caller holds the cache for itself.
"""

from itertools import accumulate, takewhile
from pathlib import Path

from distill_build.cache.collection import Collection
from distill_build.cache.places import occupied, size_of
from distill_build.engine.store import Store
from distill_build.versions.archive import Archive

BATCH = 100
"""Responses that are removed in one transaction."""


def carry_out(found: Collection, directory: Path) -> None:
    """Removes what was found in the cache at `directory`. Raises StorageError or OSError where it cannot.

    What calls really take is known when they are gone: `found.enough` is then how many had to go for --max-size.
    """
    archive = Archive(directory)
    archive.remove(found.versions)
    going = [*map(archive.objects.place, found.objects), *found.files]
    if found.calls:
        there = occupied(directory)
        _remove_calls(found, directory, there.objects + there.other - sum(map(size_of, going)))
    for path in (*going, *found.roots):
        path.unlink(missing_ok=True)


def _remove_calls(found: Collection, directory: Path, beside: int) -> None:
    """Removes calls, the oldest first, until the cache is small enough; `beside` are its bytes without the database."""
    store = Store(directory)
    removed = 0
    try:
        while removed < len(found.calls) and (excess := _excess(found, store.size()[1] + beside)) > 0:
            keys = _next(found, removed, excess)
            store.remove(keys)
            removed += len(keys)
    finally:
        found.enough = removed
        store.close()  # the last one to close gives the space back to the file system


def _excess(found: Collection, size: int) -> float:
    return float("inf") if found.max_bytes is None else size - found.max_bytes


def _next(found: Collection, removed: int, excess: float) -> list[str]:
    """The calls to remove next: half as many as their own bytes call for, since rows take up to twice of them on disk.

    So the last ones go one by one, and none goes that need not.
    """
    batch = found.calls[removed : removed + BATCH]
    sizes = accumulate(call.bytes for call in batch)
    fit = sum(1 for _ in takewhile(lambda size: size <= excess / 2, sizes))
    return [call.key for call in batch[: max(1, fit)]]
