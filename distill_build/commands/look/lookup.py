"""The item that `show` and `log` are asked for: a row of any stage, by its id or the beginning of it.

It is looked for in the one file that can hold it, line by line; where the folder holds it no longer, in the newest
version that has it.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
from msgspec.structs import replace

from distill_build.commands.locate import find_cache, typed
from distill_build.dataset.layout import Dataset, kept_files
from distill_build.dataset.rows import Identified, TagRow, read_rows, read_rows_with_lines
from distill_build.errors import DistillError, UsageError
from distill_build.graph import Graph, Shape
from distill_build.options import Options
from distill_build.records import ID_HEX_DIGITS, JsonObject, short
from distill_build.stages.default import graph_in
from distill_build.versions.archive import Archive, Version
from distill_build.versions.holding import newest_with
from distill_build.versions.snapshot import restore

HEX = frozenset("0123456789abcdef")
SHOWN_MATCHES = 5
NEAR_CHARACTERS = 5
"""So much of an unknown id has to be right for the nearest known one to be told."""
HOW_TO_FIND = "`distill-build tree -v` prints the ids of tags, and `distill-build show ID` those of what is below one"


class Found(msgspec.Struct, frozen=True):
    """`row` is a line of `stage` with everything on it; `files` are those that it stands in, with stages `graph`.

    They are those of the folder, or for a while those of `version`.
    """

    stage: Shape
    row: JsonObject
    files: Dataset
    graph: Graph
    version: Version | None = None

    @property
    def from_version(self) -> str | None:
        """The digest of the version that it was found in; None for the folder."""
        return None if self.version is None else self.version.version

    def recipe(self, archive: Archive) -> JsonObject:
        """What it was built with; nothing where that is not known."""
        if self.version is not None:
            return archive.recipe(self.version)
        return self.files.recipe()

    def note(self, options: Options, dataset: Dataset) -> list[str]:
        """What a user has to know of an item that is not in the folder of `dataset`."""
        if self.version is None:
            return []
        digest = short(self.version.version)
        command = typed(options._replace(dataset=str(dataset.folder)), "checkout", digest)
        return [
            f"! not in {dataset.folder} now: told from version {digest}, the newest that has it; `{command}` brings it "
            "back"
        ]


@contextmanager
def find_item(options: Options, dataset: Dataset, wanted: str) -> Iterator[Found]:
    """The item called `wanted`, as `find` reads it, in the folder or else in the newest version that has it.

    Raises UsageError where there is none or more than one, StorageError where that version is damaged.
    """
    graph, unreadable = graph_in(dataset), None
    try:
        found = find(dataset, graph, wanted)
    except _NoIdError as error:  # it may be one of a stage that the folder has no more
        found, unreadable = None, error
    if found is not None:
        yield found
        return
    otherwise = unreadable or _unknown(dataset, graph, wanted)
    try:
        archive = Archive(find_cache(options, dataset))
    except DistillError:
        raise otherwise from None
    versions = archive.history(dataset.folder, dataset.folder.name)[::-1]
    version = newest_with(archive.objects, versions, wanted)
    if version is None:
        raise otherwise
    with TemporaryDirectory() as folder:
        files = Dataset(Path(folder))
        for name in kept_files(version.graph):
            if name in version.files:
                restore(archive.objects, version.files[name], files.artefact(name))
        found = find(files, version.graph, wanted)
        assert found is not None, "it was seen in this version"  # noqa: S101
        yield replace(found, version=version)


class _NoIdError(UsageError):
    """What was typed is no id of the stages that there are."""


def find(dataset: Dataset, graph: Graph, wanted: str) -> Found | None:
    """The row with the id `wanted`, or the only one whose id begins so, None where no id does; or that numbered tag.

    Raises UsageError for what is no id, and where more than one is meant.
    """
    if all(part.isdecimal() for part in wanted.split(".")):
        return Found(graph.tree, _numbered(dataset, graph, wanted), dataset, graph)
    stage = _stage_of(graph, wanted)
    if stage is None:
        prefixes = [f"{shape.prefix}_…" for shape in graph if shape.kind != "transform"]
        raise _NoIdError(
            f"'{wanted}' is neither an id ({', '.join(prefixes[:-1])} or {prefixes[-1]} with up to {ID_HEX_DIGITS} "
            f"hexadecimal digits) nor a {graph.tree.singular}'s number like 1.2: {HOW_TO_FIND}"
        )
    row = _beginning(dataset, stage, wanted)
    return None if row is None else Found(stage, row, dataset, graph)


def _stage_of(graph: Graph, wanted: str) -> Shape | None:
    digits = wanted.rpartition("_")[2]
    return graph.of_id(wanted) if len(digits) <= ID_HEX_DIGITS and HEX.issuperset(digits) else None


def _numbered(dataset: Dataset, graph: Graph, number: str) -> JsonObject:
    for row, line in read_rows_with_lines(dataset.artefact(graph.tree.file), TagRow):
        if row.number == number:
            return _parsed(line)
    noun = graph.tree.singular
    raise UsageError(f"there is no {noun} with the number {number} in {dataset.folder}: {HOW_TO_FIND}")


def _beginning(dataset: Dataset, stage: Shape, wanted: str) -> JsonObject | None:
    matches: list[tuple[str, bytes]] = []
    for row, line in read_rows_with_lines(dataset.artefact(stage.file), Identified):
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


def _unknown(dataset: Dataset, graph: Graph, wanted: str) -> UsageError:
    """The sentence for an id that is not there, with the one that agrees with it for longest."""
    stage = _stage_of(graph, wanted)
    assert stage is not None, "it was looked for in the stage's file"  # noqa: S101
    kind, file = stage.singular, dataset.artefact(stage.file)
    if not file.exists():
        why = f"{dataset.folder} has no {stage.file}: no build of it has come so far yet"
        return UsageError(f"there is no {kind} {wanted}: {why}")
    ids = (row.id for row in read_rows(file, Identified))
    nearest = max(ids, key=lambda known: _agreeing(known, wanted), default="")
    if _agreeing(nearest, wanted) >= len(stage.prefix) + NEAR_CHARACTERS - 1:
        return UsageError(f"there is no {kind} {wanted} in {dataset.folder}: did you mean {nearest}?")
    return UsageError(f"there is no {kind} {wanted} in {dataset.folder}: {HOW_TO_FIND}")


def _agreeing(left: str, right: str) -> int:
    """How many characters two texts have in common at their beginnings."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(left, right, strict=False)))
