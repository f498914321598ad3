"""The lines of a dataset's files, read back one at a time as typed rows.

Knows the files alone: `distill_build.records` makes their lines, and here each reader names the fields that it
needs. Fields that are not named are skipped without being built, so a pass over 100,000 answers is short.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from itertools import compress
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from distill_build.engine.artefacts import open_file
from distill_build.errors import StorageError
from distill_build.records import BOOKKEEPING, OF_TAGS, RENAMED_FROM, VERDICT, JsonObject, Source


class Identified(msgspec.Struct, frozen=True, gc=False):
    """Any line with an id."""

    id: str


class TagRow(msgspec.Struct, frozen=True, gc=False):
    """A line of tags.jsonl."""

    id: str
    path: tuple[str, ...]
    number: str
    label: str
    parent: str | None
    leaf: bool
    flags: tuple[str, ...] = ()
    renamed_from: str | None = None

    @property
    def own_label(self) -> str:
        """The label that its id is made of."""
        return self.renamed_from or self.label


class Hanging(Identified, frozen=True, gc=False):
    """A row with what it hangs on, as `records.above_of` reads it."""

    question_id: str | None = None
    parent: str | None = None
    tag: str | None = None

    @property
    def above(self) -> str | None:
        """The id of the row that it lies below; None for what lies below the topic."""
        return self.question_id or self.parent or self.tag


class Placed(Hanging, frozen=True, gc=False, kw_only=True):
    """A row of any stage but a transform: whose it is, and where in the tree."""

    path: tuple[str, ...]
    review: str | None = None


class Called(Placed, frozen=True, gc=False):
    """A row of a map, with the call that it was read from."""

    call: str = ""


class VerdictRow(msgspec.Struct, frozen=True, gc=False):
    """A row of a transform, without the columns of its own: `id` is that of the row that it judges."""

    id: str
    kept: bool
    why: tuple[str, ...]


class SourcesRow(msgspec.Struct, frozen=True, gc=False):
    """A line of runs/sources.jsonl: a tag (or the topic, by its text) with the responses behind what is below it.

    `calls` are by stage: those that brought a list below it in their order, and those that rows below it were read
    from in the order of the rows. A tag may have several lines, one behind the other.
    """

    id: str
    calls: dict[str, tuple[Source, ...]]

    @property
    def responses(self) -> tuple[Source, ...]:
        """All of them: key of the call and digest of the response."""
        return tuple(source for sources in self.calls.values() for source in sources)

    def of(self, stage: str) -> tuple[Source, ...]:
        """Those of one stage."""
        return self.calls.get(stage, ())


class FailureRow(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A line of failures.jsonl. `question_id` or `parent` is set where one result for a row is missing."""

    stage: str
    path: tuple[str, ...]
    missing: int
    cause: str
    attempts: int
    detail: str
    question_id: str | None = None
    parent: str | None = None

    @property
    def row(self) -> str | None:
        """The id of the row that lacks a result; None for a list that is short."""
        return self.question_id or self.parent


LIST_PLACE = ("id", "tag", "path", "index")
"""Columns of a list's row before its text."""


def content_of(row: JsonObject) -> JsonObject:
    """What a row says that no other one does: what may differ between two rows with one id.

    A verdict, which alone has no path, says first of which row it is, whether that is kept, and why; in any other row
    these two are content. The text of a list's row is content, too: its id is made of the one that a model gave it, and
    a person may edit it.
    """
    other = BOOKKEEPING if "path" in row else VERDICT
    if "leaf" in row:
        other |= OF_TAGS
    if "index" in row:
        other -= {"question"}
    return {name: value for name, value in row.items() if name not in other}


def list_text(row: JsonObject) -> str:
    """The text of a row of a list, which its id is made of: a tag's own label, or the first column after its place."""
    if "label" in row:
        return str(row.get(RENAMED_FROM) or row["label"])
    return str(row.get(text_column(row), ""))


def text_column(row: JsonObject) -> str:
    """The column of a list's row that has its text: the first one behind its place. Of a tag it is the label."""
    return "label" if "label" in row else next((name for name in row if name not in LIST_PLACE), "")


def line_digest(line: bytes) -> bytes:
    """A line, with its end, in few bytes: what tells whether a row stands alike in two files."""
    return hashlib.blake2b(line, digest_size=16).digest()


def line_digests(path: Path) -> set[bytes]:
    """Those of all lines of a file; none where there is no file."""
    if not path.exists():
        return set()
    with open_file(path) as lines:
        return set(map(line_digest, lines))


T = TypeVar("T")


def read_rows(path: Path, kind: type[T], chosen: Iterable[bool] | None = None) -> Iterator[T]:
    """The lines of the file at `path` as `kind`; none where there is no file.

    `chosen` says of each row whether it is wanted: what is not is not taken apart. Raises StorageError with the number
    of a line that cannot be read.
    """
    return (row for row, _ in _read(path, msgspec.json.Decoder(kind).decode, chosen))


def read_objects(path: Path, *columns: str, chosen: Iterable[bool] | None = None) -> Iterator[JsonObject]:
    """As `read_rows`, whole lines that have at least these columns."""
    return (row for row, _ in _read(path, _decoder_of(columns), chosen))


def read_rows_with_lines(path: Path, kind: type[T]) -> Iterator[tuple[T, bytes]]:
    """As `read_rows`, each row with the line that it came from."""
    return _read(path, msgspec.json.Decoder(kind).decode)


def _decoder_of(columns: tuple[str, ...]) -> Callable[[bytes], JsonObject]:
    decode = msgspec.json.Decoder(dict[str, Any]).decode

    def decoded(line: bytes) -> JsonObject:
        row = decode(line)
        for column in columns:
            if column not in row:
                raise msgspec.ValidationError(f"Object missing required field `{column}`")
        return row

    return decoded


class UnreadableLineError(StorageError):
    """A line of an artefact is no row. `fault` says so without a way out, for who knows of others."""

    def __init__(self, path: Path, number: int, fault: str) -> None:
        self.fault = f"line {number} cannot be read: {fault}"
        super().__init__(
            f"{path}, line {number}, cannot be read: {fault}. Build the dataset again: the next build keeps the "
            "damaged file beside and writes it anew from the cache"
        )


def _read(path: Path, decode: Callable[[bytes], T], chosen: Iterable[bool] | None = None) -> Iterator[tuple[T, bytes]]:
    if not path.exists():
        return
    with open_file(path) as file:
        lines = ((number, line) for number, line in enumerate(file, start=1) if not line.isspace())
        for number, line in lines if chosen is None else compress(lines, chosen):
            try:
                row = decode(line)
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                raise UnreadableLineError(path, number, str(error)) from error
            yield row, line
