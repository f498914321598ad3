"""What people say by now of the tree that a dataset was made from, with their own items in it."""

from distill_build.curate.files import ITEM_SUFFIXES, TREE, file_of
from distill_build.curate.items_file import with_items
from distill_build.curate.tree_file import read_tree
from distill_build.errors import UsageError
from distill_build.graph import Graph
from distill_build.records import JsonObject
from distill_build.stages.readers import editable_of
from distill_build.subtree import NOTHING_SAID, TagByHand, whole_tree


def parts_by_hand(name: str, graph: Graph, recipe: JsonObject) -> TagByHand:
    """Of the dataset called `name`, whose stages are `graph` and whose settings, by stage, `recipe`.

    Raises ConfigurationError for a file that cannot be used.
    """
    topic, file = str(recipe["tree"]["topic"]), file_of(name, TREE)
    tree = (read_tree(file, topic) if file is not None else None) or NOTHING_SAID
    return _with_items(tree, name, graph, recipe)


def refuse_nothing(tree: TagByHand, name: str, graph: Graph, recipe: JsonObject) -> None:
    """Raises UsageError where no build could be made with that `tree` in the place of the one that people have."""
    breadth, topic = recipe["tree"]["breadth"], recipe["tree"]["topic"]
    if whole_tree(_with_items(tree, name, graph, recipe), len(breadth), breadth).empty:
        raise UsageError(f"nothing would be left below {topic}: keep a tag, or add a question of your own first")


def _with_items(tree: TagByHand, name: str, graph: Graph, recipe: JsonObject) -> TagByHand:
    topic = str(recipe["tree"]["topic"])
    for shape in graph:
        if shape.kind == "list" and shape.after is not None:
            (column,) = editable_of(shape, recipe.get(shape.name, {})).columns
            places = [
                place for suffix in ITEM_SUFFIXES if (place := file_of(name, f"{shape.name}{suffix}")) is not None
            ]
            tree = with_items(tree, places, shape.name, column, topic)
    return tree
