"""What may come into a cache from outside: calls, objects and versions whose every digest is what it says.

Bundles and remotes may have been written by anybody. So nothing of them is believed that was not hashed here, and what
has the right digests must have the right shape too, or a later build would trip over it.
"""

import math
import re
from collections.abc import Iterator
from datetime import datetime
from hashlib import sha256

import msgspec

from distill_build.engine.entry import Attempt, Entry, decode, response_digest
from distill_build.engine.manifest import digest
from distill_build.engine.objects import Objects
from distill_build.errors import CorruptEntryError, StorageError
from distill_build.graph import END
from distill_build.records import short
from distill_build.stages.dataset import NO_ARTEFACTS, SOURCES, is_artefact, version_of
from distill_build.versions.archive import Version, decode_record
from distill_build.versions.snapshot import chunks_of

DIGEST = re.compile(r"[0-9a-f]{64}")
NO_CALL = "it is no stored call"
YEARS = range(1970, 9999)
"""Of times that can be told in any time zone."""


def admitted_call(key: str, stored: object) -> Entry:
    """The entry behind its stored form: its checksum, its key and the digest of each response are right.

    Raises CorruptEntryError where anything is not.
    """
    try:
        entry = decode(key, stored)
        formed = _well_formed(entry)
        sound = formed and digest(entry.manifest) == key and all(map(_is_named, entry.attempts))
    except CorruptEntryError:
        raise
    except (StorageError, KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise CorruptEntryError(f"call {key[:12]} cannot be taken: {_reason(error)}") from error
    if not sound:
        reason = "its content is not what its digests say" if formed else NO_CALL
        raise CorruptEntryError(f"call {key[:12]} cannot be taken: {reason}")
    return entry


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, StorageError) else NO_CALL


def _well_formed(entry: Entry) -> bool:
    manifest, place = entry.manifest, 0 if entry.accepted is None else entry.accepted.place
    return (
        isinstance(manifest, dict)
        and isinstance(manifest.get("stage"), str)
        and isinstance(body := manifest.get("body"), dict)
        and isinstance(body.get("model"), str)
        and type(place) is int
        and 0 <= place < len(entry.attempts)  # so there is an attempt, whether one is accepted or not
        and all(map(_is_formed, entry.attempts))
    )


def _is_formed(attempt: Attempt) -> bool:
    return (
        type(attempt.index) is int
        and _is_number(attempt.seconds)
        and _is_time(attempt.at)
        and (attempt.usd is None or _is_number(attempt.usd))
    )


def _is_named(attempt: Attempt) -> bool:
    return attempt.digest == response_digest(attempt.response)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _is_time(at: object) -> bool:
    """Whether this is ISO 8601, as entries and versions hold it. Raises ValueError where it is another text."""
    return isinstance(at, str) and datetime.fromisoformat(at).year in YEARS


def admitted_object(name: str, data: bytes) -> bytes:
    """The bytes of an object. Raises CorruptEntryError where they are not those it is named by."""
    if sha256(data).hexdigest() != name:
        raise CorruptEntryError(f"object {name[:12]} cannot be taken: its content is not what its digest says")
    return data


def admitted_version(name: str, data: bytes) -> Version:
    """The version behind its record. Raises CorruptEntryError where a digest is wrong, or it says what cannot be.

    Whether its objects give what it says is another question: see `cache.wholeness`.
    """
    try:
        version = decode_record(name, data)
    except CorruptEntryError:
        raise
    except (StorageError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise CorruptEntryError(f"version record {name[:12]} cannot be taken: {error}") from error
    if version.version != version_of({name: file.sha256 for name, file in version.files.items()}):
        raise CorruptEntryError(f"version record {name[:12]} cannot be taken: its files are not those of its version")
    if complaint := _complaint(version):
        raise CorruptEntryError(f"version record {name[:12]} cannot be taken: {complaint}")
    return version


def _complaint(version: Version) -> str | None:
    """What a later command would trip over."""
    try:
        graph = version.graph
    except StorageError as error:
        return str(error)
    if reserved := [name for name in graph.files if not is_artefact(name)]:
        return f"no stage can have the file {reserved[0]}"
    if foreign := version.files.keys() - {*graph.files, *NO_ARTEFACTS, SOURCES}:
        return f"{min(foreign)!r} is no file of a dataset with these stages"
    try:
        in_time = _is_time(version.at)
    except ValueError:
        in_time = False
    if not in_time:
        return f"{version.at!r} is no time"
    others = [version.origin, *([version.predecessor.version] if version.predecessor is not None else [])]
    if not all(each == "" or DIGEST.fullmatch(each) for each in others):
        return "it names another version by what is no digest"
    if version.until not in (*graph.names, END) or not version.counts.keys() >= set(graph.names):
        return "it does not say how far it reaches, or how many items it has"
    lacking = [name for name in graph.up_to(version.until).files if name not in version.files]
    return f"it is to reach {version.until}, and has no {lacking[0]}" if lacking else None


def objects_of(objects: Objects, version: Version) -> Iterator[str]:
    """The digests of all objects that a version is made of. Raises CorruptEntryError where a list of them is not."""
    for recipe in version.recipes:
        yield _checked(recipe, version)
    for file in version.files.values():
        yield _checked(file.chunks, version)
        for chunk in chunks_of(objects, file):
            yield _checked(chunk, version)


def _checked(name: str, version: Version) -> str:
    """A digest, which is about to be a file's name."""
    if not DIGEST.fullmatch(name):
        raise CorruptEntryError(f"version {short(version.version)} names an object by what is no digest")
    return name


def intact(objects: Objects, name: str) -> bool:
    """Whether an object is there and is what its name says."""
    try:
        objects.get(name)
    except CorruptEntryError:
        return False
    return True
