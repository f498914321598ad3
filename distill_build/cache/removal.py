"""Carries out what `cache.collection` decided, so that a kill at any moment leaves a whole cache.

Versions go first, then responses, then objects: nothing that is left refers to anything that is gone, and the next gc
finds the rest. The caller holds the cache for itself.
"""

from pathlib import Path

from distill_build.cache.collection import Collection
from distill_build.cache.places import occupied
from distill_build.engine.store import Store
from distill_build.versions.archive import Archive

BATCH = 100
"""Responses that are removed in one transaction."""


def carry_out(found: Collection, directory: Path) -> None:
    """Removes what was found in the cache at `directory`. Raises StorageError or OSError where it cannot.

    Where more calls had to go for --max-size than could be said before, `found.enough` is moved on.
    """
    archive = Archive(directory)
    archive.remove(found.versions)
    if found.chosen:
        _remove_calls(found, directory)
    for digest in found.objects:
        archive.objects.place(digest).unlink(missing_ok=True)
    for path in (*found.files, *found.roots):
        path.unlink(missing_ok=True)


def _remove_calls(found: Collection, directory: Path) -> None:
    keys = [call.key for call in found.calls]
    store = Store(directory)
    try:
        for start in range(0, found.enough, BATCH):
            store.remove(keys[start : min(start + BATCH, found.enough)])
        while found.enough < len(keys) and _exceeds(found, directory, store):
            store.remove(keys[found.enough : found.enough + BATCH])
            found.enough = min(found.enough + BATCH, len(keys))
    finally:
        store.close()  # the last one to close gives the space back to the file system


def _exceeds(found: Collection, directory: Path, store: Store) -> bool:
    """Whether the cache is still larger than it may be, without the files that are about to go."""
    _, database = store.size()
    there = occupied(directory)
    files = sum(path.stat().st_size for path in found.files if path.exists())
    objects = [Archive(directory).objects.place(digest) for digest in found.objects]
    files += sum(path.stat().st_size for path in objects if path.exists())
    return found.max_bytes is not None and database + there.objects + there.other - files > found.max_bytes
