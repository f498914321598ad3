"""What a person does on the page → lines of the files that people own, and back again."""

from collections.abc import Callable
from datetime import datetime

import msgspec
from msgspec.structs import replace

from distill_build.curate.items_file import GIVEN, path_line, read_item
from distill_build.curate.reviews_file import fault_of_review, time_behind
from distill_build.curate.tree_changes import Exclude, Include, Rename, TreeChange
from distill_build.curate.tree_file import label_in
from distill_build.curate.writing import (
    Amended,
    amend_tree,
    append_item_lines,
    append_reviews,
    put_back,
    take_back,
)
from distill_build.errors import ConfigurationError, UsageError
from distill_build.history.by_hand import refuse_nothing
from distill_build.history.hand_edits import has_items
from distill_build.replies.labels import normalise
from distill_build.review import Review
from distill_build.stages.kinds.editable import fault_of_given
from distill_build.view.reviewing import ReviewChange, nothing_said, review_of
from distill_build.view.said import Said
from distill_build.view.snapshot import OwnPath, Snapshot
from distill_build.view.tree_steps import opposite, stands

MOST_UNDONE = 1000
"""Steps that can be taken back."""


class TagChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What becomes of the tag `id`: shown by another label, or thrown out."""

    id: str
    of: str
    rename: str | None = None
    exclude: bool = False


class Inclusion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The tag with those labels, which was thrown out, is wanted again."""

    path: OwnPath
    of: str


class NewItem(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An item of a person's own for a list: its `text`, and the `tag` it lies at, by id; None is below the topic."""

    stage: str
    of: str
    text: str
    tag: str | None = None
    answer: str = ""
    reasoning: str = ""


class Undo(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A step that was taken, by its number among those of all tabs."""

    step: int


class GoneStepError(UsageError):
    """A step that is not there to be taken back, now or later."""


TakeBack = Callable[[], bool]
"""Takes one back; False where what it had written is not what stands by now."""
CHANGED_SINCE = "something else has been said of it since: look at what stands there now"


class Hands:
    """Those of `by` on the dataset called `name`. `now` tells the time; `said` is what stands by now, read before."""

    def __init__(self, name: str, by: str | None, said: Said, now: Callable[[], datetime]) -> None:
        self._name, self._by, self._said, self._now = name, by, said, now
        self._steps: dict[int, TakeBack] = {}
        self._last = 0

    def review(self, snapshot: Snapshot, change: ReviewChange) -> int:
        """Says it of a row; returns the number of the step. Raises UsageError for what cannot be said."""
        row = snapshot.row(change.id)
        if row is None:
            raise UsageError(f"there is no row {change.id} on this page")
        if change.text is not msgspec.UNSET:
            snapshot.require_form(snapshot.graph[row.stage])
        before = self._said.reviews.get(row.id)
        topic, said_before = snapshot.topic, before or nothing_said(row)
        written = self._write(topic, review_of(row, before, change), before)
        return self._note(lambda: self._restore(topic, written, said_before))

    def tag(self, snapshot: Snapshot, change: TagChange) -> int:
        """Renames a tag or throws it out; returns the number of the step."""
        path = snapshot.own_path(change.id)
        if path is None:
            raise UsageError(f"there is no tag {change.id} on this page")
        if change.exclude:
            if has_items(self._said.by_hand, path):
                raise UsageError(f"{path[-1]} stays, since items of your own lie below it: take these out first")
            return self._amend(snapshot, Exclude(path))
        return self._amend(snapshot, Rename(path, self._label(snapshot, change)))

    def include(self, snapshot: Snapshot, change: Inclusion) -> int:
        """Has a tag again that was thrown out; returns the number of the step."""
        return self._amend(snapshot, Include(change.path))

    def item(self, snapshot: Snapshot, new: NewItem) -> int:
        """Adds an item of a person's own; returns the number of the step."""
        path = () if new.tag is None else snapshot.own_path(new.tag)
        shape = next((shape for shape in snapshot.graph if shape.name == new.stage), None)
        if path is None or shape is None or shape.kind != "list" or shape.after is None:
            raise UsageError(f"{new.stage} at {new.tag} is no place for an item of your own")
        editable = snapshot.editable[shape.name]
        given = {name: text.strip() for name in GIVEN if (text := getattr(new, name)).strip()}
        line = {editable.columns[0]: new.text.strip(), **path_line(path, snapshot.topic), **given}
        seen = (snapshot.topic, *path)
        behind = [each for each in snapshot.graph if each.after == shape.name]
        for each in behind if given else ():
            snapshot.require_form(each)
        try:
            read_item(line, editable.columns[0], snapshot.topic)
        except ConfigurationError as error:
            raise UsageError(f"it cannot be that: {error}") from error
        if (fault := fault_of_given((snapshot.editable_at(each, seen) for each in behind), given)) is not None:
            raise UsageError(f"it cannot be that: {fault}")
        place, lines = append_item_lines(self._name, shape.name, snapshot.topic, [line])
        return self._note(lambda: take_back(place, lines[0]))

    def undo(self, undo: Undo) -> None:
        """Takes a step back. One that cannot be taken, as where a disk is full, is there to be tried again.

        Raises GoneStepError where there is none, or something else has been said since.
        """
        if (step := self._steps.get(undo.step)) is None:
            raise GoneStepError("there is nothing to undo")
        if not step():
            raise GoneStepError(CHANGED_SINCE)
        del self._steps[undo.step]

    def _write(self, topic: str, review: Review, before: Review | None) -> Review:
        written = replace(review, at=time_behind(before, self._now()), by=self._by)
        if (fault := fault_of_review(written)) is not None:
            raise UsageError(f"it cannot be said: {fault}")
        append_reviews(self._name, topic, [written])
        return written

    def _restore(self, topic: str, written: Review, before: Review) -> bool:
        """Says again what was said before, where nothing else has been said since: what was taken back counts not."""
        present = self._said.reviews.get(written.id)
        beside = {name: getattr(written, name) for name in ("at", "by", "place", "behind")}
        if present is None or replace(present, **beside) != written:
            return False
        self._write(topic, before, present)
        return True

    def _label(self, snapshot: Snapshot, change: TagChange) -> str:
        label = label_in(change.rename)
        if label is None:
            raise UsageError("a label is a short text on one line")
        own = snapshot.own_path(change.id) or ()
        others = (tag for tag in self._said.tree if tag.path[:-1] == own[:-1] and tag.path != own)
        beside = snapshot.beside(change.id) | {tag.shown for tag in others if tag.shown is not None}
        if normalise(label) in map(normalise, beside):
            raise UsageError(f"another tag beside it is called {label}")
        return label

    def _amend(self, snapshot: Snapshot, change: TreeChange) -> int:
        topic, graph, recipe = snapshot.topic, snapshot.graph, snapshot.recipe  # a step outlives the rows of the page

        def amend(what: TreeChange) -> Amended:
            return amend_tree(self._name, topic, [what], lambda tree: refuse_nothing(tree, self._name, graph, recipe))

        before = self._said.by_hand
        back = None if stands(change, before) else opposite(change, before)
        amended = amend(change)

        def undone() -> bool:
            """Where another thing was said in the file since, that stays."""
            if back is not None and not stands(change, self._said.by_hand):
                return False
            if back is not None and not put_back(amended):
                amend(back)
            return True

        return self._note(undone)

    def _note(self, step: TakeBack) -> int:
        self._last += 1
        self._steps[self._last] = step
        self._steps.pop(self._last - MOST_UNDONE, None)
        return self._last
