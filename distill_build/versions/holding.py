"""Which versions of a dataset hold an item.

A hundred versions of 100,000 answers are not read for one of them. What two versions share is looked at once, and
questions and answers stand in the order of their tags, so that the chunks with those of one tag are found by halving.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain

import msgspec

from distill_build.artefact_rows import Identified, OfTag
from distill_build.engine.objects import Objects
from distill_build.errors import CorruptEntryError
from distill_build.versions.archive import Version
from distill_build.versions.snapshot import FileSnapshot, chunks_of

TAGS = "tags.jsonl"


class Texts(msgspec.Struct, frozen=True):
    """What may differ between two lines with one id: an answer's own texts. All else is in the id, or follows it."""

    reasoning: str | None = None
    answer: str | None = None


@dataclass(frozen=True, slots=True)
class Holding:
    """A version with what it holds of the item, None where it has none; `damage` says why that cannot be told.

    `before` counts the versions that are newer.
    """

    version: Version
    before: int
    texts: Texts | None
    damage: str = ""

    @property
    def name(self) -> str:
        """As a user calls it."""
        return f"latest~{self.before}" if self.before else "latest"


@dataclass(frozen=True, slots=True)
class Item:
    """What is looked for: an id, the file that it stands in, and its tag, which is its own id for a tag."""

    file: str
    id: str
    tag: str


def holdings(objects: Objects, versions: list[Version], item: Item) -> Iterator[Holding]:
    """Each of `versions`, newest first, with what it holds of `item`."""
    search = _Search(objects, item)
    for before, version in enumerate(versions):
        try:
            yield Holding(version, before, search.texts(version))
        except CorruptEntryError as error:
            yield Holding(version, before, None, str(error))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:  # whole, and made by somebody else
            yield Holding(version, before, None, f"it holds a line that is none of a dataset ({error})")


def newest_with(objects: Objects, versions: Iterable[Version], file: str, begin: str) -> Version | None:
    """The first of `versions` with a row in `file` whose id is, or begins with, `begin`; damaged ones are passed over.

    Where its tag is not known nothing can be halved: each chunk is looked through once, until one has it.
    """
    sought, seen = b'{"id":"' + begin.encode(), set[str]()
    for version in versions:
        with suppress(CorruptEntryError):
            for chunk in chunks_of(objects, version.files[file]) if file in version.files else ():
                if chunk not in seen:
                    seen.add(chunk)
                    data = objects.get(chunk)
                    if data.startswith(sought) or b"\n" + sought in data:
                        return version
    return None


class _Search:
    """What has been seen of chunks and files so far, by their digests."""

    def __init__(self, objects: Objects, item: Item) -> None:
        self._objects = objects
        self._item = item
        self._begin = b'{"id":' + msgspec.json.encode(item.id) + b","
        self._lines: dict[tuple[str, str], bytes | None] = {}
        self._chunks: dict[str, tuple[str, bytes | None]] = {}
        self._ids: dict[str, list[str]] = {}

    def texts(self, version: Version) -> Texts | None:
        """What a version holds of the item. Raises CorruptEntryError, and what msgspec does, for damage."""
        line = self._line(version)
        return None if line is None else msgspec.json.decode(line, type=Texts)

    def _line(self, version: Version) -> bytes | None:
        """The item's line in a version."""
        if not version.files.keys() >= {TAGS, self._item.file}:
            return None
        tags, rows = version.files[TAGS], version.files[self._item.file]
        key = (tags.chunks, rows.chunks)
        if key not in self._lines:
            self._lines[key] = self._line_in(tags, rows)
        return self._lines[key]

    def _line_in(self, tags: FileSnapshot, rows: FileSnapshot) -> bytes | None:
        order = {key: place for place, key in enumerate(self._all_ids(tags))}
        place = order.get(self._item.tag)
        if place is None:
            return None
        chunks = chunks_of(self._objects, rows)
        if self._item.file == TAGS:
            return self._first(chunks)
        first = bisect_left(chunks, place, key=lambda chunk: self._begins(chunk, order))
        last = bisect_left(chunks, place + 1, key=lambda chunk: self._begins(chunk, order))
        return self._first(chunks[max(0, first - 1) : last])

    def _begins(self, chunk: str, order: dict[str, int]) -> int:
        """The place of the tag that a chunk begins in."""
        tag = self._seen(chunk)[0]
        if tag not in order:
            raise CorruptEntryError(f"its {self._item.file} names the tag {tag}, which its {TAGS} lacks")
        return order[tag]

    def _first(self, chunks: list[str]) -> bytes | None:
        return next((line for digest in chunks if (line := self._seen(digest)[1]) is not None), None)

    def _all_ids(self, tags: FileSnapshot) -> Iterator[str]:
        return chain.from_iterable(map(self._ids_in, chunks_of(self._objects, tags)))

    def _ids_in(self, chunk: str) -> list[str]:
        if chunk not in self._ids:
            lines = self._objects.get(chunk).splitlines()
            self._ids[chunk] = [row.id for row in map(msgspec.json.Decoder(Identified).decode, lines)]
        return self._ids[chunk]

    def _seen(self, chunk: str) -> tuple[str, bytes | None]:
        """The tag that a chunk begins in (of tags.jsonl: nothing), and the item's line where it is in it."""
        if chunk not in self._chunks:
            data = self._objects.get(chunk)
            begins = "" if self._item.file == TAGS else msgspec.json.decode(data.partition(b"\n")[0], type=OfTag).tag
            self._chunks[chunk] = begins, self._line_among(data)
        return self._chunks[chunk]

    def _line_among(self, data: bytes) -> bytes | None:
        start = 0 if data.startswith(self._begin) else data.find(b"\n" + self._begin) + 1
        if start == 0 and not data.startswith(self._begin):
            return None
        return data[start:].partition(b"\n")[0]
