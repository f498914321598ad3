"""`tree --yaml`: the tags that a dataset has, as a tree.yaml."""

from msgspec.structs import replace

from distill_build.commands.look.counted_tree import CountedTree, TagNode
from distill_build.console.notes import say
from distill_build.curate.files import TREE, file_of
from distill_build.curate.tree_file import read_tree
from distill_build.curate.tree_text import tree_text
from distill_build.dataset.layout import Dataset
from distill_build.dataset.rows import TagRow
from distill_build.replies.labels import normalise
from distill_build.stages.identity import BY_HAND, tag_said_of
from distill_build.subtree import DEEPEST, NOTHING_SAID, Subtree, TagByHand, whole_tree

UNKNOWN = [1 << 30] * DEEPEST
"""Tags under each parent where nothing tells: room for all that are there."""


def tree_by_hand(dataset: Dataset, tree: CountedTree) -> str:
    """A tree.yaml that gives the tags which are there, with what was said of them besides when they were made.

    It goes by what the last build read: whoever has a shell write it over tree.yaml has emptied that one by now. With
    it in its place a build asks for nothing. Tags that are there for a person's own items alone do not stand in it.
    """
    recipe, name = dataset.recipe().get("tree", {}), dataset.name
    is_whole = dataset.state() is not None  # a lock alone has digests of what is long
    topic = recipe["topic"] if is_whole else tree.root.path[0]
    now = _said_now(name, topic)
    own = tag_said_of(recipe.get(BY_HAND, {})) if is_whole else now
    if now not in (own, NOTHING_SAID):
        say(f"{BY_HAND} says something else by now: this is the one that the tags were made with")
    breadth = recipe.get("breadth", UNKNOWN)
    return tree_text(_with_children(tree.root, whole_tree(own, len(breadth), breadth)), topic, name, topic)


def _said_now(name: str, topic: str) -> TagByHand:
    """What people say by now of the tree of a dataset."""
    file = file_of(name, TREE)
    return (read_tree(file, topic) if file is not None else None) or NOTHING_SAID


def _with_children(node: TagNode, subtree: Subtree) -> TagByHand:
    """What is said of a tag, with all children that it is to have: under `tags`, where they are there as they would be
    by hand, else those of a model's under `about`.

    Beside some by hand these go on with what stands before them in their list, and where one of them is excluded it
    keeps its number: under `tags` requests and numbers would be other ones.
    """
    own, children = subtree.own, _with_place(node, subtree)
    said = {normalise(label): below for label, below in {**own.about, **own.children}.items()}
    there = {
        tag.own_label: _with_children(child, subtree.below(said.get(normalise(tag.own_label), NOTHING_SAID)))
        for child, tag in children
    }
    as_by_hand = [_place(tag) for _, tag in children] == list(range(len(children)))
    if as_by_hand and not (own.children and subtree.filled):
        by_hand, listed = {**own.children, **there}, dict[str, TagByHand]()
    else:
        by_hand = {label: there.get(label, below) for label, below in own.children.items()}
        listed = {label: below for label, below in there.items() if label not in by_hand}
    known = set(map(normalise, there))
    others = {label: below for label, below in own.about.items() if normalise(label) not in known}
    return replace(own, children=by_hand, about={**listed, **others})


def _with_place(node: TagNode, subtree: Subtree) -> list[tuple[TagNode, TagRow]]:
    """The children that are there for more than a person's own items: such alone stand below leaves, and last."""
    if node.tag is not None and node.tag.leaf:
        return []
    places = len(subtree.own.children) + subtree.filled
    return [(child, child.tag) for child in node.children if child.tag is not None and _place(child.tag) < places]


def _place(tag: TagRow) -> int:
    """Its place among its siblings."""
    return int(tag.number.rpartition(".")[2]) - 1
