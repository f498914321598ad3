"""What people have said by now of a dataset's rows and tree, and which of it waits for a build.

What the last build took in stands in its state and in the settings that its rows were made with; what differs waits.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, Literal

import msgspec

from distill_build.curate.files import ITEM_SUFFIXES, REVIEWS, TREE, file_of, stamp_of
from distill_build.curate.reviews_file import read_reviews
from distill_build.dataset.layout import ReviewNote
from distill_build.dataset.lockfile import facts_of, recipe_in
from distill_build.engine.manifest import digest
from distill_build.history.by_hand import parts_by_hand
from distill_build.replies.labels import same_label
from distill_build.report.families import TITLE
from distill_build.review import REJECT, Review
from distill_build.stages.identity import BY_HAND, tag_said_of, tree_said
from distill_build.subtree import NOTHING_SAID, TagByHand, own_items_of
from distill_build.view.snapshot import OwnPath, Snapshot

Standing = Literal["built", "waits", "left"]
"""Of a review: taken in by the last build; not yet; left as it was, for its text is another one now."""
Stamp = tuple[tuple[str, int, int, int], ...]


class SaidOfRow(msgspec.Struct, frozen=True, kw_only=True):
    """What stands of a row by now, and since which `number` it does."""

    verdict: str | None
    rating: int | None
    tags: tuple[str, ...]
    note: str | None
    text: dict[str, Any]
    standing: Standing
    why: str
    number: int


class SaidOfTag(msgspec.Struct, frozen=True, kw_only=True):
    """What waits of the tag with those labels: another label to show (its own takes a rename back), or that it goes or
    comes back."""

    path: OwnPath
    shown: str | None = None
    excluded: bool = False
    waits: bool = True


class OwnItemWaiting(msgspec.Struct, frozen=True):
    """An item of a person's own that has no row yet."""

    stage: str
    path: OwnPath
    text: str


class Said:
    """Of the dataset called `name`. It is read anew where a file has changed; `number` counts how often that was."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._stamp: Stamp | None = None
        self.number = 0
        self.reviews: Mapping[str, Review] = {}
        self.by_hand = TagByHand()
        self.rows: dict[str, SaidOfRow] = {}
        self.tree: list[SaidOfTag] = []
        self.items: list[OwnItemWaiting] = []

    def read(self, snapshot: Snapshot) -> None:
        """Reads what is new.

        Raises ConfigurationError for a file that cannot be used: then what was read before stands.
        """
        stamp = (("", hash(snapshot.name), 0, 0), *self._stamps(snapshot))
        if stamp == self._stamp:
            return
        file = file_of(self._name, REVIEWS)
        reviews = {} if file is None else read_reviews(file, snapshot.topic)
        by_hand = parts_by_hand(self._name, snapshot.graph, snapshot.recipe)
        self.reviews, self.by_hand, self._stamp = reviews, by_hand, stamp
        self.number += 1
        self._take_rows(snapshot)
        self.tree = list(_tags(_built_tree(snapshot, by_hand), by_hand))
        self.items = list(_items(by_hand, snapshot))

    @property
    def waiting(self) -> int:
        """How many of these a next build takes in."""
        rows = sum(row.standing == "waits" for row in self.rows.values())
        return rows + sum(tag.waits for tag in self.tree) + len(self.items)

    def _stamps(self, snapshot: Snapshot) -> Iterator[tuple[str, int, int, int]]:
        lists = [shape.name for shape in snapshot.graph if shape.kind == "list"]
        names = [REVIEWS, TREE, *(f"{name}{suffix}" for name in lists for suffix in ITEM_SUFFIXES)]
        for place in filter(None, (file_of(self._name, name) for name in names)):
            with suppress(FileNotFoundError):  # it has just gone
                yield str(place), *stamp_of(place)

    def _take_rows(self, snapshot: Snapshot) -> None:
        noted = snapshot.noted
        all_go_on = snapshot.recipe["export"]["rows"].get("reviewed") == "all"
        if noted is None:  # no state tells; the settings behind the rows say whether all of it is in them
            counted = {key: each.said for key, each in self.reviews.items() if each.verdict is not None}
            all_built = snapshot.recipe["tree"].get(REVIEWS) == digest(counted)
            noted = {key: ReviewNote(said, "", "") for key, said in counted.items()} if all_built else {}
        self.rows = {key: row for key, row in self.rows.items() if snapshot.has_row(key)}
        for key in {*self.reviews, *noted, *self.rows}:
            if snapshot.has_row(key):
                review = self.reviews.get(key, Review(key))
                found = _said_of_row(review, noted.get(key), self.number)
                if all_go_on and review.verdict == REJECT:  # no build takes it in
                    found = msgspec.structs.replace(found, standing="built")
                before = self.rows.get(key)
                if before is None or msgspec.structs.replace(before, number=found.number) != found:
                    self.rows[key] = found


def _said_of_row(review: Review, noted: ReviewNote | None, number: int) -> SaidOfRow:
    standing, why = _standing(review, noted)
    return SaidOfRow(
        verdict=review.verdict,
        rating=review.rating,
        tags=review.tags,
        note=review.note,
        text=review.text,
        standing=standing,
        why=why,
        number=number,
    )


def _standing(review: Review, noted: ReviewNote | None) -> tuple[Standing, str]:
    """Only what rows depend on waits: a rating or a note stands as it is said."""
    if noted is None:
        return ("built" if review.verdict is None else "waits"), ""
    if noted.said != review.said:
        return ("built" if review.verdict is None and noted.fault else "waits"), ""
    return ("left", noted.fault) if noted.fault else ("built", "")


def _built_tree(snapshot: Snapshot, now: TagByHand) -> TagByHand:
    """What was said of the tree as the rows were made. Where a lock alone tells, it has digests of what is long: it
    says whether that was the same as `now`, and else all of it counts as new."""
    built = snapshot.recipe["tree"].get(BY_HAND, {})
    if snapshot.noted is not None:
        return tag_said_of(built)
    return now if recipe_in(facts_of(tree_said(now))) == built else NOTHING_SAID


def _tags(built: TagByHand, now: TagByHand, path: OwnPath = (), *, moved: bool = False) -> Iterator[SaidOfTag]:
    """What is said of tags: of each rename and exclusion whether it waits, and one change for each tag of which
    anything else is said by now than there was; `moved` says that it came to those by hand, or is no more one."""
    if moved or _of_itself(built, now) != _of_itself(now, built):
        yield SaidOfTag(path=path)
    for label in {**now.rename, **built.rename}:
        before, shown = built.rename.get(label, label), now.rename.get(label, label)
        if shown != label or before != shown:
            yield SaidOfTag(path=(*path, label), shown=shown, waits=before != shown)
    for label in dict.fromkeys((*now.exclude, *built.exclude)):
        excluded = label in now.exclude
        yield SaidOfTag(path=(*path, label), excluded=excluded, waits=excluded != (label in built.exclude))
    for label in {**now.children, **now.about, **built.children, **built.about}:
        moved = (label in built.children) != (label in now.children)
        yield from _tags(_said_of(built, label), _said_of(now, label), (*path, label), moved=moved)


def _said_of(tag: TagByHand, label: str) -> TagByHand:
    return tag.children.get(label) or tag.about.get(label) or NOTHING_SAID


def _of_itself(tag: TagByHand, other: TagByHand) -> tuple[object, ...]:
    """What is said of a tag itself, and in which order its children stand that `other` has, too."""
    order = [label for label in tag.children if label in other.children]
    return tag.only, tag.breadth, tag.depth, tag.counts, tag.description, tag.answer, order


def _items(by_hand: TagByHand, snapshot: Snapshot) -> Iterator[OwnItemWaiting]:
    """The items of people's own that have no row yet."""
    for shape in snapshot.graph:
        items = own_items_of(by_hand, shape.name)
        if items and snapshot.recipe["tree"].get(f"{shape.name}.jsonl") != digest(items):
            for path, text in _texts(by_hand, by_hand, shape.name):
                if not snapshot.has_text(path, text[:TITLE]):
                    yield OwnItemWaiting(shape.name, path, text)


def _texts(tag: TagByHand, said: TagByHand, stage: str, path: OwnPath = ()) -> Iterator[tuple[OwnPath, str]]:
    """The items at a tag and below, but for those below a tag that is excluded; that is `said` of the tag."""
    yield from ((path, item.text) for item in tag.items.get(stage, ()))
    for label, below in (*tag.holders.items(), *tag.children.items()):
        if not said.is_excluded(label, same_label):
            yield from _texts(below, said.of_child(label, same_label), stage, (*path, label))
