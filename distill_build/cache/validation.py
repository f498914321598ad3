"""What may come into a cache from outside: calls, objects and versions whose every digest is what it says.

Bundles and remotes may have been written by anybody. So nothing of them is believed that was not hashed here, and what
has the right digests must have the right shape too, or a later build would trip over it. Every object may be what it
is named by, and the version still none, since whoever wrote the record chose the objects: so these have to give what
the record says, its files to the byte, settings, and sources.
"""

import hashlib
import math
import re
from collections.abc import Iterator
from datetime import datetime
from hashlib import sha256
from typing import Annotated

import msgspec

from distill_build.dataset.layout import NO_ARTEFACTS, SOURCES, is_artefact, version_of
from distill_build.dataset.rows import SourcesRow
from distill_build.engine.entry import Attempt, Entry, decode, response_digest
from distill_build.engine.manifest import digest
from distill_build.engine.objects import Objects
from distill_build.errors import CorruptEntryError, StorageError
from distill_build.graph import END
from distill_build.records import JsonObject, short
from distill_build.settings import TrainerName
from distill_build.versions.archive import Version, decode_record
from distill_build.versions.snapshot import FileSnapshot, chunks_of

DIGEST = re.compile(r"[0-9a-f]{64}")
NO_CALL = "it is no stored call"
YEARS = range(1970, 9999)
"""Of times that can be told in any time zone."""


def validated_call(key: str, stored: object) -> Entry:
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


def validated_object(name: str, data: bytes) -> bytes:
    """The bytes of an object. Raises CorruptEntryError where they are not those it is named by."""
    if sha256(data).hexdigest() != name:
        raise CorruptEntryError(f"object {name[:12]} cannot be taken: its content is not what its digest says")
    return data


def validated_version(name: str, data: bytes) -> Version:
    """The version behind its record. Raises CorruptEntryError where a digest is wrong, or it says what cannot be.

    Whether its objects give what it says is another question: see `Wholeness`.
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


class _Export(msgspec.Struct):
    formats: list[str]
    reasoning: Annotated[str, msgspec.Meta(pattern=r"\A(think|field|drop|auto)\Z")]
    metadata: bool
    system_prompt: str | None
    rows: JsonObject
    csv_bom: bool = False
    margin: float = 1
    trainers: list[TrainerName] = []
    max_length: int = 2048
    student: str = ""
    turns: Annotated[str, msgspec.Meta(pattern=r"\A(dialogue|each)\Z")] = "dialogue"
    kd_tokenizer: str | None = None
    kd_student: str | None = None
    kd_trainer: Annotated[str, msgspec.Meta(pattern=r"\A(distillkit|axolotl)\Z")] = "distillkit"
    kd_length: int | None = None


class _Recipe(msgspec.Struct):
    """What checkout reads of a version's settings; the others are only shown and compared."""

    export: _Export


class Wholeness:
    """Looks at versions, each file once however many of them have it, in memory for one chunk."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._whole: set[tuple[str, FileSnapshot]] = set()

    def check(self, version: Version) -> None:
        """Raises CorruptEntryError where an object is gone or damaged, or they do not give what the record says."""
        for _ in objects_of(self._objects, version):  # all are digests, before one of them is a file's name
            pass
        try:
            for recipe in version.recipes:
                msgspec.json.decode(self._objects.get(recipe), type=_Recipe)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise _unlike(version, f"its settings cannot be read ({error})") from error
        for name, file in version.files.items():
            if (name, file) not in self._whole:
                self._check_file(version, name, file)
                self._whole.add((name, file))

    def _check_file(self, version: Version, name: str, file: FileSnapshot) -> None:
        whole, size, ends, last = hashlib.sha256(), 0, 0, b"\n"
        for chunk in chunks_of(self._objects, file):
            data = self._objects.get(chunk)
            whole.update(data)
            size += len(data)
            ends += data.count(b"\n")
            last = data[-1:] or last
            if name == SOURCES:
                _check_sources(version, data)
        if (whole.hexdigest(), size, ends + (last != b"\n")) != (file.sha256, file.bytes, file.lines):
            raise _unlike(version, f"its chunks do not give its {name}")


def _check_sources(version: Version, data: bytes) -> None:
    try:
        for line in data.splitlines():  # as they are read back
            _SOURCES_ROW.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _unlike(version, f"a line of its {SOURCES} cannot be read ({error})") from error


_SOURCES_ROW = msgspec.json.Decoder(SourcesRow)


def _unlike(version: Version, reason: str) -> CorruptEntryError:
    return CorruptEntryError(
        f"version {short(version.version)} of {version.name} is not what its record says: {reason}"
    )
