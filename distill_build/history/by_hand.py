"""What people say by now of the tree that a dataset was made from, with their own items in it."""

from distill_build.curate.files import ITEM_SUFFIXES, TREE, file_of
from distill_build.curate.items_file import with_items
from distill_build.curate.tree_file import read_tree
from distill_build.graph import Graph
from distill_build.records import JsonObject
from distill_build.stages.all import editable_of
from distill_build.subtree import NOTHING_SAID, TagByHand


def parts_by_hand(name: str, graph: Graph, recipe: JsonObject) -> TagByHand:
    """Of the dataset called `name`, whose stages are `graph` and whose settings, by stage, `recipe`.

    Raises ConfigurationError for a file that cannot be used.
    """
    topic, file = str(recipe["tree"]["topic"]), file_of(name, TREE)
    tree = (read_tree(file, topic) if file is not None else None) or NOTHING_SAID
    for shape in graph:
        if shape.kind == "list" and shape.after is not None:
            (column,) = editable_of(shape, recipe.get(shape.name, {})).columns
            places = [
                place for suffix in ITEM_SUFFIXES if (place := file_of(name, f"{shape.name}{suffix}")) is not None
            ]
            tree = with_items(tree, places, shape.name, column, topic)
    return tree
