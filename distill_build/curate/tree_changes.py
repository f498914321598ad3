"""Changes to a tree.yaml that leave every other character of it, comments above all, as it was typed.

A path is the labels of a model's own from level 1 on. What is said below a tag that is not by hand goes under `about`,
so that the tag stays where it is: under `tags` it would be by hand, the first of its siblings, and repeats that are
dropped would be other ones.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from distill_build.curate.tree_splices import TreeText
from distill_build.errors import UsageError
from distill_build.subtree import ABOUT, CHILDREN, EXCLUDE

TagPath = tuple[str, ...]


class TreeChange(msgspec.Struct, frozen=True):
    """One change, of the tag at `path`: each kind of it is a class that `make`s it.

    Raises UsageError for the path of the topic, of which none of them can be said.
    """

    path: TagPath

    def __post_init__(self) -> None:
        if not self.path:
            raise UsageError("that is the topic itself, not a tag below it: name a tag")

    def make(self, tree: TreeText) -> None:
        """Carries it out on what the file says."""
        raise NotImplementedError


class Exclude(TreeChange, frozen=True):
    """Throws a tag out. One by hand stands under `tags` still: it keeps its place, and comes back as it was."""

    def make(self, tree: TreeText) -> None:
        tree.say(_nested((*keys_of(tree, self.path[:-1]), EXCLUDE), [self.path[-1]]))


class Include(TreeChange, frozen=True):
    """Has a tag again that was thrown out."""

    def make(self, tree: TreeText) -> None:
        tree.take((*keys_of(tree, self.path[:-1]), EXCLUDE), self.path[-1])


class Rename(TreeChange, frozen=True):
    """Shows a tag by another label; by its own where that is `shown`."""

    shown: str

    def make(self, tree: TreeText) -> None:
        keys, label = (*keys_of(tree, self.path[:-1]), "rename"), self.path[-1]
        if label == self.shown:
            tree.take(keys, label)
        else:
            tree.say(_nested(keys, {label: self.shown}))


class Add(TreeChange, frozen=True):
    """Adds a tag by hand, or has one again that was thrown out."""

    def make(self, tree: TreeText) -> None:
        Include(self.path).make(tree)
        tree.say(_nested((*keys_of(tree, self.path[:-1]), CHILDREN), {self.path[-1]: None}))


def amended(text: str, changes: Sequence[TreeChange]) -> str:
    """The text of a tree.yaml, which can be read, with `changes` in it."""
    tree = TreeText(text)
    for change in changes:
        change.make(tree)
    return tree.text


def keys_of(tree: TreeText, path: TagPath) -> tuple[str, ...]:
    """The keys, from the file's own node on, below which the tag at `path` stands, or is to stand."""
    keys: tuple[str, ...] = ()
    for label in path:
        keys = (*keys, CHILDREN if tree.has((*keys, CHILDREN), label) else ABOUT, label)
    return keys


def _nested(keys: tuple[str, ...], said: Any) -> Any:
    for key in reversed(keys):
        said = {key: said}
    return said
