"""Why a row differs between two versions.

What the versions recorded of their requests decides: the same request with another response was asked again; another
request has a setting, a prompt or a row above it that differs; and where the requests are the same as far as they go,
a number of rows does. Where a version did not record its requests, all settings of the stage are named that differ.
A stage that asks nothing has its own settings, and what it was made from.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import msgspec

from distill_build.graph import END, Graph
from distill_build.history.causes import GRAPH, Cause, count_causes, items_of_your_own, own_causes
from distill_build.review import EDIT, REJECT, REVIEW
from distill_build.stages.identity import BY_HAND, REVIEWS
from distill_build.stages.kinds.recipe import READING
from distill_build.versions.difference import Changed, Difference
from distill_build.versions.difference_rows import Item
from distill_build.versions.evidence import Evidence, Fork, fork
from distill_build.versions.tag_matching import TOPIC, TagTree

Change = Literal["added", "removed", "changed", "renamed"]
Because = Literal["settings", "above", "asked again", "missing", "until", "unknown"]
Calls = tuple[str, str]
NONE: Calls = ("", "")
KEPT = "kept"
"""The column of a verdict that decides what comes after."""


class Reason(msgspec.Struct, frozen=True):
    """`settings` are among `causes`; `above`: it follows from what became of rows of the stage `above`; `asked again`:
    the same request has another response; `missing`: one version could not make it; `until`: one stopped before that.
    """

    because: Because
    causes: tuple[Cause, ...] = ()
    above: str = ""


Why = tuple[Reason, Calls]


class Side(msgspec.Struct, frozen=True):
    """What one version has to say: its tree, its stages and the one that its build stopped after, what it recorded."""

    tree: TagTree
    graph: Graph
    until: str
    evidence: Evidence

    def key(self, tag: str) -> str:
        """How a tag, or the topic, is called in the record of requests."""
        return tag if tag != TOPIC else self.tree.topic or ""

    def path(self, tag: str) -> tuple[str, ...]:
        """The path of a tag, or of the topic."""
        return self.tree.by_id[tag].path if tag != TOPIC else (self.tree.topic or "",)

    def is_leaf(self, tag: str) -> bool:
        return tag != TOPIC and self.tree.by_id[tag].leaf


class _View(msgspec.Struct, frozen=True):
    """The two versions as seen from a row that only one of them has: `across` maps its ids to the other's.

    `gone` are the rows of each stage that the other side lacks, and `held` the tags above those of people's own among
    them.
    """

    change: Change
    having: Side
    lacking: Side
    across: Mapping[str, str]
    gone: Mapping[str, set[str]]
    held: frozenset[str]


class Attribution:
    """Finds the reason for one row at a time."""

    def __init__(self, difference: Difference, causes: list[Cause], old: Side, new: Side, *, known: bool) -> None:
        """`known` says whether `causes` are all that differs: of files without a record the settings are not known."""
        self._causes = causes
        self._reviews = [cause for cause in causes if cause.name == REVIEWS]
        self._trees = [cause for cause in causes if cause.by_people and cause.file == BY_HAND]
        self._known = known
        self._old = old
        self._new = new
        self._tree = difference.tree
        stages = self._stages = difference.stages
        self._renamed = bool(difference.renamed)
        across = {TOPIC: TOPIC} | difference.matching.pairs | difference.moves.moved
        back = {after: before for before, after in across.items()}
        came = {name: found.added for name, found in stages.items()}
        went = {name: found.removed for name, found in stages.items()}
        self._added = _view("added", new, old, back, came)
        self._removed = _view("removed", old, new, across, went)
        self._changed = {name: {each.item.id for each in found.changed} for name, found in stages.items()}
        self._rejected = {name: _rejected(found.changed) for name, found in stages.items()}
        own = {name: own_causes(causes, name) for name in stages}
        self._by_own = {name: _by(found) if found else None for name, found in own.items()}
        self._verdicts = [name for name in stages if self._kind(name) == "transform"]
        self._judged = {name: self._other_verdicts(name) for name in self._verdicts}

    def renamed(self, old_parent: str | None, new_parent: str | None, *, by_hand: bool) -> Why:
        """Why a tag has another label, or stands elsewhere; `by_hand`: its own label is the same."""
        if by_hand and self._trees:
            return _by(self._trees), NONE
        before, after = old_parent or TOPIC, new_parent or TOPIC
        if before not in self._removed.across or after not in self._added.across:
            return Reason("above", above=self._tree), NONE
        return self._listed(self._tree, "renamed", self._added.across[after], after)

    def added(self, stage: str, item: Item) -> Why:
        """Why a row is there that was not."""
        return self._or_by_people(self._added, stage, item)

    def removed(self, stage: str, item: Item) -> Why:
        """Why a row is gone."""
        return self._or_by_people(self._removed, stage, item)

    def _or_by_people(self, view: _View, stage: str, item: Item) -> Why:
        """What nothing else explains may be what people say."""
        reason, calls = self._differs(view, stage, item)
        return (reason if reason.because != "unknown" else _by(self._of_people(view, stage, item))), calls

    def changed(self, stage: str, changed: Changed) -> Why:
        """Why a row has other content."""
        if self._said_otherwise(changed):
            return _by(self._reviews), NONE
        reason, calls = self._changed_row(stage, changed)
        return (reason if reason.because != "unknown" else _by(self._by_people(stage, changed.item))), calls

    def _said_otherwise(self, changed: Changed) -> bool:
        """Whether a row is another one for what people say of it: their text stands there, or they said something else.

        A review that goes since the model's text is another one by now says nothing: what made that another one does.
        """
        before, after = changed.reviews
        is_of_people = before == after == EDIT if REVIEW not in changed.columns else after is not None
        taken_back = REVIEW in changed.columns and changed.old.call == changed.item.call
        return bool(self._reviews) and (is_of_people or taken_back)

    def _changed_row(self, stage: str, changed: Changed) -> Why:
        shape, calls = self._new.graph[stage], (changed.old.call, changed.item.call)
        if changed.item.by_hand or changed.old.by_hand:
            return _by(self._items(stage)), NONE
        if shape.kind == "list":
            return self._listed(stage, "changed", changed.old.parent, changed.item.parent)
        if not shape.asks:
            return self._made(stage), NONE
        if all(calls) and calls[0] == calls[1]:
            read = [cause for cause in own_causes(self._causes, stage) if cause.name.rpartition(".")[2] in READING]
            return (_by(read) if read else Reason("asked again")), calls
        if (own := self._by_own[stage]) is not None:
            return own, calls
        above = self._changed_above(stage, changed.item)
        if not above and self._known and changed.old.id != changed.item.id:
            above = self._tree
        return (Reason("above", above=above) if above else Reason("unknown")), calls

    def _differs(self, view: _View, stage: str, item: Item) -> Why:
        shape = view.having.graph[stage]
        if stage == self._tree or shape.kind == "list":
            return self._in_list(view, stage, item)
        parent = shape.parent or self._tree
        if item.parent in view.gone.get(parent, ()):
            return Reason("above", above=parent), NONE
        if (unreached := self._unreached(view.lacking, stage)) is not None:
            return unreached, NONE
        if self._reviews and item.parent in self._rejected[parent]:
            return _by(self._reviews), NONE
        for verdict in self._verdicts_before(stage):
            if item.parent in self._judged[verdict]:
                return Reason("above", above=verdict), NONE
        if not shape.asks:
            return self._made(stage), NONE
        return self._result(view, stage, item), NONE

    def _in_list(self, view: _View, stage: str, item: Item) -> Why:
        other = view.across.get(item.parent)
        if other is None:
            return Reason("above", above=self._tree), NONE
        if (unreached := self._unreached(view.lacking, stage)) is not None:
            return unreached, NONE
        if item.by_hand and (own := self._items(stage)):
            return _by(own), NONE
        if view.lacking.is_leaf(other) is (stage == self._tree):  # it ended there, or went on
            return _by([cause for cause in self._causes if cause.name == "depth"]), NONE
        pair = (other, item.parent) if view.change == "added" else (item.parent, other)
        return self._listed(stage, view.change, *pair, self._of_people(view, stage, item))

    def _result(self, view: _View, stage: str, item: Item) -> Reason:
        """Why a side lacks a result for a row that both have."""
        if (stage, view.across.get(item.parent, item.parent)) in view.lacking.evidence.lacking:
            return Reason("missing")
        if counts := self._counts(stage, view.change):
            return _by(counts)
        verdicts = filter(self._verdict_differs, self._verdicts_before(stage) if self._known else ())
        above = next(verdicts, "")  # on rows further up or down, or one that only one side has
        return Reason("above", above=above) if above else Reason("unknown")

    def _made(self, stage: str) -> Reason:
        """Why a verdict or a group is another one: it is made of all rows that it was made from."""
        own = [cause for cause in self._causes if stage in cause.parts]
        if own:
            return _by(own)
        before = [name for name in self._before(stage) if self._stages[name].differs]
        if not before and self._renamed:
            before = [self._tree]
        graph = (self._new if stage in self._new.graph else self._old).graph
        after = graph[stage].after
        above = graph.lineage(after) if after is not None else ()
        likely = [name for name in before if name in above or name in self._verdicts]
        return Reason("above", above=(likely or before)[-1]) if before else Reason("unknown")

    def _changed_above(self, stage: str, item: Item) -> str:
        """The stage above whose other content a row was asked with, "" where there is none."""
        graph = self._new.graph
        parent = graph[stage].parent or self._tree
        if item.parent in self._changed[parent]:
            return parent
        lineage = graph.lineage(stage)
        for name in reversed(self._before(stage)):
            found, beside = self._stages[name], name not in lineage
            if self._kind(name) != "transform" and (found.changed or (beside and found.differs)):
                return name
        return ""

    def _unreached(self, lacking: Side, stage: str) -> Reason | None:
        """Why a side has no row of `stage` at all; None where it may have some."""
        if stage in lacking.graph:
            return None if lacking.graph.reaches(lacking.until, stage) else Reason("until")
        listed = [cause for cause in self._causes if GRAPH in cause.parts and stage in cause.parts]
        return _by(listed) if listed or lacking.until == END else Reason("until")

    def _listed(self, stage: str, change: Change, before: str, after: str, people: Sequence[Cause] = ()) -> Why:
        """Why the list of rows below a tag is another one; the tag is `before` in the old version, `after` in the new.

        Requests for more rows hold those before them, so the first one that differs tells. `people` are files of theirs
        that may be why, where requests do not differ.
        """
        old, new = self._old, self._new
        where, calls = fork(old.evidence, new.evidence, stage, old.key(before), new.key(after))
        own, counts = own_causes(self._causes, stage), self._counts(stage, change)
        lacking, tag = (old, before) if change == "added" else (new, after)
        if where is Fork.RESPONSE:
            return Reason("asked again"), calls
        if where is Fork.REQUEST and self._known and not own and old.path(before) != new.path(after):
            return Reason("above", above=self._tree), calls
        if where is not Fork.LENGTH and own:
            return _by([*own, *counts]), calls
        if not counts and lacking.evidence.lacks(stage, lacking.path(tag)):
            return Reason("missing"), NONE
        return _by([*counts, *people]), calls

    def _of_people(self, view: _View, stage: str, item: Item) -> list[Cause]:
        """The files of people's that may be why a row is there."""
        return self._makers(view, item) if stage == self._tree else self._by_people(stage, item)

    def _by_people(self, stage: str, item: Item) -> list[Cause]:
        """The files of people's that may be why a row below tags is there, or another one, where nothing else explains
        it: what a person gave stands in their items, and of a model's the tree says how many there are."""
        own = self._items(stage)
        if self._kind(stage) != "list":
            return own if item.by_hand else [*self._reviews, *own, *self._trees]
        return (own or self._trees) if item.by_hand else (self._trees or own)

    def _makers(self, view: _View, tag: Item) -> list[Cause]:
        """The files of people's that may be why a tag is there: below one that holds their items alone nobody asks."""
        own, evidence = self._items(self._tree), view.having.evidence
        if not (own and self._trees and evidence.known):
            return [*self._trees, *own]
        asked_below = any((shape.name, tag.id) in evidence.requests for shape in view.having.graph)
        return own if tag.id in view.held and not asked_below else self._trees

    def _items(self, stage: str) -> list[Cause]:
        """The files with items of people's own, of a list or of any, where they differ."""
        files = [cause for cause in self._causes if cause.by_people and cause.file not in (BY_HAND, REVIEWS)]
        below_tags = stage != self._tree and self._kind(stage) == "list"
        return [cause for cause in files if cause.name == items_of_your_own(stage)] if below_tags else files

    def _counts(self, stage: str, change: Change) -> list[Cause]:
        """The numbers of rows that moved the way that `change` is."""
        if change in ("renamed", "changed"):
            return []
        return [cause for cause in count_causes(self._causes, stage) if _fits(cause, change)]

    def _before(self, stage: str) -> list[str]:
        """The stages before one, in order."""
        names = list(self._stages)
        return names[: names.index(stage)]

    def _verdicts_before(self, stage: str) -> Iterator[str]:
        return (name for name in self._before(stage) if name in self._verdicts)

    def _kind(self, stage: str) -> str:
        return (self._new if stage in self._new.graph else self._old).graph[stage].kind

    def _other_verdicts(self, stage: str) -> set[str]:
        """The rows, by the ids of both sides, of which a transform says now that they are kept, or no longer."""
        changed = self._stages[stage].changed
        return {row.id for each in changed if KEPT in each.columns for row in (each.item, each.old)}

    def _verdict_differs(self, stage: str) -> bool:
        found = self._stages[stage]
        return bool(self._judged[stage] or found.added or found.removed)


def _view(
    change: Change, having: Side, lacking: Side, across: Mapping[str, str], rows: Mapping[str, list[Item]]
) -> _View:
    lists = [items for name, items in rows.items() if name in having.graph and having.graph[name].kind == "list"]
    own = {item.parent for items in lists for item in items if item.by_hand}
    held = frozenset(above for tag in own for above in having.tree.upwards(tag))
    return _View(
        change, having, lacking, across, {name: {item.id for item in items} for name, items in rows.items()}, held
    )


def _rejected(rows: list[Changed]) -> set[str]:
    """The rows, by the ids of both sides, that people reject on one side alone: nothing hangs on them there."""
    return {
        row.id
        for each in rows
        if (REJECT in each.reviews) and len(set(each.reviews)) > 1
        for row in (each.item, each.old)
    }


def _by(causes: list[Cause]) -> Reason:
    return Reason("settings", tuple(causes)) if causes else Reason("unknown")


def _fits(cause: Cause, change: Change) -> bool:
    """Whether a number went up where rows were added, or down where some were removed. Of lists nothing is said."""
    if not (isinstance(cause.old, int) and isinstance(cause.new, int)):
        return True
    return cause.new > cause.old if change == "added" else cause.new < cause.old
