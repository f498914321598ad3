"""What holds at a tag and below it: the settings of a build, and what people say of that part of its tree. Pure."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

DEEPEST = 10
"""Levels of tags below the topic."""
Same = Callable[[str, str], bool]
"""Says of two labels whether they are one."""
ListLengths = Mapping[str, int]
"""Setting of a list's length (`questions_per_tag`) → the items that are wanted below a leaf."""


class OwnItem(msgspec.Struct, frozen=True):
    """An item of a list that is a person's own. `given` are the columns of what would be asked for of it; `place` is
    where it stands, as people are told it."""

    text: str
    given: dict[str, str] = {}
    place: str = ""


class ItemAt(msgspec.Struct, frozen=True):
    """An item of a person's own, and the labels of its place as they were typed, level 1 first.

    `keys` are those by which labels are the same, and `key` that of its text.
    """

    item: OwnItem
    key: str
    path: tuple[str, ...]
    keys: tuple[str, ...]


class AnswerByHand(msgspec.Struct, frozen=True):
    """What answers at a tag and below are held to in the place of what settings say: some of the `labels` of all, or
    another JSON `schema`, as the text that it is shown as. It says one of the two."""

    labels: tuple[str, ...] = ()
    schema: str | None = None


class TagByHand(msgspec.Struct, frozen=True):
    """What a person says of one tag: the node of it in tree.yaml.

    `children` are those by hand, in order, and with `only` there are no others. `about` says something of children that
    a model's list has, which stay where they are in it. `rename` gives children of either kind
    other labels to show, by their own; `exclude` names those of either kind that are not wanted, one by hand as it
    stands in `children`. `breadth` is the number of children, or one a level from here on; `depth` the levels of tags
    below; `counts` the items of lists at leaves; `description` what requests below are told, `answer` what answers
    below are held to. None is as above.
    `items` are a person's own of lists, by stage, and `holders` children that are there for such items if for nothing
    else. Neither stands in the file.
    """

    children: dict[str, "TagByHand"] = {}
    only: bool = False
    about: dict[str, "TagByHand"] = {}
    rename: dict[str, str] = {}
    exclude: tuple[str, ...] = ()
    breadth: int | list[int] | None = None
    depth: int | None = None
    counts: dict[str, int] = {}
    description: str | None = None
    answer: AnswerByHand | None = None
    items: dict[str, tuple[OwnItem, ...]] = {}
    holders: dict[str, "TagByHand"] = {}

    @property
    def wanted(self) -> dict[str, "TagByHand"]:
        """The children by hand without those that are excluded, which keep their places all the same."""
        return {label: below for label, below in self.children.items() if label not in self.exclude}

    def shown(self, label: str, same: Same) -> str:
        """What a child is called."""
        if not self.rename or label in self.rename:
            return self.rename.get(label, label)
        return next((new for old, new in self.rename.items() if same(old, label)), label)

    def items_by_stage(self) -> Counter[str]:
        """How many items a person has of each list here and below."""
        found = Counter({stage: len(items) for stage, items in self.items.items()})
        for below in (*self.children.values(), *self.holders.values()):
            found += below.items_by_stage()
        return found

    def is_excluded(self, label: str, same: Same) -> bool:
        """Whether a person does not want the child that has this label."""
        return any(same(each, label) for each in self.exclude)

    def of_child(self, label: str, same: Same) -> "TagByHand":
        """What a person says of the child that has this label, be it by hand or a model's."""
        told = {**self.about, **self.children}
        return told.get(label) or next((below for each, below in told.items() if same(each, label)), NOTHING_SAID)

    def is_taken(self, label: str, same: Same) -> bool:
        """Whether a person gave another child the label that this one would be shown by."""
        if not self.rename:
            return False
        shown = self.shown(label, same)
        return any(same(new, shown) and not same(old, label) for old, new in self.rename.items())


TREE_FILE = "tree.yaml"
CHILDREN, ABOUT, EXCLUDE = "tags", "about", "exclude"
"""The keys of the children by hand, of what is said of a model's, and of those not wanted, as people write them."""
ANSWER, ANSWER_LABELS, ANSWER_SCHEMA = "answer", "labels", "schema"
NOTHING_SAID = TagByHand()


def said_of(tag: TagByHand) -> dict[str, Any]:
    """What is said of a tag and below, as plain data: the same for what means the same, however it is written."""
    return {
        **({CHILDREN: {label: said_of(below) for label, below in tag.children.items()}} if tag.children else {}),
        **({"only": True} if tag.only else {}),
        **({ABOUT: {label: said_of(below) for label, below in sorted(tag.about.items())}} if tag.about else {}),
        **({"rename": dict(sorted(tag.rename.items()))} if tag.rename else {}),
        **({"exclude": sorted(tag.exclude)} if tag.exclude else {}),
        **{key: said for key in ("breadth", "depth", "description") if (said := getattr(tag, key)) is not None},
        **({ANSWER: _said_of_answers(tag.answer)} if tag.answer is not None else {}),
        **tag.counts,
    }


def _said_of_answers(said: AnswerByHand) -> dict[str, Any]:
    return {ANSWER_LABELS: list(said.labels)} if said.schema is None else {ANSWER_SCHEMA: said.schema}


def answers_said(tag: TagByHand, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], AnswerByHand]]:
    """What is said of answers at a tag and below, each with the labels that lead there."""
    if tag.answer is not None:
        yield path, tag.answer
    for label, below in {**tag.children, **tag.about}.items():
        yield from answers_said(below, (*path, label))


def answer_at(tag: TagByHand, path: Iterable[str], same: Same) -> AnswerByHand | None:
    """What answers are held to at the end of `path` below a tag, by the labels that people see, else by own ones."""
    found = tag.answer
    for label in path:
        own = next((old for old, new in tag.rename.items() if same(new, label)), label)
        tag = tag.of_child(own, same)
        found = tag.answer or found
    return found


def own_items_of(tag: TagByHand, stage: str) -> dict[str, Any]:
    """A person's own items of a list at a tag and below, as plain data without what has none."""
    below = {**tag.holders, **tag.children}
    found = {label: items for label, each in below.items() if (items := own_items_of(each, stage))}
    own = [[item.text, item.given] for item in tag.items.get(stage, ())]
    return {**({"here": own} if own else {}), **({"below": found} if found else {})}


def all_items(
    tag: TagByHand, stage: str, same: Same, *, said: TagByHand | None = None, answer: AnswerByHand | None = None
) -> Iterator[tuple[OwnItem, AnswerByHand | None]]:
    """The same, one by one, each with what answers to it are held to: by what is `said` of the place, as for
    `with_items_at`, else as above (`answer`)."""
    said = tag if said is None else said
    answer = said.answer or answer
    yield from ((item, answer) for item in tag.items.get(stage, ()))
    for label, below in (*tag.children.items(), *tag.holders.items()):
        yield from all_items(below, stage, same, said=said.of_child(label, same), answer=answer)


def with_items_at(
    tag: TagByHand,
    stage: str,
    items: Sequence[ItemAt],
    key: Callable[[str], str],
    *,
    said: TagByHand | None = None,
    level: int = 0,
) -> TagByHand:
    """`tag` with a person's own items of a list at their places below it; of those that are the same at one place the
    first counts.

    Labels with the same `key` are the same. One that people see stands for the tag's own, by what is `said` of the
    place: of a tag that holds items alone, that stands elsewhere. So whoever reads the places has own labels alone.
    """
    said = tag if said is None else said
    here: dict[str, OwnItem] = {}
    for each in items:
        if len(each.keys) == level:
            here.setdefault(each.key, each.item)
    told = {key(label): below for label, below in {**said.about, **said.children}.items()}
    known = {key(label): label for label in (*tag.holders, *tag.children)}
    children, holders = dict(tag.children), dict(tag.holders)
    for (name, label), below in _below(said, items, key, level).items():
        label = known.get(name, label)
        there = children if label in children else holders
        there[label] = with_items_at(
            there.get(label, NOTHING_SAID), stage, below, key, said=told.get(name, NOTHING_SAID), level=level + 1
        )
    own = {**tag.items, stage: tuple(here.values())} if here else tag.items
    return replace(tag, items=own, children=children, holders=holders)


def _below(
    said: TagByHand, items: Sequence[ItemAt], key: Callable[[str], str], level: int
) -> dict[tuple[str, str], list[ItemAt]]:
    """The items that lie deeper, by key and label of the child of which that is `said` below which they do. A label
    that is one's own and another's new one is one's own: so files that programs write say the same for ever."""
    renamed = {key(own): own for own in said.rename}
    own_labels = {key(new): own for own, new in said.rename.items() if key(new) not in renamed}
    names: dict[str, tuple[str, str]] = {}
    found: dict[tuple[str, str], list[ItemAt]] = {}
    for each in items:
        if len(each.keys) > level:
            name = each.keys[level]
            if (own := own_labels.get(name)) is not None:
                name = key(own)
            found.setdefault(names.setdefault(name, (name, own or each.path[level])), []).append(each)
    return found


class Subtree(msgspec.Struct, frozen=True):
    """A tag and what is below it. `own` is what a person says of the tag itself.

    `depth` is the number of levels below it, as far as a model fills them; `breadths` are the tags under each parent,
    by level, the last for all levels behind. `counts` are those of lists that are not as the settings say, and
    `description` and `answer` are the nearest ones that a person gave. One that is `held` is there for a person's own
    items alone, and one at the `top` is the topic's: no tag, and never a leaf.
    """

    depth: int
    breadths: tuple[int, ...]
    own: TagByHand = NOTHING_SAID
    counts: ListLengths = {}
    description: str | None = None
    answer: AnswerByHand | None = None
    held: bool = False
    top: bool = False

    @property
    def filled(self) -> int:
        """Children that are to come from a model's list."""
        if self.own.only or self.depth == 0:
            return 0
        return max(0, self.breadths[0] - len(self.own.children))

    @property
    def listed(self) -> int:
        """Items of that list. It is as long as if nothing were by hand: so a person adds or takes over a tag, and no
        request beside it is another one."""
        return self.breadths[0] if self.filled else 0

    @property
    def leaf(self) -> bool:
        """Whether it is a tag that lists hang on: it has no children, nor is to have any."""
        return not self.top and not self.own.children and (self.own.only or self.depth == 0)

    def below(self, own: TagByHand = NOTHING_SAID) -> "Subtree":
        """That of a child of which a person says `own`."""
        breadths = self.breadths[1:] or self.breadths
        below = subtree_of(own, max(0, self.depth - 1), breadths, self.counts, self.description, self.answer)
        return replace(below, held=True, depth=0) if self.held else below

    def length_of(self, list_length: str, usual: int) -> int:
        """Items of a model's that a list is to have below its tag, by the setting of the list's length: so many as
        `usual`, unless a person says otherwise."""
        return 0 if self.held else self.counts.get(list_length, usual)

    def children_by(self, key: Callable[[str], str]) -> Callable[[str, int], "Subtree"]:
        """Finds that of the child which has a label, be it its own or the one that people see, and which is number so
        much of its siblings. Labels with the same `key` are the same, and the first of them counts."""
        told = {**self.own.about, **self.own.children}
        own_labels = {key(new): old for old, new in reversed(self.own.rename.items())}
        told_by_key = {key(label): below for label, below in reversed(told.items())}
        known = len(self.own.children) + self.filled

        def child_at(label: str, index: int) -> Subtree:
            if index >= known:  # behind all others
                return self.holding(NOTHING_SAID)
            own = own_labels.get(key(label), label)
            return self.below(told[own] if own in told else told_by_key.get(key(own), NOTHING_SAID))

        return child_at

    def holding(self, own: TagByHand) -> "Subtree":
        """That of a child which is there for a person's own items alone."""
        return replace(self, held=True).below(own)

    @property
    def empty(self) -> bool:
        """Whether there is to be no leaf at or below it, nor an item of a person's own."""
        if self.leaf or self.filled or self.own.items or self.own.holders:
            return False
        return all(self.below(own).empty for own in self.own.wanted.values())


def subtree_of(
    own: TagByHand,
    depth: int,
    breadths: tuple[int, ...],
    counts: ListLengths,
    description: str | None,
    answer: AnswerByHand | None,
) -> Subtree:
    """A subtree with what its tag's node says in the place of what comes from above."""
    typed = own.breadth
    if typed is not None:
        breadths = tuple(typed) if isinstance(typed, list) else (typed,)
    return Subtree(
        depth=depth if own.depth is None else own.depth,
        breadths=breadths,
        own=own,
        counts={**counts, **own.counts} if own.counts else counts,
        description=description if own.description is None else own.description,
        answer=own.answer or answer,
    )


def whole_tree(by_hand: TagByHand, depth: int, breadth: int | list[int]) -> Subtree:
    """A whole tree, as settings and a person's own file declare it."""
    breadths = tuple(breadth) if isinstance(breadth, list) else (breadth,)
    return replace(subtree_of(by_hand, depth, breadths, {}, None, None), top=True)
