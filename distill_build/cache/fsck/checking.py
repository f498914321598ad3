"""`cache fsck`: rehashes everything in a cache, and puts what is damaged into quarantine.

Nothing is deleted: what is taken from its place has been put aside with all its bytes before. Nothing is believed that
was not hashed here, and nothing is unpickled. Which items something damaged belongs to is read from the versions that
name it.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec.structs import replace

from distill_build.cache.fsck.database import Costs, DatabaseCheck, end_interrupted
from distill_build.cache.fsck.findings import Damage, Findings, Impact, Lacking, Quarantine
from distill_build.cache.fsck.versions import VersionsCheck
from distill_build.cache.gc.roots import Records
from distill_build.dataset.rows import Called, TagRow
from distill_build.engine.artefacts import JOURNAL, replacing
from distill_build.engine.cache_directory import MARKER, CacheDirectory
from distill_build.engine.manifest import SCHEME
from distill_build.engine.rows import DATABASE
from distill_build.errors import CorruptEntryError
from distill_build.history.used_responses import sources_of
from distill_build.records import Source, short
from distill_build.versions.archive import Archive, Version
from distill_build.versions.snapshot import chunks_of, lines_of

T = TypeVar("T")
HitPlace = tuple[str, str, str]
"""What is damaged, a dataset's name, and an item."""


def call_hits(archive: Archive, records: Records, keys: set[str]) -> tuple[list[Impact], list[str]]:
    """The items that were read from the calls `keys`, newest versions first, and the versions that cannot be read."""
    found: dict[HitPlace, Impact] = {}
    unreadable = []
    for version in reversed(records.values()):
        try:
            for hit in _hits_in(archive, version, keys):
                _add(found, hit)
        except CorruptEntryError:
            unreadable.append(f"{version.name} {short(version.version)}")
    return list(found.values()), unreadable


def object_hits(archive: Archive, records: Records, digests: set[str]) -> list[Impact]:
    """The versions and files that the objects `digests` are a piece of, newest versions first."""
    found: dict[HitPlace, Impact] = {}
    for version in reversed(records.values()):
        for recipe in digests.intersection(version.recipes):
            _add(found, Impact(recipe, "", version.name, version.version, (), "settings and prompts", 1))
        for name, snapshot in version.files.items():
            try:
                pieces = {snapshot.chunks, *chunks_of(archive.objects, snapshot)}
            except CorruptEntryError:
                pieces = {snapshot.chunks}
            for digest in pieces & digests:
                _add(found, Impact(digest, "", version.name, version.version, (), name, 1))
    return list(found.values())


def _add(found: dict[HitPlace, Impact], hit: Impact) -> None:
    """Counts an item once for each dataset, under the newest version that holds it."""
    place = (hit.damage, hit.dataset, hit.item)
    known = found.get(place)
    found[place] = hit if known is None else replace(known, versions=known.versions + 1)


def named_responses(archive: Archive, records: Records) -> Iterator[tuple[Version, set[Source]]]:
    """Each version that can be read, newest first, with the responses that it names."""
    for version in reversed(records.values()):
        with suppress(CorruptEntryError):
            yield version, {source for row in sources_of(archive, version) for source in row.responses}


def _hits_in(archive: Archive, version: Version, keys: set[str]) -> Iterator[Impact]:
    rows = [row for row in sources_of(archive, version) if any(key in keys for key, _ in row.responses)]
    if not rows:
        return
    graph, ids = version.graph, {row.id for row in rows}
    paths = {tag.id: tag.path for tag in _rows(archive, version, graph.tree.file, TagRow) if tag.id in ids}
    for shape in graph:
        if shape.kind == "list":
            for row in rows:
                path = paths.get(row.id, (row.id,))  # the topic has no row, and its text for an id
                for key, _ in row.of(shape.name):
                    if key in keys:
                        yield Impact(key, shape.name, version.name, version.version, path, row.id, 1)
        elif shape.kind == "map":
            for made in _rows(archive, version, shape.file, Called):
                if made.call in keys:
                    yield Impact(made.call, shape.name, version.name, version.version, made.path, made.id, 1)


def _rows(archive: Archive, version: Version, name: str, kind: type[T]) -> Iterator[T]:
    snapshot = version.files.get(name)
    return map(msgspec.json.Decoder(kind).decode, lines_of(archive.objects, snapshot)) if snapshot else iter(())


FINISHED = (
    "a fsck was interrupted while it put a new database in place of a damaged one: the new one is in its place now, "
    "and the damaged one in quarantine"
)
SCHEME_UNKNOWN = (
    f"no call can be read that says which scheme this cache has, so it is taken to be {SCHEME}: calls of another one "
    "are refused one by one"
)
UNFINISHED = "a fsck was interrupted: run it again where the cache can be written, while nothing uses it"


def check_cache(directory: Path, quarantine: Quarantine | None) -> Findings:
    """Looks at everything in the cache at `directory`; without a `quarantine` everything stays where it is.

    With one, the caller holds the cache for itself. Raises StorageError for a cache of another scheme, and where
    something cannot be read for a reason but damage.
    """
    findings = Findings()
    _check_marker(directory, quarantine, findings)
    if quarantine is None and replacing(directory):
        findings.damage.append(Damage("database", JOURNAL, UNFINISHED))
    elif quarantine is not None and end_interrupted(directory):
        findings.damage.append(Damage("database", DATABASE, FINISHED))  # what it could not read was not told yet
    versions = VersionsCheck(Archive(directory), quarantine, findings)
    versions.run()
    database = DatabaseCheck(directory, quarantine, findings)
    database.run()
    _find_hits(versions, database, findings)
    return findings


def _check_marker(directory: Path, quarantine: Quarantine | None, findings: Findings) -> None:
    """Looks at the file that says whose folder this is; one that is gone or cannot be read is made anew."""
    place, marker = CacheDirectory(directory), directory / MARKER
    findings.checked["marker"] += 1
    try:
        place.check_ownership()
    except CorruptEntryError:
        if place.scheme_of_calls() is None:
            findings.notes.append(SCHEME_UNKNOWN)
        state = "cannot be read" if marker.exists() else "is gone"
        findings.damage.append(Damage("marker", MARKER, f"{MARKER}, which says whose folder this is, {state}"))
        if quarantine is not None:
            if marker.exists():
                quarantine.copy("marker", marker)
            place.renew_generation()
            findings.restored.add(MARKER)


def _find_hits(versions: VersionsCheck, database: DatabaseCheck, findings: Findings) -> None:
    """Says which items the damage belongs to, and what asking again would cost."""
    archive, records = versions.archive, versions.records
    gone = _look_for_responses(versions, database, findings)
    if findings.of("database"):  # rows are gone without a trace: versions know what there was
        known = {damage.name for damage in findings.of("call")}
        for key in sorted(gone - database.sound - known):
            reason = f"cache entry {key[:12]} is not in what could be read of the database"
            findings.damage.append(Damage("call", key, reason, gone=True))
    objects = {damage.name for damage in findings.of("object")} - findings.restored
    if objects:
        findings.hits += object_hits(archive, records, objects)
    calls = {damage.name for damage in findings.of("call")}
    if calls:
        hits, unreadable = call_hits(archive, records, calls)
        findings.hits += hits
        findings.notes += [
            f"what {version} was read from cannot be told: it is damaged itself" for version in unreadable
        ]
        findings.usd = _price({hit.damage: hit.stage for hit in hits}, database.costs)


def _look_for_responses(versions: VersionsCheck, database: DatabaseCheck, findings: Findings) -> set[str]:
    """Finds the versions that lack responses; returns the keys of these.

    That is no damage to what is here: it was told when it was found, and what is gone stays so, in a version that may
    be an old one. A gc under a policy never does it: what it takes responses from goes as a whole.
    """
    gone: set[str] = set()
    for version, named in named_responses(versions.archive, versions.records):
        if missing := database.lacks(named):
            findings.lacking.append(Lacking(version.name, version.version, len(missing), len(named)))
            gone.update(missing)
    return gone


def _price(stages: Mapping[str, str], costs: Mapping[str, Costs]) -> float | None:
    """About what asking again for calls costs, given their stages, by what others of a stage had cost."""
    means = [costs[stage].mean for stage in stages.values() if stage in costs]
    known = [mean for mean in means if mean is not None]
    return sum(known) if known else None
