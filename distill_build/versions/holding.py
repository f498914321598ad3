"""Which versions of a dataset hold an item.

A hundred versions of 100,000 answers are not read for one of them. What two versions share is looked at once, and the
rows of every stage stand in the order of their tags, so that the chunks with those of one tag are found by halving.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain

import msgspec

from distill_build.dataset.rows import Placed, content_of
from distill_build.engine.objects import Objects
from distill_build.errors import CorruptEntryError, StorageError
from distill_build.graph import Shape
from distill_build.records import JsonObject, Path
from distill_build.versions.archive import Version
from distill_build.versions.snapshot import FileSnapshot, chunks_of


class Holding(msgspec.Struct, frozen=True):
    """A version with the content that it holds of the item (see `content_of`), None where it has none.

    `damage` says why that cannot be told. `before` counts the versions that are newer.
    """

    version: Version
    before: int
    content: JsonObject | None
    damage: str = ""

    @property
    def name(self) -> str:
        """As a user calls it."""
        return f"latest~{self.before}" if self.before else "latest"


class Sought(msgspec.Struct, frozen=True):
    """What is looked for: an id, the stage that it is of, and its tag: its own id for a tag, None below the topic."""

    stage: Shape
    id: str
    tag: str | None


def holdings(objects: Objects, versions: list[Version], item: Sought) -> Iterator[Holding]:
    """Each of `versions`, newest first, with what it holds of `item`."""
    search = _Search(objects, item)
    for before, version in enumerate(versions):
        try:
            yield Holding(version, before, search.content(version))
        except StorageError as error:
            yield Holding(version, before, None, str(error))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:  # whole, and made by somebody else
            yield Holding(version, before, None, f"it holds a line that is none of a dataset ({error})")


def newest_with(objects: Objects, versions: Iterable[Version], begin: str) -> Version | None:
    """The first of `versions` with a row whose id is, or begins with, `begin`; damaged ones are passed over.

    Where its tag is not known nothing can be halved: each chunk is looked through once, until one has it.
    """
    sought, seen = b'{"id":"' + begin.encode(), set[str]()
    for version in versions:
        with suppress(StorageError):
            stage = version.graph.of_id(begin)
            file = version.files.get(stage.file) if stage is not None else None
            for chunk in chunks_of(objects, file) if file is not None else ():
                if chunk not in seen:
                    seen.add(chunk)
                    data = objects.get(chunk)
                    if data.startswith(sought) or b"\n" + sought in data:
                        return version
    return None


class _Search:
    """What has been seen of chunks and files so far, by their digests."""

    def __init__(self, objects: Objects, item: Sought) -> None:
        self._objects = objects
        self._item = item
        self._begin = b'{"id":' + msgspec.json.encode(item.id) + b","
        self._lines: dict[tuple[str, str], bytes | None] = {}
        self._chunks: dict[str, tuple[Path, bytes | None]] = {}
        self._tags: dict[str, list[tuple[str, Path]]] = {}

    def content(self, version: Version) -> JsonObject | None:
        """What a version holds of the item. Raises StorageError, and what msgspec does, for damage."""
        line = self._line(version)
        return None if line is None else content_of(msgspec.json.decode(line, type=dict))

    def _line(self, version: Version) -> bytes | None:
        """The item's line in a version."""
        names = version.graph.tree.file, self._item.stage.file
        if not version.files.keys() >= set(names):
            return None
        tags, rows = (version.files[name] for name in names)
        key = (tags.chunks, rows.chunks)
        if key not in self._lines:
            self._lines[key] = self._line_in(tags, rows)
        return self._lines[key]

    def _line_in(self, tags: FileSnapshot, rows: FileSnapshot) -> bytes | None:
        chunks = chunks_of(self._objects, rows)
        if rows == tags or self._item.tag is None:
            return self._first(chunks)
        all_tags = list(self._all_tags(tags))
        place = next((place for place, (key, _) in enumerate(all_tags) if key == self._item.tag), None)
        if place is None:
            return None
        order = {path: place for place, (_, path) in enumerate(all_tags)}
        first = bisect_left(chunks, place, key=lambda chunk: self._begins(chunk, order))
        last = bisect_left(chunks, place + 1, key=lambda chunk: self._begins(chunk, order))
        return self._first(chunks[max(0, first - 1) : last])

    def _begins(self, chunk: str, order: dict[Path, int]) -> int:
        """The place of the tag that a chunk begins in. What lies below the topic itself comes before all."""
        path = self._seen(chunk)[0]
        if path not in order and len(path) > 1:
            raise CorruptEntryError(f"its {self._item.stage.file} names the place {' / '.join(path)}, which it lacks")
        return order.get(path, -1)

    def _first(self, chunks: list[str]) -> bytes | None:
        return next((line for digest in chunks if (line := self._seen(digest)[1]) is not None), None)

    def _all_tags(self, tags: FileSnapshot) -> Iterator[tuple[str, Path]]:
        return chain.from_iterable(map(self._tags_in, chunks_of(self._objects, tags)))

    def _tags_in(self, chunk: str) -> list[tuple[str, Path]]:
        if chunk not in self._tags:
            rows = msgspec.json.Decoder(Placed).decode_lines(self._objects.get(chunk))
            self._tags[chunk] = [(row.id, row.path) for row in rows]
        return self._tags[chunk]

    def _seen(self, chunk: str) -> tuple[Path, bytes | None]:
        """The path that a chunk begins in, and the item's line where it is in it."""
        if chunk not in self._chunks:
            data = self._objects.get(chunk)
            begins = msgspec.json.decode(data.partition(b"\n")[0], type=Placed).path
            self._chunks[chunk] = begins, self._line_among(data)
        return self._chunks[chunk]

    def _line_among(self, data: bytes) -> bytes | None:
        start = 0 if data.startswith(self._begin) else data.find(b"\n" + self._begin) + 1
        if start == 0 and not data.startswith(self._begin):
            return None
        return data[start:].partition(b"\n")[0]
