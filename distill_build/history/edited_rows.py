"""Which rows of a file are no longer as a build wrote them: changed, gone, or new. Knows nothing of what they mean."""

import json
from collections.abc import Iterator
from pathlib import Path

import msgspec

from distill_build.curate.json_lines import each_key_once, json_fault
from distill_build.dataset.rows import Identified, line_digest
from distill_build.engine.artefacts import open_file
from distill_build.errors import UsageError
from distill_build.records import JsonObject
from distill_build.versions.content import Content


class EditedRow(msgspec.Struct, frozen=True):
    """A row of now, and the line that it stands on."""

    line: int
    row: JsonObject


class EditedFile(msgspec.Struct):
    """What differs in one file. `changed` are rows as they were and as they are, `gone` those that are there no more,
    `new` have an id that was not there, or none, `repeated` one that another row has, too. All in their order."""

    changed: list[tuple[JsonObject, EditedRow]] = msgspec.field(default_factory=list)
    gone: list[JsonObject] = msgspec.field(default_factory=list)
    new: list[EditedRow] = msgspec.field(default_factory=list)
    repeated: list[EditedRow] = msgspec.field(default_factory=list)


def edited_rows(place: Path, written: Content) -> EditedFile:
    """How the file at `place` differs from the one of that name which was `written`. Order and layout do not count.

    Raises UsageError for a line that is no row, since nobody can tell then which row is gone, and for a file without
    any row, ConfigurationError for a row that has a key twice.
    """
    there = {line_digest(line) for _, line in _lines(place)}
    if not there:
        raise UsageError(
            f"{place} has no row left: a build writes it again once the file is removed, and the rows of a whole "
            "stage are left out by its settings"
        )
    ids, missing, same = set[str](), dict[str, JsonObject](), set[bytes]()
    for line in _written_lines(written, place.name):
        key, seen = msgspec.json.decode(line, type=Identified).id, line_digest(line)
        ids.add(key)
        if seen in there:
            same.add(seen)
        else:
            missing[key] = json.loads(line)
    return _sorted_out(place, ids, missing, same)


def _sorted_out(place: Path, ids: set[str], missing: dict[str, JsonObject], same: set[bytes]) -> EditedFile:
    found, paired = EditedFile(), set[str]()
    for number, line in _lines(place):
        if line_digest(line) in same:
            continue
        row = EditedRow(number, _row(place, number, line))
        key = row.row.get("id")
        if not isinstance(key, str) or key not in ids:
            found.new.append(row)
        elif key in paired or key not in missing:
            found.repeated.append(row)
        else:
            paired.add(key)
            if missing[key] != row.row:
                found.changed.append((missing[key], row))
    found.gone = [row for key, row in missing.items() if key not in paired]
    return found


def _lines(place: Path) -> Iterator[tuple[int, bytes]]:
    """The lines of a file without their ends, by number; empty ones are none."""
    with open_file(place) as file:
        for number, line in enumerate(file, start=1):
            if bare := line.strip():
                yield number, bare


def _written_lines(content: Content, file: str) -> Iterator[bytes]:
    for chunk in content.chunks(file):
        yield from filter(None, map(bytes.strip, content.get(file, chunk).split(b"\n")))


def _row(place: Path, number: int, line: bytes) -> JsonObject:
    try:
        row = json.loads(line, object_pairs_hook=lambda pairs: each_key_once(f"{place}, line {number}", pairs))
    except (ValueError, RecursionError) as error:
        raise UsageError(
            f"{place}, line {number}: it is no JSON ({json_fault(error)}): mend it, each row on one line, or take the "
            "whole line out, which rejects the row; nothing was changed"
        ) from error
    if not isinstance(row, dict):
        raise UsageError(f"{place}, line {number}: a row is an object, as all others here are; nothing was changed")
    return row
