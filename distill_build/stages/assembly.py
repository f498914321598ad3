"""From leaves that end in any order to artefacts in tree order, with memory for neither.

Three files hold the rows of leaves: questions, answers, and the sources, which name the responses that all rows were
read from.

A leaf's rows are spooled when it ends, or lie in the last build's artefacts where nothing of it changed. At the end
the tree is walked once and the rows are copied together.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import msgspec

from distill_build.engine.artefacts import ArtefactWriter, Spool
from distill_build.records import JsonObject, Source
from distill_build.stages.tree import Leaf, LeafOutcome, Node, Rows, walk


def encode_rows(rows: Sequence[JsonObject]) -> bytes:
    """Rows as JSON lines: UTF-8, keys as they stand."""
    return _ENCODER.encode_lines(rows)


_ENCODER = msgspec.json.Encoder()


class Kept:
    """The leaves of the last build, by the digest of all that went into them."""

    def __init__(
        self,
        leaves: dict[str, LeafOutcome],
        memo: Callable[[Node], str],
        asked_anew: Callable[[tuple[str, ...]], bool],
    ) -> None:
        """`memo` digests what goes into a leaf; `asked_anew` says of a path whether --rebuild names it.

        `stale` are the ids of leaves whose rows hold a reply that has been displaced since.
        """
        self.memo = memo
        self.stale: set[str] = set()
        self._leaves = leaves
        self._asked_anew = asked_anew

    def recall(self, node: Node) -> LeafOutcome | None:
        """What was made of a leaf, unless something that goes into it changed or it is asked anew."""
        if not self._leaves or node.id in self.stale or self._asked_anew(node.path):
            return None
        return self._leaves.get(self.memo(node))


class LeafRows:
    """The sink of a build: recalls the leaves that did not change, and spools those that end."""

    def __init__(self, folder: Path, kept: Kept) -> None:
        """`folder` takes the spools, and is where the run's other new files lie."""
        self.folder = folder
        self.questions = Spool(folder / "questions.spool")
        self.answers = Spool(folder / "answers.spool")
        self.sources = Spool(folder / "sources.spool")
        self._kept = kept

    def recall(self, node: Node) -> LeafOutcome | None:
        return self._kept.recall(node)

    def take(self, leaf: Leaf) -> LeafOutcome:
        questions, answers, failures = leaf.questions, leaf.sorted_answers(), leaf.all_failures()
        return LeafOutcome(
            memo=None if failures else self._kept.memo(leaf.node),
            questions=self._spool(self.questions, [question.row() for question in questions]),
            answers=self._spool(self.answers, [answer.row() for answer in answers]),
            sources=self._spool(
                self.sources,
                [sources_row(leaf.node.id, {"questions": leaf.chain.sources, "answers": leaf.sorted_sources()})],
            ),
            requests=(leaf.chain.requests, leaf.answer_requests),
            failures=tuple(failure.row() for failure in failures),
        )

    @staticmethod
    def _spool(spool: Spool, rows: list[JsonObject]) -> Rows:
        data = encode_rows(rows)
        return Rows(False, spool.append(data), len(data), len(rows))


def write_tags(root: Node, depth: int, target: Path) -> ArtefactWriter:
    """tags.jsonl."""
    with ArtefactWriter(target) as writer:
        for node in walk(root):
            writer.write(encode_rows([node.tag(depth).row()]))
    return writer


def sources_row(item: str, calls: Mapping[str, Sequence[Source]]) -> JsonObject:
    """The line of a tag in the file of sources; `item` is its id, or the topic's text; `calls` are by stage."""
    return {"id": item, "calls": {stage: sources for stage, sources in calls.items() if sources}}


@dataclass(frozen=True, slots=True)
class LeafFiles:
    """The three files with the rows of leaves: those of the last build, or those that are being written."""

    questions: Path
    answers: Path
    sources: Path

    def __iter__(self) -> Iterator[Path]:
        return iter((self.questions, self.answers, self.sources))


def write_leaves(
    root: Node, rows: LeafRows, old: LeafFiles, new: LeafFiles
) -> tuple[tuple[ArtefactWriter, ArtefactWriter, ArtefactWriter], list[LeafOutcome]]:
    """Writes the `new` files from the spools and the `old` files, in one walk.

    Returns their writers, questions first, and the outcomes of the leaves with their new places. The file of sources
    has a line for every tag that was asked for something, the topic first.
    """
    outcomes = []
    with ExitStack() as stack:
        questions, answers, sources = (stack.enter_context(ArtefactWriter(path)) for path in new)
        kept = [stack.enter_context(path.open("rb")) if path.is_file() else None for path in old]
        spools = [stack.enter_context(spool.reader()) for spool in (rows.questions, rows.answers, rows.sources)]
        for node in (root, *walk(root)):
            if (leaf := node.leaf) is not None:
                moved = replace(
                    leaf,
                    questions=_copy(leaf.questions, (spools[0], kept[0]), questions),
                    answers=_copy(leaf.answers, (spools[1], kept[1]), answers),
                    sources=_copy(leaf.sources, (spools[2], kept[2]), sources),
                )
                outcomes.append(moved)
            elif node.chain is not None:
                sources.write(encode_rows([sources_row(node.id, {"tags": node.chain.sources})]))
    return (questions, answers, sources), outcomes


def _copy(rows: Rows, sources: tuple[BinaryIO, BinaryIO | None], writer: ArtefactWriter) -> Rows:
    spooled, kept = sources
    start = writer.size
    if rows.length:
        source = kept if rows.kept else spooled
        assert source is not None, "rows are kept only in a file that was there when the build began"  # noqa: S101
        writer.copy(source, rows.start, rows.length)
    return Rows(True, start, rows.length, rows.count)


def failure_rows(root: Node) -> Iterator[JsonObject]:
    """The lines of failures.jsonl in tree order: a parent's own shortage before what is below it."""
    if root.failure is not None:
        yield root.failure.row()
    for node in walk(root):
        if node.leaf is not None:
            yield from node.leaf.failures
        elif node.failure is not None:
            yield node.failure.row()
