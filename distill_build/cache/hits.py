"""Which items of which datasets something damaged belongs to, read from the versions that name it."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import TypeVar

import msgspec

from distill_build.artefact_rows import Called, TagRow
from distill_build.cache.findings import Hit
from distill_build.cache.roots import Records
from distill_build.errors import CorruptEntryError
from distill_build.records import Source, short
from distill_build.stages.used_responses import sources_of
from distill_build.versions.archive import Archive, Version
from distill_build.versions.snapshot import chunks_of, lines_of

Row = TypeVar("Row")
Place = tuple[str, str, str]
"""What is damaged, a dataset's name, and an item."""


def call_hits(archive: Archive, records: Records, keys: set[str]) -> tuple[list[Hit], list[str]]:
    """The items that were read from the calls `keys`, newest versions first, and the versions that cannot be read."""
    found: dict[Place, Hit] = {}
    unreadable = []
    for version in reversed(records.values()):
        try:
            for hit in _hits_in(archive, version, keys):
                _add(found, hit)
        except CorruptEntryError:
            unreadable.append(f"{version.name} {short(version.version)}")
    return list(found.values()), unreadable


def object_hits(archive: Archive, records: Records, digests: set[str]) -> list[Hit]:
    """The versions and files that the objects `digests` are a piece of, newest versions first."""
    found: dict[Place, Hit] = {}
    for version in reversed(records.values()):
        for recipe in digests.intersection(version.recipes):
            _add(found, Hit(recipe, "", version.name, version.version, (), "settings and prompts", 1))
        for name, snapshot in version.files.items():
            try:
                pieces = {snapshot.chunks, *chunks_of(archive.objects, snapshot)}
            except CorruptEntryError:
                pieces = {snapshot.chunks}
            for digest in pieces & digests:
                _add(found, Hit(digest, "", version.name, version.version, (), name, 1))
    return list(found.values())


def _add(found: dict[Place, Hit], hit: Hit) -> None:
    """Counts an item once for each dataset, under the newest version that holds it."""
    place = (hit.damage, hit.dataset, hit.item)
    known = found.get(place)
    found[place] = hit if known is None else replace(known, versions=known.versions + 1)


def named_responses(archive: Archive, records: Records) -> Iterator[tuple[Version, set[Source]]]:
    """Each version that can be read, newest first, with the responses that it names."""
    for version in reversed(records.values()):
        with suppress(CorruptEntryError):
            yield version, {source for row in sources_of(archive, version) for source in row.responses}


def _hits_in(archive: Archive, version: Version, keys: set[str]) -> Iterator[Hit]:
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
                        yield Hit(key, shape.name, version.name, version.version, path, row.id, 1)
        elif shape.kind == "map":
            for made in _rows(archive, version, shape.file, Called):
                if made.call in keys:
                    yield Hit(made.call, shape.name, version.name, version.version, made.path, made.id, 1)


def _rows(archive: Archive, version: Version, name: str, kind: type[Row]) -> Iterator[Row]:
    snapshot = version.files.get(name)
    return map(msgspec.json.Decoder(kind).decode, lines_of(archive.objects, snapshot)) if snapshot else iter(())
