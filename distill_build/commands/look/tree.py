"""`tree`: prints the tag tree with the counts of every stage, and what is missing where."""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from distill_build.commands.locate import find_rows
from distill_build.commands.look.counted_tree import CountedTree, TagNode, load_tree
from distill_build.console.page import print_document
from distill_build.graph import Shape
from distill_build.options import Options
from distill_build.project import from_cwd
from distill_build.records import JsonObject, rows_of
from distill_build.stages.default import graph_in


def run(options: Options) -> int:
    """Prints the tree of the dataset that `options` name; -v adds the ids, which `show` takes."""
    if options.outline is not None:
        return _print_outline(options.outline)
    with find_rows(options, *options.arguments) as dataset:
        tree = load_tree(dataset, graph_in(dataset))
    if options.yaml:
        from distill_build.commands.look.tree_by_hand import tree_by_hand  # it reads YAML, which takes time to import

        print(tree_by_hand(dataset, tree), end="")
        return 0
    if options.json:
        print_document(_document(tree.root, tree))
        return 0
    for line in _lines(tree, ids=options.verbose):
        print(line)
    return 0


def _print_outline(file: str) -> int:
    from distill_build.curate.outline import read_outline
    from distill_build.curate.tree_text import tree_text

    place = Path(from_cwd(file))
    print(tree_text(read_outline(place), place.stem, "NAME"), end="")
    return 0


def _document(node: TagNode, tree: CountedTree) -> JsonObject:
    """The document of `tree --json`: the topic, and below it each tag with what its row says of it."""
    place: JsonObject = {"topic": node.path[0]}
    if node.tag is not None:
        place = {"id": node.tag.id, "number": node.tag.number, "label": node.tag.label, "leaf": node.tag.leaf}
        place["flags"] = list(node.tag.flags)
    return {
        **place,
        **figures(node, tree),
        "missing": node.missing,
        "failures": msgspec.to_builtins(node.failures),
        "children": [_document(child, tree) for child in node.children],
    }


def figures(node: TagNode, tree: CountedTree) -> JsonObject:
    """How many rows of each stage are here and below, and how many each transform dropped."""
    transforms = [shape for shape in tree.reached if shape.kind == "transform"]
    return {
        "counts": {shape.name: node.counts[shape.name] for shape in tree.reached},
        "dropped": {shape.name: node.dropped[shape.name] for shape in transforms},
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
        flags = "".join(f"  ~ {flag}" for flag in child.tag.flags) if child.tag is not None else ""
        text = f"{title(child, ids=ids)}  {counted(child, tree)}".rstrip() + flags + marks(child)
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
    return ", ".join(counts_in_words(node.counts, node.dropped, tree.reached[is_leaf:]))


def counts_in_words(counts: Mapping[str, int], dropped: Mapping[str, int], stages: tuple[Shape, ...]) -> Iterator[str]:
    """Rows of each of `stages`: "5 questions"; of transforms what they dropped: "1 dropped by dedup"."""
    for shape in stages:
        if shape.kind != "transform":
            yield rows_of(counts[shape.name], shape.name)
        elif dropped[shape.name]:
            yield f"{dropped[shape.name]:,} dropped by {shape.name}"


def marks(node: TagNode) -> str:
    """What is missing at this very place, by stage, with the causes."""
    missing = Counter[str]()
    causes: dict[str, dict[str, None]] = {}
    for row in node.failures:
        missing[row.stage] += row.missing
        causes.setdefault(row.stage, {})[row.cause] = None
    return "".join(f"  ! {rows_of(missing[stage], stage)} missing: {', '.join(causes[stage])}" for stage in missing)
