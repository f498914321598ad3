"""`tree`: prints the tag tree with the counts of every stage, and what is missing where.

The dataset's files are read in one pass each.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec

from distill_build.commands.locate import find_dataset
from distill_build.console.page import print_document
from distill_build.dataset.layout import FAILURES, Dataset
from distill_build.dataset.rows import FailureRow, Placed, TagRow, VerdictRow, read_rows
from distill_build.errors import StorageError
from distill_build.graph import Graph, Shape
from distill_build.options import Options
from distill_build.records import JsonObject, rows_of
from distill_build.records import Path as TagPath
from distill_build.stages.default import graph_in


@dataclass(slots=True)
class TagNode:
    """A tag, or the topic (`tag` is None). `counts` are by stage, of all that is here and below it; a tag is not below
    itself. Of a transform it is how many rows it dropped.

    `failures` are those of this very place: a parent short of tags, a leaf short of questions or answers.
    """

    path: TagPath
    tag: TagRow | None
    counts: Counter[str] = field(default_factory=Counter)
    failures: list[FailureRow] = field(default_factory=list)
    children: "list[TagNode]" = field(default_factory=list)

    @property
    def missing(self) -> int:
        """Items missing here and below."""
        return sum(row.missing for row in self.failures) + sum(child.missing for child in self.children)


@dataclass(frozen=True, slots=True)
class CountedTree:
    """`root` is the topic; `nodes` are the tags by id, in tree order. `reached` are the stages that have a file."""

    root: TagNode
    nodes: dict[str, TagNode]
    reached: tuple[Shape, ...]


def run(options: Options) -> int:
    """Prints the tree of the dataset that `options` name; -v adds the ids, which `show` takes."""
    dataset = find_dataset(options, *options.arguments)
    tree = load_tree(dataset, graph_in(dataset))
    if options.json:
        print_document(_document(tree.root, tree))
        return 0
    for line in _lines(tree, ids=options.verbose):
        print(line)
    return 0


def load_tree(dataset: Dataset, graph: Graph) -> CountedTree:
    """The tree of `dataset`. Raises StorageError for files that cannot be read or do not fit each other."""
    tags = dataset.artefact(graph.tree.file)
    nodes = {tag.id: TagNode(tag.path, tag) for tag in read_rows(tags, TagRow)}
    failures = list(read_rows(dataset.artefact(FAILURES), FailureRow))
    root = TagNode(_topic(dataset, nodes, failures), None)
    places = {node.path: node for node in (root, *nodes.values())}
    reached = tuple(shape for shape in graph if shape is graph.tree or dataset.artefact(shape.file).exists())
    for shape in reached:
        for path in _paths(dataset, graph, shape) if shape is not graph.tree else ():
            if (node := places.get(path)) is not None:
                node.counts[shape.name] += 1
    _hang(root, nodes, graph.tree, str(tags))
    for row in failures:
        if (node := places.get(row.path)) is not None:
            node.failures.append(row)
    return CountedTree(root, nodes, reached)


def _topic(dataset: Dataset, nodes: dict[str, TagNode], failures: list[FailureRow]) -> TagPath:
    """The path of the topic, which has no row of its own; a dataset with nothing in it is called by its folder."""
    paths = [*(node.path for node in nodes.values()), *(row.path for row in failures)]
    return paths[0][:1] if paths else (dataset.folder.resolve().name,)


def _paths(dataset: Dataset, graph: Graph, shape: Shape) -> Iterator[TagPath]:
    """Where the rows of a stage lie in the tree; of a transform those that it dropped."""
    rows = dataset.artefact(graph.rows_of(shape.name).file)
    if shape.kind != "transform":
        return (row.path for row in read_rows(rows, Placed))
    dropped = {row.id for row in read_rows(dataset.artefact(shape.file), VerdictRow) if not row.kept}
    return (row.path for row in read_rows(rows, Placed) if row.id in dropped) if dropped else iter(())


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
        parent.counts[tree.name] += 1


def _document(node: TagNode, tree: CountedTree) -> JsonObject:
    """The document of `tree --json`: the topic, and below it each tag with what its row says of it."""
    place: JsonObject = {"topic": node.path[0]}
    if node.tag is not None:
        place = {"id": node.tag.id, "number": node.tag.number, "label": node.tag.label, "leaf": node.tag.leaf}
    return {
        **place,
        "counts": {shape.name: node.counts[shape.name] for shape in tree.reached},
        "missing": node.missing,
        "failures": msgspec.to_builtins(node.failures),
        "children": [_document(child, tree) for child in node.children],
    }


def _lines(tree: CountedTree, *, ids: bool) -> Iterator[str]:
    """The tree as text; failures are marked where they happened, and added up at the top."""
    root = tree.root
    missing = f"  ! {root.missing} missing in all" if root.missing and root.children else ""
    yield f"{root.path[0]}  {counted(root, tree)}{marks(root)}{missing}"
    yield from _branches(root, tree, "", ids=ids)


def _branches(node: TagNode, tree: CountedTree, indent: str, *, ids: bool) -> Iterator[str]:
    for child in node.children:
        last = child is node.children[-1]
        text = f"{title(child, ids=ids)}  {counted(child, tree)}".rstrip() + marks(child)
        yield indent + ("└── " if last else "├── ") + text
        yield from _branches(child, tree, indent + ("    " if last else "│   "), ids=ids)


def title(node: TagNode, *, ids: bool) -> str:
    """Number and label of a tag, on one line whatever the label holds."""
    if node.tag is None:
        return node.path[0]
    label = " ".join(node.tag.label.split())
    return f"{node.tag.number} {label}" + (f"  {node.tag.id}" if ids else "")


def counted(node: TagNode, tree: CountedTree) -> str:
    """The counts that say something of `node`: tags of a parent alone, of transforms those that dropped something."""
    is_leaf = node.tag is not None and node.tag.leaf
    return ", ".join(counts_in_words(node.counts, tree.reached[is_leaf:]))


def counts_in_words(counts: Counter[str], stages: tuple[Shape, ...]) -> Iterator[str]:
    """Rows of each of `stages`: "5 questions", "1 dropped by dedup"."""
    for shape in stages:
        if shape.kind != "transform":
            yield rows_of(counts[shape.name], shape.name)
        elif counts[shape.name]:
            yield f"{counts[shape.name]:,} dropped by {shape.name}"


def marks(node: TagNode) -> str:
    """What is missing at this very place, by stage, with the causes."""
    missing = Counter[str]()
    causes: dict[str, dict[str, None]] = {}
    for row in node.failures:
        missing[row.stage] += row.missing
        causes.setdefault(row.stage, {})[row.cause] = None
    return "".join(f"  ! {rows_of(missing[stage], stage)} missing: {', '.join(causes[stage])}" for stage in missing)
