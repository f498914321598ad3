"""The responses that a kept version was read from."""

from collections.abc import Iterator

import msgspec

from distill_build.artefact_rows import SourcesRow
from distill_build.errors import CorruptEntryError
from distill_build.records import short
from distill_build.stages.dataset import SOURCES
from distill_build.versions.archive import Archive, Version
from distill_build.versions.snapshot import lines_of


def sources_of(archive: Archive, version: Version) -> Iterator[SourcesRow]:
    """The responses behind a version, by tag. Raises CorruptEntryError where that is damaged or gone."""
    if SOURCES not in version.files:
        return
    try:
        yield from map(msgspec.json.Decoder(SourcesRow).decode, lines_of(archive.objects, version.files[SOURCES]))
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise CorruptEntryError(f"version {short(version.version)} has no readable {SOURCES}: {error}") from error
