"""Whether the objects in a cache give what a version's record says: its files to the byte, settings, and sources.

Every object may be what it is named by, and the version still none: whoever wrote the record chose the objects.
"""

import hashlib
from typing import Annotated

import msgspec

from distill_build.artefact_rows import SourcesRow
from distill_build.cache.admission import objects_of
from distill_build.engine.objects import Objects
from distill_build.errors import CorruptEntryError
from distill_build.records import short
from distill_build.stages.dataset import SOURCES
from distill_build.versions.archive import Version
from distill_build.versions.snapshot import FileSnapshot, chunks_of


class _Export(msgspec.Struct):
    formats: list[str]
    reasoning: Annotated[str, msgspec.Meta(pattern=r"\A(think|field|drop)\Z")]
    metadata: bool
    system_prompt: str | None


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
