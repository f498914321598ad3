"""What may come into a cache from outside: calls, objects and versions whose every digest is what it says.

Bundles and remotes may have been written by anybody. So nothing of them is believed that was not hashed here, and what
has the right digests must have the right shape too, or a later build would trip over it.
"""

import re
from collections.abc import Iterator
from hashlib import sha256
from pathlib import PurePosixPath

import msgspec

from distill_build.engine.entry import Attempt, Entry, decode, response_digest
from distill_build.engine.manifest import digest
from distill_build.engine.objects import Objects
from distill_build.errors import CorruptEntryError, StorageError
from distill_build.stages.dataset import version_of
from distill_build.versions.archive import Version, decode_record
from distill_build.versions.snapshot import chunks_of

DIGEST = re.compile(r"[0-9a-f]{64}")


def admitted_call(key: str, stored: object) -> Entry:
    """The entry behind its stored form: its checksum, its key and the digest of each response are right.

    Raises CorruptEntryError where anything is not.
    """
    try:
        entry = decode(key, stored)
        sound = digest(entry.manifest) == key and _well_formed(entry)
    except CorruptEntryError:
        raise
    except (StorageError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise CorruptEntryError(f"call {key[:12]} cannot be taken: {_reason(error)}") from error
    if not sound:
        raise CorruptEntryError(f"call {key[:12]} cannot be taken: its content is not what its digests say")
    return entry


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, StorageError) else "it is no stored call"


def _well_formed(entry: Entry) -> bool:
    manifest, place = entry.manifest, 0 if entry.accepted is None else entry.accepted.place
    return (
        isinstance(manifest, dict)
        and isinstance(manifest.get("stage"), str)
        and isinstance(manifest.get("body"), dict)
        and type(place) is int
        and 0 <= place < len(entry.attempts)  # so there is an attempt, whether one is accepted or not
        and all(map(_is_whole, entry.attempts))
    )


def _is_whole(attempt: Attempt) -> bool:
    return (
        type(attempt.index) is int
        and isinstance(attempt.seconds, int | float)
        and isinstance(attempt.at, str)
        and isinstance(attempt.usd, int | float | None)
        and attempt.digest == response_digest(attempt.response)
    )


def admitted_object(name: str, data: bytes) -> bytes:
    """The bytes of an object. Raises CorruptEntryError where they are not those it is named by."""
    if sha256(data).hexdigest() != name:
        raise CorruptEntryError(f"object {name[:12]} cannot be taken: its content is not what its digest says")
    return data


def admitted_version(name: str, data: bytes) -> Version:
    """The version behind its record. Raises CorruptEntryError where a digest is wrong, or a file lies elsewhere."""
    try:
        version = decode_record(name, data)
    except CorruptEntryError:
        raise
    except (StorageError, msgspec.DecodeError) as error:
        raise CorruptEntryError(f"version record {name[:12]} cannot be taken: {error}") from error
    if version.version != version_of({name: file.sha256 for name, file in version.files.items()}):
        raise CorruptEntryError(f"version record {name[:12]} cannot be taken: its files are not those of its version")
    outside = [name for name in version.files if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts]
    if outside:
        raise CorruptEntryError(f"version record {name[:12]} cannot be taken: {outside[0]} is no file of a dataset")
    return version


def objects_of(objects: Objects, version: Version) -> Iterator[str]:
    """The digests of all objects that a version is made of. Raises CorruptEntryError where a list of them is not."""
    yield _checked(version.recipe, version)
    for file in version.files.values():
        yield _checked(file.chunks, version)
        try:
            chunks = chunks_of(objects, file)
        except msgspec.DecodeError as error:
            raise CorruptEntryError(f"version {version.version[:12]} has a list of chunks that is none") from error
        for chunk in chunks:
            yield _checked(chunk, version)


def _checked(name: str, version: Version) -> str:
    """A digest, which is about to be a file's name."""
    if not DIGEST.fullmatch(name):
        raise CorruptEntryError(f"version {version.version[:12]} names an object by what is no digest")
    return name


def intact(objects: Objects, name: str) -> bool:
    """Whether an object is there and is what its name says."""
    try:
        objects.get(name)
    except CorruptEntryError:
        return False
    return True
