"""From units that end in any order to artefacts in tree order, with memory for neither.

A unit's rows are spooled when a segment of it ends, or lie in the last build's artefacts where nothing of it changed.
At the end the tree is walked once and the rows are copied together.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import msgspec
from msgspec.structs import replace

from distill_build.builds.walk.nodes import Node, Unit, walk
from distill_build.dataset.layout import SOURCES, Dataset, ReviewNote
from distill_build.dataset.outcome import Outcome, Rows
from distill_build.dataset.rows import VerdictRow, read_rows
from distill_build.dataset.so_far import RowsSoFar
from distill_build.dataset.unit import DROPPED_BEFORE
from distill_build.engine.artefacts import ArtefactWriter, Spool
from distill_build.errors import StorageError
from distill_build.graph import Graph
from distill_build.records import JsonObject, Source
from distill_build.stages.course import Segment

SPOOL = ".spool"
_Counts = TypeVar("_Counts")
MemoKey = Callable[[Unit, int, str], str]
"""A unit, the number of a segment, and a digest of verdicts → the digest of all that goes in, responses aside."""


def encode_rows(rows: Sequence[JsonObject]) -> bytes:
    """Rows as JSON lines: UTF-8, keys as they stand."""
    return _ENCODER.encode_lines(rows)


_ENCODER = msgspec.json.Encoder()


class PreviousBuild:
    """What the last build made of units, by the digest of all that went into it, and the files where it lies."""

    def __init__(
        self,
        dataset: Dataset,
        outcomes: dict[str, Outcome],
        memo: MemoKey,
        asked_anew: Callable[[tuple[str, ...]], bool],
        verdicts: frozenset[str],
    ) -> None:
        """`asked_anew` says of a path whether --rebuild names it.

        `verdicts` are the transforms whose artefacts lie there as the last build wrote them. `stale` are the ids of
        tags below which a row holds a reply that has been displaced since, or is reviewed otherwise. `reviewed` is what
        became of reviews, by tag and row.
        """
        self.dataset = dataset
        self.memo = memo
        self._rows_kept: dict[str, frozenset[str]] = {}
        self.stale: set[str] = set()
        self.reviewed: dict[str, dict[str, ReviewNote]] = {}
        self._outcomes = outcomes
        self._asked_anew = asked_anew
        self._verdicts = verdicts

    def recall(self, unit: Unit, segment: int, verdicts: str) -> Outcome | None:
        """What was made of a segment, unless something that goes into it changed or it is asked anew."""
        if not self._outcomes or unit.node.id in self.stale or self._asked_anew(unit.node.shown):
            return None
        return self._outcomes.get(self.memo(unit, segment, verdicts))

    def kept(self, transform: str, key: str) -> bool:
        """Whether a transform kept the row with the id `key`, as far as its artefact is there."""
        if transform not in self._verdicts:
            return False
        if transform not in self._rows_kept:
            lines = read_rows(self.dataset.artefact(f"{transform}.jsonl"), VerdictRow)
            self._rows_kept[transform] = frozenset(line.id for line in lines if line.kept)
        return key in self._rows_kept[transform]


class UnitRows:
    """Takes the rows of units as they end, and gives them back."""

    def __init__(
        self,
        graph: Graph,
        previous: PreviousBuild,
        folder: Callable[[], Path],
        wanted: frozenset[str] | None = None,
        so_far: RowsSoFar | None = None,
    ) -> None:
        """`folder` is asked where the rows are to lie, once they are more than are kept in memory.

        `wanted` are the stages whose rows are written at all; None is all. `so_far` is told of rows as they come.
        """
        self._folder = folder
        self.previous = previous
        self._graph = graph
        self._wanted = frozenset(graph.names) | {SOURCES} if wanted is None else wanted
        self._spools: dict[str, Spool] = {}
        self._so_far = so_far
        self._counts: dict[bytes, Any] = {}

    def recall(self, unit: Unit, segment: int, verdicts: str) -> Outcome | None:
        outcome = self.previous.recall(unit, segment, verdicts)
        if outcome is not None and self._so_far is not None:
            for name, rows in outcome.rows.items():
                self._so_far.add(name, list(self.lines(name, rows)))
        return outcome

    def reviewed(self, unit: Unit) -> Mapping[str, ReviewNote]:
        return self.previous.reviewed.get(unit.node.id, {})

    def made(self, stage: str, row: JsonObject) -> None:
        if self._so_far is not None:
            self._so_far.add(stage, [row])

    def take(self, unit: Unit, number: int, segment: Segment, verdicts: str) -> Outcome:
        work = unit.work
        complete = not work.incomplete and all(outcome.memo is not None for outcome in unit.outcomes)
        calls = {name: sources for name in segment.stages if (sources := unit.sorted_sources(name))}
        return Outcome(
            memo=self.previous.memo(unit, number, verdicts) if complete else None,
            rows={name: self._spool(name, self._rows_of(unit, name)) for name in segment.stages},
            sources=self._spool(SOURCES, [sources_row(unit.node.id, calls)] if calls else []),
            requests=self._shared(dict(work.requests)),
            spared=self._shared(dict(work.spared)),
            dropped=self._shared({name: dict(reasons) for name, reasons in work.dropped.items()}),
            rows_dropped=self._shared(dict(work.rows_dropped)),
            failures=tuple(work.failures[place].row() for place in sorted(work.failures)),
            lacking=unit.lacking(segment.stages) if work.incomplete else {},
        )

    def take_back(self, unit: Unit) -> None:
        """Nothing: what is spooled and named by no outcome is not copied."""

    def judging(self, transform: str, measured: Sequence[tuple[str, Any]]) -> None:
        """Nobody here wants to know."""

    def take_verdicts(self, transform: str, lines: Sequence[JsonObject]) -> Rows:
        return self._spool(transform, lines)

    def lines(self, stage: str, rows: Rows) -> Iterator[JsonObject]:
        if not rows.length:
            return iter(())
        if rows.kept:
            with self.previous.dataset.artefact(self._graph[stage].file).open("rb") as file:
                file.seek(rows.start)
                data = file.read(rows.length)
        else:
            data = self._spools[stage].read(rows.start, rows.length)
        try:
            return iter([msgspec.json.decode(line) for line in data.splitlines()])
        except msgspec.DecodeError as error:  # edited since the build began, or never as it was written
            place = self.previous.dataset.artefact(self._graph[stage].file)
            raise StorageError(f"{place} was changed while a build ran; build again, nothing is lost") from error

    def was_kept(self, transform: str, key: str) -> bool:
        return self.previous.kept(transform, key)

    def close(self) -> None:
        """No more rows come."""
        if self._so_far is not None:
            self._so_far.close()

    def spool(self, name: str) -> Spool | None:
        """The rows of this run; None where there are none."""
        return self._spools.get(name)

    def _shared(self, counts: _Counts) -> _Counts:
        """Equal ones are one object: most units come to the same, and there are very many."""
        shared: _Counts = self._counts.setdefault(_ENCODER.encode(counts), counts)
        return shared

    def _rows_of(self, unit: Unit, stage: str) -> list[JsonObject]:
        shape = self._graph[stage]
        if shape.kind != "transform":
            return [unit.shown(row.line) for row in unit.sorted(stage)]
        judged = [unit.tag] if shape.after == self._graph.tree.name else unit.sorted(shape.after or "")
        said = ((row.id, row.verdicts.get(stage)) for row in judged)
        return [verdict.line(key) for key, verdict in said if verdict not in (None, DROPPED_BEFORE)]

    def _spool(self, name: str, rows: Sequence[JsonObject]) -> Rows:
        if not rows or name not in self._wanted:
            return Rows(False, 0, 0, len(rows))
        if self._so_far is not None and name in self._graph and self._graph[name].kind == "transform":
            self._so_far.add(name, rows)
        if name not in self._spools:
            self._spools[name] = Spool(lambda: self._folder() / f"{name.replace('/', '-')}{SPOOL}")
        data = encode_rows(rows)
        return Rows(False, self._spools[name].append(data), len(data), len(rows))


def tag_lines(root: Node) -> Iterator[JsonObject]:
    """The lines of the tree's artefact, in their order."""
    return (node.shown_line() for node, _ in walk(root))


def sources_row(item: str, calls: Mapping[str, Sequence[Source]]) -> JsonObject:
    """A line of a tag in the file of sources; `item` is its id, or the topic's text; `calls` are by stage."""
    return {"id": item, "calls": calls}


def write_artefacts(
    root: Node, graph: Graph, rows: UnitRows, folder: Path
) -> tuple[dict[str, ArtefactWriter], list[Outcome]]:
    """Writes the artefacts of the stages of `graph`, and the sources, in one walk; `folder` takes them.

    Returns the writers by the files' names, and what the units came to with the new places of their rows. The file of
    sources has lines for every tag that was asked for something, the topic first.
    """
    outcomes: list[Outcome] = []
    files = {shape.name: shape.file for shape in graph} | {SOURCES: SOURCES}
    with ExitStack() as stack:
        writers = {name: stack.enter_context(ArtefactWriter(folder / file)) for name, file in files.items()}
        copies = {name: _Copy(rows.spool(name), rows.previous.dataset.artefact(files[name]), stack) for name in files}
        tree = graph.tree.name
        for node in (root, *(node for node, _ in walk(root))):
            if node.level:
                writers[tree].write(encode_rows([node.shown_line()]))
            _write_tree_sources(node, tree, writers[SOURCES])
            if node.unit is not None:
                for outcome in node.unit.outcomes:
                    moved = {name: copies[name].to(writers[name], place) for name, place in outcome.rows.items()}
                    sources = copies[SOURCES].to(writers[SOURCES], outcome.sources)
                    outcomes.append(replace(outcome, rows=moved, sources=sources))
                for name, judged in node.unit.judged.items():
                    copies[name].to(writers[name], judged.lines)
    return {files[name]: writer for name, writer in writers.items()}, outcomes


def _write_tree_sources(node: Node, tree: str, writer: ArtefactWriter) -> None:
    if node.chain is not None and node.chain.sources:
        writer.write(encode_rows([sources_row(node.id, {tree: node.chain.sources})]))


class _Copy:
    """Where the rows of one file are copied from."""

    def __init__(self, spool: Spool | None, old: Path, stack: ExitStack) -> None:
        self._spool = spool
        self._old = old
        self._stack = stack
        self._open: dict[bool, BinaryIO] = {}

    def to(self, writer: ArtefactWriter, rows: Rows) -> Rows:
        """Copies rows behind what is written; returns where they lie now."""
        start = writer.size
        if rows.length:
            writer.copy(self._source(kept=rows.kept), rows.start, rows.length)
        return Rows(True, start, rows.length, rows.count)

    def _source(self, *, kept: bool) -> BinaryIO:
        file = self._open.get(kept)
        if file is None:
            assert kept or self._spool is not None, "rows that are not kept were spooled"  # noqa: S101
            opened = self._spool.reader() if self._spool is not None and not kept else self._old.open("rb")
            file = self._open[kept] = self._stack.enter_context(opened)
        return file


def failure_rows(root: Node) -> Iterator[JsonObject]:
    """The lines of failures.jsonl in tree order: a parent's own shortage before what is below it."""
    for node in (root, *(node for node, _ in walk(root))):
        if node.failure is not None:
            yield node.failure.row()
        if node.unit is not None:
            yield from node.unit.failure_rows()
