"""What differs between two versions: rows of one stage that differ for the same reason are a group."""

from collections.abc import Callable, Iterator

import msgspec

from distill_build.dataset.rows import TagRow
from distill_build.engine.entry import Entry
from distill_build.history.attribution import Attribution, Because, Calls, Change, Reason, Why
from distill_build.history.causes import Cause, narrowed
from distill_build.versions.difference import Changed, Difference
from distill_build.versions.difference_rows import Item
from distill_build.versions.tag_matching import TOPIC

SAMPLES = 64
"""Rows of a group whose calls are looked at where several settings differ."""


class Group(msgspec.Struct):
    """Rows of one stage with which the same happened for the same reason, in tree order.

    `calls` are the keys of the old and the new call behind each of them, where they are known. `changed` are the rows
    as they were, where they changed.
    """

    stage: str
    change: Change
    reason: Reason
    calls: list[Calls] = msgspec.field(default_factory=list)
    items: list[Item] = msgspec.field(default_factory=list)
    changed: list[Changed] = msgspec.field(default_factory=list)


def groups_of(difference: Difference, why: Attribution, entry: Callable[[str], Entry | None]) -> list[Group]:
    """All groups, in the order of the stages. `entry` looks up a call, None where it is not there."""
    groups: dict[tuple[str, Change, Because, str, tuple[str, ...]], Group] = {}
    for stage, change, row, (reason, calls) in _reasons(difference, why):
        key = (stage, change, reason.because, reason.above, tuple(cause.name for cause in reason.causes))
        group = groups.get(key)
        if group is None:
            group = groups[key] = Group(stage, change, reason)
        if isinstance(row, Changed):
            group.changed.append(row)
            row = row.item
        group.items.append(row)
        group.calls.append(calls)
    for group in groups.values():
        if len(group.reason.causes) > 1:
            group.reason = Reason(group.reason.because, _causes_seen(group, entry))
    return list(groups.values())


def _causes_seen(group: Group, entry: Callable[[str], Entry | None]) -> tuple[Cause, ...]:
    """The causes that show in the calls behind some rows of a group, evenly taken; all where a call is not known."""
    causes = list(group.reason.causes)
    seen: list[Cause] = []
    for calls in group.calls[:: -(-len(group.calls) // SAMPLES)]:
        if not all(calls):
            return group.reason.causes
        seen += narrowed(causes, *map(entry, calls))
        if len({cause.name for cause in seen}) == len(causes):
            break
    return tuple(cause for cause in causes if cause in seen)


def _reasons(difference: Difference, why: Attribution) -> Iterator[tuple[str, Change, Item | Changed, Why]]:
    for stage, found in difference.stages.items():
        if stage == difference.tree:
            for old, new in difference.renamed:
                yield stage, "renamed", Item(new.id, new.parent or TOPIC), _why_renamed(why, old, new)
        for changed in found.changed:
            yield stage, "changed", changed, why.changed(stage, changed)
        for item in found.added:
            yield stage, "added", item, why.added(stage, item)
        for item in found.removed:
            yield stage, "removed", item, why.removed(stage, item)


def _why_renamed(why: Attribution, old: TagRow, new: TagRow) -> Why:
    return why.renamed(old.parent, new.parent, by_hand=old.own_label == new.own_label and old.label != new.label)
