"""`cache fsck`: rehashes everything in a cache, and puts what is damaged into quarantine.

Nothing is deleted: what is taken from its place has been put aside with all its bytes before. Nothing is believed that
was not hashed here, and nothing is unpickled.
"""

from collections.abc import Mapping
from pathlib import Path

from distill_build.cache.checking_database import Costs, DatabaseCheck
from distill_build.cache.checking_versions import VersionsCheck
from distill_build.cache.findings import Damage, Findings, Lacking
from distill_build.cache.hits import call_hits, named_responses, object_hits
from distill_build.cache.quarantine import Quarantine
from distill_build.cache.rebuilding import end_interrupted
from distill_build.engine.artefacts import JOURNAL, replacing
from distill_build.engine.cache_directory import MARKER, CacheDirectory
from distill_build.engine.manifest import SCHEME
from distill_build.engine.rows import DATABASE
from distill_build.errors import CorruptEntryError
from distill_build.versions.archive import Archive

FINISHED = (
    "a fsck was interrupted while it put a new database in place of a damaged one: the new one is in its place now, "
    "and the damaged one in quarantine"
)
SCHEME_UNKNOWN = (
    f"no call can be read that says which scheme this cache has, so it is taken to be {SCHEME}: calls of another one "
    "are refused one by one"
)
UNFINISHED = "a fsck was interrupted: run it again where the cache can be written, while nothing uses it"


def check(directory: Path, quarantine: Quarantine | None) -> Findings:
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
