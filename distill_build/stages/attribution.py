"""Why items differ between two versions: each one gets a reason, and items with the same reason are a group.

What the versions recorded of their requests decides: the same request with another response was asked again; another
request has a setting, a prompt or an item above it that differs; and where the requests are the same as far as they
go, a number of items does. Where a version did not record its requests, all settings of the stage are named that
differ.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from distill_build.engine.entry import Entry
from distill_build.stages.causes import Cause, count_causes, narrowed, own_causes
from distill_build.versions.difference import ChangedAnswer, Difference, Item
from distill_build.versions.evidence import Evidence, Fork, fork
from distill_build.versions.tag_matching import TOPIC, TagTree

Change = Literal["added", "removed", "changed", "renamed"]
Because = Literal["settings", "above", "asked again", "missing", "until", "unknown"]
ORDER: tuple[str, ...] = ("tags", "questions", "answers", "dataset")
Calls = tuple[str, str]
NONE: Calls = ("", "")
SAMPLES = 64
"""Items of a group whose calls are looked at where several settings differ."""


@dataclass(frozen=True, slots=True)
class Reason:
    """`settings` are among `causes`; `above`: it follows from what became of an item above; `asked again`: the same
    request has another response; `missing`: one version could not make it; `until`: one stopped before that stage.
    """

    because: Because
    causes: tuple[Cause, ...] = ()


@dataclass(slots=True)
class Group:
    """Items of one stage with which the same happened for the same reason, in tree order.

    `calls` are the keys of the old and the new call behind each of them, where they are known.
    """

    stage: str
    change: Change
    reason: Reason
    calls: list[Calls] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)


def groups_of(difference: Difference, why: "Attribution", entry: Callable[[str], Entry | None]) -> list[Group]:
    """All groups, tags first. `entry` looks up a call, None where it is not there."""
    groups: dict[tuple[str, Change, Because, tuple[str, ...]], Group] = {}
    for stage, change, item, (reason, calls) in _reasons(difference, why):
        key = (stage, change, reason.because, tuple(cause.name for cause in reason.causes))
        if key not in groups:
            groups[key] = Group(stage, change, reason)
        groups[key].items.append(item)
        groups[key].calls.append(calls)
    for group in groups.values():
        if len(group.reason.causes) > 1:
            group.reason = Reason(group.reason.because, _causes_seen(group, entry))
    return list(groups.values())


def _causes_seen(group: Group, entry: Callable[[str], Entry | None]) -> tuple[Cause, ...]:
    """The causes that show in the calls behind some items of a group, evenly taken; all where a call is not known."""
    causes = list(group.reason.causes)
    seen: list[Cause] = []
    for calls in group.calls[:: -(-len(group.calls) // SAMPLES)]:
        if not all(calls):
            return group.reason.causes
        seen += narrowed(causes, *map(entry, calls))
        if len({cause.name for cause in seen}) == len(causes):
            break
    return tuple(cause for cause in causes if cause in seen)


def _reasons(difference: Difference, why: "Attribution") -> Iterator[tuple[str, Change, Item, tuple[Reason, Calls]]]:
    for old, new in difference.renamed:
        yield "tags", "renamed", Item(new.id, new.id), why.renamed(old.parent, new.parent)
    for item in difference.tags.added:
        yield "tags", "added", item, why.tag_added(item)
    for item in difference.tags.removed:
        yield "tags", "removed", item, why.tag_removed(item)
    for item in difference.questions.added:
        yield "questions", "added", item, why.question_added(item)
    for item in difference.questions.removed:
        yield "questions", "removed", item, why.question_removed(item)
    for changed in difference.answers.changed:
        yield "answers", "changed", changed.item, why.answer_changed(changed)
    for item in difference.answers.added:
        yield "answers", "added", item, why.answer_added(item)
    for item in difference.answers.removed:
        yield "answers", "removed", item, why.answer_removed(item)


@dataclass(frozen=True, slots=True)
class Side:
    """What one version has to say: its tree, the stage that its build stopped after, what it recorded."""

    tree: TagTree
    until: str
    evidence: Evidence

    def reaches(self, stage: str) -> bool:
        """Whether the build went on to `stage`."""
        return ORDER.index(self.until) >= ORDER.index(stage)

    def key(self, tag: str) -> str:
        """How a tag, or the topic, is called in the record of requests."""
        return tag if tag != TOPIC else self.tree.topic or ""

    def path(self, tag: str) -> tuple[str, ...]:
        """The path of a tag, or of the topic."""
        return self.tree.tags[tag].path if tag != TOPIC else (self.tree.topic or "",)


class Attribution:
    """Finds the reason for one item at a time."""

    def __init__(self, difference: Difference, causes: list[Cause], old: Side, new: Side, *, known: bool) -> None:
        """`known` says whether `causes` are all that differs: of files without a record the settings are not known."""
        self._causes = causes
        self._known = known
        self._old = old
        self._new = new
        self._new_tags = {TOPIC: TOPIC} | difference.matching.pairs
        self._old_tags = {new: old for old, new in self._new_tags.items()}
        self._new_questions = difference.moved
        self._old_questions = {new: old for old, new in difference.moved.items()}
        self._added = {item.id for item in difference.questions.added}
        self._removed = {item.id for item in difference.questions.removed}

    def renamed(self, old_parent: str | None, new_parent: str | None) -> tuple[Reason, Calls]:
        """Why a tag has another label, or stands elsewhere."""
        before, after = old_parent or TOPIC, new_parent or TOPIC
        if before not in self._new_tags or after not in self._old_tags:
            return Reason("above"), NONE
        return self._listed("tags", "renamed", self._old_tags[after], after)

    def tag_added(self, item: Item) -> tuple[Reason, Calls]:
        """Why a tag is there that was not."""
        parent = self._new.tree.tags[item.id].parent or TOPIC
        if parent not in self._old_tags:
            return Reason("above"), NONE
        before = self._old_tags[parent]
        if _is_leaf(self._old.tree, before):
            return self._depth(), NONE
        return self._listed("tags", "added", before, parent)

    def tag_removed(self, item: Item) -> tuple[Reason, Calls]:
        """Why a tag is gone."""
        parent = self._old.tree.tags[item.id].parent or TOPIC
        if parent not in self._new_tags:
            return Reason("above"), NONE
        after = self._new_tags[parent]
        if _is_leaf(self._new.tree, after):
            return self._depth(), NONE
        return self._listed("tags", "removed", parent, after)

    def question_added(self, item: Item) -> tuple[Reason, Calls]:
        """Why a question is there that was not."""
        before = self._old_tags.get(item.tag)
        if before is None:
            return Reason("above"), NONE
        if not self._old.reaches("questions"):
            return Reason("until"), NONE
        if not _is_leaf(self._old.tree, before):
            return self._depth(), NONE
        return self._listed("questions", "added", before, item.tag)

    def question_removed(self, item: Item) -> tuple[Reason, Calls]:
        """Why a question is gone."""
        after = self._new_tags.get(item.tag)
        if after is None:
            return Reason("above"), NONE
        if not self._new.reaches("questions"):
            return Reason("until"), NONE
        if not _is_leaf(self._new.tree, after):
            return self._depth(), NONE
        return self._listed("questions", "removed", item.tag, after)

    def answer_changed(self, changed: ChangedAnswer) -> tuple[Reason, Calls]:
        """Why an answer has another text."""
        calls = (changed.old_call, changed.item.call)
        if changed.old_call == changed.item.call:
            return Reason("asked again"), calls
        own = own_causes(self._causes, "answers")
        if own:
            return Reason("settings", tuple(own)), calls
        renamed = changed.item.tag != self._old_tags.get(changed.item.tag)
        return Reason("above" if renamed and self._known else "unknown"), calls

    def answer_added(self, item: Item) -> tuple[Reason, Calls]:
        """Why a question has an answer that it did not have."""
        if item.question_id in self._added:
            return Reason("above"), NONE
        before = self._old_questions.get(item.question_id, item.question_id)
        return self._answers_differ(self._old, before, "added"), NONE

    def answer_removed(self, item: Item) -> tuple[Reason, Calls]:
        """Why a question lacks an answer that it had."""
        if item.question_id in self._removed:
            return Reason("above"), NONE
        after = self._new_questions.get(item.question_id, item.question_id)
        return self._answers_differ(self._new, after, "removed"), NONE

    def _answers_differ(self, lacking: Side, question: str, change: Change) -> Reason:
        """Why the side `lacking` an answer lacks it; `question` is its id there."""
        if not lacking.reaches("answers"):
            return Reason("until")
        if question in lacking.evidence.unanswered:
            return Reason("missing")
        return _by(self._counts("answers", change))

    def _listed(self, stage: str, change: Change, before: str, after: str) -> tuple[Reason, Calls]:
        """Why the list of items below a tag is another one; the tag is `before` in the old version, `after` in the new.

        Requests for more items hold those before them, so the first one that differs tells.
        """
        old, new = self._old, self._new
        where, calls = fork(old.evidence, new.evidence, old.key(before), new.key(after))
        own, counts = own_causes(self._causes, stage), self._counts(stage, change)
        lacking, tag = (old, before) if change == "added" else (new, after)
        if where is Fork.RESPONSE:
            return Reason("asked again"), calls
        if where is Fork.REQUEST and self._known and not own and old.path(before) != new.path(after):
            return Reason("above"), calls
        if where is not Fork.LENGTH and own:
            return _by([*own, *counts]), calls
        if not counts and lacking.evidence.lacks(stage, lacking.path(tag)):
            return Reason("missing"), NONE
        return _by(counts), calls

    def _counts(self, stage: str, change: Change) -> list[Cause]:
        """The numbers of items that moved the way that `change` is."""
        return [cause for cause in count_causes(self._causes, stage) if change != "renamed" and _fits(cause, change)]

    def _depth(self) -> Reason:
        return _by([cause for cause in self._causes if cause.name == "depth"])


def _by(causes: list[Cause]) -> Reason:
    return Reason("settings", tuple(causes)) if causes else Reason("unknown")


def _is_leaf(tree: TagTree, tag: str) -> bool:
    return tag != TOPIC and tree.tags[tag].leaf


def _fits(cause: Cause, change: Change) -> bool:
    """Whether a number went up where items were added, or down where some were removed. Of lists nothing is said."""
    if not (isinstance(cause.old, int) and isinstance(cause.new, int)):
        return True
    return cause.new > cause.old if change == "added" else cause.new < cause.old
