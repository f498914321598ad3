"""What a cache holds: calls and what they cost, what needs them, datasets and versions. Reads every entry once."""

from dataclasses import dataclass, field
from pathlib import Path

from distill_build.cache.figures import Figures
from distill_build.cache.places import Occupied, occupied
from distill_build.cache.roots import Reached, is_there, reach, read_records
from distill_build.engine.reading import ReadOnlyStore
from distill_build.errors import CorruptEntryError, StorageError
from distill_build.versions.archive import Archive, Root


@dataclass(slots=True)
class Inventory:
    """`damaged` entries cannot be read back and are in no figures.

    `reached` are the calls that a version or an unfinished build needs, `unreached` all others; where damage hides
    which they are, both are empty and `trouble` says why. `versions` are all there are, `imported` those of them that
    no folder here has built. `objects` counts the pieces that versions are made of, `unused` those of no version.
    """

    entries: int
    occupied: Occupied
    damaged: int = 0
    all: Figures = field(default_factory=Figures)
    reached: Figures = field(default_factory=Figures)
    unreached: Figures = field(default_factory=Figures)
    roots: list[Root] = field(default_factory=list)
    versions: int = 0
    imported: int = 0
    objects: int = 0
    unused: int = 0
    trouble: str | None = None


def take_inventory(directory: Path) -> Inventory:
    """Adds up the cache in `directory`. Raises StorageError where its responses cannot be read."""
    store = ReadOnlyStore(directory)
    try:
        entries, _ = store.size()
        found = Inventory(entries, occupied(directory))
        reached = _look_at_versions(Archive(directory), found)
        for key in store.keys():  # noqa: SIM118 - a store is no mapping
            try:
                entry = store.get(key)
            except CorruptEntryError:
                found.damaged += 1
                continue
            if entry is not None:
                found.all.add(entry)
                if reached is not None:
                    (found.reached if key in reached.calls else found.unreached).add(entry)
        return found
    finally:
        store.close()


def _look_at_versions(archive: Archive, found: Inventory) -> Reached | None:
    """Counts versions and objects; what they reach, None where damage hides it."""
    objects = set(archive.objects)
    digests = archive.record_digests()
    found.objects, found.versions = len(objects), len(digests)
    try:
        found.roots = archive.all_roots()
        built = {digest for root in found.roots if is_there(root) for digest in root.versions}
        found.imported = len(set(digests) - built)
        records = read_records(archive)
        reached = reach(archive, records, records)
    except StorageError as error:
        found.trouble = str(error)
        return None
    found.unused = len(objects - reached.objects)
    return reached
