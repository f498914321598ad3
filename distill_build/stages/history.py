"""The versions of a dataset, each with what changed against the one before it."""

import json
from dataclasses import dataclass
from typing import Any

from distill_build.engine.manifest import ABSENT
from distill_build.errors import CorruptEntryError
from distill_build.records import JsonObject
from distill_build.stages.setting_names import Change, changes_between
from distill_build.stages.tally import STAGES
from distill_build.versions.archive import Archive, Version

PROMPT = ".jinja"
"""How the names of prompts end."""
LONGEST_VALUE = 60
"""Characters of a value that are shown."""
UNTIL = "--until"


@dataclass(frozen=True, slots=True)
class Step:
    """One version after another. `changes` are the settings and prompts that differ, one for each name.

    `reason` is why it is another version where no setting differs; or why nothing can be said of settings.
    """

    version: Version
    changes: tuple[Change, ...]
    reason: str


def steps(archive: Archive, versions: list[Version]) -> list[Step]:
    """`versions`, oldest first, each against the one before it."""
    made = []
    before: Version | None = None
    for version in versions:
        made.append(_step(archive, before, version))
        before = version
    return made


def said(change: Change) -> str:
    """A change in a few words: `teacher.temperature: 0.7 → 0.9`, `prompt en/answers.jinja edited`."""
    name, old, new = change.difference.path, change.difference.old, change.difference.new
    if name.endswith(PROMPT):
        return f"prompt {name} {'added' if old is ABSENT else 'removed' if new is ABSENT else 'edited'}"
    if any(isinstance(side, str) and "\n" in side for side in (old, new)):
        return f"{name} is another text"
    return f"{name}: {shown(old)} → {shown(new)}"


def shown(value: Any) -> str:
    """A setting's value as it is typed, cut where it is long."""
    if value is ABSENT or value is None:
        return "null"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 1] + "…"


def _step(archive: Archive, before: Version | None, version: Version) -> Step:
    if before is None:
        return Step(version, (), "the first version")
    if before.version == version.version:
        return Step(version, (), "the same again")
    try:
        changes = _changes(archive, before, version)
    except CorruptEntryError:
        return Step(version, (), "settings unknown: they are gone from the cache, or damaged; see cache fsck")
    return Step(version, changes, "" if changes else _reason(before, version))


def _changes(archive: Archive, before: Version, version: Version) -> tuple[Change, ...]:
    """What differs, each name once: several stages may share a setting."""
    old = {"": {UNTIL: before.until}} | whole_lists(archive.recipe(before))
    new = {"": {UNTIL: version.until}} | whole_lists(archive.recipe(version))
    by_name = {change.difference.path: change for change in changes_between(old, new)}
    if "language" in by_name:  # other prompts go without saying
        by_name = {name: change for name, change in by_name.items() if not _comes_or_goes(change)}
    return tuple(by_name.values())


def whole_lists(value: Any) -> Any:
    """`value` with its lists as tuples, which are compared as one thing: `breadth`, not `breadth[0]`."""
    if isinstance(value, dict):
        return {key: whole_lists(item) for key, item in value.items()}
    return tuple(value) if isinstance(value, list) else value


def _comes_or_goes(change: Change) -> bool:
    difference = change.difference
    return difference.path.endswith(PROMPT) and ABSENT in (difference.old, difference.new)


def _reason(before: Version, version: Version) -> str:
    """Why responses alone made another version."""
    more = {stage: version.counts.get(stage, 0) - before.counts.get(stage, 0) for stage in STAGES}
    came = ", ".join(f"{number:,} more {stage}" for stage, number in more.items() if number > 0)
    if came and before.missing:
        return f"{came}, which were missing before"
    if came:
        return came
    return "responses asked again" if version.spent.calls else "other responses from the cache"


def record_row(step: Step) -> JsonObject:
    """A step for programs."""
    version = step.version
    return {
        "version": version.version,
        "name": version.name,
        "topic": version.topic,
        "at": version.at,
        "until": version.until,
        "counts": version.counts,
        "missing": version.missing,
        "complete": version.complete,
        "spent": {
            "calls": version.spent.calls,
            "prompt_tokens": version.spent.prompt_tokens,
            "completion_tokens": version.spent.completion_tokens,
            "usd": version.spent.usd,
            "seconds": version.spent.seconds,
        },
        "changes": [_change_row(change) for change in step.changes],
        "reason": step.reason or None,
    }


def _change_row(change: Change) -> JsonObject:
    difference = change.difference
    old, new = (None if side is ABSENT else side for side in (difference.old, difference.new))
    return {"name": difference.path, "old": old, "new": new}
