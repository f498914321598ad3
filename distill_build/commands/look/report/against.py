"""What `report --against VERSION` shows: the difference to another version, with the words of changed rows marked."""

from collections.abc import Mapping
from typing import Any

from distill_build.commands.versions.diff.comparison import Both, Comparison, Counts, comparison_of
from distill_build.commands.versions.diff.item import column_text
from distill_build.commands.versions.diff.sides import Compared, find_sides
from distill_build.commands.versions.diff.text import reason_text, sentence
from distill_build.console.word_diff import changed_words
from distill_build.dataset.layout import Dataset
from distill_build.engine.manifest import ABSENT
from distill_build.history.causes import Cause
from distill_build.history.grouping import Group
from distill_build.options import Options
from distill_build.report.data import (
    DifferenceShown,
    GroupOfChanges,
    ItemChange,
    Pieces,
    SettingChange,
    SideShown,
    StageChanges,
)
from distill_build.versions.difference import Changed
from distill_build.versions.difference_rows import RowFields, Told

MOST_ITEMS = 100
"""Rows of a group that are shown."""
LONGEST_WOVEN = 20_000
"""Characters of texts whose words are told apart; of longer ones the whole is, since it takes time by their product."""


def difference_shown(options: Options, dataset: Dataset) -> DifferenceShown:
    """The difference from the version that `options` name to what the folder holds.

    Raises UsageError for a name that means nothing, DifferenceError for a lock that cannot be gone by.
    """
    assert options.against is not None, "a version is named"  # noqa: S101
    named = options._replace(dataset=str(dataset.folder), arguments=())
    comparison = comparison_of(*find_sides(named, (options.against,)))
    both = comparison.both
    return DifferenceShown(
        _side(comparison.old),
        _side(comparison.new),
        [_stage(stage, counts) for stage, counts in comparison.counts.items()],
        [_setting(cause) for cause in comparison.causes],
        [] if both is None else [(old.path, new.path) for old, new in both.difference.renamed],
        [] if both is None else _groups(comparison, both),
        comparison.notes,
    )


def _side(side: Compared) -> SideShown:
    return SideShown(side.wanted, side.version, side.at, side.counts)


def _stage(stage: str, counts: Counts | None) -> StageChanges:
    return StageChanges(stage, None if counts is None else (counts.added, counts.removed, counts.changed, counts.same))


def _setting(cause: Cause) -> SettingChange:
    old, new = ("" if value in (ABSENT, None) else value for value in (cause.old, cause.new))
    whole = isinstance(old, str) and isinstance(new, str) and "\n" in old + new
    return SettingChange(sentence(cause), _woven(old, new) if whole else None)


def _woven(old: str, new: str) -> Pieces:
    if len(old) + len(new) > LONGEST_WOVEN:
        return [*[("removed", old)] * bool(old), *[("added", new)] * bool(new)] if old != new else [("same", old)]
    return [(piece.kind, piece.text) for piece in changed_words(old, new)]


def _groups(comparison: Comparison, both: Both) -> list[GroupOfChanges]:
    told = comparison.told(lambda _: MOST_ITEMS)
    return [_group(comparison, both, group, rows) for group, rows in zip(comparison.groups, told, strict=True)]


def _group(comparison: Comparison, both: Both, group: Group, told: Mapping[str, Told]) -> GroupOfChanges:
    shown = group.items[:MOST_ITEMS]
    changes = {changed.item.id: changed for changed in group.changed if changed.item.id in told}
    rows = _rows_of(both, group.stage, changes)
    before = {new.id: old.path for old, new in both.difference.renamed} if group.change == "renamed" else {}
    items = [
        ItemChange(
            item.id,
            told[item.id].path,
            told[item.id].text,
            before.get(item.id, ()),
            _columns(changes[item.id], *rows) if item.id in changes else {},
        )
        for item in shown
    ]
    return GroupOfChanges(group.stage, group.change, len(group.items), reason_text(comparison, group), items)


_Rows = dict[str, dict[str, Any]]


def _rows_of(both: Both, stage: str, changes: Mapping[str, Changed]) -> tuple[_Rows, _Rows]:
    """The rows that changed as they were and as they are, each read once."""
    if not changes:
        return {}, {}
    old = both.old.only(both.old.graph[stage], {changed.old.id for changed in changes.values()})
    return old, both.new.only(both.new.graph[stage], set(changes))


def _columns(changed: Changed, old: Mapping[str, RowFields], new: Mapping[str, RowFields]) -> dict[str, Pieces]:
    was, now = old.get(changed.old.id), new.get(changed.item.id)
    return {name: _woven(column_text(was, name), column_text(now, name)) for name in changed.columns}
