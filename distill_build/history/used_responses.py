"""The responses that kept versions were read from."""

from collections.abc import Iterator

import msgspec

from distill_build.dataset.layout import SOURCES
from distill_build.dataset.rows import SourcesRow
from distill_build.errors import CorruptEntryError
from distill_build.records import short
from distill_build.versions.archive import Archive, Version
from distill_build.versions.snapshot import chunks_of


class Sources(msgspec.Struct, frozen=True):
    """The responses behind several versions.

    What they share is read once: a history of hundreds costs little more than the largest of them, and what changed.
    """

    archive: Archive
    _seen: set[str] = msgspec.field(default_factory=set)

    def of(self, version: Version) -> Iterator[SourcesRow]:
        """The rows of a version that no version before it had. Raises CorruptEntryError where it is damaged or gone."""
        objects, decoder = self.archive.objects, msgspec.json.Decoder(SourcesRow)
        if SOURCES not in version.files:
            return
        try:
            for chunk in chunks_of(objects, version.files[SOURCES]):
                if chunk not in self._seen:
                    yield from map(decoder.decode, objects.get(chunk).splitlines())
                    self._seen.add(chunk)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise CorruptEntryError(f"version {short(version.version)} has no readable {SOURCES}: {error}") from error


def sources_of(archive: Archive, version: Version) -> Iterator[SourcesRow]:
    """The responses behind a version, by tag. Raises CorruptEntryError where that is damaged or gone."""
    return Sources(archive).of(version)
