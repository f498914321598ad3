"""What differs between two versions of a dataset, row by row, stage by stage; their stages may differ.

A row is the same where its id is, or would be if renamed tags had kept their labels (see `tag_matching`): ids of rows
are made of those above. It changes where any of its content does. Only chunks that the versions do not share are read,
and of texts only hashes are kept.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping

import msgspec

from distill_build.dataset.rows import TagRow
from distill_build.graph import Graph, Shape
from distill_build.records import row_id
from distill_build.review import ReviewVerdict
from distill_build.versions.content import rows_in, shared_chunks
from distill_build.versions.difference_rows import Item, Mark, VersionRows
from distill_build.versions.tag_matching import TOPIC, Matcher, Matching, TagTree, tree_of


class Changed(msgspec.Struct, frozen=True, gc=False):
    """A row as it is in the new version and as it was in the old one, and the columns whose content differs.

    `reviews` are what people had said of it in the old version, and in the new one.
    """

    item: Item
    old: Item
    columns: tuple[str, ...]
    reviews: tuple[ReviewVerdict | None, ReviewVerdict | None] = (None, None)


class StageDifference(msgspec.Struct):
    """The rows of one stage. `removed` are those of the old version, all others are of the new one.

    `other_request` counts those among the same that came from another request.
    """

    added: list[Item] = msgspec.field(default_factory=list)
    removed: list[Item] = msgspec.field(default_factory=list)
    changed: list[Changed] = msgspec.field(default_factory=list)
    same: int = 0
    other_request: int = 0

    @property
    def differs(self) -> bool:
        """Whether there is anything but rows that are the same."""
        return bool(self.added or self.removed or self.changed)


class Moves:
    """The ids that rows of the old version would have, had renamed tags always had their new labels."""

    def __init__(self, old: Graph, pairs: Mapping[str, str]) -> None:
        """`pairs` maps old tags to new ones. `moved` grows stage by stage: it holds those whose id would be another."""
        self.moved = {before: after for before, after in pairs.items() if before != after}
        self._needed = {name for shape in old for name in (shape.after, shape.by)}

    def keyed(self, shape: Shape, marks: Iterable[Mark]) -> dict[str, Mark]:
        """The rows of a stage by those ids. All stages above come before."""
        if not self.moved:
            return {mark.id: mark for mark in marks}
        rows = {self.key(shape, mark, mark.text): mark for mark in marks}
        if shape.name in self._needed:
            self.moved |= {mark.id: key for key, mark in rows.items() if key != mark.id}
        return rows

    def key(self, shape: Shape, item: Item, text: str = "") -> str:
        """The id of one row; `text` is that of a list."""
        parent = self.moved.get(item.parent)
        if parent is None or shape.kind == "transform":
            return item.id if parent is None else parent
        if shape.kind == "group":
            return row_id(shape.prefix, parent)
        return row_id(shape.prefix, parent, text if shape.kind == "list" else item.sample)


class Difference(msgspec.Struct, frozen=True):
    """All that differs, by stage: those that either version has, in order. A renamed tag is neither added nor removed;
    what is below it is the same.
    """

    old: TagTree
    new: TagTree
    matching: Matching
    moves: Moves
    tree: str
    stages: dict[str, StageDifference]

    @property
    def renamed(self) -> list[tuple[TagRow, TagRow]]:
        """The tops of renamed subtrees, old and new."""
        return self.matching.renamed


def stages_of(old: Graph, new: Graph) -> list[str]:
    """The stages that either graph has: those of the new one, and each of the others behind what it came after."""
    names, before = list(new.names), ""
    for name in old.names:
        if name not in names:
            names.insert(names.index(before) + 1 if before else 0, name)
        before = name
    return names


def compare(old: VersionRows, new: VersionRows) -> Difference:
    """What differs between two versions. Raises StorageError where a file cannot be read."""
    matcher = Matcher(_tree(old), _tree(new))
    lists = _lists(old, new, matcher)
    moves, found = Moves(old.graph, matcher.matching.pairs), dict[str, StageDifference]()
    for name in stages_of(old.graph, new.graph):
        if new.graph.tree.name == name:
            found[name] = _tags(matcher)
        elif name != old.graph.tree.name:
            before, after = lists[name] if name in lists else _marks(old, new, name)
            keyed = moves.keyed(old.graph[name], before) if name in old.graph else {}
            found[name] = _stage(keyed, after, new.content.lines(f"{name}.jsonl") if name in new.graph else 0)
    return Difference(matcher.old, matcher.new, matcher.matching, moves, new.graph.tree.name, found)


def _tree(rows: VersionRows) -> TagTree:
    return tree_of(rows_in(rows.content, rows.graph.tree.file, TagRow))


def _marks(old: VersionRows, new: VersionRows, name: str) -> tuple[Iterable[Mark], Iterable[Mark]]:
    """The rows of a stage that the versions do not share."""
    shared = shared_chunks(old.content, new.content, f"{name}.jsonl")
    return tuple(side.marks(side.graph[name], shared) if name in side.graph else () for side in (old, new))  # type: ignore[return-value]  # there are two


def _lists(old: VersionRows, new: VersionRows, matcher: Matcher) -> dict[str, tuple[list[Mark], list[Mark]]]:
    """The rows of lists below tags, which say what tags were renamed."""
    lists: dict[str, tuple[list[Mark], list[Mark]]] = {}
    for name in stages_of(old.graph, new.graph):
        shapes = [side.graph[name] for side in (old, new) if name in side.graph]
        if all(shape.kind == "list" and shape.after is not None for shape in shapes):
            before, after = _marks(old, new, name)
            lists[name] = (list(before), list(after))
    old_left, new_left = matcher.undecided
    if old_left and new_left:
        sides = zip(*lists.values(), strict=True) if lists else ((), ())
        matcher.match_renamed(*map(_texts, sides, (old_left, new_left)))
    return lists


def _texts(lists: Iterable[list[Mark]], tags: set[str]) -> dict[str, list[str]]:
    """The texts of lists below `tags`."""
    texts = defaultdict[str, list[str]](list)
    for marks in lists:
        for mark in marks:
            if mark.parent in tags:
                texts[mark.parent].append(mark.text)
    return texts


def _tags(matcher: Matcher) -> StageDifference:
    old_left, new_left = matcher.undecided
    return StageDifference(
        added=[_tag(tag) for key, tag in matcher.new.by_id.items() if key in new_left],
        removed=[_tag(tag) for key, tag in matcher.old.by_id.items() if key in old_left],
        same=len(matcher.matching.pairs) - len(matcher.matching.renamed),
    )


def _tag(tag: TagRow) -> Item:
    return Item(tag.id, tag.parent or TOPIC)


def _stage(before: dict[str, Mark], after: Iterable[Mark], total: int) -> StageDifference:
    """`before` are the old rows by the ids that they would have now; `total` counts the new rows, shared ones too."""
    found, known = StageDifference(), dict[tuple[str, ...], tuple[str, ...]]()
    for mark in after:
        other = before.pop(mark.id, None)
        if other is None:
            found.added.append(mark.item)
        elif other.hashes == mark.hashes and other.columns == mark.columns:
            found.other_request += other.call != mark.call
        elif columns := other.differing(mark):
            reviews = other.review, mark.review
            found.changed.append(Changed(mark.item, other.item, known.setdefault(columns, columns), reviews))
        else:
            found.other_request += other.call != mark.call
    found.removed = [mark.item for mark in before.values()]
    found.same = total - len(found.added) - len(found.changed)
    return found
