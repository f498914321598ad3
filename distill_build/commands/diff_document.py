"""The document of `diff --json`.

Of each group the first LISTED items are in it, under -v all.
"""

from dataclasses import asdict
from itertools import islice
from typing import Any

from distill_build.artefact_rows import TagRow
from distill_build.commands.diff_comparison import Comparison
from distill_build.commands.diff_sides import Compared
from distill_build.engine.manifest import ABSENT
from distill_build.records import JsonObject
from distill_build.stages.attribution import Group
from distill_build.stages.causes import Cause
from distill_build.versions.difference import ChangedAnswer, Difference, Item
from distill_build.versions.tag_matching import TagTree

LISTED = 100


def document(comparison: Comparison, *, whole: bool) -> JsonObject:
    """All that was found. Counts are null where items cannot be compared; `notes` say why."""
    difference = comparison.difference
    return {
        "a": comparison.old.version,
        "b": comparison.new.version,
        "versions": {"a": side_row(comparison.old), "b": side_row(comparison.new)},
        "different": comparison.differs,
        "items_compared": difference is not None,
        **{stage: None if counts is None else asdict(counts) for stage, counts in comparison.counts.items()},
        **({} if difference is None else {"answers": _answers(comparison, difference)}),
        "renamed_tags": [] if difference is None else [_renamed(difference, *pair) for pair in difference.renamed],
        "causes": [cause_row(cause) for cause in comparison.causes],
        "groups": [group_row(difference, group, whole=whole) for group in comparison.groups if difference is not None],
        "notes": comparison.notes,
    }


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


def _answers(comparison: Comparison, difference: Difference) -> JsonObject:
    """The counts of answers, with reasoning and answer apart."""
    counts, answers = comparison.counts["answers"], difference.answers
    assert counts is not None, "items were compared"  # noqa: S101
    return {
        **asdict(counts),
        "reasoning_changed": sum(changed.reasoning for changed in answers.changed),
        "answer_changed": sum(changed.answer for changed in answers.changed),
        "same_from_another_request": answers.other_request,
    }


def _renamed(difference: Difference, old: TagRow, new: TagRow) -> JsonObject:
    below = sum(1 for _ in difference.new.below(new.id))
    return {"old": old.path, "new": new.path, "old_id": old.id, "new_id": new.id, "tags_below": below}


def cause_row(cause: Cause) -> JsonObject:
    """A setting, or a prompt by the name of its template. A side without it is null."""
    name = {"setting": cause.name} | ({"prompt": cause.name} if cause.prompt else {})
    return {**name, "old": plain(cause.old), "new": plain(cause.new), "stages": list(cause.parts)}


def plain(value: Any) -> Any:
    """The value of a setting for JSON."""
    return None if value is ABSENT else value


def group_row(difference: Difference, group: Group, *, whole: bool) -> JsonObject:
    """A group with its first items."""
    changes = {changed.item.id: changed for changed in difference.answers.changed} if group.change == "changed" else {}
    tree = difference.old if group.change == "removed" else difference.new
    shown = islice(group.items, None if whole else LISTED)
    return {
        "stage": group.stage,
        "change": group.change,
        "count": len(group.items),
        "because": group.reason.because,
        "settings": [cause.name for cause in group.reason.causes],
        "items": [_item_row(tree, group.stage, item, changes.get(item.id)) for item in shown],
    }


def _item_row(tree: TagTree, stage: str, item: Item, changed: ChangedAnswer | None) -> JsonObject:
    row: JsonObject = {"id": item.id, "path": tree.tags[item.tag].path}
    if stage != "tags":
        row["question"] = item.question
    if stage == "answers":
        row["sample"] = item.sample
    if changed is not None:
        row |= {"reasoning": changed.reasoning, "answer": changed.answer, "old_id": changed.old_id}
    return row
