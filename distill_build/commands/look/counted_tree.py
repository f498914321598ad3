"""The tree of a dataset with the counts of every stage, and what is missing where.

The dataset's files are read in one pass each.
"""

from collections import Counter
from collections.abc import Iterator

import msgspec

from distill_build.dataset.layout import FAILURES, Dataset
from distill_build.dataset.rows import FailureRow, Placed, TagRow, VerdictRow, read_rows
from distill_build.errors import StorageError
from distill_build.graph import Graph, Shape
from distill_build.records import Path as TagPath


class TagNode(msgspec.Struct):
    """A tag, or the topic (`tag` is None). `counts` are by stage, of all that is here and below it; a tag is not below
    itself. Of a transform these are the rows that it judged, and `dropped` those of them that it dropped.

    `failures` are those of this very place: a parent short of tags, a leaf short of questions or answers.
    """

    path: TagPath
    tag: TagRow | None
    counts: Counter[str] = msgspec.field(default_factory=Counter)
    dropped: Counter[str] = msgspec.field(default_factory=Counter)
    failures: list[FailureRow] = msgspec.field(default_factory=list)
    children: "list[TagNode]" = msgspec.field(default_factory=list)

    @property
    def missing(self) -> int:
        """Items missing here and below."""
        return sum(row.missing for row in self.failures) + sum(child.missing for child in self.children)


class CountedTree(msgspec.Struct, frozen=True):
    """`root` is the topic; `nodes` are the tags by id, in tree order. `reached` are the stages that have a file."""

    root: TagNode
    nodes: dict[str, TagNode]
    reached: tuple[Shape, ...]


def load_tree(dataset: Dataset, graph: Graph) -> CountedTree:
    """The tree of `dataset`. Raises StorageError for files that cannot be read or do not fit each other."""
    tags = dataset.artefact(graph.tree.file)
    nodes = {tag.id: TagNode(tag.path, tag) for tag in read_rows(tags, TagRow)}
    failures = list(read_rows(dataset.artefact(FAILURES), FailureRow))
    root = TagNode(_topic(dataset, nodes, failures), None)
    places = {node.path: node for node in (root, *nodes.values())}
    reached = tuple(shape for shape in graph if shape is graph.tree or dataset.artefact(shape.file).exists())
    for shape in reached:
        for path, dropped in _places(dataset, graph, shape) if shape is not graph.tree else ():
            if (node := places.get(path)) is not None:
                node.counts[shape.name] += 1
                node.dropped[shape.name] += dropped
    _hang(root, nodes, graph.tree, str(tags))
    for row in failures:
        if (node := places.get(row.path)) is not None:
            node.failures.append(row)
    return CountedTree(root, nodes, reached)


def _topic(dataset: Dataset, nodes: dict[str, TagNode], failures: list[FailureRow]) -> TagPath:
    """The path of the topic, which has no row of its own; a dataset with nothing in it is called by its folder."""
    paths = [*(node.path for node in nodes.values()), *(row.path for row in failures)]
    return paths[0][:1] if paths else (dataset.folder.resolve().name,)


def _places(dataset: Dataset, graph: Graph, shape: Shape) -> Iterator[tuple[TagPath, bool]]:
    """Where the rows of a stage lie in the tree, of a transform those that it judged; and whether it dropped them."""
    rows = read_rows(dataset.artefact(graph.rows_of(shape.name).file), Placed)
    if shape.kind != "transform":
        return ((row.path, False) for row in rows)
    kept = {row.id: row.kept for row in read_rows(dataset.artefact(shape.file), VerdictRow)}
    return ((row.path, not kept[row.id]) for row in rows if row.id in kept)


def _hang(root: TagNode, nodes: dict[str, TagNode], tree: Shape, file: str) -> None:
    """Puts every tag under its parent, and adds up the counts. Parents stand before their children."""
    parents = []
    for node in nodes.values():
        above = node.tag and node.tag.parent
        parent = nodes.get(above) if above else root
        if parent is None:
            raise StorageError(f"{file} names the parent {above}, which is not in it: build the dataset again")
        parent.children.append(node)
        parents.append(parent)
    for node, parent in zip(reversed(nodes.values()), reversed(parents), strict=True):
        parent.counts.update(node.counts)
        parent.dropped.update(node.dropped)
        parent.counts[tree.name] += 1
