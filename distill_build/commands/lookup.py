"""Finds a row of a dataset by its id or the beginning of it. Reads the one file that can hold it, line by line."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile

from distill_build.artefact_rows import Identified, OfQuestion, OfTag, TagRow, read_rows, read_rows_with_lines
from distill_build.errors import UsageError
from distill_build.records import ID_HEX_DIGITS, JsonObject
from distill_build.stages.dataset import Dataset

KINDS = {"t": "tag", "q": "question", "a": "answer"}
"""First letter of an id → what it is. The rows are in <kind>s.jsonl."""
ID = re.compile(rf"([{''.join(KINDS)}])_[0-9a-f]{{0,{ID_HEX_DIGITS}}}")
NUMBER = re.compile(r"\d+(\.\d+)*")
SHOWN_MATCHES = 5
NEAR_CHARACTERS = 5
"""So much of an unknown id has to be right for the nearest known one to be told."""
HOW_TO_FIND = "`distill-build tree -v` prints the ids of tags, and `distill-build show TAG` those of its questions"


@dataclass(frozen=True, slots=True)
class Found:
    """`kind` is tag, question or answer; `row` is its line with everything on it."""

    kind: str
    row: JsonObject


def find(dataset: Dataset, wanted: str) -> Found | None:
    """The row with the id `wanted`, or the only one whose id begins so, None where no id does; or that numbered tag.

    Raises UsageError for what is no id, and where more than one is meant.
    """
    if NUMBER.fullmatch(wanted):
        return Found("tag", _numbered(dataset, wanted))
    match = ID.fullmatch(wanted)
    if match is None:
        raise UsageError(
            f"'{wanted}' is neither an id (t_…, q_… or a_… with up to {ID_HEX_DIGITS} hexadecimal digits) nor a "
            f"tag's number like 1.2: {HOW_TO_FIND}"
        )
    row = _beginning(dataset, wanted)
    return None if row is None else Found(KINDS[match[1]], row)


def file_of(wanted: str) -> str:
    """The artefact that the rows with such an id are in."""
    return f"{KINDS[wanted[0]]}s.jsonl"


def rows_where(
    dataset: Dataset, kind: str, reader: type[TagRow | OfTag | OfQuestion], field: str, value: str
) -> Iterator[JsonObject]:
    """Whole rows of <kind>s.jsonl whose `field` is `value`; `reader` is a row that has it."""
    for row, line in read_rows_with_lines(dataset.artefact(f"{kind}s.jsonl"), reader):
        if getattr(row, field) == value:
            yield json.loads(line)


def _numbered(dataset: Dataset, number: str) -> JsonObject:
    for row in rows_where(dataset, "tag", TagRow, "number", number):
        return row
    raise UsageError(f"there is no tag with the number {number} in {dataset.folder}: {HOW_TO_FIND}")


def _beginning(dataset: Dataset, wanted: str) -> JsonObject | None:
    matches: list[tuple[str, bytes]] = []
    for row, line in read_rows_with_lines(dataset.artefact(file_of(wanted)), Identified):
        if row.id == wanted:
            return _parsed(line)
        if row.id.startswith(wanted):
            matches.append((row.id, line))
            if len(matches) > SHOWN_MATCHES:
                break
    if len(matches) > 1:
        raise _ambiguous(wanted, [key for key, _ in matches])
    return _parsed(matches[0][1]) if matches else None


def _parsed(line: bytes) -> JsonObject:
    row: JsonObject = json.loads(line)
    return row


def _ambiguous(wanted: str, ids: list[str]) -> UsageError:
    more = ", …" if len(ids) > SHOWN_MATCHES else ""
    return UsageError(f"several ids begin with {wanted}: {', '.join(ids[:SHOWN_MATCHES])}{more}; type more of it")


def unknown(dataset: Dataset, wanted: str) -> UsageError:
    """The sentence for an id that is not there, with the one that agrees with it for longest."""
    kind, file = KINDS[wanted[0]], dataset.artefact(file_of(wanted))
    if not file.exists():
        return UsageError(f"there is no {kind} {wanted}: {file} does not exist, the last build stopped before it")
    ids = (row.id for row in read_rows(file, Identified))
    nearest = max(ids, key=lambda known: _agreeing(known, wanted), default="")
    if _agreeing(nearest, wanted) >= NEAR_CHARACTERS:
        return UsageError(f"there is no {kind} {wanted} in {dataset.folder}: did you mean {nearest}?")
    return UsageError(f"there is no {kind} {wanted} in {dataset.folder}: {HOW_TO_FIND}")


def _agreeing(left: str, right: str) -> int:
    """How many characters two texts have in common at their beginnings."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(left, right, strict=False)))
