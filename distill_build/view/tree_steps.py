"""A change of a tree that a person made on the page: whether it still stands, and what takes it back. Pure."""

from distill_build.curate.tree_changes import Exclude, Include, Rename, TreeChange
from distill_build.replies.labels import same_label
from distill_build.subtree import TagByHand


def stands(change: TreeChange, by_hand: TagByHand) -> bool:
    """Whether what people say of the tree is as after the change, whatever else they have said since."""
    match change:
        case Exclude():
            return _is_excluded(change, by_hand)
        case Include():
            return not _is_excluded(change, by_hand)
        case Rename():
            return _shown(change, by_hand) == change.shown
    raise AssertionError(f"{change} is made by no hand on the page")


def opposite(change: TreeChange, before: TagByHand) -> TreeChange:
    """What takes the change back, where people had said `before` of the tree."""
    match change:
        case Exclude():
            return Include(change.path)
        case Include():
            return Exclude(change.path)
    return Rename(change.path, _shown(change, before))


def _is_excluded(change: TreeChange, by_hand: TagByHand) -> bool:
    return _parent(change, by_hand).is_excluded(change.path[-1], same_label)


def _shown(change: TreeChange, by_hand: TagByHand) -> str:
    return _parent(change, by_hand).shown(change.path[-1], same_label)


def _parent(change: TreeChange, by_hand: TagByHand) -> TagByHand:
    for label in change.path[:-1]:
        by_hand = by_hand.of_child(label, same_label)
    return by_hand
