"""Which tag of one version is which tag of another one, also under another label.

Tags with the same labels from the topic down are the same, whatever people call them. Of the rest, a tag is another one
renamed (or moved) where all below them is the same: the same labels and the same questions, ids and order aside. That
is a heuristic: of several subtrees that look alike, the one under the same parent is taken, then one with the same
label, then the first in the tree. A tag with nothing below it is never taken for another one, and neither is one below
which anything changed.
"""

import hashlib
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from distill_build.dataset.rows import TagRow

TOPIC = ""
"""The parent of tags on level 1."""
SubtreeDigest = bytes
"""Digest of all below a tag: labels and questions, without ids."""


class TagTree(msgspec.Struct, frozen=True):
    """The tags of one version, in tree order; `children` maps a tag's id, or TOPIC, to its tags by their own labels."""

    by_id: Mapping[str, TagRow]
    children: Mapping[str, Mapping[str, TagRow]]

    @property
    def topic(self) -> str | None:
        """The topic's text, None where there is not one tag."""
        return next((tag.path[0] for tag in self.by_id.values()), None)

    def below(self, tag: str) -> Iterator[TagRow]:
        """All tags below one, in tree order."""
        for child in self.children.get(tag, {}).values():
            yield child
            yield from self.below(child.id)

    def upwards(self, tag: str) -> Iterator[str]:
        """A tag, by its id, and all above it."""
        while tag != TOPIC:
            yield tag
            tag = self.by_id[tag].parent or TOPIC


def tree_of(rows: Iterable[TagRow]) -> TagTree:
    """The tree of the lines of tags.jsonl."""
    tags, children = {}, defaultdict[str, dict[str, TagRow]](dict)
    for row in rows:
        tags[row.id] = row
        children[row.parent or TOPIC][row.own_label] = row
    return TagTree(tags, dict(children))


class Matching(msgspec.Struct, frozen=True):
    """`pairs` maps ids of old tags to those of new ones; `renamed` are the tops of subtrees under another label."""

    pairs: dict[str, str] = msgspec.field(default_factory=dict)
    renamed: list[tuple[TagRow, TagRow]] = msgspec.field(default_factory=list)


class Matcher:
    """Two trees, matched by their labels; then by what is below, once the questions are known."""

    def __init__(self, old: TagTree, new: TagTree) -> None:
        self.old = old
        self.new = new
        self.matching = Matching()
        self._taken: set[str] = set()
        self._pair_below(TOPIC, TOPIC)

    @property
    def undecided(self) -> tuple[set[str], set[str]]:
        """The old and the new tags that have no counterpart so far."""
        return self.old.by_id.keys() - self.matching.pairs.keys(), self.new.by_id.keys() - self._taken

    def match_renamed(self, old_texts: Mapping[str, list[str]], new_texts: Mapping[str, list[str]]) -> None:
        """Finds renamed subtrees; the arguments are the questions of the undecided tags, by tag.

        Whole subtrees come before their parts, since a tag stands before those below it.
        """
        old_left, new_left = self.undecided
        candidates = _Candidates(self.new, _shapes(self.new, new_left, new_texts), self._taken)
        old_shapes = _shapes(self.old, old_left, old_texts)
        for search in (self._same_parent, self._anywhere):
            for key, shape in old_shapes.items():
                if key not in self.matching.pairs and (found := candidates.first(search(self.old.by_id[key], shape))):
                    self._pair(self.old.by_id[key], found)
                    self.matching.renamed.append((self.old.by_id[key], found))

    def _same_parent(self, tag: TagRow, shape: SubtreeDigest) -> list[tuple[SubtreeDigest, str, str]]:
        parent = TOPIC if tag.parent is None else self.matching.pairs.get(tag.parent)
        return [] if parent is None else [(shape, "parent", parent)]

    def _anywhere(self, tag: TagRow, shape: SubtreeDigest) -> list[tuple[SubtreeDigest, str, str]]:
        return [(shape, "label", tag.label), (shape, "", "")]

    def _pair(self, old: TagRow, new: TagRow) -> None:
        self.matching.pairs[old.id] = new.id
        self._taken.add(new.id)
        self._pair_below(old.id, new.id)

    def _pair_below(self, old: str, new: str) -> None:
        others = self.new.children.get(new, {})
        for label, child in self.old.children.get(old, {}).items():
            if label in others:
                if child.label != others[label].label:  # by hand
                    self.matching.renamed.append((child, others[label]))
                self._pair(child, others[label])


class _Candidates:
    """New tags that an old one may have become, in tree order, by shape with parent, with label, and alone."""

    def __init__(self, tree: TagTree, shapes: Mapping[str, SubtreeDigest], taken: set[str]) -> None:
        """`taken` grows while tags are matched."""
        self._taken = taken
        self._queues = defaultdict[tuple[SubtreeDigest, str, str], deque[TagRow]](deque)
        for key, shape in shapes.items():
            tag = tree.by_id[key]
            for place in (("parent", tag.parent or TOPIC), ("label", tag.label), ("", "")):
                self._queues[shape, *place].append(tag)

    def first(self, places: Iterable[tuple[SubtreeDigest, str, str]]) -> TagRow | None:
        """The first one that is free at the first of `places` that has any."""
        for place in places:
            queue = self._queues[place]
            while queue and queue[0].id in self._taken:
                queue.popleft()
            if queue:
                return queue[0]
        return None


def _shapes(tree: TagTree, wanted: set[str], texts: Mapping[str, list[str]]) -> dict[str, SubtreeDigest]:
    """The shapes of the `wanted` tags that have anything below them, in tree order."""
    shapes: dict[str, SubtreeDigest | None] = {}
    for tag in reversed(list(tree.by_id.values())):  # children come after their parents
        if tag.id in wanted:
            children = tree.children.get(tag.id, {})
            below = sorted((label, (shapes.get(child.id) or b"").hex()) for label, child in children.items())
            questions = sorted(texts.get(tag.id, []))
            content = msgspec.json.encode([below, questions])
            shapes[tag.id] = hashlib.sha256(content).digest() if below or questions else None
    return {key: shape for key, shape in reversed(shapes.items()) if shape is not None}
