"""The document of `diff --json`.

Of each group the first LISTED rows are in it, under -v all.
"""

from collections import Counter
from collections.abc import Mapping
from itertools import islice
from typing import Any

import msgspec

from distill_build.commands.versions.diff.comparison import Comparison
from distill_build.commands.versions.diff.sides import Compared
from distill_build.dataset.rows import TagRow
from distill_build.engine.manifest import ABSENT
from distill_build.history.causes import Cause
from distill_build.history.grouping import Group
from distill_build.records import JsonObject
from distill_build.versions.difference import Changed, Difference
from distill_build.versions.difference_rows import Item, Told

LISTED = 100


def difference_document(comparison: Comparison, *, whole: bool) -> JsonObject:
    """All that was found. Counts are null where rows cannot be compared; `notes` say why."""
    both = comparison.both
    return {
        "a": comparison.old.version,
        "b": comparison.new.version,
        "versions": {"a": side_row(comparison.old), "b": side_row(comparison.new)},
        "different": comparison.differs,
        "items_compared": both is not None,
        **{stage: stage_row(comparison, stage) for stage in comparison.counts},
        "renamed_tags": [] if both is None else [_renamed(both.difference, *pair) for pair in both.difference.renamed],
        "causes": [cause_row(cause) for cause in comparison.causes],
        "groups": _groups(comparison, whole=whole),
        "notes": comparison.notes,
    }


def stage_row(comparison: Comparison, stage: str) -> JsonObject | None:
    """The counts of a stage, with each column's that may change without another id."""
    counts, both = comparison.counts[stage], comparison.both
    if counts is None:
        return None
    row: JsonObject = msgspec.to_builtins(counts)
    if both is None or stage == both.difference.tree:
        return row
    found = both.difference.stages[stage]
    if comparison.shape(stage).kind != "list":
        numbers = Counter(name for changed in found.changed for name in changed.columns)
        row |= {f"{name}_changed": numbers[name] for name in both.columns(stage)}
    if comparison.shape(stage).asks:
        row["same_from_another_request"] = found.other_request
    return row


def side_row(side: Compared) -> JsonObject:
    """One version. `at` is null where the cache does not have it."""
    return {
        "wanted": side.wanted,
        "version": side.version,
        "dataset": side.dataset,
        "at": side.at,
        "until": side.until,
        "counts": side.counts,
        "missing": side.missing,
    }


def _renamed(difference: Difference, old: TagRow, new: TagRow) -> JsonObject:
    below = sum(1 for _ in difference.new.below(new.id))
    return {"old": old.path, "new": new.path, "old_id": old.id, "new_id": new.id, "tags_below": below}


def cause_row(cause: Cause) -> JsonObject:
    """A setting, or a prompt by the name of its template. A side without it is null."""
    name = {"setting": cause.name} | ({"prompt": cause.name} if cause.prompt else {})
    return {**name, "old": _plain(cause.old), "new": _plain(cause.new), "stages": list(cause.parts)}


def _plain(value: Any) -> Any:
    """The value of a setting for JSON."""
    return None if value is ABSENT else value


def _groups(comparison: Comparison, *, whole: bool) -> list[JsonObject]:
    told = comparison.told(lambda group: len(group.items) if whole else LISTED)
    return [group_row(group, rows, whole=whole) for group, rows in zip(comparison.groups, told, strict=True)]


def group_row(group: Group, told: Mapping[str, Told], *, whole: bool) -> JsonObject:
    """A group with its first rows, and what they are known by."""
    changes = {changed.item.id: changed for changed in group.changed}
    shown = islice(group.items, None if whole else LISTED)
    return {
        "stage": group.stage,
        "change": group.change,
        "count": len(group.items),
        "because": group.reason.because,
        "settings": [cause.name for cause in group.reason.causes],
        "above": group.reason.above or None,
        "items": [_item_row(item, told[item.id], changes.get(item.id)) for item in shown],
    }


def _item_row(item: Item, told: Told, changed: Changed | None) -> JsonObject:
    row: JsonObject = {"id": item.id, "path": told.path, "text": told.text, "sample": item.sample}
    if changed is not None:
        row |= {"columns": changed.columns, "old_id": changed.old.id}
    return row
