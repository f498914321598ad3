"""`tree`: prints the tag tree with counts, and what is missing where."""

import json
from collections import Counter
from collections.abc import Iterator

import msgspec

from distill_build.commands.locate import find_dataset
from distill_build.commands.tag_tree import TagNode, TagTree, load_tree
from distill_build.options import Options
from distill_build.records import JsonObject, number_of


def run(options: Options) -> int:
    """Prints the tree of the dataset that `options` name; -v adds the ids, which `show` takes."""
    tree = load_tree(find_dataset(options, *options.arguments))
    if options.json:
        print(json.dumps(document(tree.root, tree), ensure_ascii=False, indent=2))
        return 0
    for line in lines(tree, ids=options.verbose):
        print(line)
    return 0


def document(node: TagNode, tree: TagTree) -> JsonObject:
    """The document of `tree --json`: the topic, and below it each tag with what `tags.jsonl` says of it."""
    counts = {"tags": node.tags, "questions": node.questions, "answers": node.answers}
    place: JsonObject = {"topic": node.path[0]}
    if node.tag is not None:
        place = {"id": node.tag.id, "number": node.tag.number, "label": node.tag.label, "leaf": node.tag.leaf}
    return {
        **place,
        **{name: counts[name] for name in tree.reached},
        "missing": node.missing,
        "failures": msgspec.to_builtins(node.failures),
        "children": [document(child, tree) for child in node.children],
    }


def lines(tree: TagTree, *, ids: bool) -> Iterator[str]:
    """The tree as text; failures are marked where they happened, and added up at the top."""
    root = tree.root
    missing = f"  ! {root.missing} missing in all" if root.missing and root.children else ""
    yield f"{root.path[0]}  {counted(root, tree)}{marks(root)}{missing}"
    yield from _branches(root, tree, "", ids=ids)


def _branches(node: TagNode, tree: TagTree, indent: str, *, ids: bool) -> Iterator[str]:
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


def counted(node: TagNode, tree: TagTree) -> str:
    """The counts that say something of `node`: tags of a parent alone, questions and answers where there are any."""
    is_leaf = node.tag is not None and node.tag.leaf
    counts = {"tag": node.tags, "question": node.questions, "answer": node.answers}
    shown = [name for name in counts if f"{name}s" in tree.reached and not (is_leaf and name == "tag")]
    return ", ".join(number_of(counts[name], f"{name}s") for name in shown)


def marks(node: TagNode) -> str:
    """What is missing at this very place, by stage, with the causes."""
    missing = Counter[str]()
    causes: dict[str, dict[str, None]] = {}
    for row in node.failures:
        missing[row.stage] += row.missing
        causes.setdefault(row.stage, {})[row.cause] = None
    return "".join(f"  ! {number_of(missing[stage], stage)} missing: {', '.join(causes[stage])}" for stage in missing)
